/**
 * `ShareableList` for its users.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Option from "effect/Option";
import type { Pipeable } from "effect/Pipeable";
import { HandleId, register } from "../objects/handles.ts";
import { self } from "../rpc/identity.ts";
import type { Lock, MemoryLock } from "../../Lock.ts";
import type { ObjectAddress } from "../sync/protocol/arena.ts";
import type { RegionKind } from "../os/mapping.ts";
import type { RLock } from "../../RLock.ts";
import type { Element, Options, Raw, ShareableList } from "../../ShareableList.ts";
import { type Checks, iterable, name as isName, optional, range } from "../os/arguments.ts";
import { inspectable } from "../os/inspect.ts";
import { exclusively, lockOption, ownLock, ownLockAt, usersLock, usersLockAt } from "./locks.ts";
import { indexIn } from "./elements.ts";
import { assemble, attempt, attemptMemory } from "./attempt.ts";
import { demand, demandChange, demandOptions, MemoryError, type MemoryFailure, pair } from "./errors.ts";
import { attachNamed, create as createMemory, make as makeMemory, type Memory } from "./memory.ts";
import { ArenaObject } from "./arena_object.ts";
import { addressOf } from "../sync/object.ts";
import { capacityOf, encode, type EncodedElement, lockAddressesIn, Records, sizeOf } from "./records.ts";

export const TypeId = "~multiprocessing/ShareableList";

/** The data of a handle. */
interface HandleData {
  readonly memory: Memory;
  /** Address of the lock for changes of elements, which ends with the list. */
  readonly address: ObjectAddress;
  readonly host: string;
  readonly length: number;
  readonly lock: Lock | RLock;
}

type Attempt<A> = Effect.Effect<A, MemoryFailure>;

/** Whether two elements are equal: by `Object.is`, and byte by byte for bytes. */
const same = (one: unknown, other: unknown): boolean => {
  if (!(one instanceof Uint8Array && other instanceof Uint8Array)) return Object.is(one, other);
  return one.length === other.length && one.every((byte, at) => byte === other[at]);
};

/** The operations without Effects. */
class Elements<A> implements Raw<A> {
  readonly length: number;
  readonly #records: () => Records;

  constructor(length: number, records: () => Records) {
    this.length = length;
    this.#records = records;
  }

  get(at: number): A {
    return this.#records().read(indexIn(at, this.length)) as A;
  }

  toArray(): Array<A> {
    const records = this.#records();
    return Array.from({ length: this.length }, (_, at) => records.read(at) as A);
  }

  [Symbol.iterator](): ArrayIterator<A> {
    return this.toArray().values();
  }
}

/** The implementation of {@link ShareableList}. */
export class List<A> implements ShareableList<A> {
  declare readonly pipe: Pipeable["pipe"];
  readonly [TypeId]: typeof TypeId = TypeId;
  readonly length: number;
  readonly memory: Memory;
  readonly raw: Raw<A>;
  readonly lock: Lock | RLock;
  readonly #object: ArenaObject;
  readonly #host: string;
  readonly #writers: MemoryLock;
  readonly #free: () => void;
  #records: Records | undefined;

  constructor({ host, length, lock, memory, address }: HandleData, records?: Records, free: () => void = () => {}) {
    this.memory = memory;
    this.length = length;
    this.lock = lock;
    this.#object = new ArenaObject(address);
    this.#host = host;
    this.#writers = ownLockAt(address, host);
    this.#records = records;
    this.#free = free;
    this.raw = new Elements(length, () => this.#open());
  }

  get [HandleId]() {
    return {
      kind: "list",
      encode: (): HandleData => ({
        memory: this.memory,
        address: this.#object.address,
        host: this.#host,
        length: this.length,
        lock: this.lock,
      }),
    };
  }

  get name(): string | undefined {
    return this.memory.name;
  }

  readonly get = (at: number): Attempt<A> => attempt(() => this.raw.get(at));

  readonly set = (at: number, value: A): Attempt<void> => this.#change(at, () => [undefined, value]);

  readonly update = (at: number, change: (value: A) => A): Attempt<A> =>
    this.#change(at, (value) => {
      demandChange(change);
      const next = change(value());
      return [next, next];
    });

  readonly modify = <B>(at: number, change: (value: A) => readonly [B, A]): Attempt<B> =>
    this.#change(at, (value) => {
      demandChange(change);
      return pair(change(value()));
    });

  readonly capacity = (at: number): Attempt<number> => attempt(() => this.#open().capacity(indexIn(at, this.length)));

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

  /** Ends the list, for all processes. */
  release(): void {
    this.#free();
    this.memory.release();
  }

  #change<B>(at: number, change: (value: () => A) => readonly [B, A]): Attempt<B> {
    return exclusively(this.#writers, () => {
      const records = this.#open();
      const index = indexIn(at, this.length);
      const [answer, next] = change(() => records.read(index) as A);
      records.write(index, encode(next));
      return answer;
    });
  }

  /** The records of the list. Throws a `MemoryError` if the list has ended, or was closed here. */
  #open(): Records {
    this.#object.check();
    const { memory } = this;
    if (memory.closed) throw new MemoryError("Gone", "Cannot use the list: it was closed here");
    return this.#records ??= Records.open(memory.bytes.buffer, memory.size);
  }
}
inspectable(List);

const checks: Checks = { ...lockOption, capacity: optional(range(1, 2 ** 32 - 9)), name: optional(isName) };

/** Checks the arguments of `ShareableList.make`. Throws a `MemoryError`. */
export const demandList = (values: unknown, options: unknown): void => {
  demand("ShareableList.make", { values }, { values: iterable });
  demandOptions("list", options, checks);
};

/** Creates a list. Throws a `MemoryFailure`, and has then changed nothing. */
export const make = <A = Element>(
  values: Iterable<unknown>,
  options: Options,
  wanted?: RegionKind,
): List<A> => {
  demandList(values, options);
  const { capacity = 0, lock: given, name } = options;
  const encoded: ReadonlyArray<EncodedElement> = Array.from(values, encode);
  const capacities = encoded.map((value) => capacityOf(value, capacity));
  const size = sizeOf(capacities);
  const kind = name === undefined ? wanted : "memory";
  const [parts, free] = assemble((onFree) => {
    const writers = ownLock(kind);
    onFree(writers.free);
    const users = usersLock(given, kind, "memory");
    onFree(users.free);
    let records: Records;
    const fill = (buffer: ArrayBufferLike): void => {
      records = Records.layOut(buffer, size, capacities, [writers.address, memoryAddress(users.lock)]);
      encoded.forEach((value, at) => records.write(at, value));
    };
    const memory = name === undefined ? makeMemory(size, kind) : createMemory(name, size, fill);
    if (name === undefined) fill(memory.bytes.buffer);
    const from = { memory, address: writers.address, host: self().name, length: encoded.length, lock: users.lock };
    return { from, records: records! };
  });
  return new List(parts.from, parts.records, free);
};

/** The address of the users' lock, which a process that attaches the list uses in memory. Throws a `MemoryError`. */
const memoryAddress = (lock: Lock | RLock): ObjectAddress => {
  const address = addressOf(lock);
  if (address !== undefined) return address;
  throw new MemoryError(
    "InvalidArgument",
    "Invalid shared list option: lock must be a lock that this process uses in memory, received one that it uses by messages",
  );
};

/** Attaches the list in a named block. Throws a `MemoryError`. */
export const attach = <A>(name: string): List<A> => {
  const memory = attachNamed(name);
  try {
    const { buffer } = memory.bytes;
    const records = Records.open(buffer, memory.size);
    const [address, users] = lockAddressesIn(buffer);
    const host = `process ${address.arena.kind === "memory" ? address.arena.pid : 0}`;
    return new List({ memory, address, host, length: records.length, lock: usersLockAt(users, host) }, records);
  } catch (error) {
    memory.release();
    throw error;
  }
};

register("list", (from) => new List(from as HandleData));
