/**
 * How a queue ends the calls of its users, and the errors that result.
 *
 * @module
 */
import { QueueClosed, Unreachable } from "../objects/errors.ts";
import { readTooLarge, TOO_LARGE } from "../rpc/router.ts";
import type { Incoming, MessageTooLarge } from "../codec/message.ts";
import * as P from "./protocol.ts";

/** How a queue ends the calls of its users. */
export type QueueEnding = QueueClosed | Unreachable | MessageTooLarge;

/** The error that an exit of the queue stands for. */
export const endingOf = (message: Incoming, host: string): QueueEnding => {
  switch (message.bytes[0]) {
    case P.CLOSED:
      return new QueueClosed("Closed");
    case P.SHUT_DOWN:
      return new QueueClosed("ShutDown");
    case TOO_LARGE:
      return readTooLarge(message);
    default:
      return new Unreachable("queue", host);
  }
};
