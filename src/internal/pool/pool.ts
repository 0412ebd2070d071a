/**
 * The implementation of a pool: calls become jobs of the dispatcher, whose workers run them.
 *
 * @module
 */
import * as Cause from "effect/Cause";
import * as Chunk from "effect/Chunk";
import * as Duration from "effect/Duration";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import type { Pipeable } from "effect/Pipeable";
import type * as Scope from "effect/Scope";
import * as Stream from "effect/Stream";
import type { Backend, KillPolicy } from "../../Backend.ts";
import type * as Pool from "../../Pool.ts";
import type * as Task from "../../Task.ts";
import { modules as definingModules } from "../child/tasks.ts";
import * as Call from "../child/call.ts";
import { isLibrary } from "../child/modules.ts";
import { CALL, MAP, STARMAP } from "../child/request.ts";
import { within } from "../child/stop.ts";
import type { EncodeError } from "../codec/errors.ts";
import * as Checks from "./checks.ts";
import type { Dispatcher } from "./dispatcher.ts";
import { PoolError } from "./errors.ts";
import * as Jobs from "./jobs.ts";
import { mapStream } from "./map_stream.ts";
import { OpenCalls } from "./open_calls.ts";
import type { Submissions } from "./submissions.ts";
import { Workers } from "./workers.ts";
import { inspectable } from "../os/inspect.ts";

const TypeId: Pool.TypeId = "~multiprocessing/Pool";

/** How long an interrupted task may take by default. A process of its own has longer: its task is not in anybody's way. */
const GRACE_PERIOD: Duration.DurationInput = "1 second";

/** Number of pools that this process has made. */
let pools = 0;

/** URLs of the user's modules that have defined tasks by now. */
const modules = (): ReadonlyArray<string> => definingModules().filter((url) => !isLibrary(url));

const closed = (): PoolError =>
  new PoolError({ reason: "Closed", message: "Cannot run the task: the pool was closed and takes no more tasks" });

const terminated = (): PoolError =>
  new PoolError({ reason: "Terminated", message: "Cannot finish the task: the pool was terminated" });

const open = (): PoolError =>
  new PoolError({
    reason: "Open",
    message: "Cannot join the pool: it still takes tasks; close or terminate it first",
  });

/** Wraps `items` in a Stream with bounded read-ahead. */
const fromIterable = <I>(items: Iterable<I>, readAhead: number): Stream.Stream<I> =>
  Stream.suspend(() => Stream.fromIteratorSucceed(Iterator.from(items), readAhead));

/** Adds a span to a call that is made inside a span; a caller that does not trace pays nothing. */
const traced = (name: string, task: Task.Any) => <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  Effect.withFiberRuntime((fiber) =>
    fiber.currentSpan === undefined ? effect : Effect.withSpan(effect, `Pool.${name}`, {
      attributes: { "task.name": task.name, "task.url": task.url },
    })
  );

/** A pool whose workers run. */
class RunningPool implements Pool.Pool {
  declare readonly pipe: Pipeable["pipe"];
  readonly [TypeId]: Pool.TypeId = TypeId;
  readonly size: number;
  readonly #workers: Workers;
  readonly #dispatcher: Dispatcher;
  readonly #submissions: Submissions;
  readonly #gracePeriod: Duration.DurationInput;
  /** How long a job may run, in milliseconds. */
  readonly #timeout: number | undefined;
  readonly #calls = new OpenCalls();
  #state: "open" | "closed" | "terminated" = "open";

  constructor(workers: Workers, size: number, gracePeriod: Duration.DurationInput, timeout: number | undefined) {
    this.size = size;
    this.#workers = workers;
    this.#dispatcher = workers.dispatcher;
    this.#submissions = workers.submissions;
    this.#gracePeriod = gracePeriod;
    this.#timeout = timeout;
  }

  readonly apply = <Args extends ReadonlyArray<unknown>, A, E>(
    task: Task.Task<Args, A, E>,
    ...args: Args
  ): Effect.Effect<A, E | Pool.Failure> => {
    const wrong = Checks.wrongTask("apply", task);
    return wrong === undefined ? this.#apply<A, E>(task, args, this.#timeout) : Effect.fail(wrong);
  };

  readonly applyWith = <Args extends ReadonlyArray<unknown>, A, E>(
    task: Task.Task<Args, A, E>,
    args: Args,
    options: Pool.ApplyOptions,
  ): Effect.Effect<A, E | Pool.Failure> => {
    const wrong = Checks.wrongApply(task, args, options);
    return wrong === undefined ? this.#apply<A, E>(task, args, this.#limit(options)) : Effect.fail(wrong);
  };

  readonly map = <I, A, E>(
    task: Task.Task<[I], A, E>,
    items: Iterable<I>,
    options: Pool.MapOptions = {},
  ): Effect.Effect<Array<A>, E | Pool.Failure> => {
    const wrong = Checks.wrongMap("map", task, items, options);
    if (wrong !== undefined) return Effect.fail(wrong);
    return traced("map", task)(this.#map<A, E>(task, MAP, items, options));
  };

  readonly starmap = <Args extends ReadonlyArray<unknown>, A, E>(
    task: Task.Task<Args, A, E>,
    items: Iterable<Args>,
    options: Pool.MapOptions = {},
  ): Effect.Effect<Array<A>, E | Pool.Failure> => {
    const wrong = Checks.wrongMap("starmap", task, items, options);
    if (wrong !== undefined) return Effect.fail(wrong);
    return traced("starmap", task)(this.#map<A, E>(task, STARMAP, items, options));
  };

  readonly mapStream =
    <I, A, E>(task: Task.Task<[I], A, E>, options: Pool.MapStreamOptions = {}) =>
    <E2, R>(stream: Stream.Stream<I, E2, R>): Stream.Stream<A, E | E2 | Pool.Failure, R> => {
      const wrong = Checks.wrongMapStream(task, options, stream);
      if (wrong !== undefined) return Stream.fail(wrong);
      return this.#mapStream<A, E, E2, R>(task, options, stream);
    };

  readonly mapUnordered = <I, A, E>(
    task: Task.Task<[I], A, E>,
    items: Iterable<I>,
    options: Pool.MapOptions = {},
  ): Stream.Stream<A, E | Pool.Failure> => {
    const wrong = Checks.wrongMap("mapUnordered", task, items, options);
    if (wrong !== undefined) return Stream.fail(wrong);
    const stream = fromIterable(items, 4 * this.size * (options.chunkSize ?? 1));
    return this.#mapStream<A, E, never, never>(task, { ...options, unordered: true }, stream);
  };

  readonly stream = <Args extends ReadonlyArray<unknown>, A, E>(
    task: Task.StreamTask<Args, A, E>,
    ...args: Args
  ): Stream.Stream<A, E | Pool.Failure> => {
    const wrong = Checks.wrongTask("stream", task);
    if (wrong !== undefined) return Stream.fail(wrong);
    const leased = Effect.gen(this, function* () {
      const prepared = yield* Call.prepare(task, CALL, args);
      const lease = yield* Jobs.lease(this.#dispatcher, task.name);
      return Call.stream(lease.child, prepared, false, lease);
    });
    return this.#throughout(leased) as Stream.Stream<A, E | Pool.Failure>;
  };

  readonly submit = <Args extends ReadonlyArray<unknown>, A, E>(
    task: Task.Task<Args, A, E>,
    ...args: Args
  ): Effect.Effect<Pool.Submission<A, E | Pool.Failure>, EncodeError | PoolError> => {
    const wrong = Checks.wrongTask("submit", task);
    return wrong === undefined ? this.#submit<A, E>(task, args, {}) : Effect.fail(wrong);
  };

  readonly submitWith = <Args extends ReadonlyArray<unknown>, A, E>(
    task: Task.Task<Args, A, E>,
    args: Args,
    options: Pool.SubmitOptions<A, E>,
  ): Effect.Effect<Pool.Submission<A, E | Pool.Failure>, EncodeError | PoolError> => {
    const wrong = Checks.wrongSubmit(task, args, options);
    return wrong === undefined ? this.#submit<A, E>(task, args, options) : Effect.fail(wrong);
  };

  readonly close: Effect.Effect<void> = Effect.sync(() => {
    if (this.#state === "open") this.#state = "closed";
  });

  readonly join: Effect.Effect<void, PoolError> = Effect.suspend(() =>
    this.#state === "open" ? Effect.fail(open()) : Effect.all(
      [this.#calls.ended, Jobs.drained(this.#dispatcher), this.#drained, this.#workers.end],
      { discard: true },
    )
  );

  readonly terminate: Effect.Effect<void> = Effect.uninterruptible(Effect.suspend(() => {
    if (this.#state !== "terminated") this.#dispatcher.terminate(Cause.fail(terminated()));
    this.#state = "terminated";
    this.#calls.abandon();
    // Finalizers of running tasks may still need the link. Each job has a deadline; the limit is for leases, which have none.
    const stopped = within(Jobs.drained(this.#dispatcher), this.#gracePeriod);
    const { settled, interruptCallbacks } = this.#submissions;
    return Effect.all([stopped, this.#workers.end, settled, interruptCallbacks], { discard: true });
  }));

  readonly statistics: Effect.Effect<Pool.Statistics> = Effect.sync(() => ({
    size: this.size,
    alive: this.#workers.alive,
    busy: this.#dispatcher.busy,
    waiting: this.#dispatcher.waiting,
    completed: this.#dispatcher.completed,
    failed: this.#dispatcher.failed,
    replaced: this.#workers.replaced,
    recycled: this.#workers.recycled,
    spare: this.#workers.spare,
  }));

  /** The pool's finalizer. */
  readonly release = (exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> =>
    Effect.suspend(() => {
      if (this.#state === "open") this.#state = "closed";
      if (Exit.isFailure(exit) || this.#state === "terminated") return this.terminate;
      // Interruptible, so that waiting for the submissions can be given up.
      const drained = Effect.onInterrupt(Effect.interruptible(this.#drained), () => this.terminate);
      return Effect.zipRight(drained, this.terminate);
    });

  /** Waits for the submissions and their callbacks. Nothing else needs to be waited for: each other call has its caller. */
  get #drained(): Effect.Effect<void> {
    return Effect.zipRight(this.#submissions.settled, this.#submissions.callbacksEnded);
  }

  /** Begins a call. Its jobs may follow at any time. */
  readonly #begin = Effect.suspend(() => {
    if (this.#state !== "open") return Effect.fail(closed());
    this.#calls.begin();
    return Effect.void;
  });

  readonly #end = Effect.sync(() => this.#calls.end());

  #during<A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E | PoolError> {
    return Effect.acquireUseRelease(this.#begin, () => effect, () => this.#end);
  }

  #throughout<A, E, E2, R>(
    stream: Effect.Effect<Stream.Stream<A, E, R>, E2, Scope.Scope>,
  ): Stream.Stream<A, E | E2 | PoolError, R> {
    return Stream.unwrapScoped(Effect.zipRight(Effect.acquireRelease(this.#begin, () => this.#end), stream));
  }

  #apply<A, E>(
    task: Task.Any,
    args: ReadonlyArray<unknown>,
    timeout: number | undefined,
  ): Effect.Effect<A, E | Pool.Failure> {
    const run = Effect.flatMap(
      Call.prepare(task, CALL, args),
      (prepared) => Jobs.run(this.#dispatcher, prepared, timeout),
    );
    return traced("apply", task)(this.#during(run as Effect.Effect<A, E | Pool.Failure>));
  }

  /** How long a job with these options may run, in milliseconds. */
  #limit({ timeout }: Pool.ApplyOptions): number | undefined {
    return timeout === undefined ? this.#timeout : Duration.toMillis(timeout);
  }

  #map<A, E>(
    task: Task.Any,
    mode: typeof MAP | typeof STARMAP,
    items: Iterable<unknown>,
    options: Pool.MapOptions,
  ): Effect.Effect<Array<A>, E | Pool.Failure> {
    const run = Effect.suspend((): Effect.Effect<Array<unknown>, unknown> => {
      const list = Array.isArray(items) ? items : [...items];
      const wrong = mode === STARMAP ? Checks.wrongArgumentLists(list) : undefined;
      if (wrong !== undefined) return Effect.fail(wrong);
      if (list.length === 0) return Effect.succeed([]);
      const { chunkSize = Math.max(1, Math.ceil(list.length / (4 * this.size))) } = options;
      const chunks: Array<ReadonlyArray<unknown>> = [];
      for (let at = 0; at < list.length; at += chunkSize) chunks.push(list.slice(at, at + chunkSize));
      const results = new Array<unknown>(list.length);
      const keep = (value: unknown, index: number): void => {
        const part = value as ReadonlyArray<unknown>;
        for (let i = 0, at = index * chunkSize; i < part.length; i++, at++) results[at] = part[i];
      };
      // All chunks are encoded before any is sent: an item that cannot be encoded fails the call before any task has run.
      const prepared = Effect.forEach(chunks, (chunk, i) => Call.prepare(task, mode, chunk, i * chunkSize));
      const ran = Effect.flatMap(
        prepared,
        (prepared) => Jobs.runAll(this.#dispatcher, prepared, keep, this.#timeout),
      );
      return Effect.as(ran, results);
    });
    return this.#during(run as Effect.Effect<Array<A>, E | Pool.Failure>);
  }

  #mapStream<A, E, E2, R>(
    task: Task.Any,
    options: Pool.MapStreamOptions,
    stream: Stream.Stream<unknown, E2, R>,
  ): Stream.Stream<A, E | E2 | Pool.Failure, R> {
    const { chunkSize = 1, lookAhead = 4 * this.size, unordered = false } = options;
    const shared = { dispatcher: this.#dispatcher, lookAhead, unordered, timeout: this.#timeout };
    const results = chunkSize === 1
      ? mapStream({
        ...shared,
        flatten: false,
        prepare: (item: unknown) => Call.prepare(task, CALL, [item]),
      })(stream)
      : mapStream({
        ...shared,
        flatten: true,
        prepare: (items: Chunk.Chunk<unknown>) => Call.prepare(task, MAP, Chunk.toReadonlyArray(items)),
      })(Stream.grouped(stream, chunkSize));
    return this.#throughout(Effect.succeed(results as Stream.Stream<A, E | E2 | Pool.Failure, R>));
  }

  #submit<A, E>(
    task: Task.Any,
    args: ReadonlyArray<unknown>,
    options: Pool.SubmitOptions<A, E>,
  ): Effect.Effect<Pool.Submission<A, E | Pool.Failure>, EncodeError> {
    return Effect.map(Call.prepare(task, CALL, args), (prepared) => {
      const refusal = this.#state === "open" ? undefined : Exit.fail(closed());
      return this.#submissions.submit<A, E>(prepared, this.#limit(options), options, refusal);
    });
  }
}
inspectable(RunningPool);

/** Starts a pool; see `Pool.make`. */
export const make = (
  backend: Backend,
  options: Pool.Options,
): Effect.Effect<Pool.Pool, Pool.StartFailure, Scope.Scope> =>
  Effect.gen(function* () {
    const wrong = Checks.wrongPool(options);
    if (wrong !== undefined) return yield* Effect.fail(wrong);
    const { forceKillAfter, gracePeriod = GRACE_PERIOD, maxTasksPerChild = Infinity } = options;
    const { size = navigator.hardwareConcurrency, spare = false } = options;
    const policy: KillPolicy & { readonly gracePeriod: Duration.DurationInput } = { gracePeriod, forceKillAfter };
    const timeout = options.timeout === undefined ? undefined : Duration.toMillis(options.timeout);
    const initializer = options.initializer &&
      (yield* Call.prepare(options.initializer.task, CALL, options.initializer.args));
    const workers = new Workers(backend, {
      size,
      prefix: `PoolWorker-${++pools}`,
      policy,
      maxJobs: maxTasksPerChild,
      spare,
      initializer,
      modules,
    }, yield* Effect.runtime<never>());
    const pool = new RunningPool(workers, size, gracePeriod, timeout);
    yield* workers.start(pool.release);
    return pool;
  });
