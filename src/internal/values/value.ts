/**
 * A value in shared memory as its users have it, in whichever process they are.
 *
 * @module
 */
import type * as Effect from "effect/Effect";
import { HandleId, register } from "../objects/handles.ts";
import type { Lock } from "../../Lock.ts";
import type { ObjectAddress } from "../sync/protocol/arena.ts";
import type { Kind } from "../os/mapping.ts";
import type { Cells } from "../os/atomics.ts";
import type { RLock } from "../../RLock.ts";
import type { Integer, RawInteger } from "../../Value.ts";
import { usersLock } from "./locks.ts";
import { attempt, attemptMemory } from "./attempt.ts";
import { demandChange, type MemoryError, type OutOfRange, pair } from "./errors.ts";
import { Numbers } from "./numbers.ts";
import { allocateBytes, ArenaObject } from "./arena_object.ts";
import { type Type, typeOf } from "./types.ts";

export const TypeId = "~multiprocessing/Value";

/** What a handle says. */
interface HandleData {
  readonly place: ObjectAddress;
  readonly type: Type;
  /** Where in its block it is, in bytes. */
  readonly offset: number;
  readonly lock: Lock | RLock;
}

type Attempt<A> = Effect.Effect<A, MemoryError | OutOfRange>;

/** One of the numbers, without Effects. */
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

/** The implementation of {@link Integer}. What a type cannot do, its own interface does not have. */
export class NumberValue<A> implements Integer<A> {
  readonly [TypeId]: typeof TypeId = TypeId;
  readonly type: Type;
  readonly raw: Cell<A>;
  readonly lock: Lock | RLock;
  readonly #object: ArenaObject;
  readonly #offset: number;

  constructor(object: ArenaObject, { lock, offset, type }: Omit<HandleData, "place">) {
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
      encode: (): HandleData => ({ place: this.#object.place, type: this.type, offset: this.#offset, lock: this.lock }),
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

/** A new value, and what frees it. Throws a `MemoryError`, or an `OutOfRange`. */
export const make = (
  type: Type,
  initial: unknown,
  given?: Lock | RLock,
  kind?: Kind,
): [value: NumberValue<unknown>, free: () => void] => {
  const { give, keep, size, zero } = typeOf(type);
  // Before anything is made: what does not fit leaves nothing behind.
  const first = initial === undefined ? give(zero) : initial;
  keep(first);
  const { free, object } = allocateBytes(size, kind);
  try {
    const { free: freeLock, lock } = usersLock(given, kind);
    const value = new NumberValue<unknown>(object, { type, offset: 0, lock });
    value.raw.set(first);
    return [value, () => {
      free();
      freeLock();
    }];
  } catch (error) {
    free();
    throw error;
  }
};

register("value", (from) => {
  const { place, ...rest } = from as HandleData;
  return new NumberValue(new ArenaObject(place), rest);
});
