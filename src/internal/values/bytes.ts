/**
 * `Bytes` for their users: one record, as lists have them, in an arena.
 *
 * @module
 */
import type * as Effect from "effect/Effect";
import type { Pipeable } from "effect/Pipeable";
import { HandleId, register } from "../objects/handles.ts";
import { self } from "../rpc/identity.ts";
import type { Lock, MemoryLock } from "../../Lock.ts";
import type { ObjectAddress } from "../sync/protocol/arena.ts";
import type { RegionKind } from "../os/mapping.ts";
import type { RLock } from "../../RLock.ts";
import type { Bytes } from "../../Value.ts";
import { exclusively, ownLock, ownLockAt, usersLock } from "./locks.ts";
import { assemble, attemptMemory } from "./attempt.ts";
import { bytes as isBytes, optional, range, show } from "../os/arguments.ts";
import { inspectable } from "../os/inspect.ts";
import { demand, demandChange, type MemoryError, type MemoryFailure, OutOfRange, pair } from "./errors.ts";
import { allocateBytes, ArenaObject } from "./arena_object.ts";
import { encode, Records, sizeOf } from "./records.ts";

export const TypeId = "~multiprocessing/Bytes";

/** The data of a handle. */
interface HandleData {
  readonly address: ObjectAddress;
  readonly capacity: number;
  readonly lock: Lock | RLock;
  /** The lock for operations that replace the bytes. */
  readonly turns: ObjectAddress;
  readonly host: string;
}

type Attempt<A> = Effect.Effect<A, MemoryFailure>;

/** The largest capacity. More bytes belong in a block of their own. */
const MOST = 65_536;

const room = (capacity: number): number => Math.max(8, Math.ceil(capacity / 8) * 8);

/** The implementation of {@link Bytes}. */
class BytesValue implements Bytes {
  declare readonly pipe: Pipeable["pipe"];
  readonly [TypeId]: typeof TypeId = TypeId;
  readonly capacity: number;
  readonly lock: Lock | RLock;
  readonly #from: HandleData;
  readonly #object: ArenaObject;
  readonly #turns: MemoryLock;
  #records: Records | undefined;

  constructor(from: HandleData, object: ArenaObject, records?: Records) {
    this.#from = from;
    this.#object = object;
    this.#records = records;
    this.capacity = from.capacity;
    this.lock = from.lock;
    this.#turns = ownLockAt(from.turns, from.host);
  }

  get [HandleId]() {
    return { kind: "bytes", encode: (): HandleData => ({ ...this.#from }) };
  }

  readonly withLock: RLock["withLock"] = (effect, options) => this.lock.withLock(effect, options);

  get get(): Effect.Effect<Uint8Array<ArrayBuffer>, MemoryError> {
    return attemptMemory(() => this.#read());
  }

  readonly set = (bytes: Uint8Array): Attempt<void> => exclusively(this.#turns, () => this.#write(bytes));

  readonly update = (change: (bytes: Uint8Array<ArrayBuffer>) => Uint8Array): Attempt<Uint8Array<ArrayBuffer>> =>
    exclusively(this.#turns, () => {
      demandChange(change);
      this.#write(change(this.#read()));
      return this.#read();
    });

  readonly modify = <B>(change: (bytes: Uint8Array<ArrayBuffer>) => readonly [B, Uint8Array]): Attempt<B> =>
    exclusively(this.#turns, () => {
      demandChange(change);
      const [answer, next] = pair(change(this.#read()));
      this.#write(next);
      return answer;
    });

  #read(): Uint8Array<ArrayBuffer> {
    return this.#open().read(0) as Uint8Array<ArrayBuffer>;
  }

  #write(bytes: Uint8Array): void {
    checkBytes(bytes, this.capacity);
    this.#open().write(0, encode(bytes));
  }

  #open(): Records {
    const { arena } = this.#object;
    return this.#records ??= Records.open(arena.region.buffer, sizeOf([room(this.capacity)]), this.#object.data);
  }
}
inspectable(BytesValue);

const checkBytes = (bytes: unknown, capacity: number): void => {
  if (!(bytes instanceof Uint8Array)) {
    throw new OutOfRange("Type", `Cannot keep ${show(bytes)} as bytes: it takes Uint8Arrays`);
  }
  if (bytes.length > capacity) {
    throw new OutOfRange("TooLong", `Cannot keep ${bytes.length} bytes: there is room for ${capacity}`);
  }
};

/** Creates bytes, and returns them with the function that frees them. Throws a `MemoryFailure`. */
export const make = (
  capacity: number,
  initial: Uint8Array | undefined,
  given?: Lock | RLock,
  kind?: RegionKind,
): [bytes: Bytes, free: () => void] => {
  demand("Value.bytes", { capacity, initial }, { capacity: range(0, MOST), initial: optional(isBytes) });
  const first = initial ?? new Uint8Array();
  checkBytes(first, capacity);
  return assemble((onFree) => {
    const size = sizeOf([room(capacity)]);
    const { free, object } = allocateBytes(size, kind);
    onFree(free);
    const users = usersLock(given, kind, "memory");
    onFree(users.free);
    const turns = ownLock(kind);
    onFree(turns.free);
    const records = Records.layOut(object.arena.region.buffer, size, [room(capacity)], [], object.data);
    records.write(0, encode(first));
    const from = { address: object.address, capacity, lock: users.lock, turns: turns.address, host: self().name };
    return new BytesValue(from, object, records);
  });
};

register("bytes", (from) => new BytesValue(from as HandleData, new ArenaObject((from as HandleData).address)));
