/**
 * `Bytes` for their users: one record, as lists have them, in an arena.
 *
 * @module
 */
import type * as Effect from "effect/Effect";
import type { Pipeable } from "effect/Pipeable";
import { HandleId, register } from "../objects/handles.ts";
import type { Carrier, Lock, MemoryLock } from "../../Lock.ts";
import type { ObjectAddress } from "../sync/protocol/arena.ts";
import type { RegionKind } from "../os/mapping.ts";
import type { RLock } from "../../RLock.ts";
import type { Bytes } from "../../Value.ts";
import { allocateCarried, exclusively, ownLockAt, usersLock } from "./locks.ts";
import { assemble, attemptMemory } from "./attempt.ts";
import { bytes as isBytes, optional, range } from "../os/arguments.ts";
import { inspectable } from "../os/inspect.ts";
import { demand, demandChange, type MemoryError, type MemoryFailure, pair } from "./errors.ts";
import { allocateBytes, ArenaObject } from "./arena_object.ts";
import { byMessages } from "../sync/object.ts";
import { type BytesDescriptor, bytesKind, BytesMessages, checkBytes, textOf, TypeId } from "./messages/bytes.ts";
import type { Contents } from "./messages/exclusive.ts";
import { encode, Records, sizeOf } from "./records.ts";

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
  readonly #sent: BytesDescriptor;
  readonly #object: ArenaObject;
  readonly #turns: MemoryLock;
  #records: Records | undefined;

  /** `turns` is the address of the lock for operations that replace the bytes, `sent` the data of the handle. */
  constructor(object: ArenaObject, turns: ObjectAddress, sent: BytesDescriptor, records?: Records) {
    this.#sent = sent;
    this.#object = object;
    this.#records = records;
    this.capacity = sent.capacity;
    this.lock = sent.lock;
    this.#turns = ownLockAt(turns, sent.host);
  }

  get [HandleId]() {
    return { kind: "bytes", encode: (): BytesDescriptor => this.#sent };
  }

  get carrier(): Carrier {
    return this.#sent.address === undefined ? "messages" : "memory";
  }

  readonly withLock: RLock["withLock"] = (effect, options) => this.lock.withLock(effect, options);

  toString(): string {
    return textOf(this.capacity);
  }

  get get(): Effect.Effect<Uint8Array<ArrayBuffer>, MemoryError> {
    return attemptMemory(() => this.read());
  }

  readonly set = (bytes: Uint8Array): Attempt<void> => exclusively(this.#turns, () => this.write(bytes));

  readonly update = (change: (bytes: Uint8Array<ArrayBuffer>) => Uint8Array): Attempt<Uint8Array<ArrayBuffer>> =>
    exclusively(this.#turns, () => {
      demandChange(change);
      this.write(change(this.read()));
      return this.read();
    });

  readonly modify = <B>(change: (bytes: Uint8Array<ArrayBuffer>) => readonly [B, Uint8Array]): Attempt<B> =>
    exclusively(this.#turns, () => {
      demandChange(change);
      const [answer, next] = pair(change(this.read()));
      this.write(next);
      return answer;
    });

  /** Returns a copy of the bytes. Throws a `MemoryError`. */
  read(): Uint8Array<ArrayBuffer> {
    return this.#open().read(0) as Uint8Array<ArrayBuffer>;
  }

  /** Replaces the bytes, for the holder of the lock. Throws a `MemoryFailure`. */
  write(bytes: unknown): void {
    checkBytes(bytes, this.capacity);
    this.#open().write(0, encode(bytes));
  }

  #open(): Records {
    const { arena } = this.#object;
    return this.#records ??= Records.open(arena.region.buffer, sizeOf([room(this.capacity)]), this.#object.data);
  }
}
inspectable(BytesValue);

/** Creates bytes, and returns them with the function that frees them. Throws a `MemoryFailure`. */
export const make = (
  capacity: number,
  initial: Uint8Array | undefined,
  given?: Lock | RLock,
  kind?: RegionKind,
  carrier?: Carrier,
): [bytes: Bytes, free: () => void] => {
  demand("Value.bytes", { capacity, initial }, { capacity: range(0, MOST), initial: optional(isBytes) });
  const first = initial ?? new Uint8Array();
  checkBytes(first, capacity);
  return assemble((onFree) => {
    const size = sizeOf([room(capacity)]);
    const { free, object } = allocateBytes(size, kind);
    onFree(free);
    const users = usersLock(given, kind, carrier);
    onFree(users.free);
    const contents: Contents = { read: () => bytes.read(), write: (_, value) => bytes.write(value) };
    const turns = allocateCarried(bytesKind, () => contents, carrier, kind);
    onFree(turns.free);
    const records = Records.layOut(object.arena.region.buffer, size, [room(capacity)], [], object.data);
    records.write(0, encode(first));
    const sent = { ...turns.sent, object: object.address, capacity, lock: users.lock };
    const bytes = new BytesValue(object, turns.own.address, sent, records);
    return bytes;
  });
};

register("bytes", (from) => {
  const descriptor = from as BytesDescriptor;
  return byMessages(descriptor)
    ? new BytesMessages(descriptor)
    : new BytesValue(new ArenaObject(descriptor.object), descriptor.address!, descriptor);
});
