/**
 * Python's `multiprocessing` for Deno: processes, pools, queues, pipes, managers, shared memory and locks, as resources of
 * [Effect](https://effect.website), or with Promises.
 *
 * A process ends with its scope, a failure comes back with its type, and a killed process harms only itself. The same program
 * runs on subprocesses or on Web Workers. Use it to spread work over cores, to isolate code that may crash or hang, or to give a
 * part of a program fewer permissions.
 *
 * ```sh
 * deno add jsr:@effect-deno/multiprocessing npm:effect@^3.22
 * ```
 *
 * ## First program
 *
 * With Promises, nothing of Effect is needed:
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing/Promise";
 *
 * const square = Mp.task(import.meta, "square", (n: number) => n * n);
 *
 * if (import.meta.main) {
 *   await using pool = await Mp.pool({ size: 2 });
 *   console.log(await pool.map(square, [1, 2, 3]));
 * }
 * ```
 *
 * ```text
 * [ 1, 4, 9 ]
 * ```
 *
 * With Effect, a pool is a resource of a scope. Import the library as a namespace, since `Array`, `Event`, `Queue` and other names
 * collide with globals and with those of Effect:
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
 * The child imports the module that defines a task and finds the task by its name. So define tasks at the top level of a file, and
 * guard the program with `if (import.meta.main)`. Run it with `deno run -A`, or with the permissions that
 * [Backend](https://jsr.io/@effect-deno/multiprocessing/doc/Backend) lists.
 *
 * ## Modules
 *
 * Each module is an entry of its own, such as `@effect-deno/multiprocessing/Pool`. Its documentation is the guide to its subject,
 * with Python's names under "From Python".
 *
 * | Work, and where it runs | |
 * | --- | --- |
 * | [Task](https://jsr.io/@effect-deno/multiprocessing/doc/Task) | named pieces of work, and what can be sent to them |
 * | [Process](https://jsr.io/@effect-deno/multiprocessing/doc/Process) | one running child: start, join, terminate |
 * | [Pool](https://jsr.io/@effect-deno/multiprocessing/doc/Pool) | workers that run tasks: `map`, Streams, submissions |
 * | [Group](https://jsr.io/@effect-deno/multiprocessing/doc/Group) | several Effects at a time: all, any, the first few, until a deadline |
 * | [Supervisor](https://jsr.io/@effect-deno/multiprocessing/doc/Supervisor) | children that are started again when they end |
 * | [Timeline](https://jsr.io/@effect-deno/multiprocessing/doc/Timeline) | what workers did when, as a picture or a trace |
 * | [Backend](https://jsr.io/@effect-deno/multiprocessing/doc/Backend) | what all backends have in common: failures, permissions, limits |
 * | [SubprocessBackend](https://jsr.io/@effect-deno/multiprocessing/doc/SubprocessBackend) | children as Deno processes, with permissions of their own |
 * | [WorkerBackend](https://jsr.io/@effect-deno/multiprocessing/doc/WorkerBackend) | children as Web Workers |
 * | [Telemetry](https://jsr.io/@effect-deno/multiprocessing/doc/Telemetry) | one log, one trace and one set of metrics of all processes |
 * | [Main](https://jsr.io/@effect-deno/multiprocessing/doc/Main) | `runMain`: a program as a script, Ctrl-C, exit codes |
 * | [Errors](https://jsr.io/@effect-deno/multiprocessing/doc/Errors) | all classes of failures |
 *
 * | Messages | |
 * | --- | --- |
 * | [Queue](https://jsr.io/@effect-deno/multiprocessing/doc/Queue) | items for any number of processes |
 * | [Pipe](https://jsr.io/@effect-deno/multiprocessing/doc/Pipe) | two ends that talk to each other |
 * | [Wait](https://jsr.io/@effect-deno/multiprocessing/doc/Wait) | waiting for several objects at once |
 * | [Listener](https://jsr.io/@effect-deno/multiprocessing/doc/Listener) | connections from other programs, with authentication and TLS |
 * | [Client](https://jsr.io/@effect-deno/multiprocessing/doc/Client) | connections to other programs |
 * | [Manager](https://jsr.io/@effect-deno/multiprocessing/doc/Manager) | dicts, lists, locks and classes that live in a server process |
 *
 * | Shared memory | |
 * | --- | --- |
 * | [SharedMemory](https://jsr.io/@effect-deno/multiprocessing/doc/SharedMemory) | blocks of bytes, and the guide to this group |
 * | [Value](https://jsr.io/@effect-deno/multiprocessing/doc/Value) | one number, a struct or bytes |
 * | [Array](https://jsr.io/@effect-deno/multiprocessing/doc/Array) | numbers of one type |
 * | [ShareableList](https://jsr.io/@effect-deno/multiprocessing/doc/ShareableList) | mixed values in a fixed place |
 * | [SharedMemoryManager](https://jsr.io/@effect-deno/multiprocessing/doc/SharedMemoryManager) | an owner of blocks and lists |
 *
 * | Taking turns | |
 * | --- | --- |
 * | [Lock](https://jsr.io/@effect-deno/multiprocessing/doc/Lock) | mutual exclusion between processes, and the guide to this group |
 * | [RLock](https://jsr.io/@effect-deno/multiprocessing/doc/RLock) | a lock that its holder can take again |
 * | [ReadWriteLock](https://jsr.io/@effect-deno/multiprocessing/doc/ReadWriteLock) | many readers, or one writer |
 * | [Semaphore](https://jsr.io/@effect-deno/multiprocessing/doc/Semaphore) | a number of permits |
 * | [Condition](https://jsr.io/@effect-deno/multiprocessing/doc/Condition) | waiting for a state that another process brings about |
 * | [Event](https://jsr.io/@effect-deno/multiprocessing/doc/Event) | a flag to wait for |
 * | [Barrier](https://jsr.io/@effect-deno/multiprocessing/doc/Barrier) | a meeting point for a number of processes |
 *
 * | Adapters, each an entry only | |
 * | --- | --- |
 * | [Promise](https://jsr.io/@effect-deno/multiprocessing/doc/Promise) | the library for programs that are written with Promises |
 * | [CommandExecutor](https://jsr.io/@effect-deno/multiprocessing/doc/CommandExecutor) | `Command` of `@effect/platform` |
 * | [ProgressBar](https://jsr.io/@effect-deno/multiprocessing/doc/ProgressBar) | the progress of a pool on the terminal |
 * | [TestBackend](https://jsr.io/@effect-deno/multiprocessing/doc/TestBackend) | children for tests, which fail as a script says |
 * | [NatsBackend](https://jsr.io/@effect-deno/multiprocessing/doc/NatsBackend) | processes on other machines, by a NATS server |
 * | [NatsPool](https://jsr.io/@effect-deno/multiprocessing/doc/NatsPool) | a pool whose tasks and results a NATS server keeps |
 * | [NatsShared](https://jsr.io/@effect-deno/multiprocessing/doc/NatsShared) | locks, events, dicts and queues that a NATS server keeps for programs on several machines |
 * | [agent](https://jsr.io/@effect-deno/multiprocessing/doc/agent) | the program on each of those machines |
 * | [PlatformWorker](https://jsr.io/@effect-deno/multiprocessing/doc/PlatformWorker) | `Worker` of `@effect/platform` on these backends |
 * | [Rpc](https://jsr.io/@effect-deno/multiprocessing/doc/Rpc) | clients and servers of `@effect/rpc` over connections |
 *
 * ## Requirements
 *
 * - Deno 2.7.12 or later, 2.9 or later for workers; `effect` 3.22 or later, but not 4.
 * - Subprocesses need `--allow-run` of Deno's executable and `--allow-env`; workers need `--allow-read`. `--allow-ffi` adds shared
 *   memory between subprocesses, on Linux.
 * - Importing a module loads types, errors and documentation; the first Effect that makes something loads its implementation. That
 *   one Effect is asynchronous, so `Effect.runSync(SharedMemory.make(...))` works from the second use in a program on.
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
export * as Group from "./src/Group.ts";
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
export * as Supervisor from "./src/Supervisor.ts";
export * as Task from "./src/Task.ts";
export * as Telemetry from "./src/Telemetry.ts";
export * as Timeline from "./src/Timeline.ts";
export * as Value from "./src/Value.ts";
export { InvalidArgument, wait } from "./src/Wait.ts";
export * as WorkerBackend from "./src/WorkerBackend.ts";
