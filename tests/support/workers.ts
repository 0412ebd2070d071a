/**
 * Processes that several tests share: the workers of one pool. A process for each test would take most of the time of
 * the tests. A test of the start, the end or the death of a process starts its own.
 *
 * @module
 */
import * as Context from "effect/Context";
import * as Effect from "effect/Effect";
import * as Fiber from "effect/Fiber";
import type * as Layer from "effect/Layer";
import type * as Scope from "effect/Scope";
import * as Stream from "effect/Stream";
import * as Backend from "../../src/Backend.ts";
import * as Pool from "../../src/Pool.ts";
import type * as Task from "../../src/Task.ts";
import { group, type Step } from "./suite.ts";

/** The pool of a group of tests. */
export interface Workers {
  readonly pool: Pool.Pool;
}

export const Workers: Context.Tag<Workers, Workers> = Context.GenericTag<Workers>("tests/Workers");

/** Runs a task in a worker, as `Process.run` does in a process of its own. */
export const run = <Args extends ReadonlyArray<unknown>, A, E>(
  task: Task.Task<Args, A, E>,
  ...args: Args
): Effect.Effect<A, E | Pool.PoolFailure, Workers> => Effect.flatMap(Workers, ({ pool }) => pool.apply(task, ...args));

/** Reads the stream of a task, as `Process.stream` does in a process of its own. */
export const stream = <Args extends ReadonlyArray<unknown>, A, E>(
  task: Task.StreamTask<Args, A, E>,
  ...args: Args
): Stream.Stream<A, E | Pool.PoolFailure, Workers> =>
  Stream.unwrap(Effect.map(Workers, ({ pool }) => pool.stream(task, ...args)));

/** Runs a task in a worker while the scope is open, as `Process.spawn` does in a process of its own. */
export const spawn = <Args extends ReadonlyArray<unknown>, A, E>(
  task: Task.Task<Args, A, E>,
  ...args: Args
): Effect.Effect<{ readonly join: Effect.Effect<A, E | Pool.PoolFailure> }, never, Workers | Scope.Scope> =>
  Effect.map(Effect.forkScoped(run(task, ...args)), (fiber) => ({ join: Fiber.join(fiber) }));

/** Registers tests that share the workers of one pool on this backend, and the other results of `setup`. */
export const withWorkers = <R = never>(
  name: string,
  layer: Layer.Layer<Backend.Backend>,
  size: number,
  steps: ReadonlyArray<Step<R | Backend.Backend | Workers | Scope.Scope>>,
  setup: Effect.Effect<Context.Context<R>, unknown, Backend.Backend | Scope.Scope> = Effect.succeed(
    Context.empty() as Context.Context<R>,
  ),
): void =>
  group<R | Backend.Backend | Workers | Scope.Scope, unknown>(
    name,
    Effect.gen(function* () {
      const backend = yield* Backend.Backend;
      const pool = yield* Pool.make({ size });
      const shared = Context.make(Workers, { pool }).pipe(Context.add(Backend.Backend, backend));
      return Context.merge(shared, yield* setup) as Context.Context<
        Exclude<R | Backend.Backend | Workers | Scope.Scope, Scope.Scope>
      >;
    }).pipe(Effect.provide(layer)),
    steps,
  );
