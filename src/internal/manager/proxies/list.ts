/**
 * The client of managed lists.
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
} from "../../os/arguments.ts";
import { ask, askStream, checked, type ManagerFailure, take } from "../calls.ts";
import { type Change, tasks } from "./dict.ts";
import type { RemoteError } from "../errors.ts";
import { type Proxy, Remote, TypeId } from "./remote.ts";

/**
 * A change of a list, as `splice` makes it. The first element of a Stream is a `Snapshot`, and so is the next element after the
 * list was reordered, or of a reader that has fallen too far behind.
 *
 * @since 0.1.0
 * @category models
 */
export type ListChange<A> =
  | { readonly _tag: "Snapshot"; readonly value: ReadonlyArray<A> }
  | { readonly _tag: "Splice"; readonly index: number; readonly deleted: number; readonly items: ReadonlyArray<A> };

/**
 * An Array at the server, with the operations of an Array and of Python's `list`. A negative index counts from the end. Items are
 * compared by value. A value that is read is a copy, made when the server handles the call. Python's `list`.
 *
 * @since 0.1.0
 * @category models
 */
export interface List<in out A> extends Proxy {
  /** The number of items. Python's `len`. */
  readonly length: Effect.Effect<number, ManagerFailure>;
  /** The item at an index, or `undefined`. */
  readonly at: (index: number) => Effect.Effect<A | undefined, ManagerFailure>;
  /** Replaces the item at an index. Fails with a `ManagerError` if there is none. */
  readonly set: (index: number, item: A) => Effect.Effect<void, ManagerFailure>;
  /** Appends items, and returns the new length. Python's `append`. */
  readonly push: (...items: ReadonlyArray<A>) => Effect.Effect<number, ManagerFailure>;
  /** Appends all items of an iterable, and returns the new length. */
  readonly extend: (items: Iterable<A>) => Effect.Effect<number, ManagerFailure>;
  /** Prepends items, and returns the new length. */
  readonly unshift: (...items: ReadonlyArray<A>) => Effect.Effect<number, ManagerFailure>;
  /** Inserts an item before the item at an index. */
  readonly insert: (index: number, item: A) => Effect.Effect<void, ManagerFailure>;
  /** Removes and returns the last item, or the item at an index. *Interruption:* removes nothing. */
  readonly pop: (index?: number) => Effect.Effect<A | undefined, ManagerFailure>;
  /** Removes and returns the first item. *Interruption:* removes nothing. */
  readonly shift: Effect.Effect<A | undefined, ManagerFailure>;
  /** Replaces `deleted` items from an index on by other items, and returns the removed items. */
  readonly splice: (
    start: number,
    deleted?: number,
    ...items: ReadonlyArray<A>
  ) => Effect.Effect<Array<A>, ManagerFailure>;
  /** Removes the first equal item. Returns whether there was one. */
  readonly remove: (item: A) => Effect.Effect<boolean, ManagerFailure>;
  /** Removes all items. */
  readonly clear: Effect.Effect<void, ManagerFailure>;
  /** Replaces all items by the same item, or those between two indices. */
  readonly fill: (item: A, start?: number, end?: number) => Effect.Effect<void, ManagerFailure>;
  /** Reverses the order, in place. */
  readonly reverse: Effect.Effect<void, ManagerFailure>;
  /** Sorts in place: numbers, bigints and Dates by value, other items as strings. For another order, use a task and `modifyAll`. */
  readonly sort: (options?: { readonly descending?: boolean | undefined }) => Effect.Effect<void, ManagerFailure>;
  /** Whether there is an equal item. Python's `in`. */
  readonly includes: (item: A) => Effect.Effect<boolean, ManagerFailure>;
  /** The first index of an equal item, or -1. */
  readonly indexOf: (item: A, from?: number) => Effect.Effect<number, ManagerFailure>;
  /** The last index of an equal item, or -1. */
  readonly lastIndexOf: (item: A) => Effect.Effect<number, ManagerFailure>;
  /** The number of equal items. */
  readonly count: (item: A) => Effect.Effect<number, ManagerFailure>;
  /** The items joined to one string. */
  readonly join: (separator?: string) => Effect.Effect<string, ManagerFailure>;
  /** A copy of a part. */
  readonly slice: (start?: number, end?: number) => Effect.Effect<Array<A>, ManagerFailure>;
  /** A copy of the list. Python's `[:]`. */
  readonly toArray: Effect.Effect<Array<A>, ManagerFailure>;
  /** The items as of the start of the Stream, for content that does not fit into one message. */
  readonly toStream: Stream.Stream<A, ManagerFailure>;
  /** Appends the items that it receives, several per message. */
  readonly toSink: Sink.Sink<void, A, never, ManagerFailure>;
  /** Replaces the item at an index if it equals the expected item. Returns whether it did. */
  readonly compareAndSet: (index: number, expected: A, item: A) => Effect.Effect<boolean, ManagerFailure>;
  /**
   * Changes the item at an index by a task at the server, and returns the new item. *Interruption:* interrupts the task; nothing has
   * changed, unless the task had ended.
   */
  readonly modify: <Args extends ReadonlyArray<unknown>, E>(
    index: number,
    task: Change<A, Args, A, E>,
    ...args: Args
  ) => Effect.Effect<A, E | RemoteError | ManagerFailure>;
  /** Changes the whole list by a task at the server. *Interruption:* interrupts the task; nothing has changed, unless it had ended. */
  readonly modifyAll: <Args extends ReadonlyArray<unknown>, E>(
    task: Change<Array<A>, Args, ReadonlyArray<A>, E>,
    ...args: Args
  ) => Effect.Effect<void, E | RemoteError | ManagerFailure>;
  /** The content, and then each change, as in {@link Dict.watch}. */
  readonly watch: Stream.Stream<ListChange<A>, ManagerFailure>;
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
    return askStream<A>(this[TypeId], "toStream");
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
    return askStream<ListChange<A>>(this[TypeId], "watch");
  }
}
