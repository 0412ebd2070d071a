/**
 * `Array` for its users.
 *
 * @module
 */
import type * as Effect from "effect/Effect";
import type { Pipeable } from "effect/Pipeable";
import type { Integer } from "../../Array.ts";
import { HandleId, register } from "../objects/handles.ts";
import type { Carrier, Lock } from "../../Lock.ts";
import type { BlockToken, RegionKind } from "../os/mapping.ts";
import type { Cells } from "../os/atomics.ts";
import type { RLock } from "../../RLock.ts";
import { count, iterable, must } from "../os/arguments.ts";
import { inspectable } from "../os/inspect.ts";
import { byMessages, type Descriptor } from "../sync/object.ts";
import { usersLock } from "./locks.ts";
import { assemble, attempt, attemptMemory } from "./attempt.ts";
import { Elements, views } from "./elements.ts";
import { demand, MemoryError, type MemoryFailure } from "./errors.ts";
import { type ArrayDescriptor, ArrayMessages, arrayOperations, TypeId } from "./messages/array.ts";
import { Numbers } from "./numbers.ts";
import { allocateBytes, ArenaObject } from "./arena_object.ts";
import { hostNumbers } from "./hosting.ts";
import { attach, make as makeStorage, type Storage } from "./storage.ts";
import { type Type, typeOf } from "./types.ts";

type Attempt<A> = Effect.Effect<A, MemoryFailure>;

/** The implementation of {@link Integer}. The public type of an array leaves out operations that its number type does not have. */
export class NumberArray<A> implements Integer<A, ArrayBufferView> {
  declare readonly pipe: Pipeable["pipe"];
  readonly [TypeId]: typeof TypeId = TypeId;
  readonly type: Type;
  readonly length: number;
  readonly raw: Elements<A>;
  readonly lock: Lock | RLock;
  readonly #token: BlockToken;
  readonly #sent: Descriptor;

  /**
   * The elements have memory of their own: a view that outlives the array never sees data of a later object. `sent` is the way to the
   * array for the processes that receive its handle.
   */
  constructor(
    object: ArenaObject,
    { length, lock, token, type }: Omit<ArrayDescriptor, keyof Descriptor>,
    sent: Descriptor,
    memory: () => Storage,
  ) {
    this.lock = lock;
    this.#token = token;
    this.#sent = sent;
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
      encode: (): ArrayDescriptor => ({
        ...this.#sent,
        type: this.type,
        length: this.length,
        token: this.#token,
        lock: this.lock,
      }),
    };
  }

  get carrier(): Carrier {
    return this.#sent.address === undefined ? "messages" : "memory";
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
  carrier?: Carrier,
): [array: NumberArray<unknown>, free: () => void] => {
  const { give, keep, size } = typeOf(type);
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
    const { free: freeLock, lock } = usersLock(given, kind, carrier);
    onFree(freeLock);
    const { retract, sent } = hostNumbers(object, () => array.raw, arrayOperations(give), carrier);
    onFree(retract);
    const { token } = storage;
    const array: NumberArray<unknown> = new NumberArray(object, { type, length, lock, token }, sent, () => storage);
    if (values !== undefined) array.raw.setAll(values);
    return array;
  });
};

register("array", (from) => {
  const descriptor = from as ArrayDescriptor;
  return byMessages(descriptor)
    ? new ArrayMessages(descriptor)
    : new NumberArray(new ArenaObject(descriptor.address!), descriptor, descriptor, () => attach(descriptor.token));
});
