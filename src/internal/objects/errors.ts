/**
 * The errors of objects that live in another process.
 *
 * @module
 */
import { ReasonedError, TypedError } from "../os/typed_error.ts";

/**
 * The object is gone: the scope that made it has closed, or the process that hosts it has ended. Or the server that keeps it refuses its
 * use; `cause` says why.
 *
 * @since 0.1.0
 * @category errors
 */
export class Unreachable extends TypedError {
  /** The tag, for `Effect.catchTag`. */
  readonly _tag = "Unreachable";
  /** Kind of the object, such as `"queue"`, `"connection"` or `"process"`. */
  readonly kind: string;
  /** Name of the process that hosts or hosted it. */
  readonly host: string;

  /** Created by the library. */
  constructor(kind: string, host: string, cause?: Error) {
    super(
      cause === undefined
        ? `Cannot use the ${kind}: its scope in ${host} has closed, or ${host} has ended`
        : `Cannot use the ${kind}: ${host} refuses it: ${cause.message}`,
      { cause },
    );
    this.kind = kind;
    this.host = host;
  }
}

/**
 * The queue was closed (`Closed`): it accepts no more items, and none is left to get. Or it was shut down (`ShutDown`), and its
 * items were dropped.
 *
 * @since 0.1.0
 * @category errors
 */
export class QueueClosed extends TypedError {
  /** The tag, for `Effect.catchTag`. */
  readonly _tag = "QueueClosed";
  /** How the queue has ended. */
  readonly reason: "Closed" | "ShutDown";

  /** Created by the library. */
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
 * Reasons of a {@link QueueError}.
 *
 * - `InvalidOption`: an option or a number of items is not valid.
 * - `InvalidArgument`: an argument is of the wrong type, for example items that are not iterable.
 * - `TooLarge`: the item is larger than the queue.
 * - `NotOrderable`: the item has no place in the order of the queue.
 * - `TooManyDone`: more tasks were reported done than are unfinished.
 *
 * @since 0.1.0
 * @category errors
 */
export type QueueErrorReason = "InvalidOption" | "InvalidArgument" | "TooLarge" | "NotOrderable" | "TooManyDone";

/**
 * An invalid use of a queue. Nothing was put or taken, and the queue can be used as before.
 *
 * @since 0.1.0
 * @category errors
 */
export class QueueError extends ReasonedError<QueueErrorReason> {
  /** The tag, for `Effect.catchTag`. */
  readonly _tag = "QueueError";
}

/**
 * The other end of the pipe is closed, and all messages from it were received. Each later receive fails in the same way.
 *
 * @since 0.1.0
 * @category errors
 */
export class EndOfFile extends TypedError {
  /** The tag, for `Effect.catchTag`. */
  readonly _tag = "EndOfFile";

  /** Created by the library. */
  constructor(cause?: Error) {
    super(
      "Cannot receive: the other end of the pipe was closed, or its process has ended, and nothing is left",
      { cause },
    );
  }
}

/**
 * The other end of the pipe is closed, so that nothing can be sent.
 *
 * @since 0.1.0
 * @category errors
 */
export class BrokenPipe extends TypedError {
  /** The tag, for `Effect.catchTag`. */
  readonly _tag = "BrokenPipe";

  /** Created by the library. */
  constructor(cause?: Error) {
    super("Cannot send: the other end of the pipe was closed, or its process has ended", { cause });
  }
}

/**
 * Reasons of a {@link PipeError}.
 *
 * - `Closed`: the connection was closed in this process, or the scope of its pipe was closed.
 * - `Moved`: the connection was sent to another process, which owns it now.
 * - `ReadOnly`, `WriteOnly`: this end only receives, or only sends.
 * - `InvalidArgument`: an option, a buffer, a number or a duration is not valid.
 * - `MessageTooLong`: the next message is longer than allowed. It remains the next message.
 * - `BufferTooShort`: the next message does not fit into the buffer. It remains the next message.
 * - `WrongKind`: the next message is a value instead of bytes, or bytes instead of a value. It remains the next message.
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
 * An invalid use of a connection. Nothing was sent or received, and an open connection can be used as before.
 *
 * @since 0.1.0
 * @category errors
 */
export class PipeError extends ReasonedError<PipeErrorReason> {
  /** The tag, for `Effect.catchTag`. */
  readonly _tag = "PipeError";
  /** Length of the next message in bytes, if it is too long. */
  readonly size: number | undefined;

  /** Created by the library. */
  constructor(reason: PipeErrorReason, message: string, size?: number) {
    super(reason, message);
    this.size = size;
  }
}

/**
 * An argument is not valid: the message says what was expected and what was received. Nothing was done.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidArgument extends TypedError {
  /** The tag, for `Effect.catchTag`. */
  readonly _tag = "InvalidArgument";
}

/**
 * This backend or this process does not support the operation. The message says what does.
 *
 * @since 0.1.0
 * @category errors
 */
export class Unsupported extends TypedError {
  /** The tag, for `Effect.catchTag`. */
  readonly _tag = "Unsupported";
}
