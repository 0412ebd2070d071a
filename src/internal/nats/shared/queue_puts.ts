/**
 * The way of items into the server. An item whose answer was lost is stored again with the same id, which the server notices. Free of
 * Effect.
 *
 * Calls that find no room wait in a line; the first one tries again whenever an item was taken, and from time to time.
 *
 * @module
 */
import { Fifo } from "../../objects/fifo.ts";
import { type JetStream, JetStreamError, passes, REFUSED_BY_LIMIT } from "../jetstream.ts";
import type { Answers } from "./queue_claims.ts";
import { closedAs, type QueueStreams } from "./queue_streams.ts";

/** The shortest and the longest time after which the first of the line tries again, in milliseconds. */
const AGAIN = 1;
const LONGEST = 50;

/** Number of items that are stored at the same time, if there is room for far more. */
const WINDOW = 256;
const FAR_MORE = 4;

/** What an item takes up beside its bytes, about. */
export const OVERHEAD = 256;

/** Larger than the stream allows, as each message is for a queue that was closed. */
const TOO_LARGE = 10054;

/** An item to be put. */
export interface ItemMessage {
  readonly id: string;
  readonly data: Uint8Array;
}

/** Puts items into one queue. */
export class Puts {
  readonly #js: JetStream;
  readonly #streams: QueueStreams;
  readonly #answers: Answers;
  readonly #line = new Fifo<() => void>();
  /** The first of the line tries again. */
  #retry = (): void => {};
  #stopListening = (): void => {};

  constructor(streams: QueueStreams, answers: Answers) {
    this.#js = streams.js;
    this.#streams = streams;
    this.#answers = answers;
  }

  /** Number of calls that wait for room. */
  get waiting(): number {
    return this.#line.length;
  }

  /** Puts items in their order, as there is room. */
  async putAll(items: ReadonlyArray<ItemMessage>, signal: AbortSignal): Promise<void> {
    for (let at = 0; at < items.length;) {
      const window = items.slice(at, at + WINDOW);
      at += window.length;
      const left = window.length > 1 && await this.#isRoomFor(window) ? await this.#storeAtOnce(window) : window;
      for (const item of left) await this.#put(item, signal);
    }
  }

  /** Puts an item if there is room. */
  async tryPut(item: ItemMessage, signal: AbortSignal): Promise<boolean> {
    return this.#line.length === 0 && await this.#storeNow(item, signal);
  }

  async #put(item: ItemMessage, signal: AbortSignal): Promise<void> {
    if (this.#line.length === 0 && await this.#storeNow(item, signal)) return;
    signal.throwIfAborted();
    const leave = await this.#turn(signal);
    try {
      for (let pause = AGAIN;; pause = Math.min(LONGEST, 2 * pause)) {
        if (await this.#store(item, signal)) return;
        if (await this.#room(pause, signal)) pause = AGAIN;
      }
    } finally {
      leave();
    }
  }

  /** Stores an item unless the queue is full. The places of items that this program has taken are free. */
  async #storeNow(item: ItemMessage, signal: AbortSignal): Promise<boolean> {
    if (await this.#store(item, signal)) return true;
    await this.#answers.settled();
    return this.#store(item, signal);
  }

  async #store({ data, id }: ItemMessage, signal: AbortSignal): Promise<boolean> {
    try {
      await this.#js.persist((repeated) => {
        if (repeated) signal.throwIfAborted();
        return this.#js.store(this.#streams.names.item, data, { id });
      });
      return true;
    } catch (error) {
      if (!(error instanceof JetStreamError)) throw error;
      if (error.code === REFUSED_BY_LIMIT && /maximum (messages|bytes)/.test(error.message)) return false;
      const { state } = error.code === TOO_LARGE ? await this.#streams.look() : { state: "open" as const };
      throw state === "open" ? error : closedAs(state);
    }
  }

  async #isRoomFor(items: ReadonlyArray<ItemMessage>): Promise<boolean> {
    const { bytes, capacity, maxBytes, size } = await this.#streams.look();
    const needed = items.reduce((sum, { data }) => sum + data.length + OVERHEAD, 0);
    return size + FAR_MORE * items.length < capacity && bytes + FAR_MORE * needed < maxBytes;
  }

  /** Returns the items from the first one on that was not stored, as far as it is known. */
  async #storeAtOnce(items: ReadonlyArray<ItemMessage>): Promise<ReadonlyArray<ItemMessage>> {
    const { item } = this.#streams.names;
    const stored = await Promise.allSettled(items.map(({ data, id }) => this.#js.store(item, data, { id })));
    const failed = stored.findIndex(({ status }) => status === "rejected");
    if (failed < 0) return [];
    const { reason } = stored[failed] as PromiseRejectedResult;
    if (!passes(reason) && !(reason instanceof JetStreamError)) throw reason;
    return items.slice(failed);
  }

  /** Waits until it is the first in the line. Returns the function by which it leaves the line. */
  #turn(signal: AbortSignal): Promise<() => void> {
    return new Promise((resolve, reject) => {
      const come = (): void => {
        signal.removeEventListener("abort", abort);
        resolve(leave);
      };
      const leave = (): void => {
        this.#line.remove(entry);
        if (this.#line.length === 0) this.#stopListening();
        else this.#line.first!();
      };
      const abort = (): void => {
        leave();
        reject(signal.reason);
      };
      if (this.#line.length === 0) this.#listen();
      const entry = this.#line.push(come);
      signal.addEventListener("abort", abort);
      if (this.#line.length === 1) come();
    });
  }

  #listen(): void {
    const stop = this.#js.server.subscribe(this.#streams.names.takenOf("*"), () => this.#retry());
    this.#stopListening = () => {
      this.#stopListening = () => {};
      stop();
    };
  }

  /** Waits until an item was taken, or for a while. Returns whether one was taken. */
  async #room(millis: number, signal: AbortSignal): Promise<boolean> {
    let taken = false;
    await new Promise<void>((resolve, reject) => {
      const end = (): void => {
        this.#retry = () => {};
        signal.removeEventListener("abort", end);
        resolve();
      };
      this.#retry = () => {
        taken = true;
        end();
      };
      signal.addEventListener("abort", end);
      this.#js.pause(millis).then(end, reject);
    });
    signal.throwIfAborted();
    return taken;
  }
}
