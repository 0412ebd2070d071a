/**
 * `Value` for its users.
 *
 * @module
 */
import type * as Effect from "effect/Effect";
import type { Pipeable } from "effect/Pipeable";
import { HandleId, register } from "../objects/handles.ts";
import type { Lock } from "../../Lock.ts";
import type { ObjectAddress } from "../sync/protocol/arena.ts";
import type { RegionKind } from "../os/mapping.ts";
import type { Cells } from "../os/atomics.ts";
import { inspectable } from "../os/inspect.ts";
import type { RLock } from "../../RLock.ts";
import type { Integer, RawInteger } from "../../Value.ts";
import { usersLock } from "./locks.ts";
import { assemble, attempt, attemptMemory } from "./attempt.ts";
import { demandChange, type MemoryError, type MemoryFailure, pair } from "./errors.ts";
import { Numbers } from "./numbers.ts";
import { allocateBytes, ArenaObject } from "./arena_object.ts";
import { type Type, typeOf } from "./types.ts";

export const TypeId = "~multiprocessing/Value";

/** The data of a handle. */
interface HandleData {
  readonly address: ObjectAddress;
  readonly type: Type;
  /** Offset within the data of the object, in bytes. */
  readonly offset: number;
  readonly lock: Lock | RLock;
}

type Attempt<A> = Effect.Effect<A, MemoryFailure>;

/** One number, without Effects. */
export class Cell<A> implements RawInteger<A> {
  readonly #numbers: Numbers;
  readonly #at: number;

  constructor(numbers: Numbers, at: number) {
    this.#numbers = numbers;
    this.#at = at;
  }

  get value(): A {
    return this.#numbers.get(this.#at) as A;
  }

  set value(value: A) {
    this.#numbers.set(this.#at, value);
  }

  get(): A {
    return this.#numbers.get(this.#at) as A;
  }

  set(value: A): void {
    this.#numbers.set(this.#at, value);
  }

  exchange(value: A): A {
    return this.#numbers.exchange(this.#at, value) as A;
  }

  compareExchange(expected: A, value: A): A {
    return this.#numbers.compareExchange(this.#at, expected, value) as A;
  }

  update(change: (value: A) => A): A {
    demandChange(change);
    let after: A;
    this.#numbers.update(this.#at, (value) => after = change(value as A));
    return after!;
  }

  modify<B>(change: (value: A) => readonly [B, A]): B {
    demandChange(change);
    let answer: B;
    this.#numbers.update(this.#at, (value) => {
      const [given, next] = pair(change(value as A));
      answer = given;
      return next;
    });
    return answer!;
  }

  add(value: A): A {
    return this.#numbers.add(this.#at, value as number) as A;
  }

  sub(value: A): A {
    return this.#numbers.sub(this.#at, value as number) as A;
  }

  and(mask: A): A {
    return this.#numbers.and(this.#at, mask as number) as A;
  }

  or(mask: A): A {
    return this.#numbers.or(this.#at, mask as number) as A;
  }

  xor(mask: A): A {
    return this.#numbers.xor(this.#at, mask as number) as A;
  }
}

/** The implementation of {@link Integer}. The public type of a value leaves out operations that its number type does not have. */
export class NumberValue<A> implements Integer<A> {
  declare readonly pipe: Pipeable["pipe"];
  readonly [TypeId]: typeof TypeId = TypeId;
  readonly type: Type;
  readonly raw: Cell<A>;
  readonly lock: Lock | RLock;
  readonly #object: ArenaObject;
  readonly #offset: number;

  constructor(object: ArenaObject, { lock, offset, type }: Omit<HandleData, "address">) {
    this.#object = object;
    this.#offset = offset;
    this.type = type;
    this.lock = lock;
    const description = typeOf(type);
    let cells: Cells<number | bigint> | undefined;
    this.raw = new Cell(
      new Numbers(description, () => {
        const { arena } = object;
        return cells ??= description.cells(arena.region.buffer, object.data + offset, 1);
      }),
      0,
    );
  }

  get [HandleId]() {
    return {
      kind: "value",
      encode: (): HandleData => ({
        address: this.#object.address,
        type: this.type,
        offset: this.#offset,
        lock: this.lock,
      }),
    };
  }

  readonly withLock: RLock["withLock"] = (effect, options) => this.lock.withLock(effect, options);

  toString(): string {
    return `Value(${this.type})`;
  }

  get get(): Effect.Effect<A, MemoryError> {
    return attemptMemory(() => this.raw.get());
  }

  readonly set = (value: A): Attempt<void> => attempt(() => this.raw.set(value));

  readonly exchange = (value: A): Attempt<A> => attempt(() => this.raw.exchange(value));

  readonly compareExchange = (expected: A, value: A): Attempt<A> =>
    attempt(() => this.raw.compareExchange(expected, value));

  readonly update = (change: (value: A) => A): Attempt<A> => attempt(() => this.raw.update(change));

  readonly modify = <B>(change: (value: A) => readonly [B, A]): Attempt<B> => attempt(() => this.raw.modify(change));

  readonly add = (value: A): Attempt<A> => attempt(() => this.raw.add(value));

  readonly sub = (value: A): Attempt<A> => attempt(() => this.raw.sub(value));

  readonly and = (mask: A): Attempt<A> => attempt(() => this.raw.and(mask));

  readonly or = (mask: A): Attempt<A> => attempt(() => this.raw.or(mask));

  readonly xor = (mask: A): Attempt<A> => attempt(() => this.raw.xor(mask));
}
inspectable(NumberValue);

/** Creates a value, and returns it with the function that frees it. Throws a `MemoryFailure`. */
export const make = (
  type: Type,
  initial: unknown,
  given?: Lock | RLock,
  kind?: RegionKind,
): [value: NumberValue<unknown>, free: () => void] => {
  const { give, keep, size, zero } = typeOf(type);
  const first = initial === undefined ? give(zero) : initial;
  // Before anything is allocated.
  keep(first);
  return assemble((onFree) => {
    const { free, object } = allocateBytes(size, kind);
    onFree(free);
    const { free: freeLock, lock } = usersLock(given, kind);
    onFree(freeLock);
    const value = new NumberValue<unknown>(object, { type, offset: 0, lock });
    value.raw.set(first);
    return value;
  });
};

register("value", (from) => {
  const { address, ...rest } = from as HandleData;
  return new NumberValue(new ArenaObject(address), rest);
});
