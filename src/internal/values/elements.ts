/**
 * The elements of an array in shared memory, without Effects.
 *
 * @module
 */
import type { RawInteger } from "../../Array.ts";
import { type Checks, count, end, integer, iterable, optional, show } from "../os/arguments.ts";
import { demand, demandChange, OutOfRange, pair } from "./errors.ts";
import type { Numbers } from "./numbers.ts";
import type { Description } from "./types.ts";

/** The typed array of each type. */
export const views = {
  i8: Int8Array,
  u8: Uint8Array,
  i16: Int16Array,
  u16: Uint16Array,
  i32: Int32Array,
  u32: Uint32Array,
  i64: BigInt64Array,
  u64: BigUint64Array,
  f32: Float32Array,
  f64: Float64Array,
  bool: Uint8Array,
} as const;

/** Resolves an index, which counts from the end if it is negative. Throws an `OutOfRange` if there is no such element. */
export const indexIn = (at: number, length: number): number => {
  if (Number.isSafeInteger(at) && at < length && at >= -length) return at < 0 ? at + length : at;
  throw new OutOfRange(
    "Index",
    `Cannot use element ${show(at)}: there are ${length}, numbered from 0, or from -1 backwards`,
  );
};

/** Check of the bounds of a part. */
export const part: Checks = { start: optional(integer), end: optional(end) };

/** Converts values for elements from `offset` on to their stored form. Throws a {@link MemoryFailure} if they do not fit. */
export const keptIn = (
  { keep }: Description,
  values: Iterable<unknown>,
  offset: number,
  length: number,
): Array<number | bigint> => {
  demand("array.setAll", { values }, { values: iterable });
  const kept = Array.from(values, keep);
  if (count(offset) === undefined && offset + kept.length <= length) return kept;
  throw new OutOfRange(
    "Index",
    `Cannot set ${kept.length} elements from element ${show(offset)} on: there are ${length}`,
  );
};

/** The elements, without Effects. */
export class Elements<A> implements RawInteger<A, ArrayBufferView> {
  readonly length: number;
  readonly #numbers: Numbers;
  readonly #view: () => ArrayBufferView;

  constructor(numbers: Numbers, length: number, view: () => ArrayBufferView) {
    this.#numbers = numbers;
    this.length = length;
    this.#view = view;
  }

  get view(): ArrayBufferView {
    return this.#view();
  }

  get(at: number): A {
    return this.#numbers.get(indexIn(at, this.length)) as A;
  }

  set(at: number, value: A): void {
    this.#numbers.set(indexIn(at, this.length), value);
  }

  exchange(at: number, value: A): A {
    return this.#numbers.exchange(indexIn(at, this.length), value) as A;
  }

  compareExchange(at: number, expected: A, value: A): A {
    return this.#numbers.compareExchange(indexIn(at, this.length), expected, value) as A;
  }

  update(at: number, change: (value: A) => A): A {
    demandChange(change);
    let after: A;
    this.#numbers.update(indexIn(at, this.length), (value) => after = change(value as A));
    return after!;
  }

  modify<B>(at: number, change: (value: A) => readonly [B, A]): B {
    demandChange(change);
    let answer: B;
    this.#numbers.update(indexIn(at, this.length), (value) => {
      const [given, next] = pair(change(value as A));
      answer = given;
      return next;
    });
    return answer!;
  }

  slice(start?: number, end?: number): Array<A> {
    demand("array.slice", { start, end }, part);
    const all = this.#view() as Int32Array;
    const { give } = this.#numbers.type;
    return Array.from(all.slice(start, end), give) as Array<A>;
  }

  setAll(values: Iterable<A>, offset: number = 0): void {
    const kept = keptIn(this.#numbers.type, values, offset, this.length);
    (this.#view() as Int32Array).set(kept as Array<number>, offset);
  }

  fill(value: A, start?: number, end?: number): void {
    demand("array.fill", { start, end }, part);
    const kept = this.#numbers.type.keep(value);
    (this.#view() as Int32Array).fill(kept as number, start, end);
  }

  [Symbol.iterator](): ArrayIterator<A> {
    return this.slice().values();
  }

  add(at: number, value: A): A {
    return this.#numbers.add(indexIn(at, this.length), value as number) as A;
  }

  sub(at: number, value: A): A {
    return this.#numbers.sub(indexIn(at, this.length), value as number) as A;
  }

  and(at: number, mask: A): A {
    return this.#numbers.and(indexIn(at, this.length), mask as number) as A;
  }

  or(at: number, mask: A): A {
    return this.#numbers.or(indexIn(at, this.length), mask as number) as A;
  }

  xor(at: number, mask: A): A {
    return this.#numbers.xor(indexIn(at, this.length), mask as number) as A;
  }
}
