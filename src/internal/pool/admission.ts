/**
 * The bound of a pool's queue: jobs are let in, in the order in which they came, as far as there is room.
 *
 * @module
 */
import type { Dispatcher } from "./dispatcher.ts";

interface Waiter {
  readonly enter: () => void;
}

const nothing = (): void => {};

/** Lets jobs into a queue of limited size. */
export class Admission {
  readonly #dispatcher: Dispatcher;
  readonly #capacity: number;
  readonly #waiters = new Set<Waiter>();
  #admitting = false;

  constructor(dispatcher: Dispatcher, capacity: number) {
    this.#dispatcher = dispatcher;
    this.#capacity = capacity;
    dispatcher.onRoom = () => this.#admit();
  }

  /** Whether a job can enter now. */
  get open(): boolean {
    return this.#waiters.size === 0 && this.#hasRoom;
  }

  get #hasRoom(): boolean {
    return this.#dispatcher.waiting < this.#capacity || this.#dispatcher.refuses;
  }

  /** Runs `enter`, which submits one job, at once or as soon as there is room. Returns a function that gives the place up. */
  enter(enter: () => void): () => void {
    if (this.open) {
      enter();
      return nothing;
    }
    const waiter: Waiter = { enter };
    this.#waiters.add(waiter);
    return () => void this.#waiters.delete(waiter);
  }

  #admit(): void {
    // A job that enters may make room for the next one within this call.
    if (this.#admitting) return;
    this.#admitting = true;
    for (const waiter of this.#waiters) {
      if (!this.#hasRoom) break;
      this.#waiters.delete(waiter);
      waiter.enter();
    }
    this.#admitting = false;
  }
}
