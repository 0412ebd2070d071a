/**
 * A set of processes that run tasks.
 *
 * - A pool is a scoped resource. Its workers are started with it, and they have ended when its scope has closed.
 * - Each worker runs one task at a time; further tasks wait in the order of their submission. A waiting task costs one
 *   place in a list, so twenty thousand waiting tasks are fine.
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
 * - `chunkSize` is the number of items that are sent to a worker together. `map` and `starmap` make about four chunks
 *   for each worker, `mapStream` and `mapUnordered` chunks of one item. Small tasks want larger chunks.
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
 * ## Workers of a pool
 *
 * | option | effect |
 * | --- | --- |
 * | `size` | number of workers, all started with the pool; the default is `Process.cpuCount`, the cores that this program may use |
 * | `initializer` | a task that each worker runs before its first one; if it fails, `Pool.make` fails with `InitializerFailed` |
 * | `maxTasksPerChild` | number of tasks (a chunk counts as one) after which a worker is replaced by a fresh one |
 * | `spare` | keep one more worker ready, which replaces a worker that dies within milliseconds. It costs the memory of an idle worker, and starts when all workers run and no task waits |
 * | `timeout` | how long a task or chunk may run; then it is stopped and fails with `Timeout`. `applyWith` and `submitWith` have one for a single task; `pool.stream` has none |
 * | `gracePeriod` | how long a task may take to stop before its worker is killed; 1 second |
 * | `forceKillAfter` | how long after SIGTERM SIGKILL follows; 500 milliseconds |
 *
 * For services that tasks use, prefer the `layer` of a task to an initializer: a layer is released as well.
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
 * | `reason` of a `PoolError` | when |
 * | --- | --- |
 * | `InvalidOption` | a size, chunk size, look-ahead or number of tasks is not a positive integer, or another option is of the wrong kind |
 * | `InvalidArgument` | an argument is of the wrong kind: a plain function instead of a task, items that are not iterable |
 * | `InitializerFailed` | a worker could not be initialized; `cause` is the failure |
 * | `Closed` | the pool takes no more tasks, because it or its scope was closed |
 * | `Open` | the pool cannot be joined, because it was neither closed nor terminated |
 * | `Terminated` | the task was not done when the pool was terminated |
 * | `Timeout` | the task ran for longer than its `timeout` |
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
import type * as Scope from "effect/Scope";
import type * as Stream from "effect/Stream";
import { Backend, type CallError, type EncodeError, type KillPolicy, type SpawnError } from "./Backend.ts";
import type { PoolError } from "./internal/pool/errors.ts";
import * as Arguments from "./internal/os/arguments.ts";
import { lazily } from "./internal/os/lazy.ts";
import type * as Task from "./Task.ts";

const implementation = lazily(() => import("./internal/pool/pool.ts"));

/** Marks every pool. @since 0.1.0 @category type ids */
export const TypeId: TypeId = "~multiprocessing/Pool";
/** Type of the mark of every pool. @since 0.1.0 @category type ids */
export type TypeId = "~multiprocessing/Pool";

export { PoolError } from "./internal/pool/errors.ts";

/**
 * Options of a pool.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends KillPolicy {
  /** Number of workers. @default the number of logical cores */
  readonly size?: number | undefined;
  /** How long an interrupted task may take to stop before its worker is killed. @default 1 second */
  readonly gracePeriod?: Duration.DurationInput | undefined;
  /** Task that each worker runs before its first one: see {@link initializer}. If it fails, so does {@link make}. */
  readonly initializer?: Initializer | undefined;
  /** Number of tasks (a chunk counts as one) after which a worker is replaced by a fresh one. @default unlimited */
  readonly maxTasksPerChild?: number | undefined;
  /**
   * How long a task (or chunk) may run, from its start, before it is stopped as if it were interrupted, and fails with the
   * {@link PoolError} `Timeout`. Not for `Pool.stream`, which runs at the pace of its reader. @default unlimited
   */
  readonly timeout?: Duration.DurationInput | undefined;
  /**
   * Keep one more worker ready, initialized and idle, to replace a worker that dies. It is started when all workers run and no
   * task waits. @default false
   */
  readonly spare?: boolean | undefined;
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

/** Options of {@link Pool.applyWith}. @since 0.1.0 @category models */
export interface ApplyOptions {
  /** How long the task may run, from its start. @default the timeout of the pool */
  readonly timeout?: Duration.DurationInput | undefined;
}

/**
 * Options of one submission.
 *
 * @since 0.1.0
 * @category models
 */
export interface SubmitOptions<A, E> extends ApplyOptions {
  /** Runs with the result, in a fiber of its own. A failure of it is logged, and affects nothing else. */
  readonly onSuccess?: ((value: A) => Effect.Effect<unknown, unknown>) | undefined;
  /** Runs with the failure, in a fiber of its own. A failure of it is logged, and affects nothing else. */
  readonly onFailure?: ((cause: Cause.Cause<E | Failure>) => Effect.Effect<unknown, unknown>) | undefined;
}

/**
 * A submitted task. Python's `AsyncResult`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Submission<out A, out E> {
  /** Waits for the result. May be used any number of times. *Interruption:* stops the waiting, not the task. */
  readonly await: Effect.Effect<A, E>;
  /** Returns the Exit if the task has settled, without waiting. */
  readonly poll: Effect.Effect<Option.Option<Exit.Exit<A, E>>>;
  /** Takes the task back if it waits; stops it if it runs, and waits until it has stopped. The submission is then interrupted. */
  readonly cancel: Effect.Effect<void>;
}

/** Options of {@link Pool.map}. @since 0.1.0 @category models */
export interface MapOptions {
  /**
   * Number of items that are sent to a worker together. Large chunks cost less to send; small chunks spread better over the workers.
   *
   * @default a size that gives each worker about four chunks; 1 for `mapUnordered`
   */
  readonly chunkSize?: number | undefined;
}

/** Options of {@link Pool.mapStream}. @since 0.1.0 @category models */
export interface MapStreamOptions {
  /** Emit each result when it is ready instead of in the order of the input. @default false */
  readonly unordered?: boolean | undefined;
  /** Number of items that are sent to a worker together. @default 1 */
  readonly chunkSize?: number | undefined;
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
  /** Number of workers that the pool keeps. */
  readonly size: number;
  /** Number of living workers. */
  readonly alive: number;
  /** Number of workers that run a task. */
  readonly busy: number;
  /** Number of tasks that wait for a worker. */
  readonly waiting: number;
  /** Number of tasks that succeeded. A chunk counts as one. */
  readonly completed: number;
  /** Number of tasks that failed or were interrupted. */
  readonly failed: number;
  /** Number of workers that were replaced because they had died, or were killed because of a task that did not stop. */
  readonly replaced: number;
  /** Number of workers that were replaced after `maxTasksPerChild`. */
  readonly recycled: number;
  /** Number of spare workers that are ready: 0 or 1. */
  readonly spare: number;
}

/** The failures of a call of a pool, apart from those of the task. @since 0.1.0 @category errors */
export type Failure = CallError | PoolError;

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
  /** Number of workers that the pool keeps. */
  readonly size: number;
  /** Runs a task in one worker. *Interruption:* stops the task, and waits until it has stopped. */
  readonly apply: <Args extends ReadonlyArray<unknown>, A, E>(
    task: Task.Task<Args, A, E>,
    ...args: Args
  ) => Effect.Effect<A, E | Failure>;
  /** {@link Pool.apply} with options. */
  readonly applyWith: <Args extends ReadonlyArray<unknown>, A, E>(
    task: Task.Task<Args, A, E>,
    args: Args,
    options: ApplyOptions,
  ) => Effect.Effect<A, E | Failure>;
  /**
   * Runs a task for each item, and returns the results in the order of the items. The first failure stops all other items.
   * *Interruption:* stops the running tasks, and waits until they have stopped.
   */
  readonly map: <I, A, E>(
    task: Task.Task<[I], A, E>,
    items: Iterable<I>,
    options?: MapOptions,
  ) => Effect.Effect<Array<A>, E | Failure>;
  /** {@link Pool.map} for tasks with several arguments: each item is a list of arguments. */
  readonly starmap: <Args extends ReadonlyArray<unknown>, A, E>(
    task: Task.Task<Args, A, E>,
    items: Iterable<Args>,
    options?: MapOptions,
  ) => Effect.Effect<Array<A>, E | Failure>;
  /**
   * Runs a task for each element of a Stream, at most `lookAhead` ahead of the reader of the results. The first failure stops all
   * other elements. *Interruption:* stops the running tasks, and waits until they have stopped.
   */
  readonly mapStream: <I, A, E>(
    task: Task.Task<[I], A, E>,
    options?: MapStreamOptions,
  ) => <E2, R>(stream: Stream.Stream<I, E2, R>) => Stream.Stream<A, E | E2 | Failure, R>;
  /**
   * Runs a task that is a Stream in one worker, which has no other task until the stream ends. *Interruption:* stopping early stops
   * the task, and waits until it has stopped.
   */
  readonly stream: <Args extends ReadonlyArray<unknown>, A, E>(
    task: Task.StreamTask<Args, A, E>,
    ...args: Args
  ) => Stream.Stream<A, E | Failure>;
  /** {@link Pool.map} with a Stream of the results, each when it is ready. Python's `imap_unordered`. */
  readonly mapUnordered: <I, A, E>(
    task: Task.Task<[I], A, E>,
    items: Iterable<I>,
    options?: MapOptions,
  ) => Stream.Stream<A, E | Failure>;
  /**
   * Submits a task without waiting for its result. The submission belongs to the pool: if the scope of the pool closes with success,
   * it waits for the submission; otherwise the submission is stopped. Fails at once if the arguments cannot be sent, or the task is
   * no task. Python's `apply_async`.
   */
  readonly submit: <Args extends ReadonlyArray<unknown>, A, E>(
    task: Task.Task<Args, A, E>,
    ...args: Args
  ) => Effect.Effect<Submission<A, E | Failure>, EncodeError | PoolError>;
  /** {@link Pool.submit} with options. */
  readonly submitWith: <Args extends ReadonlyArray<unknown>, A, E>(
    task: Task.Task<Args, A, E>,
    args: Args,
    options: SubmitOptions<A, E>,
  ) => Effect.Effect<Submission<A, E | Failure>, EncodeError | PoolError>;
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
