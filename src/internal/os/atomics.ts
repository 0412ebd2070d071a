/**
 * Words and numbers in shared memory. Only this module of the library uses `Atomics`.
 *
 * All operations are sequentially consistent. Protocols use the interfaces {@link Words} and {@link Cells}, so a test can
 * intercept each step of a protocol, try all orders of the steps, and let a process die before any step.
 *
 * @module
 */

/** Signed 32-bit words, by index. Operations that change a word return its old value. */
export interface Words {
  readonly load: (at: number) => number;
  readonly store: (at: number, value: number) => void;
  /** Compare-and-swap: stores `value` if the word is `expected`. It succeeded if it returns `expected`. */
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

/** The words of a buffer, or of a part of it. `offset` and `length` are in bytes, and multiples of four. */
export const words = (buffer: ArrayBufferLike, offset = 0, length: number = buffer.byteLength - offset): Words =>
  new Shared(new Int32Array(buffer, offset, length >> 2));

/** The words of a buffer, for reads that are not a step of a protocol. The array has length 0 once the memory is closed. */
export const glance = (buffer: ArrayBufferLike): Int32Array => new Int32Array(buffer);

/** Waits in the event loop until a word is notified, if the word still has this value. */
export const waitFor = (buffer: SharedArrayBuffer, at: number, value: number, millis: number): Promise<unknown> => {
  const outcome = Atomics.waitAsync(new Int32Array(buffer), at, value, millis);
  return outcome.async ? outcome.value : Promise.resolve();
};

/** Wakes all threads that wait for a word. */
export const notify = (buffer: SharedArrayBuffer, at: number): void => void Atomics.notify(new Int32Array(buffer), at);

/** Numbers of one type in shared memory, by index. Each change is one atomic step. */
export interface Cells<A> {
  readonly load: (at: number) => A;
  readonly store: (at: number, value: A) => void;
  /** Stores a number, and returns the old one. */
  readonly exchange: (at: number, value: A) => A;
  /** Compare-and-swap: stores `value` if the number is `expected`. It succeeded if it returns `expected`. */
  readonly swap: (at: number, expected: A, value: A) => A;
  /** Stores the result of `change`, and returns the old number. Calls `change` again if another thread was faster. */
  readonly update: (at: number, change: (value: A) => A) => A;
}

type Integers = Int8Array | Uint8Array | Int16Array | Uint16Array | Int32Array | Uint32Array;

class Whole implements Cells<number> {
  readonly #cells: Integers;

  constructor(cells: Integers) {
    this.#cells = cells;
  }

  load(at: number): number {
    return Atomics.load(this.#cells, at);
  }

  store(at: number, value: number): void {
    Atomics.store(this.#cells, at, value);
  }

  exchange(at: number, value: number): number {
    return Atomics.exchange(this.#cells, at, value);
  }

  swap(at: number, expected: number, value: number): number {
    return Atomics.compareExchange(this.#cells, at, expected, value);
  }

  update(at: number, change: (value: number) => number): number {
    // A plain read suffices as a first guess: the swap verifies it.
    for (let found = this.#cells[at];;) {
      const seen = Atomics.compareExchange(this.#cells, at, found, change(found));
      if (seen === found) return found;
      found = seen;
    }
  }
}

class Wide implements Cells<bigint> {
  readonly #cells: BigInt64Array | BigUint64Array;

  constructor(cells: BigInt64Array | BigUint64Array) {
    this.#cells = cells;
  }

  load(at: number): bigint {
    return Atomics.load(this.#cells, at);
  }

  store(at: number, value: bigint): void {
    Atomics.store(this.#cells, at, value);
  }

  exchange(at: number, value: bigint): bigint {
    return Atomics.exchange(this.#cells, at, value);
  }

  swap(at: number, expected: bigint, value: bigint): bigint {
    return Atomics.compareExchange(this.#cells, at, expected, value);
  }

  update(at: number, change: (value: bigint) => bigint): bigint {
    for (let found = this.#cells[at];;) {
      const seen = Atomics.compareExchange(this.#cells, at, found, change(found));
      if (seen === found) return found;
      found = seen;
    }
  }
}

/** Floating-point numbers, which `Atomics` supports as bits only. They are compared by `Object.is`: all NaNs are equal. */
class Floating<Bits extends number | bigint> implements Cells<number> {
  readonly #cells: Cells<Bits>;
  readonly #number: Float32Array | Float64Array;
  readonly #bits: { [at: number]: Bits };

  constructor(cells: Cells<Bits>, number: Float32Array | Float64Array, bits: { [at: number]: Bits }) {
    this.#cells = cells;
    this.#number = number;
    this.#bits = bits;
  }

  load(at: number): number {
    return this.#decode(this.#cells.load(at));
  }

  store(at: number, value: number): void {
    this.#cells.store(at, this.#encode(value));
  }

  exchange(at: number, value: number): number {
    return this.#decode(this.#cells.exchange(at, this.#encode(value)));
  }

  swap(at: number, expected: number, value: number): number {
    const bits = this.#encode(value);
    for (let found = this.#cells.load(at);;) {
      const now = this.#decode(found);
      if (!Object.is(now, expected)) return now;
      const seen = this.#cells.swap(at, found, bits);
      if (seen === found) return expected;
      found = seen;
    }
  }

  update(at: number, change: (value: number) => number): number {
    for (let found = this.#cells.load(at);;) {
      const now = this.#decode(found);
      const seen = this.#cells.swap(at, found, this.#encode(change(now)));
      if (seen === found) return now;
      found = seen;
    }
  }

  #decode(bits: Bits): number {
    this.#bits[0] = bits;
    return this.#number[0];
  }

  #encode(number: number): Bits {
    this.#number[0] = number;
    return this.#bits[0];
  }
}

const scratch = new ArrayBuffer(8);

/** The numbers of a type in a part of a buffer. `offset` is in bytes, and a multiple of the size of a number. */
export const cells = {
  i8: (buffer: ArrayBufferLike, offset: number, length: number): Cells<number> =>
    new Whole(new Int8Array(buffer, offset, length)),
  u8: (buffer: ArrayBufferLike, offset: number, length: number): Cells<number> =>
    new Whole(new Uint8Array(buffer, offset, length)),
  i16: (buffer: ArrayBufferLike, offset: number, length: number): Cells<number> =>
    new Whole(new Int16Array(buffer, offset, length)),
  u16: (buffer: ArrayBufferLike, offset: number, length: number): Cells<number> =>
    new Whole(new Uint16Array(buffer, offset, length)),
  i32: (buffer: ArrayBufferLike, offset: number, length: number): Cells<number> =>
    new Whole(new Int32Array(buffer, offset, length)),
  u32: (buffer: ArrayBufferLike, offset: number, length: number): Cells<number> =>
    new Whole(new Uint32Array(buffer, offset, length)),
  i64: (buffer: ArrayBufferLike, offset: number, length: number): Cells<bigint> =>
    new Wide(new BigInt64Array(buffer, offset, length)),
  u64: (buffer: ArrayBufferLike, offset: number, length: number): Cells<bigint> =>
    new Wide(new BigUint64Array(buffer, offset, length)),
  f32: (buffer: ArrayBufferLike, offset: number, length: number): Cells<number> =>
    new Floating(new Whole(new Int32Array(buffer, offset, length)), new Float32Array(scratch), new Int32Array(scratch)),
  f64: (buffer: ArrayBufferLike, offset: number, length: number): Cells<number> =>
    new Floating(
      new Wide(new BigInt64Array(buffer, offset, length)),
      new Float64Array(scratch),
      new BigInt64Array(scratch),
    ),
} as const;
