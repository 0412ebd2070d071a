/**
 * Values in shared memory that many processes read and change at once: numbers, booleans, structs of them, bytes.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect } from "effect";
 *
 * type Account = Mp.Value.Struct<{ readonly balance: "i64"; readonly transfers: "u32" }>;
 *
 * const deposit = Mp.Task.make(
 *   import.meta,
 *   "deposit",
 *   (account: Account, amounts: Mp.Array.Of<"i64">) =>
 *     Effect.forEach(
 *       amounts.raw,
 *       (amount) =>
 *         account.update(({ balance, transfers }) => ({ balance: balance + amount, transfers: transfers + 1 })),
 *     ),
 * );
 *
 * const program = Effect.gen(function* () {
 *   const account: Account = yield* Mp.Value.struct({ balance: "i64", transfers: "u32" }, { balance: 100n });
 *   const amounts = yield* Mp.Array.make("i64", [10n, -20n, 30n]);
 *   yield* Effect.all([Mp.Process.run(deposit, account, amounts), Mp.Process.run(deposit, account, amounts)], {
 *     concurrency: 2,
 *   });
 *   console.log(yield* account.get);
 *
 *   yield* account.fields.transfers.set(0); // each field is a value for itself
 *   console.log((yield* Effect.flip(account.fields.transfers.sub(1))).message);
 *   console.log((yield* Effect.flip(amounts.get(3))).message);
 *
 *   const total = yield* Mp.Value.make("f64", 1);
 *   yield* total.withLock(Effect.flatMap(total.get, (n) => total.set(n / 2))); // several steps as one
 *   console.log(yield* total.get);
 * }).pipe(Effect.scoped, Effect.provide(Mp.SubprocessBackend.layer()));
 *
 * if (import.meta.main) Mp.runMain(program);
 * ```
 *
 * ```text
 * { balance: 140n, transfers: 6 }
 * Cannot keep -1 as u32: it takes integers from 0 to 4294967295
 * Cannot use element 3: there are 3, numbered from 0, or from -1 backwards
 * 0.5
 * ```
 *
 * - `get`, `set`, `exchange`, `compareExchange`, `update`, `modify`, `add`, `sub`, `and`, `or` and `xor` are one step
 *   each for all other processes, and wait for nobody. No addition is lost, also when a process is killed at the same
 *   time.
 * - A number that does not fit is an `OutOfRange`, and changes nothing: it is neither cut off nor wrapped around.
 * - `raw` has the same operations without Effects, for tight loops. It throws what the others fail with.
 * - `withLock` makes one step of several. It keeps out other uses of `withLock`, not the single operations. Its lock is
 *   an `RLock`, or the lock that you give: several objects may have the same. If a process is killed while it holds the
 *   lock, the next holder is told.
 *
 * Between processes it needs Linux on x86-64 or arm64, and `--allow-ffi` in each of them. Between workers it also works
 * elsewhere and without.
 *
 * ## From Python
 *
 * | Python | here |
 * | --- | --- |
 * | `Value("i", 5)`, `v.value` | `Value.make("i32", 5)`; `value.get`, `value.set(n)`, or `value.raw.value` |
 * | `with v.get_lock(): v.value += 1` | `value.add(1)`; for more than one step `value.withLock(effect)` |
 * | `get_lock()`, `lock=lock` | `value.lock`, `Value.make("i32", 5, { lock })` |
 * | `RawValue`, `get_obj()` | `value.raw` |
 * | `b` `B` `h` `H` `i` `I` `q` `Q` `f` `d` `?` | `"i8"` `"u8"` `"i16"` `"u16"` `"i32"` `"u32"` `"i64"` `"u64"` `"f32"` `"f64"` `"bool"` |
 * | a `ctypes.Structure`, `"c"` | `Value.struct({ x: "f64" })`, `Value.bytes(capacity)` |
 * | `sharedctypes.copy` | make another from `value.get` |
 *
 * @module
 */
import type * as Effect from "effect/Effect";
import type * as Scope from "effect/Scope";
import type { Lock } from "./Lock.ts";
import type { RLock } from "./RLock.ts";
import { lazily } from "./internal/os/lazy.ts";
import { MemoryError, type MemoryErrorReason, OutOfRange, type OutOfRangeReason } from "./internal/values/errors.ts";
import type { Type, Values } from "./internal/values/types.ts";

export { MemoryError, OutOfRange };
export type { MemoryErrorReason, OutOfRangeReason, Type, Values };

const implementation = lazily(() => import("./internal/values/constructors.ts"));

/**
 * Marks values.
 *
 * @since 0.1.0
 * @category symbols
 */
export const TypeId = "~multiprocessing/Value" as const;

/**
 * Type of {@link TypeId}.
 *
 * @since 0.1.0
 * @category symbols
 */
export type TypeId = typeof TypeId;

/**
 * Why a value could not be changed. It is then as it was.
 *
 * @since 0.1.0
 * @category errors
 */
export type Failure = MemoryError | OutOfRange;

/**
 * The same operations without Effects, for tight loops: they answer at once, and throw what the others fail with.
 *
 * @since 0.1.0
 * @category models
 */
export interface Raw<A> {
  /** The value, to be read and assigned. */
  value: A;
  /** Gives the value. */
  get(): A;
  /** Replaces the value. */
  set(value: A): void;
  /** Replaces the value, and gives the one before. */
  exchange(value: A): A;
  /** Replaces the value if it is `expected`; gives the one before: it has done so if that is `expected`. */
  compareExchange(expected: A, value: A): A;
  /** Replaces the value by what is made of it, and gives that. */
  update(change: (value: A) => A): A;
  /** Replaces the value by the second of what is made of it, and gives the first. */
  modify<B>(change: (value: A) => readonly [B, A]): B;
}

/**
 * The same for numbers.
 *
 * @since 0.1.0
 * @category models
 */
export interface RawNumeric<A> extends Raw<A> {
  /** Adds, and gives the value before. */
  add(value: A): A;
  /** Subtracts, and gives the value before. */
  sub(value: A): A;
}

/**
 * The same for integers.
 *
 * @since 0.1.0
 * @category models
 */
export interface RawInteger<A> extends RawNumeric<A> {
  /** Keeps the bits of the mask, and gives the value before. */
  and(mask: A): A;
  /** Sets the bits of the mask, and gives the value before. */
  or(mask: A): A;
  /** Turns the bits of the mask over, and gives the value before. */
  xor(mask: A): A;
}

/**
 * A value in shared memory. It lives as long as the scope that made it, and can be sent to any process: what was sent is the same
 * value, not a copy.
 *
 * - Each operation is one step, which others see entirely or not at all. None waits for anybody.
 * - A value that the type does not have is refused with an {@link OutOfRange}, and nothing is changed.
 * - When its scope closes, or its process ends, its use fails with the {@link MemoryError} `Gone`; a process that has
 *   used it before its process was killed may go on.
 *
 * @since 0.1.0
 * @category models
 */
export interface Value<A> {
  /** Marks it as a value. */
  readonly [TypeId]: TypeId;
  /** How it is kept. */
  readonly type: Type;
  /** The same operations without Effects. */
  readonly raw: Raw<A>;
  /** The lock that {@link Value.withLock} takes. Python's `get_lock()`. */
  readonly lock: Lock | RLock;
  /**
   * Runs an effect while nobody else does this with the value, or another that has the same lock: for steps that belong together.
   * The other operations do not wait for it. The fiber that does it may do it again within. *Interruption:* gives the lock back.
   */
  readonly withLock: RLock["withLock"];
  /** Gives the value. */
  readonly get: Effect.Effect<A, MemoryError>;
  /** Replaces the value. */
  readonly set: (value: A) => Effect.Effect<void, Failure>;
  /** Replaces the value, and gives the one before. */
  readonly exchange: (value: A) => Effect.Effect<A, Failure>;
  /**
   * Replaces the value if it is `expected`; gives the one before: it has done so if that is `expected`. Floating-point numbers are
   * compared as by `Object.is`.
   */
  readonly compareExchange: (expected: A, value: A) => Effect.Effect<A, Failure>;
  /** Replaces the value by what is made of it, and gives that. The function is called again if somebody else was faster. */
  readonly update: (change: (value: A) => A) => Effect.Effect<A, Failure>;
  /** Replaces the value by the second of what is made of it, and gives the first. The function is called as by `update`. */
  readonly modify: <B>(change: (value: A) => readonly [B, A]) => Effect.Effect<B, Failure>;
}

/**
 * A number in shared memory.
 *
 * @since 0.1.0
 * @category models
 */
export interface Numeric<A> extends Value<A> {
  /** The same operations without Effects. */
  readonly raw: RawNumeric<A>;
  /** Adds, and gives the value before. */
  readonly add: (value: A) => Effect.Effect<A, Failure>;
  /** Subtracts, and gives the value before. */
  readonly sub: (value: A) => Effect.Effect<A, Failure>;
}

/**
 * An integer in shared memory: a number, or a bigint if it has 64 bits.
 *
 * @since 0.1.0
 * @category models
 */
export interface Integer<A> extends Numeric<A> {
  /** The same operations without Effects. */
  readonly raw: RawInteger<A>;
  /** Keeps the bits of the mask, and gives the value before. */
  readonly and: (mask: A) => Effect.Effect<A, Failure>;
  /** Sets the bits of the mask, and gives the value before. */
  readonly or: (mask: A) => Effect.Effect<A, Failure>;
  /** Turns the bits of the mask over, and gives the value before. */
  readonly xor: (mask: A) => Effect.Effect<A, Failure>;
}

/**
 * What can be done to a value of a type.
 *
 * @since 0.1.0
 * @category models
 */
export type Of<T extends Type> = T extends "bool" ? Value<boolean>
  : T extends "f32" | "f64" ? Numeric<number>
  : Integer<Values[T]>;

/**
 * Options of {@link make}.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The lock of {@link Value.withLock}: several values may have the same. @default one of its own, an `RLock` */
  readonly lock?: Lock | RLock | undefined;
}

/**
 * Makes a value of a type: `"i8"` to `"i64"` and `"u8"` to `"u64"` for integers, `"f32"` and `"f64"` for floating-point numbers,
 * `"bool"`. It is 0, or `false`, if nothing else is said.
 *
 * Fails with an {@link OutOfRange} if the type does not have that value, with a {@link MemoryError} if there is no memory.
 *
 * *Release:* its use fails from now on, in all processes.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect } from "effect";
 *
 * const count = Mp.Task.make(import.meta, "count", (counter: Mp.Value.Integer<number>) => {
 *   for (let i = 0; i < 1000; i++) counter.raw.add(1);
 * });
 *
 * const program = Effect.gen(function* () {
 *   const counter = yield* Mp.Value.make("i32");
 *   yield* Effect.all([Mp.Process.run(count, counter), Mp.Process.run(count, counter)], { concurrency: 2 });
 *   console.log(yield* counter.get); // 2000
 * }).pipe(Effect.scoped, Effect.provide(Mp.SubprocessBackend.layer()));
 *
 * if (import.meta.main) Mp.runMain(program);
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <T extends Type>(
  type: T,
  initial?: Values[T],
  options: Options = {},
): Effect.Effect<Of<T>, Failure, Scope.Scope> => implementation(({ value }) => value(type, initial, options));

/**
 * Marks structs.
 *
 * @since 0.1.0
 * @category symbols
 */
export const StructTypeId = "~multiprocessing/Struct" as const;

/**
 * Marks bytes.
 *
 * @since 0.1.0
 * @category symbols
 */
export const BytesTypeId = "~multiprocessing/Bytes" as const;

/**
 * The types of the fields of a struct, by name.
 *
 * @since 0.1.0
 * @category models
 */
export type Fields = Readonly<Record<string, Type>>;

/**
 * The values of all fields of a struct.
 *
 * @since 0.1.0
 * @category models
 */
export type RecordOf<F extends Fields> = { readonly [K in keyof F]: Values[F[K]] };

/**
 * Several values in shared memory that belong together. Each field is a {@link Value} for itself, to be added to, and to be sent alone.
 * The operations on all of them are one step for each other: a process that is killed while it replaces them has replaced all
 * of them, or none. A use of a single field does not wait for them: it may see that field replaced before another one, and a
 * change that it makes meanwhile may be replaced.
 *
 * Python's `Value` of a `ctypes.Structure`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Struct<F extends Fields> {
  /** Marks it as a struct. */
  readonly [StructTypeId]: typeof StructTypeId;
  /** Each field for itself. */
  readonly fields: { readonly [K in keyof F]: Of<F[K]> };
  /** The lock that {@link Struct.withLock} takes, and those of its fields. */
  readonly lock: Lock | RLock;
  /** As {@link Value.withLock}. */
  readonly withLock: RLock["withLock"];
  /** Gives all fields. *Interruption:* stops waiting for its turn. */
  readonly get: Effect.Effect<RecordOf<F>, MemoryError>;
  /** Replaces all fields. *Interruption:* while it waits for its turn, nothing is changed. */
  readonly set: (values: RecordOf<F>) => Effect.Effect<void, Failure>;
  /** Replaces all fields by what is made of them, and gives that. *Interruption:* as with `set`. */
  readonly update: (change: (values: RecordOf<F>) => RecordOf<F>) => Effect.Effect<RecordOf<F>, Failure>;
  /** Replaces all fields by the second of what is made of them, and gives the first. *Interruption:* as with `set`. */
  readonly modify: <B>(change: (values: RecordOf<F>) => readonly [B, RecordOf<F>]) => Effect.Effect<B, Failure>;
}

/**
 * Bytes in shared memory, up to a number that is fixed. They are replaced as a whole, in one step: a reader sees them as they were
 * before or after, and does not wait. A process that is killed in mid-write leaves the old bytes intact.
 *
 * @since 0.1.0
 * @category models
 */
export interface Bytes {
  /** Marks it as bytes. */
  readonly [BytesTypeId]: typeof BytesTypeId;
  /** How many there may be. */
  readonly capacity: number;
  /** The lock that {@link Bytes.withLock} takes. */
  readonly lock: Lock | RLock;
  /** As {@link Value.withLock}. */
  readonly withLock: RLock["withLock"];
  /** A copy of the bytes. */
  readonly get: Effect.Effect<Uint8Array<ArrayBuffer>, MemoryError>;
  /** Replaces them. *Interruption:* while it waits for its turn, nothing is changed. */
  readonly set: (bytes: Uint8Array) => Effect.Effect<void, Failure>;
  /** Replaces them by what is made of a copy, and gives that. *Interruption:* as with `set`. */
  readonly update: (
    change: (bytes: Uint8Array<ArrayBuffer>) => Uint8Array,
  ) => Effect.Effect<Uint8Array<ArrayBuffer>, Failure>;
  /** Replaces them by the second of what is made of a copy, and gives the first. *Interruption:* as with `set`. */
  readonly modify: <B>(
    change: (bytes: Uint8Array<ArrayBuffer>) => readonly [B, Uint8Array],
  ) => Effect.Effect<B, Failure>;
}

/**
 * Makes a struct of fields of these types; those without a first value are 0, or `false`.
 *
 * Fails, and is released, as by {@link make}; a field that there is not is an {@link OutOfRange} `Index`.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect } from "effect";
 *
 * export const program = Effect.gen(function* () {
 *   const point = yield* Mp.Value.struct({ x: "f64", y: "f64", moves: "u32" }, { x: 1.5 });
 *   yield* point.fields.moves.add(1);
 *   yield* point.update(({ moves, x, y }) => ({ x: y, y: x, moves: moves + 1 }));
 *   return yield* point.get; // { x: 0, y: 1.5, moves: 2 }
 * }).pipe(Effect.scoped);
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const struct = <const F extends Fields>(
  fields: F,
  initial?: Partial<RecordOf<F>>,
  options: Options = {},
): Effect.Effect<Struct<F>, Failure, Scope.Scope> =>
  implementation((constructors) => constructors.struct(fields, initial, options));

/**
 * Makes room for bytes, for so many at most; there are none, if nothing else is said.
 *
 * Fails, and is released, as by {@link make}; more bytes than there is room for are an {@link OutOfRange} `TooLong`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const bytes = (
  capacity: number,
  initial?: Uint8Array,
  options: Options = {},
): Effect.Effect<Bytes, Failure, Scope.Scope> =>
  implementation((constructors) => constructors.bytes(capacity, initial, options));

/**
 * Whether a value is one in shared memory.
 *
 * @since 0.1.0
 * @category guards
 */
export const isValue = (value: unknown): value is Value<unknown> =>
  typeof value === "object" && value !== null && TypeId in value;
