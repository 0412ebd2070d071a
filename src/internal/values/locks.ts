/**
 * Locks of objects in shared memory: one for their users, and one for what is done within.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import { Unreachable, Unsupported } from "../objects/errors.ts";
import { self } from "../rpc/identity.ts";
import type { Lock } from "../../Lock.ts";
import { allocate, type Block, type ObjectAddress } from "../sync/protocol/arena.ts";
import { SIZE } from "../sync/protocol/lock.ts";
import type { Kind } from "../os/mapping.ts";
import type { RLock } from "../../RLock.ts";
import { SyncError } from "../sync/errors.ts";
import { type Checks, optional } from "../os/arguments.ts";
import { isLock, LockClient, RLockClient } from "../sync/lock.ts";
import type { Failure } from "../sync/object.ts";
import { attempt, outcome } from "./attempt.ts";
import { demandOptions, MemoryError, type OutOfRange } from "./errors.ts";
import { memoryError } from "./system_errors.ts";

/** A lock that was object here. */
interface Allocated<A> {
  readonly lock: A;
  readonly place: ObjectAddress;
  readonly free: () => void;
}

const object = <A>(make: (block: Block) => A, kind: Kind | undefined): Allocated<A> => {
  let block: Block;
  try {
    block = allocate(SIZE, kind);
  } catch (error) {
    throw memoryError(error);
  }
  return { lock: make(block), place: block.place, free: block.free };
};

/** A lock for the users of an object: theirs, or a new one. Throws a `MemoryError`. */
export const usersLock = (given: Lock | RLock | undefined, kind?: Kind): Omit<Allocated<Lock | RLock>, "place"> => {
  demandOptions("shared object", { lock: given }, lockOption);
  return given === undefined
    ? object(({ place }) => new RLockClient({ place, host: self().name }), kind)
    : { lock: given, free: () => {} };
};

/** Of an object in shared memory. */
export const lockOption: Checks = { lock: optional(isLock) };

/** A lock for those who change an object as a whole. Throws a `MemoryError`. */
export const ownLock = (kind?: Kind): Allocated<Lock> =>
  object(({ place }) => new LockClient({ place, host: self().name }), kind);

/** The locks of an object of another process. */
export const ownLockAt = (place: ObjectAddress, host: string): Lock => new LockClient({ place, host });

/** The same for its users'. */
export const usersLockAt = (place: ObjectAddress, host: string): RLock => new RLockClient({ place, host });

const explain = (error: Failure): MemoryError => {
  if (error instanceof Unreachable) {
    return new MemoryError(
      "Gone",
      "Cannot use the shared object: its scope has closed, or its process has ended",
      error,
    );
  }
  return new MemoryError(error instanceof Unsupported ? "Unsupported" : "Full", error.message, error);
};

const isFailure = (error: unknown): error is Failure =>
  error instanceof Unreachable || error instanceof Unsupported || error instanceof SyncError;

/**
 * Does something while nobody else does, in any process. It is done at once if nobody does: an interruption comes before it, or after
 * it. Fails with the errors of memory that it throws.
 */
export const exclusively = <A>(lock: Lock, run: () => A): Effect.Effect<A, MemoryError | OutOfRange> =>
  Effect.suspend((): Effect.Effect<A, MemoryError | OutOfRange> => {
    try {
      if (!lock.unsafeTryTake()) return turn(lock, run);
    } catch (error) {
      if (isFailure(error)) return Effect.fail(explain(error));
      throw error;
    }
    try {
      return outcome(run);
    } finally {
      giveBack(lock);
    }
  });

const turn = <A>(lock: Lock, run: () => A): Effect.Effect<A, MemoryError | OutOfRange> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(
      Effect.mapError(restore(lock.take), explain),
      () => Effect.ensuring(attempt(run), Effect.sync(() => giveBack(lock))),
    )
  );

const giveBack = (lock: Lock): void => {
  try {
    lock.unsafeRelease();
  } catch (error) {
    // It was taken away meanwhile, with the object.
    if (!isFailure(error)) throw error;
  }
};
