/**
 * The other end of the link rows: the main module of a child with the link on descriptor 3.
 *
 * A channel that opens with a number ends with that number. One that opens with a load takes it, with credit for a window of messages, decodes each
 * message, and ends with the count.
 */

import { Socket } from "node:net";
import { type Channel, Link, type Receiver } from "../../src/link/link.ts";
import { socket } from "../../src/link/transport.ts";
import { decode, encodeInto } from "../../src/wire/codec.ts";
import { type Incoming, MAX_MESSAGE_SIZE } from "../../src/wire/frames.ts";

/** What a channel of the bench opens with. */
export type Opening = number | { readonly count: number; readonly window: number };

const closed = (): void => {};

const drain = (channel: Channel, count: number, window: number): Receiver => {
  const batch = Math.ceil(window / 2);
  let left = count;
  let taken = 0;
  channel.credit(window);
  return {
    data: ({ bytes, attachments }) => {
      decode(bytes, { attachments, link });
      if (--left === 0) return channel.exit((writer) => encodeInto(writer, count));
      if (++taken === batch) {
        taken = 0;
        channel.credit(batch);
      }
    },
    closed,
  };
};

const onOpen = (channel: Channel, { bytes, attachments }: Incoming): Receiver => {
  const opening = decode(bytes, { attachments, link }) as Opening;
  if (typeof opening !== "number") return drain(channel, opening.count, opening.window);
  channel.exit((writer) => encodeInto(writer, opening));
  return { closed };
};

const link: Link = new Link(socket(new Socket({ fd: 3 })), {
  side: "child",
  maxMessageSize: MAX_MESSAGE_SIZE,
  onOpen,
  onClosed: () => Deno.exit(),
});
