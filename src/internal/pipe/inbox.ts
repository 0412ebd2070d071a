/**
 * Messages that were not received yet, in the order in which they were sent. Free of Effect.
 *
 * @module
 */
import { Fifo } from "../objects/fifo.ts";
import type { Message } from "./message.ts";

/** The unreceived messages of one end. */
export class MessageInbox {
  readonly #messages = new Fifo<Message>();
  /** The total size of all messages, in bytes. */
  bytes = 0;

  get length(): number {
    return this.#messages.length;
  }

  get first(): Message | undefined {
    return this.#messages.first;
  }

  push(message: Message): void {
    this.#messages.push(message);
    this.bytes += message.size;
  }

  shift(): Message | undefined {
    const message = this.#messages.shift();
    if (message !== undefined) this.bytes -= message.size;
    return message;
  }

  /** Removes and returns all messages. */
  drain(): ReadonlyArray<Message> {
    this.bytes = 0;
    return this.#messages.drain();
  }

  [Symbol.iterator](): IterableIterator<Message> {
    return this.#messages[Symbol.iterator]();
  }
}
