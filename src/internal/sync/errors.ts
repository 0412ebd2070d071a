/**
 * How the use of a shared object fails, apart from its being out of reach.
 *
 * @module
 */
import { type Checks, invalidArgument, invalidOption, wrong, wrongOptions } from "../os/arguments.ts";

/**
 * A lock, a semaphore or another object of that kind was asked for what it cannot do. Nothing has changed.
 *
 * - `InvalidArgument`: an option or a number that makes no sense.
 * - `NotOwner`: it was to be released, or waited with, by somebody who does not hold it.
 * - `OverRelease`: a semaphore was given more permits than it may have.
 * - `TooMany`: more than 256 processes and workers use it, or there is no more memory to share.
 *
 * @since 0.1.0
 * @category errors
 */
export class SyncError extends Error {
  /** Tells the errors apart: for `Effect.catchTag`. */
  readonly _tag = "SyncError";
  /** How the error is printed. */
  override readonly name = "SyncError";
  /** What was wrong. */
  readonly reason: "InvalidArgument" | "NotOwner" | "OverRelease" | "TooMany";

  /** Made by the library. */
  constructor(reason: "InvalidArgument" | "NotOwner" | "OverRelease" | "TooMany", message: string) {
    super(message);
    this.reason = reason;
  }
}

const refused = (message: string): SyncError => new SyncError("InvalidArgument", message);

/** What is wrong with the arguments of an operation. */
export const wrongArgument = (operation: string, values: object, checks: Checks): SyncError | undefined => {
  const complaint = wrong(values, checks);
  return complaint === undefined ? undefined : refused(invalidArgument(operation, complaint));
};

/** What is wrong with the options of an object. */
export const wrongOption = (subject: string, options: unknown, checks: Checks): SyncError | undefined => {
  const complaint = wrongOptions(options, checks);
  return complaint === undefined ? undefined : refused(invalidOption(subject, complaint));
};

/**
 * Why a barrier is broken, or a round of it has ended without all going on.
 *
 * - `Aborted`: somebody has called `abort`.
 * - `Reset`: somebody has called `reset` while others waited. The barrier itself can be used again.
 * - `Interrupted`: a party has stopped waiting, by a timeout say.
 * - `ActionFailed`: the action has failed.
 * - `PartyDied`: a party has died while it waited, or ran the action.
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
 * Not all parties have come to the barrier, and they will not. What Python calls `BrokenBarrierError`.
 *
 * @since 0.1.0
 * @category errors
 */
export class BrokenBarrier extends Error {
  /** Tells the errors apart: for `Effect.catchTag`. */
  readonly _tag = "BrokenBarrier";
  /** How the error is printed. */
  override readonly name = "BrokenBarrier";
  /** Why. */
  readonly reason: BrokenReason;

  /** Made by the library. */
  constructor(reason: BrokenReason) {
    super(`Cannot pass the barrier: ${why[reason]}; reset it to use it again`);
    this.reason = reason;
  }
}
