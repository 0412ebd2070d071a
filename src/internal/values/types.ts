/**
 * The types of numbers in shared memory. Free of Effect.
 *
 * @module
 */
import { type Cells, cells } from "../os/atomics.ts";
import { show } from "../os/arguments.ts";
import { OutOfRange } from "./errors.ts";

/** The types by name, and the type of their values in TypeScript. */
export interface Values {
  /** A signed integer of 8 bits. */
  readonly i8: number;
  /** An unsigned integer of 8 bits. */
  readonly u8: number;
  /** A signed integer of 16 bits. */
  readonly i16: number;
  /** An unsigned integer of 16 bits. */
  readonly u16: number;
  /** A signed integer of 32 bits. */
  readonly i32: number;
  /** An unsigned integer of 32 bits. */
  readonly u32: number;
  /** A signed integer of 64 bits. */
  readonly i64: bigint;
  /** An unsigned integer of 64 bits. */
  readonly u64: bigint;
  /** A floating point number of 32 bits. */
  readonly f32: number;
  /** A floating point number of 64 bits. */
  readonly f64: number;
  /** A boolean. */
  readonly bool: boolean;
}

/** Name of a type. */
export type Type = keyof Values;

/** A value as it is stored. */
type Kept = number | bigint;

/** The description of a type. */
export interface Description {
  /** Bytes of a value. */
  readonly size: number;
  readonly zero: Kept;
  readonly cells: (buffer: ArrayBufferLike, offset: number, length: number) => Cells<Kept>;
  /** Converts a value to its stored form. Throws an `OutOfRange` if the type does not include the value. */
  readonly keep: (value: unknown) => Kept;
  /** Converts the stored form to a value. */
  readonly give: (kept: Kept) => unknown;
  /** Whether values can be added. */
  readonly numeric: boolean;
  /** Whether bitwise operations are possible. */
  readonly integer: boolean;
  /** Whether the type has no negative values. */
  readonly unsigned: boolean;
}

const refuse = (type: string, range: string, value: unknown): OutOfRange =>
  new OutOfRange("Value", `Cannot keep ${show(value)} as ${type}: it takes ${range}`);

const give = (kept: Kept): unknown => kept;

const integer = (type: "i8" | "u8" | "i16" | "u16" | "i32" | "u32", bits: number, signed: boolean): Description => {
  const low = signed ? -(2 ** (bits - 1)) : 0;
  const high = low + 2 ** bits - 1;
  const range = `integers from ${low} to ${high}`;
  return {
    size: bits / 8,
    zero: 0,
    cells: cells[type] as Description["cells"],
    keep: (value) => {
      if (Number.isInteger(value) && (value as number) >= low && (value as number) <= high) return value as number;
      throw refuse(type, range, value);
    },
    give,
    numeric: true,
    integer: true,
    unsigned: !signed,
  };
};

const wide = (type: "i64" | "u64"): Description => {
  const low = type === "i64" ? -(2n ** 63n) : 0n;
  const high = low + 2n ** 64n - 1n;
  const range = `bigints from ${low} to ${high}`;
  return {
    size: 8,
    zero: 0n,
    cells: cells[type] as Description["cells"],
    keep: (value) => {
      if (typeof value === "bigint" && value >= low && value <= high) return value;
      throw refuse(type, range, value);
    },
    give,
    numeric: true,
    integer: true,
    unsigned: type === "u64",
  };
};

const floating = (type: "f32" | "f64"): Description => ({
  size: type === "f32" ? 4 : 8,
  zero: 0,
  cells: cells[type] as Description["cells"],
  keep: (value) => {
    if (typeof value !== "number") throw refuse(type, "numbers", value);
    if (type === "f64") return value;
    const kept = Math.fround(value);
    if (Number.isFinite(value) && !Number.isFinite(kept)) throw refuse(type, "numbers up to 3.4e38", value);
    return kept;
  },
  give,
  numeric: true,
  integer: false,
  unsigned: false,
});

const bool: Description = {
  size: 1,
  zero: 0,
  cells: cells.u8 as Description["cells"],
  keep: (value) => {
    if (typeof value !== "boolean") throw refuse("bool", "true and false", value);
    return value ? 1 : 0;
  },
  give: (kept) => kept !== 0,
  numeric: false,
  integer: false,
  unsigned: false,
};

/** All types. */
export const types: Readonly<Record<Type, Description>> = {
  i8: integer("i8", 8, true),
  u8: integer("u8", 8, false),
  i16: integer("i16", 16, true),
  u16: integer("u16", 16, false),
  i32: integer("i32", 32, true),
  u32: integer("u32", 32, false),
  i64: wide("i64"),
  u64: wide("u64"),
  f32: floating("f32"),
  f64: floating("f64"),
  bool,
};

/** The description of a type, by name. Throws an `OutOfRange` if there is no such type. */
export const typeOf = (name: unknown): Description => {
  const type = typeof name === "string" && Object.hasOwn(types, name) ? types[name as Type] : undefined;
  if (type !== undefined) return type;
  throw new OutOfRange(
    "Type",
    `Cannot keep values of the type ${show(name)} in shared memory: the types are ${Object.keys(types).join(", ")}`,
  );
};
