/**
 * How the use of an object of another process fails.
 *
 * @module
 */

/**
 * The object cannot be reached any more: the scope that made it has closed, or the process that hosts it has ended.
 *
 * @since 0.1.0
 * @category errors
 */
export class Unreachable extends Error {
  /** Tells the errors apart: for `Effect.catchTag`. */
  readonly _tag = "Unreachable";
  /** How the error is printed. */
  override readonly name = "Unreachable";
  /** What it was: `"queue"`, `"connection"`, `"process"`. */
  readonly kind: string;
  /** Name of the process that hosts it, or did. */
  readonly host: string;

  /** Made by the library. */
  constructor(kind: string, host: string) {
    super(`Cannot use the ${kind}: its scope in ${host} has closed, or ${host} has ended`);
    this.kind = kind;
    this.host = host;
  }
}

/**
 * The queue takes no more puts (`Closed`), and there is nothing left to get; or it was shut down with what it held
 * (`ShutDown`).
 *
 * @since 0.1.0
 * @category errors
 */
export class QueueClosed extends Error {
  /** Tells the errors apart: for `Effect.catchTag`. */
  readonly _tag = "QueueClosed";
  /** How the error is printed. */
  override readonly name = "QueueClosed";
  /** How it ended. */
  readonly reason: "Closed" | "ShutDown";

  /** Made by the library. */
  constructor(reason: "Closed" | "ShutDown") {
    super(
      reason === "Closed"
        ? "Cannot use the queue: it was closed, which ends puts at once, and gets when nothing is left"
        : "Cannot use the queue: it was shut down",
    );
    this.reason = reason;
  }
}

/**
 * A queue was asked for what it cannot do: an option that makes no sense, an item larger than the queue or without a place
 * in its order, more tasks reported done than were put.
 *
 * @since 0.1.0
 * @category errors
 */
export class QueueError extends Error {
  /** Tells the errors apart: for `Effect.catchTag`. */
  readonly _tag = "QueueError";
  /** How the error is printed. */
  override readonly name = "QueueError";
  /** What was wrong. */
  readonly reason: "InvalidOption" | "TooLarge" | "NotOrderable" | "TooManyDone";

  /** Made by the library. */
  constructor(reason: "InvalidOption" | "TooLarge" | "NotOrderable" | "TooManyDone", message: string) {
    super(message);
    this.reason = reason;
  }
}
