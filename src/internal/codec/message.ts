/**
 * Encoded messages, and the limit of their size.
 *
 * @module
 */
import { TypedError } from "../os/typed_error.ts";

/** The default size limit of a message, in bytes. */
export const MAX_MESSAGE_SIZE: number = 1024 * 1024 * 1024;

/** A message is larger than the link allows. */
export class MessageTooLarge extends TypedError {
  /** The tag, for `Effect.catchTag`. */
  readonly _tag = "MessageTooLarge";

  /** Creates the error for a message of this size. */
  constructor(
    /** Size of the message, in bytes. */
    readonly size: number,
    /** The link's limit, in bytes. */
    readonly limit: number,
    /** The owner of the limit, as the error message names it. */
    whose: string = "the backend",
  ) {
    super(
      `Cannot send a message of ${size} bytes: the limit is ${limit} bytes; raise maxMessageSize of ${whose} or send it in pieces`,
    );
  }
}

/** A received message. `bytes` may share memory with other messages; attachments do not. */
export interface Incoming {
  readonly bytes: Uint8Array;
  readonly attachments: ReadonlyArray<Uint8Array>;
}

/** The number of bytes of a message. */
export const sizeOf = ({ attachments, bytes }: Incoming): number =>
  attachments.reduce((sum, { length }) => sum + length, bytes.length);
