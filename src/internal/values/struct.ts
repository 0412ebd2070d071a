/**
 * `Struct` for its users: several values that belong together.
 *
 * ```text
 *  words 0, 1   COMMITTED: 1 once the prepared fields count, 0 once they were copied
 *  then         the fields, and a second copy of them: the prepared fields
 * ```
 *
 * An operation that replaces all fields writes the prepared fields, and then COMMITTED, which is the linearisation point. It then copies
 * the prepared fields to the fields, and clears COMMITTED. If its process is killed before that, the next operation on all fields
 * copies them first. The lock `turns` excludes other such operations.
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
import type { Fields, RecordOf, Struct } from "../../Value.ts";
import { allocateCarried, exclusively, ownLockAt, usersLock } from "./locks.ts";
import { assemble } from "./attempt.ts";
import { optional, record } from "../os/arguments.ts";
import { inspectable } from "../os/inspect.ts";
import { demand, demandChange, type MemoryError, type MemoryFailure, pair } from "./errors.ts";
import { allocateBytes, ArenaObject } from "./arena_object.ts";
import { hostNumbers } from "./hosting.ts";
import { byMessages } from "../sync/object.ts";
import type { Contents } from "./messages/exclusive.ts";
import {
  checkValues,
  type FieldValues,
  type StructDescriptor,
  structKind,
  StructMessages,
  textOf,
  TypeId,
  type Types,
} from "./messages/struct.ts";
import { valueOperations } from "./messages/value.ts";
import { typeOf } from "./types.ts";
import { NumberValue } from "./value.ts";

type Attempt<A> = Effect.Effect<A, MemoryFailure>;

const HEAD = 8;

/** The offset of each field, and the size of all fields, in bytes. */
const layOut = (types: Types): { readonly offsets: ReadonlyArray<number>; readonly size: number } => {
  let at = HEAD;
  const offsets = types.map(([_, type]) => {
    const { size } = typeOf(type);
    at = Math.ceil(at / size) * size + size;
    return at - size;
  });
  return { offsets, size: Math.ceil((at - HEAD) / 8) * 8 };
};

/** The implementation of {@link Struct}. */
class StructValue<F extends Fields> implements Struct<F> {
  declare readonly pipe: Pipeable["pipe"];
  readonly [TypeId]: typeof TypeId = TypeId;
  readonly lock: Lock | RLock;
  readonly fields: Struct<F>["fields"];
  readonly #sent: StructDescriptor;
  readonly #turns: MemoryLock;
  readonly #fields: Readonly<Record<string, NumberValue<unknown>>>;
  readonly #prepared: Readonly<Record<string, NumberValue<unknown>>>;
  readonly #committed: NumberValue<unknown>;

  /** `turns` is the address of the lock for operations on all fields, `sent` the data of the handle. */
  constructor(object: ArenaObject, turns: ObjectAddress, sent: StructDescriptor) {
    this.#sent = sent;
    this.lock = sent.lock;
    this.#turns = ownLockAt(turns, sent.host);
    const { fields, host, lock, types } = sent;
    const { offsets, size } = layOut(types);
    const at = (shift: number): Readonly<Record<string, NumberValue<unknown>>> =>
      Object.fromEntries(
        types.map((
          [name, type],
          i,
        ) => [name, new NumberValue(object, { lock, type, offset: offsets[i] + shift }, fields[i])]),
      );
    this.#fields = at(0);
    // The same objects, with the types that `types` gives them.
    this.fields = this.#fields as object as Struct<F>["fields"];
    this.#prepared = at(size);
    this.#committed = new NumberValue(object, { lock, type: "u32", offset: 0 }, { host });
  }

  get [HandleId]() {
    return { kind: "struct", encode: (): StructDescriptor => this.#sent };
  }

  get carrier(): Carrier {
    return this.#sent.address === undefined ? "messages" : "memory";
  }

  readonly withLock: RLock["withLock"] = (effect, options) => this.lock.withLock(effect, options);

  toString(): string {
    return textOf(this.#sent.types);
  }

  get get(): Effect.Effect<RecordOf<F>, MemoryError> {
    return exclusively(this.#turns, () => this.read()) as Effect.Effect<RecordOf<F>, MemoryError>;
  }

  readonly set = (values: RecordOf<F>): Attempt<void> => exclusively(this.#turns, () => this.write(values));

  readonly update = (change: (values: RecordOf<F>) => RecordOf<F>): Attempt<RecordOf<F>> =>
    exclusively(this.#turns, () => {
      demandChange(change);
      const next = change(this.read());
      this.write(next);
      return this.read();
    });

  readonly modify = <B>(change: (values: RecordOf<F>) => readonly [B, RecordOf<F>]): Attempt<B> =>
    exclusively(this.#turns, () => {
      demandChange(change);
      const [answer, next] = pair(change(this.read()));
      this.write(next);
      return answer;
    });

  /** The operations of a field. */
  raw(name: string): NumberValue<unknown>["raw"] {
    return this.#fields[name].raw;
  }

  /** Sets the fields of a new struct, which no other process has yet. */
  initialize(values: FieldValues): void {
    for (const [name, { raw }] of Object.entries(this.#fields)) raw.set(values[name]);
  }

  /** Returns all fields, for the holder of the lock. Throws a `MemoryError`. */
  read(): RecordOf<F> {
    this.#copyPrepared();
    return Object.fromEntries(Object.entries(this.#fields).map(([name, { raw }]) => [name, raw.get()])) as RecordOf<F>;
  }

  /** Replaces all fields, for the holder of the lock. Throws a `MemoryFailure`. */
  write(values: FieldValues): void {
    this.#copyPrepared();
    checkValues(this.#sent.types, values);
    for (const [name, { raw }] of Object.entries(this.#prepared)) raw.set(values[name]);
    this.#committed.raw.set(1);
    this.#copyPrepared();
  }

  /** Copies the prepared fields to the fields, if they are committed. */
  #copyPrepared(): void {
    if (this.#committed.raw.get() === 0) return;
    for (const [name, { raw }] of Object.entries(this.#prepared)) this.#fields[name].raw.set(raw.get());
    this.#committed.raw.set(0);
  }
}
inspectable(StructValue);

/** Creates a struct, and returns it with the function that frees it. Throws a `MemoryFailure`. */
export const make = <F extends Fields>(
  fields: F,
  initial: Partial<RecordOf<F>> | undefined,
  given?: Lock | RLock,
  kind?: RegionKind,
  carrier?: Carrier,
): [struct: Struct<F>, free: () => void] => {
  demand("Value.struct", { fields, initial }, { fields: record, initial: optional(record) });
  const types = Object.entries(fields);
  const values = Object.fromEntries(types.map(([name, type]) => {
    const { give, zero } = typeOf(type);
    return [name, (initial as FieldValues | undefined)?.[name] ?? give(zero)];
  }));
  checkValues(types, { ...values, ...initial });
  return assemble((onFree) => {
    const { size } = layOut(types);
    const { free, object } = allocateBytes(HEAD + 2 * size, kind);
    onFree(free);
    const users = usersLock(given, kind, carrier);
    onFree(users.free);
    const contents: Contents = { read: () => struct.read(), write: (_, values) => struct.write(values as FieldValues) };
    const turns = allocateCarried(structKind, () => contents, carrier, kind);
    onFree(turns.free);
    const fields = types.map(([name]) => {
      const { retract, sent } = hostNumbers(object, () => struct.raw(name), valueOperations, carrier);
      onFree(retract);
      return sent;
    });
    const sent = { ...turns.sent, object: object.address, types, lock: users.lock, fields };
    const struct: StructValue<F> = new StructValue<F>(object, turns.own.address, sent);
    struct.initialize(values);
    return struct;
  });
};

register("struct", (from) => {
  const descriptor = from as StructDescriptor;
  return byMessages(descriptor)
    ? new StructMessages(descriptor)
    : new StructValue(new ArenaObject(descriptor.object), descriptor.address!, descriptor);
});
