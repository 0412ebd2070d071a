/**
 * Everything that Python's `multiprocessing` gives its users, for Deno, as Effect resources.
 *
 * @module
 */
export * as Array from "./src/Array.ts";
export * as Backend from "./src/Backend.ts";
export * as Client from "./src/Client.ts";
export * as Listener from "./src/Listener.ts";
export * as Barrier from "./src/Barrier.ts";
export * as Condition from "./src/Condition.ts";
export * as Event from "./src/Event.ts";
export * as Lock from "./src/Lock.ts";
export { runMain } from "./src/Main.ts";
export * as Manager from "./src/Manager.ts";
export * as Pipe from "./src/Pipe.ts";
export * as Pool from "./src/Pool.ts";
export * as Process from "./src/Process.ts";
export * as Queue from "./src/Queue.ts";
export * as ReadWriteLock from "./src/ReadWriteLock.ts";
export * as RLock from "./src/RLock.ts";
export * as Semaphore from "./src/Semaphore.ts";
export * as ShareableList from "./src/ShareableList.ts";
export * as SharedMemory from "./src/SharedMemory.ts";
export * as SharedMemoryManager from "./src/SharedMemoryManager.ts";
export * as SubprocessBackend from "./src/SubprocessBackend.ts";
export * as Task from "./src/Task.ts";
export * as Value from "./src/Value.ts";
export { InvalidArgument, wait } from "./src/Wait.ts";
export * as WorkerBackend from "./src/WorkerBackend.ts";
