/**
 * Python's `multiprocessing` for Deno: processes, pools, queues, shared memory and more, as Effect resources.
 *
 * Import it as a namespace, since `Array`, `Event`, `Queue` and other names collide with globals and with those of
 * Effect:
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect } from "effect";
 *
 * const square = Mp.Task.make(import.meta, "square", (n: number) => n * n);
 *
 * const program = Effect.gen(function* () {
 *   const pool = yield* Mp.Pool.make({ size: 2 });
 *   console.log(yield* pool.map(square, [1, 2, 3]));
 * }).pipe(Effect.scoped, Effect.provide(Mp.SubprocessBackend.layer()));
 *
 * if (import.meta.main) Mp.runMain(program);
 * ```
 *
 * ```text
 * [ 1, 4, 9 ]
 * ```
 *
 * The documentation of each module is the guide to its subject, and has Python's names under "From Python":
 *
 * | subject | modules |
 * | --- | --- |
 * | work, and where it runs | `Task`, `Process`, `Pool`, `Backend`, `SubprocessBackend`, `WorkerBackend`, `Telemetry`, `Main` |
 * | failures | `Errors` |
 * | messages | `Queue`, `Pipe`, `Wait` |
 * | other programs | `Listener`, `Client` |
 * | objects of a server process | `Manager` |
 * | shared memory | `SharedMemory`, `Value`, `Array`, `ShareableList`, `SharedMemoryManager` |
 * | locks | `Lock`, `RLock`, `Semaphore`, `Condition`, `Event`, `Barrier`, `ReadWriteLock` |
 *
 * Each module is also an entry of its own, such as `@effect-deno/multiprocessing/Pool`.
 *
 * Importing a module loads types, errors and documentation; the first Effect that makes something loads its implementation. That
 * one Effect is asynchronous, so `Effect.runSync(SharedMemory.make(...))` works from the second use in a program on.
 *
 * @module
 */
export * as Array from "./src/Array.ts";
export * as Backend from "./src/Backend.ts";
export * as Client from "./src/Client.ts";
export * as Listener from "./src/Listener.ts";
export * as Barrier from "./src/Barrier.ts";
export * as Condition from "./src/Condition.ts";
export * as Errors from "./src/Errors.ts";
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
export * as Telemetry from "./src/Telemetry.ts";
export * as Value from "./src/Value.ts";
export { InvalidArgument, wait } from "./src/Wait.ts";
export * as WorkerBackend from "./src/WorkerBackend.ts";
