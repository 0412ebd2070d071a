/**
 * A lock that many processes share to read, or one process holds to write. Python has none.
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
 * Readers and writers go in phases, so neither side starves. The documentation of `Lock` describes the guarantees of all
 * locks: turns, the death of a holder, and the two ways in which processes use a lock, by memory and by messages.
 *
 * @module
 */
import type * as Effect from "effect/Effect";
import type * as Option from "effect/Option";
import type { Pipeable } from "effect/Pipeable";
import type * as Scope from "effect/Scope";
import type { Unsupported } from "./Backend.ts";
import { Unreachable } from "./internal/objects/errors.ts";
import type { Carrier, CarrierOptions, Held, WithOptions } from "./Lock.ts";
import { lazily } from "./internal/os/lazy.ts";
import { SyncError, type SyncFailure } from "./internal/sync/errors.ts";
import type { Owner } from "./internal/sync/object.ts";

export { SyncError, Unreachable };
export type { Carrier, CarrierOptions, Held, Owner, SyncFailure, Unsupported, WithOptions };

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
 * The state of a lock for readers and writers at this moment.
 *
 * @since 0.1.0
 * @category models
 */
export interface Statistics {
  /** Number of readers, in all processes. */
  readonly readers: number;
  /** The process that writes. */
  readonly writer: Option.Option<Owner>;
  /** Whether a writer has died with the lock, and no other has written since. */
  readonly abandoned: boolean;
  /** Waiting fibers of this process. */
  readonly waiting: number;
  /** Fibers of all processes that wait to read. */
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
  /** Takes this side, waiting until it can be had. *Interruption:* the side is not taken. */
  readonly take: Effect.Effect<Held, SyncFailure>;
  /** Takes this side if it can be had now. Returns whether it was taken. */
  readonly tryTake: Effect.Effect<boolean, SyncFailure>;
  /** Releases this side. Fails with the `SyncError` `NotOwner` if this process does not hold it. */
  readonly release: Effect.Effect<void, SyncFailure>;
  /** Takes this side until the scope closes. *Interruption:* of the wait: the side is not taken. *Release:* releases it. */
  readonly acquire: Effect.Effect<Held, SyncFailure, Scope.Scope>;
  /** Runs an effect while holding this side. *Interruption:* interrupts the effect; the side is released however the effect ends. */
  readonly withLock: <A, E, R, E2 = never, R2 = never>(
    effect: Effect.Effect<A, E, R>,
    options?: WithOptions<E2, R2>,
  ) => Effect.Effect<A, E | NoInfer<E2> | SyncFailure, R | NoInfer<R2>>;
}

/**
 * One side of a lock that is used in memory only.
 *
 * @since 0.1.0
 * @category models
 */
export interface MemorySide extends Side {
  /** `tryTake` as a plain function, for hot loops. Throws a {@link SyncFailure}. */
  readonly unsafeTryTake: () => boolean;
  /** `release` as a plain function, for hot loops. Throws a {@link SyncFailure}. */
  readonly unsafeRelease: () => void;
}

/**
 * A lock for readers and writers. It can be sent to any process; each copy refers to the same lock.
 *
 * - Many fibers may read at once, in any process, or one process may write. No reader sees half-written data.
 * - A reader waits while a writer waits. After a writer, all readers that wait by then go first, and then the next writer: neither
 *   side starves the other.
 * - When a reader or a writer is killed, the others go on within a second. After the death of a writer, `take` says that the lock was
 *   abandoned, until a writer has released it.
 * - When the scope that made it closes, later uses and current waits fail with `Unreachable`.
 *
 * @since 0.1.0
 * @category models
 */
export interface ReadWriteLock extends Pipeable {
  /** Marks a lock for readers and writers. */
  readonly [TypeId]: TypeId;
  /** Name of the process that made the object. */
  readonly host: string;
  /** How this process uses the object. */
  readonly carrier: Carrier;
  /** The side that many readers share. */
  readonly read: Side;
  /** The side of one writer. */
  readonly write: Side;
  /** The state of the object at this moment. */
  readonly statistics: Effect.Effect<Statistics, SyncFailure>;
}

/**
 * A lock for readers and writers that is used in memory only.
 *
 * @since 0.1.0
 * @category models
 */
export interface MemoryReadWriteLock extends ReadWriteLock {
  /** The side that many readers share. */
  readonly read: MemorySide;
  /** The side of one writer. */
  readonly write: MemorySide;
}

/**
 * Makes a lock for readers and writers. Fails as `Lock.make` does.
 *
 * *Release:* later uses and current waits fail with `Unreachable`.
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
export const make: {
  (
    options: CarrierOptions & { readonly carrier: "memory" },
  ): Effect.Effect<MemoryReadWriteLock, SyncFailure, Scope.Scope>;
  (options?: CarrierOptions): Effect.Effect<ReadWriteLock, SyncFailure, Scope.Scope>;
} = (options?: CarrierOptions): Effect.Effect<MemoryReadWriteLock, SyncFailure, Scope.Scope> =>
  implementation(({ make }) => make(options));

/**
 * Whether a value is a lock for readers and writers.
 *
 * @since 0.1.0
 * @category guards
 */
export const isReadWriteLock = (value: unknown): value is ReadWriteLock =>
  typeof value === "object" && value !== null && TypeId in value;
