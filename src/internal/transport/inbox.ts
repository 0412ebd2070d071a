/**
 * The receiving half of a link: decodes frames into messages; see `frames.ts`.
 *
 * @module
 */
import { FRAGMENT, HEADER, KIND, PART, ProtocolError, TABLE } from "./frames.ts";
import type { Incoming } from "../codec/message.ts";
import { recycled } from "./recycled.ts";

/** The bytes of memory that may be allocated for announced data. Beyond this limit, memory grows only with received data. */
const TRUSTED = 16 * 1024 * 1024;

const none: ReadonlyArray<Uint8Array> = [];

const u32 = (bytes: Uint8Array, at: number): number =>
  (bytes[at] | bytes[at + 1] << 8 | bytes[at + 2] << 16 |
    bytes[at + 3] << 24) >>> 0;

interface Assembly {
  readonly kind: number;
  readonly sizes: ReadonlyArray<number>;
  readonly segments: Array<Uint8Array<ArrayBuffer>>;
  segment: number;
  offset: number;
}

/** Splits a byte stream into messages. */
export class Inbox {
  /** The received beginning of an incomplete frame: header, then body. */
  #partial = new Uint8Array(HEADER);
  #filled = 0;
  #assemblies = new Map<number, Assembly>();
  readonly #deliver: (kind: number, channel: number, message: Incoming) => void;
  /** The bytes of memory that were allocated and are not filled yet. */
  #believed = 0;
  maxMessageSize: number;

  constructor(
    maxMessageSize: number,
    deliver: (kind: number, channel: number, message: Incoming) => void,
  ) {
    this.maxMessageSize = maxMessageSize;
    this.#deliver = deliver;
  }

  /** Whether no message has been received in part. */
  get whole(): boolean {
    return this.#filled === 0 && this.#assemblies.size === 0;
  }

  /** The memory into which the next bytes belong, if they are part of a long message. Bytes that were read into it are passed to {@link push}. */
  get space(): Uint8Array | undefined {
    if (this.#filled !== HEADER || (this.#partial[4] & PART) === 0) return undefined;
    const assembly = this.#assemblies.get(u32(this.#partial, 5));
    const segment = assembly?.segments[assembly.segment];
    if (assembly === undefined || segment === undefined || segment.length === assembly.offset) return undefined;
    return segment.subarray(assembly.offset, assembly.offset + u32(this.#partial, 0));
  }

  /** Receives the next bytes, of any length. Keeps no reference to `lent` bytes. Throws {@link ProtocolError}. */
  push(chunk: Uint8Array, lent: boolean = false): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#filled > 0) {
        at = this.#resume(chunk, at, lent);
        continue;
      }
      if (chunk.length - at < HEADER) {
        this.#keep(chunk, at, HEADER);
        return;
      }
      const length = this.#check(chunk, at);
      if (chunk.length - at - HEADER < length) {
        if ((chunk[at + 4] & PART) !== 0) {
          // The body of a fragment is copied directly into its segment, without being assembled first.
          const rest = chunk.subarray(at + HEADER);
          this.#part(u32(chunk, at + 5), rest);
          this.#keepHeader(chunk, at, length - rest.length);
          return;
        }
        this.#keep(chunk, at, HEADER + length);
        return;
      }
      const kind = chunk[at + 4];
      const body = chunk.subarray(at + HEADER, at + HEADER + length);
      this.#frame(kind, u32(chunk, at + 5), lent && (kind & PART) === 0 ? body.slice() : body);
      at += HEADER + length;
    }
  }

  #check(bytes: Uint8Array, at: number): number {
    const length = u32(bytes, at);
    // The body of a part is received into its segment, whose size is limited.
    if (length > FRAGMENT && (bytes[at + 4] & PART) === 0) {
      throw new ProtocolError(
        `Cannot read from the peer: a frame claims ${length} bytes, at most ${FRAGMENT} are allowed`,
      );
    }
    return length;
  }

  #keep(chunk: Uint8Array, at: number, size: number): void {
    if (this.#partial.length < size) this.#partial = new Uint8Array(size);
    this.#partial.set(chunk.subarray(at), 0);
    this.#filled = chunk.length - at;
  }

  #keepHeader(chunk: Uint8Array, at: number, missing: number): void {
    this.#partial.set(chunk.subarray(at, at + HEADER), 0);
    this.#partial[0] = missing;
    this.#partial[1] = missing >>> 8;
    this.#partial[2] = missing >>> 16;
    this.#partial[3] = missing >>> 24;
    this.#filled = HEADER;
  }

  /** Continues a frame that an earlier chunk has left incomplete. Returns the position after the bytes that were used. */
  #resume(chunk: Uint8Array, at: number, lent: boolean): number {
    if (this.#filled < HEADER) {
      const take = Math.min(HEADER - this.#filled, chunk.length - at);
      this.#partial.set(chunk.subarray(at, at + take), this.#filled);
      this.#filled += take;
      if (this.#filled < HEADER) return at + take;
      at += take;
    }
    const length = this.#check(this.#partial, 0);
    const kind = this.#partial[4];
    const channel = u32(this.#partial, 5);
    if ((kind & PART) !== 0) {
      const take = Math.min(length, chunk.length - at);
      if (take > 0 || length === 0) {
        this.#part(channel, chunk.subarray(at, at + take), lent);
      }
      if (take === length) this.#filled = 0;
      else this.#keepHeader(this.#partial, 0, length - take);
      return at + take;
    }
    if (this.#partial.length < HEADER + length) {
      const grown = new Uint8Array(HEADER + length);
      grown.set(this.#partial.subarray(0, this.#filled), 0);
      this.#partial = grown;
    }
    const take = Math.min(HEADER + length - this.#filled, chunk.length - at);
    this.#partial.set(chunk.subarray(at, at + take), this.#filled);
    this.#filled += take;
    if (this.#filled === HEADER + length) {
      const frame = this.#partial;
      this.#partial = new Uint8Array(HEADER);
      this.#filled = 0;
      this.#frame(kind, channel, frame.subarray(HEADER, HEADER + length));
    }
    return at + take;
  }

  #frame(kind: number, channel: number, body: Uint8Array): void {
    if ((kind & PART) !== 0) this.#part(channel, body);
    else if ((kind & TABLE) !== 0) this.#table(kind & KIND, channel, body);
    else this.#deliver(kind, channel, { bytes: body, attachments: none });
  }

  #table(kind: number, channel: number, body: Uint8Array): void {
    const count = body.length < 4 ? 0 : u32(body, 0);
    if (
      count === 0 || body.length !== 4 + 8 * count ||
      this.#assemblies.has(channel)
    ) {
      throw new ProtocolError(
        "Cannot read from the peer: a message announces no valid segments",
      );
    }
    const view = new DataView(body.buffer, body.byteOffset);
    const sizes: Array<number> = [];
    let total = 0;
    for (let i = 0; i < count; i++) {
      const size = view.getFloat64(4 + 8 * i, true);
      if (!Number.isSafeInteger(size) || size < 0) {
        throw new ProtocolError(
          `Cannot read from the peer: a segment claims ${size} bytes`,
        );
      }
      sizes.push(size);
      total += size;
    }
    if (total > this.maxMessageSize) {
      throw new ProtocolError(
        `Cannot read from the peer: a message claims ${total} bytes, maxMessageSize is ${this.maxMessageSize}`,
      );
    }
    const assembly: Assembly = {
      kind,
      sizes,
      segments: [],
      segment: 0,
      offset: 0,
    };
    this.#assemblies.set(channel, assembly);
    this.#settle(channel, assembly);
  }

  #part(channel: number, bytes: Uint8Array, lent: boolean = true): void {
    const assembly = this.#assemblies.get(channel);
    if (assembly === undefined) {
      throw new ProtocolError(
        "Cannot read from the peer: a fragment belongs to no message",
      );
    }
    const size = assembly.sizes[assembly.segment];
    const end = assembly.offset + bytes.length;
    if (end > size) {
      throw new ProtocolError(
        "Cannot read from the peer: a fragment is longer than its segment",
      );
    }
    // The header of a fragment may arrive without its body.
    if (bytes.length === 0) return;
    if (!lent && bytes.length === size && bytes.buffer.byteLength === size) {
      // A transport that hands memory over has delivered the whole segment.
      assembly.segments[assembly.segment] = bytes as Uint8Array<ArrayBuffer>;
      assembly.offset = end;
      return this.#settle(channel, assembly);
    }
    let segment = assembly.segments[assembly.segment];
    const capacity = segment?.length ?? 0;
    if (end > capacity) {
      const wanted = capacity === 0 ? Math.max(end, TRUSTED - this.#believed) : Math.max(end, 2 * capacity);
      const used = segment === undefined && wanted >= size ? recycled(size) : undefined;
      const buffer = segment === undefined ? new ArrayBuffer(0) : segment.buffer;
      segment = used ?? new Uint8Array(buffer.transfer(Math.min(size, wanted)));
      assembly.segments[assembly.segment] = segment;
      this.#believed += segment.length - capacity;
    }
    this.#believed -= bytes.length;
    const isThere = bytes.buffer === segment.buffer && bytes.byteOffset === segment.byteOffset + assembly.offset;
    if (!isThere) segment.set(bytes, assembly.offset);
    assembly.offset = end;
    this.#settle(channel, assembly);
  }

  /** Advances past complete segments. After the last one, delivers the message. */
  #settle(channel: number, assembly: Assembly): void {
    while (
      assembly.segment < assembly.sizes.length &&
      assembly.offset === assembly.sizes[assembly.segment]
    ) {
      assembly.segments[assembly.segment] ??= new Uint8Array(0);
      assembly.segment++;
      assembly.offset = 0;
    }
    if (assembly.segment < assembly.sizes.length) return;
    this.#assemblies.delete(channel);
    const [bytes, ...attachments] = assembly.segments;
    this.#deliver(assembly.kind, channel, { bytes, attachments });
  }
}
