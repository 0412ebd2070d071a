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
import { self } from "../rpc/identity.ts";
import type { Lock, MemoryLock } from "../../Lock.ts";
import type { ObjectAddress } from "../sync/protocol/arena.ts";
import type { RegionKind } from "../os/mapping.ts";
import type { RLock } from "../../RLock.ts";
import type { Fields, RecordOf, Struct } from "../../Value.ts";
import { exclusively, ownLock, ownLockAt, usersLock } from "./locks.ts";
import { assemble } from "./attempt.ts";
import { optional, record } from "../os/arguments.ts";
import { inspectable } from "../os/inspect.ts";
import { demand, demandChange, type MemoryError, type MemoryFailure, OutOfRange, pair } from "./errors.ts";
import { allocateBytes, ArenaObject } from "./arena_object.ts";
import { type Type, typeOf } from "./types.ts";
import { NumberValue } from "./value.ts";

export const TypeId = "~multiprocessing/Struct";

/** The data of a handle. */
interface HandleData {
  readonly address: ObjectAddress;
  readonly types: ReadonlyArray<readonly [name: string, type: Type]>;
  readonly lock: Lock | RLock;
  /** The lock for operations on all fields. */
  readonly turns: ObjectAddress;
  readonly host: string;
}

type Attempt<A> = Effect.Effect<A, MemoryFailure>;
type Values = Readonly<Record<string, unknown>>;

const HEAD = 8;

/** The offset of each field, and the size of all fields, in bytes. */
const layOut = (types: HandleData["types"]): { readonly offsets: ReadonlyArray<number>; readonly size: number } => {
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
  readonly #from: HandleData;
  readonly #turns: MemoryLock;
  readonly #fields: Readonly<Record<string, NumberValue<unknown>>>;
  readonly #prepared: Readonly<Record<string, NumberValue<unknown>>>;
  readonly #committed: NumberValue<unknown>;

  constructor(from: HandleData, object: ArenaObject) {
    this.#from = from;
    this.lock = from.lock;
    this.#turns = ownLockAt(from.turns, from.host);
    const { offsets, size } = layOut(from.types);
    const { address, host, lock } = from;
    const sent = { address, host };
    const at = (shift: number): Readonly<Record<string, NumberValue<unknown>>> =>
      Object.fromEntries(
        from.types.map((
          [name, type],
          i,
        ) => [name, new NumberValue(object, { lock, type, offset: offsets[i] + shift }, sent)]),
      );
    this.#fields = at(0);
    // The same objects, with the types that `from.types` gives them.
    this.fields = this.#fields as object as Struct<F>["fields"];
    this.#prepared = at(size);
    this.#committed = new NumberValue(object, { lock, type: "u32", offset: 0 }, sent);
  }

  get [HandleId]() {
    return { kind: "struct", encode: (): HandleData => ({ ...this.#from }) };
  }

  readonly withLock: RLock["withLock"] = (effect, options) => this.lock.withLock(effect, options);

  get get(): Effect.Effect<RecordOf<F>, MemoryError> {
    return exclusively(this.#turns, () => this.#read()) as Effect.Effect<RecordOf<F>, MemoryError>;
  }

  readonly set = (values: RecordOf<F>): Attempt<void> => exclusively(this.#turns, () => this.#write(values));

  readonly update = (change: (values: RecordOf<F>) => RecordOf<F>): Attempt<RecordOf<F>> =>
    exclusively(this.#turns, () => {
      demandChange(change);
      const next = change(this.#read());
      this.#write(next);
      return this.#read();
    });

  readonly modify = <B>(change: (values: RecordOf<F>) => readonly [B, RecordOf<F>]): Attempt<B> =>
    exclusively(this.#turns, () => {
      demandChange(change);
      const [answer, next] = pair(change(this.#read()));
      this.#write(next);
      return answer;
    });

  /** Sets the fields of a new struct, which no other process has yet. */
  initialize(values: Values): void {
    for (const [name, { raw }] of Object.entries(this.#fields)) raw.set(values[name]);
  }

  #read(): RecordOf<F> {
    this.#copyPrepared();
    return Object.fromEntries(Object.entries(this.#fields).map(([name, { raw }]) => [name, raw.get()])) as RecordOf<F>;
  }

  #write(values: RecordOf<F>): void {
    this.#copyPrepared();
    checkValues(this.#from.types, values);
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

/** Checks that there is a value for each field, and no other. Throws an `OutOfRange`. */
const checkValues = (types: HandleData["types"], values: Values): void => {
  const wrong = record(values);
  if (wrong !== undefined) throw new OutOfRange("Type", `Cannot keep the values of a struct: they ${wrong}`);
  for (const [name, type] of types) typeOf(type).keep(values[name]);
  const more = Object.keys(values).find((name) => !types.some(([known]) => known === name));
  if (more !== undefined) {
    throw new OutOfRange("Index", `Cannot keep ${JSON.stringify(more)}: the struct has no such field`);
  }
};

/** Creates a struct, and returns it with the function that frees it. Throws a `MemoryFailure`. */
export const make = <F extends Fields>(
  fields: F,
  initial: Partial<RecordOf<F>> | undefined,
  given?: Lock | RLock,
  kind?: RegionKind,
): [struct: Struct<F>, free: () => void] => {
  demand("Value.struct", { fields, initial }, { fields: record, initial: optional(record) });
  const types = Object.entries(fields);
  const values = Object.fromEntries(types.map(([name, type]) => {
    const { give, zero } = typeOf(type);
    return [name, (initial as Values | undefined)?.[name] ?? give(zero)];
  }));
  checkValues(types, { ...values, ...initial });
  return assemble((onFree) => {
    const { size } = layOut(types);
    const { free, object } = allocateBytes(HEAD + 2 * size, kind);
    onFree(free);
    const users = usersLock(given, kind, "memory");
    onFree(users.free);
    const turns = ownLock(kind);
    onFree(turns.free);
    const from = { address: object.address, types, lock: users.lock, turns: turns.address, host: self().name };
    const struct = new StructValue<F>(from, object);
    struct.initialize(values);
    return struct;
  });
};

register("struct", (from) => new StructValue(from as HandleData, new ArenaObject((from as HandleData).address)));
