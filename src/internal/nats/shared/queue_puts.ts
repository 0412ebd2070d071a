/**
 * The way of items into the server. Free of Effect.
 *
 * The stream has no limit of its own: a server that was killed finds items again that were taken before, and would drop the oldest ones
 * to keep the limit, which may be others. Instead, an item is stored on the term that no program has put one since the room was looked
 * up. So the number of items is never too large, and items that are sent together are stored from the first one on without a gap.
 *
 * ```text
 *   in line --look: room--> sent --stored--> done
 *     ^  |                   |
 *     |  +--look: full: wait until an item was taken, or for a while
 *     +----------------------+--another program was first, or no answer: again, with the same id
 * ```
 *
 * An item whose answer was lost is stored again with the same id, which the server notices.
 *
 * @module
 */
import { Fifo, type FifoEntry } from "../../objects/fifo.ts";
import { isNotFirst, type JetStream, JetStreamError, passes } from "../jetstream.ts";
import type { Answers } from "./queue_claims.ts";
import { closedAs, type QueueStreams } from "./queue_streams.ts";

/** The shortest and the longest pause of the line, in milliseconds. */
const AGAIN = 1;
const LONGEST = 50;

/** Interval of mending a full queue, in milliseconds. */
const MEND = 1000;

/** Number of items that are sent together. */
const BATCH = 256;

/** The part of the free bytes that one program uses before it looks again, if others may put at the same time. */
const SHARE = 0.25;

/** Larger than the stream allows, as each message is for a queue that was closed. */
const TOO_LARGE = 10054;

/** An item to be put. */
export interface ItemMessage {
  readonly id: string;
  readonly data: Uint8Array;
}

interface Entry {
  readonly item: ItemMessage;
  readonly waits: boolean;
  /** Whether it was stored. */
  readonly done: (stored: boolean) => void;
  readonly failed: (error: unknown) => void;
  isAborted: boolean;
}

/** The room of the queue, as far as this program knows. Other programs may only have made it larger, unless `last` is wrong. */
interface Room {
  readonly isBounded: boolean;
  items: number;
  bytes: number;
  last: number;
}

/** Puts items into one queue. */
export class Puts {
  readonly #js: JetStream;
  readonly #streams: QueueStreams;
  readonly #answers: Answers;
  readonly #full: () => Promise<void>;
  readonly #line = new Fifo<Entry>();
  #isPumping = false;
  #isFull = false;
  #room: Room | undefined;
  /** Lets a full line look again. */
  #retry = (): void => {};
  /** Whether an item was taken since the last look. */
  #heard = false;
  #stopListening = (): void => {};
  #mended = 0;

  /** `full` is called from time to time while the queue is full. */
  constructor(streams: QueueStreams, answers: Answers, full: () => Promise<void>) {
    this.#js = streams.js;
    this.#streams = streams;
    this.#answers = answers;
    this.#full = full;
  }

  /** Number of items that wait for room. */
  get waiting(): number {
    return this.#isFull ? this.#line.length : 0;
  }

  /** Bytes that an item takes up in the stream, about. */
  sizeOf(data: Uint8Array): number {
    return data.length + this.#streams.names.item.length + 120;
  }

  /** Puts items in their order, as there is room. Returns whether they were put, which is always so if the call waits. */
  async put(items: ReadonlyArray<ItemMessage>, waits: boolean, signal: AbortSignal): Promise<boolean> {
    let stored = true;
    for (let at = 0; at < items.length; at += BATCH) {
      signal.throwIfAborted();
      stored = await this.#enter(items.slice(at, at + BATCH), waits, signal) && stored;
    }
    return stored;
  }

  async #enter(items: ReadonlyArray<ItemMessage>, waits: boolean, signal: AbortSignal): Promise<boolean> {
    if (!waits && this.#isFull) return false;
    const entries: Array<FifoEntry<Entry>> = [];
    const puts = items.map((item) =>
      new Promise<boolean>((done, failed) => {
        entries.push(this.#line.push({ item, waits, done, failed, isAborted: false }));
      })
    );
    // Those that are on their way are stored or refused before the line goes on.
    const abort = (): void => {
      for (const { value } of entries) value.isAborted = true;
      this.#retry();
    };
    signal.addEventListener("abort", abort);
    void this.#pump();
    try {
      const results = await Promise.allSettled(puts);
      for (const result of results) if (result.status === "rejected") throw result.reason;
      return results.every((result) => result.status === "fulfilled" && result.value);
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  /** Serves the line. */
  async #pump(): Promise<void> {
    if (this.#isPumping) return;
    this.#isPumping = true;
    try {
      for (let pause = AGAIN; this.#line.length > 0;) {
        this.#drop(({ isAborted }) => isAborted, ({ failed }) => failed(new DOMException("aborted", "AbortError")));
        const isFresh = this.#room === undefined;
        const room = this.#room ??= await this.#look();
        const batch = this.#next(room, isFresh);
        if (batch.length > 0) {
          this.#hasRoom();
          if (await this.#send(batch, room)) pause = AGAIN;
          else {
            this.#room = undefined;
            await this.#js.pause(pause);
            pause = Math.min(LONGEST, 2 * pause);
          }
          continue;
        }
        this.#room = undefined;
        if (!isFresh) continue;
        this.#drop(({ waits }) => !waits, ({ done }) => done(false));
        if (this.#line.length > 0) pause = await this.#waitForRoom(pause) ? AGAIN : Math.min(LONGEST, 2 * pause);
      }
    } catch (error) {
      this.#room = undefined;
      this.#drop(() => true, ({ failed }) => failed(error));
    } finally {
      this.#hasRoom();
      this.#isPumping = false;
    }
  }

  #drop(which: (entry: Entry) => boolean, end: (entry: Entry) => void): void {
    for (const entry of this.#line.removeWhere(which)) end(entry);
  }

  async #look(): Promise<Room> {
    // The places of items that this program has taken are free.
    await this.#answers.settled();
    const { bytes, capacity, last, maxBytes, size, state } = await this.#streams.look();
    if (state !== "open") throw closedAs(state);
    return { isBounded: capacity !== Infinity, items: capacity - size, bytes: maxBytes - bytes, last };
  }

  /** The items for which there is room, from the first one of the line on. */
  #next(room: Room, isFresh: boolean): ReadonlyArray<Entry> {
    const batch: Array<Entry> = [];
    let bytes = room.isBounded ? room.bytes : SHARE * room.bytes;
    for (const entry of this.#line) {
      const size = this.sizeOf(entry.item.data);
      // After a look, one item may have all of the room.
      const fits = size <= (isFresh && batch.length === 0 ? room.bytes : bytes);
      if (!fits || batch.length >= Math.min(BATCH, room.items)) break;
      batch.push(entry);
      bytes -= size;
    }
    return batch;
  }

  /** Stores items. Returns whether what is known of the room is still right. */
  async #send(batch: ReadonlyArray<Entry>, room: Room): Promise<boolean> {
    const { item } = this.#streams.names;
    const { isBounded, last } = room;
    const results = await Promise.allSettled(
      batch.map(({ item: { data, id } }, i) =>
        this.#js.store(item, data, { id, last: isBounded ? last + i : undefined })
      ),
    );
    const settled = new Set<Entry>();
    let isRight = true;
    for (const [i, result] of results.entries()) {
      const entry = batch[i];
      if (result.status === "fulfilled") {
        settled.add(entry);
        room.items--;
        room.bytes -= this.sizeOf(entry.item.data);
        // A number that is not the next one is that of an attempt without an answer.
        if (result.value === room.last + 1 || !isBounded) room.last = result.value;
        else isRight = false;
        entry.done(true);
        continue;
      }
      const { reason } = result;
      if (isNotFirst(reason)) {
        const now = Number(/\d+/.exec(reason.message)?.[0] ?? NaN);
        // Each of the others may have taken a place.
        if (now >= room.last) room.items -= now - room.last;
        else isRight = false;
        room.last = now;
        // What others have put has a size that is not known.
        isRight &&= room.bytes === Infinity || room.bytes > 1_000_000;
        break;
      }
      if (reason instanceof JetStreamError && reason.code === TOO_LARGE) {
        const { state } = await this.#streams.look();
        if (state !== "open") throw closedAs(state);
      }
      isRight = false;
      if (passes(reason)) continue;
      settled.add(entry);
      entry.failed(reason);
    }
    this.#line.removeWhere((entry) => settled.has(entry));
    return isRight;
  }

  /** Waits until an item was taken, or for a while. Returns whether one was taken. */
  async #waitForRoom(millis: number): Promise<boolean> {
    if (!this.#isFull) {
      this.#isFull = true;
      this.#mended = performance.now();
      this.#stopListening = this.#js.server.subscribe(this.#streams.names.takenOf("*"), () => {
        this.#heard = true;
        this.#retry();
      });
    } else if (performance.now() - this.#mended > MEND) {
      this.#mended = performance.now();
      await this.#full();
    }
    if (!this.#heard) {
      const retry = Promise.withResolvers<void>();
      this.#retry = retry.resolve;
      await Promise.race([retry.promise, this.#js.pause(millis)]);
      this.#retry = () => {};
    }
    const heard = this.#heard;
    this.#heard = false;
    return heard;
  }

  #hasRoom(): void {
    this.#isFull = false;
    this.#stopListening();
    this.#stopListening = () => {};
  }
}
