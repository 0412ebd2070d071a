/**
 * A lock that one fiber of one process holds at a time, any number of times, in shared memory.
 *
 * A fiber that has taken the lock can take it again, and must release it as many times. Other fibers of the process
 * wait, as other processes do.
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
 * The documentation of `Lock` says what holds for all locks: turns, and the death of a holder. The memory is shared
 * with subprocesses over FFI, on Linux: with `--allow-ffi`, here and in the child, which has it if this program has all
 * of it. Without it, and on other systems, the object is shared among workers, and a subprocess that is given it fails
 * with `Unsupported`.
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
import type * as Scope from "effect/Scope";
import type { Unsupported } from "./Backend.ts";
import { Unreachable } from "./internal/objects/errors.ts";
import type { Held, Statistics, WithOptions } from "./Lock.ts";
import { lazily } from "./internal/os/lazy.ts";
import { SyncError } from "./internal/sync/errors.ts";
import type { Failure, Owner } from "./internal/sync/object.ts";

export { SyncError, Unreachable };
export type { Failure, Held, Owner, Statistics, Unsupported, WithOptions };

const implementation = lazily(() => import("./internal/sync/lock.ts"));

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
 * A recursive lock. The fiber that has taken it can take it again, and must release it as often; other fibers of this process have to
 * wait, as other processes have. Otherwise it is like a `Lock`.
 *
 * - A hold belongs to the program that took it, not to the fiber that an operator made for it: `Effect.timeout(lock.take, "1 second")`,
 *   and `take` under `Effect.race`, `Effect.all` or `Fiber.join`, leave the lock with the caller.
 * - A fiber that is forked while the lock is held is inside, until that hold is released: it may take the lock again. Of the fibers
 *   inside one hold, one at a time has taken the lock again, and the others wait for it; the holder itself as well.
 * - A fiber that was forked before, `Effect.runFork`, and another process are outside. So is a daemon whose hold has been released.
 * - A hold of a fiber that ends without `Fiber.join` and without a release stays: prefer `withLock`.
 *
 * @since 0.1.0
 * @category models
 */
export interface RLock {
  /** Marks it as a recursive lock. */
  readonly [TypeId]: TypeId;
  /** Name of the process that made it. */
  readonly host: string;
  /** Takes it when it is free, or once more. *Interruption:* it is not taken. */
  readonly take: Effect.Effect<Held, Failure>;
  /** Takes it if it is free now or this fiber's own, or its holder is dead; whether it was taken. */
  readonly tryTake: Effect.Effect<boolean, Failure>;
  /** Releases the innermost hold that this fiber is in. Fails with the `SyncError` `NotOwner` if it is in none. */
  readonly release: Effect.Effect<void, Failure>;
  /** Takes it until the scope closes. *Interruption:* while it waits, it is not taken. *Release:* gives it back. */
  readonly acquire: Effect.Effect<Held, Failure, Scope.Scope>;
  /** Runs an effect while holding it. *Interruption:* gives it back, however the effect ends. */
  readonly withLock: <A, E, R, E2 = never, R2 = never>(
    effect: Effect.Effect<A, E, R>,
    options?: WithOptions<E2, R2>,
  ) => Effect.Effect<A, E | E2 | Failure, R | R2>;
  /** Whether anybody holds it. */
  readonly isLocked: Effect.Effect<boolean, Failure>;
  /** Whether this fiber is in a hold. */
  readonly isMine: Effect.Effect<boolean, Failure>;
  /** How many holds this fiber is in. */
  readonly depth: Effect.Effect<number, Failure>;
  /** Which process holds it. */
  readonly owner: Effect.Effect<Option.Option<Owner>, Failure>;
  /** What is known of it. */
  readonly statistics: Effect.Effect<Statistics, Failure>;
  /** `tryTake` as a plain function, within a fiber. Throws a {@link Failure}. */
  readonly unsafeTryTake: () => boolean;
  /** `release` as a plain function, within a fiber. Throws a {@link Failure}. */
  readonly unsafeRelease: () => void;
}

/**
 * Makes a recursive lock. Fails as `Lock.make` does.
 *
 * *Release:* later uses, and current waits, fail with `Unreachable`.
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
export const make = (): Effect.Effect<RLock, Failure, Scope.Scope> => implementation(({ makeR }) => makeR);

/**
 * Whether a value is a recursive lock.
 *
 * @since 0.1.0
 * @category guards
 */
export const isRLock = (value: unknown): value is RLock =>
  typeof value === "object" && value !== null && TypeId in value;
