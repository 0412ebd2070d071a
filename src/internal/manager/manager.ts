/**
 * A manager, for those who use it.
 *
 * @module
 */
import type * as Effect from "effect/Effect";
import type * as Scope from "effect/Scope";
import type { Options as PoolOptions } from "../../Pool.ts";
import { QueueError } from "../objects/errors.ts";
import type { Dequeue, Options as QueueOptions, Queue } from "../../Queue.ts";
import { PoolError } from "../pool/errors.ts";
import type { Element, ShareableList } from "../../ShareableList.ts";
import { MemoryError, type OutOfRange } from "../values/errors.ts";
import type { SharedMemory } from "../../SharedMemory.ts";
import type { Task } from "../../Task.ts";
import { QueueClient } from "../queue/client.ts";
import {
  boolean,
  type Checks,
  count,
  iterable,
  marked,
  must,
  name as isName,
  optional,
  options,
  positive,
  positiveOrInfinite,
  record,
  task as isTask,
} from "../os/arguments.ts";
import { ask, checked, checkedAs, create, type Failure } from "./calls.ts";
import { type Dict, type Namespace, withPairs } from "./dict.ts";
import { ManagerError, type RemoteError } from "./errors.ts";
import type { List } from "./list.ts";
import type { SharedPool } from "./pool.ts";
import * as P from "./protocol.ts";
import { isProxy, type Proxy, Remote, TypeId } from "./remote.ts";
import type { Barrier, Condition, Event, Lock, RLock, Semaphore } from "./sync.ts";
import { type Type, TypeTypeId } from "./typed.ts";
import { type Numbers, type TypedArray, typedArray, type Value } from "./value.ts";

/**
 * What a manager's server is doing.
 *
 * @since 0.1.0
 * @category models
 */
export interface Statistics {
  /** Objects that it keeps. Python's `_number_of_objects`. */
  readonly objects: number;
  /** How many of each type. */
  readonly types: Readonly<Record<string, number>>;
  /** Scopes and leases that hold them. */
  readonly holds: number;
  /** Objects that were ever made. */
  readonly made: number;
  /** Calls that have come. */
  readonly calls: number;
  /** Calls that have not ended, holds among them. */
  readonly pending: number;
}

/**
 * An object of a server, for diagnosis.
 *
 * @since 0.1.0
 * @category models
 */
export interface ObjectInfo {
  /** Its number. */
  readonly object: number;
  /** Name of its type. */
  readonly type: string;
  /** Scopes and leases that hold it. */
  readonly holds: number;
}

/** What makes an object that lives at the server. @since 0.1.0 @category models */
export type Making<A, E = never> = Effect.Effect<A, E | Failure, Scope.Scope>;

/**
 * A server that keeps objects for others. It can be sent anywhere, and whoever has it can make objects.
 *
 * An object lives as long as the scope in which it was made, or longer if others {@link retain} it. When nobody holds it any more
 * it is freed, and who still uses it fails with `Unreachable`.
 *
 * *Release*, of everything that is made here: the object is freed, unless somebody else holds it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Manager extends Proxy {
  /** Makes a dict, of these entries. Python's `dict`. */
  readonly dict: <K, V>(entries?: Iterable<readonly [K, V]>) => Making<Dict<K, V>>;
  /** Makes a list, of these items. Python's `list`. */
  readonly list: <A>(items?: Iterable<A>) => Making<List<A>>;
  /** Makes a namespace, of these attributes. Python's `Namespace`. */
  readonly namespace: <T extends object>(attributes?: T) => Making<Namespace<T>>;
  /** Makes one value. Python's `Value`. */
  readonly value: <A>(value: A) => Making<Value<A>>;
  /** Makes numbers of the kind of this typed array. Python's `Array`. */
  readonly array: <T extends TypedArray>(numbers: T) => Making<Numbers<T>>;
  /** Makes a queue that lives at the server. Python's `Queue` and `JoinableQueue`. */
  readonly queue: <A>(options?: QueueOptions) => Making<Queue<A>, QueueError>;
  /** Makes a queue that gives first what was put last. Python's `LifoQueue`. */
  readonly lifoQueue: <A>(options?: QueueOptions) => Making<Queue<A>, QueueError>;
  /** Makes a queue that gives the smallest item first, by its natural order. Python's `PriorityQueue`. */
  readonly priorityQueue: <A>(options?: QueueOptions) => Making<Queue<A>, QueueError>;
  /** Makes a lock. Python's `Lock`. */
  readonly lock: Making<Lock>;
  /** Makes a recursive lock. Python's `RLock`. */
  readonly rlock: Making<RLock>;
  /** Makes a semaphore that so many may hold, one unless a number is given. Python's `Semaphore`. */
  readonly semaphore: (permits?: number) => Making<Semaphore>;
  /** Makes a semaphore that nobody releases who does not hold it. Python's `BoundedSemaphore`. */
  readonly boundedSemaphore: (permits?: number) => Making<Semaphore>;
  /** Makes a condition of this lock, or of a recursive one of its own. Python's `Condition`. */
  readonly condition: (lock?: Lock | RLock) => Making<Condition>;
  /** Makes an event. Python's `Event`. */
  readonly event: Making<Event>;
  /** Makes a barrier for so many; the last one to come has the action run at the server before they go on. Python's `Barrier`. */
  readonly barrier: (parties: number, action?: Task<[], unknown, unknown>) => Making<Barrier>;
  /** Makes shared memory of so many bytes, which lives as long as an object of the manager. Not for other programs. */
  readonly sharedMemory: (size: number) => Making<SharedMemory, MemoryError>;
  /** Makes a list of fixed length in shared memory. Not for other programs. */
  readonly shareableList: <A>(
    values: Iterable<A & Element>,
  ) => Making<ShareableList<A>, MemoryError | OutOfRange>;
  /** Makes a pool whose workers are children of the server. Python's `Pool`. */
  readonly pool: (options?: Pick<PoolOptions, "size" | "maxTasksPerChild">) => Making<SharedPool, PoolError>;
  /**
   * Makes an object of a type of one's own. Fails with a `RemoteError` if its constructor throws, and as it fails if it is an Effect.
   */
  readonly create: <Args extends ReadonlyArray<unknown>, A extends Proxy, E>(
    type: Type<Args, A, E>,
    ...args: Args
  ) => Making<A, E | RemoteError>;
  /**
   * Makes an object of this manager known by a name, to everybody who has the manager, and holds it until the name is given to
   * another object, or to `undefined`. Not for other programs.
   */
  readonly publish: (name: string, object: Proxy | Dequeue<unknown> | undefined) => Effect.Effect<void, Failure>;
  /** The object that was published by this name, if there is one. Its type is that of whoever published it. */
  readonly find: <A>(name: string) => Effect.Effect<A | undefined, Failure>;
  /** What the server is doing. */
  readonly statistics: Effect.Effect<Statistics, Failure>;
  /** The objects that it keeps. Python's `_debug_info`. */
  readonly objects: Effect.Effect<ReadonlyArray<ObjectInfo>, Failure>;
}

const invalidOption = (message: string): ManagerError => new ManagerError("InvalidOption", message);

const invalidMemory = (message: string): MemoryError => new MemoryError("InvalidArgument", message);

const queueOptions = optional(
  options({
    capacity: optional(positiveOrInfinite),
    maxBytes: optional(positiveOrInfinite),
    redeliver: optional(boolean),
    confirm: optional(boolean),
  }),
);

const poolOptions = optional(options({ size: optional(positive), maxTasksPerChild: optional(positiveOrInfinite) }));

const isType = marked(TypeTypeId, "made by Manager.type(import.meta, name, Class)");

const isLock = must(
  (value) => isProxy(value) && ["Lock", "RLock"].includes(value[TypeId].type),
  "a lock of this manager: manager.lock or manager.rlock",
);

const isObject = must(
  (value) => isProxy(value) || value instanceof QueueClient,
  "an object of this manager, or undefined",
);

/** The implementation of {@link Manager}: the server is its own object 0. */
export class ManagerProxy extends Remote implements Manager {
  #make<A, E = never>(type: string, ...args: ReadonlyArray<unknown>): Making<A, E> {
    return create<A, E>(this[TypeId], P.BUILTIN, type, ...args);
  }

  #checked<A, E, R>(method: string, values: object, checks: Checks, use: () => Effect.Effect<A, E, R>) {
    return checked(`manager.${method}`, values, checks, use);
  }

  #queue<A>(method: string, type: string, options: QueueOptions | undefined): Making<Queue<A>, QueueError> {
    return checkedAs(
      (message) => new QueueError("InvalidOption", message),
      `manager.${method}`,
      { options },
      { options: queueOptions },
      () => this.#make<Queue<A>, QueueError>(type, options),
    );
  }

  #semaphore(method: string, type: string, permits: number | undefined): Making<Semaphore> {
    return checkedAs(
      invalidOption,
      `manager.${method}`,
      { permits },
      { permits: optional(count) },
      () => this.#make<Semaphore>(type, permits),
    );
  }

  readonly dict = <K, V>(entries: Iterable<readonly [K, V]> = []) =>
    withPairs("manager.dict", entries, (list) => this.#make<Dict<K, V>>("dict", list));
  readonly list = <A>(items: Iterable<A> = []) =>
    this.#checked("list", { items }, { items: iterable }, () => this.#make<List<A>>("list", [...items]));
  readonly namespace = <T extends object>(attributes?: T) =>
    this.#checked(
      "namespace",
      { attributes },
      { attributes: optional(record) },
      () => this.#make<Namespace<T>>("Namespace", attributes && { ...attributes }),
    );
  readonly value = <A>(value: A) => this.#make<Value<A>>("Value", value);
  readonly array = <T extends TypedArray>(numbers: T) =>
    this.#checked("array", { numbers }, { numbers: typedArray }, () => this.#make<Numbers<T>>("Array", numbers));
  readonly queue = <A>(options?: QueueOptions) => this.#queue<A>("queue", "Queue", options);
  readonly lifoQueue = <A>(options?: QueueOptions) => this.#queue<A>("lifoQueue", "LifoQueue", options);
  readonly priorityQueue = <A>(options?: QueueOptions) => this.#queue<A>("priorityQueue", "PriorityQueue", options);
  get lock() {
    return this.#make<Lock>("Lock");
  }
  get rlock() {
    return this.#make<RLock>("RLock");
  }
  readonly semaphore = (permits?: number) => this.#semaphore("semaphore", "Semaphore", permits);
  readonly boundedSemaphore = (permits?: number) => this.#semaphore("boundedSemaphore", "BoundedSemaphore", permits);
  readonly condition = (lock?: Lock | RLock) =>
    this.#checked("condition", { lock }, { lock: optional(isLock) }, () => this.#make<Condition>("Condition", lock));
  get event() {
    return this.#make<Event>("Event");
  }
  readonly barrier = (parties: number, action?: Task<[], unknown, unknown>) =>
    checkedAs(
      invalidOption,
      "manager.barrier",
      { parties, action },
      { parties: positive, action: optional(isTask) },
      () => this.#make<Barrier>("Barrier", parties, action && [action.url, action.name]),
    );
  readonly sharedMemory = (size: number) =>
    checkedAs(
      invalidMemory,
      "manager.sharedMemory",
      { size },
      { size: positive },
      () => this.#make<SharedMemory, MemoryError>("SharedMemory", size),
    );
  readonly shareableList = <A>(values: Iterable<A & Element>) =>
    checkedAs(
      invalidMemory,
      "manager.shareableList",
      { values },
      { values: iterable },
      () => this.#make<ShareableList<A>, MemoryError | OutOfRange>("ShareableList", [...values]),
    );
  readonly pool = (options?: Pick<PoolOptions, "size" | "maxTasksPerChild">) =>
    checkedAs(
      (message) => new PoolError({ reason: "InvalidOption", message }),
      "manager.pool",
      { options },
      { options: poolOptions },
      () => this.#make<SharedPool, PoolError>("Pool", options),
    );
  readonly create = <Args extends ReadonlyArray<unknown>, A extends Proxy, E>(
    type: Type<Args, A, E>,
    ...args: Args
  ) =>
    this.#checked(
      "create",
      { type },
      { type: isType },
      () => create<A, E | RemoteError>(this[TypeId], type.url, type.name, ...args),
    );
  readonly publish = (name: string, object: Proxy | Dequeue<unknown> | undefined) =>
    this.#checked(
      "publish",
      { name, object },
      { name: isName, object: optional(isObject) },
      () => ask<void>(this[TypeId], "publish", name, object),
    );
  readonly find = <A>(name: string) =>
    this.#checked("find", { name }, { name: isName }, () => ask<A | undefined>(this[TypeId], "find", name));
  get statistics() {
    return ask<Statistics>(this[TypeId], "statistics");
  }
  get objects() {
    return ask<ReadonlyArray<ObjectInfo>>(this[TypeId], "debug");
  }
}
