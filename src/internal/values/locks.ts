/**
 * The two locks of an object in shared memory: one for its users, and one for operations that need exclusive access.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import { Unreachable, Unsupported } from "../objects/errors.ts";
import type { Carrier, Lock, MemoryLock } from "../../Lock.ts";
import type { ObjectAddress } from "../sync/protocol/arena.ts";
import type { RegionKind } from "../os/mapping.ts";
import type { RLock } from "../../RLock.ts";
import { isSyncFailure, type SyncFailure } from "../sync/errors.ts";
import { type Checks, optional } from "../os/arguments.ts";
import { isLock } from "../sync/guard.ts";
import { LockClient } from "../sync/lock.ts";
import { lockKind } from "../sync/messages/lock.ts";
import { allocateShared, type Kind } from "../sync/object.ts";
import { MemoryRLockClient } from "../sync/rlock.ts";
import { attempt, outcome } from "./attempt.ts";
import { demandOptions, MemoryError, type MemoryFailure } from "./errors.ts";

/** Allocates an object of `sync`, which other processes use by the carrier. Throws a `MemoryError`. */
export const allocateCarried = <P, S>(
  kind: Kind<P, S>,
  shape: S,
  carrier: Carrier | undefined,
  region: RegionKind | undefined,
): ReturnType<typeof allocateShared> => {
  try {
    return allocateShared(kind, shape, carrier, region);
  } catch (error) {
    throw isSyncFailure(error) ? explain(error) : error;
  }
};

/**
 * The lock for the users of an object: the given lock, or a new one, which other processes use by the carrier. Throws a `MemoryError`.
 */
export const usersLock = (
  given: Lock | RLock | undefined,
  region: RegionKind | undefined,
  carrier: Carrier | undefined,
): { readonly lock: Lock | RLock; readonly free: () => void } => {
  demandOptions("shared object", { lock: given }, lockOption);
  if (given !== undefined) return { lock: given, free: () => {} };
  const { free, own, sent } = allocateCarried(lockKind, undefined, carrier, region);
  return { lock: new MemoryRLockClient(own, sent), free };
};

/** Check of the option `lock`. */
export const lockOption: Checks = { lock: optional(isLock) };

/** The lock for exclusive operations of an object. */
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
