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
 * What a {@link QueueError} complains of.
 *
 * - `InvalidOption`: an option, or a number of items, makes no sense.
 * - `InvalidArgument`: an argument is of the wrong kind: items that are not iterable, say.
 * - `TooLarge`: the item is larger than the queue.
 * - `NotOrderable`: the item has no place in the order of the queue.
 * - `TooManyDone`: more tasks were reported done than were put.
 *
 * @since 0.1.0
 * @category errors
 */
export type QueueErrorReason = "InvalidOption" | "InvalidArgument" | "TooLarge" | "NotOrderable" | "TooManyDone";

/**
 * A queue was asked for what it cannot do. Nothing was put or taken: it can be used as before.
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
  readonly reason: QueueErrorReason;

  /** Made by the library. */
  constructor(reason: QueueErrorReason, message: string) {
    super(message);
    this.reason = reason;
  }
}

/**
 * The other end of the pipe is no more, and all that it had sent was received. It is the same each time again.
 *
 * @since 0.1.0
 * @category errors
 */
export class EndOfFile extends Error {
  /** Tells the errors apart: for `Effect.catchTag`. */
  readonly _tag = "EndOfFile";
  /** How the error is printed. */
  override readonly name = "EndOfFile";

  /** Made by the library. */
  constructor(cause?: Error) {
    super(
      "Cannot receive: the other end of the pipe was closed, or its process has ended, and nothing is left",
      cause && { cause },
    );
  }
}

/**
 * The other end of the pipe is no more: nobody would receive what is sent.
 *
 * @since 0.1.0
 * @category errors
 */
export class BrokenPipe extends Error {
  /** Tells the errors apart: for `Effect.catchTag`. */
  readonly _tag = "BrokenPipe";
  /** How the error is printed. */
  override readonly name = "BrokenPipe";

  /** Made by the library. */
  constructor(cause?: Error) {
    super("Cannot send: the other end of the pipe was closed, or its process has ended", cause && { cause });
  }
}

/**
 * What a {@link PipeError} complains of.
 *
 * - `Closed`: the connection was closed here, or the scope of its pipe was.
 * - `Moved`: it was sent, and belongs to whoever received it.
 * - `ReadOnly`, `WriteOnly`: this end only receives, or only sends.
 * - `InvalidArgument`: an option, a buffer, a number or a time that makes no sense.
 * - `MessageTooLong`: the next message is longer than was allowed. It stays the next.
 * - `BufferTooShort`: the next message does not fit into the buffer. It stays the next.
 * - `WrongKind`: the next message is a value and bytes were to be received, or the other way round. It stays the next.
 *
 * @since 0.1.0
 * @category errors
 */
export type PipeErrorReason =
  | "Closed"
  | "Moved"
  | "ReadOnly"
  | "WriteOnly"
  | "InvalidArgument"
  | "MessageTooLong"
  | "BufferTooShort"
  | "WrongKind";

/**
 * A connection was asked for what it cannot do, or not here, or not with this. Nothing was sent and nothing received: it can
 * be used as before.
 *
 * @since 0.1.0
 * @category errors
 */
export class PipeError extends Error {
  /** Tells the errors apart: for `Effect.catchTag`. */
  readonly _tag = "PipeError";
  /** How the error is printed. */
  override readonly name = "PipeError";
  /** What was wrong. */
  readonly reason: PipeErrorReason;
  /** Length of the next message, in bytes, if that is what was wrong. */
  readonly size: number | undefined;

  /** Made by the library. */
  constructor(reason: PipeErrorReason, message: string, size?: number) {
    super(message);
    this.reason = reason;
    this.size = size;
  }
}

/**
 * A function was given what it cannot use: the message says what it expects, and what it has received. Nothing was done.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidArgument extends Error {
  /** Tells the errors apart: for `Effect.catchTag`. */
  readonly _tag = "InvalidArgument";
  /** How the error is printed. */
  override readonly name = "InvalidArgument";
}

/**
 * This backend, or this process, cannot do what was asked of it: the message says what can.
 *
 * @since 0.1.0
 * @category errors
 */
export class Unsupported extends Error {
  /** Tells the errors apart: for `Effect.catchTag`. */
  readonly _tag = "Unsupported";
  /** How the error is printed. */
  override readonly name = "Unsupported";
}
