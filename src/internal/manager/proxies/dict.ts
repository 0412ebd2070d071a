/**
 * The clients of managed dicts and namespaces.
 *
 * @module
 */
import type * as Chunk from "effect/Chunk";
import type * as Effect from "effect/Effect";
import * as Sink from "effect/Sink";
import type * as Stream from "effect/Stream";
import type { Task } from "../../../Task.ts";
import { arrayOf, type Check, type Checks, iterable, record, task as isTask, text } from "../../os/arguments.ts";
import { ask, askStream, checked, type ManagerFailure, take } from "../calls.ts";
import type { ManagerError, RemoteError } from "../errors.ts";
import { type Proxy, Remote, TypeId } from "./remote.ts";

/**
 * A change of a dict. The first element of a Stream is a `Snapshot`, and so is the next element of a reader that has fallen too far
 * behind.
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
 * A task that changes a value at the server. It receives a copy, and its result is the new value. If it fails or is interrupted,
 * nothing has changed. Other changes of the object wait until it has ended.
 *
 * @since 0.1.0
 * @category models
 */
export type Change<A, Args extends ReadonlyArray<unknown>, B, E> = Task<[value: A, ...args: Args], B, E>;

/**
 * The operations of a dict: of one at a manager's server, and of one that programs share by `NatsShared`. A function that takes this type
 * works with both.
 *
 * @since 0.1.0
 * @category models
 */
export interface DictOperations<in out K, in out V> {
  /** The number of keys. Python's `len`. */
  readonly size: Effect.Effect<number, ManagerFailure>;
  /** The value of a key, or `undefined`. */
  readonly get: (key: K) => Effect.Effect<V | undefined, ManagerFailure>;
  /** The value of a key, or `otherwise`. */
  readonly getOrElse: <B>(key: K, otherwise: B) => Effect.Effect<V | B, ManagerFailure>;
  /** The values of several keys, read in one step. */
  readonly getMany: (keys: Iterable<K>) => Effect.Effect<Array<V | undefined>, ManagerFailure>;
  /** Whether the key exists. Python's `in`. */
  readonly has: (key: K) => Effect.Effect<boolean, ManagerFailure>;
  /** Sets the value of a key. */
  readonly set: (key: K, value: V) => Effect.Effect<void, ManagerFailure>;
  /** Sets the value of a key that does not exist. Returns the value that the key has afterwards. Python's `setdefault`. */
  readonly setDefault: (key: K, value: V) => Effect.Effect<V, ManagerFailure>;
  /** Sets the values of several keys, in one step. */
  readonly update: (entries: Iterable<readonly [K, V]>) => Effect.Effect<void, ManagerFailure>;
  /** Deletes a key. Returns whether it existed. Python's `del`. */
  readonly delete: (key: K) => Effect.Effect<boolean, ManagerFailure>;
  /** Deletes a key, and returns its value. *Interruption:* deletes nothing. */
  readonly pop: (key: K) => Effect.Effect<V | undefined, ManagerFailure>;
  /** Deletes the newest key, and returns it with its value. Python's `popitem`. *Interruption:* deletes nothing. */
  readonly popItem: Effect.Effect<[key: K, value: V] | undefined, ManagerFailure>;
  /** Deletes all keys. */
  readonly clear: Effect.Effect<void, ManagerFailure>;
  /** Sets the value of a key if it has the expected value (`undefined` for no value). Returns whether it had. */
  readonly compareAndSet: (key: K, expected: V | undefined, value: V) => Effect.Effect<boolean, ManagerFailure>;
  /**
   * Changes the value of a key by a task at the server, and returns the new value. No concurrent change is lost, even deep inside
   * the value. *Interruption:* interrupts the task; nothing has changed, unless the task had ended.
   */
  readonly modify: <Args extends ReadonlyArray<unknown>, E>(
    key: K,
    task: Change<V | undefined, Args, V, E>,
    ...args: Args
  ) => Effect.Effect<V, E | RemoteError | ManagerFailure>;
  /** The keys, read in one step. */
  readonly keys: Effect.Effect<Array<K>, ManagerFailure>;
  /** The values, read in one step. */
  readonly values: Effect.Effect<Array<V>, ManagerFailure>;
  /** The keys with their values, read in one step. Python's `items`. */
  readonly entries: Effect.Effect<Array<[key: K, value: V]>, ManagerFailure>;
  /** A copy, made in one step. Python's `copy`. */
  readonly toMap: Effect.Effect<Map<K, V>, ManagerFailure>;
  /** The keys with their values as of the start of the Stream, for content that does not fit into one message. */
  readonly toStream: Stream.Stream<[key: K, value: V], ManagerFailure>;
  /** Sets the values of the keys that it receives, several per message. */
  readonly toSink: Sink.Sink<void, readonly [key: K, value: V], never, ManagerFailure>;
  /**
   * The content, and then each change. A reader that falls behind by more than 1024 changes receives the whole content again in
   * place of the changes that it has missed. Writers do not wait for readers.
   */
  readonly watch: Stream.Stream<DictChange<K, V>, ManagerFailure>;
}

/**
 * A Map at the server. Keys are compared by value, so that arrays and records can be keys; they are ordered by their first insertion.
 * A value that is read is a copy, made when the server handles the call. A call of a single step that is interrupted may have
 * completed.
 *
 * Python's `dict`, with `get(key, default)`, `setdefault`, `pop`, `popitem` and `update`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Dict<in out K, in out V> extends Proxy, DictOperations<K, V> {}

/** Checks of a method that runs a task. */
export const tasks: Checks = { task: isTask };

const isPair: Check = (value) =>
  Array.isArray(value) && value.length === 2 ? undefined : "must be a pair of a key and a value";

const arePairs = arrayOf(isPair, "pairs [key, value]");

/** Passes pairs of keys and values to `use`, as a list that has been checked. */
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
    return askStream<[key: K, value: V]>(this[TypeId], "toStream");
  }
  get toSink() {
    return Sink.forEachChunk((chunk: Chunk.Chunk<readonly [key: K, value: V]>) => this.update(chunk));
  }
  get watch() {
    return askStream<DictChange<K, V>>(this[TypeId], "watch");
  }
}

/** The name of an attribute. @since 0.1.0 @category models */
export type Name<T> = Extract<keyof T, string>;

/**
 * Attributes by name, each with its own type. Python's `Namespace`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Namespace<in out T extends object> extends Proxy {
  /** The value of an attribute. */
  readonly get: <K extends Name<T>>(name: K) => Effect.Effect<T[K], ManagerFailure>;
  /** Whether the attribute exists. */
  readonly has: (name: string) => Effect.Effect<boolean, ManagerFailure>;
  /** Sets the value of an attribute. */
  readonly set: <K extends Name<T>>(name: K, value: T[K]) => Effect.Effect<void, ManagerFailure>;
  /** Sets the values of several attributes, in one step. */
  readonly assign: (attributes: Partial<T>) => Effect.Effect<void, ManagerFailure>;
  /** Deletes an attribute. Returns whether it existed. */
  readonly delete: (name: Name<T>) => Effect.Effect<boolean, ManagerFailure>;
  /** Sets the value of an attribute if it has the expected value. Returns whether it had. */
  readonly compareAndSet: <K extends Name<T>>(
    name: K,
    expected: T[K] | undefined,
    value: T[K],
  ) => Effect.Effect<boolean, ManagerFailure>;
  /**
   * Changes an attribute by a task at the server, and returns the new value. *Interruption:* interrupts the task; nothing has
   * changed, unless the task had ended.
   */
  readonly modify: <K extends Name<T>, Args extends ReadonlyArray<unknown>, E>(
    name: K,
    task: Change<T[K], Args, T[K], E>,
    ...args: Args
  ) => Effect.Effect<T[K], E | RemoteError | ManagerFailure>;
  /** The names of the attributes. */
  readonly keys: Effect.Effect<Array<Name<T>>, ManagerFailure>;
  /** A copy, made in one step. */
  readonly toObject: Effect.Effect<T, ManagerFailure>;
  /** The content, and then each change, as in {@link Dict.watch}. */
  readonly watch: Stream.Stream<DictChange<Name<T>, T[Name<T>]>, ManagerFailure>;
}

/** The proxy of a namespace. */
export class NamespaceProxy<T extends object> extends Remote implements Namespace<T> {
  #checked<A>(
    method: string,
    name: unknown,
    use: () => Effect.Effect<A, ManagerFailure>,
  ): Effect.Effect<A, ManagerFailure> {
    return checked(`namespace.${method}`, { name }, { name: text }, use);
  }

  get = <K extends Name<T>>(name: K) => this.#checked("get", name, () => ask<T[K]>(this[TypeId], "get", name));
  has = (name: string) => this.#checked("has", name, () => ask<boolean>(this[TypeId], "has", name));
  set = <K extends Name<T>>(name: K, value: T[K]) =>
    this.#checked("set", name, () => ask<void>(this[TypeId], "set", name, value));
  assign = (attributes: Partial<T>) =>
    checked(
      "namespace.assign",
      { attributes },
      { attributes: record },
      () => ask<void>(this[TypeId], "update", Object.entries(attributes)),
    );
  delete = (name: Name<T>) => this.#checked("delete", name, () => ask<boolean>(this[TypeId], "delete", name));
  compareAndSet = <K extends Name<T>>(name: K, expected: T[K] | undefined, value: T[K]) =>
    this.#checked("compareAndSet", name, () => ask<boolean>(this[TypeId], "compareAndSet", name, expected, value));
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
    return askStream<DictChange<Name<T>, T[Name<T>]>>(this[TypeId], "watch");
  }
}
