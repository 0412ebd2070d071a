/**
 * A set of processes that run tasks.
 *
 * - A pool is a scoped resource. Its workers are started with it, and they have ended when its scope has closed.
 * - Each worker runs one task at a time, or several with `concurrency`; further tasks wait in the order of their priority and
 *   submission. A waiting task costs one place in a list, so twenty thousand waiting tasks are fine.
 * - A worker that dies fails exactly the task that it ran, and is replaced at once. The {@link ProcessDied} says how the worker
 *   ended (`status`: exit code, signal or crash), whether it ran out of memory (`outOfMemory`), and whether the task is
 *   known to have begun (`started`).
 * - An interrupted caller takes its tasks back: a waiting task is not run, a running task is interrupted where it runs.
 *   A task that does not stop within `gracePeriod` is stopped by killing its worker, so a timeout frees the core.
 * - Every submission settles exactly once.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect, Stream } from "effect";
 *
 * const area = Mp.Task.make(import.meta, "area", (width: number, height: number) => width * height);
 * const half = Mp.Task.make(import.meta, "half", (n: number) => n / 2);
 * const crash = Mp.Task.make(import.meta, "crash", () => Deno.exit(9));
 * const hang = Mp.Task.make(import.meta, "hang", () => {
 *   while (true);
 * });
 *
 * const program = Effect.gen(function* () {
 *   const pool = yield* Mp.Pool.make({ size: 2 });
 *
 *   console.log(yield* pool.apply(area, 3, 4)); // one call
 *   console.log(yield* pool.map(half, [2, 4, 6], { chunkSize: 2 })); // one argument, in the order of the items
 *   console.log(yield* pool.starmap(area, [[1, 2], [3, 4]])); // several arguments
 *
 *   const submission = yield* pool.submit(area, 5, 6); // continue, and await the result later
 *   console.log(yield* submission.await);
 *
 *   const halves = Stream.range(1, 1_000_000).pipe(pool.mapStream(half, { chunkSize: 100 }), Stream.take(3));
 *   console.log([...yield* Stream.runCollect(halves)]);
 *
 *   const died = yield* Effect.flip(pool.apply(crash));
 *   if (died._tag === "ProcessDied") console.log(died.status);
 *
 *   // A timeout frees the core, even from a task that never yields.
 *   const late = yield* pool.apply(hang).pipe(Effect.timeout("100 millis"), Effect.flip);
 *   console.log(late._tag, yield* pool.apply(half, 1));
 * }).pipe(Effect.scoped, Effect.provide(Mp.SubprocessBackend.layer()));
 *
 * if (import.meta.main) Mp.runMain(program);
 * ```
 *
 * ```text
 * 12
 * [ 1, 2, 3 ]
 * [ 2, 12 ]
 * 30
 * [ 0.5, 1, 1.5 ]
 * { _tag: "Exited", code: 9 }
 * TimeoutException 0.5
 * ```
 *
 * - Large binary content is copied once on its way to a worker of `WorkerBackend`, and not at all if `Task.move` gives it away.
 * - Items in a typed array, such as a `Float64Array`, are sent as bytes, without a cost for each number.
 * - `pool.reduce` combines all items to one, if the task is associative; `pool.mapReduce` combines the results of another task.
 * - `chunkSize` is the number of items that are sent to a worker together. By default it is measured, except by `reduce` and `mapReduce`:
 *   chunks take about a millisecond of work or a megabyte, and in `map` and `starmap` up to ten while much of the list remains. Slow items
 *   are sent one by one, and fast ones many at a time. A Stream never waits for more elements to fill a chunk.
 * - The results of a chunk arrive together. Give `chunkSize: 1` to get each result of a Stream at once, even if the next item is slow.
 * - With a `timeout` or a `retry`, which are meant for each item, `mapSettled`, `mapStreamSettled`, `mapStream` and `mapUnordered` send items
 *   one by one: for small tasks give them a larger `chunkSize`.
 * - In `mapSettled` and `mapStreamSettled`, a worker that dies fails all items of its chunk, each with the same `ProcessDied`. A measured
 *   chunk has at most 64 items there, and after such a failure the call sends its items one by one. Give `chunkSize: 1` if an item may
 *   kill its worker and no other item must fail with it.
 * - `lookAhead` is the maximal number of chunks of a Stream that are waiting, running, done, or being handled by the reader. The
 *   default is four times the size of the pool.
 * - The first failure of `map` stops the rest. Interruption stops the running tasks, and waits until they have stopped.
 * - `pool.close` refuses new calls. The pool finishes the calls that have begun, and a stream that is being run gets all
 *   its items; `pool.join` waits for them.
 *
 * `deno test -A tests/faults/checker_test.ts` submits thousands of tasks while workers are killed, and counts that each
 * settles once.
 *
 * ## Submissions
 *
 * `pool.submit` submits a task without waiting for it. A submission settles exactly once, and belongs to its pool: if the
 * scope of the pool closes with success, it waits for the submission; otherwise the submission is stopped.
 *
 * - `await` waits for the result, and can be used any number of times. Interrupting it stops the waiting, not the task.
 * - `poll` returns the Exit if there is one, without waiting.
 * - `cancel` takes a waiting task back, or stops a running task, and waits until it has stopped.
 * - `onSuccess` and `onFailure` run in a fiber of their own. Their failures are logged, and affect nothing else.
 * - {@link wait} waits for the first or for all of several submissions, and {@link asCompleted} gives each when it has settled. The function
 *   `wait` of the module `Wait` waits for submissions together with queues, connections and processes.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect, Exit, Option } from "effect";
 *
 * const double = Mp.Task.make(import.meta, "double", (n: number) => n * 2);
 * const spin = Mp.Task.make(import.meta, "spin", () => {
 *   while (true);
 * });
 *
 * const program = Effect.gen(function* () {
 *   const pool = yield* Mp.Pool.make({ size: 1, gracePeriod: "100 millis" });
 *
 *   const first = yield* pool.submitWith(double, [4], {
 *     onSuccess: (value) => Effect.sync(() => console.log("callback:", value)),
 *     onFailure: (cause) => Effect.logError("double failed", cause),
 *   });
 *   console.log("ready:", Option.isSome(yield* first.poll));
 *   yield* first.await;
 *
 *   const endless = yield* pool.submitWith(spin, [], { timeout: "500 millis" });
 *   const next = yield* pool.submit(double, 5);
 *   const last = yield* pool.submit(double, 6);
 *   yield* last.cancel;
 *   console.log("cancelled:", Exit.isInterrupted(yield* Effect.exit(last.await)));
 *   const late = yield* Effect.flip(endless.await);
 *   if (late._tag === "PoolError") console.log(late.reason);
 *   console.log("next:", yield* next.await);
 *
 *   yield* pool.close; // accepts no more tasks
 *   yield* pool.join; // waits until all tasks are done and the workers have ended
 *   const { alive, completed, replaced } = yield* pool.statistics;
 *   console.log({ alive, completed, replaced });
 * }).pipe(Effect.scoped, Effect.provide(Mp.SubprocessBackend.layer()));
 *
 * if (import.meta.main) Mp.runMain(program);
 * ```
 *
 * ```text
 * ready: false
 * callback: 8
 * cancelled: true
 * Timeout
 * next: 10
 * { alive: 0, completed: 2, replaced: 1 }
 * ```
 *
 * ## Failures and retries
 *
 * `map` stops at the first failure. `mapSettled` and `mapStreamSettled` go on, and give the Exit of each item.
 *
 * With `retry`, a failed task runs again as a `Schedule` says: for a pool, a call, a submission or a map. A task that has begun, or may have
 * begun, runs again only if it is marked as `idempotent`; a task that is known not to have begun always may. A task that kills worker after
 * worker is set aside with the error {@link Poisoned}, which has all their deaths. An attempt that ends because its worker is out of memory
 * has a small budget of its own, `outOfMemory`, since more attempts would mostly end in the same way.
 *
 * | a task fails | runs again |
 * | --- | --- |
 * | with its own typed failure | if it is idempotent |
 * | because its worker has died, or by `timeout` | if it is idempotent |
 * | because its layer cannot be built | yes |
 * | by a defect, or with a value that cannot be sent or decoded | no |
 * | because it was cancelled, by its deadline, or with the end of the pool | no |
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect, Exit, Schedule } from "effect";
 *
 * const parse = Mp.Task.make(import.meta, "parse", (text: string) => {
 *   if (text === "bomb") Deno.exit(1);
 *   return text.length;
 * }, { idempotent: true });
 *
 * const program = Effect.gen(function* () {
 *   const pool = yield* Mp.Pool.make({ size: 2 });
 *   const exits = yield* pool.mapSettled(parse, ["one", "bomb", "three"], {
 *     retry: { schedule: Schedule.spaced("10 millis"), kills: 2 },
 *     deadline: "1 minute",
 *   });
 *   for (const exit of exits) {
 *     if (Exit.isSuccess(exit)) console.log(exit.value);
 *     else if (exit.cause._tag === "Fail") console.log(exit.cause.error.message.split(";")[0]);
 *   }
 *   const { completed, failed, retried } = yield* pool.statistics;
 *   console.log({ completed, failed, retried });
 * }).pipe(Effect.scoped, Effect.provide(Mp.SubprocessBackend.layer()));
 *
 * if (import.meta.main) Mp.runMain(program);
 * ```
 *
 * ```text
 * 3
 * Cannot finish task "parse": it was set aside after it had killed 2 workers
 * 5
 * { completed: 2, failed: 1, retried: 1 }
 * ```
 *
 * ## Large data
 *
 * | data | how it reaches the workers |
 * | --- | --- |
 * | binaries and views of 64 KiB or more, anywhere in a message | beside the message, without being encoded: the worker gets one copy |
 * | a typed array of items | as bytes, a slice for each chunk |
 * | arrays of numbers | packed in as few bytes as their values need |
 * | a block of `SharedMemory`, an `Array` of shared numbers | as a handle: no process has a copy, and a change is seen at once |
 *
 * For a large array on which all workers work, put it into shared memory and send the bounds of each part. It works on processes and on
 * threads, wherever `SharedMemory` does.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect } from "effect";
 *
 * const root = Mp.Task.make(import.meta, "root", (memory: Mp.SharedMemory.SharedMemory, from: number, to: number) => {
 *   const part = memory.array(Float64Array, 8 * from, to - from);
 *   for (let i = 0; i < part.length; i++) part[i] = Math.sqrt(part[i]);
 * });
 *
 * const program = Effect.gen(function* () {
 *   const pool = yield* Mp.Pool.make({ size: 2 });
 *   const memory = yield* Mp.SharedMemory.make({ size: 8 * 1_000_000 });
 *   const numbers = memory.array(Float64Array).fill(16);
 *   const parts = Array.from({ length: 10 }, (_, n) => [memory, n * 100_000, (n + 1) * 100_000] as const);
 *   yield* pool.starmap(root, parts);
 *   console.log(numbers[0], numbers[999_999]);
 * }).pipe(Effect.scoped, Effect.provide(Mp.SubprocessBackend.layer()));
 *
 * if (import.meta.main) Mp.runMain(program);
 * ```
 *
 * ```text
 * 4 4
 * ```
 *
 * ## Waiting, deadlines and order
 *
 * | option of a pool or a call | effect |
 * | --- | --- |
 * | `timeout` | how long each attempt may run |
 * | `queueTimeout` | how long a task may wait for a worker |
 * | `deadline` | how long a task may take in all, its waiting and all its attempts included |
 * | `priority` | tasks with a larger priority run first |
 * | `affinity` | tasks with the same key run in the same worker, one after the other |
 *
 * With `queueCapacity`, at most this many tasks wait. Further calls wait for room, and so hold back their callers, or fail with `QueueFull`
 * if `whenFull` is `"refuse"`. `pool.broadcast` runs a task once in each worker, for example to reload a configuration.
 *
 * A thread that never turns its event loop cannot be stopped. Mark a task that must be stoppable at any time as `killable`: a pool of threads
 * refuses it with `Unsupported`. `WorkerBackend.quarantined` counts the threads that could not be stopped.
 *
 * ## Workers of a pool
 *
 * | option | effect |
 * | --- | --- |
 * | `size` | number of workers, all started with the pool; the default is the `capacity` of the backend, or else `Process.cpuCount`, the cores that this program may use |
 * | `size: { min, max }` | a worker more, up to `max`, when a task has waited for `growAfter`, 10 milliseconds; one less, down to `min`, when it was idle for `idleTimeToLive`, 30 seconds |
 * | `concurrency` | number of tasks that a worker runs at a time; for tasks that wait, such as fetches. The interruption of one does not disturb the others |
 * | `prefetch` | number of tasks that a worker receives ahead, so that it never waits for the next one. By default up to 8 while the tasks are short, if the worker shares memory with the pool |
 * | `initializer` | a task that each worker runs before its first one; if it fails, `Pool.make` fails with `InitializerFailed` |
 * | `maxTasksPerChild` | number of tasks (a chunk counts as one) after which a worker is replaced by a fresh one |
 * | `maxAge`, `maxMemory` | age, and memory in bytes, at which a worker is replaced. Its successor is started first, so that no task waits |
 * | `spare` | keep one more worker ready, which replaces a worker that dies within milliseconds. It costs the memory of an idle worker, and starts when all workers run and no task waits |
 * | `timeout` | how long a task or chunk may run; then it is stopped and fails with `Timeout`. `applyWith` and `submitWith` have one for a single task; `pool.stream` has none |
 * | `timeline` | a record of which worker ran which task when, as a picture or a trace: see the module `Timeline` |
 * | `gracePeriod` | how long a task may take to stop before its worker is killed; 1 second |
 * | `forceKillAfter` | how long after SIGTERM SIGKILL follows; 500 milliseconds |
 *
 * For services that tasks use, and for the state of a worker, prefer the `layer` of a task to an initializer: it is built once in each worker,
 * shared by all tasks that name it, and released when the worker ends.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect } from "effect";
 *
 * let factor = 1;
 * let calls = 0;
 *
 * const setUp = Mp.Task.make(import.meta, "setUp", (value: number) => {
 *   factor = value;
 * });
 *
 * const scale = Mp.Task.make(import.meta, "scale", (n: number) => ({ result: n * factor, call: ++calls }));
 *
 * const slow = Mp.Task.make(import.meta, "slow", () => Effect.never);
 *
 * const broken = Mp.Task.make(import.meta, "broken", () => Effect.fail("no licence"));
 *
 * const program = Effect.gen(function* () {
 *   const pool = yield* Mp.Pool.make({
 *     size: 1,
 *     initializer: Mp.Pool.initializer(setUp, 10),
 *     maxTasksPerChild: 2,
 *     timeout: "1 second",
 *   });
 *   for (const n of [1, 2, 3]) console.log(yield* pool.apply(scale, n));
 *
 *   const late = yield* Effect.flip(pool.apply(slow));
 *   if (late._tag === "PoolError") console.log(late.reason);
 *
 *   const refused = yield* Effect.flip(Mp.Pool.make({ initializer: Mp.Pool.initializer(broken) }));
 *   if (refused._tag === "PoolError") console.log(refused.reason, refused.cause);
 * }).pipe(Effect.scoped, Effect.provide(Mp.SubprocessBackend.layer()));
 *
 * if (import.meta.main) Mp.runMain(program);
 * ```
 *
 * ```text
 * { result: 10, call: 1 }
 * { result: 20, call: 2 }
 * { result: 30, call: 1 }
 * Timeout
 * InitializerFailed no licence
 * ```
 *
 * `Pool.make` returns when the workers can run tasks. If a worker cannot be started, `Pool.make` fails with a `SpawnError`,
 * which says why. If workers cannot be started any more at a later time, or die repeatedly before they have run any task,
 * the pool gives up: waiting tasks and all later calls fail with the {@link PoolError} `Broken`. Its message says why; its
 * `cause` is the `SpawnError` of the last start, if there is one. No call waits for a worker that will never come.
 *
 * The replacement of a worker that has died starts at once, while the dead worker is released. With `spare: true` it is
 * there already: one more worker is kept started and initialized. A spare starts when all workers run and no task waits, so
 * that it never delays a worker that is needed.
 *
 * ## What a pool does
 *
 * `pool.statistics` is a snapshot, `pool.watch` a Stream of them. `pool.insights` has the distribution of the times that tasks take to be
 * encoded, to wait, to run and to be decoded, the start, the work and the memory of each worker, and the slowest tasks. A {@link progress}
 * counts the items of a `map`; the module `ProgressBar` draws it, and the module `Timeline` draws which worker ran which task when.
 *
 * If the first thousand tasks (or chunks) of a pool take less than half a millisecond on average, and longer to be sent and answered than
 * to run, the pool logs a hint, once and at the level Debug.
 *
 * | `reason` of a `PoolError` | when |
 * | --- | --- |
 * | `InvalidOption` | a size, chunk size, look-ahead or number of tasks is not a positive integer, or another option is of the wrong kind |
 * | `InvalidArgument` | an argument is of the wrong kind: a plain function instead of a task, items that are not iterable |
 * | `InitializerFailed` | a worker could not be initialized; `cause` is the failure |
 * | `Closed` | the pool takes no more tasks, because it or its scope was closed |
 * | `Open` | the pool cannot be joined, because it was neither closed nor terminated |
 * | `Terminated` | the task was not done when the pool was terminated |
 * | `Timeout` | the task ran for longer than its `timeout` |
 * | `QueueTimeout` | the task waited for a worker for longer than its `queueTimeout`; it has not begun |
 * | `Deadline` | the task was not done at its `deadline` |
 * | `QueueFull` | `queueCapacity` tasks wait, and the pool refuses more |
 * | `Unsupported` | the task is marked as `killable`, and the backend cannot kill a busy worker |
 * | `Broken` | workers cannot be started any more, or die repeatedly before they have run any task |
 *
 * ## From Python
 *
 * | Python | here |
 * | --- | --- |
 * | `Pool(processes)` | `Pool.make({ size })` |
 * | `initializer`, `initargs` | `Pool.make({ initializer: Pool.initializer(task, ...args) })`, or a `layer` |
 * | `maxtasksperchild` | `Pool.make({ maxTasksPerChild })` |
 * | `apply`, `map`, `starmap`, `chunksize` | `pool.apply`, `pool.map`, `pool.starmap`, `{ chunkSize }` |
 * | `imap` | `pool.mapStream(task)`, from a Stream to a Stream |
 * | `imap_unordered` | `pool.mapUnordered`, or `pool.mapStream(task, { unordered: true })` |
 * | `apply_async` | `pool.submit(task, ...args)` |
 * | `map_async`, `starmap_async` | `Effect.fork(pool.map(...))` |
 * | `callback`, `error_callback` | `pool.submitWith(task, args, { onSuccess, onFailure })` |
 * | `AsyncResult.get`, `wait` | `submission.await`, with `Effect.timeout` or as `Effect.exit` |
 * | `AsyncResult.ready`, `successful` | `submission.poll`: no value yet, or the Exit |
 * | (cannot be done) | `submission.cancel`; a `timeout` that frees the core |
 * | `Pool.close`, `Pool.join`, `Pool.terminate` | `pool.close`, `pool.join`, `pool.terminate`; or simply the scope |
 * | `with Pool() as pool` | the scope; after success it waits for the submissions (Python kills them) |
 * | `TimeoutError` | a `PoolError` with the reason `Timeout`, for a task that ran too long; Effect's `TimeoutException` otherwise |
 * | `MaybeEncodingError`, `RemoteTraceback` | `EncodeError`; the remote stack is in the error |
 * | `multiprocessing.dummy`, `ThreadPool` | a pool on `WorkerBackend.layer()` |
 *
 * | `concurrent.futures` | here |
 * | --- | --- |
 * | `ProcessPoolExecutor(max_workers, max_tasks_per_child)` | `Pool.make({ size: { min: 0, max }, maxTasksPerChild })` |
 * | `executor.submit`, `Future.result`, `Future.exception` | `pool.submit`; `submission.await`, `Effect.flip(submission.await)` |
 * | `Future.cancel`, `done`, `add_done_callback` | `submission.cancel`, which stops a running task as well; `poll`; `onSuccess` and `onFailure` |
 * | `executor.map(timeout, chunksize)` | `pool.map(task, items, { deadline, chunkSize })` |
 * | `wait`, `FIRST_COMPLETED`, `FIRST_EXCEPTION`, `ALL_COMPLETED` | `Pool.wait(submissions, { returnWhen })`; or a `Group`, which stops what is not needed |
 * | `as_completed` | `Pool.asCompleted(submissions)`, or `pool.mapStreamSettled(task, { unordered: true })` |
 * | `shutdown(wait=True)`, `shutdown(cancel_futures=True)` | the scope, or `pool.close` and `pool.join`; `pool.terminate` |
 * | `BrokenProcessPool` for all futures | `ProcessDied` for the tasks of the dead worker; the pool goes on |
 *
 * | piscina, tinypool, workerpool, comlink | here |
 * | --- | --- |
 * | `filename`, `workerpool.worker({ ... })`, `expose` | `Task.make` at the top level of a module |
 * | `pool.run(data, { signal })`, `exec` | `pool.apply`, interrupted by its fiber; the module `Promise` takes an `AbortSignal` |
 * | `minThreads`, `maxThreads`, `idleTimeout` | `size: { min, max, idleTimeToLive }` |
 * | `maxQueue`, `concurrentTasksPerWorker` | `queueCapacity`, `concurrency` |
 * | `resourceLimits`, `maxMemoryLimitBeforeRecycle` | `v8Flags` of the backend; `maxMemory` |
 * | `isolateWorkers` | `maxTasksPerChild: 1` |
 * | `teardown`, `onTerminateWorker` | the `layer` of a task |
 * | `transferList`, `move`, `Transfer`, `transfer` | `Task.move`, in arguments and in results |
 * | `promise.cancel()`, `promise.timeout(ms)` | interruption, `Effect.timeout`; both free the core |
 *
 * @module
 */
// More than 400 lines, because most of them are documentation; the implementation stands in `src/internal`.
import type * as Cause from "effect/Cause";
import * as Context from "effect/Context";
import type * as Duration from "effect/Duration";
import * as Effect from "effect/Effect";
import type * as Exit from "effect/Exit";
import * as Layer from "effect/Layer";
import type * as Option from "effect/Option";
import type { Pipeable } from "effect/Pipeable";
import type * as Schedule from "effect/Schedule";
import type * as Scope from "effect/Scope";
import type * as Stream from "effect/Stream";
import { Backend, type CallError, type EncodeError, type KillPolicy, type SpawnError } from "./Backend.ts";
import type { Poisoned, PoolError } from "./internal/pool/errors.ts";
import * as Arguments from "./internal/os/arguments.ts";
import type { Waitable } from "./internal/objects/waitable.ts";
import { late } from "./internal/os/late_stream.ts";
import { lazily } from "./internal/os/lazy.ts";
import type * as Task from "./Task.ts";
import type { Timeline } from "./Timeline.ts";

const implementation = lazily(() => import("./internal/pool/pool.ts"));

/** Marks every pool. @since 0.1.0 @category type ids */
export const TypeId: TypeId = "~multiprocessing/Pool";
/** Type of the mark of every pool. @since 0.1.0 @category type ids */
export type TypeId = "~multiprocessing/Pool";

export { Poisoned, PoolError } from "./internal/pool/errors.ts";

/**
 * Whether and when a failed task runs again.
 *
 * - A task that is known not to have begun always may.
 * - A task that has begun, or may have begun, runs again only if it is marked as `idempotent`: see `Task.Options`.
 * - A task that was cancelled, has exceeded its deadline, has failed by a defect, or has a value that cannot be sent does not run
 *   again.
 *
 * @since 0.1.0
 * @category models
 */
export interface Retry<in E = unknown> {
  /** When the next attempt begins. Its input is the failure of the last one; it ends when there is to be no more. */
  readonly schedule: Schedule.Schedule<unknown, E>;
  /** Number of workers that the task may kill. After the last one it fails with {@link Poisoned}. @default 3 */
  readonly kills?: number | undefined;
  /** Number of attempts after a worker has run out of memory, whatever the schedule says. @default 1 */
  readonly outOfMemory?: number | undefined;
}

/**
 * Options of a pool, and of each of its calls. Those of a pool apply to all calls that have none of their own.
 *
 * @since 0.1.0
 * @category models
 */
export interface TermOptions<in E = unknown> {
  /**
   * How long a task (or chunk) may run, from its start, before it is stopped as if it were interrupted, and fails with the
   * {@link PoolError} `Timeout`. Not for `Pool.stream`, which runs at the pace of its reader. @default unlimited
   */
  readonly timeout?: Duration.DurationInput | undefined;
  /** How long a task (or chunk) may wait for a worker before it fails with the {@link PoolError} `QueueTimeout`. @default unlimited */
  readonly queueTimeout?: Duration.DurationInput | undefined;
  /**
   * How long a task (or chunk) may take in all, from its submission, its waiting and all its attempts included. Then it is stopped, and
   * fails with the {@link PoolError} `Deadline`. @default unlimited
   */
  readonly deadline?: Duration.DurationInput | undefined;
  /** Waiting tasks with a larger priority are run first; those of one priority in the order of their submission. @default 0 */
  readonly priority?: number | undefined;
  /** Whether and when a failed task runs again: a Schedule, or more. `false` means never. @default the option of the pool, or never */
  readonly retry?: Schedule.Schedule<unknown, E> | Retry<E> | false | undefined;
}

/** Options of a call. @since 0.1.0 @category models */
export interface CallOptions<in E = unknown> extends TermOptions<E> {
  /**
   * A key. Tasks with the same key run in the same worker, or in its replacement, so that they find what earlier ones have left in its
   * memory. They wait for it even while other workers are idle. In a pool whose size changes, a key may move. @default any worker
   */
  readonly affinity?: string | number | undefined;
}

/** Options of {@link Pool.applyWith}. @since 0.1.0 @category models */
export interface ApplyOptions<in E = unknown> extends CallOptions<E> {}

/**
 * The size of a pool that grows and shrinks.
 *
 * @since 0.1.0
 * @category models
 */
export interface Size {
  /** Number of workers that are started with the pool, and are always kept. May be 0. */
  readonly min: number;
  /** Maximal number of workers. */
  readonly max: number;
  /** How long a worker must have been idle before it is ended, if there are more than `min`. @default 30 seconds */
  readonly idleTimeToLive?: Duration.DurationInput | undefined;
  /** How long a task must have waited before one more worker is started, if there are fewer than `max`. @default 10 millis */
  readonly growAfter?: Duration.DurationInput | undefined;
}

/**
 * Options of a pool.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends KillPolicy, TermOptions {
  /** Number of workers, or the limits of a pool that grows and shrinks. @default the number of logical cores */
  readonly size?: number | Size | undefined;
  /**
   * Number of tasks that each worker runs at a time, for tasks that wait, such as fetches. If a task does not stop when it is
   * interrupted, the other tasks of its worker have one more `gracePeriod` to end before the worker is killed. @default 1
   */
  readonly concurrency?: number | undefined;
  /**
   * Number of tasks that are sent to a worker before it can run them, so that it never waits for the next one. Worthwhile for tasks of
   * less than a millisecond. Such a task still counts as waiting. If its worker dies before it begins, it runs elsewhere.
   *
   * A worker that shares memory with the pool (a thread, or a process where shared memory works) gives tasks back that it has not
   * begun, even while it computes: to a worker that has nothing to do, for a task of a larger priority, and when the caller gives up. After
   * a failure it begins no further one until the pool has seen the failure. At any other worker, a task that was sent ahead waits for those
   * before it.
   *
   * Only with `concurrency` 1. @default up to 8, only to workers that give tasks back, and only while the tasks before them take less than
   * half a millisecond together, as measured
   */
  readonly prefetch?: number | undefined;
  /** Maximal number of tasks that wait for a worker. @default unlimited */
  readonly queueCapacity?: number | undefined;
  /**
   * What a call does when `queueCapacity` tasks wait: `"wait"` for room, or `"refuse"` with the {@link PoolError} `QueueFull`. The tasks
   * of one `map` or stream always wait for room. @default "wait"
   */
  readonly whenFull?: "wait" | "refuse" | undefined;
  /** How long an interrupted task may take to stop before its worker is killed. @default 1 second */
  readonly gracePeriod?: Duration.DurationInput | undefined;
  /** Task that each worker runs before its first one: see {@link initializer}. If it fails, so does {@link make}. */
  readonly initializer?: Initializer | undefined;
  /** Number of tasks (a chunk counts as one) after which a worker is replaced by a fresh one. @default unlimited */
  readonly maxTasksPerChild?: number | undefined;
  /** Age at which a worker is replaced. It works on until its successor has started and its own tasks are done. @default unlimited */
  readonly maxAge?: Duration.DurationInput | undefined;
  /**
   * Memory of a worker, in bytes, above which it is replaced, as with `maxAge`: the resident memory of a process, the JavaScript heap of
   * a thread. It is looked at after a task, at most ten times a second. @default unlimited
   */
  readonly maxMemory?: number | undefined;
  /**
   * Keep one more worker ready, initialized and idle, to replace a worker that dies. It is started when all workers run and no
   * task waits. @default false
   */
  readonly spare?: boolean | undefined;
  /** Records which worker runs which task when. @default none */
  readonly timeline?: Timeline | undefined;
}

/**
 * A task that each worker of a pool runs before its first one; made by {@link initializer}.
 *
 * @since 0.1.0
 * @category models
 */
export interface Initializer {
  /** The task to run. */
  readonly task: Task.Any;
  /** Its arguments. */
  readonly args: ReadonlyArray<unknown>;
}

/**
 * Makes an initializer: a task with its arguments, which each worker of a pool runs before its first task. For services that tasks use,
 * prefer the `layer` of {@link Task.make}, which is also released. Python's `initializer` and `initargs`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const initializer = <Args extends ReadonlyArray<unknown>, A, E>(
  task: Task.Task<Args, A, E>,
  ...args: Args
): Initializer => ({ task, args });

/**
 * Options of one submission.
 *
 * @since 0.1.0
 * @category models
 */
export interface SubmitOptions<A, E> extends CallOptions<NoInfer<E> | PoolFailure> {
  /** Runs with the result, in a fiber of its own. A failure of it is logged, and affects nothing else. */
  readonly onSuccess?: ((value: A) => Effect.Effect<unknown, unknown>) | undefined;
  /** Runs with the failure, in a fiber of its own. A failure of it is logged, and affects nothing else. */
  readonly onFailure?: ((cause: Cause.Cause<E | PoolFailure>) => Effect.Effect<unknown, unknown>) | undefined;
}

/** Marks every submission. @since 0.1.0 @category type ids */
export const SubmissionTypeId: SubmissionTypeId = "~multiprocessing/Submission";
/** Type of the mark of every submission. @since 0.1.0 @category type ids */
export type SubmissionTypeId = "~multiprocessing/Submission";

/**
 * A submitted task. Python's `AsyncResult`, and `Future` of `concurrent.futures`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Submission<out A, out E> extends Waitable {
  /** Marks the value as a submission. */
  readonly [SubmissionTypeId]: SubmissionTypeId;
  /** Waits for the result. May be used any number of times. *Interruption:* stops the waiting, not the task. */
  readonly await: Effect.Effect<A, E>;
  /** Returns the Exit if the task has settled, without waiting. */
  readonly poll: Effect.Effect<Option.Option<Exit.Exit<A, E>>>;
  /** Takes the task back if it waits; stops it if it runs, and waits until it has stopped. The submission is then interrupted. */
  readonly cancel: Effect.Effect<void>;
}

/** Options of {@link wait}. @since 0.1.0 @category models */
export interface WaitOptions {
  /**
   * When {@link wait} returns: when all submissions have settled; when one has settled, in whatever way; or when one has failed, and at the
   * latest when all have settled. @default "allCompleted"
   */
  readonly returnWhen?: "allCompleted" | "firstCompleted" | "firstFailure" | undefined;
  /** The longest time to wait. With zero, `wait` only looks. @default unlimited */
  readonly timeout?: Duration.DurationInput | undefined;
}

/** What {@link wait} has found, each in the order in which it was given. @since 0.1.0 @category models */
export interface Waited<out S> {
  /** The submissions that have settled. */
  readonly done: ReadonlyArray<S>;
  /** The others. They go on. */
  readonly pending: ReadonlyArray<S>;
}

const futures = lazily(() => import("./internal/pool/futures.ts"));

/**
 * Waits for several submissions, also of different tasks and pools. It returns those that have settled, and those that have not, and takes
 * nothing from them. A submission that is given twice counts once. Python's `concurrent.futures.wait`.
 *
 * Fails with the {@link PoolError} `InvalidArgument` if an argument is of the wrong kind.
 *
 * *Interruption:* stops the waiting, not the tasks.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect } from "effect";
 *
 * const nap = Mp.Task.make(import.meta, "nap", (millis: number) => Effect.as(Effect.sleep(millis), millis));
 *
 * const program = Effect.gen(function* () {
 *   const pool = yield* Mp.Pool.make({ size: 2 });
 *   const naps = yield* Effect.forEach([5, 60_000], (millis) => pool.submit(nap, millis));
 *   const { done, pending } = yield* Mp.Pool.wait(naps, { returnWhen: "firstCompleted" });
 *   console.log(yield* done[0].await, pending.length);
 *   yield* pending[0].cancel;
 * }).pipe(Effect.scoped, Effect.provide(Mp.SubprocessBackend.layer()));
 *
 * if (import.meta.main) Mp.runMain(program); // 5 1
 * ```
 *
 * @since 0.1.0
 * @category waiting
 */
export const wait = <S extends Submission<unknown, unknown>>(
  submissions: Iterable<S>,
  options: WaitOptions = {},
): Effect.Effect<Waited<S>, PoolError> => futures((module) => module.wait(submissions, options));

/**
 * The submissions in the order in which they settle; those that have settled before come first, in their own order. A submission that is
 * given twice comes once. Python's `concurrent.futures.as_completed`.
 *
 * Fails with the {@link PoolError} `InvalidArgument` if a value is no submission.
 *
 * *Interruption:* stops the waiting, not the tasks.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect, Stream } from "effect";
 *
 * const nap = Mp.Task.make(import.meta, "nap", (millis: number) => Effect.as(Effect.sleep(millis), millis));
 *
 * const program = Effect.gen(function* () {
 *   const pool = yield* Mp.Pool.make({ size: 2 });
 *   const naps = yield* Effect.forEach([1000, 5], (millis) => pool.submit(nap, millis));
 *   yield* Stream.runForEach(Mp.Pool.asCompleted(naps), (submission) =>
 *     Effect.map(submission.await, (millis) => console.log(millis)));
 * }).pipe(Effect.scoped, Effect.provide(Mp.SubprocessBackend.layer()));
 *
 * if (import.meta.main) Mp.runMain(program); // 5, 1000
 * ```
 *
 * @since 0.1.0
 * @category waiting
 */
export const asCompleted = <S extends Submission<unknown, unknown>>(
  submissions: Iterable<S>,
): Stream.Stream<S, PoolError> => late(futures((module) => Effect.sync(() => module.asCompleted(submissions))));

/** Marks every progress. @since 0.1.0 @category type ids */
export const ProgressTypeId: ProgressTypeId = "~multiprocessing/Progress";
/** Type of the mark of every progress. @since 0.1.0 @category type ids */
export type ProgressTypeId = "~multiprocessing/Progress";

/**
 * How far calls have come.
 *
 * @since 0.1.0
 * @category models
 */
export interface ProgressSnapshot {
  /** Number of items that succeeded. */
  readonly done: number;
  /** Number of items that failed. An attempt that is repeated does not count. */
  readonly failed: number;
  /** Number of items of all calls, if it is known: that of a Stream is not. */
  readonly total: Option.Option<number>;
  /** Time since the first call has begun. */
  readonly elapsed: Duration.Duration;
  /** Number of items that have settled, per second. */
  readonly rate: number;
  /** Time that the rest will take at this rate, if it is known. */
  readonly timeLeft: Option.Option<Duration.Duration>;
}

/**
 * The progress of one or several calls: made by {@link progress}, given to `map` and the other calls of many items as an option.
 *
 * @since 0.1.0
 * @category models
 */
export interface Progress {
  /** Marks the value as a progress. */
  readonly [ProgressTypeId]: ProgressTypeId;
  /** How far the calls have come. */
  readonly snapshot: Effect.Effect<ProgressSnapshot>;
  /**
   * The present state, and the state after each change. A slow reader gets the latest state and skips those before it. The stream ends when
   * all calls with this progress have ended.
   */
  readonly changes: Stream.Stream<ProgressSnapshot>;
}

/**
 * Makes a progress, to be given to calls.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect, Fiber, Stream } from "effect";
 *
 * const square = Mp.Task.make(import.meta, "square", (n: number) => n * n);
 *
 * const program = Effect.gen(function* () {
 *   const pool = yield* Mp.Pool.make({ size: 2 });
 *   const progress = yield* Mp.Pool.progress;
 *   const watching = yield* Effect.fork(Stream.runLast(progress.changes));
 *   yield* Effect.yieldNow();
 *   yield* pool.map(square, [1, 2, 3, 4], { progress });
 *   const last = yield* Effect.flatten(Fiber.join(watching));
 *   console.log(last.done, last.failed, last.total);
 * }).pipe(Effect.scoped, Effect.provide(Mp.SubprocessBackend.layer()));
 *
 * if (import.meta.main) Mp.runMain(program); // 4 0 { _id: "Option", _tag: "Some", value: 4 }
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const progress: Effect.Effect<Progress> = lazily(() => import("./internal/pool/progress.ts"))(({ make }) =>
  make
);

/** Options of {@link Pool.map}. @since 0.1.0 @category models */
export interface MapOptions<in E = unknown> extends CallOptions<E> {
  /**
   * Number of items that are sent to a worker together. Large chunks cost less to send; small chunks spread better over the workers.
   *
   * @default about a millisecond of work or a megabyte (up to ten while much remains), as measured during the call; for `reduce` and
   * `mapReduce` a size that gives each worker about four chunks; 1 for `mapSettled` and `mapUnordered` with a `timeout` or a `retry`
   */
  readonly chunkSize?: number | undefined;
  /** Counts the items of this call. */
  readonly progress?: Progress | undefined;
}

/** Options of {@link Pool.mapStream}. @since 0.1.0 @category models */
export interface MapStreamOptions<in E = unknown> extends CallOptions<E> {
  /** Emit each result when it is ready instead of in the order of the input. @default false */
  readonly unordered?: boolean | undefined;
  /**
   * Number of items that are sent to a worker together.
   *
   * @default about a millisecond of work or a megabyte, as measured; 1 with a `timeout` or a `retry`
   */
  readonly chunkSize?: number | undefined;
  /** Counts the items of this call. */
  readonly progress?: Progress | undefined;
  /** Maximal number of chunks that are waiting, running, done, or being handled by the reader. @default four times the size of the pool */
  readonly lookAhead?: number | undefined;
}

/**
 * A snapshot of a pool.
 *
 * @since 0.1.0
 * @category models
 */
export interface Statistics {
  /** Number of places for workers: of a pool that grows and shrinks, its size at the moment. */
  readonly size: number;
  /** Number of living workers. */
  readonly alive: number;
  /** Number of tasks that workers run. */
  readonly busy: number;
  /** Number of tasks that wait for a worker, or at a worker that has not begun them. */
  readonly waiting: number;
  /** Number of failed tasks that wait for the time of their next attempt. */
  readonly resting: number;
  /** Number of attempts that failed and were repeated. */
  readonly retried: number;
  /** Number of tasks that succeeded. A chunk counts as one. */
  readonly completed: number;
  /** Number of tasks that failed or were interrupted. */
  readonly failed: number;
  /** Number of workers that were replaced because they had died, or were killed because of a task that did not stop. */
  readonly replaced: number;
  /** Number of workers that were replaced because of `maxTasksPerChild`, `maxAge` or `maxMemory`. */
  readonly recycled: number;
  /** Number of spare workers that are ready: 0 or 1. */
  readonly spare: number;
}

/**
 * The distribution of durations, in milliseconds. Quantiles are exact to a tenth.
 *
 * @since 0.1.0
 * @category models
 */
export interface Durations {
  /** Number of durations. */
  readonly count: number;
  /** Their mean; 0 if there is none, as with all others. */
  readonly mean: number;
  /** The duration that half of them do not exceed. */
  readonly median: number;
  /** The duration that nine in ten do not exceed. */
  readonly p90: number;
  /** The duration that 99 in 100 do not exceed. */
  readonly p99: number;
  /** The longest one. */
  readonly max: number;
}

/** A task that took long. @since 0.1.0 @category models */
export interface SlowTask {
  /** Its name. A chunk of items counts as one task. */
  readonly task: string;
  /** Name of the worker that ran it. */
  readonly worker: string;
  /** How long it ran, in milliseconds. */
  readonly millis: number;
}

/** What a worker does. @since 0.1.0 @category models */
export interface WorkerInsight {
  /** Its name. */
  readonly name: string;
  /** Its process id; a thread has that of its program. */
  readonly pid: number;
  /** How long it took from its start until it could run tasks, in milliseconds. */
  readonly start: number;
  /** Number of tasks that it was given. A chunk counts as one. */
  readonly tasks: number;
  /** How long it had tasks, in milliseconds. */
  readonly busy: number;
  /** How long it had none, in milliseconds. */
  readonly idle: number;
  /**
   * Its memory in bytes after one of its last tasks, at most a second before the end of the last one: the resident memory of a process, the
   * JavaScript heap of a thread. Nothing if it has not answered yet.
   */
  readonly memory: Option.Option<number>;
}

/**
 * What a pool has observed since its start.
 *
 * @since 0.1.0
 * @category models
 */
export interface Insights {
  /** How long the arguments of tasks took to be encoded, apart from Schemas. */
  readonly encode: Durations;
  /** How long tasks have waited for a worker. */
  readonly queueWait: Durations;
  /** How long tasks have run, from their start to their answer, the transfer included. */
  readonly run: Durations;
  /** How long the workers have worked on tasks that succeeded, as they have reported it: {@link Insights.run} without the transfer. */
  readonly work: Durations;
  /** How long answers took to be decoded, apart from Schemas. */
  readonly decode: Durations;
  /** The slowest tasks, the slowest first; at most ten. */
  readonly slowest: ReadonlyArray<SlowTask>;
  /** The living workers. */
  readonly workers: ReadonlyArray<WorkerInsight>;
}

/** The failures of a call of a pool, apart from those of the task. @since 0.1.0 @category errors */
export type PoolFailure = CallError | PoolError | Poisoned;

/** The failures of {@link make}. @since 0.1.0 @category errors */
export type StartFailure = SpawnError | PoolError | EncodeError;

/**
 * A set of processes that run tasks. Python's `Pool`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Pool extends Pipeable {
  /** Marks the value as a pool. */
  readonly [TypeId]: TypeId;
  /** Number of workers that the pool keeps; the maximal one if it grows and shrinks. */
  readonly size: number;
  /** Runs a task in one worker. *Interruption:* stops the task, and waits until it has stopped. */
  readonly apply: <Args extends ReadonlyArray<unknown>, A, E>(
    task: Task.Task<Args, A, E>,
    ...args: Args
  ) => Effect.Effect<A, E | PoolFailure>;
  /** {@link Pool.apply} with options. */
  readonly applyWith: <Args extends ReadonlyArray<unknown>, A, E>(
    task: Task.Task<Args, A, E>,
    args: Args,
    options: ApplyOptions<NoInfer<E> | PoolFailure>,
  ) => Effect.Effect<A, E | PoolFailure>;
  /**
   * Runs a task once in each worker, and returns the results in the order of the workers. A worker that is being replaced runs it as soon
   * as it has started. Workers that a pool starts later, when it grows, do not run it. The first failure stops the rest.
   * *Interruption:* stops the running tasks, and waits until they have stopped.
   */
  readonly broadcast: <Args extends ReadonlyArray<unknown>, A, E>(
    task: Task.Task<Args, A, E>,
    ...args: Args
  ) => Effect.Effect<Array<A>, E | PoolFailure>;
  /**
   * Runs a task for each item, and returns the results in the order of the items. The first failure stops all other items. All items are
   * encoded when the call begins: one that cannot be sent fails the call before any has run, and a later change of an item is not sent.
   * Only binaries of 64 KiB or more are not copied, and must not change during the call.
   * *Interruption:* stops the running tasks, and waits until they have stopped.
   */
  readonly map: <I, A, E>(
    task: Task.Task<[I], A, E>,
    items: Iterable<I>,
    options?: MapOptions<NoInfer<E> | PoolFailure>,
  ) => Effect.Effect<Array<A>, E | PoolFailure>;
  /** {@link Pool.map} for tasks with several arguments: each item is a list of arguments. */
  readonly starmap: <Args extends ReadonlyArray<unknown>, A, E>(
    task: Task.Task<Args, A, E>,
    items: Iterable<Readonly<Args>>,
    options?: MapOptions<NoInfer<E> | PoolFailure>,
  ) => Effect.Effect<Array<A>, E | PoolFailure>;
  /**
   * {@link Pool.map} that goes on after a failure, and returns the Exit of each item. Fails only if the call itself is invalid, or an item
   * cannot be sent. A failure of an item is its own. A worker that dies fails all items of its chunk, after which items are sent one by one.
   * *Interruption:* stops the running tasks, and waits until they have stopped.
   */
  readonly mapSettled: <I, A, E>(
    task: Task.Task<[I], A, E>,
    items: Iterable<I>,
    options?: MapOptions<NoInfer<E> | PoolFailure>,
  ) => Effect.Effect<Array<Exit.Exit<A, E | PoolFailure>>, PoolError | EncodeError>;
  /**
   * Combines the items to one, from left to right: the workers combine the items of their chunks, then their results. The task must be
   * associative; it need not be commutative. Returns nothing if there are no items. The first failure stops the rest.
   * *Interruption:* stops the running tasks, and waits until they have stopped.
   */
  readonly reduce: <A, E>(
    task: Task.Task<[A, A], A, E>,
    items: Iterable<A>,
    options?: MapOptions<NoInfer<E> | PoolFailure>,
  ) => Effect.Effect<Option.Option<A>, E | PoolFailure>;
  /**
   * {@link Pool.map} and {@link Pool.reduce} in one: each worker runs `map` for the items of its chunks and combines their results by
   * `reduce`, so that only one result of each chunk is sent back; then these are combined. `reduce` must be associative. If one of the
   * tasks has Schemas, or only one is marked as `idempotent`, all results of `map` are sent back first. Returns nothing if there are no
   * items. The first failure of either task stops the rest.
   * *Interruption:* stops the running tasks, and waits until they have stopped.
   */
  readonly mapReduce: <I, B, E, E2>(
    map: Task.Task<[I], B, E>,
    reduce: Task.Task<[B, B], B, E2>,
    items: Iterable<I>,
    options?: MapOptions<NoInfer<E> | NoInfer<E2> | PoolFailure>,
  ) => Effect.Effect<Option.Option<B>, E | E2 | PoolFailure>;
  /**
   * Runs a task for each element of a Stream, at most `lookAhead` ahead of the reader of the results. The first failure stops all
   * other elements. *Interruption:* stops the running tasks, and waits until they have stopped.
   */
  readonly mapStream: <I, A, E>(
    task: Task.Task<[I], A, E>,
    options?: MapStreamOptions<NoInfer<E> | PoolFailure>,
  ) => <E2, R>(stream: Stream.Stream<I, E2, R>) => Stream.Stream<A, E | E2 | PoolFailure, R>;
  /**
   * {@link Pool.mapStream} that goes on after a failure, and emits the Exit of each element. Fails only if the source fails, or the call
   * itself is invalid. *Interruption:* stops the running tasks, and waits until they have stopped.
   */
  readonly mapStreamSettled: <I, A, E>(
    task: Task.Task<[I], A, E>,
    options?: MapStreamOptions<NoInfer<E> | PoolFailure>,
  ) => <E2, R>(stream: Stream.Stream<I, E2, R>) => Stream.Stream<Exit.Exit<A, E | PoolFailure>, E2 | PoolError, R>;
  /**
   * Runs a task that is a Stream in one worker, which has no other task until the stream ends. *Interruption:* stopping early stops
   * the task, and waits until it has stopped.
   */
  readonly stream: <Args extends ReadonlyArray<unknown>, A, E>(
    task: Task.StreamTask<Args, A, E>,
    ...args: Args
  ) => Stream.Stream<A, E | PoolFailure>;
  /** {@link Pool.map} with a Stream of the results, each when it is ready. Python's `imap_unordered`. */
  readonly mapUnordered: <I, A, E>(
    task: Task.Task<[I], A, E>,
    items: Iterable<I>,
    options?: MapOptions<NoInfer<E> | PoolFailure>,
  ) => Stream.Stream<A, E | PoolFailure>;
  /**
   * Submits a task without waiting for its result. The submission belongs to the pool: if the scope of the pool closes with success,
   * it waits for the submission; otherwise the submission is stopped. Fails at once if the arguments cannot be sent, or the task is
   * no task. With `queueCapacity`, it waits for room in the queue, or fails with `QueueFull`. Python's `apply_async`.
   * *Interruption:* while it waits for room, nothing is submitted.
   */
  readonly submit: <Args extends ReadonlyArray<unknown>, A, E>(
    task: Task.Task<Args, A, E>,
    ...args: Args
  ) => Effect.Effect<Submission<A, E | PoolFailure>, EncodeError | PoolError>;
  /** {@link Pool.submit} with options. */
  readonly submitWith: <Args extends ReadonlyArray<unknown>, A, E>(
    task: Task.Task<Args, A, E>,
    args: Args,
    options: SubmitOptions<A, E>,
  ) => Effect.Effect<Submission<A, E | PoolFailure>, EncodeError | PoolError>;
  /**
   * Refuses new calls: they fail with the {@link PoolError} `Closed`. The pool finishes the calls that have begun, and a stream that is
   * being run gets all its items.
   */
  readonly close: Effect.Effect<void>;
  /**
   * Waits until the calls of a closed pool are done and its workers have ended. A stream is done when its reader has reached its end,
   * so a reader must not join the pool before that. Fails with the {@link PoolError} `Open` if the pool
   * was not closed. *Interruption:* stops the waiting.
   */
  readonly join: Effect.Effect<void, PoolError>;
  /** Stops all tasks, and waits until the workers have ended. Tasks that were not done fail with `Terminated`. */
  readonly terminate: Effect.Effect<void>;
  /** A consistent snapshot of the pool. */
  readonly statistics: Effect.Effect<Statistics>;
  /**
   * The statistics now, and again after each interval, until the pool has ended. Fails with the {@link PoolError} `InvalidArgument` if the
   * interval is no duration above zero.
   */
  readonly watch: (interval: Duration.DurationInput) => Stream.Stream<Statistics, PoolError>;
  /**
   * How long the tasks took to be encoded, to wait, to run and to be decoded, what each worker does, and which tasks were the slowest.
   * The metrics `multiprocessing_pool_queue_wait_millis` and `multiprocessing_pool_run_millis` have the times of all pools, and
   * `multiprocessing_pool_tasks_completed`, `_tasks_failed`, `_tasks_retried` and `multiprocessing_pool_workers_lost` their counts.
   */
  readonly insights: Effect.Effect<Insights>;
}

/**
 * Starts a pool and its workers, and returns when they can run tasks. A worker gets tasks only when it can run them, so no
 * task is lost to a worker that does not start.
 *
 * Fails with a `SpawnError` if a worker cannot be started, or ends before it could run anything; the message then has Deno's
 * output. Fails with a {@link PoolError} if the initializer fails or an option is invalid. Workers that were started are ended
 * then.
 *
 * *Interruption:* ends the workers that were started meanwhile.
 * *Release:* after success, waits for the submissions; otherwise stops them. Then ends the workers: their layers are released,
 * and running tasks are stopped by the kill policy.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect } from "effect";
 *
 * const cube = Mp.Task.make(import.meta, "cube", (n: number) => n ** 3);
 *
 * const program = Effect.gen(function* () {
 *   const pool = yield* Mp.Pool.make({ size: 2 });
 *   console.log(yield* pool.map(cube, [1, 2, 3]));
 * }).pipe(Effect.scoped, Effect.provide(Mp.SubprocessBackend.layer()));
 *
 * if (import.meta.main) Mp.runMain(program);
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<Pool, StartFailure, Backend | Scope.Scope> =>
  implementation(({ make }) =>
    Effect.withSpan(Effect.flatMap(Backend, (backend) => make(backend, options)), "Pool.make")
  );

/**
 * The type of the class that {@link Tag} gives: the tag of a pool.
 *
 * @since 0.1.0
 * @category layers
 */
export interface TagClass<Self, Id extends string> extends Context.TagClass<Self, Id, Pool> {}

/**
 * Makes the tag of a pool, for programs that have several pools, or that provide theirs as a service.
 *
 * Throws a `TypeError` if the name is no string or is empty.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Console, Effect, Layer } from "effect";
 *
 * class Thumbnails extends Mp.Pool.Tag("Thumbnails")<Thumbnails>() {}
 *
 * const half = Mp.Task.make(import.meta, "half", (size: number) => size / 2);
 *
 * const program = Effect.flatMap(Thumbnails, (pool) => pool.map(half, [640, 480]));
 *
 * const layer = Mp.Pool.layer(Thumbnails, { size: 2 }).pipe(Layer.provide(Mp.SubprocessBackend.layer()));
 *
 * if (import.meta.main) Mp.runMain(program.pipe(Effect.flatMap(Console.log), Effect.provide(layer))); // [ 320, 240 ]
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const Tag = <const Id extends string>(id: Id): <Self>() => TagClass<Self, Id> => {
  const wrong = Arguments.wrong({ id }, { id: Arguments.name });
  if (wrong !== undefined) throw new TypeError(Arguments.invalidArgument("Pool.Tag", wrong));
  return Context.Tag(id);
};

/**
 * A layer that starts a pool for a tag, such as {@link Tag} gives. Fails as {@link make} does.
 *
 * *Release:* as with {@link make}.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = <Self>(
  tag: Context.Tag<Self, Pool>,
  options: Options = {},
): Layer.Layer<Self, StartFailure, Backend> => Layer.scoped(tag, make(options));
