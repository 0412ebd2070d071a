/**
 * A lock that many processes share to read, or one process holds alone to write, in shared memory. Python has none.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect } from "effect";
 *
 * const program = Effect.gen(function* () {
 *   const lock = yield* Mp.ReadWriteLock.make();
 *   yield* lock.write.withLock(Effect.sync(() => console.log("alone")));
 *   const read = lock.read.withLock(Effect.sync(() => console.log("with other readers")));
 *   yield* Effect.all([read, read], { concurrency: 2 });
 * }).pipe(Effect.scoped);
 *
 * if (import.meta.main) Mp.runMain(program);
 * ```
 *
 * ```text
 * alone
 * with other readers
 * with other readers
 * ```
 *
 * Readers and writers go in phases, so neither side starves. The documentation of `Lock` says what holds for all locks:
 * turns, and the death of a holder. The memory is shared with subprocesses over FFI, on Linux: with `--allow-ffi`, here
 * and in the child, which has it if this program has all of it. Without it, and on other systems, the object is shared
 * among workers, and a subprocess that is given it fails with `Unsupported`.
 *
 * @module
 */
import type * as Effect from "effect/Effect";
import type * as Option from "effect/Option";
import type * as Scope from "effect/Scope";
import type { Unsupported } from "./Backend.ts";
import { Unreachable } from "./internal/objects/errors.ts";
import type { Held, WithOptions } from "./Lock.ts";
import { lazily } from "./internal/os/lazy.ts";
import { SyncError } from "./internal/sync/errors.ts";
import type { Failure, Owner } from "./internal/sync/object.ts";

export { SyncError, Unreachable };
export type { Failure, Held, Owner, Unsupported, WithOptions };

const implementation = lazily(() => import("./internal/sync/read_write_lock.ts"));

/**
 * Marks locks for readers and writers.
 *
 * @since 0.1.0
 * @category symbols
 */
export const TypeId = "~multiprocessing/ReadWriteLock" as const;

/**
 * Type of {@link TypeId}.
 *
 * @since 0.1.0
 * @category symbols
 */
export type TypeId = typeof TypeId;

/**
 * What is known of a lock for readers and writers at this moment.
 *
 * @since 0.1.0
 * @category models
 */
export interface Statistics {
  /** How many read, in all processes. */
  readonly readers: number;
  /** The process that writes. */
  readonly writer: Option.Option<Owner>;
  /** Whether a writer has died with it, and no other has written since. */
  readonly abandoned: boolean;
  /** Fibers of this process that wait. */
  readonly waiting: number;
  /** Fibers that wait to read, in all processes. */
  readonly waitingReaders: number;
  /** Processes and workers that wait to write. */
  readonly waitingProcesses: number;
}

/**
 * One side of a lock for readers and writers.
 *
 * @since 0.1.0
 * @category models
 */
export interface Side {
  /** Takes it when it can be had. *Interruption:* it is not taken. */
  readonly take: Effect.Effect<Held, Failure>;
  /** Takes it if it can be had now; whether it was taken. */
  readonly tryTake: Effect.Effect<boolean, Failure>;
  /** Gives it back. Fails with the `SyncError` `NotOwner` if this process does not have it. */
  readonly release: Effect.Effect<void, Failure>;
  /** Takes it until the scope closes. *Interruption:* while it waits, it is not taken. *Release:* gives it back. */
  readonly acquire: Effect.Effect<Held, Failure, Scope.Scope>;
  /** Runs an effect while having it. *Interruption:* gives it back, however the effect ends. */
  readonly withLock: <A, E, R, E2 = never, R2 = never>(
    effect: Effect.Effect<A, E, R>,
    options?: WithOptions<E2, R2>,
  ) => Effect.Effect<A, E | E2 | Failure, R | R2>;
  /** `tryTake` as a plain function, for hot loops. Throws a {@link Failure}. */
  readonly unsafeTryTake: () => boolean;
  /** `release` as a plain function, for hot loops. Throws a {@link Failure}. */
  readonly unsafeRelease: () => void;
}

/**
 * A lock for readers and writers. It can be sent to any process that can see the memory; each copy denotes the same lock.
 *
 * - Many fibers may read at once, in any process, or one process may write. No reader sees half-written data.
 * - A reader waits while a writer waits. After a writer, all readers that wait by then go first, and then the next writer: neither
 *   side starves the other.
 * - When a reader or a writer is killed, the others go on within a second. After the death of a writer, readers and writers are told
 *   that the lock was abandoned, until a writer has released it.
 * - When the scope that made it closes, later uses and current waits fail with `Unreachable`.
 *
 * @since 0.1.0
 * @category models
 */
export interface ReadWriteLock {
  /** Marks it as a lock for readers and writers. */
  readonly [TypeId]: TypeId;
  /** Name of the process that made it. */
  readonly host: string;
  /** To read, with others. */
  readonly read: Side;
  /** To write, alone. */
  readonly write: Side;
  /** What is known of it. */
  readonly statistics: Effect.Effect<Statistics, Failure>;
}

/**
 * Makes a lock for readers and writers. Fails as `Lock.make` does.
 *
 * *Release:* later uses, and current waits, fail with `Unreachable`.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect } from "effect";
 *
 * const program = Effect.gen(function* () {
 *   const lock = yield* Mp.ReadWriteLock.make();
 *   yield* lock.write.withLock(Effect.log("alone"));
 *   const read = lock.read.withLock(Effect.log("with others"));
 *   yield* Effect.all([read, read], { concurrency: 2 });
 * }).pipe(Effect.scoped);
 *
 * await Effect.runPromise(program);
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (): Effect.Effect<ReadWriteLock, Failure, Scope.Scope> => implementation(({ make }) => make);

/**
 * Whether a value is a lock for readers and writers.
 *
 * @since 0.1.0
 * @category guards
 */
export const isReadWriteLock = (value: unknown): value is ReadWriteLock =>
  typeof value === "object" && value !== null && TypeId in value;
