/**
 * Arrays of numbers in shared memory that many processes read and change at once.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect } from "effect";
 *
 * const countTo = Mp.Task.make(import.meta, "countTo", (counts: Mp.Array.Of<"u32">) => {
 *   for (let i = 0; i < counts.length; i++) counts.raw.add(i, i + 1); // no addition is lost
 * });
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
 * - Each operation on an element is one step for all other processes, without a lock. No addition is lost, also when a
 *   process is killed at the same time.
 * - A number that does not fit, or an element that does not exist, is an `OutOfRange`, and changes nothing.
 * - `raw` has the same operations without Effects. Only `raw.view`, a typed array, checks nothing, and is as fast as
 *   any.
 * - `withLock` makes one step of several, as that of a `Value` does.
 *
 * Between processes it needs Linux on x86-64 or arm64, and `--allow-ffi` in each of them. Between workers it also works
 * elsewhere and without.
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
 * Why an element could not be read or changed. It is then as it was.
 *
 * @since 0.1.0
 * @category errors
 */
export type Failure = MemoryError | OutOfRange;

/**
 * The typed array that shows an array of a type; bytes 0 and 1 for `"bool"`.
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
 * The same operations without Effects, for tight loops: they answer at once, and throw what the others fail with.
 *
 * @since 0.1.0
 * @category models
 */
export interface Raw<A, out View> extends Iterable<A> {
  /** How many elements there are. */
  readonly length: number;
  /**
   * The elements as a typed array: as fast as any, and with all that typed arrays have. It checks nothing: numbers that do not fit are
   * cut off. What others do to an element meanwhile is seen, and may be overwritten. Of length 0 when the array is no more, where it was
   * made; other processes that have it keep that memory.
   */
  readonly view: View;
  /** Gives an element. */
  get(at: number): A;
  /** Replaces an element. */
  set(at: number, value: A): void;
  /** Replaces an element, and gives the one before. */
  exchange(at: number, value: A): A;
  /** Replaces an element if it is `expected`; gives the one before: it has done so if that is `expected`. */
  compareExchange(at: number, expected: A, value: A): A;
  /** Replaces an element by what is made of it, and gives that. */
  update(at: number, change: (value: A) => A): A;
  /** Replaces an element by the second of what is made of it, and gives the first. */
  modify<B>(at: number, change: (value: A) => readonly [B, A]): B;
  /** A copy of some elements, from `start` to before `end`, as of an array. */
  slice(start?: number, end?: number): globalThis.Array<A>;
  /** Replaces elements from `offset` on. */
  setAll(values: Iterable<A>, offset?: number): void;
  /** Replaces elements by a value, from `start` to before `end`, as of an array. */
  fill(value: A, start?: number, end?: number): void;
}

/**
 * The same for numbers.
 *
 * @since 0.1.0
 * @category models
 */
export interface RawNumeric<A, out View> extends Raw<A, View> {
  /** Adds to an element, and gives what it was before. */
  add(at: number, value: A): A;
  /** Subtracts from an element, and gives what it was before. */
  sub(at: number, value: A): A;
}

/**
 * The same for integers.
 *
 * @since 0.1.0
 * @category models
 */
export interface RawInteger<A, out View> extends RawNumeric<A, View> {
  /** Keeps the bits of the mask, and gives what the element was before. */
  and(at: number, mask: A): A;
  /** Sets the bits of the mask, and gives what the element was before. */
  or(at: number, mask: A): A;
  /** Turns the bits of the mask over, and gives what the element was before. */
  xor(at: number, mask: A): A;
}

/**
 * An array in shared memory. It lives as long as the scope that made it, and can be sent to any process: what was sent is the same
 * array, not a copy. Its length is fixed.
 *
 * - Each operation on an element is one step, which others see entirely or not at all. None waits for anybody. Operations on many
 *   elements are one step for each.
 * - Elements are numbered from 0, or from -1 backwards. There are no others: their use fails with the {@link OutOfRange} `Index`.
 * - A value that the type does not have is refused with the {@link OutOfRange} `Value`, and nothing is changed, of many elements none.
 * - When its scope closes, or its process ends, its use fails with the {@link MemoryError} `Gone`; a process that has
 *   used it before its process was killed may go on.
 *
 * @since 0.1.0
 * @category models
 */
export interface Array<A, out View = unknown> {
  /** Marks it as a shared array. */
  readonly [TypeId]: TypeId;
  /** How its elements are kept. */
  readonly type: Type;
  /** How many elements there are. */
  readonly length: number;
  /** The same operations without Effects, and the elements as a typed array. */
  readonly raw: Raw<A, View>;
  /** The lock that {@link Array.withLock} takes. Python's `get_lock()`. */
  readonly lock: Lock | RLock;
  /**
   * Runs an effect while nobody else does this with the array, or anything that has the same lock: for steps that belong together.
   * The other operations do not wait for it. The fiber that does it may do it again within. *Interruption:* gives the lock back.
   */
  readonly withLock: RLock["withLock"];
  /** Gives an element. */
  readonly get: (at: number) => Effect.Effect<A, Failure>;
  /** Replaces an element. */
  readonly set: (at: number, value: A) => Effect.Effect<void, Failure>;
  /** Replaces an element, and gives the one before. */
  readonly exchange: (at: number, value: A) => Effect.Effect<A, Failure>;
  /**
   * Replaces an element if it is `expected`; gives the one before: it has done so if that is `expected`. Floating-point numbers are
   * compared as by `Object.is`.
   */
  readonly compareExchange: (at: number, expected: A, value: A) => Effect.Effect<A, Failure>;
  /** Replaces an element by what is made of it, and gives that. The function is called again if somebody else was faster. */
  readonly update: (at: number, change: (value: A) => A) => Effect.Effect<A, Failure>;
  /** Replaces an element by the second of what is made of it, and gives the first. The function is called as by `update`. */
  readonly modify: <B>(at: number, change: (value: A) => readonly [B, A]) => Effect.Effect<B, Failure>;
  /** A copy of some elements, from `start` to before `end`, as `slice` of an array: all of them without either. */
  readonly slice: (start?: number, end?: number) => Effect.Effect<globalThis.Array<A>, MemoryError>;
  /** Replaces elements from `offset` on, which must all be there. */
  readonly setAll: (values: Iterable<A>, offset?: number) => Effect.Effect<void, Failure>;
  /** Replaces elements by a value, from `start` to before `end`, as `fill` of an array. */
  readonly fill: (value: A, start?: number, end?: number) => Effect.Effect<void, Failure>;
}

/**
 * An array of numbers in shared memory.
 *
 * @since 0.1.0
 * @category models
 */
export interface Numeric<A, out View = unknown> extends Array<A, View> {
  /** The same operations without Effects. */
  readonly raw: RawNumeric<A, View>;
  /** Adds to an element, and gives what it was before. */
  readonly add: (at: number, value: A) => Effect.Effect<A, Failure>;
  /** Subtracts from an element, and gives what it was before. */
  readonly sub: (at: number, value: A) => Effect.Effect<A, Failure>;
}

/**
 * An array of integers in shared memory: of numbers, or of bigints if they have 64 bits.
 *
 * @since 0.1.0
 * @category models
 */
export interface Integer<A, out View = unknown> extends Numeric<A, View> {
  /** The same operations without Effects. */
  readonly raw: RawInteger<A, View>;
  /** Keeps the bits of the mask, and gives what the element was before. */
  readonly and: (at: number, mask: A) => Effect.Effect<A, Failure>;
  /** Sets the bits of the mask, and gives what the element was before. */
  readonly or: (at: number, mask: A) => Effect.Effect<A, Failure>;
  /** Turns the bits of the mask over, and gives what the element was before. */
  readonly xor: (at: number, mask: A) => Effect.Effect<A, Failure>;
}

/**
 * What can be done to an array of a type.
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
export interface Options {
  /** The lock of {@link Array.withLock}: several objects may have the same. @default one of its own, an `RLock` */
  readonly lock?: Lock | RLock | undefined;
}

/**
 * Makes an array of a type: `"i8"` to `"i64"` and `"u8"` to `"u64"` for integers, `"f32"` and `"f64"` for floating-point numbers,
 * `"bool"`; of so many elements, all 0 or `false`, or of these.
 *
 * Fails with an {@link OutOfRange} if the type does not have one of the values, with the {@link MemoryError} `Full` if there is not so
 * much memory, and `InvalidArgument` if the length cannot be.
 *
 * *Release:* its use fails from now on, in all processes. Views of it have length 0 where it was made.
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
): Effect.Effect<Of<T>, Failure, Scope.Scope> => implementation(({ array }) => array(type, initial, options));

/**
 * Whether a value is an array in shared memory.
 *
 * @since 0.1.0
 * @category guards
 */
export const isArray = (value: unknown): value is Array<unknown> =>
  typeof value === "object" && value !== null && TypeId in value;
