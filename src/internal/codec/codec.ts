/**
 * Encodes values to bytes and decodes them: everything that structured clone supports, errors with all their parts, and
 * the values that hooks support.
 *
 * Guarantees and limits:
 * - A value must be data. Any other value is refused with an `EncodeError` that names its path and gives advice.
 * - Identity is preserved within a message: all references to one object decode to one object, cycles included.
 * - A class is preserved only if a hook rebuilds it. An error keeps its nearest builtin class, its `name` and its `_tag`.
 * - A view sends the bytes that it covers. It shares its buffer with other views of the message if the whole buffer was
 *   sent before, as an `ArrayBuffer` or by a view of all of it. (Structured clone always sends the whole buffer, so a few
 *   bytes of a pooled buffer take the rest of the pool along.)
 * - Binary content of 64 KiB or more is not copied into the body. It becomes an attachment, and the attachment becomes the
 *   buffer of the decoded value.
 * - Named properties of an array are sent if the array has at most 32 items, or has holes. A search for them in longer
 *   arrays would cost more than the rest of the encoding.
 * - Every message that can be encoded can be decoded: both sides have the same limits (1000 levels, 2 GiB, 1 GiB of
 *   reserve for resizable buffers).
 * - Any bytes decode to a value or fail with a `DecodeError`, and the memory that they allocate is proportional to their
 *   length.
 *
 * ## Format
 *
 * A message is `00 value`, or `01 value names u32` if it needs hooks: `names` is a count and that many strings, `u32` is
 * the offset of `names`. Numbers are little endian; `n` is a varint (seven bits in each byte, least significant first),
 * `b` is one byte. Objects are numbered in the order in which they begin; a new buffer has the number after its view.
 *
 * | tag     | then | value |
 * | ------- | ---- | ----- |
 * | `00-7f` | | the integers 0 to 127 |
 * | `80-9f` | bytes | string of 0 to 31 units, Latin-1 |
 * | `a0-af` | values | array of 0 to 15 items |
 * | `b0-bf` | values | record of the shape 0 to 15 |
 * | `c0-c3` | | undefined, null, false, true |
 * | `c4-c6` | i16, i32, f64 | number |
 * | `c7` | i64 | bigint |
 * | `c8` | b = 1 if negative, n, bytes (big endian) | bigint |
 * | `c9` | b, bytes | string of 32 to 63 units, Latin-1 |
 * | `ca` | u32, bytes | string of 64 units or more, UTF-8 |
 * | `cb` | n, u16s | short string beyond Latin-1, or any string with lone surrogates |
 * | `cc` | n, values | array |
 * | `cd` | n = length, n, (key, value)s | array with holes or named properties; a key is an index or a string |
 * | `ce` | b = kind of view, n, numbers | array of numbers only |
 * | `cf` | b = length of the next two in bytes or 0, n, strings; values | record of a new shape with these keys |
 * | `d0` | n, values | record of the shape n |
 * | `d1` | n | the object n again |
 * | `d2` | n, (key, value)s | Map |
 * | `d3` | n, values | Set |
 * | `d4` | f64 | Date |
 * | `d5` | string, string | RegExp: source, flags |
 * | `d6` | value | wrapper object of a primitive |
 * | `d7` | b = kind, b = bits of its parts, the parts (name, message, stack, _tag, cause, errors), record | error and its enumerable fields |
 * | `d8` | n, bytes | ArrayBuffer |
 * | `d9` | n | ArrayBuffer: attachment n |
 * | `da` | n = maxByteLength, `d8` or `d9` | resizable ArrayBuffer |
 * | `db` | b = kind, `d8`, `d9` or `da` | view of all of a new buffer |
 * | `dc` | b = kind, n = buffer, n = byteOffset, n = length | view of an earlier buffer |
 * | `dd` | n = name, value | value that the hook with this name rebuilds |
 * | `de` | n, arrays | array of the items of all these arrays, each of which numbers its objects, shapes and attachments from 0; only as the value of a message |
 * | `f0-ff` | | the integers -16 to -1 |
 *
 * @module
 */
import { slabCopy, Writer } from "./bytes.ts";
import { Decoder } from "./decode.ts";
import { Encoder } from "./encode.ts";
import type { Hook } from "./hook.ts";
import { LenientEncoder } from "./lenient.ts";
import * as Tag from "./tags.ts";

export { Writer } from "./bytes.ts";
export { EncodedList } from "./encoded_list.ts";
export { DecodeError, EncodeError } from "./errors.ts";
export type { Hook } from "./hook.ts";
export { take } from "./moves.ts";
export { ATTACHMENT_BYTES, MAX_DEPTH } from "./tags.ts";

/** The parts of a message besides its body; most messages have none. */
export interface Extras<Link = unknown> {
  /** Large binary content: views of the original memory, to be sent before that memory changes. */
  readonly attachments: ReadonlyArray<Uint8Array>;
  /** Actions of hooks, to be run when the message is handed to a link. */
  readonly onSend: ReadonlyArray<(link: Link) => void>;
  /** Buffers of the value that are to move with the message; see `moves.ts`. */
  readonly moving?: ReadonlySet<ArrayBuffer> | undefined;
  /** Attachments whose memory belongs to the message, so that it may be handed over instead of being copied. */
  readonly owned?: ReadonlySet<Uint8Array> | undefined;
}

/** A message. */
export interface Encoded<Link = unknown> extends Extras<Link> {
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** It is a class for the reason that `FifoEntry` in `../objects/fifo.ts` is one. */
class EncodedMessage<Link> implements Encoded<Link> {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly attachments: ReadonlyArray<Uint8Array>;
  readonly onSend: ReadonlyArray<(link: Link) => void>;
  readonly moving: ReadonlySet<ArrayBuffer> | undefined;

  constructor(bytes: Uint8Array<ArrayBuffer>, extras: Extras<Link> | undefined) {
    this.bytes = bytes;
    this.attachments = extras?.attachments ?? none;
    this.onSend = extras?.onSend ?? none;
    this.moving = extras?.moving;
  }
}

const none: ReadonlyArray<never> = [];

export interface EncodeOptions<Link = unknown> {
  /** @default [] */
  readonly hooks?: ReadonlyArray<Hook<Link>>;
  /** Start of the path in an `EncodeError`. @default "value" */
  readonly root?: string;
  /**
   * Replaces each value that cannot be sent by a description, so that the rest of a failure arrives; see `lenient.ts`. The
   * message has at most this number of bytes. By default, such a value fails with an `EncodeError`.
   */
  readonly lenient?: number | undefined;
}

export interface DecodeOptions<Link = unknown> {
  /** An attachment that covers its whole buffer becomes the memory of a value; any other is copied. @default [] */
  readonly attachments?: ReadonlyArray<Uint8Array>;
  /** @default [] */
  readonly hooks?: ReadonlyArray<Hook<Link>>;
  /** Passed to the hooks. */
  readonly link: Link;
}

/** {@linkcode encode} drops its scratch buffer after a message that made it larger than this, in bytes. */
const MAX_SCRATCH_BYTES = 1024 * 1024;

let idle: Writer | undefined;

/**
 * Appends a message to the writer. Returns `undefined` if the message has neither attachments nor actions.
 *
 * Throws only an `EncodeError`, and then leaves the writer at its old position. A getter or a hook may use the codec with
 * another writer.
 */
export const encodeInto = <Link = unknown>(
  writer: Writer,
  value: unknown,
  options?: EncodeOptions<Link>,
): Extras<Link> | undefined => {
  const hooks = options?.hooks ?? [];
  const encoder = options?.lenient === undefined
    ? new Encoder<Link>(writer, hooks)
    : new LenientEncoder<Link>(writer, hooks, options.lenient);
  encoder.message(value, options?.root ?? "value");
  const { actions, attachments, moving } = encoder;
  if (attachments === undefined && actions === undefined && moving === undefined) return;
  return { attachments: attachments ?? [], onSend: actions ?? [], moving };
};

/** Encodes a value to a new message. Throws only an `EncodeError`. */
export const encode = <Link = unknown>(value: unknown, options?: EncodeOptions<Link>): Encoded<Link> => {
  // A getter or a hook that encodes meanwhile finds no idle writer and creates another.
  const writer = idle ?? new Writer();
  idle = undefined;
  try {
    writer.position = 0;
    const extras = encodeInto(writer, value, options);
    return new EncodedMessage(slabCopy(writer.buffer, 0, writer.position), extras);
  } finally {
    if (writer.buffer.length <= MAX_SCRATCH_BYTES) idle = writer;
  }
};

/**
 * Appends a message that is already encoded, and therefore cannot fail to encode. If it is sent for the `last` time, the memory that belongs
 * to it may be handed over.
 */
export const append = <Link = unknown>(
  writer: Writer,
  encoded: Encoded<Link>,
  last: boolean = false,
): Extras<Link> | undefined => {
  writer.bytes(encoded.bytes);
  const { attachments, onSend, owned } = encoded;
  if (attachments.length === 0 && onSend.length === 0) return undefined;
  return { attachments, onSend, owned: last ? owned : undefined };
};

/** Returns the names of the hooks that a message needs, without decoding it. Throws only a `DecodeError`. */
export const requires = (bytes: Uint8Array): ReadonlyArray<string> =>
  bytes[0] === Tag.PLAIN ? none : new Decoder(bytes, none, none, undefined).hookNames();

/** Decodes a message. Throws only a `DecodeError`. */
export const decode = <Link = unknown>(bytes: Uint8Array, options: DecodeOptions<Link>): unknown =>
  new Decoder<Link>(bytes, options.attachments ?? [], options.hooks ?? [], options.link).message();
