/**
 * `Array` for its users.
 *
 * @module
 */
import type * as Effect from "effect/Effect";
import type { Pipeable } from "effect/Pipeable";
import type { Integer, RawInteger } from "../../Array.ts";
import { HandleId, register } from "../objects/handles.ts";
import type { Lock } from "../../Lock.ts";
import type { ObjectAddress } from "../sync/protocol/arena.ts";
import type { RegionKind, Token } from "../os/mapping.ts";
import type { Cells } from "../os/atomics.ts";
import type { RLock } from "../../RLock.ts";
import { type Checks, count, end, integer, iterable, must, optional, show } from "../os/arguments.ts";
import { inspectable } from "../os/inspect.ts";
import { usersLock } from "./locks.ts";
import { assemble, attempt, attemptMemory } from "./attempt.ts";
import { demand, demandChange, MemoryError, type MemoryFailure, OutOfRange, pair } from "./errors.ts";
import { Numbers } from "./numbers.ts";
import { allocateBytes, ArenaObject } from "./arena_object.ts";
import { attach, make as makeStorage, type Storage } from "./storage.ts";
import { type Type, typeOf } from "./types.ts";

export const TypeId = "~multiprocessing/Array";

/** The data of a handle. */
interface HandleData {
  readonly address: ObjectAddress;
  readonly type: Type;
  readonly length: number;
  readonly token: Token;
  readonly lock: Lock | RLock;
}

type Attempt<A> = Effect.Effect<A, MemoryFailure>;

const views = {
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

const part: Checks = { start: optional(integer), end: optional(end) };

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
    demand("array.setAll", { values }, { values: iterable });
    const { keep } = this.#numbers.type;
    const kept = Array.from(values, keep);
    if (count(offset) !== undefined || offset + kept.length > this.length) {
      throw new OutOfRange(
        "Index",
        `Cannot set ${kept.length} elements from element ${show(offset)} on: there are ${this.length}`,
      );
    }
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

/** The implementation of {@link Integer}. The public type of an array leaves out operations that its number type does not have. */
export class NumberArray<A> implements Integer<A, ArrayBufferView> {
  declare readonly pipe: Pipeable["pipe"];
  readonly [TypeId]: typeof TypeId = TypeId;
  readonly type: Type;
  readonly length: number;
  readonly raw: Elements<A>;
  readonly lock: Lock | RLock;
  readonly #object: ArenaObject;
  readonly #token: Token;

  /** The elements have memory of their own: a view that outlives the array never sees data of a later object. */
  constructor(object: ArenaObject, { length, lock, token, type }: Omit<HandleData, "address">, memory: () => Storage) {
    this.lock = lock;
    this.#object = object;
    this.#token = token;
    this.type = type;
    this.length = length;
    const description = typeOf(type);
    let cells: Cells<number | bigint> | undefined;
    let view: ArrayBufferView | undefined;
    const reach = (): void => {
      object.check();
      if (cells !== undefined) return;
      const { buffer } = memory();
      cells = description.cells(buffer, 0, length);
      view = new views[type](buffer as ArrayBuffer, 0, length);
    };
    const numbers = new Numbers(description, () => {
      reach();
      return cells!;
    });
    this.raw = new Elements(numbers, length, () => {
      reach();
      return view!;
    });
  }

  get [HandleId]() {
    return {
      kind: "array",
      encode: (): HandleData => ({
        address: this.#object.address,
        type: this.type,
        length: this.length,
        token: this.#token,
        lock: this.lock,
      }),
    };
  }

  readonly withLock: RLock["withLock"] = (effect, options) => this.lock.withLock(effect, options);

  toString(): string {
    return `Array(${this.type}, ${this.length} elements)`;
  }

  readonly get = (at: number): Attempt<A> => attempt(() => this.raw.get(at));

  readonly set = (at: number, value: A): Attempt<void> => attempt(() => this.raw.set(at, value));

  readonly exchange = (at: number, value: A): Attempt<A> => attempt(() => this.raw.exchange(at, value));

  readonly compareExchange = (at: number, expected: A, value: A): Attempt<A> =>
    attempt(() => this.raw.compareExchange(at, expected, value));

  readonly update = (at: number, change: (value: A) => A): Attempt<A> => attempt(() => this.raw.update(at, change));

  readonly modify = <B>(at: number, change: (value: A) => readonly [B, A]): Attempt<B> =>
    attempt(() => this.raw.modify(at, change));

  readonly slice = (start?: number, end?: number): Effect.Effect<Array<A>, MemoryError> =>
    attemptMemory(() => this.raw.slice(start, end));

  readonly setAll = (values: Iterable<A>, offset?: number): Attempt<void> =>
    attempt(() => this.raw.setAll(values, offset));

  readonly fill = (value: A, start?: number, end?: number): Attempt<void> =>
    attempt(() => this.raw.fill(value, start, end));

  readonly add = (at: number, value: A): Attempt<A> => attempt(() => this.raw.add(at, value));

  readonly sub = (at: number, value: A): Attempt<A> => attempt(() => this.raw.sub(at, value));

  readonly and = (at: number, mask: A): Attempt<A> => attempt(() => this.raw.and(at, mask));

  readonly or = (at: number, mask: A): Attempt<A> => attempt(() => this.raw.or(at, mask));

  readonly xor = (at: number, mask: A): Attempt<A> => attempt(() => this.raw.xor(at, mask));
}
inspectable(NumberArray);

const content = must(
  (value) => count(value) === undefined || iterable(value) === undefined,
  "a length, which is a non-negative integer, or iterable",
);

/** Creates an array, and returns it with the function that frees it. Throws a `MemoryFailure`. */
export const make = (
  type: Type,
  initial: number | Iterable<unknown>,
  given?: Lock | RLock,
  kind?: RegionKind,
): [array: NumberArray<unknown>, free: () => void] => {
  const { keep, size } = typeOf(type);
  demand("Array.make", { initial }, { initial: content });
  const values = typeof initial === "number" ? undefined : Array.from(initial);
  // Before anything is allocated.
  values?.forEach(keep);
  const length = values?.length ?? initial as number;
  if (!Number.isSafeInteger(length * size)) {
    throw new MemoryError(
      "InvalidArgument",
      `Cannot make a shared array of ${length} elements: no memory is that large`,
    );
  }
  return assemble((onFree) => {
    const storage = makeStorage(Math.max(1, length) * size, kind);
    onFree(() => storage.close());
    const { free, object } = allocateBytes(0, kind);
    onFree(free);
    const { free: freeLock, lock } = usersLock(given, kind);
    onFree(freeLock);
    const array = new NumberArray<unknown>(object, { type, length, lock, token: storage.token }, () => storage);
    if (values !== undefined) array.raw.setAll(values);
    return array;
  });
};

register("array", (from) => {
  const { address, ...rest } = from as HandleData;
  return new NumberArray(new ArenaObject(address), rest, () => attach(rest.token));
});
