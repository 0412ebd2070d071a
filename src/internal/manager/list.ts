/**
 * Lists, for those who use them.
 *
 * @module
 */
import type * as Chunk from "effect/Chunk";
import type * as Effect from "effect/Effect";
import * as Sink from "effect/Sink";
import type * as Stream from "effect/Stream";
import {
  boolean,
  type Checks,
  countOrInfinite,
  end,
  integer,
  iterable,
  optional,
  options,
  text,
} from "../os/arguments.ts";
import { ask, checked, type Failure, stream, take } from "./calls.ts";
import { type Change, tasks } from "./dict.ts";
import type { RemoteError } from "./errors.ts";
import { type Proxy, Remote, TypeId } from "./remote.ts";

/**
 * A change of a list, as `splice` makes it, or first of all, whenever the reader has fallen too far behind, and when all of it
 * was moved about, the list as it is.
 *
 * @since 0.1.0
 * @category models
 */
export type ListChange<A> =
  | { readonly _tag: "Snapshot"; readonly value: ReadonlyArray<A> }
  | { readonly _tag: "Splice"; readonly index: number; readonly deleted: number; readonly items: ReadonlyArray<A> };

/**
 * A list: an Array that lives at the server. Its operations are those of an Array, and Python's where it has others; indices
 * that are negative count from the end; values are compared by what they say. What is read is a copy, of the moment at which
 * the server was asked. Python's `list`.
 *
 * @since 0.1.0
 * @category models
 */
export interface List<in out A> extends Proxy {
  /** How many items it has. Python's `len`. */
  readonly length: Effect.Effect<number, Failure>;
  /** The item at an index, if there is one. */
  readonly at: (index: number) => Effect.Effect<A | undefined, Failure>;
  /** Replaces the item at an index. A `ManagerError` if there is none. */
  readonly set: (index: number, item: A) => Effect.Effect<void, Failure>;
  /** Adds items at the end, and gives the new length. Python's `append`. */
  readonly push: (...items: ReadonlyArray<A>) => Effect.Effect<number, Failure>;
  /** Adds all items of an iterable at the end, and gives the new length. */
  readonly extend: (items: Iterable<A>) => Effect.Effect<number, Failure>;
  /** Adds items at the beginning, and gives the new length. */
  readonly unshift: (...items: ReadonlyArray<A>) => Effect.Effect<number, Failure>;
  /** Adds an item before that at an index. */
  readonly insert: (index: number, item: A) => Effect.Effect<void, Failure>;
  /** Takes out the last item, or that at an index. *Interruption:* takes nothing. */
  readonly pop: (index?: number) => Effect.Effect<A | undefined, Failure>;
  /** Takes out the first item. *Interruption:* takes nothing. */
  readonly shift: Effect.Effect<A | undefined, Failure>;
  /** Takes out so many items from an index on, puts others there, and gives those that were taken out. */
  readonly splice: (start: number, deleted?: number, ...items: ReadonlyArray<A>) => Effect.Effect<Array<A>, Failure>;
  /** Takes out the first item that is the same; whether there was one. */
  readonly remove: (item: A) => Effect.Effect<boolean, Failure>;
  /** Takes all out. */
  readonly clear: Effect.Effect<void, Failure>;
  /** Puts the same item everywhere, or from one index to another. */
  readonly fill: (item: A, start?: number, end?: number) => Effect.Effect<void, Failure>;
  /** Turns the order round, in place. */
  readonly reverse: Effect.Effect<void, Failure>;
  /** Sorts in place: numbers, bigints and Dates by their value, texts and anything else as texts. Another order is a task for `modifyAll`. */
  readonly sort: (options?: { readonly descending?: boolean | undefined }) => Effect.Effect<void, Failure>;
  /** Whether an item is the same. Python's `in`. */
  readonly includes: (item: A) => Effect.Effect<boolean, Failure>;
  /** The first index of an item, or -1. */
  readonly indexOf: (item: A, from?: number) => Effect.Effect<number, Failure>;
  /** The last index of an item, or -1. */
  readonly lastIndexOf: (item: A) => Effect.Effect<number, Failure>;
  /** How many items are the same. */
  readonly count: (item: A) => Effect.Effect<number, Failure>;
  /** The items as one text. */
  readonly join: (separator?: string) => Effect.Effect<string, Failure>;
  /** A copy of a part. */
  readonly slice: (start?: number, end?: number) => Effect.Effect<Array<A>, Failure>;
  /** A copy of the whole. Python's `[:]`. */
  readonly toArray: Effect.Effect<Array<A>, Failure>;
  /** Its items, of the moment at which the Stream is run: for more than fits into a message. */
  readonly toStream: Stream.Stream<A, Failure>;
  /** Adds items at the end, as they come, many in a message. */
  readonly toSink: Sink.Sink<void, A, never, Failure>;
  /** Replaces the item at an index if it is the expected one; whether it was. */
  readonly compareAndSet: (index: number, expected: A, item: A) => Effect.Effect<boolean, Failure>;
  /** Has a task change the item at an index at the server, and gives the new one. *Interruption:* interrupts the task, and nothing has changed, unless it was done. */
  readonly modify: <Args extends ReadonlyArray<unknown>, E>(
    index: number,
    task: Change<A, Args, A, E>,
    ...args: Args
  ) => Effect.Effect<A, E | RemoteError | Failure>;
  /** Has a task change the whole list at the server. *Interruption:* interrupts the task, and nothing has changed, unless it was done. */
  readonly modifyAll: <Args extends ReadonlyArray<unknown>, E>(
    task: Change<Array<A>, Args, ReadonlyArray<A>, E>,
    ...args: Args
  ) => Effect.Effect<void, E | RemoteError | Failure>;
  /** What it is, and then each change; for readers who fall behind as {@link Dict.watch}. */
  readonly watch: Stream.Stream<ListChange<A>, Failure>;
}

const indexes: Checks = { index: integer };

const part: Checks = { start: optional(integer), end: optional(end) };

const isOrder = options({ descending: optional(boolean) });

/** The proxy of a list. */
export class ListProxy<A> extends Remote implements List<A> {
  get length() {
    return ask<number>(this[TypeId], "length");
  }
  at = (index: number) => this.#checked("at", { index }, indexes, () => ask<A | undefined>(this[TypeId], "at", index));
  set = (index: number, item: A) =>
    this.#checked("set", { index }, indexes, () => ask<void>(this[TypeId], "set", index, item));
  push = (...items: ReadonlyArray<A>) => ask<number>(this[TypeId], "push", items);
  extend = (items: Iterable<A>) =>
    this.#checked("extend", { items }, { items: iterable }, () => ask<number>(this[TypeId], "push", [...items]));
  unshift = (...items: ReadonlyArray<A>) => ask<number>(this[TypeId], "unshift", items);
  insert = (index: number, item: A) =>
    this.#checked("insert", { index }, indexes, () => ask<void>(this[TypeId], "insert", index, item));
  pop = (index?: number) =>
    this.#checked(
      "pop",
      { index },
      { index: optional(integer) },
      () => take<A | undefined>(this[TypeId], "pop", index),
    );
  get shift() {
    return take<A | undefined>(this[TypeId], "pop", 0);
  }
  splice = (start: number, deleted?: number, ...items: ReadonlyArray<A>) =>
    this.#checked(
      "splice",
      { start, deleted },
      { start: integer, deleted: optional(countOrInfinite) },
      () => ask<Array<A>>(this[TypeId], "splice", start, deleted, items),
    );
  remove = (item: A) => ask<boolean>(this[TypeId], "remove", item);
  get clear() {
    return ask<void>(this[TypeId], "clear");
  }
  fill = (item: A, start?: number, end?: number) =>
    this.#checked("fill", { start, end }, part, () => ask<void>(this[TypeId], "fill", item, start, end));
  get reverse() {
    return ask<void>(this[TypeId], "reverse");
  }
  sort = (options?: { readonly descending?: boolean | undefined }) =>
    this.#checked(
      "sort",
      { options },
      { options: optional(isOrder) },
      () => ask<void>(this[TypeId], "sort", options?.descending),
    );
  includes = (item: A) => ask<boolean>(this[TypeId], "includes", item);
  indexOf = (item: A, from?: number) =>
    this.#checked(
      "indexOf",
      { from },
      { from: optional(integer) },
      () => ask<number>(this[TypeId], "indexOf", item, from),
    );
  lastIndexOf = (item: A) => ask<number>(this[TypeId], "lastIndexOf", item);
  count = (item: A) => ask<number>(this[TypeId], "count", item);
  join = (separator?: string) =>
    this.#checked(
      "join",
      { separator },
      { separator: optional(text) },
      () => ask<string>(this[TypeId], "join", separator),
    );
  slice = (start?: number, end?: number) =>
    this.#checked("slice", { start, end }, part, () => ask<Array<A>>(this[TypeId], "slice", start, end));
  get toArray() {
    return ask<Array<A>>(this[TypeId], "value");
  }
  get toStream() {
    return stream<A>(this[TypeId], "toStream");
  }
  get toSink() {
    return Sink.forEachChunk((chunk: Chunk.Chunk<A>) => this.extend(chunk));
  }
  compareAndSet = (index: number, expected: A, item: A) =>
    this.#checked(
      "compareAndSet",
      { index },
      indexes,
      () => ask<boolean>(this[TypeId], "compareAndSet", index, expected, item),
    );
  modify = <Args extends ReadonlyArray<unknown>, E>(
    index: number,
    task: Change<A, Args, A, E>,
    ...args: Args
  ) =>
    this.#checked(
      "modify",
      { index, task },
      { ...indexes, ...tasks },
      () => ask<A, E | RemoteError>(this[TypeId], "modify", index, [task.url, task.name], args),
    );
  modifyAll = <Args extends ReadonlyArray<unknown>, E>(
    task: Change<Array<A>, Args, ReadonlyArray<A>, E>,
    ...args: Args
  ) =>
    this.#checked(
      "modifyAll",
      { task },
      tasks,
      () => ask<void, E | RemoteError>(this[TypeId], "modifyAll", [task.url, task.name], args),
    );
  #checked<B, E>(method: string, values: object, checks: Checks, use: () => Effect.Effect<B, E>) {
    return checked(`list.${method}`, values, checks, use);
  }
  get watch() {
    return stream<ListChange<A>>(this[TypeId], "watch");
  }
}
