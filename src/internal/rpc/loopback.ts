/**
 * Calls to objects of this process: their messages are encoded and delivered in later turns, as over a link. Free of Effect.
 *
 * @module
 */
import * as Codec from "../codec/codec.ts";
import type { Incoming } from "../codec/message.ts";
import type { Calls, Hosted, Line } from "./call.ts";
import { type Fill, LAST, type Link, type Receiver } from "./link.ts";

/** One turn in this many is a turn of the event loop, for which other work waits. The others are microtasks. */
const TURNS = 512;

let turns = 0;
let due: Array<() => void> = [];

/** Runs actions in order, after the code that runs now. */
export const soon = (action: () => void): void => {
  if (due.push(action) > 1) return;
  if (++turns % TURNS === 0) setTimeout(settleAll, 0);
  else queueMicrotask(settleAll);
};

const settleAll = (): void => {
  const actions = due;
  due = [];
  for (const action of actions) action();
};

/** Calls an object of this process. The same bytes are delivered asynchronously, without a link. */
export const loop = (hosted: Hosted, operation: number, fill: Fill | undefined, receiver: Calls): Line => {
  let ended = false;
  const later = (deliver: () => void): void =>
    soon(() => {
      if (!ended) deliver();
    });
  const there: Line = {
    data: (fill, handed) => {
      const message = written(fill);
      later(() => receiver.data?.(message));
      if (handed !== undefined) soon(handed);
    },
    credit: (count) => later(() => receiver.credit?.(count)),
    finish: () => {},
    exit: (fill) => {
      const message = written(fill);
      later(() => {
        ended = true;
        receiver.exit(message);
      });
    },
    cancel: () => {},
    flush: () => {},
  };
  const message = written(fill);
  let answer: Receiver | undefined;
  later(() => {
    answer = hosted.open(operation, there, message, true);
  });
  return {
    data: (fill, handed) => {
      const message = written(fill);
      later(() => answer?.data?.(message));
      if (handed !== undefined) soon(handed);
    },
    credit: (count, handed) => {
      later(() => answer?.credit?.(count));
      if (handed !== undefined) soon(handed);
    },
    finish: (handed) => {
      later(() => {
        ended = true;
        answer?.credit?.(LAST);
      });
      if (handed !== undefined) soon(handed);
    },
    exit: () => {},
    cancel: () => later(() => answer?.cancel?.()),
    flush: () => {},
  };
};

/** Encodes a message into the form in which its receiver sees it. */
export const written = (fill: Fill | undefined): Incoming => {
  const writer = new Codec.Writer(64);
  const extras = fill?.(writer);
  // Without a link: sender and receiver are one process, so no death of the receiver needs to be reported.
  extras?.onSend.forEach((action) => (action as (link: Link | undefined) => void)(undefined));
  return {
    bytes: writer.buffer.subarray(0, writer.position),
    // Attachments are the sender's own memory, which the sender may change once the message is sent.
    attachments: extras === undefined ? [] : extras.attachments.map((part) => part.slice()),
  };
};
