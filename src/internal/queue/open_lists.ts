/**
 * The lists of items of one operation that are on their way to a queue. The next list is encoded, and leaves, before the queue has
 * confirmed the ones before it, so that neither process waits for the other.
 *
 * @module
 */
import type { PutFailure } from "./producer.ts";

/** Lists that the queue has not confirmed yet. */
export class OpenLists {
  readonly #window: number;
  #open = 0;
  #failure: PutFailure | undefined;
  #changed: (() => void) | undefined;

  /** At most `window` lists are on their way at a time. */
  constructor(window: number) {
    this.#window = window;
  }

  /** Why a list was not put, if one was not. */
  get failure(): PutFailure | undefined {
    return this.#failure;
  }

  /** A list leaves. Returns the function to be called when the queue has confirmed it, or has not put it. */
  add(): (failure?: PutFailure) => void {
    this.#open++;
    return (failure) => {
      this.#open--;
      this.#failure ??= failure;
      this.#changed?.();
    };
  }

  /** The last list has not left after all. */
  withdraw(): void {
    this.#open--;
  }

  /** Calls `done` when the next list may leave, or no list may leave any more. One call may wait at a time. */
  whenReady(done: () => void): void {
    this.#when(() => this.#open < this.#window || this.#failure !== undefined, done);
  }

  /** Calls `done` when no list is on its way. One call may wait at a time. */
  whenSettled(done: () => void): void {
    this.#when(() => this.#open === 0, done);
  }

  #when(holds: () => boolean, done: () => void): void {
    if (holds()) return done();
    this.#changed = () => {
      if (!holds()) return;
      this.#changed = undefined;
      done();
    };
  }
}
