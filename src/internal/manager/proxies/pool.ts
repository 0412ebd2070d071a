/**
 * The client of managed pools.
 *
 * @module
 */
import type * as Effect from "effect/Effect";
import type * as Stream from "effect/Stream";
import type * as Pool from "../../../Pool.ts";
import type { StreamTask, Task } from "../../../Task.ts";
import { type Checks, iterable, optional, options as isOptions, positive } from "../../os/arguments.ts";
import { ask, askStream, checked, checkedStream, type ManagerFailure } from "../calls.ts";
import { tasks } from "./dict.ts";
import { type Proxy, Remote, TypeId } from "./remote.ts";

/**
 * A pool at the server: all processes that have its proxy run tasks in the same workers. The tasks belong to modules that the server
 * was told of, and have no Schemas. Python's `Pool` of a manager.
 *
 * @since 0.1.0
 * @category models
 */
export interface SharedPool extends Proxy {
  /** See {@link Pool.Pool.apply}. *Interruption:* stops the task, and waits until it has stopped. */
  readonly apply: <Args extends ReadonlyArray<unknown>, A, E>(
    task: Task<Args, A, E>,
    ...args: Args
  ) => Effect.Effect<A, E | Pool.PoolFailure | ManagerFailure>;
  /** See {@link Pool.Pool.map}. *Interruption:* stops the running tasks, and waits until they have stopped. */
  readonly map: <I, A, E>(
    task: Task<[I], A, E>,
    items: Iterable<I>,
    options?: Pick<Pool.MapOptions, "chunkSize">,
  ) => Effect.Effect<Array<A>, E | Pool.PoolFailure | ManagerFailure>;
  /** See {@link Pool.Pool.starmap}. */
  readonly starmap: <Args extends ReadonlyArray<unknown>, A, E>(
    task: Task<Args, A, E>,
    items: Iterable<Readonly<Args>>,
    options?: Pick<Pool.MapOptions, "chunkSize">,
  ) => Effect.Effect<Array<A>, E | Pool.PoolFailure | ManagerFailure>;
  /** See {@link Pool.Pool.mapUnordered}. */
  readonly mapUnordered: <I, A, E>(
    task: Task<[I], A, E>,
    items: Iterable<I>,
    options?: Pick<Pool.MapOptions, "chunkSize">,
  ) => Stream.Stream<A, E | Pool.PoolFailure | ManagerFailure>;
  /** See {@link Pool.Pool.stream}. */
  readonly stream: <Args extends ReadonlyArray<unknown>, A, E>(
    task: StreamTask<Args, A, E>,
    ...args: Args
  ) => Stream.Stream<A, E | Pool.PoolFailure | ManagerFailure>;
  /** Closes the pool: it accepts no more tasks, and finishes those that it has. */
  readonly close: Effect.Effect<void, ManagerFailure>;
  /** Waits until the tasks of a closed pool have ended, and its workers too. */
  readonly join: Effect.Effect<void, Pool.PoolError | ManagerFailure>;
  /** Stops all tasks, and waits until the workers have ended. */
  readonly terminate: Effect.Effect<void, ManagerFailure>;
  /** The state of the pool. */
  readonly statistics: Effect.Effect<Pool.Statistics, ManagerFailure>;
}

const map: Checks = { ...tasks, items: iterable, options: optional(isOptions({ chunkSize: optional(positive) })) };

/** The proxy of a pool. */
export class PoolProxy extends Remote implements SharedPool {
  apply = <Args extends ReadonlyArray<unknown>, A, E>(task: Task<Args, A, E>, ...args: Args) =>
    checked(
      "pool.apply",
      { task },
      tasks,
      () => ask<A, E | Pool.PoolFailure>(this[TypeId], "apply", [task.url, task.name], args),
    );
  map = <I, A, E>(task: Task<[I], A, E>, items: Iterable<I>, options?: Pick<Pool.MapOptions, "chunkSize">) =>
    checked(
      "pool.map",
      { task, items, options },
      map,
      () => ask<Array<A>, E | Pool.PoolFailure>(this[TypeId], "map", [task.url, task.name], [...items], options),
    );
  starmap = <Args extends ReadonlyArray<unknown>, A, E>(
    task: Task<Args, A, E>,
    items: Iterable<Readonly<Args>>,
    options?: Pick<Pool.MapOptions, "chunkSize">,
  ) =>
    checked(
      "pool.starmap",
      { task, items, options },
      map,
      () => ask<Array<A>, E | Pool.PoolFailure>(this[TypeId], "starmap", [task.url, task.name], [...items], options),
    );
  mapUnordered = <I, A, E>(task: Task<[I], A, E>, items: Iterable<I>, options?: Pick<Pool.MapOptions, "chunkSize">) =>
    checkedStream(
      "pool.mapUnordered",
      { task, items, options },
      map,
      () =>
        askStream<A, E | Pool.PoolFailure>(this[TypeId], "mapUnordered", [task.url, task.name], [...items], options),
    );
  stream = <Args extends ReadonlyArray<unknown>, A, E>(task: StreamTask<Args, A, E>, ...args: Args) =>
    checkedStream(
      "pool.stream",
      { task },
      tasks,
      () => askStream<A, E | Pool.PoolFailure>(this[TypeId], "stream", [task.url, task.name], args),
    );
  get close() {
    return ask<void>(this[TypeId], "close");
  }
  get join() {
    return ask<void, Pool.PoolError>(this[TypeId], "join");
  }
  get terminate() {
    return ask<void>(this[TypeId], "terminate");
  }
  get statistics() {
    return ask<Pool.Statistics>(this[TypeId], "statistics");
  }
}
