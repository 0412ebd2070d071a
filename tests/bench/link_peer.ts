/**
 * The other end of the link rows: the main module of a child that connects to the address in its arguments.
 *
 * A channel that opens with a number ends with that number. A channel that opens with a load receives it with credit
 * for a window of messages, decodes each message, and ends with the count.
 */

import { type Channel, Link, type Receiver } from "../../src/internal/rpc/link.ts";
import { Connection } from "../../src/internal/transport/connection.ts";
import { connect } from "../../src/internal/transport/one_time_listener.ts";
import { decode, encodeInto } from "../../src/internal/codec/codec.ts";
import { type Incoming, MAX_MESSAGE_SIZE } from "../../src/internal/codec/message.ts";

/** The first message of a channel of the benchmark. */
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

const token = Uint8Array.from(JSON.parse(Deno.args[1]));

const link: Link = new Link(new Connection(connect({ at: { unix: Deno.args[0] }, token })), {
  side: "child",
  maxMessageSize: MAX_MESSAGE_SIZE,
  onOpen,
  onClosed: () => Deno.exit(),
});
