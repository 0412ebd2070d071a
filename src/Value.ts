/**
 * Values in shared memory that many processes read and change: numbers, booleans, structs of them, and bytes.
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
 *     Effect.flatMap(amounts.slice(), Effect.forEach((amount) =>
 *       account.update(({ balance, transfers }) => ({ balance: balance + amount, transfers: transfers + 1 })))),
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
 *   yield* account.fields.transfers.set(0); // each field is a value of its own
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
 * - `get`, `set`, `exchange`, `compareExchange`, `update`, `modify`, `add`, `sub`, `and`, `or` and `xor` are atomic.
 *   In memory they do not wait. No addition is lost, even if a process is killed at the same time.
 * - A number out of range fails with `OutOfRange` and changes nothing: it is neither truncated nor wrapped around.
 * - `raw` has the same operations without Effects, for tight loops. It throws the errors with which the others fail.
 * - `withLock` makes several steps one. It excludes other uses of `withLock`, not single operations. Its lock is an `RLock`,
 *   or the lock that you pass: several objects may share one. If a process is killed while it holds the lock, the next
 *   holder learns of it.
 *
 * ## Memory and messages
 *
 * Memory is shared as the guide of `Lock` says: by subprocesses on Linux on x86-64 or arm64, if each has `--allow-ffi`, and by
 * the workers of one process on every system. Any other process uses a value by messages to the process that made it, its host:
 *
 * - All operations that are Effects work, and are atomic: the host runs them on the same memory. `update` and `modify` of a
 *   number run their function in the caller, and exchange the value if it is unchanged, so they are put off while other processes
 *   change it without a pause; `add` and the others are not.
 * - An operation takes a message to the host and back. If the host ends, it fails with the `MemoryError` `Gone`.
 *   Interruption comes before a change or after it, and a change that was sent waits for the host's answer, for five seconds
 *   at most.
 * - `raw` throws the `MemoryError` `Unsupported`, which names the missing flag.
 * - `update` and `modify` of a struct or of bytes take a turn at the host, run their function in the caller, and then send the
 *   new content. Other changes wait for the turn, which ends as well if the caller is killed.
 *
 * `value.carrier` says which way this process uses. The option `carrier` of `make` insists, as that of a lock does: with
 * `"messages"`, all other processes use messages; with `"memory"`, a process that cannot map the memory fails with
 * `Unsupported`.
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
// More than 400 lines, because most of them are documentation; the implementation stands in `src/internal`.
import type * as Effect from "effect/Effect";
import type { Pipeable } from "effect/Pipeable";
import type * as Scope from "effect/Scope";
import type { Carrier, CarrierOptions, Lock } from "./Lock.ts";
import type { RLock } from "./RLock.ts";
import { lazily } from "./internal/os/lazy.ts";
import {
  MemoryError,
  type MemoryErrorReason,
  type MemoryFailure,
  OutOfRange,
  type OutOfRangeReason,
} from "./internal/values/errors.ts";
import type { Type, Values } from "./internal/values/types.ts";

export { MemoryError, OutOfRange };
export type { MemoryErrorReason, MemoryFailure, OutOfRangeReason, Type, Values };

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
 * The operations without Effects, for tight loops. They throw a {@link MemoryFailure} in place of failing: `OutOfRange`, or the
 * `MemoryError`: `Gone` if the object has ended, `Unsupported` if this process uses the object by messages.
 *
 * @since 0.1.0
 * @category models
 */
export interface Raw<A> {
  /** The value, to be read and assigned. */
  value: A;
  /** Returns the value. */
  get(): A;
  /** Replaces the value. */
  set(value: A): void;
  /** Replaces the value, and returns the old one. */
  exchange(value: A): A;
  /** Replaces the value if it is `expected`. Returns the old value, which is `expected` if it was replaced. */
  compareExchange(expected: A, value: A): A;
  /** Replaces the value by the result of a function of it, and returns that. */
  update(change: (value: A) => A): A;
  /** Replaces the value by the second element of the result of a function of it, and returns the first. */
  modify<B>(change: (value: A) => readonly [B, A]): B;
}

/**
 * The operations without Effects, for numbers.
 *
 * @since 0.1.0
 * @category models
 */
export interface RawNumeric<A> extends Raw<A> {
  /** Adds, and returns the old value. */
  add(value: A): A;
  /** Subtracts, and returns the old value. */
  sub(value: A): A;
}

/**
 * The operations without Effects, for integers.
 *
 * @since 0.1.0
 * @category models
 */
export interface RawInteger<A> extends RawNumeric<A> {
  /** Bitwise AND with a mask. Returns the old value. */
  and(mask: A): A;
  /** Bitwise OR with a mask. Returns the old value. */
  or(mask: A): A;
  /** Bitwise XOR with a mask. Returns the old value. */
  xor(mask: A): A;
}

/**
 * A value in shared memory. It ends with the scope that made it, and can be sent to any process; each copy refers to the same value.
 *
 * - Each operation is atomic: other processes see all of it or nothing. In memory, no operation waits.
 * - A value that the type does not include fails with an {@link OutOfRange}, and changes nothing.
 * - When its scope closes, or its process ends, a use fails with the {@link MemoryError} `Gone`. If its process was killed, a process that
 *   has used the value before may go on using it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Value<A> extends Pipeable {
  /** Marks a value. */
  readonly [TypeId]: TypeId;
  /** The type of the value. */
  readonly type: Type;
  /** The operations without Effects. */
  readonly raw: Raw<A>;
  /** How this process uses the value. For its maker, how other processes use it. */
  readonly carrier: Carrier;
  /** The lock that {@link Value.withLock} takes. Python's `get_lock()`. */
  readonly lock: Lock | RLock;
  /**
   * Runs an effect while holding the lock, for steps that belong together. Single operations do not wait for it. With an `RLock`, the
   * effect may use `withLock` again. *Interruption:* interrupts the effect; the lock is released however the effect ends.
   */
  readonly withLock: RLock["withLock"];
  /** Returns the value. */
  readonly get: Effect.Effect<A, MemoryError>;
  /** Replaces the value. */
  readonly set: (value: A) => Effect.Effect<void, MemoryFailure>;
  /** Replaces the value, and returns the old one. */
  readonly exchange: (value: A) => Effect.Effect<A, MemoryFailure>;
  /**
   * Replaces the value if it is `expected`. Returns the old value, which is `expected` if it was replaced. Floating-point numbers are
   * compared by `Object.is`.
   */
  readonly compareExchange: (expected: A, value: A) => Effect.Effect<A, MemoryFailure>;
  /** Replaces the value by the result of a function of it, and returns that. Calls the function again if another process was faster. */
  readonly update: (change: (value: A) => A) => Effect.Effect<A, MemoryFailure>;
  /** Replaces the value by the second element of the result of a function of it, and returns the first. Calls the function as `update` does. */
  readonly modify: <B>(change: (value: A) => readonly [B, A]) => Effect.Effect<B, MemoryFailure>;
}

/**
 * A number in shared memory.
 *
 * @since 0.1.0
 * @category models
 */
export interface Numeric<A> extends Value<A> {
  /** The operations without Effects. */
  readonly raw: RawNumeric<A>;
  /** Adds, and returns the old value. */
  readonly add: (value: A) => Effect.Effect<A, MemoryFailure>;
  /** Subtracts, and returns the old value. */
  readonly sub: (value: A) => Effect.Effect<A, MemoryFailure>;
}

/**
 * An integer in shared memory: a number, or a bigint if it has 64 bits.
 *
 * @since 0.1.0
 * @category models
 */
export interface Integer<A> extends Numeric<A> {
  /** The operations without Effects. */
  readonly raw: RawInteger<A>;
  /** Bitwise AND with a mask. Returns the old value. */
  readonly and: (mask: A) => Effect.Effect<A, MemoryFailure>;
  /** Bitwise OR with a mask. Returns the old value. */
  readonly or: (mask: A) => Effect.Effect<A, MemoryFailure>;
  /** Bitwise XOR with a mask. Returns the old value. */
  readonly xor: (mask: A) => Effect.Effect<A, MemoryFailure>;
}

/**
 * The operations on a value of a type.
 *
 * @since 0.1.0
 * @category models
 */
export type Of<T extends Type> = T extends "bool" ? Value<boolean>
  : T extends "f32" | "f64" ? Numeric<number>
  : Integer<Values[T]>;

/**
 * Options of all constructors.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends CarrierOptions {
  /** The lock of {@link Value.withLock}; several values may share one. @default an `RLock` of its own */
  readonly lock?: Lock | RLock | undefined;
}

/**
 * Makes a value of a type: `"i8"` to `"i64"` and `"u8"` to `"u64"` for integers, `"f32"` and `"f64"` for floating-point numbers, and
 * `"bool"`. `initial` defaults to 0, or `false`.
 *
 * Fails with an {@link OutOfRange} if the type does not include `initial`, and with a {@link MemoryError} if there is not enough memory.
 *
 * *Release:* later uses fail with the {@link MemoryError} `Gone`, in all processes.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect } from "effect";
 *
 * const count = Mp.Task.make(
 *   import.meta,
 *   "count",
 *   (counter: Mp.Value.Integer<number>) => Effect.replicateEffect(counter.add(1), 1000),
 * );
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
): Effect.Effect<Of<T>, MemoryFailure, Scope.Scope> => implementation(({ value }) => value(type, initial, options));

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
 * Several values in shared memory that belong together. Each field is a {@link Value} of its own, which can be changed and sent alone.
 * Operations on all fields are atomic with respect to each other: a process that is killed in mid-write has replaced all fields, or none.
 * An operation on a single field does not wait for them: it may see that field replaced before another one, and its change may be
 * overwritten.
 *
 * Python's `Value` of a `ctypes.Structure`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Struct<F extends Fields> extends Pipeable {
  /** Marks a struct. */
  readonly [StructTypeId]: typeof StructTypeId;
  /** The fields, each as a value of its own. */
  readonly fields: { readonly [K in keyof F]: Of<F[K]> };
  /** Like {@link Value.carrier}. */
  readonly carrier: Carrier;
  /** The lock that {@link Struct.withLock} takes, and `withLock` of the fields. */
  readonly lock: Lock | RLock;
  /** Like {@link Value.withLock}. */
  readonly withLock: RLock["withLock"];
  /** Returns all fields. *Interruption:* stops waiting. */
  readonly get: Effect.Effect<RecordOf<F>, MemoryError>;
  /** Replaces all fields. *Interruption:* of the wait: nothing is changed. */
  readonly set: (values: RecordOf<F>) => Effect.Effect<void, MemoryFailure>;
  /** Replaces all fields by the result of a function of them, and returns that. *Interruption:* as for `set`. */
  readonly update: (change: (values: RecordOf<F>) => RecordOf<F>) => Effect.Effect<RecordOf<F>, MemoryFailure>;
  /** Replaces all fields by the second element of the result of a function of them, and returns the first. *Interruption:* as for `set`. */
  readonly modify: <B>(change: (values: RecordOf<F>) => readonly [B, RecordOf<F>]) => Effect.Effect<B, MemoryFailure>;
}

/**
 * Bytes in shared memory, up to a fixed capacity. They are replaced as a whole, atomically: a reader sees the old bytes or the new ones,
 * and does not wait. A process that is killed in mid-write leaves the old bytes intact.
 *
 * @since 0.1.0
 * @category models
 */
export interface Bytes extends Pipeable {
  /** Marks bytes. */
  readonly [BytesTypeId]: typeof BytesTypeId;
  /** The largest number of bytes. */
  readonly capacity: number;
  /** Like {@link Value.carrier}. */
  readonly carrier: Carrier;
  /** The lock that {@link Bytes.withLock} takes. */
  readonly lock: Lock | RLock;
  /** Like {@link Value.withLock}. */
  readonly withLock: RLock["withLock"];
  /** Returns a copy of the bytes. */
  readonly get: Effect.Effect<Uint8Array<ArrayBuffer>, MemoryError>;
  /** Replaces the bytes. *Interruption:* of the wait: nothing is changed. */
  readonly set: (bytes: Uint8Array) => Effect.Effect<void, MemoryFailure>;
  /** Replaces the bytes by the result of a function of a copy, and returns that. *Interruption:* as for `set`. */
  readonly update: (
    change: (bytes: Uint8Array<ArrayBuffer>) => Uint8Array,
  ) => Effect.Effect<Uint8Array<ArrayBuffer>, MemoryFailure>;
  /** Replaces the bytes by the second element of the result of a function of a copy, and returns the first. *Interruption:* as for `set`. */
  readonly modify: <B>(
    change: (bytes: Uint8Array<ArrayBuffer>) => readonly [B, Uint8Array],
  ) => Effect.Effect<B, MemoryFailure>;
}

/**
 * Makes a struct with fields of these types. Fields without an initial value are 0, or `false`.
 *
 * Fails and is released as {@link make} is. A value for an unknown field fails with the {@link OutOfRange} `Index`.
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
): Effect.Effect<Struct<F>, MemoryFailure, Scope.Scope> =>
  implementation((constructors) => constructors.struct(fields, initial, options));

/**
 * Makes bytes with a capacity of 0 to 65,536. `initial` defaults to no bytes.
 *
 * Fails and is released as {@link make} is. More bytes than the capacity fail with the {@link OutOfRange} `TooLong`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const bytes = (
  capacity: number,
  initial?: Uint8Array,
  options: Options = {},
): Effect.Effect<Bytes, MemoryFailure, Scope.Scope> =>
  implementation((constructors) => constructors.bytes(capacity, initial, options));

/**
 * Whether a value is a `Value` in shared memory.
 *
 * @since 0.1.0
 * @category guards
 */
export const isValue = (value: unknown): value is Value<unknown> =>
  typeof value === "object" && value !== null && TypeId in value;
