/**
 * One request to an object, which the object answers with the end of the call.
 *
 * @module
 */
import type { Fill } from "../rpc/link.ts";
import { call, type Target } from "../rpc/router.ts";
import type { Incoming } from "../codec/message.ts";

/**
 * Sends a request, and calls `onReply` once with the answer. Throws the error of `fill`, and has then sent nothing. Returns a
 * function that cancels the request: `onReply` is not called after that.
 */
export const request = (
  target: Target,
  operation: number,
  fill: Fill | undefined,
  onReply: (message: Incoming) => void,
): () => void => {
  let over = false;
  const line = call(target, operation, fill, {
    exit: (message) => {
      if (over) return;
      over = true;
      onReply(message);
    },
  });
  return () => {
    if (over) return;
    over = true;
    line.cancel();
  };
};
