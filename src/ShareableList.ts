/**
 * Lists of a fixed length in shared memory, of numbers, strings, bytes, booleans and nulls.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect } from "effect";
 *
 * const shout = Mp.Task.make(
 *   import.meta,
 *   "shout",
 *   (list: Mp.ShareableList.ShareableList<string | number | null>) => list.update(0, (text) => `${text}!`),
 * );
 *
 * const program = Effect.gen(function* () {
 *   const list = yield* Mp.ShareableList.make<string | number | null>(["hello", 1, null]);
 *   yield* Mp.Process.run(shout, list);
 *   yield* list.set(2, 0.5); // an element may change its type
 *   console.log(yield* list.toArray, list.length);
 *   console.log((yield* Effect.flip(list.set(0, "much too long"))).reason);
 * }).pipe(Effect.scoped, Effect.provide(Mp.SubprocessBackend.layer()));
 *
 * if (import.meta.main) Mp.runMain(program);
 * ```
 *
 * ```text
 * [ "hello!", 1, 0.5 ] 3
 * TooLong
 * ```
 *
 * A list has a fixed length. The capacity of an element is the largest of 8 bytes, `capacity`, and the size of its first value. A
 * reader sees the old value or the new one, never a part of either, even if the writer is killed.
 *
 * ## Memory and messages
 *
 * Memory is shared as the guide of `Lock` says: by subprocesses on Linux on x86-64 or arm64, if each has `--allow-ffi`, and by
 * the workers of one process on every system. Any other process uses a list by messages to the process that made it, its host:
 *
 * - All operations that are Effects work. `update` and `modify` take a turn at the host, run their function in the caller, and
 *   then send the new element. Other changes wait for the turn, which ends as well if the caller is killed.
 * - An operation takes a message to the host and back, `update` and `modify` two. If the host ends, it fails with the
 *   `MemoryError` `Gone`. An element that is larger than a message may be fails with `Full`. A change that is interrupted after
 *   its turn has come waits for the host's answer, for five seconds at most.
 * - `raw` and the plain getters of `memory` throw the `MemoryError` `Unsupported`, which names the missing flag.
 *
 * `list.carrier` says which way this process uses. The option `carrier` of `make` insists, as that of a lock does. A name, and
 * `attach`, need memory.
 *
 * ## From Python
 *
 * | Python | here |
 * | --- | --- |
 * | `ShareableList(sequence, name=name)` | `ShareableList.make(values, { name })`, `ShareableList.attach(name)` |
 * | `list[i]`, `list[i] = value`, `len(list)` | `list.get(i)`, `list.set(i, value)`, `list.length` |
 * | `count`, `index`, `in`, `shm`, `format` | `list.count`, `indexOf`, `includes`, `memory`, `capacity(i)` |
 *
 * @module
 */
import type * as Effect from "effect/Effect";
import type * as Option from "effect/Option";
import type { Pipeable } from "effect/Pipeable";
import type * as Scope from "effect/Scope";
import type { Carrier, CarrierOptions, Lock } from "./Lock.ts";
import { lazily } from "./internal/os/lazy.ts";
import {
  MemoryError,
  type MemoryErrorReason,
  type MemoryFailure,
  OutOfRange,
  type OutOfRangeReason,
} from "./internal/values/errors.ts";
import type { Element } from "./internal/values/records.ts";
import type { RLock } from "./RLock.ts";
import type { SharedMemory } from "./SharedMemory.ts";

export { MemoryError, OutOfRange };
export type { Element, MemoryErrorReason, MemoryFailure, OutOfRangeReason };

const implementation = lazily(() => import("./internal/values/constructors.ts"));

/**
 * Marks shareable lists.
 *
 * @since 0.1.0
 * @category symbols
 */
export const TypeId = "~multiprocessing/ShareableList" as const;

/**
 * Type of {@link TypeId}.
 *
 * @since 0.1.0
 * @category symbols
 */
export type TypeId = typeof TypeId;

/**
 * Reads without Effects. They throw a {@link MemoryFailure} in place of failing: `OutOfRange`, or the `MemoryError`: `Gone` if the list
 * has ended, `Unsupported` if this process uses the list by messages.
 *
 * @since 0.1.0
 * @category models
 */
export interface Raw<out A> extends Iterable<A> {
  /** Number of elements. */
  readonly length: number;
  /** Returns an element. */
  get(at: number): A;
  /** All elements. */
  toArray(): Array<A>;
}

/**
 * A list in shared memory. It ends with the scope that made it, and can be sent to any process; each copy refers to the same list.
 *
 * - An element is `null`, a boolean, a number, a bigint of 64 bits, a string, or bytes. It is stored exactly, including strings in any
 *   script and trailing NULs.
 * - An element may be replaced by one of another type. A string (as UTF-8) or bytes must not exceed the capacity that was reserved when
 *   the list was made: otherwise `set` fails with the {@link OutOfRange} `TooLong`, and the element is unchanged.
 * - Elements are numbered from 0, or from -1 backwards. Any other index fails with the {@link OutOfRange} `Index`.
 * - A reader sees the old element or the new one, never a part of either, and does not wait. Changes are made one after the other. A
 *   process that is killed in mid-change has changed nothing, and does not hold up the next change.
 * - Elements are read one by one, also by `toArray`: other processes may change some of them meanwhile, unless all use `withLock`.
 * - When its scope closes, or its process ends, a use fails with the {@link MemoryError} `Gone`.
 *
 * @since 0.1.0
 * @category models
 */
export interface ShareableList<in out A = Element> extends Pipeable {
  /** Marks a shareable list. */
  readonly [TypeId]: TypeId;
  /** Number of elements. */
  readonly length: number;
  /** The name by which other programs can attach the list; `undefined` if it has none. */
  readonly name: string | undefined;
  /** The block that holds the list. Python's `shm`. */
  readonly memory: SharedMemory;
  /** Reads without Effects. */
  readonly raw: Raw<A>;
  /** How this process uses the list. For its maker, how other processes use it. */
  readonly carrier: Carrier;
  /** Returns an element. */
  readonly get: (at: number) => Effect.Effect<A, MemoryFailure>;
  /** Replaces an element. *Interruption:* of the wait: nothing is changed. */
  readonly set: (at: number, value: A) => Effect.Effect<void, MemoryFailure>;
  /** Replaces an element by the result of a function of it, and returns that. *Interruption:* as for `set`. */
  readonly update: (at: number, change: (value: A) => A) => Effect.Effect<A, MemoryFailure>;
  /** Replaces an element by the second element of the result of a function of it, and returns the first. *Interruption:* as for `set`. */
  readonly modify: <B>(at: number, change: (value: A) => readonly [B, A]) => Effect.Effect<B, MemoryFailure>;
  /** All elements. */
  readonly toArray: Effect.Effect<Array<A>, MemoryError>;
  /** Whether an element equals `value`: by `Object.is`, and byte by byte for bytes. */
  readonly includes: (value: A) => Effect.Effect<boolean, MemoryError>;
  /** Number of elements that equal `value`. */
  readonly count: (value: A) => Effect.Effect<number, MemoryError>;
  /** Index of the first element that equals `value`. Python's `index`. */
  readonly indexOf: (value: A) => Effect.Effect<Option.Option<number>, MemoryError>;
  /** The capacity of an element, in bytes. */
  readonly capacity: (at: number) => Effect.Effect<number, MemoryFailure>;
  /** The lock that {@link ShareableList.withLock} takes. */
  readonly lock: Lock | RLock;
  /**
   * Runs an effect while holding the lock, for steps that belong together. Single operations do not wait for it. With an `RLock`, the
   * effect may use `withLock` again. *Interruption:* interrupts the effect; the lock is released however the effect ends.
   */
  readonly withLock: RLock["withLock"];
  /** Closes this handle in this process. Other handles and processes are not affected. Closing twice does nothing. */
  readonly close: Effect.Effect<void>;
}

/**
 * Options of {@link make}.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends CarrierOptions {
  /** The least capacity of each element, in bytes, rounded up to a multiple of 8. Longer elements have the capacity that they need. @default 8 */
  readonly capacity?: number | undefined;
  /** The lock of {@link ShareableList.withLock}; several objects may share one. @default an `RLock` of its own */
  readonly lock?: Lock | RLock | undefined;
  /**
   * A name by which other programs can attach the list, as for `SharedMemory.create`. It needs memory: the option `carrier` must not be
   * `"messages"`, and this process must use the `lock` in memory. @default none
   */
  readonly name?: string | undefined;
}

/**
 * Makes a list of these elements.
 *
 * Fails with an {@link OutOfRange} if a list cannot hold one of them, and with a {@link MemoryError} if there is not enough memory, or, for
 * a named list, as `SharedMemory.create` does. Then nothing is left behind.
 *
 * *Release:* ends the list for all processes, and removes its name.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect } from "effect";
 *
 * const shout = Mp.Task.make(
 *   import.meta,
 *   "shout",
 *   (list: Mp.ShareableList.ShareableList<string | number>) => list.update(0, (text) => `${text}!`),
 * );
 *
 * const program = Effect.gen(function* () {
 *   const list = yield* Mp.ShareableList.make<string | number>(["hé", 1], { capacity: 20 });
 *   yield* Mp.Process.run(shout, list);
 *   console.log(yield* list.toArray); // ["hé!", 1]
 * }).pipe(Effect.scoped, Effect.provide(Mp.SubprocessBackend.layer()));
 *
 * if (import.meta.main) Mp.runMain(program);
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <A>(
  values: Iterable<A & Element>,
  options: Options = {},
): Effect.Effect<ShareableList<A>, MemoryFailure, Scope.Scope> =>
  implementation(({ list }) => list<A>(values, options));

/**
 * Attaches a list of any program by its name. Python's `ShareableList(name=name)`.
 *
 * Fails with a {@link MemoryError}, and has then changed nothing: `NotFound` if there is no list of that name, and otherwise as
 * `SharedMemory.attach`.
 *
 * *Release:* closes the list in this process, and does not affect the list itself.
 *
 * @since 0.1.0
 * @category constructors
 */
export const attach = <A = Element>(
  name: string,
): Effect.Effect<ShareableList<A>, MemoryError, Scope.Scope> => implementation(({ attachList }) => attachList<A>(name));

/**
 * Whether a value is a shareable list.
 *
 * @since 0.1.0
 * @category guards
 */
export const isShareableList = (value: unknown): value is ShareableList =>
  typeof value === "object" && value !== null && TypeId in value;
