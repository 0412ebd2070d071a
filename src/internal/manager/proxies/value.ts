/**
 * The clients of managed values and arrays of numbers.
 *
 * @module
 */
import type * as Effect from "effect/Effect";
import type * as Stream from "effect/Stream";
import { type Checks, count, end, integer, must, optional } from "../../os/arguments.ts";
import { ask, askStream, checked, type ManagerFailure } from "../calls.ts";
import { type Change, tasks } from "./dict.ts";
import type { RemoteError } from "../errors.ts";
import { type Proxy, Remote, TypeId } from "./remote.ts";

/**
 * One value at the server. Python's `Value` of a manager.
 *
 * @since 0.1.0
 * @category models
 */
export interface Value<in out A> extends Proxy {
  /** Reads the value. */
  readonly get: Effect.Effect<A, ManagerFailure>;
  /** Replaces the value. */
  readonly set: (value: A) => Effect.Effect<void, ManagerFailure>;
  /** Replaces the value, and returns the old one. */
  readonly getAndSet: (value: A) => Effect.Effect<A, ManagerFailure>;
  /** Replaces the value if it equals the expected one. Returns whether it did. */
  readonly compareAndSet: (expected: A, value: A) => Effect.Effect<boolean, ManagerFailure>;
  /** Adds to a number, in one step, and returns the sum. */
  readonly add: (amount: A & (number | bigint)) => Effect.Effect<A, ManagerFailure>;
  /**
   * Changes the value by a task at the server, and returns the new value. *Interruption:* interrupts the task; nothing has changed,
   * unless the task had ended.
   */
  readonly modify: <Args extends ReadonlyArray<unknown>, E>(
    task: Change<A, Args, A, E>,
    ...args: Args
  ) => Effect.Effect<A, E | RemoteError | ManagerFailure>;
  /** The value, and then each new value. A slow reader receives only the last of the values that it has missed. */
  readonly watch: Stream.Stream<A, ManagerFailure>;
}

const numeric = must((value) => typeof value === "number" || typeof value === "bigint", "a number or a bigint");

/** The proxy of a value. */
export class ValueProxy<A> extends Remote implements Value<A> {
  get get() {
    return ask<A>(this[TypeId], "get");
  }
  set = (value: A) => ask<void>(this[TypeId], "set", value);
  getAndSet = (value: A) => ask<A>(this[TypeId], "getAndSet", value);
  compareAndSet = (expected: A, value: A) => ask<boolean>(this[TypeId], "compareAndSet", expected, value);
  add = (amount: A & (number | bigint)) =>
    checked("value.add", { amount }, { amount: numeric }, () => ask<A>(this[TypeId], "add", amount));
  modify = <Args extends ReadonlyArray<unknown>, E>(task: Change<A, Args, A, E>, ...args: Args) =>
    checked(
      "value.modify",
      { task },
      tasks,
      () => ask<A, E | RemoteError>(this[TypeId], "modify", [task.url, task.name], args),
    );
  get watch() {
    return askStream<A>(this[TypeId], "watch");
  }
}

/** The typed arrays of which arrays are made and that are read from them; the kind determines the numbers. @since 0.1.0 @category models */
export type TypedArray =
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | Float32Array
  | Float64Array
  | BigInt64Array
  | BigUint64Array;

/** The type of a typed array's elements. @since 0.1.0 @category models */
export type NumberOf<T extends TypedArray> = T[number];

/**
 * A fixed number of numbers of one kind at the server. A negative index counts from the end. A value that is not a number of the
 * kind, or an invalid index, fails with a `ManagerError`. A number that is too large wraps as in a typed array. Python's `Array` of
 * a manager.
 *
 * @since 0.1.0
 * @category models
 */
export interface Numbers<in out T extends TypedArray> extends Proxy {
  /** The number of elements. */
  readonly length: Effect.Effect<number, ManagerFailure>;
  /** The number at an index, or `undefined`. */
  readonly at: (index: number) => Effect.Effect<NumberOf<T> | undefined, ManagerFailure>;
  /** Replaces the number at an index. */
  readonly set: (index: number, value: NumberOf<T>) => Effect.Effect<void, ManagerFailure>;
  /** Replaces several numbers, from an index on, in one step. */
  readonly setAll: (values: T | ReadonlyArray<NumberOf<T>>, offset?: number) => Effect.Effect<void, ManagerFailure>;
  /** Replaces all numbers by the same number, or those between two indices. */
  readonly fill: (value: NumberOf<T>, start?: number, end?: number) => Effect.Effect<void, ManagerFailure>;
  /** Adds to the number at an index, in one step, and returns the sum. */
  readonly add: (index: number, amount: NumberOf<T>) => Effect.Effect<NumberOf<T>, ManagerFailure>;
  /** Replaces the number at an index if it equals the expected one. Returns whether it did. */
  readonly compareAndSet: (
    index: number,
    expected: NumberOf<T>,
    value: NumberOf<T>,
  ) => Effect.Effect<boolean, ManagerFailure>;
  /** A copy of a part. */
  readonly slice: (start?: number, end?: number) => Effect.Effect<T, ManagerFailure>;
  /** A copy of the array. */
  readonly toTypedArray: Effect.Effect<T, ManagerFailure>;
  /** Changes the whole array by a task at the server. *Interruption:* interrupts the task; nothing has changed, unless it had ended. */
  readonly modifyAll: <Args extends ReadonlyArray<unknown>, E>(
    task: Change<T, Args, T, E>,
    ...args: Args
  ) => Effect.Effect<void, E | RemoteError | ManagerFailure>;
}

const indexes: Checks = { index: integer };

const part: Checks = { start: optional(integer), end: optional(end) };

const isTypedArray = (value: unknown): boolean => ArrayBuffer.isView(value) && !(value instanceof DataView);

/** The argument of `manager.array`. */
export const typedArray = must(isTypedArray, "a typed array, such as a Float64Array");

const numbers = must((value) => Array.isArray(value) || isTypedArray(value), "an array of numbers, or a typed array");

/** The proxy of an array. */
export class NumbersProxy<T extends TypedArray> extends Remote implements Numbers<T> {
  get length() {
    return ask<number>(this[TypeId], "length");
  }
  at = (index: number) =>
    this.#checked("at", { index }, indexes, () => ask<NumberOf<T> | undefined>(this[TypeId], "at", index));
  set = (index: number, value: NumberOf<T>) =>
    this.#checked(
      "set",
      { index, value },
      { ...indexes, value: numeric },
      () => ask<void>(this[TypeId], "set", index, value),
    );
  setAll = (values: T | ReadonlyArray<NumberOf<T>>, offset?: number) =>
    this.#checked(
      "setAll",
      { values, offset },
      { values: numbers, offset: optional(count) },
      () => ask<void>(this[TypeId], "setAll", values, offset),
    );
  fill = (value: NumberOf<T>, start?: number, end?: number) =>
    this.#checked(
      "fill",
      { value, start, end },
      { value: numeric, ...part },
      () => ask<void>(this[TypeId], "fill", value, start, end),
    );
  add = (index: number, amount: NumberOf<T>) =>
    this.#checked(
      "add",
      { index, amount },
      { ...indexes, amount: numeric },
      () => ask<NumberOf<T>>(this[TypeId], "add", index, amount),
    );
  compareAndSet = (index: number, expected: NumberOf<T>, value: NumberOf<T>) =>
    this.#checked(
      "compareAndSet",
      { index, expected, value },
      { ...indexes, expected: numeric, value: numeric },
      () => ask<boolean>(this[TypeId], "compareAndSet", index, expected, value),
    );
  slice = (start?: number, end?: number) =>
    this.#checked("slice", { start, end }, part, () => ask<T>(this[TypeId], "slice", start, end));
  get toTypedArray() {
    return ask<T>(this[TypeId], "value");
  }
  modifyAll = <Args extends ReadonlyArray<unknown>, E>(task: Change<T, Args, T, E>, ...args: Args) =>
    this.#checked(
      "modifyAll",
      { task },
      tasks,
      () => ask<void, E | RemoteError>(this[TypeId], "modifyAll", [task.url, task.name], args),
    );
  #checked<B, E>(method: string, values: object, checks: Checks, use: () => Effect.Effect<B, E>) {
    return checked(`array.${method}`, values, checks, use);
  }
}
