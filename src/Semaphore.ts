/**
 * A semaphore: a number of permits that processes share.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect } from "effect";
 *
 * const program = Effect.gen(function* () {
 *   const downloads = yield* Mp.Semaphore.make({ permits: 4 });
 *   // At most four at once, in all processes together.
 *   console.log(yield* downloads.withPermits(downloads.available, 3), yield* downloads.available);
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
 * - Permits that a process has not released when it dies come back within a second. For a semaphore by which one process
 *   signals work to another, pass `reclaim: false`: a permit that was taken is then used up.
 * - Processes take turns, and the fibers of one process are served in order. A request for many permits is not overtaken,
 *   so it does not starve.
 * - Any process may release, also permits that it has not taken. A bounded semaphore never has more permits than it was
 *   made with.
 *
 * The documentation of `Lock` describes the guarantees of all objects of this kind, and the two ways in which processes use
 * them, by memory and by messages.
 *
 * ## From Python
 *
 * | Python | here |
 * | --- | --- |
 * | `Semaphore(n)`, `BoundedSemaphore(n)` | `Semaphore.make({ permits: n })`, `Semaphore.bounded({ permits: n })` |
 * | `acquire()`, `release()` | `semaphore.take()`, `semaphore.release()` |
 * | `with semaphore` | `semaphore.withPermits(effect)` |
 * | `get_value()` | `semaphore.available`, on every system |
 * | `ValueError` of a bounded semaphore | a `SyncError` |
 *
 * @module
 */
import type * as Effect from "effect/Effect";
import type { Pipeable } from "effect/Pipeable";
import type * as Scope from "effect/Scope";
import type { Unsupported } from "./Backend.ts";
import { Unreachable } from "./internal/objects/errors.ts";
import type { Carrier, CarrierOptions } from "./Lock.ts";
import { lazily } from "./internal/os/lazy.ts";
import { SyncError, type SyncFailure } from "./internal/sync/errors.ts";

export { SyncError, Unreachable };
export type { Carrier, SyncFailure, Unsupported };

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
 * The state of a semaphore at this moment.
 *
 * @since 0.1.0
 * @category models
 */
export interface Statistics {
  /** Free permits. */
  readonly available: number;
  /** Permits that this process holds; 0 if the semaphore does not reclaim permits. */
  readonly held: number;
  /** Waiting fibers of this process. */
  readonly waiting: number;
  /** Waiting processes and workers. */
  readonly waitingProcesses: number;
}

/**
 * A semaphore. It can be sent to any process; each copy refers to the same semaphore.
 *
 * - Permits that a process has not released when it dies come back within a second, if a fiber waits, or with the next `tryTake`.
 *   For semaphores that one process releases and another takes, as a signal, see {@link Options.reclaim}.
 * - Processes take turns, and the fibers of one process are served in order. Requests are served in strict order, so a request for
 *   many permits does not starve.
 * - Any process may release, also permits that it has not taken, up to the bound.
 * - When the scope that made it closes, later uses and current waits fail with `Unreachable`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Semaphore extends Pipeable {
  /** Marks a semaphore. */
  readonly [TypeId]: TypeId;
  /** Name of the process that made the object. */
  readonly host: string;
  /** How this process uses the object. */
  readonly carrier: Carrier;
  /** The largest number of free permits; `undefined` if the semaphore is not bounded. */
  readonly bound: number | undefined;
  /** Takes permits, one by default, waiting until they are free. *Interruption:* no permit is taken. */
  readonly take: (permits?: number) => Effect.Effect<void, SyncFailure>;
  /** Takes permits if they are free now and no fiber waits. Returns whether they were taken. */
  readonly tryTake: (permits?: number) => Effect.Effect<boolean, SyncFailure>;
  /** Releases permits. Fails with the `SyncError` `OverRelease` if that would exceed the bound. */
  readonly release: (permits?: number) => Effect.Effect<void, SyncFailure>;
  /** Takes permits until the scope closes. *Interruption:* of the wait: no permit is taken. *Release:* releases them. */
  readonly acquire: (permits?: number) => Effect.Effect<void, SyncFailure, Scope.Scope>;
  /** Runs an effect while holding permits, one by default. *Interruption:* interrupts the effect; the permits are released however the effect ends. */
  readonly withPermits: <A, E, R>(
    effect: Effect.Effect<A, E, R>,
    permits?: number,
  ) => Effect.Effect<A, E | SyncFailure, R>;
  /** Free permits. Python's `get_value`. */
  readonly available: Effect.Effect<number, SyncFailure>;
  /** The state of the object at this moment. */
  readonly statistics: Effect.Effect<Statistics, SyncFailure>;
}

/**
 * A semaphore that is used in memory only.
 *
 * @since 0.1.0
 * @category models
 */
export interface MemorySemaphore extends Semaphore {
  /** `tryTake` as a plain function, for hot loops. Throws a {@link SyncFailure}. */
  readonly unsafeTryTake: (permits?: number) => boolean;
  /** `release` as a plain function, for hot loops. Throws a {@link SyncFailure}. */
  readonly unsafeRelease: (permits?: number) => void;
}

/**
 * Options of a semaphore.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends CarrierOptions {
  /** Permits at the beginning: 0 or more. @default 1 */
  readonly permits?: number | undefined;
  /**
   * Whether the permits of a process that dies come back. With `false`, a permit that was taken is used up: for semaphores by which one
   * process signals work to another.
   *
   * @default true
   */
  readonly reclaim?: boolean | undefined;
}

/**
 * Makes a semaphore without a bound: more permits can be released than it was made with.
 *
 * Fails with the `SyncError` `InvalidArgument` if `permits` is not an integer in range, and otherwise as `Lock.make` does.
 *
 * *Release:* later uses and current waits fail with `Unreachable`.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect } from "effect";
 *
 * const program = Effect.gen(function* () {
 *   const downloads = yield* Mp.Semaphore.make({ permits: 4 });
 *   yield* downloads.withPermits(Effect.log("at most four at once, in all processes together"));
 *   console.log(yield* downloads.available); // 4
 * }).pipe(Effect.scoped);
 *
 * await Effect.runPromise(program);
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make: {
  (options: Options & { readonly carrier: "memory" }): Effect.Effect<MemorySemaphore, SyncFailure, Scope.Scope>;
  (options?: Options): Effect.Effect<Semaphore, SyncFailure, Scope.Scope>;
} = (options: Options = {}): Effect.Effect<MemorySemaphore, SyncFailure, Scope.Scope> =>
  implementation(({ make }) => make(options, false));

/**
 * Makes a semaphore that never has more permits than it was made with: releasing too many fails with the `SyncError` `OverRelease`.
 * Python's `BoundedSemaphore`. Fails as {@link make} does.
 *
 * *Release:* later uses and current waits fail with `Unreachable`.
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
export const bounded: {
  (options: Options & { readonly carrier: "memory" }): Effect.Effect<MemorySemaphore, SyncFailure, Scope.Scope>;
  (options?: Options): Effect.Effect<Semaphore, SyncFailure, Scope.Scope>;
} = (options: Options = {}): Effect.Effect<MemorySemaphore, SyncFailure, Scope.Scope> =>
  implementation(({ make }) => make(options, true));

/**
 * Whether a value is a semaphore.
 *
 * @since 0.1.0
 * @category guards
 */
export const isSemaphore = (value: unknown): value is Semaphore =>
  typeof value === "object" && value !== null && TypeId in value;
