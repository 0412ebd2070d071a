/**
 * Messages to frames and back: one ordered byte stream carries many channels.
 *
 * A frame is a 9 byte header and a body, little endian:
 *
 * | bytes | field | meaning |
 * | --- | --- | --- |
 * | 0-3 | length | of the body, at most {@link FRAGMENT} |
 * | 4 | kind | what the link makes of it (0-31), plus `TABLE` or `PART` |
 * | 5-8 | channel | which conversation it belongs to |
 *
 * A message that fits goes as one frame. Any other message (long, or with attachments) goes as a `TABLE` frame, whose
 * body is a count (u32) and so many sizes (f64), followed by `PART` frames that fill those segments in order: the body
 * first, then each attachment. Attachments are sent from the memory they live in and received into a buffer of their
 * own, so user code and the wire share no copy.
 *
 * - Small frames that are sent while the transport is busy, or in the same turn, leave in one write.
 * - Long messages leave in fragments, in turn, so that none stalls another or the small ones.
 * - Messages of one channel never overtake each other.
 * - A message over the limit is refused before a byte of it is sent; a frame that breaks these rules is a
 *   {@link ProtocolError}, found before anything is allocated for it.
 *
 * @module
 */
import { Writer } from "./bytes.ts";

/** Bytes of a frame's header. */
export const HEADER = 9;

/** The longest body of one frame, in bytes: what a small message waits for at most. */
export const FRAGMENT = 256 * 1024;

/** The default limit of one message, in bytes. */
export const MAX_MESSAGE_SIZE: number = 1024 * 1024 * 1024;

/** So many small frames are sent at once, and do not wait for the end of the turn. */
const COALESCED = 64 * 1024;

/** Above so many unsent bytes the outbox asks its users to wait. */
const HIGH_WATER = 1024 * 1024;

/** So much memory may be taken on the word of the peer alone; beyond it memory grows only with what has arrived. */
const TRUSTED = 16 * 1024 * 1024;

const TABLE = 0x40;
const PART = 0x80;
const KIND = 0x1f;

/** A message is larger than the link allows. */
export class MessageTooLarge extends Error {
  /** Tells the errors apart: for `Effect.catchTag`. */
  readonly _tag = "MessageTooLarge";
  /** How the error is printed. */
  override readonly name = "MessageTooLarge";
  constructor(
    /** Size of the message, in bytes. */
    readonly size: number,
    /** The link's limit, in bytes. */
    readonly limit: number,
  ) {
    super(
      `Cannot send a message of ${size} bytes: the limit is ${limit} bytes; raise maxMessageSize of the backend or send it in pieces`,
    );
  }
}

/** The peer sent bytes that are no frames. The link is closed, since what follows cannot be understood. */
export class ProtocolError extends Error {
  /** Tells the errors apart: for `Effect.catchTag`. */
  readonly _tag = "ProtocolError";
  /** How the error is printed. */
  override readonly name = "ProtocolError";
}

/** What carries the bytes: a socket, a pair of ports. */
export interface Transport {
  /** Sends the chunks in order and calls `done` when they may be written to again and more may be sent. */
  readonly write: (chunks: ReadonlyArray<Uint8Array>, done: () => void) => void;
  /** Begins to deliver: `data` gets buffers that it may keep, `end` is called once, with the reason if there is one. */
  readonly start: (
    data: (chunk: Uint8Array) => void,
    end: (reason?: Error) => void,
  ) => void;
  /** Ends the transport on this side; bytes that were given to `write` before are still delivered. */
  readonly close: () => void;
}

/** A received message. `bytes` may share memory with other messages; attachments own theirs. */
export interface Incoming {
  readonly bytes: Uint8Array;
  readonly attachments: ReadonlyArray<Uint8Array>;
}

interface Bulk {
  readonly kind: number;
  readonly channel: number;
  readonly segments: ReadonlyArray<Uint8Array>;
  segment: number;
  offset: number;
  started: boolean;
  readonly handed: (() => void) | undefined;
}

const none: ReadonlyArray<Uint8Array> = [];

/** The sending half: turns messages into as few writes as the transport's pace allows. */
export class Outbox {
  #writer = new Writer();
  #spare = new Writer();
  #bulk: Array<Bulk> = [];
  /** Channels with a message under way: their next long message waits for its end. */
  #underway = new Set<number>();
  #bulkBytes = 0;
  #writing = false;
  #scheduled = false;
  #closed = false;
  #drained: Array<() => void> = [];
  /** Who waits for the messages that the next write completes, and for those of the write under way. */
  #completed: Array<() => void> = [];
  #handing: Array<() => void> = [];
  readonly #transport: Transport;
  maxMessageSize: number;

  constructor(transport: Transport, maxMessageSize: number) {
    this.#transport = transport;
    this.maxMessageSize = maxMessageSize;
  }

  /** Bytes accepted and not yet taken by the transport. */
  get pending(): number {
    return this.#writer.position + this.#bulkBytes;
  }

  /** Whether a polite sender may go on. */
  get writable(): boolean {
    return this.pending < HIGH_WATER;
  }

  /** Calls back, once, when the outbox is writable again (or closed). */
  onWritable(resume: () => void): void {
    this.#drained.push(resume);
  }

  /**
   * Accepts one message, whose body is written by `fill`. Throws what `fill` throws, or {@link MessageTooLarge}, and has
   * then accepted nothing. After the end of the transport messages are dropped: the peer that would read them is gone.
   *
   * `handed` is called when the transport has taken all of it: from then on it outlives this process. Never, if the
   * transport ends before.
   */
  send(
    kind: number,
    channel: number,
    fill?: (writer: Writer) => ReadonlyArray<Uint8Array> | undefined | void,
    handed?: () => void,
  ): void {
    const writer = this.#writer;
    const start = writer.position;
    writer.reserve(HEADER);
    writer.position = start + HEADER;
    let attachments = none;
    if (fill !== undefined) {
      try {
        attachments = fill(writer) ?? none;
      } catch (error) {
        writer.position = start;
        throw error;
      }
    }
    const length = writer.position - start - HEADER;
    if (
      length > FRAGMENT || attachments.length > 0 ||
      (this.#bulk.length > 0 && this.#queued(channel))
    ) {
      const body = writer.buffer.slice(start + HEADER, writer.position);
      writer.position = start;
      let size = length;
      for (const attachment of attachments) size += attachment.byteLength;
      if (size > this.maxMessageSize) {
        throw new MessageTooLarge(size, this.maxMessageSize);
      }
      if (this.#closed) return;
      this.#bulkBytes += size;
      this.#bulk.push({
        kind,
        channel,
        segments: [body, ...attachments],
        segment: 0,
        offset: 0,
        started: false,
        handed,
      });
    } else {
      if (length > this.maxMessageSize) {
        writer.position = start;
        throw new MessageTooLarge(length, this.maxMessageSize);
      }
      if (this.#closed) {
        writer.position = start;
        return;
      }
      header(writer, start, length, kind, channel);
      if (handed !== undefined) this.#completed.push(handed);
    }
    if (this.#writing) return;
    if (writer.position >= COALESCED) this.#flush();
    else if (!this.#scheduled) {
      this.#scheduled = true;
      queueMicrotask(this.#flush);
    }
  }

  /** Hands over what the transport can take at once. */
  flush(): void {
    this.#flush();
  }

  /** Drops what is unsent and lets waiting senders go on. */
  close(): void {
    this.#closed = true;
    this.#bulk = [];
    this.#bulkBytes = 0;
    this.#writer.position = 0;
    this.#release();
  }

  /** Calls back when all that was accepted has been taken by the transport. */
  flushed(done: () => void): void {
    if (
      this.#closed || (this.pending === 0 && !this.#writing && !this.#scheduled)
    ) done();
    else this.#drained.push(() => this.flushed(done));
  }

  #queued(channel: number): boolean {
    return this.#bulk.some((bulk) => bulk.channel === channel);
  }

  #flush = (): void => {
    this.#scheduled = false;
    if (this.#writing || this.#closed) return;
    const writer = this.#writer;
    const fragment = this.#bulk.length > 0 ? this.#fragment(writer) : undefined;
    if (writer.position === 0) return;
    if (this.#completed.length > 0) {
      this.#handing = this.#completed;
      this.#completed = [];
    }
    this.#writer = this.#spare;
    this.#spare = writer;
    this.#writing = true;
    const chunk = writer.buffer.subarray(0, writer.position);
    this.#transport.write(
      fragment === undefined ? [chunk] : [chunk, fragment],
      this.#written,
    );
  };

  #written = (): void => {
    this.#writing = false;
    // A rare long message must not pin its buffer for the life of the link.
    if (this.#spare.buffer.length > 2 * HIGH_WATER) this.#spare = new Writer();
    else this.#spare.position = 0;
    if (this.#handing.length > 0) {
      const handing = this.#handing;
      this.#handing = [];
      for (const handed of handing) handed();
    }
    if (this.#drained.length > 0 && this.writable) this.#release();
    this.#flush();
  };

  /** Appends the header of the next fragment to the small frames and returns its bytes; long messages take turns. */
  #fragment(writer: Writer): Uint8Array | undefined {
    const next = this.#bulk.findIndex((bulk) => bulk.started || !this.#underway.has(bulk.channel));
    const [bulk] = this.#bulk.splice(next, 1);
    if (!bulk.started) {
      bulk.started = true;
      this.#underway.add(bulk.channel);
      const length = 4 + 8 * bulk.segments.length;
      const start = writer.position;
      writer.reserve(HEADER + length);
      header(writer, start, length, bulk.kind | TABLE, bulk.channel);
      const view = new DataView(writer.buffer.buffer, writer.buffer.byteOffset);
      view.setUint32(start + HEADER, bulk.segments.length, true);
      bulk.segments.forEach((segment, i) => view.setFloat64(start + HEADER + 4 + 8 * i, segment.byteLength, true));
      writer.position = start + HEADER + length;
    }
    while (
      bulk.segment < bulk.segments.length &&
      bulk.offset === bulk.segments[bulk.segment].byteLength
    ) {
      bulk.segment++;
      bulk.offset = 0;
    }
    const segment = bulk.segments[bulk.segment];
    if (segment === undefined) {
      this.#finish(bulk);
      return undefined;
    }
    const end = Math.min(bulk.offset + FRAGMENT, segment.byteLength);
    const bytes = segment.subarray(bulk.offset, end);
    bulk.offset = end;
    this.#bulkBytes -= bytes.byteLength;
    const last = end === segment.byteLength &&
      bulk.segments.every((other, i) => i <= bulk.segment || other.byteLength === 0);
    if (last) this.#finish(bulk);
    else this.#bulk.push(bulk);
    const start = writer.position;
    writer.reserve(HEADER);
    header(writer, start, bytes.byteLength, bulk.kind | PART, bulk.channel);
    writer.position = start + HEADER;
    return bytes;
  }

  #finish({ channel, handed }: Bulk): void {
    this.#underway.delete(channel);
    if (handed !== undefined) this.#completed.push(handed);
  }

  #release(): void {
    const waiting = this.#drained;
    this.#drained = [];
    for (const resume of waiting) resume();
  }
}

const header = (
  writer: Writer,
  at: number,
  length: number,
  kind: number,
  channel: number,
): void => {
  const buffer = writer.buffer;
  buffer[at] = length;
  buffer[at + 1] = length >>> 8;
  buffer[at + 2] = length >>> 16;
  buffer[at + 3] = length >>> 24;
  buffer[at + 4] = kind;
  buffer[at + 5] = channel;
  buffer[at + 6] = channel >>> 8;
  buffer[at + 7] = channel >>> 16;
  buffer[at + 8] = channel >>> 24;
};

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

/** The receiving half: cuts the byte stream into messages. */
export class Inbox {
  /** A frame of which only the beginning has arrived: its header, then its body. */
  #partial = new Uint8Array(HEADER);
  #filled = 0;
  #assemblies = new Map<number, Assembly>();
  readonly #deliver: (kind: number, channel: number, message: Incoming) => void;
  /** Memory that was taken and not yet filled. */
  #believed = 0;
  maxMessageSize: number;

  constructor(
    maxMessageSize: number,
    deliver: (kind: number, channel: number, message: Incoming) => void,
  ) {
    this.maxMessageSize = maxMessageSize;
    this.#deliver = deliver;
  }

  /** Takes the next bytes, of any length. Throws {@link ProtocolError}. */
  push(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#filled > 0) {
        at = this.#resume(chunk, at);
        continue;
      }
      if (chunk.length - at < HEADER) {
        this.#keep(chunk, at, HEADER);
        return;
      }
      const length = this.#check(chunk, at);
      if (chunk.length - at - HEADER < length) {
        if ((chunk[at + 4] & PART) !== 0) {
          // The rest of a fragment can go straight to where it belongs.
          const rest = chunk.subarray(at + HEADER);
          this.#part(u32(chunk, at + 5), rest);
          this.#keepHeader(chunk, at, length - rest.length);
          return;
        }
        this.#keep(chunk, at, HEADER + length);
        return;
      }
      this.#frame(
        chunk[at + 4],
        u32(chunk, at + 5),
        chunk.subarray(at + HEADER, at + HEADER + length),
      );
      at += HEADER + length;
    }
  }

  #check(bytes: Uint8Array, at: number): number {
    const length = u32(bytes, at);
    if (length > FRAGMENT) {
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

  /** Goes on with a frame that was cut by the end of an earlier chunk. */
  #resume(chunk: Uint8Array, at: number): number {
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
        this.#part(channel, chunk.subarray(at, at + take));
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

  #part(channel: number, bytes: Uint8Array): void {
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
    // The header of a fragment may come alone.
    if (bytes.length === 0) return;
    let segment = assembly.segments[assembly.segment];
    const capacity = segment?.length ?? 0;
    if (end > capacity) {
      const wanted = capacity === 0 ? Math.max(end, TRUSTED - this.#believed) : Math.max(end, 2 * capacity);
      const buffer = segment === undefined ? new ArrayBuffer(0) : segment.buffer;
      segment = new Uint8Array(buffer.transfer(Math.min(size, wanted)));
      assembly.segments[assembly.segment] = segment;
      this.#believed += segment.length - capacity;
    }
    this.#believed -= bytes.length;
    segment.set(bytes, assembly.offset);
    assembly.offset = end;
    this.#settle(channel, assembly);
  }

  /** Steps over segments that are complete; the last one makes the message. */
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
