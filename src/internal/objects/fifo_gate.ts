/**
 * A FIFO gate around an operation that one fiber at a time may do, and only while it is possible: to read the next message,
 * or to write into limited room. The head of the queue passes when `isPossible` holds for its size. Later waiters stay
 * behind it, even if the operation would be possible for one of them.
 *
 * Free of Effect; `passGate` in `interruption.ts` passes a gate in a fiber.
 *
 * @module
 */
import { Fifo, type FifoEntry } from "./fifo.ts";

/** One waiter at a gate. It is a class for the reason that {@link FifoEntry} is one. */
export class GateWaiter {
  readonly size: number;
  /** Called once, when this waiter is the head and may pass. It passes, and leaves the gate. */
  admit: (() => void) | undefined;

  constructor(size: number, admit: () => void) {
    this.size = size;
    this.admit = admit;
  }
}

/** A FIFO gate. */
export class FifoGate {
  readonly #waiters = new Fifo<GateWaiter>();
  readonly #isPossible: (size: number) => boolean;

  /** `isPossible` tells whether an operation of that size can be done now. */
  constructor(isPossible: (size: number) => boolean) {
    this.#isPossible = isPossible;
  }

  /** Number of waiters. */
  get length(): number {
    return this.#waiters.length;
  }

  /** Whether a newcomer would pass at once. */
  isOpen(size: number): boolean {
    return this.#waiters.length === 0 && this.#isPossible(size);
  }

  /** Queues a waiter; `admit` is called once, perhaps before this returns. Every waiter has to `leave`, admitted or not. */
  enter(size: number, admit: () => void): FifoEntry<GateWaiter> {
    const entry = this.#waiters.push(new GateWaiter(size, admit));
    this.check();
    return entry;
  }

  /** Removes a waiter, so that the next one becomes the head. */
  leave(entry: FifoEntry<GateWaiter>): void {
    this.#waiters.remove(entry);
    this.check();
  }

  /** Admits the head if it can pass now. Call it whenever the operation may have become possible. */
  check(): void {
    const head = this.#waiters.first;
    if (head?.admit === undefined || !this.#isPossible(head.size)) return;
    const { admit } = head;
    head.admit = undefined;
    admit();
  }
}
