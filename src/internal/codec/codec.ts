/**
 * Values to bytes and back: everything that structured clone carries, errors as they were thrown, and whatever hooks add.
 *
 * Who gets what:
 * - a value has to be data; everything else is an `EncodeError` that names the place and says what to do instead
 * - identity holds within a message: what was one object is one object, cycles included
 * - a class survives only where a hook rebuilds it; of an error the nearest builtin class, its `name` and its `_tag` survive
 * - a view sends the bytes it shows. It shares its buffer with other views of the message if the whole buffer was sent before:
 *   as an `ArrayBuffer`, or by a view of all of it. (Structured clone sends the whole buffer always, so that a few bytes out of a pooled
 *   one take the rest of the pool along.)
 * - binaries of 64 KiB and more are not copied into the body: they are attachments, and each becomes the buffer of what was sent
 * - named properties of an array travel up to 32 items, or when it has holes; to look for them in more would cost more than all the rest
 * - what encodes, decodes: limits are the same on both sides (1000 levels, 2 GiB, 1 GiB of reserve for resizable buffers)
 * - any bytes decode to a value or to a `DecodeError`, and what they allocate is in proportion to their length
 *
 * ## Format
 *
 * A message is `00 value`, or `01 value names u32` when it needs hooks: `names` is a count and that many texts, `u32` where it begins.
 * Numbers are little endian; `n` is a varint (seven bits a byte, low ones first), `b` one byte. Objects are numbered in the order in
 * which they begin; a view is followed by its buffer.
 *
 * | tag     | then | value |
 * | ------- | ---- | ----- |
 * | `00-7f` | | the integers 0 to 127 |
 * | `80-9f` | bytes | text of 0 to 31 units, Latin-1 |
 * | `a0-af` | values | array of 0 to 15 items |
 * | `b0-bf` | values | record of the shape 0 to 15 |
 * | `c0-c3` | | undefined, null, false, true |
 * | `c4-c6` | i16, i32, f64 | number |
 * | `c7` | i64 | bigint |
 * | `c8` | b = is negative, n, bytes (big endian) | bigint |
 * | `c9` | b, bytes | text of 32 to 63 units, Latin-1 |
 * | `ca` | u32, bytes | text of 64 units and more, UTF-8 |
 * | `cb` | n, u16s | short text beyond Latin-1, or any with lone surrogates |
 * | `cc` | n, values | array |
 * | `cd` | n = length, n, (key, value)s | array with holes or named properties; a key is an index or a text |
 * | `ce` | b = kind of view, n, numbers | array of numbers only |
 * | `cf` | b = bytes of the next two or 0, n, texts; values | record of a new shape: these keys |
 * | `d0` | n, values | record of the shape n |
 * | `d1` | n | the object n again |
 * | `d2` | n, (key, value)s | Map |
 * | `d3` | n, values | Set |
 * | `d4` | f64 | Date |
 * | `d5` | text, text | RegExp: source, flags |
 * | `d6` | value | wrapper object of a primitive |
 * | `d7` | b = kind, b = which parts, the parts (name, message, stack, _tag, cause, errors), record | error and its enumerable fields |
 * | `d8` | n, bytes | ArrayBuffer |
 * | `d9` | n | ArrayBuffer: attachment n |
 * | `da` | n = maxByteLength, `d8` or `d9` | resizable ArrayBuffer |
 * | `db` | b = kind, `d8`, `d9` or `da` | view of all of a new buffer |
 * | `dc` | b = kind, n = buffer, n = byteOffset, n = length | view of a buffer that came before |
 * | `dd` | n = name, value | what the hook makes of the value |
 * | `f0-ff` | | the integers -16 to -1 |
 *
 * @module
 */
import { Writer } from "./bytes.ts";
import { Decoder } from "./decode.ts";
import { Encoder } from "./encode.ts";
import type { Hook } from "./hook.ts";
import { LenientEncoder } from "./lenient.ts";

export { Writer } from "./bytes.ts";
export { DecodeError, EncodeError } from "./errors.ts";
export type { Hook } from "./hook.ts";
export { ATTACHMENT_BYTES, MAX_DEPTH } from "./tags.ts";

/** What goes with a body: most values have none of it. */
export interface Extras<Link = unknown> {
  /** Large binaries: views of the original memory, to be sent before anybody changes it. */
  readonly attachments: ReadonlyArray<Uint8Array>;
  /** What hooks want done when the message is handed to a link. */
  readonly onSend: ReadonlyArray<(link: Link) => void>;
}

export interface Encoded<Link = unknown> extends Extras<Link> {
  readonly bytes: Uint8Array<ArrayBuffer>;
}

export interface EncodeOptions<Link = unknown> {
  /** @default [] */
  readonly hooks?: ReadonlyArray<Hook<Link>>;
  /** Begins the path in an `EncodeError`. @default "value" */
  readonly root?: string;
  /**
   * Replaces what cannot be sent by a description of it, so that the rest arrives, in a message of at most this many bytes: for
   * failures; see `lenient.ts`. By default, what cannot be sent is an `EncodeError`.
   */
  readonly lenient?: number | undefined;
}

export interface DecodeOptions<Link = unknown> {
  /** Each is kept as the memory of a value if it is all of its buffer, and copied otherwise. @default [] */
  readonly attachments?: ReadonlyArray<Uint8Array>;
  /** @default [] */
  readonly hooks?: ReadonlyArray<Hook<Link>>;
  /** Handed to the hooks. */
  readonly link: Link;
}

/** The scratch buffer of {@linkcode encode} is given up after a message that made it larger than this. */
const MAX_SCRATCH_BYTES = 1024 * 1024;

let idle: Writer | undefined;

/**
 * Appends a message to the writer, ready to be framed. Most values need nothing else: then there is no result.
 *
 * Throws an `EncodeError` and nothing else; the writer is then where it was. A getter or a hook may use the codec itself, with another writer.
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
  const { attachments, actions } = encoder;
  if (attachments === undefined && actions === undefined) return;
  return { attachments: attachments ?? [], onSend: actions ?? [] };
};

/** Encodes a message of its own. Throws an `EncodeError` and nothing else. */
export const encode = <Link = unknown>(value: unknown, options?: EncodeOptions<Link>): Encoded<Link> => {
  // A getter or a hook that encodes meanwhile finds none and takes another.
  const writer = idle ?? new Writer();
  idle = undefined;
  try {
    writer.position = 0;
    const extras = encodeInto(writer, value, options);
    const bytes = writer.buffer.slice(0, writer.position);
    return {
      bytes,
      attachments: extras?.attachments ?? [],
      onSend: extras?.onSend ?? [],
    };
  } finally {
    if (writer.buffer.length <= MAX_SCRATCH_BYTES) idle = writer;
  }
};

/** Appends a message that was encoded before: what cannot be encoded failed then. */
export const append = <Link = unknown>(writer: Writer, encoded: Encoded<Link>): Extras<Link> | undefined => {
  writer.bytes(encoded.bytes);
  const { attachments, onSend } = encoded;
  return attachments.length === 0 && onSend.length === 0 ? undefined : { attachments, onSend };
};

/** The names of the hooks that a message needs, known before it is decoded. Throws a `DecodeError` and nothing else. */
export const requires = (bytes: Uint8Array): ReadonlyArray<string> => new Decoder(bytes, [], [], undefined).hookNames();

/** Decodes a message. Throws a `DecodeError` and nothing else. */
export const decode = <Link = unknown>(bytes: Uint8Array, options: DecodeOptions<Link>): unknown =>
  new Decoder<Link>(bytes, options.attachments ?? [], options.hooks ?? [], options.link).message();
