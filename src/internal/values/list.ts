/**
 * `ShareableList` for its users.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Option from "effect/Option";
import type { Pipeable } from "effect/Pipeable";
import { HandleId, register } from "../objects/handles.ts";
import type { Carrier, Lock, MemoryLock } from "../../Lock.ts";
import type { ObjectAddress } from "../sync/protocol/arena.ts";
import type { RegionKind } from "../os/mapping.ts";
import type { RLock } from "../../RLock.ts";
import type { Element, Options, Raw, ShareableList } from "../../ShareableList.ts";
import { type Checks, iterable, name as isName, optional, range } from "../os/arguments.ts";
import { inspectable } from "../os/inspect.ts";
import { allocateCarried, exclusively, lockOption, ownLockAt, usersLock, usersLockAt } from "./locks.ts";
import { indexIn } from "./elements.ts";
import { assemble, attempt, attemptMemory } from "./attempt.ts";
import { demand, demandChange, demandOptions, MemoryError, type MemoryFailure, pair } from "./errors.ts";
import { attachNamed, create as createMemory, make as makeMemory, type Memory } from "./memory.ts";
import { ArenaObject } from "./arena_object.ts";
import { addressOf, byMessages, carrierOption } from "../sync/object.ts";
import { count, indexOf, ListElements, textOf } from "./list_elements.ts";
import { listContents, type ListDescriptor, listKind, ListMessages, TypeId } from "./messages/list.ts";
import { capacityOf, encode, type EncodedElement, lockAddressesIn, Records, sizeOf } from "./records.ts";

type Attempt<A> = Effect.Effect<A, MemoryFailure>;

/** The implementation of {@link ShareableList}. */
export class List<A> implements ShareableList<A> {
  declare readonly pipe: Pipeable["pipe"];
  readonly [TypeId]: typeof TypeId = TypeId;
  readonly length: number;
  readonly memory: Memory;
  readonly raw: Raw<A>;
  readonly lock: Lock | RLock;
  readonly #object: ArenaObject;
  readonly #sent: ListDescriptor;
  readonly #writers: MemoryLock;
  readonly #free: () => void;
  #records: Records | undefined;

  /** `address` is that of the lock for changes, `sent` the data of the handle. */
  constructor(address: ObjectAddress, sent: ListDescriptor, records?: Records, free: () => void = () => {}) {
    this.memory = sent.memory;
    this.length = sent.length;
    this.lock = sent.lock;
    this.#object = new ArenaObject(address);
    this.#sent = sent;
    this.#writers = ownLockAt(address, sent.host);
    this.#records = records;
    this.#free = free;
    this.raw = new ListElements(this.length, () => this.#open());
  }

  get [HandleId]() {
    return { kind: "list", encode: (): ListDescriptor => this.#sent };
  }

  get carrier(): Carrier {
    return this.#sent.address === undefined ? "messages" : "memory";
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

  readonly count = (value: A): Effect.Effect<number, MemoryError> => count(this, value);

  readonly indexOf = (value: A): Effect.Effect<Option.Option<number>, MemoryError> => indexOf(this, value);

  readonly withLock: RLock["withLock"] = (effect, options) => this.lock.withLock(effect, options);

  toString(): string {
    return textOf(this);
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

const checks: Checks = {
  ...lockOption,
  ...carrierOption,
  capacity: optional(range(1, 2 ** 32 - 9)),
  name: optional(isName),
};

/** Checks the arguments of `ShareableList.make`. Throws a `MemoryError`. */
export const demandList = (values: unknown, options: Options): void => {
  demand("ShareableList.make", { values }, { values: iterable });
  demandOptions("list", options, checks);
  if (options.name !== undefined && options.carrier === "messages") {
    throw new MemoryError(
      "InvalidArgument",
      'Invalid list option: carrier must not be "messages" for a list with a name, which other programs attach in memory',
    );
  }
};

/** Creates a list. Throws a `MemoryFailure`, and has then changed nothing. */
export const make = <A = Element>(
  values: Iterable<unknown>,
  options: Options,
  wanted?: RegionKind,
): List<A> => {
  demandList(values, options);
  const { capacity = 0, carrier, lock: given, name } = options;
  const encoded: ReadonlyArray<EncodedElement> = Array.from(values, encode);
  const capacities = encoded.map((value) => capacityOf(value, capacity));
  const size = sizeOf(capacities);
  const kind = name === undefined ? wanted : "memory";
  const [list, free] = assemble((onFree) => {
    let hosted: Records | undefined;
    // The memory for users by messages stays when this process closes its handle.
    const open = (): Records => {
      if (hosted !== undefined) return hosted;
      const storage = memory.again();
      onFree(() => storage.close());
      return hosted = Records.open(storage.buffer, size);
    };
    const writers = allocateCarried(listKind, () => listContents(open), carrier, kind);
    onFree(writers.free);
    const users = usersLock(given, kind, carrier);
    onFree(users.free);
    const { address } = writers.own;
    let records: Records;
    const fill = (buffer: ArrayBufferLike): void => {
      const locks = name === undefined ? [] : [address, memoryAddress(users.lock)];
      records = Records.layOut(buffer, size, capacities, locks);
      encoded.forEach((value, at) => records.write(at, value));
    };
    const memory = name === undefined ? makeMemory(size, kind) : createMemory(name, size, fill);
    if (name === undefined) fill(memory.bytes.buffer);
    const sent = { ...writers.sent, memory, length: encoded.length, lock: users.lock };
    return new List<A>(address, sent, records!, () => free());
  });
  return list;
};

/** The address of the users' lock, which a process that attaches the list uses in memory. Throws a `MemoryError`. */
const memoryAddress = (lock: Lock | RLock): ObjectAddress => {
  const address = addressOf(lock);
  if (address !== undefined) return address;
  throw new MemoryError(
    "InvalidArgument",
    "Invalid list option: lock must be a lock that this process uses in memory, received one that it uses by messages",
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
    return new List(
      address,
      { memory, address, host, length: records.length, lock: usersLockAt(users, host) },
      records,
    );
  } catch (error) {
    memory.release();
    throw error;
  }
};

register("list", (from) => {
  const descriptor = from as ListDescriptor;
  return byMessages(descriptor) ? new ListMessages(descriptor) : new List(descriptor.address!, descriptor);
});
