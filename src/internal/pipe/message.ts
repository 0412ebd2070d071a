/**
 * One message of a pipe, and how it is written into a message of a link. Free of Effect.
 *
 * @module
 */
import { slabCopy } from "../codec/bytes.ts";
import { type Packet, sizeOf } from "../objects/packets.ts";
import type { Fill } from "../rpc/link.ts";
import type { Incoming, MessageTooLarge } from "../codec/message.ts";

/** A value that the codec has encoded. */
export const VALUE = 0;
/** Bytes. */
export const BYTES = 1;
/** Stands in for a message that was too large for a link on its way: its size and the limit, as two f64. */
export const OVERSIZE = 2;

/** The size of a message besides its bytes, so that the number of empty messages is bounded as well. */
const OVERHEAD = 64;

/** One message. */
export class Message implements Packet {
  /** In the host of the pipe: whether the attachments are copies that nothing reads any more, once the message is received. */
  isReusable = false;

  constructor(
    /** {@link VALUE}, {@link BYTES} or {@link OVERSIZE}. */
    readonly kind: number,
    readonly bytes: Uint8Array,
    readonly attachments: ReadonlyArray<Uint8Array>,
    readonly moves: boolean | undefined,
    /** Its size as the bounds count it, in bytes. */
    readonly size: number,
    /** In the host of the pipe: releases the handles that move with the message. */
    readonly release: (() => void) | undefined,
  ) {}
}

/** Makes a message of a packet. */
export const makeMessage = (kind: number, { attachments, bytes, moves }: Packet): Message =>
  new Message(kind, bytes, attachments, moves, sizeOf({ attachments, bytes }) + OVERHEAD, undefined);

/** Makes the replacement of a message that the link to its receiver does not accept. */
export const oversize = ({ limit, size }: MessageTooLarge): Message => {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setFloat64(0, size);
  view.setFloat64(8, limit);
  return makeMessage(OVERSIZE, { bytes, attachments: [] });
};

/** Flag of the kind: a handle moves with the message. */
const MOVES = 128;
/** Flag of the kind: the sender waits for an answer. */
const CONFIRM = 64;

/** Writes a message behind the byte `tag`. */
export const writeMessage =
  (tag: number, { attachments, bytes, kind, moves }: Message, confirm = false): Fill => (writer) => {
    writer.reserve(2 + bytes.length);
    writer.byte(tag);
    writer.byte(kind | (moves ? MOVES : 0) | (confirm ? CONFIRM : 0));
    writer.bytes(bytes);
    return attachments.length === 0 ? undefined : { attachments, onSend: [] };
  };

/** Reads a message that {@link writeMessage} wrote, and copies its bytes. */
export const readMessage = ({ attachments, bytes }: Incoming): Message => {
  const kind = bytes[1] & ~(MOVES | CONFIRM);
  // The receiver of bytes also gets their buffer.
  const content = kind === BYTES ? bytes.slice(2) : slabCopy(bytes, 2, bytes.length);
  return makeMessage(kind, { bytes: content, attachments, moves: (bytes[1] & MOVES) !== 0 });
};

/** Whether the sender of a message waits for an answer. */
export const wantsConfirmation = ({ bytes }: Incoming): boolean => (bytes[1] & CONFIRM) !== 0;
