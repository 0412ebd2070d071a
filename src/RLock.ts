/**
 * A lock that one fiber of one process holds at a time, any number of times.
 *
 * A fiber that has taken the lock can take it again, and must release it as often. Other fibers of the process wait, as
 * other processes do.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect } from "effect";
 *
 * const program = Effect.gen(function* () {
 *   const lock = yield* Mp.RLock.make();
 *
 *   const inner = lock.withLock(lock.depth);
 *   console.log(yield* lock.withLock(inner));
 *
 *   // The hold is the caller's, although `Effect.timeout` runs `take` in a fiber of its own.
 *   yield* Effect.timeout(lock.take, "1 second");
 *   console.log(yield* lock.isMine, yield* lock.depth);
 *
 *   // A fiber that is forked inside is inside, too.
 *   console.log(yield* Effect.all([inner, lock.isMine], { concurrency: 2 }));
 *   yield* lock.release;
 *   console.log((yield* Effect.flip(lock.release))._tag);
 * }).pipe(Effect.scoped);
 *
 * if (import.meta.main) Mp.runMain(program);
 * ```
 *
 * ```text
 * 2
 * true 1
 * [ 2, true ]
 * SyncError
 * ```
 *
 * ## Which fibers own it
 *
 * - A hold belongs to the caller, not to the fiber that an operator made for it: `Effect.timeout(lock.take, "1
 *   second")`, and `take` under `Effect.race`, `Effect.all` or `Fiber.join`, leave the lock with the caller.
 * - A fiber that is forked while the lock is held is inside until that hold is released: it may take the lock again. Of
 *   the fibers inside one hold, one at a time has taken the lock again; the others wait for it, and so does the holder.
 * - A fiber that was forked before the hold, a fiber of `Effect.runFork`, and another process are outside. A daemon
 *   fiber is outside as soon as the hold in which it was forked has been released.
 * - A hold of a fiber that ends without `Fiber.join` and without a release stays. Prefer `withLock`, which releases in
 *   any case.
 *
 * The documentation of `Lock` describes the guarantees of all locks: turns, the death of a holder, and the two ways in which
 * processes use a lock, by memory and by messages.
 *
 * ## From Python
 *
 * | Python | here |
 * | --- | --- |
 * | `RLock()` | `RLock.make()` |
 * | `acquire()`, `release()` | `lock.take`, `lock.release` |
 * | `acquire(timeout=1)` | `Effect.timeout(lock.take, "1 second")` |
 * | the thread that owns it | the fiber that owns it: `lock.isMine`, `lock.depth` |
 * | `AssertionError` of `release` | the `SyncError` `NotOwner` |
 *
 * @module
 */
import type * as Effect from "effect/Effect";
import type * as Option from "effect/Option";
import type { Pipeable } from "effect/Pipeable";
import type * as Scope from "effect/Scope";
import type { Unsupported } from "./Backend.ts";
import { Unreachable } from "./internal/objects/errors.ts";
import type { Carrier, CarrierOptions, Held, Statistics, WithOptions } from "./Lock.ts";
import { lazily } from "./internal/os/lazy.ts";
import { SyncError, type SyncFailure } from "./internal/sync/errors.ts";
import type { Owner } from "./internal/sync/object.ts";

export { SyncError, Unreachable };
export type { Carrier, CarrierOptions, Held, Owner, Statistics, SyncFailure, Unsupported, WithOptions };

const implementation = lazily(() => import("./internal/sync/rlock.ts"));

/**
 * Marks recursive locks.
 *
 * @since 0.1.0
 * @category symbols
 */
export const TypeId = "~multiprocessing/RLock" as const;

/**
 * Type of {@link TypeId}.
 *
 * @since 0.1.0
 * @category symbols
 */
export type TypeId = typeof TypeId;

/**
 * A recursive lock. A fiber that has taken it can take it again, and must release it as often; other fibers of this process wait, as
 * other processes do. Otherwise it is like a `Lock`.
 *
 * - A hold belongs to the program that took it, not to the fiber that an operator made for it: `Effect.timeout(lock.take, "1 second")`,
 *   and `take` under `Effect.race`, `Effect.all` or `Fiber.join`, leave the lock with the caller.
 * - A fiber that is forked while the lock is held is inside, until that hold is released: it may take the lock again. Of the fibers
 *   inside one hold, one at a time has taken the lock again; the others wait for it, and so does the holder.
 * - A fiber that was forked before the hold, a fiber of `Effect.runFork`, and another process are outside. A daemon fiber is outside as
 *   soon as the hold in which it was forked has been released.
 * - A hold of a fiber that ends without `Fiber.join` and without a release stays: prefer `withLock`.
 *
 * @since 0.1.0
 * @category models
 */
export interface RLock extends Pipeable {
  /** Marks a recursive lock. */
  readonly [TypeId]: TypeId;
  /** Name of the process that made the object. */
  readonly host: string;
  /** How this process uses the lock. */
  readonly carrier: Carrier;
  /** Takes the lock when it is free, or once more. *Interruption:* the lock is not taken. */
  readonly take: Effect.Effect<Held, SyncFailure>;
  /** Takes the lock if it is free now, or this fiber holds it, or its holder is dead. Returns whether it was taken. */
  readonly tryTake: Effect.Effect<boolean, SyncFailure>;
  /** Releases the innermost hold of this fiber. Fails with the `SyncError` `NotOwner` if the fiber has none. */
  readonly release: Effect.Effect<void, SyncFailure>;
  /** Takes the lock until the scope closes. *Interruption:* of the wait: the lock is not taken. *Release:* releases the lock. */
  readonly acquire: Effect.Effect<Held, SyncFailure, Scope.Scope>;
  /** Runs an effect while holding the lock. *Interruption:* interrupts the effect; the lock is released however the effect ends. */
  readonly withLock: <A, E, R, E2 = never, R2 = never>(
    effect: Effect.Effect<A, E, R>,
    options?: WithOptions<E2, R2>,
  ) => Effect.Effect<A, E | NoInfer<E2> | SyncFailure, R | NoInfer<R2>>;
  /** Whether any process holds the lock. */
  readonly isLocked: Effect.Effect<boolean, SyncFailure>;
  /** Whether this fiber is inside. */
  readonly isMine: Effect.Effect<boolean, SyncFailure>;
  /** Number of holds of this fiber. */
  readonly depth: Effect.Effect<number, SyncFailure>;
  /** The process that holds the lock. */
  readonly owner: Effect.Effect<Option.Option<Owner>, SyncFailure>;
  /** The state of the object at this moment. */
  readonly statistics: Effect.Effect<Statistics, SyncFailure>;
}

/**
 * A recursive lock that is used in memory only.
 *
 * @since 0.1.0
 * @category models
 */
export interface MemoryRLock extends RLock {
  /** `tryTake` as a plain function, within a fiber. Throws a {@link SyncFailure}. */
  readonly unsafeTryTake: () => boolean;
  /** `release` as a plain function, within a fiber. Throws a {@link SyncFailure}. */
  readonly unsafeRelease: () => void;
}

/**
 * Makes a recursive lock. Fails as `Lock.make` does.
 *
 * *Release:* later uses and current waits fail with `Unreachable`.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect } from "effect";
 *
 * const program = Effect.gen(function* () {
 *   const lock = yield* Mp.RLock.make();
 *   const inner = lock.withLock(lock.depth);
 *   console.log(yield* lock.withLock(inner)); // 2
 * }).pipe(Effect.scoped);
 *
 * await Effect.runPromise(program);
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make: {
  (options: CarrierOptions & { readonly carrier: "memory" }): Effect.Effect<MemoryRLock, SyncFailure, Scope.Scope>;
  (options?: CarrierOptions): Effect.Effect<RLock, SyncFailure, Scope.Scope>;
} = (options?: CarrierOptions): Effect.Effect<MemoryRLock, SyncFailure, Scope.Scope> =>
  implementation(({ make }) => make(options));

/**
 * Whether a value is a recursive lock.
 *
 * @since 0.1.0
 * @category guards
 */
export const isRLock = (value: unknown): value is RLock =>
  typeof value === "object" && value !== null && TypeId in value;
