/**
 * Dicts and namespaces, for those who use them.
 *
 * @module
 */
import type * as Chunk from "effect/Chunk";
import type * as Effect from "effect/Effect";
import * as Sink from "effect/Sink";
import type * as Stream from "effect/Stream";
import type { Task } from "../../Task.ts";
import { arrayOf, type Check, type Checks, iterable, record, task as isTask, text } from "../os/arguments.ts";
import { ask, checked, type Failure, stream, take } from "./calls.ts";
import type { ManagerError, RemoteError } from "./errors.ts";
import { type Proxy, Remote, TypeId } from "./remote.ts";

/**
 * A change of a dict, or first of all, and whenever the reader has fallen too far behind, the dict as it is.
 *
 * @since 0.1.0
 * @category models
 */
export type DictChange<K, V> =
  | { readonly _tag: "Snapshot"; readonly value: ReadonlyMap<K, V> }
  | { readonly _tag: "Set"; readonly key: K; readonly value: V }
  | { readonly _tag: "Delete"; readonly key: K }
  | { readonly _tag: "Clear" };

/**
 * A task that changes a value where it is kept: it is given a copy, and what it returns is the new value. If it fails, or is
 * interrupted, nothing has changed. Nobody else changes the object meanwhile.
 *
 * @since 0.1.0
 * @category models
 */
export type Change<A, Args extends ReadonlyArray<unknown>, B, E> = Task<[value: A, ...args: Args], B, E>;

/**
 * A dict: a Map that lives at the server. Keys are compared by what they say, so that arrays and records are keys as well;
 * their order is that in which they first came. What is read is a copy, of the moment at which the server was asked. A call that
 * changes something in one step, and is interrupted, may have done so.
 *
 * Python's `dict`; its `get(key, default)`, `setdefault`, `pop`, `popitem` and `update` are here as well.
 *
 * @since 0.1.0
 * @category models
 */
export interface Dict<in out K, in out V> extends Proxy {
  /** How many keys it has. Python's `len`. */
  readonly size: Effect.Effect<number, Failure>;
  /** The value of a key, if it has one. */
  readonly get: (key: K) => Effect.Effect<V | undefined, Failure>;
  /** The value of a key, or this one. */
  readonly getOrElse: <B>(key: K, otherwise: B) => Effect.Effect<V | B, Failure>;
  /** The values of several keys, of one moment. */
  readonly getMany: (keys: Iterable<K>) => Effect.Effect<Array<V | undefined>, Failure>;
  /** Whether it has a key. Python's `in`. */
  readonly has: (key: K) => Effect.Effect<boolean, Failure>;
  /** Gives a key a value. */
  readonly set: (key: K, value: V) => Effect.Effect<void, Failure>;
  /** Gives a key a value, unless it has one, and gives the one that it has then. Python's `setdefault`. */
  readonly setDefault: (key: K, value: V) => Effect.Effect<V, Failure>;
  /** Gives several keys their values, in one step. */
  readonly update: (entries: Iterable<readonly [K, V]>) => Effect.Effect<void, Failure>;
  /** Takes a key out; whether it was there. Python's `del`. */
  readonly delete: (key: K) => Effect.Effect<boolean, Failure>;
  /** Takes a key out, and gives its value. *Interruption:* takes nothing. */
  readonly pop: (key: K) => Effect.Effect<V | undefined, Failure>;
  /** Takes the newest key out, and gives it with its value. Python's `popitem`. *Interruption:* takes nothing. */
  readonly popItem: Effect.Effect<[key: K, value: V] | undefined, Failure>;
  /** Takes all out. */
  readonly clear: Effect.Effect<void, Failure>;
  /** Gives a key a value if it has the expected one (`undefined` for none); whether it had. */
  readonly compareAndSet: (key: K, expected: V | undefined, value: V) => Effect.Effect<boolean, Failure>;
  /**
   * Has a task change the value of a key at the server, and gives the new one: no change of anybody is lost, however deep.
   * *Interruption:* interrupts the task, and nothing has changed, unless it was done.
   */
  readonly modify: <Args extends ReadonlyArray<unknown>, E>(
    key: K,
    task: Change<V | undefined, Args, V, E>,
    ...args: Args
  ) => Effect.Effect<V, E | RemoteError | Failure>;
  /** Its keys, of one moment. */
  readonly keys: Effect.Effect<Array<K>, Failure>;
  /** Its values, of one moment. */
  readonly values: Effect.Effect<Array<V>, Failure>;
  /** Its keys with their values, of one moment. Python's `items`. */
  readonly entries: Effect.Effect<Array<[key: K, value: V]>, Failure>;
  /** A copy, of one moment. Python's `copy`. */
  readonly toMap: Effect.Effect<Map<K, V>, Failure>;
  /** Its keys with their values, of the moment at which the Stream is run: for more than fits into a message. */
  readonly toStream: Stream.Stream<[key: K, value: V], Failure>;
  /** Gives keys their values, as they come, many in a message. */
  readonly toSink: Sink.Sink<void, readonly [key: K, value: V], never, Failure>;
  /**
   * What it is, and then each change. A reader who falls behind by more than 1024 changes is given the whole again in place of
   * what he has missed. Nobody who changes the dict waits for a reader.
   */
  readonly watch: Stream.Stream<DictChange<K, V>, Failure>;
}

/** Of a method that has a task change something. */
export const tasks: Checks = { task: isTask };

const isPair: Check = (value) =>
  Array.isArray(value) && value.length === 2 ? undefined : "must be a pair of a key and a value";

const arePairs = arrayOf(isPair, "pairs [key, value]");

/** Uses keys with their values, which may come only once. */
export const withPairs = <A, E, R>(
  operation: string,
  entries: Iterable<unknown>,
  use: (list: ReadonlyArray<unknown>) => Effect.Effect<A, E, R>,
): Effect.Effect<A, E | ManagerError, R> =>
  checked(operation, { entries }, { entries: iterable }, () => {
    const list = [...entries];
    return checked(operation, { entries: list }, { entries: arePairs }, () => use(list));
  });

/** The proxy of a dict. */
export class DictProxy<K, V> extends Remote implements Dict<K, V> {
  get size() {
    return ask<number>(this[TypeId], "size");
  }
  get = (key: K) => ask<V | undefined>(this[TypeId], "get", key);
  getOrElse = <B>(key: K, otherwise: B) => ask<V | B>(this[TypeId], "get", key, otherwise);
  getMany = (keys: Iterable<K>) =>
    checked(
      "dict.getMany",
      { keys },
      { keys: iterable },
      () => ask<Array<V | undefined>>(this[TypeId], "getMany", [...keys]),
    );
  has = (key: K) => ask<boolean>(this[TypeId], "has", key);
  set = (key: K, value: V) => ask<void>(this[TypeId], "set", key, value);
  setDefault = (key: K, value: V) => ask<V>(this[TypeId], "setDefault", key, value);
  update = (entries: Iterable<readonly [K, V]>) =>
    withPairs("dict.update", entries, (list) => ask<void>(this[TypeId], "update", list));
  delete = (key: K) => ask<boolean>(this[TypeId], "delete", key);
  pop = (key: K) => take<V | undefined>(this[TypeId], "pop", key);
  get popItem() {
    return take<[key: K, value: V] | undefined>(this[TypeId], "popItem");
  }
  get clear() {
    return ask<void>(this[TypeId], "clear");
  }
  compareAndSet = (key: K, expected: V | undefined, value: V) =>
    ask<boolean>(this[TypeId], "compareAndSet", key, expected, value);
  modify = <Args extends ReadonlyArray<unknown>, E>(
    key: K,
    task: Change<V | undefined, Args, V, E>,
    ...args: Args
  ) =>
    checked(
      "dict.modify",
      { task },
      tasks,
      () => ask<V, E | RemoteError>(this[TypeId], "modify", key, [task.url, task.name], args),
    );
  get keys() {
    return ask<Array<K>>(this[TypeId], "keys");
  }
  get values() {
    return ask<Array<V>>(this[TypeId], "values");
  }
  get entries() {
    return ask<Array<[key: K, value: V]>>(this[TypeId], "entries");
  }
  get toMap() {
    return ask<Map<K, V>>(this[TypeId], "value");
  }
  get toStream() {
    return stream<[key: K, value: V]>(this[TypeId], "toStream");
  }
  get toSink() {
    return Sink.forEachChunk((chunk: Chunk.Chunk<readonly [key: K, value: V]>) => this.update(chunk));
  }
  get watch() {
    return stream<DictChange<K, V>>(this[TypeId], "watch");
  }
}

/** The name of an attribute. @since 0.1.0 @category models */
export type Name<T> = Extract<keyof T, string>;

/**
 * A namespace: attributes by name, each with a type of its own. Python's `Namespace`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Namespace<in out T extends object> extends Proxy {
  /** The value of an attribute. */
  readonly get: <K extends Name<T>>(name: K) => Effect.Effect<T[K], Failure>;
  /** Whether there is such an attribute. */
  readonly has: (name: string) => Effect.Effect<boolean, Failure>;
  /** Gives an attribute a value. */
  readonly set: <K extends Name<T>>(name: K, value: T[K]) => Effect.Effect<void, Failure>;
  /** Gives several attributes their values, in one step. */
  readonly assign: (attributes: Partial<T>) => Effect.Effect<void, Failure>;
  /** Takes an attribute out; whether it was there. */
  readonly delete: (name: Name<T>) => Effect.Effect<boolean, Failure>;
  /** Gives an attribute a value if it has the expected one; whether it had. */
  readonly compareAndSet: <K extends Name<T>>(
    name: K,
    expected: T[K] | undefined,
    value: T[K],
  ) => Effect.Effect<boolean, Failure>;
  /** Has a task change an attribute at the server, and gives the new value. *Interruption:* interrupts the task, and nothing has changed, unless it was done. */
  readonly modify: <K extends Name<T>, Args extends ReadonlyArray<unknown>, E>(
    name: K,
    task: Change<T[K], Args, T[K], E>,
    ...args: Args
  ) => Effect.Effect<T[K], E | RemoteError | Failure>;
  /** The names of its attributes. */
  readonly keys: Effect.Effect<Array<Name<T>>, Failure>;
  /** A copy, of one moment. */
  readonly toObject: Effect.Effect<T, Failure>;
  /** What it is, and then each change: as {@link Dict.watch}. */
  readonly watch: Stream.Stream<DictChange<Name<T>, T[Name<T>]>, Failure>;
}

/** The proxy of a namespace. */
export class NamespaceProxy<T extends object> extends Remote implements Namespace<T> {
  #of<A>(method: string, name: unknown, use: () => Effect.Effect<A, Failure>): Effect.Effect<A, Failure> {
    return checked(`namespace.${method}`, { name }, { name: text }, use);
  }

  get = <K extends Name<T>>(name: K) => this.#of("get", name, () => ask<T[K]>(this[TypeId], "get", name));
  has = (name: string) => this.#of("has", name, () => ask<boolean>(this[TypeId], "has", name));
  set = <K extends Name<T>>(name: K, value: T[K]) =>
    this.#of("set", name, () => ask<void>(this[TypeId], "set", name, value));
  assign = (attributes: Partial<T>) =>
    checked(
      "namespace.assign",
      { attributes },
      { attributes: record },
      () => ask<void>(this[TypeId], "update", Object.entries(attributes)),
    );
  delete = (name: Name<T>) => this.#of("delete", name, () => ask<boolean>(this[TypeId], "delete", name));
  compareAndSet = <K extends Name<T>>(name: K, expected: T[K] | undefined, value: T[K]) =>
    this.#of("compareAndSet", name, () => ask<boolean>(this[TypeId], "compareAndSet", name, expected, value));
  modify = <K extends Name<T>, Args extends ReadonlyArray<unknown>, E>(
    name: K,
    task: Change<T[K], Args, T[K], E>,
    ...args: Args
  ) =>
    checked(
      "namespace.modify",
      { name, task },
      { name: text, ...tasks },
      () => ask<T[K], E | RemoteError>(this[TypeId], "modify", name, [task.url, task.name], args),
    );
  get keys() {
    return ask<Array<Name<T>>>(this[TypeId], "keys");
  }
  get toObject() {
    return ask<T>(this[TypeId], "toObject");
  }
  get watch() {
    return stream<DictChange<Name<T>, T[Name<T>]>>(this[TypeId], "watch");
  }
}
