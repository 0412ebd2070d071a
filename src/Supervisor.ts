/**
 * Supervision of long-running children, as in Erlang's OTP: a child that ends is started again, alone or together with others.
 *
 * - A child is an Effect that runs as long as the child lives, such as `Process.run(task)`, or a scope with a pool in it.
 * - Children are started in their order, and ended in the reverse order; the end of each is awaited.
 * - A child that ends is started again after its `backoff`. If children are restarted more often than `intensity` allows, the supervisor
 *   ends all of them and fails, so that its own supervisor can decide.
 * - No child outlives its supervisor.
 *
 * | `strategy` | restarted with a child that has ended |
 * | --- | --- |
 * | `oneForOne` | only this child |
 * | `oneForAll` | all children |
 * | `restForOne` | this child and those after it, which depend on it |
 *
 * | `restart` | started again |
 * | --- | --- |
 * | `permanent` | always |
 * | `transient` | if it has failed |
 * | `temporary` | never |
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect, Schedule } from "effect";
 *
 * const crash = Mp.Task.make(import.meta, "crash", (path: string) => {
 *   Deno.writeTextFileSync(path, "x", { append: true });
 *   if (Deno.readTextFileSync(path).length < 3) Deno.exit(1);
 * });
 *
 * const program = Effect.gen(function* () {
 *   const path = yield* Effect.acquireRelease(
 *     Effect.sync(() => Deno.makeTempFileSync()),
 *     (path) => Effect.sync(() => Deno.removeSync(path)),
 *   );
 *   const supervisor = yield* Mp.Supervisor.make([
 *     { name: "crashing", run: Mp.Process.run(crash, path), restart: "transient" },
 *   ], { intensity: { restarts: 5, within: "1 minute" }, backoff: Schedule.exponential("10 millis") });
 *   yield* supervisor.await;
 *   console.log(yield* supervisor.statistics);
 * }).pipe(Effect.scoped, Effect.provide(Mp.SubprocessBackend.layer()));
 *
 * if (import.meta.main) Mp.runMain(program);
 * ```
 *
 * ```text
 * {
 *   restarts: 2,
 *   children: [ { name: "crashing", starts: 3, state: "Ended" } ]
 * }
 * ```
 *
 * @module
 */
import type * as Duration from "effect/Duration";
import type * as Effect from "effect/Effect";
import type * as Exit from "effect/Exit";
import type * as Schedule from "effect/Schedule";
import type * as Scope from "effect/Scope";
import { lazily } from "./internal/os/lazy.ts";
import type { SupervisorError } from "./internal/supervision/errors.ts";

const implementation = lazily(() => import("./internal/supervision/supervisor.ts"));

export { SupervisorError } from "./internal/supervision/errors.ts";

/**
 * A child to supervise.
 *
 * @since 0.1.0
 * @category models
 */
export interface Child<R = never> {
  /** Its name, unique among the children of its supervisor. */
  readonly name: string;
  /** Runs as long as the child lives. It is interrupted when the child is to end. */
  readonly run: Effect.Effect<unknown, unknown, R>;
  /** Whether it is started again when it has ended. @default "permanent" */
  readonly restart?: "permanent" | "transient" | "temporary" | undefined;
}

/** The number of restarts after which a supervisor gives up. @since 0.1.0 @category models */
export interface Intensity {
  /** Maximal number of restarts of all children. */
  readonly restarts: number;
  /** The time in which they are counted. */
  readonly within: Duration.DurationInput;
}

/**
 * News of a child.
 *
 * @since 0.1.0
 * @category models
 */
export type Event =
  | { readonly _tag: "Started"; readonly name: string; readonly starts: number }
  | { readonly _tag: "Ended"; readonly name: string; readonly exit: Exit.Exit<unknown, unknown> };

/** Options of a supervisor. @since 0.1.0 @category models */
export interface Options {
  /** Which children are restarted with a child that has ended. @default "oneForOne" */
  readonly strategy?: "oneForOne" | "oneForAll" | "restForOne" | undefined;
  /** The number of restarts after which the supervisor gives up. @default 3 restarts within 5 seconds */
  readonly intensity?: Intensity | undefined;
  /**
   * When a child starts again; its input is the failure of the child, or `undefined`. Each child has a schedule of its own, which begins
   * anew when the child has lived for longer than `intensity.within`. @default at once
   */
  readonly backoff?: Schedule.Schedule<unknown, unknown> | undefined;
  /** Runs with each start, and each end that the supervisor has not caused. A failure of it is logged. */
  readonly onEvent?: ((event: Event) => Effect.Effect<unknown, unknown>) | undefined;
}

/** The state of a child. @since 0.1.0 @category models */
export interface ChildState {
  /** Its name. */
  readonly name: string;
  /** Number of times that it was started. */
  readonly starts: number;
  /** `Waiting` for its start, `Running`, `Ended` for good, or `Stopped` by the supervisor. */
  readonly state: "Waiting" | "Running" | "Ended" | "Stopped";
}

/** A snapshot of a supervisor. @since 0.1.0 @category models */
export interface Statistics {
  /** Number of restarts so far. Children that are restarted together count as one. */
  readonly restarts: number;
  /** The children, in their order. */
  readonly children: ReadonlyArray<ChildState>;
}

/**
 * A running supervisor.
 *
 * @since 0.1.0
 * @category models
 */
export interface Supervisor {
  /**
   * Waits until no child is to be started again any more. Fails with the {@link SupervisorError} that says why the supervisor has given up, or
   * that it was stopped. *Interruption:* stops the waiting.
   */
  readonly await: Effect.Effect<void, SupervisorError>;
  /** Ends all children, the last one first, and waits until they have ended. */
  readonly stop: Effect.Effect<void>;
  /**
   * Ends a child and starts it again, with those that the strategy names. It does not count for the intensity. *Interruption:* stops the
   * waiting, not the restart.
   */
  readonly restart: (name: string) => Effect.Effect<void, SupervisorError>;
  /** A consistent snapshot of the supervisor. */
  readonly statistics: Effect.Effect<Statistics>;
}

/**
 * Starts children, and supervises them while the scope is open. Fails with the {@link SupervisorError} `InvalidOption` if an option or a
 * child is invalid.
 *
 * *Interruption:* ends the children that were started.
 * *Release:* ends all children, the last one first, and waits until they have ended.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect } from "effect";
 *
 * const serve = Mp.Task.make(import.meta, "serve", () => Effect.never);
 *
 * const program = Effect.gen(function* () {
 *   const supervisor = yield* Mp.Supervisor.make([
 *     { name: "database", run: Mp.Process.run(serve) },
 *     { name: "web", run: Mp.Process.run(serve) },
 *   ], { strategy: "restForOne" });
 *   yield* supervisor.restart("database");
 *   const { children } = yield* supervisor.statistics;
 *   console.log(children.map(({ name, starts }) => `${name}: ${starts}`));
 * }).pipe(Effect.scoped, Effect.provide(Mp.SubprocessBackend.layer()));
 *
 * if (import.meta.main) Mp.runMain(program); // [ "database: 2", "web: 2" ]
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <R = never>(
  children: ReadonlyArray<Child<R>>,
  options: Options = {},
): Effect.Effect<Supervisor, SupervisorError, R | Scope.Scope> =>
  implementation((module) => module.make(children, options));
