/**
 * A set of processes that run tasks.
 *
 * - A pool is a scoped resource. Its workers are started with it, and they have ended when its scope has closed.
 * - Each worker runs one task at a time; further tasks wait in the order in which they came. A waiting task costs one
 *   place in a list, so twenty thousand waiting tasks are fine.
 * - A worker that dies fails exactly the task that it ran, and is replaced. The {@link ProcessDied} says how the worker
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
 *   const submission = yield* pool.submit(area, 5, 6); // go on, and ask later
 *   console.log(yield* submission.await);
 *
 *   const halves = Stream.range(1, 1_000_000).pipe(pool.mapStream(half, { chunkSize: 100 }), Stream.take(3));
 *   console.log([...yield* Stream.runCollect(halves)]);
 *
 *   const died = yield* Effect.flip(pool.apply(crash));
 *   if (died._tag === "ProcessDied") console.log(died.status);
 *
 *   // A timeout frees the core, even of a task that never looks up.
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
 * - `lookAhead` bounds how many chunks of a Stream are waiting, running, done, or in the hands of the reader. The
 *   default is four times the size of the pool.
 * - The first failure of `map` stops the rest. Interruption stops the running tasks, and waits until they have stopped.
 * - `pool.close` refuses new calls. The pool finishes the calls that it has, and a stream that is being run gets all
 *   its items; `pool.join` waits for them.
 *
 * `deno test -A tests/faults/checker_test.ts` submits thousands of tasks while workers are killed, and counts that each
 * settles once.
 *
 * ## Submissions
 *
 * `pool.submit` hands a task to the pool without waiting for it. A submission settles exactly once, and belongs to its
 * pool: a scope that closes with success waits for it, a scope that closes otherwise stops it.
 *
 * - `await` waits for the result, any number of times. Interrupting it stops the waiting, not the task.
 * - `poll` gives the Exit if there is one, without waiting.
 * - `cancel` takes a waiting task back, or stops a running task, and waits until it has stopped.
 * - `onSuccess` and `onFailure` run in a fiber of their own. A failure of one of them is logged, and affects nothing
 *   else.
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
 *   yield* pool.close; // takes no more
 *   yield* pool.join; // until all is done and the workers have ended
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
 * | `timeout` | how long a task or chunk may run; then it is stopped and fails with `Timeout`. `submitWith` has one for a single task; `pool.stream` has none |
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
 * `Pool.make` returns when the workers can run tasks. A worker that cannot be started fails `Pool.make` with a
 * `SpawnError`, which says why. If workers cannot be started any more at a later time, or die again and again before
 * they have had any task, the pool gives up: tasks that wait, and all later calls, fail with the {@link PoolError}
 * `Broken`, whose message says why; its `cause` is the `SpawnError` of the last start, if there is one. No call waits
 * for a worker that will never come.
 *
 * | `reason` of a `PoolError` | when |
 * | --- | --- |
 * | `InvalidOption` | a size, chunk size, look-ahead or number of tasks is no positive integer, or another option is of the wrong kind |
 * | `InvalidArgument` | an argument is of the wrong kind: a plain function instead of a task, items that are not iterable |
 * | `InitializerFailed` | a worker could not be initialized; `cause` is the failure |
 * | `Closed` | the pool takes no more tasks: it was closed, or its scope was |
 * | `Open` | the pool cannot be joined, since it was neither closed nor terminated |
 * | `Terminated` | the task was not done when the pool was terminated |
 * | `Timeout` | the task ran for longer than its `timeout` |
 * | `Broken` | workers cannot be started any more, or die again and again before they have had any task |
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
import * as Cause from "effect/Cause";
import * as Chunk from "effect/Chunk";
import * as Duration from "effect/Duration";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import type * as Option from "effect/Option";
import type * as Scope from "effect/Scope";
import * as Stream from "effect/Stream";
import { Backend, type CallError, type EncodeError, type KillPolicy, type SpawnError } from "./Backend.ts";
import * as Call from "./internal/child/call.ts";
import { isLibrary } from "./internal/child/modules.ts";
import { CALL, MAP, STARMAP } from "./internal/child/request.ts";
import { within } from "./internal/child/stop.ts";
import { isInitializer, killPolicy } from "./internal/child/options.ts";
import * as Arguments from "./internal/os/arguments.ts";
import { positiveDuration } from "./internal/os/durations.ts";
import { assemble, type Crew } from "./internal/pool/workers.ts";
import { PoolError } from "./internal/pool/error.ts";
import { flow } from "./internal/pool/map_stream.ts";
import * as Jobs from "./internal/pool/jobs.ts";
import * as Task from "./Task.ts";

/** Marks every pool. @since 0.1.0 @category type ids */
export const TypeId: TypeId = "~multiprocessing/Pool";
/** Type of the mark of every pool. @since 0.1.0 @category type ids */
export type TypeId = "~multiprocessing/Pool";

export { PoolError } from "./internal/pool/error.ts";

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
  /** What each worker runs before its first task: see {@link initializer}. If it fails, so does the pool's acquisition. */
  readonly initializer?: Initializer | undefined;
  /** Tasks (chunks count as one) after which a worker is replaced by a fresh one. @default unlimited */
  readonly maxTasksPerChild?: number | undefined;
  /**
   * How long a task (or chunk) may run, from its start, before it is stopped as if it were interrupted, and fails with the
   * {@link PoolError} `Timeout`. Not for `Pool.stream`, which runs at the pace of its reader. @default unlimited
   */
  readonly timeout?: Duration.DurationInput | undefined;
}

/**
 * A task that each worker of a pool runs before its first one; made by {@link initializer}.
 *
 * @since 0.1.0
 * @category models
 */
export interface Initializer {
  /** What to run. */
  readonly task: Task.Any;
  /** With which arguments. */
  readonly args: ReadonlyArray<unknown>;
}

/**
 * Names the task that each worker of a pool runs before its first one, with its arguments. For services that tasks use,
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
export interface SubmitOptions<A, E> {
  /** How long it may run, from its start. @default that of the pool */
  readonly timeout?: Duration.DurationInput | undefined;
  /** Run with the result, in a fiber of its own. If it fails that is logged, and concerns nobody else. */
  readonly onSuccess?: ((value: A) => Effect.Effect<unknown, unknown>) | undefined;
  /** Run with the failure, in a fiber of its own. If it fails that is logged, and concerns nobody else. */
  readonly onFailure?: ((cause: Cause.Cause<E | Failure>) => Effect.Effect<unknown, unknown>) | undefined;
}

/**
 * A task that was submitted. Python's `AsyncResult`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Submission<out A, out E> {
  /** Waits for the result. May be used any number of times. *Interruption:* stops the waiting, not the task. */
  readonly await: Effect.Effect<A, E>;
  /** The exit if it has one, without waiting. */
  readonly poll: Effect.Effect<Option.Option<Exit.Exit<A, E>>>;
  /** Takes the task back if it waits, stops it if it runs, and waits until it has stopped. It is then interrupted. */
  readonly cancel: Effect.Effect<void>;
}

/** Options of {@link Pool.map}. @since 0.1.0 @category models */
export interface MapOptions {
  /**
   * Items that are sent to a worker together. More of them cost less to send; fewer spread better over the workers.
   *
   * @default so that each worker gets about four chunks; 1 for `mapUnordered`
   */
  readonly chunkSize?: number | undefined;
}

/** Options of {@link Pool.mapStream}. @since 0.1.0 @category models */
export interface MapStreamOptions {
  /** Emit results as they come instead of in the order of the input. @default false */
  readonly unordered?: boolean | undefined;
  /** Items that are sent to a worker together. @default 1 */
  readonly chunkSize?: number | undefined;
  /** Chunks that may be waiting, running, done, or in the hands of the reader. @default four times the size of the pool */
  readonly lookAhead?: number | undefined;
}

/**
 * What a pool is doing.
 *
 * @since 0.1.0
 * @category models
 */
export interface Statistics {
  /** Workers that it is to have. */
  readonly size: number;
  /** Workers that live. */
  readonly alive: number;
  /** Workers that run a task. */
  readonly busy: number;
  /** Tasks that wait for a worker. */
  readonly waiting: number;
  /** Tasks that succeeded. A chunk counts as one. */
  readonly completed: number;
  /** Tasks that did not. */
  readonly failed: number;
  /** Workers that died, or were killed for a task that did not stop, and were replaced. */
  readonly replaced: number;
  /** Workers that were replaced after `maxTasksPerChild`. */
  readonly recycled: number;
}

/** Why a call of a pool failed, other than by the task's own failures. @since 0.1.0 @category errors */
export type Failure = CallError | PoolError;

/**
 * A set of processes that run tasks. Python's `Pool`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Pool {
  /** Marks it as a pool. */
  readonly [TypeId]: TypeId;
  /** Workers that it is to have. */
  readonly size: number;
  /** Runs a task in one worker. *Interruption:* stops the task, and waits until it has stopped. */
  readonly apply: <Args extends ReadonlyArray<unknown>, A, E>(
    task: Task.Task<Args, A, E>,
    ...args: Args
  ) => Effect.Effect<A, E | Failure>;
  /**
   * Runs a task for each item, and gives the results in the order of the items. The first failure stops the rest.
   * *Interruption:* stops what runs, and waits until it has stopped.
   */
  readonly map: <I, A, E>(
    task: Task.Task<[I], A, E>,
    items: Iterable<I>,
    options?: MapOptions,
  ) => Effect.Effect<Array<A>, E | Failure>;
  /** {@link Pool.map} for tasks of several arguments: each item is a list of them. */
  readonly starmap: <Args extends ReadonlyArray<unknown>, A, E>(
    task: Task.Task<Args, A, E>,
    items: Iterable<Args>,
    options?: MapOptions,
  ) => Effect.Effect<Array<A>, E | Failure>;
  /**
   * Runs a task for each element of a Stream, no more than `lookAhead` ahead of the reader of the results. The first failure
   * stops the rest. *Interruption:* stops what runs, and waits until it has stopped.
   */
  readonly mapStream: <I, A, E>(
    task: Task.Task<[I], A, E>,
    options?: MapStreamOptions,
  ) => <E2, R>(stream: Stream.Stream<I, E2, R>) => Stream.Stream<A, E | E2 | Failure, R>;
  /**
   * Runs a task that is a Stream in one worker, which is the reader's until the stream ends. *Interruption:* stopping early
   * stops the task, and waits until it has stopped.
   */
  readonly stream: <Args extends ReadonlyArray<unknown>, A, E>(
    task: Task.StreamTask<Args, A, E>,
    ...args: Args
  ) => Stream.Stream<A, E | Failure>;
  /** {@link Pool.map}, giving the results as a Stream, as they come. Python's `imap_unordered`. */
  readonly mapUnordered: <I, A, E>(
    task: Task.Task<[I], A, E>,
    items: Iterable<I>,
    options?: MapOptions,
  ) => Stream.Stream<A, E | Failure>;
  /**
   * Hands in a task and goes on. It belongs to the pool: a scope that closes with success waits for it, one that closes
   * otherwise stops it. Fails at once if the arguments cannot be sent, or the task is none. Python's `apply_async`.
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
   * Takes no more calls: they fail with the {@link PoolError} `Closed`. The pool finishes those that it has; a stream that is being
   * run gets all its items.
   */
  readonly close: Effect.Effect<void>;
  /**
   * Waits until the calls of a closed pool are done and its workers have ended. A stream is done when its reader has read it, so a
   * reader that joins the pool before the end of its own stream waits for itself. Fails with the {@link PoolError} `Open` if the pool
   * was not closed. *Interruption:* stops the waiting.
   */
  readonly join: Effect.Effect<void, PoolError>;
  /** Stops everything, and waits until the workers have ended. Tasks that were not done fail with `Terminated`. */
  readonly terminate: Effect.Effect<void>;
  /** What it is doing. */
  readonly statistics: Effect.Effect<Statistics>;
}

/** Open calls, and waiters for the end of the last one. */
class Calls {
  #open = 0;
  #abandoned = false;
  #waiting: Array<() => void> = [];

  begin(): void {
    this.#open++;
  }

  end(): void {
    this.#open--;
    this.#tell();
  }

  /** They are being stopped: they are over when their callers see it. */
  abandon(): void {
    this.#abandoned = true;
    this.#tell();
  }

  /** Waits until none is under way. */
  readonly over: Effect.Effect<void> = Effect.async((resume) => {
    this.#waiting.push(() => resume(Effect.void));
    this.#tell();
  });

  #tell(): void {
    if (this.#open === 0 || this.#abandoned) { for (const done of this.#waiting.splice(0)) done(); }
  }
}

let pools = 0;

const invalidOption = (complaint: string): PoolError =>
  new PoolError({ reason: "InvalidOption", message: Arguments.invalidOption("pool", complaint) });

const invalidArgument = (method: string, complaint: string): PoolError =>
  new PoolError({ reason: "InvalidArgument", message: Arguments.invalidArgument(`pool.${method}`, complaint) });

const { boolean, func, iterable, list, optional, positive, positiveOrInfinite } = Arguments;

const optionChecks: Arguments.Checks = {
  ...killPolicy,
  size: optional(positive),
  maxTasksPerChild: optional(positiveOrInfinite),
  initializer: optional(isInitializer),
  timeout: optional(positiveDuration),
};

const mapChecks: Arguments.Checks = { chunkSize: optional(positive) };

const mapStreamChecks: Arguments.Checks = { ...mapChecks, unordered: optional(boolean), lookAhead: optional(positive) };

const submitChecks: Arguments.Checks = {
  timeout: optional(positiveDuration),
  onSuccess: optional(func),
  onFailure: optional(func),
};

const argumentLists = Arguments.arrayOf(list, "arrays of arguments");

const wrongPart = (method: string, values: object, checks: Arguments.Checks): PoolError | undefined => {
  const wrong = Arguments.wrong(values, checks);
  return wrong === undefined ? undefined : invalidArgument(method, wrong);
};

const wrongOption = (options: unknown, checks: Arguments.Checks): PoolError | undefined => {
  const wrong = Arguments.wrongOptions(options, checks);
  return wrong === undefined ? undefined : invalidOption(wrong);
};

const wrongCall = (method: string, task: unknown): PoolError | undefined => {
  const wrong = Arguments.task(task);
  return wrong === undefined ? undefined : invalidArgument(method, `the task ${wrong}`);
};

const wrongMap = (method: string, task: unknown, items: unknown, options: unknown): PoolError | undefined =>
  wrongCall(method, task) ?? wrongPart(method, { items }, { items: iterable }) ?? wrongOption(options, mapChecks);

const closed = (): PoolError =>
  new PoolError({ reason: "Closed", message: "Cannot run the task: the pool takes no more, it was closed" });

const terminated = (): PoolError =>
  new PoolError({ reason: "Terminated", message: "Cannot finish the task: the pool was terminated" });

/** A Stream that reads no further ahead than that. */
const gently = (items: Iterable<unknown>, ahead: number): Stream.Stream<unknown> =>
  Stream.suspend(() => Stream.fromIteratorSucceed(Iterator.from(items), ahead));

/** URLs of the user's modules that have defined tasks by now. */
const modules = (): ReadonlyArray<string> => Task.modules().filter((url) => !isLibrary(url));

/**
 * Starts a pool and its workers, and returns when they can run tasks. A worker is given tasks only when it can
 * run them, so none is lost to a worker that does not come up.
 *
 * Fails with a `SpawnError` if a worker cannot be started or ends before it could run anything, with what Deno said, and with
 * a {@link PoolError} if its initializer fails (those that were started are ended), or if an option makes no sense.
 *
 * *Interruption:* ends the workers that were started meanwhile.
 * *Release:* with success, waits for what was submitted; otherwise stops it. Then ends the workers: their layers are
 * released, what still runs is stopped by the kill policy.
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
export const make = (
  options: Options = {},
): Effect.Effect<Pool, SpawnError | PoolError | EncodeError, Backend | Scope.Scope> =>
  Effect.gen(function* () {
    const backend = yield* Backend;
    const wrong = Arguments.wrongOptions(options, optionChecks);
    if (wrong !== undefined) return yield* Effect.fail(invalidOption(wrong));
    const { size = navigator.hardwareConcurrency, maxTasksPerChild = Infinity } = options;
    const { gracePeriod = "1 second", forceKillAfter } = options;
    const limit = options.timeout === undefined ? undefined : Duration.toMillis(options.timeout);
    const initialize = options.initializer &&
      (yield* Call.prepare(options.initializer.task, CALL, options.initializer.args));
    let state: "open" | "closed" | "terminated" = "open";
    const calls = new Calls();

    const abort = ({ dispatcher, end, submissions }: Crew): Effect.Effect<void> =>
      Effect.uninterruptible(Effect.suspend(() => {
        if (state !== "terminated") dispatcher.terminate(Cause.fail(terminated()));
        state = "terminated";
        calls.abandon();
        // Finalizers of what runs may still need the link. Each job has a deadline; the limit is for leases, which have none.
        const stopped = within(Jobs.drained(dispatcher), gracePeriod);
        return Effect.all([stopped, end, submissions.settled, submissions.silence], { discard: true });
      }));
    /** Waits for what was submitted; for what others wait for themselves, they do. */
    const drain = ({ submissions }: Crew): Effect.Effect<void> =>
      Effect.zipRight(submissions.settled, submissions.told);

    const release = (crew: Crew, exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> =>
      Effect.suspend(() => {
        if (state === "open") state = "closed";
        if (Exit.isFailure(exit) || state === "terminated") return abort(crew);
        // Interruptible, so that waiting for what was submitted can be given up.
        return Effect.zipRight(Effect.onInterrupt(Effect.interruptible(drain(crew)), () => abort(crew)), abort(crew));
      });

    const crew = yield* assemble(backend, {
      size,
      prefix: `PoolWorker-${++pools}`,
      policy: { gracePeriod, forceKillAfter },
      maxJobs: maxTasksPerChild,
      initializer: initialize,
      modules,
    }, release);
    const { counts, dispatcher, submissions } = crew;

    /** Begins a call, which may then take its time to hand in its jobs. */
    const enter = Effect.suspend(() => {
      if (state !== "open") return Effect.fail(closed());
      calls.begin();
      return Effect.void;
    });
    const leave = Effect.sync(() => calls.end());

    const during = (effect: Effect.Effect<unknown, unknown>): Effect.Effect<unknown, unknown> =>
      Effect.acquireUseRelease(enter, () => effect, () => leave);

    const throughout = (stream: Effect.Effect<Stream.Stream<unknown, unknown>, unknown, Scope.Scope>) =>
      Stream.unwrapScoped(Effect.zipRight(Effect.acquireRelease(enter, () => leave), stream));

    const run = (task: Task.Any, args: ReadonlyArray<unknown>): Effect.Effect<unknown, unknown> =>
      during(Effect.flatMap(Call.prepare(task, CALL, args), (prepared) => Jobs.run(dispatcher, prepared, limit)));

    const runMany = (
      task: Task.Any,
      mode: typeof MAP | typeof STARMAP,
      items: Iterable<unknown>,
      options: MapOptions,
    ): Effect.Effect<unknown, unknown> =>
      during(Effect.suspend((): Effect.Effect<unknown, unknown> => {
        const list = Array.isArray(items) ? items : [...items];
        const { chunkSize = Math.max(1, Math.ceil(list.length / (4 * size))) } = options;
        if (mode === STARMAP) {
          const wrong = argumentLists(list);
          if (wrong !== undefined) return Effect.fail(invalidArgument("starmap", `items ${wrong}`));
        }
        if (list.length === 0) return Effect.succeed([]);
        const chunks: Array<ReadonlyArray<unknown>> = [];
        for (let at = 0; at < list.length; at += chunkSize) chunks.push(list.slice(at, at + chunkSize));
        const results = new Array<unknown>(list.length);
        const keep = (value: unknown, index: number): void => {
          const part = value as ReadonlyArray<unknown>;
          for (let i = 0, at = index * chunkSize; i < part.length; i++, at++) results[at] = part[i];
        };
        // All chunks are encoded before any is sent: an item that cannot be fails the call before it has done anything.
        const prepared = Effect.forEach(chunks, (chunk, i) => Call.prepare(task, mode, chunk, i * chunkSize));
        return Effect.as(
          Effect.flatMap(prepared, (prepared) => Jobs.runAll(dispatcher, prepared, keep, limit)),
          results,
        );
      }));

    const mapStream = (task: Task.Any, options: MapStreamOptions) => (stream: Stream.Stream<unknown, unknown>) => {
      const { chunkSize = 1, lookAhead = 4 * size, unordered = false } = options;
      const shared = { dispatcher, lookAhead, unordered, timeout: limit };
      if (chunkSize === 1) {
        const prepare = (item: unknown) => Call.prepare(task, CALL, [item]);
        return throughout(Effect.succeed(flow({ ...shared, flatten: false, prepare })(stream)));
      }
      const prepare = (items: Chunk.Chunk<unknown>) => Call.prepare(task, MAP, Chunk.toReadonlyArray(items));
      const grouped = Stream.grouped(stream, chunkSize);
      return throughout(Effect.succeed(flow({ ...shared, flatten: true, prepare })(grouped)));
    };

    const stream = (task: Task.Any, args: ReadonlyArray<unknown>): Stream.Stream<unknown, unknown> =>
      throughout(Effect.gen(function* () {
        const prepared = yield* Call.prepare(task, CALL, args);
        const lease = yield* Jobs.lease(dispatcher);
        return Call.stream(lease.child, prepared, false, lease);
      }));

    const submitWith = (
      task: Task.Any,
      args: ReadonlyArray<unknown>,
      options: SubmitOptions<unknown, unknown>,
    ): Effect.Effect<Submission<unknown, unknown>, EncodeError | PoolError> =>
      Effect.map(Call.prepare(task, CALL, args), (prepared) => {
        const own = options.timeout === undefined ? limit : Duration.toMillis(options.timeout);
        return submissions.submit(prepared, own, options, state === "open" ? undefined : Exit.fail(closed()));
      });

    const close = Effect.sync(() => {
      if (state === "open") state = "closed";
    });

    const join = Effect.suspend((): Effect.Effect<void, PoolError> => {
      if (state !== "open") {
        return Effect.all([calls.over, Jobs.drained(dispatcher), drain(crew), crew.end], { discard: true });
      }
      return Effect.fail(
        new PoolError({
          reason: "Open",
          message: "Cannot join the pool: it still takes tasks; close or terminate it first",
        }),
      );
    });

    const statistics: Effect.Effect<Statistics> = Effect.sync(() => ({
      size,
      alive: counts.alive,
      busy: dispatcher.busy,
      waiting: dispatcher.waiting,
      completed: dispatcher.completed,
      failed: dispatcher.failed,
      replaced: counts.replaced,
      recycled: counts.recycled,
    }));

    /** A span for a call inside a span of the caller's: who traces nothing does not pay for it. */
    const traced =
      (name: string, task: Task.Any) => (effect: Effect.Effect<unknown, unknown>): Effect.Effect<unknown, unknown> =>
        Effect.withFiberRuntime((fiber) =>
          fiber.currentSpan === undefined ? effect : Effect.withSpan(effect, `Pool.${name}`, {
            attributes: { "task.name": task.name, "task.url": task.url },
          })
        );

    type Run = Effect.Effect<unknown, unknown>;
    type Runs = Stream.Stream<unknown, unknown>;

    const pool = {
      [TypeId]: TypeId,
      size,
      apply: (task: Task.Any, ...args: ReadonlyArray<unknown>): Run => {
        const wrong = wrongCall("apply", task);
        return wrong === undefined ? traced("apply", task)(run(task, args)) : Effect.fail(wrong);
      },
      map: (task: Task.Any, items: Iterable<unknown>, options: MapOptions = {}): Run => {
        const wrong = wrongMap("map", task, items, options);
        return wrong === undefined ? traced("map", task)(runMany(task, MAP, items, options)) : Effect.fail(wrong);
      },
      starmap: (task: Task.Any, items: Iterable<unknown>, options: MapOptions = {}): Run => {
        const wrong = wrongMap("starmap", task, items, options);
        return wrong === undefined
          ? traced("starmap", task)(runMany(task, STARMAP, items, options))
          : Effect.fail(wrong);
      },
      mapStream: (task: Task.Any, options: MapStreamOptions = {}) => (source: Runs): Runs => {
        const wrong = wrongCall("mapStream", task) ?? wrongOption(options, mapStreamChecks) ??
          wrongPart("mapStream", { stream: source }, { stream: Arguments.stream });
        return wrong === undefined ? mapStream(task, options)(source) : Stream.fail(wrong);
      },
      mapUnordered: (task: Task.Any, items: Iterable<unknown>, options: MapOptions = {}): Runs => {
        const wrong = wrongMap("mapUnordered", task, items, options);
        if (wrong !== undefined) return Stream.fail(wrong);
        return mapStream(task, { ...options, unordered: true })(gently(items, 4 * size * (options.chunkSize ?? 1)));
      },
      stream: (task: Task.Any, ...args: ReadonlyArray<unknown>): Runs => {
        const wrong = wrongCall("stream", task);
        return wrong === undefined ? stream(task, args) : Stream.fail(wrong);
      },
      submit: (task: Task.Any, ...args: ReadonlyArray<unknown>): Run => {
        const wrong = wrongCall("submit", task);
        return wrong === undefined ? submitWith(task, args, {}) : Effect.fail(wrong);
      },
      submitWith: (task: Task.Any, args: ReadonlyArray<unknown>, options: SubmitOptions<unknown, unknown>): Run => {
        const wrong = wrongCall("submitWith", task) ?? wrongPart("submitWith", { args }, { args: list }) ??
          wrongOption(options, submitChecks);
        return wrong === undefined ? submitWith(task, args, options) : Effect.fail(wrong);
      },
      close,
      join,
      terminate: abort(crew),
      statistics,
    };
    // The types of a task are those of its handler: nothing at run time could prove it.
    return pool as unknown as Pool;
  }).pipe(Effect.withSpan("Pool.make"));
