/**
 * The two sides of a call to an object, the statuses with which a call ends, and forwarding to the next process on its path.
 * Free of Effect.
 *
 * @module
 */
import { type Fill, LAST, type Receiver } from "./link.ts";
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
   * Ends the call from the caller's side, which the object receives as a credit of {@link LAST}. `handed` runs as with `data`, or
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

/** Forwards a received message unchanged. */
export const resend = ({ attachments, bytes }: Incoming): Fill => (writer) => {
  writer.bytes(bytes);
  return attachments.length === 0 ? undefined : { attachments, onSend: [] };
};

/** The side of a forwarded call that leads towards the object. */
export type Onward = Pick<Line, "data" | "credit" | "finish" | "cancel">;

/** Forwards both directions of a call. If the onward link ends, the call exits with the status `lost`. */
export const forward = (
  line: Line,
  lost: number,
  open: (receiver: Calls & { readonly closed: () => void }) => Onward,
): Receiver => {
  let onward: Onward | undefined;
  let ended = false;
  const end = (fill: Fill): void => {
    if (ended) return;
    ended = true;
    line.exit(fill);
  };
  /** A message that exceeds the limit of the next link ends the call for both sides. */
  const attempt = (action: () => void): void => {
    try {
      action();
    } catch (error) {
      if (!(error instanceof MessageTooLarge)) throw error;
      onward?.cancel();
      end(tooLarge(error));
    }
  };
  attempt(() => {
    onward = open({
      data: (message) => attempt(() => ended || line.data(resend(message))),
      credit: (count) => ended || line.credit(count),
      exit: (message) => attempt(() => end(resend(message))),
      closed: () => end((writer) => void writer.byte(lost)),
    });
  });
  return {
    data: (message) => attempt(() => onward?.data(resend(message))),
    credit: (count) => {
      if (count !== LAST) return onward?.credit(count);
      ended = true;
      onward?.finish();
    },
    cancel: () => onward?.cancel(),
    closed: () => {
      ended = true;
      onward?.cancel();
    },
  };
};
