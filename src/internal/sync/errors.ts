/**
 * Errors of locks, semaphores and the other objects of that kind.
 *
 * @module
 */
import { ReasonedError, TypedError } from "../os/typed_error.ts";
import { Unreachable, Unsupported } from "../objects/errors.ts";
import { type Checks, invalidArgument, invalidOption, wrong, wrongOptions } from "../os/arguments.ts";

/**
 * Reasons of a {@link SyncError}.
 *
 * - `InvalidArgument`: an option or an argument is not valid.
 * - `NotOwner`: the caller does not hold the lock that it wants to release, or to wait with.
 * - `OverRelease`: the semaphore would have more permits than its bound.
 * - `TooMany`: more than 256 processes and workers use the object, or there is no more memory to share; or more than 1000 programs wait for
 *   an object of `NatsShared`.
 * - `LeaseLost`: the NATS server has not heard this program for the lease of the lock or the permits. Another program may have them now.
 *
 * @since 0.1.0
 * @category errors
 */
export type SyncErrorReason = "InvalidArgument" | "NotOwner" | "OverRelease" | "TooMany" | "LeaseLost";

/**
 * A lock, a semaphore or another object of that kind cannot do what it was asked for. Nothing has changed.
 *
 * @since 0.1.0
 * @category errors
 */
export class SyncError extends ReasonedError<SyncErrorReason> {
  /** The tag, for `Effect.catchTag`. */
  readonly _tag = "SyncError";
}

/**
 * Why a shared object cannot be used: it has ended, this process lacks a permission, or the request is not valid.
 *
 * @since 0.1.0
 * @category errors
 */
export type SyncFailure = Unreachable | Unsupported | SyncError;

/** Whether an error says why an object cannot be used. */
export const isSyncFailure = (error: unknown): error is SyncFailure =>
  error instanceof Unreachable || error instanceof SyncError || error instanceof Unsupported;

const refused = (message: string): SyncError => new SyncError("InvalidArgument", message);

/** Checks the arguments of an operation. */
export const wrongArgument = (operation: string, values: object, checks: Checks): SyncError | undefined => {
  const complaint = wrong(values, checks);
  return complaint === undefined ? undefined : refused(invalidArgument(operation, complaint));
};

/** Checks the options of an object. */
export const wrongOption = (subject: string, options: unknown, checks: Checks): SyncError | undefined => {
  const complaint = wrongOptions(options, checks);
  return complaint === undefined ? undefined : refused(invalidOption(subject, complaint));
};

/**
 * Why a barrier is broken, or a round of it has ended before all parties could pass.
 *
 * - `Aborted`: a party has called `abort`.
 * - `Reset`: a process has called `reset` while parties waited. The barrier itself can be used again.
 * - `Interrupted`: a party has stopped waiting, by a timeout for instance.
 * - `ActionFailed`: the action has failed.
 * - `PartyDied`: a party has died while it waited, or while it ran the action.
 *
 * @since 0.1.0
 * @category errors
 */
export type BrokenReason = "Aborted" | "Reset" | "Interrupted" | "ActionFailed" | "PartyDied";

const why: Readonly<Record<BrokenReason, string>> = {
  Aborted: "it was aborted",
  Reset: "it was reset while parties waited",
  Interrupted: "a party has stopped waiting",
  ActionFailed: "its action has failed",
  PartyDied: "a party has died there",
};

/**
 * Some parties will not arrive at the barrier any more. Python's `BrokenBarrierError`.
 *
 * @since 0.1.0
 * @category errors
 */
export class BrokenBarrier extends TypedError {
  /** The tag, for `Effect.catchTag`. */
  readonly _tag = "BrokenBarrier";
  /** Why the barrier is broken. */
  readonly reason: BrokenReason;

  /** Created by the library. */
  constructor(reason: BrokenReason) {
    super(`Cannot pass the barrier: ${why[reason]}; reset it to use it again`);
    this.reason = reason;
  }
}
