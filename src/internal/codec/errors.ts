/**
 * Why a value did not cross a process boundary. Plain classes, without Effect: a child of plain functions never loads it.
 *
 * @module
 */
import { TypedError } from "../os/typed_error.ts";

/**
 * A value that cannot be sent. Thrown in the sender, before anything was sent.
 *
 * A {@linkcode Hook} refuses a value by throwing `new EncodeError(reason)`; the codec adds the path.
 */
export class EncodeError extends TypedError {
  /** The tag, for `Effect.catchTag`. */
  readonly _tag = "EncodeError";
  /** What is wrong and what to do instead, without the path. */
  readonly reason: string;
  /** Where the value is, as in `args[0].items[3].callback`. */
  readonly path: string;

  /** Makes the error; without a path only its reason is in the message. */
  constructor(reason: string, options?: { readonly path?: string; readonly cause?: unknown }) {
    super(
      options?.path === undefined ? `Cannot encode: ${reason}` : `Cannot encode ${options.path}: ${reason}`,
      { cause: options?.cause },
    );
    this.reason = reason;
    this.path = options?.path ?? "";
  }
}

/** Bytes that are no message of this codec, or one that this side cannot rebuild. */
export class DecodeError extends TypedError {
  /** The tag, for `Effect.catchTag`. */
  readonly _tag = "DecodeError";
  /** What is wrong with the bytes. */
  readonly reason: string;
  /** How far the decoder had read, in bytes from the start of the message. */
  readonly offset: number;

  /** Makes the error of a message that cannot be read on from `offset`. */
  constructor(reason: string, offset: number, options?: { readonly cause?: unknown }) {
    super(
      `Cannot decode the message at byte ${offset}: ${reason}`,
      { cause: options?.cause },
    );
    this.reason = reason;
    this.offset = offset;
  }
}
