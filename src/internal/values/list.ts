/**
 * A list in shared memory as its users have it, in whichever process they are.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Option from "effect/Option";
import { HandleId, register } from "../objects/handles.ts";
import { self } from "../rpc/identity.ts";
import type { Lock } from "../../Lock.ts";
import type { Place } from "../sync/protocol/arena.ts";
import type { Kind } from "../os/mapping.ts";
import type { RLock } from "../../RLock.ts";
import type { Element, Options, Raw, ShareableList } from "../../ShareableList.ts";
import { type Checks, iterable, name as isName, optional, range } from "../os/arguments.ts";
import { alone, lockOption, ownLock, ownLockAt, usersLock, usersLockAt } from "./locks.ts";
import { indexIn } from "./array.ts";
import { attempt, attemptMemory } from "./attempt.ts";
import { demand, demandChange, demandOptions, MemoryError, type OutOfRange, pair } from "./errors.ts";
import { attachNamed, create as createMemory, make as makeMemory, type Memory } from "./memory.ts";
import { Placed } from "./layout.ts";
import type { Described } from "../sync/object.ts";
import { capacityOf, encode, type Encoded, placesIn, sizeOf, Slots } from "./slots.ts";

export const TypeId = "~multiprocessing/ShareableList";

/** What a handle says. */
interface From {
  readonly memory: Memory;
  /** Of the lock for those who change an element: its life is that of the list. */
  readonly place: Place;
  readonly host: string;
  readonly length: number;
  readonly lock: Lock | RLock;
}

type Failing<A> = Effect.Effect<A, MemoryError | OutOfRange>;

/** Whether two elements are the same: numbers as for `Object.is`, bytes one by one. */
const same = (one: unknown, other: unknown): boolean => {
  if (!(one instanceof Uint8Array && other instanceof Uint8Array)) return Object.is(one, other);
  return one.length === other.length && one.every((byte, at) => byte === other[at]);
};

/** What can be done at once. */
class Elements<A> implements Raw<A> {
  readonly length: number;
  readonly #slots: () => Slots;

  constructor(length: number, slots: () => Slots) {
    this.length = length;
    this.#slots = slots;
  }

  get(at: number): A {
    return this.#slots().read(indexIn(at, this.length)) as A;
  }

  toArray(): Array<A> {
    const slots = this.#slots();
    return Array.from({ length: this.length }, (_, at) => slots.read(at) as A);
  }

  [Symbol.iterator](): ArrayIterator<A> {
    return this.toArray().values();
  }
}

/** The implementation of {@link ShareableList}. */
export class List<A> implements ShareableList<A> {
  readonly [TypeId]: typeof TypeId = TypeId;
  readonly length: number;
  readonly memory: Memory;
  readonly raw: Raw<A>;
  readonly lock: Lock | RLock;
  readonly #placed: Placed;
  readonly #host: string;
  readonly #writers: Lock;
  readonly #free: () => void;
  #slots: Slots | undefined;

  constructor({ host, length, lock, memory, place }: From, slots?: Slots, free: () => void = () => {}) {
    this.memory = memory;
    this.length = length;
    this.lock = lock;
    this.#placed = new Placed(place);
    this.#host = host;
    this.#writers = ownLockAt(place, host);
    this.#slots = slots;
    this.#free = free;
    this.raw = new Elements(length, () => this.#open());
  }

  get [HandleId]() {
    return {
      kind: "list",
      encode: (): From => ({
        memory: this.memory,
        place: this.#placed.place,
        host: this.#host,
        length: this.length,
        lock: this.lock,
      }),
    };
  }

  get name(): string | undefined {
    return this.memory.name;
  }

  readonly get = (at: number): Failing<A> => attempt(() => this.raw.get(at));

  readonly set = (at: number, value: A): Failing<void> => this.#change(at, () => [undefined, value]);

  readonly update = (at: number, change: (value: A) => A): Failing<A> =>
    this.#change(at, (value) => {
      demandChange(change);
      const next = change(value());
      return [next, next];
    });

  readonly modify = <B>(at: number, change: (value: A) => readonly [B, A]): Failing<B> =>
    this.#change(at, (value) => {
      demandChange(change);
      return pair(change(value()));
    });

  readonly capacity = (at: number): Failing<number> => attempt(() => this.#open().capacity(indexIn(at, this.length)));

  get toArray(): Effect.Effect<Array<A>, MemoryError> {
    return attemptMemory(() => this.raw.toArray());
  }

  readonly includes = (value: A): Effect.Effect<boolean, MemoryError> => Effect.map(this.indexOf(value), Option.isSome);

  readonly count = (value: A): Effect.Effect<number, MemoryError> =>
    Effect.map(this.toArray, (all) => all.filter((element) => same(element, value)).length);

  readonly indexOf = (value: A): Effect.Effect<Option.Option<number>, MemoryError> =>
    Effect.map(this.toArray, (all) => {
      const at = all.findIndex((element) => same(element, value));
      return at < 0 ? Option.none() : Option.some(at);
    });

  readonly withLock: RLock["withLock"] = (effect, options) => this.lock.withLock(effect, options);

  toString(): string {
    return `ShareableList(${this.name === undefined ? "" : `${JSON.stringify(this.name)}, `}${this.length} elements)`;
  }

  get close(): Effect.Effect<void> {
    return this.memory.close;
  }

  /** It is no more, for anybody. */
  release(): void {
    this.#free();
    this.memory.release();
  }

  #change<B>(at: number, change: (value: () => A) => readonly [B, A]): Failing<B> {
    return alone(this.#writers, () => {
      const slots = this.#open();
      const index = indexIn(at, this.length);
      const [answer, next] = change(() => slots.read(index) as A);
      slots.write(index, encode(next));
      return answer;
    });
  }

  /** Throws a `MemoryError` if the list is no more, or not here. */
  #open(): Slots {
    this.#placed.check();
    const { memory } = this;
    if (memory.closed) throw new MemoryError("Gone", "Cannot use the list: it was closed here");
    return this.#slots ??= Slots.open(memory.bytes.buffer, memory.size);
  }
}

const checks: Checks = { ...lockOption, capacity: optional(range(1, 2 ** 32 - 9)), name: optional(isName) };

/** Throws a `MemoryError` if no list can be made of this. */
export const demandList = (values: unknown, options: unknown): void => {
  demand("ShareableList.make", { values }, { values: iterable });
  demandOptions("list", options, checks);
};

/** A new list. Throws a `MemoryError`, or an `OutOfRange`, and leaves nothing then. */
export const make = (
  values: Iterable<unknown>,
  options: Options,
  wanted?: Kind,
): List<Element> => {
  demandList(values, options);
  const { capacity = 0, lock: given, name } = options;
  const encoded: ReadonlyArray<Encoded> = Array.from(values, encode);
  const capacities = encoded.map((value) => capacityOf(value, capacity));
  const size = sizeOf(capacities);
  const kind = name === undefined ? wanted : "memory";
  const frees: Array<() => void> = [];
  const all = (): void => frees.toReversed().forEach((free) => free());
  try {
    const writers = ownLock(kind);
    frees.push(writers.free);
    const users = usersLock(given, kind);
    frees.push(users.free);
    let slots: Slots;
    const fill = (buffer: ArrayBufferLike): void => {
      slots = Slots.layOut(buffer, size, capacities, [writers.place, placeOf(users.lock)]);
      encoded.forEach((value, at) => slots.write(at, value));
    };
    const memory = name === undefined ? makeMemory(size, kind) : createMemory(name, size, fill);
    if (name === undefined) fill(memory.bytes.buffer);
    const from = { memory, place: writers.place, host: self().name, length: encoded.length, lock: users.lock };
    return new List(from, slots!, all);
  } catch (error) {
    all();
    throw error;
  }
};

/** Where a lock is. */
const placeOf = (lock: Lock | RLock): Place =>
  (lock as unknown as { readonly [HandleId]: { readonly encode: () => Described } })[HandleId].encode().place;

/** The list that a block with a name holds. Throws a `MemoryError`. */
export const attach = (name: string): List<Element> => {
  const memory = attachNamed(name);
  try {
    const { buffer } = memory.bytes;
    const slots = Slots.open(buffer, memory.size);
    const [place, users] = placesIn(buffer);
    const host = `process ${place.arena.kind === "memory" ? place.arena.pid : 0}`;
    return new List({ memory, place, host, length: slots.length, lock: usersLockAt(users, host) }, slots);
  } catch (error) {
    memory.release();
    throw error;
  }
};

register("list", (from) => new List(from as From));
