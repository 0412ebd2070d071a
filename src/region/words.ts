/**
 * Words in memory that others see: the only place of the library that touches `Atomics`. All operations are sequentially
 * consistent. What is written with them is an interface, so that a test can stand between the steps of a protocol and its
 * memory, try all orders, and let a process die at any of them.
 *
 * @module
 */

/** 32-bit words, signed, by number. Operations that change a word give what it was before. */
export interface Words {
  readonly load: (at: number) => number;
  readonly store: (at: number, value: number) => void;
  /** Stores `value` if the word is `expected`. It has done so if the answer is `expected`. */
  readonly swap: (at: number, expected: number, value: number) => number;
  readonly exchange: (at: number, value: number) => number;
  readonly add: (at: number, value: number) => number;
  readonly and: (at: number, value: number) => number;
  readonly or: (at: number, value: number) => number;
}

class Shared implements Words {
  readonly #cells: Int32Array;

  constructor(cells: Int32Array) {
    this.#cells = cells;
  }

  load(at: number): number {
    return Atomics.load(this.#cells, at);
  }

  store(at: number, value: number): void {
    Atomics.store(this.#cells, at, value);
  }

  swap(at: number, expected: number, value: number): number {
    return Atomics.compareExchange(this.#cells, at, expected, value);
  }

  exchange(at: number, value: number): number {
    return Atomics.exchange(this.#cells, at, value);
  }

  add(at: number, value: number): number {
    return Atomics.add(this.#cells, at, value);
  }

  and(at: number, value: number): number {
    return Atomics.and(this.#cells, at, value);
  }

  or(at: number, value: number): number {
    return Atomics.or(this.#cells, at, value);
  }
}

/** The words of a buffer, or of a part of it; both numbers in bytes, and multiples of four. */
export const words = (buffer: ArrayBufferLike, offset = 0, length: number = buffer.byteLength - offset): Words =>
  new Shared(new Int32Array(buffer, offset, length >> 2));

/** Waits, in turns of the event loop, until a word is notified, if it still has this value. Genuine shared memory only. */
export const waitFor = (buffer: SharedArrayBuffer, at: number, value: number, millis: number): Promise<unknown> => {
  const outcome = Atomics.waitAsync(new Int32Array(buffer), at, value, millis);
  return outcome.async ? outcome.value : Promise.resolve();
};

/** Wakes all who wait for a word. */
export const notify = (buffer: SharedArrayBuffer, at: number): void => void Atomics.notify(new Int32Array(buffer), at);
