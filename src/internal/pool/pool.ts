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
import type * as Fiber from "effect/Fiber";
import type { Pipeable } from "effect/Pipeable";
import * as Option from "effect/Option";
import type * as RuntimeFlags from "effect/RuntimeFlags";
import * as Schedule from "effect/Schedule";
import type * as Scope from "effect/Scope";
import * as Stream from "effect/Stream";
import type { Backend, KillPolicy } from "../../Backend.ts";
import type * as Pool from "../../Pool.ts";
import type * as Task from "../../Task.ts";
import { lookup, modules as definingModules } from "../child/tasks.ts";
import * as Call from "../child/call.ts";
import { isLibrary } from "../child/modules.ts";
import { CALL, MAP, MAP_REDUCE, MAP_UNTIL, REDUCE, STARMAP } from "../child/request.ts";
import { within } from "../child/stop.ts";
import type { EncodeError } from "../codec/errors.ts";
import * as Checks from "./checks.ts";
import { Admission } from "./admission.ts";
import { ChunkSizes, granularity } from "./chunks.ts";
import type { Dispatcher } from "./dispatcher.ts";
import { PoolError } from "./errors.ts";
import { type JobExit, type Terms, unlimited } from "./job.ts";
import * as Jobs from "./jobs.ts";
import { mapStream } from "./map_stream.ts";
import { OpenCalls } from "./open_calls.ts";
import type { Progress } from "./progress.ts";
import type { Submissions } from "./submissions.ts";
import type { Timeline } from "./timeline.ts";
import { terms, timer } from "./terms.ts";
import { Workers } from "./workers.ts";
import { endingWith } from "../objects/interruption.ts";
import { inspectable } from "../os/inspect.ts";

const TypeId: Pool.TypeId = "~multiprocessing/Pool";

/** How long an interrupted task may take by default. A process of its own has longer: its task is not in anybody's way. */
const GRACE_PERIOD: Duration.DurationInput = "1 second";

/** How long a worker of a pool that shrinks stays idle. */
const IDLE_TIME_TO_LIVE: Duration.DurationInput = "30 seconds";

/** How long a task waits before a pool grows. */
const GROW_AFTER: Duration.DurationInput = "10 millis";

/** Number of short tasks that a worker receives ahead by default. */
const AHEAD = 8;

/** The limits of a pool that neither grows nor shrinks. */
const fixed = (size: number): Pool.Size => ({ min: size, max: size, idleTimeToLive: Infinity });

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

const full = (capacity: number): PoolError =>
  new PoolError({
    reason: "QueueFull",
    message: `Cannot run the task: ${capacity} tasks wait already; raise queueCapacity, or wait with whenFull: "wait"`,
  });

const unkillable = (task: Task.Any, backend: string): PoolError =>
  new PoolError({
    reason: "Unsupported",
    message:
      `Cannot run task "${task.name}": it is marked as killable, and the ${backend} backend cannot kill a busy worker; use SubprocessBackend`,
  });

const isList = <I>(items: Iterable<I>): items is ReadonlyArray<I> => Array.isArray(items) || ArrayBuffer.isView(items);

/** A list of items. Numbers in a typed array stay there. */
const listOf = <I>(items: Iterable<I>): ReadonlyArray<I> => isList(items) ? items : [...items];

/** Whether a worker can pass the results of one task to another. */
const isFusible = (first: Task.Any, second: Task.Any): boolean => {
  const [a, b] = [first, second].map(({ name, url }) => lookup(url, name)?.options);
  const plain = [a, b].every((options) =>
    options?.payload === undefined && options?.success === undefined && options?.error === undefined
  );
  return plain && (a?.idempotent === true) === (b?.idempotent === true);
};

/** Wraps `items` in a Stream that reads a chunk at a time; `size` receives the number of items that are left, if it is known. */
const fromIterable = <I>(items: Iterable<I>, size: (left: number | undefined) => number): Stream.Stream<I> =>
  Stream.suspend(() => {
    const iterator = items[Symbol.iterator]();
    const length = isList(items) ? items.length : undefined;
    let read = 0;
    const chunk = Effect.suspend(() => {
      const part: Array<I> = [];
      for (let left = size(length === undefined ? undefined : length - read); left > 0; left--) {
        const next = iterator.next();
        if (next.done === true) break;
        part.push(next.value);
      }
      read += part.length;
      return part.length === 0 ? Effect.fail(Option.none()) : Effect.succeed(Chunk.unsafeFromArray(part));
    });
    return Stream.repeatEffectChunkOption(chunk);
  });

/** Adds a span to a call that is made inside a span; a caller that does not trace pays nothing. */
const traced = (name: string, task: Task.Any) => <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  Effect.withFiberRuntime((fiber) =>
    fiber.currentSpan === undefined ? effect : Effect.withSpan(effect, `Pool.${name}`, {
      attributes: { "task.name": task.name, "task.url": task.url },
    })
  );

/** Counts a call of so many items as begun while it runs. */
const during = <A, E>(
  progress: Pool.Progress | undefined,
  items: number,
  effect: Effect.Effect<A, E>,
): Effect.Effect<A, E> => {
  if (progress === undefined) return effect;
  const counts = progress as Progress;
  return Effect.acquireUseRelease(
    Effect.sync(() => counts.begin(items)),
    () => effect,
    () => Effect.sync(() => counts.end()),
  );
};

/** The parts of a pool that its options decide. */
export interface Settings {
  readonly size: number;
  readonly gracePeriod: Duration.DurationInput;
  /** The terms of calls that have none of their own. */
  readonly terms: Terms;
  readonly queueCapacity: number;
  /** Whether calls are refused when the queue is full. */
  readonly refuses: boolean;
  readonly backend: Backend;
  /** Maximal number of jobs of a call that wait or run at a time, if their sizes depend on those before them. */
  readonly window: number;
  /** Submits calls. */
  readonly submit: Jobs.Submit;
  /** Hooks for the arguments of calls. @default those of a link */
  readonly hooks?: Call.Hooks;
}

/** A pool whose workers run. */
export class RunningPool implements Pool.Pool {
  declare readonly pipe: Pipeable["pipe"];
  readonly [TypeId]: Pool.TypeId = TypeId;
  readonly size: number;
  readonly #workers: Workers;
  readonly #dispatcher: Dispatcher;
  readonly #gate: Jobs.Gate;
  readonly #submissions: Submissions;
  readonly #settings: Settings;
  readonly #calls = new OpenCalls();
  #state: "open" | "closed" | "terminated" = "open";

  constructor(workers: Workers, settings: Settings) {
    this.size = settings.size;
    this.#workers = workers;
    this.#dispatcher = workers.dispatcher;
    this.#submissions = workers.submissions;
    this.#settings = settings;
    const admission = new Admission(workers.dispatcher, settings.queueCapacity);
    this.#gate = { dispatcher: workers.dispatcher, admission, submit: settings.submit };
  }

  readonly apply = <Args extends ReadonlyArray<unknown>, A, E>(
    task: Task.Task<Args, A, E>,
    ...args: Args
  ): Effect.Effect<A, E | Pool.PoolFailure> => {
    const wrong = this.#wrongTask("apply", task);
    return wrong === undefined ? this.#apply<A, E>(task, args, this.#settings.terms) : Effect.fail(wrong);
  };

  readonly applyWith = <Args extends ReadonlyArray<unknown>, A, E>(
    task: Task.Task<Args, A, E>,
    args: Args,
    options: Pool.ApplyOptions<E | Pool.PoolFailure>,
  ): Effect.Effect<A, E | Pool.PoolFailure> => {
    const wrong = Checks.wrongApply(task, args, options) ?? this.#wrongTask("applyWith", task);
    return wrong === undefined ? this.#apply<A, E>(task, args, this.#terms(options)) : Effect.fail(wrong);
  };

  readonly broadcast = <Args extends ReadonlyArray<unknown>, A, E>(
    task: Task.Task<Args, A, E>,
    ...args: Args
  ): Effect.Effect<Array<A>, E | Pool.PoolFailure> => {
    const wrong = this.#wrongTask("broadcast", task);
    if (wrong !== undefined) return Effect.fail(wrong);
    const run = Effect.flatMap(this.#prepare(task, CALL, args), (prepared) => {
      const slots = this.#dispatcher.slots.filter(({ surplus }) => !surplus);
      const results = new Array<unknown>(slots.length);
      const keep = (exit: JobExit, index: number): Exit.Exit<void, unknown> =>
        Exit.map(exit, (value) => void (results[index] = value));
      return Effect.as(
        Jobs.runAll(this.#gate, Jobs.all(slots.map(() => Call.kept(prepared)), slots), this.#settings.terms, keep),
        results,
      );
    });
    return traced("broadcast", task)(this.#during(run as Effect.Effect<Array<A>, E | Pool.PoolFailure>));
  };

  readonly map = <I, A, E>(
    task: Task.Task<[I], A, E>,
    items: Iterable<I>,
    options: Pool.MapOptions<E | Pool.PoolFailure> = {},
  ): Effect.Effect<Array<A>, E | Pool.PoolFailure> => {
    const wrong = Checks.wrongMap("map", task, items, options) ?? this.#wrongTask("map", task);
    if (wrong !== undefined) return Effect.fail(wrong);
    return traced("map", task)(this.#map<A, E>(task, MAP, items, options));
  };

  readonly mapSettled = <I, A, E>(
    task: Task.Task<[I], A, E>,
    items: Iterable<I>,
    options: Pool.MapOptions<E | Pool.PoolFailure> = {},
  ): Effect.Effect<Array<Exit.Exit<A, E | Pool.PoolFailure>>, PoolError | EncodeError> => {
    const wrong = Checks.wrongMap("mapSettled", task, items, options) ?? this.#wrongTask("mapSettled", task);
    if (wrong !== undefined) return Effect.fail(wrong);
    return traced("mapSettled", task)(this.#mapSettled<A, E>(task, items, options));
  };

  readonly starmap = <Args extends ReadonlyArray<unknown>, A, E>(
    task: Task.Task<Args, A, E>,
    items: Iterable<Readonly<Args>>,
    options: Pool.MapOptions<E | Pool.PoolFailure> = {},
  ): Effect.Effect<Array<A>, E | Pool.PoolFailure> => {
    const wrong = Checks.wrongMap("starmap", task, items, options) ?? this.#wrongTask("starmap", task);
    if (wrong !== undefined) return Effect.fail(wrong);
    return traced("starmap", task)(this.#map<A, E>(task, STARMAP, items, options));
  };

  readonly reduce = <A, E>(
    task: Task.Task<[A, A], A, E>,
    items: Iterable<A>,
    options: Pool.MapOptions<E | Pool.PoolFailure> = {},
  ): Effect.Effect<Option.Option<A>, E | Pool.PoolFailure> => {
    const wrong = Checks.wrongMap("reduce", task, items, options) ?? this.#wrongTask("reduce", task);
    if (wrong !== undefined) return Effect.fail(wrong);
    const run = Effect.suspend(() => this.#reduce(task, listOf(items), options));
    return traced("reduce", task)(this.#during(run as Effect.Effect<Option.Option<A>, E | Pool.PoolFailure>));
  };

  readonly mapReduce = <I, B, E, E2>(
    map: Task.Task<[I], B, E>,
    reduce: Task.Task<[B, B], B, E2>,
    items: Iterable<I>,
    options: Pool.MapOptions<E | E2 | Pool.PoolFailure> = {},
  ): Effect.Effect<Option.Option<B>, E | E2 | Pool.PoolFailure> => {
    const wrong = Checks.wrongMap("mapReduce", map, items, options) ?? this.#wrongTask("mapReduce", map) ??
      this.#wrongTask("mapReduce", reduce);
    if (wrong !== undefined) return Effect.fail(wrong);
    const run = Effect.suspend(() => this.#mapReduce(map, reduce, listOf(items), options));
    return traced("mapReduce", map)(this.#during(run as Effect.Effect<Option.Option<B>, E | E2 | Pool.PoolFailure>));
  };

  readonly mapStream =
    <I, A, E>(task: Task.Task<[I], A, E>, options: Pool.MapStreamOptions<E | Pool.PoolFailure> = {}) =>
    <E2, R>(stream: Stream.Stream<I, E2, R>): Stream.Stream<A, E | E2 | Pool.PoolFailure, R> => {
      const wrong = Checks.wrongMapStream("mapStream", task, options, stream) ?? this.#wrongTask("mapStream", task);
      if (wrong !== undefined) return Stream.fail(wrong);
      const sizes = this.#measures(options) ? new ChunkSizes(this.size) : undefined;
      return this.#mapStream(task, options, stream, false, sizes) as Stream.Stream<A, E | E2 | Pool.PoolFailure, R>;
    };

  readonly mapStreamSettled =
    <I, A, E>(task: Task.Task<[I], A, E>, options: Pool.MapStreamOptions<E | Pool.PoolFailure> = {}) =>
    <E2, R>(stream: Stream.Stream<I, E2, R>): Stream.Stream<Exit.Exit<A, E | Pool.PoolFailure>, E2 | PoolError, R> => {
      const wrong = Checks.wrongMapStream("mapStreamSettled", task, options, stream) ??
        this.#wrongTask("mapStreamSettled", task);
      if (wrong !== undefined) return Stream.fail(wrong);
      const sizes = this.#measures(options) ? new ChunkSizes(this.size, true) : undefined;
      return this.#mapStream(task, options, stream, true, sizes) as Stream.Stream<
        Exit.Exit<A, E | Pool.PoolFailure>,
        E2 | PoolError,
        R
      >;
    };

  readonly mapUnordered = <I, A, E>(
    task: Task.Task<[I], A, E>,
    items: Iterable<I>,
    options: Pool.MapOptions<E | Pool.PoolFailure> = {},
  ): Stream.Stream<A, E | Pool.PoolFailure> => {
    const wrong = Checks.wrongMap("mapUnordered", task, items, options) ?? this.#wrongTask("mapUnordered", task);
    if (wrong !== undefined) return Stream.fail(wrong);
    const sizes = this.#measures(options) ? new ChunkSizes(this.size) : undefined;
    const stream = sizes === undefined
      ? fromIterable(items, () => 4 * this.size * (options.chunkSize ?? 1))
      : fromIterable(items, (remaining) => sizes.next(remaining));
    return this.#mapStream(task, { ...options, unordered: true }, stream, false, sizes, true) as Stream.Stream<
      A,
      E | Pool.PoolFailure
    >;
  };

  readonly stream = <Args extends ReadonlyArray<unknown>, A, E>(
    task: Task.StreamTask<Args, A, E>,
    ...args: Args
  ): Stream.Stream<A, E | Pool.PoolFailure> => {
    const wrong = this.#wrongTask("stream", task);
    if (wrong !== undefined) return Stream.fail(wrong);
    const leased = Effect.gen(this, function* () {
      const prepared = yield* Call.prepare(task, CALL, args);
      yield* this.#room;
      const { priority, queueTimeout } = this.#settings.terms;
      const lease = yield* Jobs.lease(this.#gate, task.name, { ...unlimited, priority, queueTimeout });
      return Call.stream(lease.child, prepared, false, lease);
    });
    return this.#throughout(leased) as Stream.Stream<A, E | Pool.PoolFailure>;
  };

  readonly submit = <Args extends ReadonlyArray<unknown>, A, E>(
    task: Task.Task<Args, A, E>,
    ...args: Args
  ): Effect.Effect<Pool.Submission<A, E | Pool.PoolFailure>, EncodeError | PoolError> => {
    const wrong = this.#wrongTask("submit", task);
    return wrong === undefined ? this.#submit<A, E>(task, args, {}) : Effect.fail(wrong);
  };

  readonly submitWith = <Args extends ReadonlyArray<unknown>, A, E>(
    task: Task.Task<Args, A, E>,
    args: Args,
    options: Pool.SubmitOptions<A, E>,
  ): Effect.Effect<Pool.Submission<A, E | Pool.PoolFailure>, EncodeError | PoolError> => {
    const wrong = Checks.wrongSubmit(task, args, options) ?? this.#wrongTask("submitWith", task);
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
    const stopped = within(Jobs.drained(this.#dispatcher), this.#settings.gracePeriod);
    const { settled, interruptCallbacks } = this.#submissions;
    return Effect.all([stopped, this.#workers.end, settled, interruptCallbacks], { discard: true });
  }));

  readonly statistics: Effect.Effect<Pool.Statistics> = Effect.sync(() => ({
    size: this.#dispatcher.slots.length,
    alive: this.#workers.alive,
    busy: this.#dispatcher.busy,
    waiting: this.#dispatcher.waiting,
    resting: this.#dispatcher.resting,
    retried: this.#dispatcher.retried,
    completed: this.#dispatcher.completed,
    failed: this.#dispatcher.failed,
    replaced: this.#workers.replaced,
    recycled: this.#workers.recycled,
    spare: this.#workers.spare,
  }));

  readonly insights: Effect.Effect<Pool.Insights> = Effect.sync(() =>
    this.#workers.observations.insights(this.#dispatcher.slots)
  );

  readonly watch = (interval: Duration.DurationInput): Stream.Stream<Pool.Statistics, PoolError> => {
    const wrong = Checks.wrongInterval(interval);
    if (wrong !== undefined) return Stream.fail(wrong);
    // The last state is that of an ended pool.
    return Stream.takeUntilEffect(
      Stream.repeatEffectWithSchedule(this.statistics, Schedule.spaced(interval)),
      ({ alive }) => Effect.sync(() => this.#state !== "open" && alive === 0),
    );
  };

  /** The pool's finalizer. */
  readonly release = (exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> =>
    Effect.suspend(() => {
      if (this.#state === "open") this.#state = "closed";
      if (Exit.isFailure(exit) || this.#state === "terminated") return this.terminate;
      // Interruptible, so that waiting for the submissions can be given up.
      const drained = Effect.onInterrupt(Effect.interruptible(this.#drained), () => this.terminate);
      return Effect.zipRight(drained, this.terminate);
    });

  /** Whether it takes calls. */
  protected get isOpen(): boolean {
    return this.#state === "open";
  }

  /** Waits for the submissions and their callbacks. Nothing else needs to be waited for: each other call has its caller. */
  get #drained(): Effect.Effect<void> {
    return Effect.zipRight(this.#submissions.settled, this.#submissions.callbacksEnded);
  }

  #terms(options: Pool.CallOptions<never>): Terms {
    return terms(options as Pool.CallOptions, this.#settings.terms);
  }

  /** The error for a value that is no task, or a task that the backend cannot run as it wants. */
  #wrongTask(method: string, task: Task.Any): PoolError | undefined {
    const wrong = Checks.wrongTask(method, task);
    if (wrong !== undefined) return wrong;
    const { capabilities, name } = this.#settings.backend;
    return !capabilities.killBusy && lookup(task.url, task.name)?.options.killable === true
      ? unkillable(task, name)
      : undefined;
  }

  /** Fails if the queue is full and the pool refuses more. */
  readonly #room = Effect.suspend(() => this.#full ?? Effect.void);

  get #full(): Effect.Effect<never, PoolError> | undefined {
    const { queueCapacity, refuses } = this.#settings;
    return refuses && !this.#gate.admission.open ? Effect.fail(full(queueCapacity)) : undefined;
  }

  #apply<A, E>(
    task: Task.Any,
    args: ReadonlyArray<unknown>,
    terms: Terms,
  ): Effect.Effect<A, E | Pool.PoolFailure> {
    const run = Effect.withFiberRuntime((fiber, { runtimeFlags }): Effect.Effect<unknown, unknown> => {
      if (this.#state !== "open") return Effect.fail(closed());
      const preparing = Call.prepareIn(fiber, task, CALL, args, 0, false, this.#settings.hooks);
      if (Exit.isExit(preparing)) {
        const prepared = preparing as Exit.Exit<Call.Prepared, EncodeError>;
        return Exit.isSuccess(prepared) ? this.#applyIn(fiber, runtimeFlags, prepared.value, terms) : prepared;
      }
      const waiting = Effect.flatMap(
        preparing,
        (prepared) =>
          Effect.withFiberRuntime<unknown, unknown>((fiber, { runtimeFlags }) =>
            this.#applyIn(fiber, runtimeFlags, prepared, terms)
          ),
      );
      return this.#during(waiting);
    });
    return traced("apply", task)(run as Effect.Effect<A, E | Pool.PoolFailure>);
  }

  #applyIn(
    fiber: Fiber.RuntimeFiber<unknown, unknown>,
    flags: RuntimeFlags.RuntimeFlags,
    prepared: Call.Prepared,
    terms: Terms,
  ): Effect.Effect<unknown, unknown> {
    return this.#full ?? Jobs.runIn(fiber, flags, this.#gate, this.#calls, prepared, terms);
  }

  #prepare(
    task: Task.Any,
    mode: number,
    args: ReadonlyArray<unknown>,
    first?: number,
    settled?: boolean,
  ): Effect.Effect<Call.Prepared, EncodeError> {
    return Call.prepare(task, mode, args, first, settled, this.#settings.hooks);
  }

  /** Begins a call. Its jobs may follow at any time. */
  readonly #begin = Effect.suspend(() => {
    if (this.#state !== "open") return Effect.fail(closed());
    this.#calls.begin();
    return Effect.void;
  });

  readonly #end = Effect.sync(() => this.#calls.end());

  #during<A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E | PoolError> {
    return Effect.uninterruptibleMask((restore): Effect.Effect<A, E | PoolError> => {
      if (this.#state !== "open") return Effect.fail(closed());
      this.#calls.begin();
      return endingWith(restore(effect), () => this.#calls.end());
    });
  }

  #throughout<A, E, E2, R>(
    stream: Effect.Effect<Stream.Stream<A, E, R>, E2, Scope.Scope>,
  ): Stream.Stream<A, E | E2 | PoolError, R> {
    return Stream.unwrapScoped(Effect.zipRight(Effect.acquireRelease(this.#begin, () => this.#end), stream));
  }

  #map<A, E>(
    task: Task.Any,
    mode: typeof MAP | typeof STARMAP,
    items: Iterable<unknown>,
    options: Pool.MapOptions<never>,
  ): Effect.Effect<Array<A>, E | Pool.PoolFailure> {
    const run = Effect.suspend((): Effect.Effect<Array<unknown>, unknown> => {
      const list = listOf(items);
      const wrong = mode === STARMAP ? Checks.wrongArgumentLists(list) : undefined;
      return wrong === undefined ? this.#mapList(task, mode, list, options) : Effect.fail(wrong);
    });
    return this.#during(run as Effect.Effect<Array<A>, E | Pool.PoolFailure>);
  }

  #mapList(
    task: Task.Any,
    mode: typeof MAP | typeof STARMAP,
    list: ReadonlyArray<unknown>,
    options: Pool.MapOptions<never>,
  ): Effect.Effect<Array<unknown>, unknown> {
    const results = new Array<unknown>(list.length);
    const progress = options.progress as Progress | undefined;
    const keep = (exit: JobExit, first: number, count: number): Exit.Exit<void, unknown> => {
      progress?.settle(count, Exit.isFailure(exit) ? count : 0);
      if (Exit.isFailure(exit)) return exit;
      const part = exit.value as ReadonlyArray<unknown>;
      for (let i = 0, at = first; i < part.length; i++, at++) results[at] = part[i];
      return Exit.void;
    };
    const { chunkSize } = options;
    const run = chunkSize === undefined
      ? this.#runMeasured(task, mode, list, options, keep)
      : this.#runChunks(task, mode, list, chunkSize, options, false, (exit, index) => {
        const first = index * chunkSize;
        return keep(exit, first, Math.min(chunkSize, list.length - first));
      });
    return Effect.as(run, results);
  }

  #mapSettled<A, E>(
    task: Task.Any,
    items: Iterable<unknown>,
    options: Pool.MapOptions<never>,
  ): Effect.Effect<Array<Exit.Exit<A, E | Pool.PoolFailure>>, PoolError | EncodeError> {
    const run = Effect.suspend((): Effect.Effect<Array<unknown>, unknown> => {
      const list = listOf(items);
      const results = new Array<unknown>(list.length);
      const progress = options.progress as Progress | undefined;
      const keep = (exit: JobExit, first: number, count: number): Exit.Exit<void> => {
        const part = Exit.isSuccess(exit) ? exit.value as ReadonlyArray<JobExit> : undefined;
        for (let i = 0; i < count; i++) results[first + i] = part?.[i] ?? exit;
        progress?.settle(count, part === undefined ? count : part.filter(Exit.isFailure).length);
        return Exit.void;
      };
      if (this.#measures(options)) return Effect.as(this.#runMeasured(task, MAP, list, options, keep, true), results);
      const { chunkSize = 1 } = options;
      const run = this.#runChunks(task, MAP, list, chunkSize, options, true, (exit, index) => {
        const first = index * chunkSize;
        return keep(exit, first, Math.min(chunkSize, list.length - first));
      });
      return Effect.as(run, results);
    });
    return this.#during(run as Effect.Effect<Array<Exit.Exit<A, E | Pool.PoolFailure>>, PoolError | EncodeError>);
  }

  /** Combines neighbours until one is left: in each round, each worker combines the items of its chunks. */
  #reduce(
    task: Task.Any,
    list: ReadonlyArray<unknown>,
    options: Pool.MapOptions<never>,
  ): Effect.Effect<Option.Option<unknown>, unknown> {
    if (list.length < 2) return Effect.succeed(list.length === 0 ? Option.none() : Option.some(list[0]));
    const { chunkSize = this.#quarter(list.length) } = options;
    const results: Array<unknown> = [];
    const progress = options.progress as Progress | undefined;
    // A chunk of one item would not make the list any shorter.
    const size = Math.max(2, chunkSize);
    const keep = (exit: JobExit, index: number): Exit.Exit<void, unknown> => {
      const count = Math.min(size, list.length - index * size);
      progress?.settle(count, Exit.isFailure(exit) ? count : 0);
      return Exit.map(exit, (value) => void (results[index] = value));
    };
    const round = this.#runChunks(task, REDUCE, list, size, options, false, keep);
    return Effect.flatMap(round, () => this.#reduce(task, results, options));
  }

  /** Each worker maps the items of its chunks and combines their results; then these are combined as by {@link #reduce}. */
  #mapReduce(
    map: Task.Any,
    reduce: Task.Any,
    list: ReadonlyArray<unknown>,
    options: Pool.MapOptions<never>,
  ): Effect.Effect<Option.Option<unknown>, unknown> {
    const combine = (results: ReadonlyArray<unknown>) =>
      this.#reduce(reduce, results, { ...options, chunkSize: undefined, progress: undefined });
    // A Schema decodes results here, and each chunk must be as idempotent as both tasks.
    if (!isFusible(map, reduce)) return Effect.flatMap(this.#mapList(map, MAP, list, options), combine);
    const { chunkSize = this.#quarter(list.length) } = options;
    const progress = options.progress as Progress | undefined;
    const results: Array<unknown> = [];
    const keep = (exit: JobExit, index: number): Exit.Exit<void, unknown> => {
      const count = Math.min(chunkSize, list.length - index * chunkSize);
      progress?.settle(count, Exit.isFailure(exit) ? count : 0);
      return Exit.map(exit, (value) => void (results[index] = value));
    };
    const ran = this.#runChunks(map, MAP_REDUCE, list, chunkSize, options, false, keep, reduce);
    return Effect.flatMap(ran, () => combine(results));
  }

  /** Runs a list in chunks whose sizes depend on the time that the earlier ones have taken. */
  #runMeasured(
    task: Task.Any,
    mode: typeof MAP | typeof STARMAP,
    list: ReadonlyArray<unknown>,
    options: Pool.MapOptions<never>,
    keep: (exit: JobExit, first: number, count: number) => Exit.Exit<void, unknown>,
    settled: boolean = false,
  ): Effect.Effect<void, unknown> {
    const { length } = list;
    const wanted = settled ? 1 : granularity(length, this.size);
    const run = Effect.flatMap(
      Call.prepareList(task, mode, list, wanted, settled, this.#settings.hooks),
      ({ bytes, granularity: unit, part }) =>
        Effect.flatMap(Effect.clock, (clock) => {
          const begun = clock.unsafeCurrentTimeMillis();
          const sizes = new ChunkSizes(this.size, settled);
          /** Index of the first item of each chunk. */
          const firsts: Array<number> = [0];
          const supply: Jobs.Supply = {
            window: this.#settings.window,
            next: () => {
              const first = firsts[firsts.length - 1];
              if (first === length) return undefined;
              // A longer chunk would have more neighbours of an item that kills its worker.
              let units = Math.max(1, Math.floor(sizes.next(settled ? undefined : length - first) / unit));
              while (units > 1 && !sizes.fits(bytes(first, Math.min(length, first + units * unit)))) units >>= 1;
              const end = Math.min(length, first + units * unit);
              firsts.push(end);
              return part(first, end);
            },
            elapsed: () => clock.unsafeCurrentTimeMillis() - begun,
          };
          return Jobs.runAll(this.#gate, supply, this.#terms(options), (exit, index, report) => {
            const first = firsts[index];
            const count = firsts[index + 1] - first;
            if (report !== undefined) sizes.answered(count, report);
            if (settled && Exit.isFailure(exit)) sizes.single();
            return keep(exit, first, count);
          });
        }),
    );
    return during(options.progress, length, run);
  }

  /** A chunk size that gives each worker about four chunks. */
  #quarter(length: number): number {
    return Math.max(1, Math.ceil(length / (4 * this.size)));
  }

  /** Runs a list in chunks. */
  #runChunks(
    task: Task.Any,
    mode: typeof MAP | typeof STARMAP | typeof REDUCE | typeof MAP_REDUCE,
    list: ReadonlyArray<unknown>,
    chunkSize: number,
    options: Pool.MapOptions<never>,
    settled: boolean,
    keep: (exit: JobExit, index: number) => Exit.Exit<void, unknown>,
    combining?: Task.Any,
  ): Effect.Effect<void, unknown> {
    if (list.length === 0) return during(options.progress, 0, Effect.void);
    const chunks: Array<ReadonlyArray<unknown>> = [];
    for (let at = 0; at < list.length; at += chunkSize) chunks.push(list.slice(at, at + chunkSize));
    // All chunks are encoded before any is sent: an item that cannot be encoded fails the call before any task has run.
    const lists = combining === undefined ? chunks : chunks.map((chunk) => [combining.url, combining.name, chunk]);
    const prepared = Call.prepareAll(task, mode, lists, chunkSize, settled, this.#settings.hooks);
    const ran = Effect.flatMap(
      prepared,
      (prepared) => Jobs.runAll(this.#gate, Jobs.all(prepared), this.#terms(options), keep),
    );
    return during(options.progress, list.length, ran);
  }

  /** Whether items that do not fail together may be sent together. A limit of time and a retry are meant for each item. */
  #measures(options: Pool.MapOptions<never>): boolean {
    const { retry, timeout } = this.#terms(options);
    return options.chunkSize === undefined && timeout === Infinity && retry === undefined;
  }

  /**
   * Runs the elements of a stream: `each` gives the Exit of each. With `sizes`, these choose the chunks; they have chosen those of the stream
   * itself if it is `whole`.
   */
  #mapStream<E2, R>(
    task: Task.Any,
    options: Pool.MapStreamOptions<never>,
    stream: Stream.Stream<unknown, E2, R>,
    each: boolean,
    sizes?: ChunkSizes,
    whole: boolean = false,
  ): Stream.Stream<unknown, unknown, R> {
    const { chunkSize = 1, lookAhead = 4 * this.size, unordered = false } = options;
    const progress = options.progress as Progress | undefined;
    const mode = each || chunkSize > 1 ? MAP : sizes === undefined ? CALL : MAP_UNTIL;
    const results = mapStream({
      gate: this.#gate,
      terms: this.#terms(options),
      lookAhead,
      unordered,
      flatten: mode !== CALL,
      count: (atHand) => sizes === undefined ? chunkSize : whole ? atHand : sizes.next(undefined),
      recover: each ? (cause, items) => items.map(() => Exit.failCause(cause)) : undefined,
      settled: (exit, { length }, report) => {
        if (report !== undefined) sizes?.answered(length, report);
        if (each && Exit.isFailure(exit)) sizes?.single();
        const before = report?.before;
        if (before !== undefined) return progress?.settle(before.length + 1, 1);
        const exits = each && Exit.isSuccess(exit) ? exit.value as ReadonlyArray<JobExit> : undefined;
        progress?.settle(length, exits?.filter(Exit.isFailure).length ?? (Exit.isFailure(exit) ? length : 0));
      },
      prepare: (items, first) => this.#prepare(task, mode, items, first, each),
    })(chunkSize > 1 ? Stream.rechunk(stream, chunkSize) : stream);
    const counted = Effect.acquireRelease(
      Effect.sync(() => progress?.begin(undefined)),
      () => Effect.sync(() => progress?.end()),
    );
    return this.#throughout(Effect.as(counted, results));
  }

  #submit<A, E>(
    task: Task.Any,
    args: ReadonlyArray<unknown>,
    options: Pool.SubmitOptions<A, E>,
  ): Effect.Effect<Pool.Submission<A, E | Pool.PoolFailure>, EncodeError | PoolError> {
    return Effect.flatMap(this.#prepare(task, CALL, args), (prepared) => {
      if (this.#state !== "open") {
        return Effect.succeed(this.#submissions.concluded<A, E>(task.name, Exit.fail(closed()), options));
      }
      const terms = this.#terms(options);
      return this.#full ?? this.#submissions.submit<A, E>(this.#gate, prepared, terms, options);
    });
  }
}
inspectable(RunningPool);

/** Starts a pool; see `Pool.make`. */
export const make = (
  backend: Backend,
  options: Pool.Options,
): Effect.Effect<Pool.Pool, Pool.StartFailure, Scope.Scope> =>
  start(backend, options, (workers, settings) => new RunningPool(workers, settings));

/** Starts the workers of a pool, and makes the pool of them. */
export const start = <P extends RunningPool>(
  backend: Backend,
  options: Pool.Options,
  construct: (workers: Workers, settings: Settings) => P,
): Effect.Effect<P, Pool.StartFailure, Scope.Scope> =>
  Effect.gen(function* () {
    const wrong = Checks.wrongPool(options);
    if (wrong !== undefined) return yield* Effect.fail(wrong);
    const { concurrency = 1, forceKillAfter, gracePeriod = GRACE_PERIOD, maxTasksPerChild = Infinity } = options;
    const { maxMemory = Infinity, prefetch = concurrency === 1 ? AHEAD : 0, queueCapacity = Infinity, spare = false } =
      options;
    const size: Pool.Size = typeof options.size === "object"
      ? options.size
      : fixed(options.size ?? (yield* backend.capacity ?? Effect.succeed(navigator.hardwareConcurrency)));
    const policy: KillPolicy & { readonly gracePeriod: Duration.DurationInput } = { gracePeriod, forceKillAfter };
    const initializer = options.initializer &&
      (yield* Call.prepare(options.initializer.task, CALL, options.initializer.args));
    const runtime = yield* Effect.runtime<never>();
    const workers = new Workers(backend, {
      min: size.min,
      max: size.max,
      idleTimeToLive: Duration.toMillis(size.idleTimeToLive ?? IDLE_TIME_TO_LIVE),
      growAfter: Duration.toMillis(size.growAfter ?? GROW_AFTER),
      concurrency,
      ahead: prefetch,
      measured: options.prefetch === undefined,
      prefix: `PoolWorker-${++pools}`,
      policy,
      maxJobs: maxTasksPerChild,
      maxAge: Duration.toMillis(options.maxAge ?? Infinity),
      maxMemory,
      spare,
      initializer,
      modules,
      timeline: options.timeline as Timeline | undefined,
      after: timer(yield* Effect.clock, runtime),
    }, runtime);
    const pool = construct(workers, {
      size: size.max,
      gracePeriod,
      terms: terms(options, unlimited),
      queueCapacity,
      refuses: options.whenFull === "refuse",
      backend,
      submit: Jobs.toWorkers(workers.dispatcher, prefetch > 0),
      // One job more for each worker waits, so that no worker waits for one. Chunks by measured times are too long to be sent ahead.
      window: size.max * (concurrency + (options.prefetch ?? 0) + 1),
    });
    yield* workers.start(pool.release);
    return pool;
  });
