/**
 * Encoded values on their way through an object: nobody looks into them before they have arrived.
 *
 * @module
 */
import type { Link } from "../rpc/link.ts";
import type { Extras, Writer } from "../codec/codec.ts";
import { type Incoming, ProtocolError } from "../transport/frames.ts";

/** One encoded value. */
export interface Packet {
  readonly bytes: Uint8Array;
  readonly attachments: ReadonlyArray<Uint8Array>;
  /** Whether something moves with it, which whoever receives it has from then on. */
  readonly moves?: boolean | undefined;
}

/** What it takes up, in bytes. */
export const sizeOf = ({ attachments, bytes }: Packet): number => {
  let size = bytes.length;
  for (const part of attachments) size += part.byteLength;
  return size;
};

/**
 * Writes packets: their number, then for each its length, twice the number of its attachments, plus one if something moves
 * with it, and its bytes.
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
 * Reads what {@link pack} wrote, from this position on. The packets share the memory of the message, or of a copy of it, or
 * have each their own: for whoever keeps one and not the others.
 */
export const unpack = (
  { attachments, bytes: received }: Incoming,
  start: number,
  memory: "message" | "copy" | "own",
): Array<Packet> => {
  const bytes = memory === "copy" ? received.slice(start) : received;
  let at = memory === "copy" ? 0 : start;
  const varint = (): number => {
    let value = 0;
    for (let factor = 1;; factor *= 128) {
      if (at >= bytes.length || factor > 2 ** 49) throw malformed();
      const byte = bytes[at++];
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
  };
  const count = varint();
  if (count > bytes.length) throw malformed();
  const packets = new Array<Packet>(count);
  let attachment = 0;
  for (let i = 0; i < count; i++) {
    const length = varint();
    const extras = varint();
    const parts = Math.floor(extras / 2);
    if (at + length > bytes.length || attachment + parts > attachments.length) throw malformed();
    packets[i] = {
      bytes: memory === "own" ? bytes.slice(at, at + length) : bytes.subarray(at, at + length),
      attachments: parts === 0 ? none : attachments.slice(attachment, attachment + parts),
      moves: extras % 2 === 1,
    };
    at += length;
    attachment += parts;
  }
  return packets;
};

const none: ReadonlyArray<Uint8Array> = [];
