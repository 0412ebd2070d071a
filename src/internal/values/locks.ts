/**
 * The two locks of an object in shared memory: one for its users, and one for operations that need exclusive access.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import { Unreachable, Unsupported } from "../objects/errors.ts";
import { self } from "../rpc/identity.ts";
import type { Carrier, Lock, MemoryLock } from "../../Lock.ts";
import { allocate, type Block, type ObjectAddress } from "../sync/protocol/arena.ts";
import { SIZE } from "../sync/protocol/lock.ts";
import type { RegionKind } from "../os/mapping.ts";
import type { RLock } from "../../RLock.ts";
import { isSyncFailure, type SyncFailure } from "../sync/errors.ts";
import { type Checks, optional } from "../os/arguments.ts";
import { isLock } from "../sync/guard.ts";
import { LockClient } from "../sync/lock.ts";
import { lockKind } from "../sync/messages/lock.ts";
import { allocateShared } from "../sync/object.ts";
import { MemoryRLockClient } from "../sync/rlock.ts";
import { attempt, outcome } from "./attempt.ts";
import { demandOptions, MemoryError, type MemoryFailure } from "./errors.ts";
import { memoryError } from "./system_errors.ts";

/** A lock that this process has allocated. */
interface AllocatedLock<A> {
  readonly lock: A;
  readonly address: ObjectAddress;
  readonly free: () => void;
}

const allocateLock = <A>(make: (block: Block) => A, kind: RegionKind | undefined): AllocatedLock<A> => {
  let block: Block;
  try {
    block = allocate(SIZE, kind);
  } catch (error) {
    throw memoryError(error);
  }
  return { lock: make(block), address: block.address, free: block.free };
};

/**
 * The lock for the users of an object: the given lock, or a new one, which other processes use by the carrier. Throws a `MemoryError`.
 */
export const usersLock = (
  given: Lock | RLock | undefined,
  kind: RegionKind | undefined,
  carrier: Carrier | undefined,
): Omit<AllocatedLock<Lock | RLock>, "address"> => {
  demandOptions("shared object", { lock: given }, lockOption);
  if (given !== undefined) return { lock: given, free: () => {} };
  try {
    const { free, own, sent } = allocateShared(lockKind, undefined, carrier, kind);
    return { lock: new MemoryRLockClient(own, sent), free };
  } catch (error) {
    throw isSyncFailure(error) ? explain(error) : error;
  }
};

/** Check of the option `lock`. */
export const lockOption: Checks = { lock: optional(isLock) };

/** Allocates the lock for exclusive operations. Throws a `MemoryError`. */
export const ownLock = (kind?: RegionKind): AllocatedLock<MemoryLock> =>
  allocateLock(({ address }) => new LockClient({ address, host: self().name }), kind);

/** The lock for exclusive operations of an object of another process. */
export const ownLockAt = (address: ObjectAddress, host: string): MemoryLock => new LockClient({ address, host });

/** The lock for the users of an object of another process. */
export const usersLockAt = (address: ObjectAddress, host: string): RLock => new MemoryRLockClient({ address, host });

/** Converts the failure of an object of `sync` to that of the object to which it belongs. */
export const explain = (error: SyncFailure): MemoryError => {
  if (error instanceof Unreachable) {
    return new MemoryError(
      "Gone",
      "Cannot use the shared object: its scope has closed, or its process has ended",
      error,
    );
  }
  return new MemoryError(error instanceof Unsupported ? "Unsupported" : "Full", error.message, error);
};

/**
 * Runs an operation while no other process runs one with the same lock. If the lock is free, that is a single step. The operation may
 * throw a {@link MemoryFailure}.
 *
 * *Interruption:* comes before the operation or after it.
 */
export const exclusively = <A>(lock: MemoryLock, run: () => A): Effect.Effect<A, MemoryFailure> =>
  Effect.suspend((): Effect.Effect<A, MemoryFailure> => {
    try {
      if (!lock.unsafeTryTake()) return waitExclusively(lock, run);
    } catch (error) {
      if (isSyncFailure(error)) return Effect.fail(explain(error));
      throw error;
    }
    try {
      return outcome(run);
    } finally {
      release(lock);
    }
  });

const waitExclusively = <A>(lock: MemoryLock, run: () => A): Effect.Effect<A, MemoryFailure> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(
      Effect.mapError(restore(lock.take), explain),
      () => Effect.ensuring(attempt(run), Effect.sync(() => release(lock))),
    )
  );

const release = (lock: MemoryLock): void => {
  try {
    lock.unsafeRelease();
  } catch (error) {
    // The object, and its lock, may have ended meanwhile.
    if (!isSyncFailure(error)) throw error;
  }
};
