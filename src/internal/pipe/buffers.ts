/**
 * Bytes of users, and messages of bytes.
 *
 * @module
 */
import { must } from "../os/arguments.ts";
import * as Codec from "../codec/codec.ts";
import { BYTES, makeMessage, type Message } from "./message.ts";

const isShared = (buffer: unknown): buffer is SharedArrayBuffer =>
  typeof SharedArrayBuffer !== "undefined" && buffer instanceof SharedArrayBuffer;

/** The bytes of a buffer, or of a view of one. `undefined` for any other value. */
export const bytesOf = (buffer: unknown): Uint8Array | undefined => {
  if (ArrayBuffer.isView(buffer)) return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
  if (buffer instanceof ArrayBuffer || isShared(buffer)) return new Uint8Array(buffer);
  return undefined;
};

/** The check of a buffer argument. */
export const wrongBytes = must(
  (value) => bytesOf(value) !== undefined,
  "an ArrayBuffer or a view of one",
  "encode texts with TextEncoder",
);

/** Makes a message of bytes. Long messages are not copied, unless other threads may change them. */
export const bytesMessage = (part: Uint8Array): Message =>
  part.length < Codec.ATTACHMENT_BYTES
    ? makeMessage(BYTES, { bytes: part.slice(), attachments: [] })
    : makeMessage(BYTES, { bytes: new Uint8Array(0), attachments: [isShared(part.buffer) ? part.slice() : part] });

/** The bytes of a message. */
export const contents = ({ attachments, bytes }: Message): Uint8Array<ArrayBuffer> =>
  (attachments.length === 0 ? bytes : attachments[0]) as Uint8Array<ArrayBuffer>;
