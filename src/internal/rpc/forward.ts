/**
 * Forwards a call to the next process on its path, in both directions. Free of Effect.
 *
 * @module
 */
import { type Calls, type Line, tooLarge } from "./call.ts";
import { type Fill, LAST, type Receiver } from "./link.ts";
import { type Incoming, MessageTooLarge } from "../codec/message.ts";

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
