/**
 * Messages that have a head in JSON, the bytes of an encoded value, and its attachments.
 *
 * | bytes | field |
 * | --- | --- |
 * | 4 | length of the head |
 * | | the head |
 * | 4 | number of attachments |
 * | 8 each | lengths of the bytes and of the attachments |
 * | | the bytes, the attachments |
 *
 * @module
 */
import type { Incoming } from "../codec/message.ts";
import { decodeRecord, encode } from "./protocol.ts";

/** A message that was read. */
export interface Message<Head> extends Incoming {
  readonly head: Head;
}

/** Writes a message. */
export const pack = (head: object, { attachments, bytes }: Incoming): Uint8Array<ArrayBuffer> => {
  const text = encode(head);
  const blocks = [bytes, ...attachments];
  const start = 8 + text.length + 8 * blocks.length;
  const packed = new Uint8Array(blocks.reduce((sum, { length }) => sum + length, start));
  const view = new DataView(packed.buffer);
  view.setUint32(0, text.length);
  packed.set(text, 4);
  let at = 4 + text.length;
  view.setUint32(at, attachments.length);
  at += 4;
  for (const { length } of blocks) {
    view.setFloat64(at, length);
    at += 8;
  }
  for (const block of blocks) {
    packed.set(block, at);
    at += block.length;
  }
  return packed;
};

/** A body without content. */
export const nothing: Incoming = { bytes: new Uint8Array(), attachments: [] };

/** Reads a message. Throws a `SyntaxError` if it is none. */
export const unpack = <Head>(packed: Uint8Array): Message<Head> => {
  try {
    return read(packed);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new SyntaxError(`A message is cut off: ${error.message}`);
  }
};

const read = <Head>(packed: Uint8Array): Message<Head> => {
  const view = new DataView(packed.buffer, packed.byteOffset, packed.length);
  const length = view.getUint32(0);
  const head = decodeRecord<Head & object>(packed.subarray(4, 4 + length));
  let at = 4 + length;
  const count = view.getUint32(at) + 1;
  at += 4;
  if (count * 8 > packed.length) throw new RangeError("A message has fewer attachments than it says");
  const sizes = Array.from({ length: count }, (_, i) => view.getFloat64(at + 8 * i));
  at += 8 * count;
  const [bytes, ...attachments] = sizes.map((size) => {
    // An attachment becomes the buffer of a value.
    const block = packed.slice(at, at + size);
    at += size;
    return block;
  });
  return { head, bytes, attachments };
};
