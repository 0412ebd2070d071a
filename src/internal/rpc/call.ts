/**
 * The two sides of a call to an object, and the statuses with which a call ends. Free of Effect.
 *
 * @module
 */
import type { Fill, Receiver } from "./link.ts";
import { type Incoming, MessageTooLarge } from "../codec/message.ts";

/** The first byte of an exit: the call is complete. An object defines values of its own besides the four of this module. */
export const DONE = 0;
/** The object or its process no longer exists. */
export const GONE = 1;
/** A message was too large for a link on its path. The size of the message and the limit of the link follow, as two f64. */
export const TOO_LARGE = 2;
/** The call was cancelled at the caller's request. */
export const CANCELLED = 3;

/** One side of a call. */
export interface Line {
  /** Sends a message. `handed` runs once the message outlives this process. */
  readonly data: (fill: Fill, handed?: () => void) => void;
  /** Sends a number. */
  readonly credit: (count: number, handed?: () => void) => void;
  /**
   * Ends the call from the caller's side, which the object receives as a credit of `LAST`. `handed` runs as with `data`, or
   * when the link has ended.
   */
  readonly finish: (handed?: () => void) => void;
  /** Ends the call from the object's side, with a last message. */
  readonly exit: (fill: Fill) => void;
  /** Requests the end of the call from the caller's side. */
  readonly cancel: () => void;
  /** Sends pending messages now, instead of at the end of the turn. */
  readonly flush: () => void;
}

/** The callbacks of a caller. */
export interface Calls {
  readonly data?: (message: Incoming) => void;
  readonly credit?: (count: number) => void;
  readonly exit: (message: Incoming) => void;
}

/** The handler of the calls to an object. `local` says that the caller is a fiber of the same process. */
export interface Hosted {
  readonly open: (operation: number, line: Line, message: Incoming, local: boolean) => Receiver;
}

/** The exit of a call with a message that exceeded a limit. */
export const tooLarge = ({ size, limit }: MessageTooLarge): Fill => (writer) => {
  writer.byte(TOO_LARGE);
  writer.reserve(16);
  writer.view.setFloat64(writer.position, size, true);
  writer.view.setFloat64(writer.position + 8, limit, true);
  writer.position += 16;
};

/** Decodes the error of an exit with {@link TOO_LARGE}. */
export const readTooLarge = ({ bytes }: Incoming): MessageTooLarge => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return bytes.length === 17
    ? new MessageTooLarge(view.getFloat64(1, true), view.getFloat64(9, true))
    : new MessageTooLarge(NaN, NaN);
};
