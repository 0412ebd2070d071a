/**
 * One side of a call to an object, how a call ends, and what passes a call on. Free of Effect.
 *
 * @module
 */
import { type Fill, LAST, type Receiver } from "./link.ts";
import { type Incoming, MessageTooLarge } from "../codec/message.ts";

/** The first byte of an exit: the call is done. Others belong to the object. */
export const DONE = 0;
/** The object or its process is no more. */
export const GONE = 1;
/** A message on the way was too large for a link: its size and that link's limit follow, as two f64. */
export const TOO_LARGE = 2;
/** Taken back, as was wished. */
export const CANCELLED = 3;

/** One side of a call. */
export interface Line {
  /** Sends a message; `handed` is called when it outlives this process. */
  readonly data: (fill: Fill, handed?: () => void) => void;
  /** Says a number. */
  readonly credit: (count: number, handed?: () => void) => void;
  /** Ends the call with the caller's last word, which the object hears as `credit`; `handed` as with `data`, or when nobody can hear it. */
  readonly finish: (handed?: () => void) => void;
  /** Ends the call with a last message: for the object's side. */
  readonly exit: (fill: Fill) => void;
  /** Asks for the end: for the caller's side. */
  readonly cancel: () => void;
  /** Hands over now what else would leave with this turn. */
  readonly flush: () => void;
}

/** What a caller hears. */
export interface Calls {
  readonly data?: (message: Incoming) => void;
  readonly credit?: (count: number) => void;
  readonly exit: (message: Incoming) => void;
}

/** The exit for what did not fit. */
export const tooLarge = ({ size, limit }: MessageTooLarge): Fill => (writer) => {
  writer.byte(TOO_LARGE);
  writer.reserve(16);
  writer.view.setFloat64(writer.position, size, true);
  writer.view.setFloat64(writer.position + 8, limit, true);
  writer.position += 16;
};

/** The error that {@link TOO_LARGE} stands for. */
export const readTooLarge = ({ bytes }: Incoming): MessageTooLarge => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return bytes.length === 17
    ? new MessageTooLarge(view.getFloat64(1, true), view.getFloat64(9, true))
    : new MessageTooLarge(NaN, NaN);
};

/** A message that was received, to be sent on. */
export const again = ({ attachments, bytes }: Incoming): Fill => (writer) => {
  writer.bytes(bytes);
  return attachments.length === 0 ? undefined : { attachments, onSend: [] };
};

/** The way on. */
export type Onward = Pick<Line, "data" | "credit" | "finish" | "cancel">;

/** Passes on both directions of a call. If the way breaks, `lost` is its exit. */
export const passOn = (
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
  /** A message that is not taken is the end of the call, for both sides. */
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
      data: (message) => attempt(() => ended || line.data(again(message))),
      credit: (count) => ended || line.credit(count),
      exit: (message) => attempt(() => end(again(message))),
      closed: () => end((writer) => void writer.byte(lost)),
    });
  });
  return {
    data: (message) => attempt(() => onward?.data(again(message))),
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
