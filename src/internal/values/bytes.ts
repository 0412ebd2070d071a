/**
 * Bytes in shared memory, up to so many, as their users have them: one place as lists have them, in an arena.
 *
 * @module
 */
import type * as Effect from "effect/Effect";
import { HandleId, register } from "../objects/handles.ts";
import { self } from "../rpc/identity.ts";
import type { Lock } from "../../Lock.ts";
import type { Place } from "../sync/protocol/arena.ts";
import type { Kind } from "../os/mapping.ts";
import type { RLock } from "../../RLock.ts";
import type { Bytes } from "../../Value.ts";
import { alone, ownLock, ownLockAt, usersLock } from "./locks.ts";
import { attemptMemory } from "./attempt.ts";
import { bytes as isBytes, optional, range, show } from "../os/arguments.ts";
import { demand, demandChange, type MemoryError, OutOfRange, pair } from "./errors.ts";
import { place, Placed } from "./layout.ts";
import { encode, sizeOf, Slots } from "./slots.ts";

export const TypeId = "~multiprocessing/Bytes";

/** What a handle says. */
interface From {
  readonly place: Place;
  readonly capacity: number;
  readonly lock: Lock | RLock;
  /** The lock of those who replace the bytes. */
  readonly turns: Place;
  readonly host: string;
}

type Failing<A> = Effect.Effect<A, MemoryError | OutOfRange>;

/** More of them want a block of their own. */
const MOST = 65_536;

const room = (capacity: number): number => Math.max(8, Math.ceil(capacity / 8) * 8);

/** The implementation of {@link Bytes}. */
class BytesValue implements Bytes {
  readonly [TypeId]: typeof TypeId = TypeId;
  readonly capacity: number;
  readonly lock: Lock | RLock;
  readonly #from: From;
  readonly #placed: Placed;
  readonly #turns: Lock;
  #slots: Slots | undefined;

  constructor(from: From, placed: Placed, slots?: Slots) {
    this.#from = from;
    this.#placed = placed;
    this.#slots = slots;
    this.capacity = from.capacity;
    this.lock = from.lock;
    this.#turns = ownLockAt(from.turns, from.host);
  }

  get [HandleId]() {
    return { kind: "bytes", encode: (): From => ({ ...this.#from }) };
  }

  readonly withLock: RLock["withLock"] = (effect, options) => this.lock.withLock(effect, options);

  get get(): Effect.Effect<Uint8Array<ArrayBuffer>, MemoryError> {
    return attemptMemory(() => this.#read());
  }

  readonly set = (bytes: Uint8Array): Failing<void> => alone(this.#turns, () => this.#write(bytes));

  readonly update = (change: (bytes: Uint8Array<ArrayBuffer>) => Uint8Array): Failing<Uint8Array<ArrayBuffer>> =>
    alone(this.#turns, () => {
      demandChange(change);
      this.#write(change(this.#read()));
      return this.#read();
    });

  readonly modify = <B>(change: (bytes: Uint8Array<ArrayBuffer>) => readonly [B, Uint8Array]): Failing<B> =>
    alone(this.#turns, () => {
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

  #open(): Slots {
    const { arena } = this.#placed;
    return this.#slots ??= Slots.open(arena.region.buffer, sizeOf([room(this.capacity)]), this.#placed.data);
  }
}

const checkBytes = (bytes: unknown, capacity: number): void => {
  if (!(bytes instanceof Uint8Array)) {
    throw new OutOfRange("Type", `Cannot keep ${show(bytes)} as bytes: it takes Uint8Arrays`);
  }
  if (bytes.length > capacity) {
    throw new OutOfRange("TooLong", `Cannot keep ${bytes.length} bytes: there is room for ${capacity}`);
  }
};

/** New bytes, and what frees them. Throws a `MemoryError`, or an `OutOfRange`. */
export const make = (
  capacity: number,
  initial: Uint8Array | undefined,
  given?: Lock | RLock,
  kind?: Kind,
): [bytes: Bytes, free: () => void] => {
  demand("Value.bytes", { capacity, initial }, { capacity: range(0, MOST), initial: optional(isBytes) });
  const first = initial ?? new Uint8Array();
  checkBytes(first, capacity);
  const frees: Array<() => void> = [];
  const all = (): void => frees.toReversed().forEach((free) => free());
  try {
    const size = sizeOf([room(capacity)]);
    const { free, placed } = place(size, kind);
    frees.push(free);
    const users = usersLock(given, kind);
    frees.push(users.free);
    const turns = ownLock(kind);
    frees.push(turns.free);
    const slots = Slots.layOut(placed.arena.region.buffer, size, [room(capacity)], [], placed.data);
    slots.write(0, encode(first));
    const from = { place: placed.place, capacity, lock: users.lock, turns: turns.place, host: self().name };
    return [new BytesValue(from, placed, slots), all];
  } catch (error) {
    all();
    throw error;
  }
};

register("bytes", (from) => new BytesValue(from as From, new Placed((from as From).place)));
