/**
 * A number of permits that processes share, in shared memory.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect } from "effect";
 *
 * const program = Effect.gen(function* () {
 *   const downloads = yield* Mp.Semaphore.make({ permits: 4 });
 *   // At most four at once, whichever process they are in.
 *   console.log(yield* downloads.withPermits(3)(downloads.available), yield* downloads.available);
 *
 *   const bounded = yield* Mp.Semaphore.bounded({ permits: 1 });
 *   console.log((yield* Effect.flip(bounded.release()))._tag);
 * }).pipe(Effect.scoped);
 *
 * if (import.meta.main) Mp.runMain(program);
 * ```
 *
 * ```text
 * 1 4
 * SyncError
 * ```
 *
 * - Permits that a process has not released when it dies come back within a second. For a semaphore by which one
 *   process tells another that there is work, say `reclaim: false`: a permit that was taken is then used up.
 * - Processes take turns, and the fibers of one process stand in a line. A request for many permits is not overtaken,
 *   so it does not starve.
 * - Any process may release, also permits that it has not taken. A bounded semaphore refuses more permits than it began
 *   with.
 *
 * The documentation of `Lock` says what holds for all objects of this kind. The memory is shared with subprocesses over
 * FFI, on Linux: with `--allow-ffi`, here and in the child, which has it if this program has all of it. Without it, and
 * on other systems, the object is shared among workers, and a subprocess that is given it fails with `Unsupported`.
 *
 * ## From Python
 *
 * | Python | here |
 * | --- | --- |
 * | `Semaphore(n)`, `BoundedSemaphore(n)` | `Semaphore.make({ permits: n })`, `Semaphore.bounded({ permits: n })` |
 * | `acquire()`, `release()` | `semaphore.take()`, `semaphore.release()` |
 * | `with semaphore` | `semaphore.withPermits(1)(effect)` |
 * | `get_value()` | `semaphore.available`, on each system |
 * | `ValueError` of a bounded semaphore | a `SyncError` |
 *
 * @module
 */
import type * as Effect from "effect/Effect";
import type * as Scope from "effect/Scope";
import type { Unsupported } from "./Backend.ts";
import { Unreachable } from "./internal/objects/errors.ts";
import { lazily } from "./internal/os/lazy.ts";
import { SyncError } from "./internal/sync/errors.ts";
import type { Failure } from "./internal/sync/object.ts";

export { SyncError, Unreachable };
export type { Failure, Unsupported };

const implementation = lazily(() => import("./internal/sync/semaphore.ts"));

/**
 * Marks semaphores.
 *
 * @since 0.1.0
 * @category symbols
 */
export const TypeId = "~multiprocessing/Semaphore" as const;

/**
 * Type of {@link TypeId}.
 *
 * @since 0.1.0
 * @category symbols
 */
export type TypeId = typeof TypeId;

/**
 * What is known of a semaphore at this moment.
 *
 * @since 0.1.0
 * @category models
 */
export interface Statistics {
  /** Permits that are there. */
  readonly available: number;
  /** Permits that this process has; 0 if those of the dead do not come back. */
  readonly held: number;
  /** Fibers of this process that wait. */
  readonly waiting: number;
  /** Processes and workers that wait. */
  readonly waitingProcesses: number;
}

/**
 * A semaphore. It can be sent to any process that can see the memory; each copy denotes the same semaphore.
 *
 * - Permits that a process has not released when it dies come back within a second, if a fiber waits, or with the next `tryTake`.
 *   For semaphores that one process releases and another takes, as a signal, see {@link Options.reclaim}.
 * - Processes take turns, and the fibers of one process stand in a line. Requests are served in strict order, so a request for
 *   many permits does not starve.
 * - Any process may release, also permits that it has not taken, up to the bound.
 * - When the scope that made it closes, later uses and current waits fail with `Unreachable`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Semaphore {
  /** Marks it as a semaphore. */
  readonly [TypeId]: TypeId;
  /** Name of the process that made it. */
  readonly host: string;
  /** The most permits that it can have; `undefined` if it is not bounded. */
  readonly bound: number | undefined;
  /** Takes permits, one unless a number is given, when they are there. *Interruption:* none is taken. */
  readonly take: (permits?: number) => Effect.Effect<void, Failure>;
  /** Takes permits if they are there now and nobody waits; whether they were taken. */
  readonly tryTake: (permits?: number) => Effect.Effect<boolean, Failure>;
  /** Gives permits back. Fails with the `SyncError` `OverRelease` if there would be more than it can have. */
  readonly release: (permits?: number) => Effect.Effect<void, Failure>;
  /** Takes permits until the scope closes. *Interruption:* while it waits, none is taken. *Release:* gives them back. */
  readonly acquire: (permits?: number) => Effect.Effect<void, Failure, Scope.Scope>;
  /** Runs an effect while having permits. *Interruption:* gives them back, however the effect ends. */
  readonly withPermits: (
    permits: number,
  ) => <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | Failure, R>;
  /** Permits that are there. Python's `get_value`. */
  readonly available: Effect.Effect<number, Failure>;
  /** What is known of it. */
  readonly statistics: Effect.Effect<Statistics, Failure>;
  /** `tryTake` as a plain function, for hot loops. Throws a {@link Failure}. */
  readonly unsafeTryTake: (permits?: number) => boolean;
  /** `release` as a plain function, for hot loops. Throws a {@link Failure}. */
  readonly unsafeRelease: (permits?: number) => void;
}

/**
 * Options of a semaphore.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Permits that it begins with, 0 or more. @default 1 */
  readonly permits?: number | undefined;
  /**
   * Whether permits come back from processes that die with them. With `false`, a permit that was taken is used up: for semaphores
   * by which one process tells another that there is something to do.
   *
   * @default true
   */
  readonly reclaim?: boolean | undefined;
}

/**
 * Makes a semaphore. More permits can be released than it began with.
 *
 * Fails with the `SyncError` `InvalidArgument` if `permits` is not an integer in range, and otherwise as `Lock.make` does.
 *
 * *Release:* later uses, and current waits, fail with `Unreachable`.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect } from "effect";
 *
 * const program = Effect.gen(function* () {
 *   const downloads = yield* Mp.Semaphore.make({ permits: 4 });
 *   yield* downloads.withPermits(1)(Effect.log("at most four at once, whichever process they are in"));
 *   console.log(yield* downloads.available); // 4
 * }).pipe(Effect.scoped);
 *
 * await Effect.runPromise(program);
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<Semaphore, Failure, Scope.Scope> =>
  implementation(({ make }) => make(options, false));

/**
 * Makes a semaphore that never has more permits than it began with: to release too many is the `SyncError` `OverRelease`. Python's
 * `BoundedSemaphore`. Fails as {@link make} does.
 *
 * *Release:* later uses, and current waits, fail with `Unreachable`.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect } from "effect";
 *
 * const program = Effect.gen(function* () {
 *   const semaphore = yield* Mp.Semaphore.bounded({ permits: 1 });
 *   const error = yield* Effect.flip(semaphore.release());
 *   console.log(error.message); // Cannot release 1 permits: the semaphore would have more than 1
 * }).pipe(Effect.scoped);
 *
 * await Effect.runPromise(program);
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const bounded = (options: Options = {}): Effect.Effect<Semaphore, Failure, Scope.Scope> =>
  implementation(({ make }) => make(options, true));

/**
 * Whether a value is a semaphore.
 *
 * @since 0.1.0
 * @category guards
 */
export const isSemaphore = (value: unknown): value is Semaphore =>
  typeof value === "object" && value !== null && TypeId in value;
