/**
 * The sending half of a link: encodes messages as frames; see `frames.ts`.
 *
 * @module
 */
import { Writer } from "../codec/bytes.ts";
import { FRAGMENT, HEADER, LARGEST_FRAGMENT, LONGEST, PART, TABLE, type Transport } from "./frames.ts";
import { MessageTooLarge } from "../codec/message.ts";

/** The number of bytes of small frames that leave at once, without waiting for the end of the turn. */
const COALESCED = 64 * 1024;

/** The number of unsent bytes from which the outbox is not `writable`. */
const HIGH_WATER = 1024 * 1024;

/**
 * The fragments of long messages grow to {@link LARGEST_FRAGMENT} while a write of one takes at most this number of milliseconds,
 * and shrink to {@link FRAGMENT} again while it takes more than four times as long: a large one costs fewer turns of both event
 * loops, but a message that comes meanwhile waits for its end.
 */
const QUICK = 1;

/** The number of bytes of a body that leaves with the small frames, before the attachments of its message. */
const SHORT = 4 * 1024;

interface Bulk {
  readonly kind: number;
  readonly channel: number;
  readonly segments: ReadonlyArray<Uint8Array>;
  /** The segments whose memory may be handed over to the transport. */
  readonly owned: ReadonlySet<Uint8Array>;
  segment: number;
  offset: number;
  started: boolean;
  readonly handed: (() => void) | undefined;
}

/** The parts of a message besides its body. */
interface Parts {
  readonly attachments: ReadonlyArray<Uint8Array>;
  /** The attachments whose memory may be handed over to the transport. */
  readonly owned?: ReadonlySet<Uint8Array> | undefined;
}

const none: Parts = { attachments: [] };

/** Sends messages in as few writes as the pace of the transport allows. */
export class Outbox {
  #writer = new Writer();
  #spare = new Writer();
  #bulk: Array<Bulk> = [];
  /** Channels with a long message that is sent in part. Their next long message waits for its end. */
  #underway = new Set<number>();
  #bulkBytes = 0;
  #writing = false;
  #scheduled = false;
  #closed = false;
  #drained: Array<() => void> = [];
  /** The number of bytes of the next fragments. */
  #fragmentSize = FRAGMENT;
  /** When the write of a whole fragment began. */
  #fragmentSince: number | undefined;
  /** The `handed` callbacks of the messages that the next write completes. */
  #completed: Array<() => void> = [];
  /** The `handed` callbacks of the messages that the current write completes. */
  #handing: Array<() => void> = [];
  readonly #transport: Transport;
  maxMessageSize: number;

  constructor(transport: Transport, maxMessageSize: number) {
    this.#transport = transport;
    this.maxMessageSize = maxMessageSize;
  }

  /** The number of bytes that were accepted and that the transport has not taken yet. */
  get pending(): number {
    return this.#writer.position + this.#bulkBytes;
  }

  /** Whether a sender that respects back-pressure may send. */
  get writable(): boolean {
    return this.pending < HIGH_WATER;
  }

  /** Runs `resume` once, when the outbox is writable again or closed. */
  onWritable(resume: () => void): void {
    this.#drained.push(resume);
  }

  /**
   * Accepts one message, whose body is written by `fill`. Throws the error of `fill`, or {@link MessageTooLarge}; in both cases
   * the message is not accepted. After the end of the transport, messages are dropped, because no peer can read them.
   *
   * `handed` is called when the transport has taken the whole message, which outlives this process from then on. If the transport
   * ends before, `handed` is not called.
   */
  send(
    kind: number,
    channel: number,
    fill?: (writer: Writer) => Parts | undefined | void,
    handed?: () => void,
  ): void {
    const writer = this.#writer;
    const start = writer.position;
    writer.reserve(HEADER);
    writer.position = start + HEADER;
    let { attachments, owned } = none;
    if (fill !== undefined) {
      try {
        ({ attachments, owned } = fill(writer) ?? none);
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
        owned: owned === undefined ? new Set([body]) : new Set([body, ...owned]),
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
    if (writer.position >= COALESCED || this.#transport.eager === true) this.#flush();
    else if (!this.#scheduled) {
      this.#scheduled = true;
      queueMicrotask(this.#flush);
    }
  }

  /** Writes as much as the transport takes now. */
  flush(): void {
    this.#flush();
    this.#transport.flush?.();
  }

  /** Drops unsent messages and resumes waiting senders. */
  close(): void {
    this.#closed = true;
    this.#bulk = [];
    this.#bulkBytes = 0;
    this.#writer.position = 0;
    this.#release();
  }

  /** Runs `done` once the transport has taken all accepted messages, or the outbox is closed. */
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
    let handed: (() => void) | undefined;
    if (this.#completed.length > 0) {
      const completed = this.#completed;
      this.#completed = [];
      if (this.#transport.eager === true) handed = () => completed.forEach((handed) => handed());
      else this.#handing = completed;
    }
    this.#writer = this.#spare;
    this.#spare = writer;
    this.#writing = true;
    const chunk = writer.buffer.subarray(0, writer.position);
    this.#fragmentSince = fragment?.bytes.length === this.#fragmentSize ? performance.now() : undefined;
    this.#transport.write(
      fragment === undefined ? [chunk] : [chunk, fragment.bytes],
      this.#written,
      handed,
      fragment?.owned === true,
    );
  };

  #written = (): void => {
    this.#writing = false;
    if (this.#fragmentSince !== undefined) this.#resize(performance.now() - this.#fragmentSince);
    // A rare large buffer must not be retained for the life of the link.
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

  #resize(millis: number): void {
    if (millis <= QUICK) this.#fragmentSize = Math.min(2 * this.#fragmentSize, LARGEST_FRAGMENT);
    else if (millis > 4 * QUICK) this.#fragmentSize = Math.max(this.#fragmentSize / 2, FRAGMENT);
  }

  /** Appends the header of the next fragment to the small frames, and returns the fragment. Long messages take turns. */
  #fragment(writer: Writer): { readonly bytes: Uint8Array; readonly owned: boolean } | undefined {
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
      const [body] = bulk.segments;
      // A short body takes no write of its own.
      if (body.byteLength > 0 && body.byteLength <= SHORT) {
        this.#part(writer, bulk, body.byteLength);
        writer.bytes(body);
        bulk.segment = 1;
        this.#bulkBytes -= body.byteLength;
      }
    }
    while (
      bulk.segment < bulk.segments.length &&
      // A segment that was handed over is empty.
      bulk.offset >= bulk.segments[bulk.segment].byteLength
    ) {
      bulk.segment++;
      bulk.offset = 0;
    }
    const segment = bulk.segments[bulk.segment];
    if (segment === undefined) {
      this.#finish(bulk);
      return undefined;
    }
    const end = Math.min(
      bulk.offset + (this.#transport.whole === true ? LONGEST : this.#fragmentSize),
      segment.byteLength,
    );
    const bytes = segment.subarray(bulk.offset, end);
    bulk.offset = end;
    this.#bulkBytes -= bytes.byteLength;
    const last = end === segment.byteLength &&
      bulk.segments.every((other, i) => i <= bulk.segment || other.byteLength === 0);
    if (last) this.#finish(bulk);
    else this.#bulk.push(bulk);
    this.#part(writer, bulk, bytes.byteLength);
    return { bytes, owned: bulk.owned.has(segment) };
  }

  /** Appends the header of a fragment. */
  #part(writer: Writer, { channel, kind }: Bulk, length: number): void {
    const start = writer.position;
    writer.reserve(HEADER);
    header(writer, start, length, kind | PART, channel);
    writer.position = start + HEADER;
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
