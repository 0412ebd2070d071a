/**
 * A set of processes that run tasks.
 *
 * - A pool is a scoped resource. Its workers are started with it, and have ended when its scope has closed.
 * - Each worker has one task at a time; the others wait in the order in which they came. A waiting task costs one place in
 *   a list, so twenty thousand at once are fine.
 * - A worker that dies fails exactly the task that it ran, with a {@link ProcessDied} that says how it died, and is replaced.
 * - Whoever is interrupted takes his tasks back: a waiting one is not run, a running one is interrupted where it runs. A
 *   task that does not stop within `gracePeriod` is stopped by killing its worker, so that a timeout frees the core.
 * - Every submission settles exactly once.
 *
 * @module
 */
import * as Chunk from "effect/Chunk";
import type * as Duration from "effect/Duration";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Fiber from "effect/Fiber";
import * as Runtime from "effect/Runtime";
import * as Scope from "effect/Scope";
import * as Stream from "effect/Stream";
import { Backend, type CallError, type Child, type KillPolicy, type SpawnError } from "./Backend.ts";
import * as Call from "./backend/call.ts";
import { CALL, MAP, STARMAP } from "./backend/request.ts";
import { stop } from "./backend/stop.ts";
import { Dispatcher, type Slot } from "./pool/dispatcher.ts";
import * as Jobs from "./pool/jobs.ts";
import * as Task from "./Task.ts";

/** @since 0.1.0 @category type ids */
export const TypeId: TypeId = "~multiprocessing/Pool";
/** @since 0.1.0 @category type ids */
export type TypeId = "~multiprocessing/Pool";

/**
 * The pool was used as it cannot be.
 *
 * - `InvalidOption`: a size, chunk size or look-ahead is not a positive integer.
 * - `Closed`: its scope has closed.
 * - `Broken`: its workers cannot be started any more; `cause` says why.
 *
 * @since 0.1.0
 * @category errors
 */
export class PoolError extends Error {
  readonly _tag = "PoolError";
  override readonly name = "PoolError";
  readonly reason: "InvalidOption" | "Closed" | "Broken";
  constructor(options: { readonly reason: PoolError["reason"]; readonly message: string; readonly cause?: unknown }) {
    super(options.message, options.cause === undefined ? undefined : { cause: options.cause });
    this.reason = options.reason;
  }
}

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
}

/** Options of {@link Pool.map}. @since 0.1.0 @category models */
export interface MapOptions {
  /**
   * Items that are sent to a worker together. More of them cost less to send; fewer spread better over the workers.
   *
   * @default so that each worker gets about four chunks
   */
  readonly chunkSize?: number | undefined;
}

/** Options of {@link Pool.mapStream}. @since 0.1.0 @category models */
export interface MapStreamOptions {
  /** Emit results as they come instead of in the order of the input. @default false */
  readonly unordered?: boolean | undefined;
  /** Items that are sent to a worker together. @default 1 */
  readonly chunkSize?: number | undefined;
  /** Chunks that may be waiting, running or done but not yet taken. @default twice the size of the pool */
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
  /** Workers that died and were replaced. */
  readonly replaced: number;
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
  readonly [TypeId]: TypeId;
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
   * Runs a task for each element of a Stream, no more than `lookAhead` ahead of whoever takes the results. The first failure
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
  /** What it is doing. */
  readonly statistics: Effect.Effect<Statistics>;
}

/** A worker's replacement may fail so often in a row, with nothing done in between, before the pool gives up. */
const MAX_FAILURES = 3;

let pools = 0;

const invalid = (what: string, value: unknown): PoolError =>
  new PoolError({
    reason: "InvalidOption",
    message: `Cannot use a pool so: ${what} must be a positive integer, received ${value}`,
  });

const isPositive = (value: number): boolean => Number.isSafeInteger(value) && value > 0;

/** Where a worker's modules are: those that have defined tasks by now, the main module first. */
const modules = (): ReadonlyArray<string> => {
  const urls = Task.modules();
  return urls.includes(Deno.mainModule) ? [Deno.mainModule, ...urls.filter((url) => url !== Deno.mainModule)] : urls;
};

/**
 * Starts a pool and its workers.
 *
 * Fails with a `SpawnError` if a worker cannot be started (those that were are ended), or a `PoolError` if the size is not
 * a positive integer.
 *
 * *Interruption:* ends the workers that were started meanwhile.
 * *Release:* ends the workers: their layers are released, what still runs is stopped by the kill policy.
 *
 * ```ts
 * import { Pool, runMain, SubprocessBackend, Task } from "@effect-deno/multiprocessing";
 * import { Effect } from "effect";
 *
 * const cube = Task.make(import.meta, "cube", (n: number) => n ** 3);
 *
 * const program = Effect.gen(function* () {
 *   const pool = yield* Pool.make({ size: 2 });
 *   console.log(yield* pool.map(cube, [1, 2, 3]));
 * }).pipe(Effect.scoped, Effect.provide(SubprocessBackend.layer()));
 *
 * if (import.meta.main) runMain(program);
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<Pool, SpawnError | PoolError, Backend | Scope.Scope> =>
  Effect.gen(function* () {
    const backend = yield* Backend;
    const size = options.size ?? navigator.hardwareConcurrency;
    if (!isPositive(size)) return yield* Effect.fail(invalid("size", size));
    const policy: KillPolicy = { ...options, gracePeriod: options.gracePeriod ?? "1 second" };
    const prefix = `PoolWorker-${++pools}`;
    const runtime = yield* Effect.runtime();
    const dispatcher = new Dispatcher({
      gracePeriod: policy.gracePeriod!,
      kill: (child) => void Runtime.runFork(runtime)(stop(child, () => false, Effect.void, policy)),
    });
    let named = 0;
    let failures = 0;
    let replaced = 0;
    let alive = 0;

    const spawn: Effect.Effect<Worker, SpawnError> = Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(Scope.make(), (scope) => {
        const command = { name: `${prefix}:${++named}`, modules: modules() };
        const spawned = restore(Scope.extend(backend.spawn(command), scope));
        const failed = Effect.onError(spawned, (cause) => Scope.close(scope, Exit.failCause(cause)));
        return Effect.map(failed, (child) => ({ child, scope }));
      })
    );

    /** Lends a worker to the dispatcher until it has died, or until this is interrupted: then it is ended. */
    const employ = (slot: Slot, { child, scope }: Worker): Effect.Effect<void> =>
      Effect.suspend(() => {
        alive++;
        dispatcher.ready(slot, child);
        return Effect.onExit(Effect.interruptible(Effect.asVoid(child.exited)), () => {
          alive--;
          // The end of its link tells an idle worker to end in good order.
          const end = stop(child, () => true, Effect.sync(() => child.link.close()), policy);
          return Effect.zipRight(end, Scope.close(scope, Exit.void));
        });
      });

    /** The life of a slot: one worker after another. */
    const supervise = (slot: Slot, first: Worker): Effect.Effect<void> =>
      Effect.gen(function* () {
        let worker = first;
        while (true) {
          const { completed } = dispatcher;
          yield* employ(slot, worker);
          failures = dispatcher.completed > completed ? 0 : failures + 1;
          if (failures > MAX_FAILURES * size) {
            return dispatcher.close(Exit.fail(broken("die before they have done anything")));
          }
          const next = yield* Effect.either(spawn);
          if (next._tag === "Left") {
            return dispatcher.close(Exit.fail(broken(`cannot be started any more: ${next.left.message}`, next.left)));
          }
          worker = next.right;
          replaced++;
        }
      });

    yield* Effect.uninterruptibleMask((restore) =>
      Effect.gen(function* () {
        const exits = yield* Effect.forEach(Array.from({ length: size }), () => Effect.exit(restore(spawn)), {
          concurrency: 4,
        });
        const workers = exits.flatMap((exit) => Exit.isSuccess(exit) ? [exit.value] : []);
        const failed = exits.find(Exit.isFailure);
        if (failed !== undefined) {
          yield* Effect.forEach(workers, ({ scope }) => Scope.close(scope, failed), { concurrency: "unbounded" });
          return yield* failed;
        }
        const fibers = yield* Effect.forEach(workers, (worker) =>
          Effect.forkDaemon(supervise({ child: undefined }, worker)));
        yield* Effect.addFinalizer(() => {
          dispatcher.close(Exit.fail(closed()));
          return Effect.asVoid(Fiber.interruptAll(fibers));
        });
      })
    );

    const run = (task: Task.Any, args: ReadonlyArray<unknown>): Effect.Effect<unknown, unknown> =>
      Effect.flatMap(Call.prepare(task, CALL, args), (prepared) => Jobs.run(dispatcher, prepared));

    const runMany = (
      task: Task.Any,
      mode: typeof MAP | typeof STARMAP,
      items: Iterable<unknown>,
      options: MapOptions,
    ): Effect.Effect<Array<unknown>, unknown> =>
      Effect.suspend(() => {
        const list = Array.isArray(items) ? items : [...items];
        const chunkSize = options.chunkSize ?? Math.ceil(list.length / (4 * size));
        if (list.length === 0) return Effect.succeed([]);
        if (!isPositive(chunkSize)) return Effect.fail(invalid("chunkSize", chunkSize));
        const chunks: Array<ReadonlyArray<unknown>> = [];
        for (let at = 0; at < list.length; at += chunkSize) chunks.push(list.slice(at, at + chunkSize));
        const results = new Array<unknown>(list.length);
        const keep = (value: unknown, index: number): void => {
          const part = value as ReadonlyArray<unknown>;
          for (let i = 0, at = index * chunkSize; i < part.length; i++, at++) results[at] = part[i];
        };
        // All chunks are encoded before any is sent: an item that cannot be fails the call before it has done anything.
        const prepared = Effect.forEach(chunks, (chunk, i) => Call.prepare(task, mode, chunk, i * chunkSize));
        return Effect.as(Effect.flatMap(prepared, (prepared) => Jobs.runAll(dispatcher, prepared, keep)), results);
      });

    const mapStream = (task: Task.Any, options: MapStreamOptions) => (stream: Stream.Stream<unknown, unknown>) => {
      const { chunkSize = 1, lookAhead = 2 * size, unordered = false } = options;
      if (!isPositive(chunkSize)) return Stream.fail(invalid("chunkSize", chunkSize));
      if (!isPositive(lookAhead)) return Stream.fail(invalid("lookAhead", lookAhead));
      const concurrent = { concurrency: lookAhead, unordered };
      if (chunkSize === 1) return Stream.mapEffect(stream, (item) => run(task, [item]), concurrent);
      const chunk = { chunkSize };
      const chunks = Stream.mapEffect(
        Stream.grouped(stream, chunkSize),
        (items) => runMany(task, MAP, Chunk.toReadonlyArray(items), chunk),
        concurrent,
      );
      return Stream.flattenIterables(chunks);
    };

    const stream = (task: Task.Any, args: ReadonlyArray<unknown>): Stream.Stream<unknown, unknown> =>
      Stream.unwrapScoped(Effect.gen(function* () {
        const prepared = yield* Call.prepare(task, CALL, args);
        const { child, hurry } = yield* Jobs.lease(dispatcher);
        return Call.stream(child, prepared, false, hurry);
      }));

    const statistics: Effect.Effect<Statistics> = Effect.sync(() => ({
      size,
      alive,
      busy: dispatcher.busy,
      waiting: dispatcher.waiting,
      completed: dispatcher.completed,
      failed: dispatcher.failed,
      replaced,
    }));

    const traced = (name: string, task: Task.Any) =>
      Effect.withSpan(`Pool.${name}`, { attributes: { "task.name": task.name, "task.url": task.url } });

    const pool = {
      [TypeId]: TypeId,
      size,
      apply: (task: Task.Any, ...args: ReadonlyArray<unknown>) => traced("apply", task)(run(task, args)),
      map: (task: Task.Any, items: Iterable<unknown>, options: MapOptions = {}) =>
        traced("map", task)(runMany(task, MAP, items, options)),
      starmap: (task: Task.Any, items: Iterable<unknown>, options: MapOptions = {}) =>
        traced("starmap", task)(runMany(task, STARMAP, items, options)),
      mapStream: (task: Task.Any, options: MapStreamOptions = {}) => mapStream(task, options),
      stream: (task: Task.Any, ...args: ReadonlyArray<unknown>) => stream(task, args),
      statistics,
    };
    // The types of a task are those of its handler: nothing at run time could prove it.
    return pool as unknown as Pool;
  }).pipe(Effect.withSpan("Pool.make"));

interface Worker {
  readonly child: Child;
  readonly scope: Scope.CloseableScope;
}

const broken = (how: string, cause?: unknown): PoolError =>
  new PoolError({ reason: "Broken", message: `Cannot run the task: the workers of the pool ${how}`, cause });

const closed = (): PoolError =>
  new PoolError({ reason: "Closed", message: "Cannot run the task: the scope of the pool has closed" });
