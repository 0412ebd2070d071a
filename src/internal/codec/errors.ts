/**
 * The errors of the codec. They do not import Effect, because a child that runs only plain functions never loads it.
 *
 * @module
 */
import { TypedError } from "../os/typed_error.ts";

/**
 * A value cannot be sent. Thrown in the sender, before anything is sent.
 *
 * A {@linkcode Hook} refuses a value by throwing `new EncodeError(reason)`; the codec adds the path.
 */
export class EncodeError extends TypedError {
  /** The tag, for `Effect.catchTag`. */
  readonly _tag = "EncodeError";
  /** The reason and the advice, without the path. */
  readonly reason: string;
  /** The path of the value, such as `args[0].items[3].callback`. */
  readonly path: string;

  /** Creates the error. Without a path, the message contains only the reason. */
  constructor(reason: string, options?: { readonly path?: string; readonly cause?: unknown }) {
    super(
      options?.path === undefined ? `Cannot encode: ${reason}` : `Cannot encode ${options.path}: ${reason}`,
      { cause: options?.cause },
    );
    this.reason = reason;
    this.path = options?.path ?? "";
  }
}

/** The bytes are not a message of this codec, or this side cannot rebuild the value. */
export class DecodeError extends TypedError {
  /** The tag, for `Effect.catchTag`. */
  readonly _tag = "DecodeError";
  /** The reason, without the offset. */
  readonly reason: string;
  /** The position of the decoder, in bytes from the start of the message. */
  readonly offset: number;

  /** Creates the error for a message that cannot be read beyond `offset`. */
  constructor(reason: string, offset: number, options?: { readonly cause?: unknown }) {
    super(
      `Cannot decode the message at byte ${offset}: ${reason}`,
      { cause: options?.cause },
    );
    this.reason = reason;
    this.offset = offset;
  }
}
