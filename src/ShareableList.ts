/**
 * Lists of a fixed length in shared memory, of numbers, texts, bytes, booleans and nulls.
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
 *   yield* list.set(2, 0.5); // an element may become another kind
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
 * A list has a fixed length. Each element has room for at least 8 bytes, for `capacity`, or for its first value. A
 * reader sees an element as it was before a change or after it, never in between, also when the writer is killed.
 *
 * Between processes it needs Linux on x86-64 or arm64, and `--allow-ffi` in each of them. Between workers it also works
 * elsewhere and without, except for names.
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
import type * as Scope from "effect/Scope";
import type { Lock } from "./Lock.ts";
import { lazily } from "./internal/os/lazy.ts";
import { MemoryError, type MemoryErrorReason, OutOfRange, type OutOfRangeReason } from "./internal/values/errors.ts";
import type { Element } from "./internal/values/records.ts";
import type { RLock } from "./RLock.ts";
import type { SharedMemory } from "./SharedMemory.ts";

export { MemoryError, OutOfRange };
export type { Element, MemoryErrorReason, OutOfRangeReason };

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
 * Why an element could not be read or changed. It is then as it was.
 *
 * @since 0.1.0
 * @category errors
 */
export type Failure = MemoryError | OutOfRange;

/**
 * What reads without Effects: it answers at once, and throws what the others fail with.
 *
 * @since 0.1.0
 * @category models
 */
export interface Raw<out A> extends Iterable<A> {
  /** How many elements there are. */
  readonly length: number;
  /** Gives an element. */
  get(at: number): A;
  /** All elements. */
  toArray(): Array<A>;
}

/**
 * A list in shared memory. It lives as long as the scope that made it, and can be sent to any process: what was sent is the same
 * list, not a copy.
 *
 * - An element is `null`, a boolean, a number, a bigint of 64 bits, a text, or bytes. It comes back as it was: also a text of any
 *   alphabet, also NULs at the end.
 * - It may be replaced by one of another kind. A text (as UTF-8) or bytes must fit into what was reserved when the list was made: else
 *   that fails with the {@link OutOfRange} `TooLong`, and the element is as it was.
 * - Elements are numbered from 0, or from -1 backwards. There are no others: their use fails with the {@link OutOfRange} `Index`.
 * - A reader sees an element as it was before a change or after, never in between, and waits for nobody. Changes come one after the
 *   other. A process that is killed in mid-change has changed nothing, and the next change goes on.
 * - Elements are read one by one, also by `toArray`: others may change some meanwhile, unless all take turns by `withLock`.
 * - When its scope closes, or its process ends, its use fails with the {@link MemoryError} `Gone`.
 *
 * @since 0.1.0
 * @category models
 */
export interface ShareableList<in out A = Element> {
  /** Marks it as a shareable list. */
  readonly [TypeId]: TypeId;
  /** How many elements there are. */
  readonly length: number;
  /** Under which name others can attach it; `undefined` if it has none. */
  readonly name: string | undefined;
  /** The block that it is in. Python's `shm`. */
  readonly memory: SharedMemory;
  /** What reads without Effects. */
  readonly raw: Raw<A>;
  /** Gives an element. */
  readonly get: (at: number) => Effect.Effect<A, Failure>;
  /** Replaces an element. *Interruption:* while it waits for its turn, nothing is changed. */
  readonly set: (at: number, value: A) => Effect.Effect<void, Failure>;
  /** Replaces an element by what is made of it, and gives that. *Interruption:* as with `set`. */
  readonly update: (at: number, change: (value: A) => A) => Effect.Effect<A, Failure>;
  /** Replaces an element by the second of what is made of it, and gives the first. *Interruption:* as with `set`. */
  readonly modify: <B>(at: number, change: (value: A) => readonly [B, A]) => Effect.Effect<B, Failure>;
  /** All elements. */
  readonly toArray: Effect.Effect<Array<A>, MemoryError>;
  /** Whether it has such an element. Numbers are compared as by `Object.is`, bytes one by one. */
  readonly includes: (value: A) => Effect.Effect<boolean, MemoryError>;
  /** How many such elements it has. */
  readonly count: (value: A) => Effect.Effect<number, MemoryError>;
  /** Where the first such element is. Python's `index`. */
  readonly indexOf: (value: A) => Effect.Effect<Option.Option<number>, MemoryError>;
  /** Bytes that a text or bytes may have in this place. */
  readonly capacity: (at: number) => Effect.Effect<number, Failure>;
  /** The lock that {@link ShareableList.withLock} takes. */
  readonly lock: Lock | RLock;
  /**
   * Runs an effect while nobody else does this with the list, or anything that has the same lock: for steps that belong together. The
   * other operations do not wait for it. The fiber that does it may do it again within. *Interruption:* gives the lock back.
   */
  readonly withLock: RLock["withLock"];
  /** Gives it up in this process, for this handle. Others have it as before. Closing twice does nothing. */
  readonly close: Effect.Effect<void>;
}

/**
 * Options of {@link make}.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Bytes that each element may have at least; the longer ones what they have, all of them a multiple of 8. @default 8 */
  readonly capacity?: number | undefined;
  /** The lock of {@link ShareableList.withLock}: several objects may have the same. @default one of its own, an `RLock` */
  readonly lock?: Lock | RLock | undefined;
  /** A name for others to attach it by, as of `SharedMemory.create`. @default none */
  readonly name?: string | undefined;
}

/**
 * Makes a list of these elements.
 *
 * Fails with an {@link OutOfRange} if one of them is none, with a {@link MemoryError} if there is no memory, or, for a name, as
 * `SharedMemory.create`. Nothing is left behind then.
 *
 * *Release:* the list is no more, for anybody; with it its name.
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
): Effect.Effect<ShareableList<A>, Failure, Scope.Scope> => implementation(({ list }) => list<A>(values, options));

/**
 * Attaches a list by its name, whichever program has made it. Python's `ShareableList(name=name)`.
 *
 * Fails with a {@link MemoryError}, and has then changed nothing: `NotFound` if there is no list of that name, and otherwise as
 * `SharedMemory.attach`.
 *
 * *Release:* gives it up here, and does nothing to the list.
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
