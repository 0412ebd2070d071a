/**
 * Passing a call on to where it is answered. Free of Effect.
 *
 * @module
 */
import { type Fill, LAST, type Receiver } from "../link/link.ts";
import { type Calls, type Line, tooLarge } from "../link/router.ts";
import { type Incoming, MessageTooLarge } from "../wire/frames.ts";

const again = ({ attachments, bytes }: Incoming): Fill => (writer) => {
  writer.bytes(bytes);
  return attachments.length === 0 ? undefined : { attachments, onSend: [] };
};

/** The way on. */
export type Onward = Pick<Line, "data" | "credit" | "finish" | "cancel">;

/** Passes on both directions of a call. If the way breaks, `lost` is its exit. */
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
  /** A message that is not taken is the end of the call, for both sides. */
  const attempt = (pass: () => void): void => {
    try {
      pass();
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
