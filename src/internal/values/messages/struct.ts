/**
 * `Struct` for its users by messages, and what the host does for them.
 *
 * @module
 */
import type * as Effect from "effect/Effect";
import { record } from "../../os/arguments.ts";
import type { ObjectAddress } from "../../sync/protocol/arena.ts";
import type { Descriptor } from "../../sync/object.ts";
import type { Fields, RecordOf, Struct } from "../../../Value.ts";
import { demandChange, type MemoryError, type MemoryFailure, OutOfRange, pair } from "../errors.ts";
import { type Type, typeOf } from "../types.ts";
import { exclusiveKind, ExclusiveMessages, inTurn } from "./exclusive.ts";
import type { ObjectDescriptor } from "./object.ts";
import { ValueMessages } from "./value.ts";

export const TypeId = "~multiprocessing/Struct";

const GET = 10;

/** The types of the fields. */
export type Types = ReadonlyArray<readonly [name: string, type: Type]>;

/** The values of the fields. */
export type FieldValues = Readonly<Record<string, unknown>>;

/** The data of a handle. The address is that of the lock for operations on all fields. */
export interface StructDescriptor extends ObjectDescriptor {
  /** The fields in memory. */
  readonly object: ObjectAddress;
  readonly types: Types;
  /** The way to each field. */
  readonly fields: ReadonlyArray<Descriptor>;
}

/** The lock of a struct, and the operations on all its fields. */
export const structKind = exclusiveKind({ [GET]: inTurn(({ read }) => read(0)) });

/** Checks that there is a value for each field, and no other. Throws an `OutOfRange`. */
export const checkValues = (types: Types, values: FieldValues): void => {
  const wrong = record(values);
  if (wrong !== undefined) throw new OutOfRange("Type", `Cannot keep the values of a struct: they ${wrong}`);
  for (const [name, type] of types) typeOf(type).keep(values[name]);
  const more = Object.keys(values).find((name) => !types.some(([known]) => known === name));
  if (more !== undefined) {
    throw new OutOfRange("Index", `Cannot keep ${JSON.stringify(more)}: the struct has no such field`);
  }
};

/** The text of a struct. */
export const textOf = (types: Types): string => `Struct(${types.map(([name, type]) => `${name}: ${type}`).join(", ")})`;

type Attempt<A> = Effect.Effect<A, MemoryFailure>;

/** The implementation of {@link Struct}. */
export class StructMessages<F extends Fields> extends ExclusiveMessages<StructDescriptor> implements Struct<F> {
  readonly [TypeId]: typeof TypeId = TypeId;
  readonly fields: Struct<F>["fields"];

  constructor(descriptor: StructDescriptor) {
    super("struct", descriptor);
    const { fields, lock, types } = descriptor;
    this.fields = Object.fromEntries(
      // The offset is of use in memory only.
      types.map(([name, type], i) => [name, new ValueMessages({ ...fields[i], lock, type, offset: 0 })]),
    ) as object as Struct<F>["fields"];
  }

  override toString(): string {
    return textOf(this.descriptor.types);
  }

  get get(): Effect.Effect<RecordOf<F>, MemoryError> {
    return this.read(GET, () => []) as Effect.Effect<RecordOf<F>, MemoryError>;
  }

  readonly set = (values: RecordOf<F>): Attempt<void> => this.replace(() => [0, this.#kept(values)]);

  readonly update = (change: (values: RecordOf<F>) => RecordOf<F>): Attempt<RecordOf<F>> =>
    this.modify((values) => {
      demandChange(change);
      const next = this.#kept(change(values));
      return [next, next];
    });

  readonly modify = <B>(change: (values: RecordOf<F>) => readonly [B, RecordOf<F>]): Attempt<B> =>
    this.modified(() => 0, (values: RecordOf<F>) => {
      demandChange(change);
      const [answer, next] = pair(change(values));
      return [answer, this.#kept(next)];
    });

  /** The values as the types of the fields keep them. Throws an `OutOfRange`. */
  #kept(values: RecordOf<F>): RecordOf<F> {
    const { types } = this.descriptor;
    checkValues(types, values);
    return Object.fromEntries(
      types.map(([name, type]) => {
        const { give, keep } = typeOf(type);
        return [name, give(keep(values[name]))];
      }),
    ) as RecordOf<F>;
  }
}
