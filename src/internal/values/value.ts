/**
 * `Value` for its users.
 *
 * @module
 */
import type * as Effect from "effect/Effect";
import type { Pipeable } from "effect/Pipeable";
import { HandleId, register } from "../objects/handles.ts";
import type { Carrier, Lock } from "../../Lock.ts";
import type { RegionKind } from "../os/mapping.ts";
import type { Cells } from "../os/atomics.ts";
import { inspectable } from "../os/inspect.ts";
import type { RLock } from "../../RLock.ts";
import type { Integer } from "../../Value.ts";
import { byMessages, type Descriptor } from "../sync/object.ts";
import { usersLock } from "./locks.ts";
import { assemble, attempt, attemptMemory } from "./attempt.ts";
import type { MemoryError, MemoryFailure } from "./errors.ts";
import { Cell } from "./cell.ts";
import { TypeId, type ValueDescriptor, ValueMessages, valueOperations } from "./messages/value.ts";
import { Numbers } from "./numbers.ts";
import { allocateBytes, ArenaObject } from "./arena_object.ts";
import { hostNumbers } from "./hosting.ts";
import { type Type, typeOf } from "./types.ts";

type Attempt<A> = Effect.Effect<A, MemoryFailure>;

/** The implementation of {@link Integer}. The public type of a value leaves out operations that its number type does not have. */
export class NumberValue<A> implements Integer<A> {
  declare readonly pipe: Pipeable["pipe"];
  readonly [TypeId]: typeof TypeId = TypeId;
  readonly type: Type;
  readonly raw: Cell<A>;
  readonly lock: Lock | RLock;
  readonly #offset: number;
  readonly #sent: Descriptor;

  /** `sent` is the way to the value for the processes that receive its handle. */
  constructor(
    object: ArenaObject,
    { lock, offset, type }: Omit<ValueDescriptor, keyof Descriptor>,
    sent: Descriptor,
  ) {
    this.#offset = offset;
    this.#sent = sent;
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
      encode: (): ValueDescriptor => ({
        ...this.#sent,
        type: this.type,
        offset: this.#offset,
        lock: this.lock,
      }),
    };
  }

  get carrier(): Carrier {
    return this.#sent.address === undefined ? "messages" : "memory";
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
  carrier?: Carrier,
): [value: NumberValue<unknown>, free: () => void] => {
  const { give, keep, size, zero } = typeOf(type);
  const first = initial === undefined ? give(zero) : initial;
  // Before anything is allocated.
  keep(first);
  return assemble((onFree) => {
    const { free, object } = allocateBytes(size, kind);
    onFree(free);
    const { free: freeLock, lock } = usersLock(given, kind, carrier);
    onFree(freeLock);
    const { retract, sent } = hostNumbers(object, () => value.raw, valueOperations, carrier);
    onFree(retract);
    const value: NumberValue<unknown> = new NumberValue(object, { type, offset: 0, lock }, sent);
    value.raw.set(first);
    return value;
  });
};

register("value", (from) => {
  const descriptor = from as ValueDescriptor;
  return byMessages(descriptor)
    ? new ValueMessages(descriptor)
    : new NumberValue(new ArenaObject(descriptor.address!), descriptor, descriptor);
});
