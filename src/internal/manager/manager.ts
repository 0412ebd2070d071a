/**
 * The client of a manager.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import type * as Scope from "effect/Scope";
import type { Barrier } from "../../Barrier.ts";
import type { Condition } from "../../Condition.ts";
import type { Event } from "../../Event.ts";
import type { Lock } from "../../Lock.ts";
import type { Options as PoolOptions } from "../../Pool.ts";
import type { RLock } from "../../RLock.ts";
import type { Semaphore } from "../../Semaphore.ts";
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
import { ask, checked, checkedAs, create, type ManagerFailure } from "./calls.ts";
import { type Dict, type Namespace, withPairs } from "./proxies/dict.ts";
import { ManagerError, type RemoteError } from "./errors.ts";
import type { List } from "./proxies/list.ts";
import type { SharedPool } from "./proxies/pool.ts";
import * as P from "./protocol.ts";
import { isProxy, type Proxy, Remote, TypeId } from "./proxies/remote.ts";
import { type Managed, type Type, TypeTypeId } from "./typed.ts";
import { type Numbers, type TypedArray, typedArray, type Value } from "./proxies/value.ts";

/**
 * The state of a manager's server.
 *
 * @since 0.1.0
 * @category models
 */
export interface Statistics {
  /** The number of objects. Python's `_number_of_objects`. */
  readonly objects: number;
  /** The number of objects of each type. */
  readonly types: Readonly<Record<string, number>>;
  /** The number of scopes, names and leases that hold objects. */
  readonly holds: number;
  /** The number of objects made so far. */
  readonly made: number;
  /** The number of calls received so far. */
  readonly calls: number;
  /** The number of open calls, including those that hold objects. */
  readonly pending: number;
}

/**
 * One object of a server, for diagnosis.
 *
 * @since 0.1.0
 * @category models
 */
export interface ObjectInfo {
  /** The number of the object. */
  readonly object: number;
  /** The name of its type. */
  readonly type: string;
  /** The number of scopes, names and leases that hold it. */
  readonly holds: number;
}

/** An Effect that makes an object at the server, and holds it for the scope. @since 0.1.0 @category models */
export type Making<A, E = never> = Effect.Effect<A, E | ManagerFailure, Scope.Scope>;

/**
 * A server process that keeps objects for other processes. A manager can be sent to any process, which can then make objects.
 *
 * An object lives as long as the scope in which it was made, or longer if other scopes retain it. An object that no scope holds is
 * freed, and later uses fail with `Unreachable`.
 *
 * *Release*, of every object that is made here: frees the object, unless another scope holds it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Manager extends Proxy {
  /** Makes a dict with these entries. Python's `dict`. */
  readonly dict: <K, V>(entries?: Iterable<readonly [K, V]>) => Making<Dict<K, V>>;
  /** Makes a list with these items. Python's `list`. */
  readonly list: <A>(items?: Iterable<A>) => Making<List<A>>;
  /** Makes a namespace with these attributes. Python's `Namespace`. */
  readonly namespace: <T extends object>(attributes?: T) => Making<Namespace<T>>;
  /** Makes a value. Python's `Value`. */
  readonly value: <A>(value: A) => Making<Value<A>>;
  /** Makes an array of numbers, from a typed array. Python's `Array`. */
  readonly array: <T extends TypedArray>(numbers: T) => Making<Numbers<T>>;
  /** Makes a queue at the server. Python's `Queue` and `JoinableQueue`. */
  readonly queue: <A>(options?: QueueOptions) => Making<Queue<A>, QueueError>;
  /** Makes a queue that gives the newest item first. Python's `LifoQueue`. */
  readonly lifoQueue: <A>(options?: QueueOptions) => Making<Queue<A>, QueueError>;
  /** Makes a queue that gives the smallest item first, by its natural order. Python's `PriorityQueue`. */
  readonly priorityQueue: <A>(options?: QueueOptions) => Making<Queue<A>, QueueError>;
  /** Makes a lock. Python's `Lock`. */
  readonly lock: Making<Managed<Lock>>;
  /** Makes a recursive lock. Python's `RLock`. */
  readonly rlock: Making<Managed<RLock>>;
  /** Makes a semaphore with a number of permits, by default one. Python's `Semaphore`. */
  readonly semaphore: (permits?: number) => Making<Managed<Semaphore>>;
  /** Makes a semaphore that never has more permits than it was made with. Python's `BoundedSemaphore`. */
  readonly boundedSemaphore: (permits?: number) => Making<Managed<Semaphore>>;
  /** Makes a condition of a lock, or of a recursive lock of its own. Python's `Condition`. */
  readonly condition: (lock?: Lock | RLock) => Making<Managed<Condition>>;
  /** Makes an event. Python's `Event`. */
  readonly event: Making<Managed<Event>>;
  /**
   * Makes a barrier. When all parties have arrived, the action runs at the server before they go on. If it fails, the server logs the
   * failure, and the barrier is broken with `ActionFailed`. Python's `Barrier`.
   */
  readonly barrier: (parties: number, action?: Task<[], unknown, unknown>) => Making<Managed<Barrier>>;
  /** Makes shared memory of `size` bytes, which lives like an object of the manager. Not for other programs. */
  readonly sharedMemory: (size: number) => Making<SharedMemory, MemoryError>;
  /** Makes a list of fixed length in shared memory. Not for other programs. */
  readonly shareableList: <A>(
    values: Iterable<A & Element>,
  ) => Making<ShareableList<A>, MemoryError | OutOfRange>;
  /** Makes a pool whose workers are children of the server. Not for other programs. Python's `Pool`. */
  readonly pool: (options?: Pick<PoolOptions, "size" | "maxTasksPerChild">) => Making<SharedPool, PoolError>;
  /**
   * Makes an object of a type that was defined with `Manager.type`. Fails with a `RemoteError` if its constructor throws, or like the
   * Effect that makes it.
   */
  readonly create: <Args extends ReadonlyArray<unknown>, A extends Proxy, E>(
    type: Type<Args, A, E>,
    ...args: Args
  ) => Making<A, E | RemoteError>;
  /**
   * Publishes an object of this manager under a name, for all processes and programs that have the manager. The name holds the
   * object until it is given to another object, or to `undefined`. Not for other programs.
   */
  readonly publish: (name: string, object: Proxy | Dequeue<unknown> | undefined) => Effect.Effect<void, ManagerFailure>;
  /** The object that was published under a name, or `undefined`. The caller states its type. */
  readonly find: <A>(name: string) => Effect.Effect<A | undefined, ManagerFailure>;
  /** The state of the server. */
  readonly statistics: Effect.Effect<Statistics, ManagerFailure>;
  /** The objects of the server. Python's `_debug_info`. */
  readonly objects: Effect.Effect<ReadonlyArray<ObjectInfo>, ManagerFailure>;
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

/** The proxy of a server, which is its own object 0. */
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

  #semaphore(method: string, type: string, permits: number | undefined): Making<Managed<Semaphore>> {
    return checkedAs(
      invalidOption,
      `manager.${method}`,
      { permits },
      { permits: optional(count) },
      () => this.#make<Managed<Semaphore>>(type, permits),
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
    return this.#make<Managed<Lock>>("Lock");
  }
  get rlock() {
    return this.#make<Managed<RLock>>("RLock");
  }
  readonly semaphore = (permits?: number) => this.#semaphore("semaphore", "Semaphore", permits);
  readonly boundedSemaphore = (permits?: number) => this.#semaphore("boundedSemaphore", "BoundedSemaphore", permits);
  readonly condition = (lock?: Lock | RLock) =>
    this.#checked(
      "condition",
      { lock },
      { lock: optional(isLock) },
      () =>
        Effect.flatMap(
          lock === undefined ? this.rlock : Effect.succeed(lock),
          (lock) => this.#make<Managed<Condition>>("Condition", lock),
        ),
    );
  get event() {
    return this.#make<Managed<Event>>("Event");
  }
  readonly barrier = (parties: number, action?: Task<[], unknown, unknown>) =>
    checkedAs(
      invalidOption,
      "manager.barrier",
      { parties, action },
      { parties: positive, action: optional(isTask) },
      () => this.#make<Managed<Barrier>>("Barrier", parties, action && [action.url, action.name]),
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
