/**
 * Encoded messages: their form and the limit of their size.
 *
 * @module
 */
import { TypedError } from "../os/typed_error.ts";

/** The default limit of one message, in bytes. */
export const MAX_MESSAGE_SIZE: number = 1024 * 1024 * 1024;

/** A message is larger than the link allows. */
export class MessageTooLarge extends TypedError {
  /** The tag, for `Effect.catchTag`. */
  readonly _tag = "MessageTooLarge";

  /** Makes the error of a message of this size. */
  constructor(
    /** Size of the message, in bytes. */
    readonly size: number,
    /** The link's limit, in bytes. */
    readonly limit: number,
    /** Whose limit it is. */
    whose: string = "the backend",
  ) {
    super(
      `Cannot send a message of ${size} bytes: the limit is ${limit} bytes; raise maxMessageSize of ${whose} or send it in pieces`,
    );
  }
}

/** A received message. `bytes` may share memory with other messages; attachments own theirs. */
export interface Incoming {
  readonly bytes: Uint8Array;
  readonly attachments: ReadonlyArray<Uint8Array>;
}
