/**
 * Arrays of numbers in shared memory that many processes read and change.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect } from "effect";
 *
 * const countTo = Mp.Task.make(
 *   import.meta,
 *   "countTo",
 *   (counts: Mp.Array.Of<"u32">) => Effect.forEach([0, 1, 2, 3], (i) => counts.add(i, i + 1)), // no addition is lost
 * );
 *
 * const program = Effect.gen(function* () {
 *   const counts = yield* Mp.Array.make("u32", 4);
 *   yield* Effect.all([Mp.Process.run(countTo, counts), Mp.Process.run(countTo, counts)], { concurrency: 2 });
 *   console.log(yield* counts.slice(), yield* counts.get(-1));
 *
 *   const matrix = yield* Mp.Array.make("f64", [1, 2, 3]);
 *   matrix.raw.view[0] = 0.5; // a Float64Array
 *   console.log(yield* matrix.slice(0, 2));
 * }).pipe(Effect.scoped, Effect.provide(Mp.SubprocessBackend.layer()));
 *
 * if (import.meta.main) Mp.runMain(program);
 * ```
 *
 * ```text
 * [ 2, 4, 6, 8 ] 8
 * [ 0.5, 2 ]
 * ```
 *
 * - Each operation on an element is atomic, without a lock. No addition is lost, even if a process is killed at the same
 *   time.
 * - A number out of range, or an element that does not exist, fails with `OutOfRange` and changes nothing.
 * - `raw` has the same operations without Effects. Only `raw.view`, a typed array, checks nothing, and is as fast as any
 *   typed array.
 * - `withLock` makes several steps one, as that of a `Value` does.
 *
 * ## Memory and messages
 *
 * Memory is shared as the guide of `Lock` says: by subprocesses on Linux on x86-64 or arm64, if each has `--allow-ffi`, and by
 * the workers of one process on every system. Any other process uses an array by messages to the process that made it, its host:
 *
 * - All operations that are Effects work, and are atomic: the host runs them on the same memory. `update` and `modify` run
 *   their function in the caller, and exchange the value if it is unchanged, so they are put off while other processes
 *   change it without a pause; `add` and the others are not.
 * - An operation takes a message to the host and back. If the host ends, it fails with the `MemoryError` `Gone`.
 *   Interruption comes before a change or after it, and an interrupted change waits for the host's answer, for five seconds
 *   at most.
 * - `raw` throws the `MemoryError` `Unsupported`, which names the missing flag.
 * - `slice` and `setAll` of more than 1 MiB take several messages. An interrupted `setAll` may have replaced a part.
 *
 * `array.carrier` says which way this process uses. The option `carrier` of `make` insists, as that of a lock does: with
 * `"messages"`, all other processes use messages; with `"memory"`, a process that cannot map the memory fails with
 * `Unsupported`.
 *
 * ## From Python
 *
 * | Python | here |
 * | --- | --- |
 * | `Array("d", 100)`, `Array("d", [1, 2])` | `Array.make("f64", 100)`, `Array.make("f64", [1, 2])` |
 * | `a[i]`, `a[1:3]`, `a[1:3] = [4, 5]` | `array.get(i)`, `array.slice(1, 3)`, `array.setAll([4, 5], 1)` |
 * | `RawArray`, `get_obj()` | `array.raw`, and `array.raw.view`, a typed array |
 * | `get_lock()`, `lock=lock` | `array.lock`, `Array.make("f64", 100, { lock })` |
 * | type codes | see `Value` |
 * | `sharedctypes.copy` | make another from `array.slice()` |
 *
 * @module
 */
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
 * Marks shared arrays.
 *
 * @since 0.1.0
 * @category symbols
 */
export const TypeId = "~multiprocessing/Array" as const;

/**
 * Type of {@link TypeId}.
 *
 * @since 0.1.0
 * @category symbols
 */
export type TypeId = typeof TypeId;

/**
 * The typed array over an array of a type. The elements of `"bool"` are the bytes 0 and 1.
 *
 * @since 0.1.0
 * @category models
 */
export type ViewOf<T extends Type> = {
  readonly i8: Int8Array;
  readonly u8: Uint8Array;
  readonly i16: Int16Array;
  readonly u16: Uint16Array;
  readonly i32: Int32Array;
  readonly u32: Uint32Array;
  readonly i64: BigInt64Array;
  readonly u64: BigUint64Array;
  readonly f32: Float32Array;
  readonly f64: Float64Array;
  readonly bool: Uint8Array;
}[T];

/**
 * The operations without Effects, for tight loops. They throw a {@link MemoryFailure} in place of failing: `OutOfRange`, or the
 * `MemoryError`: `Gone` if the object has ended, `Unsupported` if this process uses the object by messages.
 *
 * @since 0.1.0
 * @category models
 */
export interface Raw<A, out View> extends Iterable<A> {
  /** Number of elements. */
  readonly length: number;
  /**
   * The elements as a typed array, which checks nothing: numbers out of range are truncated, and changes of other processes may be
   * overwritten. In the process that made the array, the view has length 0 after the scope has closed; other processes keep the memory.
   * Throws the {@link MemoryError} `Gone` if the array has ended.
   */
  readonly view: View;
  /** Returns an element. */
  get(at: number): A;
  /** Replaces an element. */
  set(at: number, value: A): void;
  /** Replaces an element, and returns the old one. */
  exchange(at: number, value: A): A;
  /** Replaces an element if it is `expected`. Returns the old element, which is `expected` if it was replaced. */
  compareExchange(at: number, expected: A, value: A): A;
  /** Replaces an element by the result of a function of it, and returns that. */
  update(at: number, change: (value: A) => A): A;
  /** Replaces an element by the second element of the result of a function of it, and returns the first. */
  modify<B>(at: number, change: (value: A) => readonly [B, A]): B;
  /** A copy of the elements from `start` to before `end`, like `slice` of an array. */
  slice(start?: number, end?: number): globalThis.Array<A>;
  /** Replaces elements from `offset` on. */
  setAll(values: Iterable<A>, offset?: number): void;
  /** Replaces the elements from `start` to before `end` by a value, like `fill` of an array. */
  fill(value: A, start?: number, end?: number): void;
}

/**
 * The operations without Effects, for numbers.
 *
 * @since 0.1.0
 * @category models
 */
export interface RawNumeric<A, out View> extends Raw<A, View> {
  /** Adds to an element, and returns the old one. */
  add(at: number, value: A): A;
  /** Subtracts from an element, and returns the old one. */
  sub(at: number, value: A): A;
}

/**
 * The operations without Effects, for integers.
 *
 * @since 0.1.0
 * @category models
 */
export interface RawInteger<A, out View> extends RawNumeric<A, View> {
  /** Bitwise AND with a mask. Returns the old element. */
  and(at: number, mask: A): A;
  /** Bitwise OR with a mask. Returns the old element. */
  or(at: number, mask: A): A;
  /** Bitwise XOR with a mask. Returns the old element. */
  xor(at: number, mask: A): A;
}

/**
 * An array in shared memory, with a fixed length. It ends with the scope that made it, and can be sent to any process; each copy refers to
 * the same array.
 *
 * - Each operation on an element is atomic. In memory, no operation waits. An operation on many elements is atomic for each of them only.
 * - Elements are numbered from 0, or from -1 backwards. Any other index fails with the {@link OutOfRange} `Index`.
 * - A value that the type does not include fails with the {@link OutOfRange} `Value`, and no element is changed.
 * - When its scope closes, or its process ends, a use fails with the {@link MemoryError} `Gone`. If its process was killed, a process that
 *   has used the array before may go on using it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Array<A, out View = unknown> extends Pipeable {
  /** Marks a shared array. */
  readonly [TypeId]: TypeId;
  /** The type of the elements. */
  readonly type: Type;
  /** Number of elements. */
  readonly length: number;
  /** The operations without Effects, and the elements as a typed array. */
  readonly raw: Raw<A, View>;
  /** How this process uses the array. For its maker, how other processes use it. */
  readonly carrier: Carrier;
  /** The lock that {@link Array.withLock} takes. Python's `get_lock()`. */
  readonly lock: Lock | RLock;
  /**
   * Runs an effect while holding the lock, for steps that belong together. Single operations do not wait for it. With an `RLock`, the
   * effect may use `withLock` again. *Interruption:* interrupts the effect; the lock is released however the effect ends.
   */
  readonly withLock: RLock["withLock"];
  /** Returns an element. */
  readonly get: (at: number) => Effect.Effect<A, MemoryFailure>;
  /** Replaces an element. */
  readonly set: (at: number, value: A) => Effect.Effect<void, MemoryFailure>;
  /** Replaces an element, and returns the old one. */
  readonly exchange: (at: number, value: A) => Effect.Effect<A, MemoryFailure>;
  /**
   * Replaces an element if it is `expected`. Returns the old element, which is `expected` if it was replaced. Floating-point numbers are
   * compared by `Object.is`.
   */
  readonly compareExchange: (at: number, expected: A, value: A) => Effect.Effect<A, MemoryFailure>;
  /** Replaces an element by the result of a function of it, and returns that. Calls the function again if another process was faster. */
  readonly update: (at: number, change: (value: A) => A) => Effect.Effect<A, MemoryFailure>;
  /** Replaces an element by the second element of the result of a function of it, and returns the first. Calls the function as `update` does. */
  readonly modify: <B>(at: number, change: (value: A) => readonly [B, A]) => Effect.Effect<B, MemoryFailure>;
  /** A copy of the elements from `start` to before `end`, like `slice` of an array; of all elements by default. */
  readonly slice: (start?: number, end?: number) => Effect.Effect<globalThis.Array<A>, MemoryError>;
  /** Replaces elements, beginning with `offset`. All of them must exist. */
  readonly setAll: (values: Iterable<A>, offset?: number) => Effect.Effect<void, MemoryFailure>;
  /** Replaces the elements from `start` to before `end` by a value, like `fill` of an array. */
  readonly fill: (value: A, start?: number, end?: number) => Effect.Effect<void, MemoryFailure>;
}

/**
 * An array of numbers in shared memory.
 *
 * @since 0.1.0
 * @category models
 */
export interface Numeric<A, out View = unknown> extends Array<A, View> {
  /** The operations without Effects. */
  readonly raw: RawNumeric<A, View>;
  /** Adds to an element, and returns the old one. */
  readonly add: (at: number, value: A) => Effect.Effect<A, MemoryFailure>;
  /** Subtracts from an element, and returns the old one. */
  readonly sub: (at: number, value: A) => Effect.Effect<A, MemoryFailure>;
}

/**
 * An array of integers in shared memory: of numbers, or of bigints if they have 64 bits.
 *
 * @since 0.1.0
 * @category models
 */
export interface Integer<A, out View = unknown> extends Numeric<A, View> {
  /** The operations without Effects. */
  readonly raw: RawInteger<A, View>;
  /** Bitwise AND with a mask. Returns the old element. */
  readonly and: (at: number, mask: A) => Effect.Effect<A, MemoryFailure>;
  /** Bitwise OR with a mask. Returns the old element. */
  readonly or: (at: number, mask: A) => Effect.Effect<A, MemoryFailure>;
  /** Bitwise XOR with a mask. Returns the old element. */
  readonly xor: (at: number, mask: A) => Effect.Effect<A, MemoryFailure>;
}

/**
 * The operations on an array of a type.
 *
 * @since 0.1.0
 * @category models
 */
export type Of<T extends Type> = T extends "bool" ? Array<boolean, Uint8Array>
  : T extends "f32" | "f64" ? Numeric<number, ViewOf<T>>
  : Integer<Values[T], ViewOf<T>>;

/**
 * Options of {@link make}.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends CarrierOptions {
  /** The lock of {@link Array.withLock}; several objects may share one. @default an `RLock` of its own */
  readonly lock?: Lock | RLock | undefined;
}

/**
 * Makes an array of a type: `"i8"` to `"i64"` and `"u8"` to `"u64"` for integers, `"f32"` and `"f64"` for floating-point numbers, and
 * `"bool"`. `initial` is the number of elements, all 0 or `false`, or the elements themselves.
 *
 * Fails with an {@link OutOfRange} if the type does not include one of the values, and with a {@link MemoryError}: `Full` if there is not
 * enough memory, `InvalidArgument` if the length is not valid.
 *
 * *Release:* later uses fail with the {@link MemoryError} `Gone`, in all processes. Views in this process then have length 0.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect } from "effect";
 *
 * const square = Mp.Task.make(import.meta, "square", (array: Mp.Array.Of<"f64">, from: number, to: number) => {
 *   const { view } = array.raw;
 *   for (let i = from; i < to; i++) view[i] *= view[i];
 * });
 *
 * const program = Effect.gen(function* () {
 *   const array = yield* Mp.Array.make("f64", [1, 2, 3, 4]);
 *   yield* Effect.all([Mp.Process.run(square, array, 0, 2), Mp.Process.run(square, array, 2, 4)], { concurrency: 2 });
 *   console.log(yield* array.slice()); // [1, 4, 9, 16]
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
  initial: number | Iterable<Values[T]>,
  options: Options = {},
): Effect.Effect<Of<T>, MemoryFailure, Scope.Scope> => implementation(({ array }) => array(type, initial, options));

/**
 * Whether a value is an array in shared memory.
 *
 * @since 0.1.0
 * @category guards
 */
export const isArray = (value: unknown): value is Array<unknown> =>
  typeof value === "object" && value !== null && TypeId in value;
