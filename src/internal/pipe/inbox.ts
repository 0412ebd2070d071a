/**
 * Messages in the order in which they were sent.
 *
 * @module
 */
import { type Packet, sizeOf } from "../objects/packets.ts";

/** A value, as the codec has encoded it. */
export const VALUE = 0;
/** Bytes, as they are. */
export const BYTES = 1;
/** In place of one that was too large for the way here: its size and the limit, as two f64. */
export const OVERSIZE = 2;

/** What keeping any message costs, in bytes: even empty ones do not come in any number. */
const OVERHEAD = 64;

/** One message. */
export interface Message extends Packet {
  readonly kind: number;
  /** What it counts for, in bytes. */
  readonly size: number;
  /** Where it waits to be received: lets go of what moves with it. */
  readonly kept?: (() => void) | undefined;
}

/** Makes one. */
export const message = (kind: number, { attachments, bytes, moves }: Packet): Message => ({
  kind,
  bytes,
  attachments,
  moves,
  size: sizeOf({ attachments, bytes }) + OVERHEAD,
});

/** See above. */
export class Messages {
  #items: Array<Message | undefined> = [];
  #head = 0;
  /** What all of them count for, in bytes. */
  bytes = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }

  get first(): Message | undefined {
    return this.#items[this.#head];
  }

  push(message: Message): void {
    this.#items.push(message);
    this.bytes += message.size;
  }

  shift(): Message | undefined {
    const message = this.#items[this.#head];
    if (message === undefined) return undefined;
    this.#items[this.#head++] = undefined;
    this.bytes -= message.size;
    if (this.#head === this.#items.length) this.clear();
    // Halving keeps the cost of forgetting in proportion to what was given out.
    else if (this.#head > 1024 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return message;
  }

  clear(): void {
    this.#items = [];
    this.#head = 0;
    this.bytes = 0;
  }

  *[Symbol.iterator](): IterableIterator<Message> {
    for (let i = this.#head; i < this.#items.length; i++) yield this.#items[i]!;
  }
}
