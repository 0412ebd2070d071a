/**
 * Encoded values on their way through an object, which passes them on without decoding them.
 *
 * @module
 */
import type { Link } from "../rpc/link.ts";
import { slabCopy } from "../codec/bytes.ts";
import type { Extras, Writer } from "../codec/codec.ts";
import { ProtocolError } from "../transport/frames.ts";
import type { Incoming } from "../codec/message.ts";
import { VarintReader } from "../codec/varint.ts";

/** One encoded value. */
export interface Packet {
  readonly bytes: Uint8Array;
  readonly attachments: ReadonlyArray<Uint8Array>;
  /** Whether handles in it move: their receiver owns them. */
  readonly moves?: boolean | undefined;
}

/** A packet that was received. It is a class for the reason that `FifoEntry` in `fifo.ts` is one. */
class ReceivedPacket implements Packet {
  readonly bytes: Uint8Array;
  readonly attachments: ReadonlyArray<Uint8Array>;
  readonly moves: boolean;

  constructor(bytes: Uint8Array, attachments: ReadonlyArray<Uint8Array>, moves: boolean) {
    this.bytes = bytes;
    this.attachments = attachments;
    this.moves = moves;
  }
}

export { sizeOf } from "../codec/message.ts";

/**
 * Writes packets: their number, then for each its length, twice the number of its attachments plus one if handles in it move,
 * and its bytes.
 */
export const pack = (writer: Writer, packets: ReadonlyArray<Packet>): Extras<Link> | undefined => {
  let attachments: Array<Uint8Array> | undefined;
  writer.varint(packets.length);
  for (const packet of packets) {
    writer.varint(packet.bytes.length);
    writer.varint(2 * packet.attachments.length + (packet.moves ? 1 : 0));
    writer.bytes(packet.bytes);
    if (packet.attachments.length > 0) (attachments ??= []).push(...packet.attachments);
  }
  return attachments && { attachments, onSend: [] };
};

const malformed = (): ProtocolError => new ProtocolError("Cannot read from the peer: malformed packets");

/**
 * Reads packets that {@link pack} wrote, from position `start` on. Throws a `ProtocolError` if they are malformed.
 *
 * `memory` says which memory the packets use: that of the message, one copy for all of them, or one copy for each, so that a
 * packet that is kept does not keep the others.
 */
export const unpack = (
  { attachments, bytes: received }: Incoming,
  start: number,
  memory: "message" | "copy" | "own",
): Array<Packet> => {
  const bytes = memory === "copy" ? slabCopy(received, start, received.length) : received;
  const reader = new VarintReader(bytes, memory === "copy" ? 0 : start);
  const count = reader.next();
  // Comparisons with NaN, which stands for the end of the message, are false.
  if (!(count <= bytes.length)) throw malformed();
  const packets = new Array<Packet>(count);
  let attachment = 0;
  for (let i = 0; i < count; i++) {
    const length = reader.next();
    const extras = reader.next();
    const parts = Math.floor(extras / 2);
    const end = reader.at + length;
    if (!(end <= bytes.length && attachment + parts <= attachments.length)) throw malformed();
    packets[i] = new ReceivedPacket(
      memory === "own" ? slabCopy(bytes, reader.at, end) : bytes.subarray(reader.at, end),
      parts === 0 ? none : attachments.slice(attachment, attachment + parts),
      extras % 2 === 1,
    );
    reader.at = end;
    attachment += parts;
  }
  return packets;
};

const none: ReadonlyArray<Uint8Array> = [];
