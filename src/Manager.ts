/**
 * Objects that live in a server process and are used by many processes: dicts, lists, locks, and classes of the
 * program.
 *
 * A {@link Manager} is a server. {@link make} starts one, which ends with the scope, or with the program that started
 * it. Objects at the server are used through proxies. Each operation of a proxy is an Effect that runs at the server;
 * operations run one at a time, each as a whole. Proxies and managers can be sent to any process of the family, at any
 * time, and into managed objects, even into themselves.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect } from "effect";
 *
 * interface Shelf {
 *   readonly apples: number;
 *   readonly boxes: ReadonlyArray<string>;
 * }
 *
 * // Runs at the server. Its result is the new value.
 * const pack = Mp.Task.make(import.meta, "pack", (shelf: Shelf | undefined, box: string): Shelf => ({
 *   apples: (shelf?.apples ?? 0) + 1,
 *   boxes: [...shelf?.boxes ?? [], box],
 * }));
 *
 * const work = Mp.Task.make(
 *   import.meta,
 *   "work",
 *   (shelves: Mp.Manager.Dict<string, Shelf>, box: string) => shelves.modify("first", pack, box),
 * );
 *
 * const program = Effect.gen(function* () {
 *   const manager = yield* Mp.Manager.make();
 *   const shelves = yield* manager.dict<string, Shelf>();
 *   yield* Mp.Process.run(work, shelves, "red");
 *   yield* Mp.Process.run(work, shelves, "blue");
 *   console.log(yield* shelves.get("first"));
 *
 *   const lock = yield* manager.lock;
 *   console.log(yield* lock.withLock(lock.isLocked), yield* lock.isLocked);
 * }).pipe(Effect.scoped, Effect.provide(Mp.SubprocessBackend.layer()));
 *
 * if (import.meta.main) Mp.runMain(program);
 * ```
 *
 * ```text
 * { apples: 2, boxes: [ "red", "blue" ] }
 * true false
 * ```
 *
 * | method | object |
 * | --- | --- |
 * | `dict`, `namespace` | a Map with Python's operations; attributes by name. Keys are compared by value |
 * | `list` | an Array with Python's operations |
 * | `value`, `array` | one value; numbers of one kind |
 * | `lock`, `rlock`, `semaphore`, `boundedSemaphore` | a `Lock`, `RLock` or `Semaphore` of this library that the server hosts |
 * | `condition`, `event`, `barrier` | a `Condition`, `Event` or `Barrier` of this library that the server hosts |
 * | `queue`, `lifoQueue`, `priorityQueue` | a queue at the server |
 * | `pool` | a pool whose workers are children of the server |
 * | `create(type, ...args)` | an object of a class of the program |
 *
 * Locks, events and the others of that kind have the types and the guarantees of the modules `Lock`, `Event` and so on, and
 * are used by messages. They are proxies as well, so a scope can retain them and a name can publish them. Their uses fail
 * with a `SyncFailure`, also when the connection to another program breaks.
 *
 * A value that is read is a copy: changing the copy changes nothing at the server. To change a part deep inside a value, run a
 * task at the server with `modify`: it receives a copy, and its result is the new value. If the task fails, or is
 * interrupted before its end, nothing has changed. While it runs, other processes can read, and wait to write.
 * `compareAndSet`, `setDefault`, `add` and similar operations need no task.
 *
 * A function that takes a `DictOperations` works with a dict of a manager and with one that programs on several machines share by
 * `NatsShared`.
 *
 * `dict.watch`, `list.watch` and `value.watch` are Streams of the current content and of each later change. The server
 * does not wait for a reader: a reader that falls behind by more than 1024 changes receives the whole content again in
 * place of the changes that it has missed.
 *
 * ## Classes of the program
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Data, Effect, Stream } from "effect";
 *
 * class Overdrawn extends Data.TaggedError("Overdrawn")<{ readonly missing: number }> {}
 *
 * class Account {
 *   #balance = 0;
 *
 *   deposit(amount: number): number {
 *     if (amount < 0) throw new RangeError("no negative amounts");
 *     return this.#balance += amount;
 *   }
 *
 *   withdraw(amount: number): Effect.Effect<number, Overdrawn> {
 *     const missing = amount - this.#balance;
 *     return missing > 0 ? Effect.fail(new Overdrawn({ missing })) : Effect.sync(() => this.#balance -= amount);
 *   }
 *
 *   countdown(): Stream.Stream<number> {
 *     return Stream.range(1, this.#balance).pipe(Stream.map((n) => this.#balance - n));
 *   }
 * }
 *
 * const account = Mp.Manager.type(import.meta, "Account", Account, { streams: ["countdown"] });
 *
 * const program = Effect.gen(function* () {
 *   const manager = yield* Mp.Manager.make();
 *   const proxy = yield* manager.create(account);
 *   console.log(yield* proxy.deposit(3));
 *   console.log(
 *     yield* proxy.withdraw(5).pipe(Effect.catchTag("Overdrawn", ({ missing }) => Effect.succeed(-missing))),
 *   );
 *   console.log([...yield* Stream.runCollect(proxy.countdown())]);
 *
 *   const error = yield* Effect.flip(proxy.deposit(-1));
 *   console.log(error._tag, error.message);
 * }).pipe(Effect.scoped, Effect.provide(Mp.SubprocessBackend.layer()));
 *
 * if (import.meta.main) Mp.runMain(program);
 * ```
 *
 * ```text
 * 3
 * -2
 * [ 2, 1, 0 ]
 * RemoteError Account.deposit failed: RangeError: no negative amounts
 * ```
 *
 * The class runs only at the server, which loads its module and finds it by name, as it finds tasks. `Manager.type` also
 * takes a function that makes an object: plain, `async`, or an Effect, whose `Scope` is closed when the object is freed.
 * `Manager.ProxyOf<typeof account>` is the type of the proxies, for the parameters of tasks.
 *
 * - Each method of a proxy is an Effect. A method that is an Effect fails with its own errors. An exception of any other method
 *   is a `RemoteError`, whose `cause` has the stack of the server. A method that takes time delays only its caller, and is
 *   interrupted with its caller.
 * - Methods whose results are Streams are named in `streams`. Results of methods that are named in `returns` stay at the server,
 *   and the caller gets proxies of the type that is named there.
 * - Other processes can call the methods whose names do not begin with `_`, or those in `exposed`. They reach nothing else: no
 *   properties, and no methods of every object. The server knows the modules that had defined types or tasks when it was
 *   made, or those in `modules`.
 *
 * ## How long an object lives
 *
 * An object is held by the scope in which it was made. An object that no scope holds is freed, and later uses fail with
 * `Unreachable`. Handles do not hold objects: nothing is kept for a dead process, and objects can refer to each other and
 * to themselves.
 *
 * | to keep an object | |
 * | --- | --- |
 * | for as long as a scope is open, in any process | `Manager.retain(proxy)` |
 * | on its way to a process that will retain it | `Manager.lease(proxy, "1 minute")`; with `Infinity`, as long as the manager |
 *
 * A process that is killed gives back all objects and locks that it held; the next holder of a lock learns of it by
 * `abandoned`. `manager.statistics` tells how many objects
 * there are, and of which types.
 *
 * | event | effect |
 * | --- | --- |
 * | a process that uses a manager ends | The objects that it made are freed, unless other processes hold them. Its locks go to the next process. |
 * | the server ends | Every call fails at once with `Unreachable`, including waiting calls. |
 * | the program that started the server ends | The server ends. |
 * | a call is interrupted | `pop` and `shift` have removed nothing, `take` and `acquire` hold nothing. A task or method is interrupted at the server; the caller waits for its end, for at most five seconds. An operation of a single step, `set` for example, may have been done. |
 *
 * ## Managers of other programs
 *
 * `Manager.serve` serves a manager in this process to programs that this program has not started, on this machine or on
 * others; `Manager.connect` connects to it. Both sides prove first that they have the same key, like listeners and
 * clients. Every client can find objects that are published under a name.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect } from "effect";
 *
 * const authKey = crypto.getRandomValues(new Uint8Array(32)); // both programs have it
 *
 * const server = Effect.gen(function* () {
 *   const manager = yield* Mp.Manager.serve({ authKey });
 *   yield* manager.publish("visits", yield* manager.value(0));
 *   return manager.address;
 * });
 *
 * const client = (address: Mp.Manager.Address) =>
 *   Effect.gen(function* () {
 *     const manager = yield* Mp.Manager.connect({ address, authKey });
 *     const visits = yield* manager.find<Mp.Manager.Value<number>>("visits");
 *     return yield* visits?.add(1) ?? Effect.fail("nothing is published");
 *   }).pipe(Effect.scoped);
 *
 * const program = Effect.gen(function* () {
 *   const address = yield* server; // in one program
 *   yield* client(address); // in another
 *   console.log(yield* client(address));
 * }).pipe(Effect.scoped, Effect.provide(Mp.SubprocessBackend.layer()));
 *
 * if (import.meta.main) Mp.runMain(program);
 * ```
 *
 * ```text
 * 2
 * ```
 *
 * - Other programs can make objects of the library's types (except pools and shared memory), and of the types in `types`.
 *   They can change objects by the tasks in `tasks`. Types and tasks are found by name, since another program may know
 *   their modules by other URLs.
 * - Only data and the manager's own objects, including its queues, can be sent between programs. Any other handle is an
 *   `EncodeError`, and a forged handle ends the connection.
 * - When a connection ends, the program's objects are freed, and its locks are given back.
 * - Proxies can be sent to processes of the family; their calls pass through the process that has connected.
 * - When the connection breaks, open calls fail with `Disconnected`; its field `executed` is `"unknown"`. The next call
 *   connects again; if that fails, the call was not executed, and the field is `"no"`.
 *
 * ## From Python
 *
 * | Python | here |
 * | --- | --- |
 * | `Manager()`, `with Manager() as manager` | `Manager.make()` in a scope |
 * | `manager.dict()`, `manager.list()`, `manager.Namespace()` | `manager.dict()`, `manager.list()`, `manager.namespace()` |
 * | `d[k] = v`, `d[k]`, `del d[k]`, `k in d`, `len(d)` | `dict.set(k, v)`, `dict.get(k)`, `dict.delete(k)`, `dict.has(k)`, `dict.size` |
 * | `d["nest"]["k"] = 2`, which is lost | `dict.modify("nest", task)`, which is not lost |
 * | `get(k, default)`, `setdefault`, `pop`, `popitem`, `update` | `getOrElse`, `setDefault`, `pop`, `popItem`, `update` |
 * | `l.append`, `l.extend`, `l[i] = v`, `l[1:3]` | `list.push`, `list.extend`, `list.set(i, v)`, `list.slice(1, 3)` |
 * | `Value`, `Array` | `manager.value(5)`, `manager.array(new Float64Array(10))` |
 * | `Lock`, `RLock`, `Semaphore`, `BoundedSemaphore` | `manager.lock`, `rlock`, `semaphore(n)`, `boundedSemaphore(n)` |
 * | `with lock` | `lock.withLock(effect)`, or `lock.acquire` for a scope |
 * | `Condition`, `Event`, `Barrier` | `manager.condition()`, `event`, `barrier(parties, action)` |
 * | `Queue`, `JoinableQueue`, `Pool` of a manager | `manager.queue()`, `lifoQueue()`, `priorityQueue()`, `pool()` |
 * | `SharedMemory`, `ShareableList` of a manager | `manager.sharedMemory(size)`, `manager.shareableList(values)` |
 * | `register("Maths", Maths)`, `manager.Maths()` | `const maths = Manager.type(import.meta, "Maths", Maths)`, `manager.create(maths)` |
 * | `exposed`, `method_to_typeid` | `exposed`, `returns` in the options of `Manager.type`; methods that are Streams in `streams` |
 * | `proxy._callmethod("add", (4, 3))` | `proxy.add(4, 3)`, with the types of the class |
 * | `_getvalue()`, `str(proxy)`, `repr(proxy)` | `Manager.getValue(proxy)`, `Manager.inspect(proxy)`, `String(proxy)` |
 * | `RemoteError`, exceptions of methods | `RemoteError`, whose `cause` has the stack of the server; the failures of an Effect |
 * | `_number_of_objects()`, `_debug_info()` | `manager.statistics`, `manager.objects` |
 * | `get_server().serve_forever()`, `connect()` | `Manager.serve({ address, authKey })`, `Manager.connect({ address, authKey })` |
 * | `register("get_queue", lambda: queue)` | `manager.publish("queue", queue)`, `manager.find("queue")` |
 * | reference counts of proxies | the scope that made the object, `Manager.retain`, `Manager.lease` |
 * | `start(initializer, initargs)`, `shutdown`, `join` | `Manager.make({ initializer })`, `manager.shutdown`, `manager.process.join` |
 * | (not possible) | `watch`, `compareAndSet`, a lock whose holder was killed, `Equal.equals(proxy, other)` |
 *
 * @module
 */
// More than 400 lines, because most of them are documentation; the implementation stands in `src/internal`.
import "./internal/kinds.ts";
import type * as Duration from "effect/Duration";
import type * as Effect from "effect/Effect";
import type * as Scope from "effect/Scope";
import type { Backend, CallError, KillPolicy, Permissions, SpawnError } from "./Backend.ts";
import type { ManagerFailure } from "./internal/manager/calls.ts";
import type { ManagerError } from "./internal/manager/errors.ts";
import type { Manager } from "./internal/manager/manager.ts";
import {
  type AnyType,
  type ClassProxy,
  type Proxy,
  type Type,
  TypeId,
  type TypeOptions,
  TypeTypeId,
} from "./internal/manager/typed.ts";
import * as Types from "./internal/manager/types.ts";
import type { Address } from "./internal/network/address.ts";
import type { Certificate } from "./internal/network/bind.ts";
import type { Trust } from "./internal/network/dial.ts";
import type { AuthenticationError, ConnectError, ListenError } from "./internal/network/errors.ts";
import type { AuthKey } from "./internal/network/key.ts";
import { lazily } from "./internal/os/lazy.ts";
import type { Initializer } from "./Pool.ts";
import type * as Process from "./Process.ts";
import type * as Task from "./Task.ts";

export { Unreachable } from "./internal/objects/errors.ts";
export { BrokenBarrier, SyncError } from "./internal/sync/errors.ts";
export type { Address } from "./internal/network/address.ts";
export type { ManagerFailure, ObjectRef } from "./internal/manager/calls.ts";
export type { Change, Dict, DictChange, DictOperations, Name, Namespace } from "./internal/manager/proxies/dict.ts";
export { Disconnected, ManagerError, type ManagerErrorReason, RemoteError } from "./internal/manager/errors.ts";
export type { List, ListChange } from "./internal/manager/proxies/list.ts";
export type { Making, Manager, ObjectInfo, Statistics } from "./internal/manager/manager.ts";
export type { SharedPool } from "./internal/manager/proxies/pool.ts";
export {
  type AnyType,
  type ClassProxy,
  type Exposed,
  type Managed,
  type MethodName,
  type Proxy,
  type ProxyOf,
  type PublicName,
  type Result,
  type SingleResult,
  type StreamResult,
  type Type,
  TypeId,
  type TypeOptions,
  TypeTypeId,
} from "./internal/manager/typed.ts";
export type { NumberOf, Numbers, TypedArray, Value } from "./internal/manager/proxies/value.ts";

const implementation = lazily(() => import("./internal/manager/make.ts"));

/**
 * Options of a manager.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends KillPolicy {
  /** The name of the server's process. @default `Manager-1` and so on */
  readonly name?: string | undefined;
  /** URLs of the modules whose types and tasks the server may use. @default the modules that have defined some so far */
  readonly modules?: ReadonlyArray<string> | undefined;
  /** A task that the server runs before it is ready; see `Pool.initializer`. If it fails, `make` fails with a `ManagerError`. */
  readonly initializer?: Initializer | undefined;
  /** Permissions of the server's process, instead of the backend's. */
  readonly permissions?: Permissions | undefined;
}

/**
 * A manager whose server this process has started.
 *
 * @since 0.1.0
 * @category models
 */
export interface Started extends Manager {
  /** The server's process. */
  readonly process: Process.Process<never, unknown>;
  /** Stops the server, and waits for its end. Later uses of its objects fail with `Unreachable`. */
  readonly shutdown: Effect.Effect<void>;
}

/**
 * Starts a server, and returns when it is ready. Python's `Manager()`.
 *
 * Fails with a `SpawnError` if the process cannot be started, with a `ManagerError` (`InitializerFailed`) if the initializer fails,
 * and like the process if it ends before it is ready.
 *
 * *Interruption:* stops the process that was started meanwhile.
 * *Release:* stops the server according to the kill policy; later uses of its objects fail with `Unreachable`.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect } from "effect";
 *
 * const greet = Mp.Task.make(import.meta, "greet", (names: Mp.Manager.List<string>) => names.push("world"));
 *
 * const program = Effect.gen(function* () {
 *   const manager = yield* Mp.Manager.make();
 *   const names = yield* manager.list(["hello"]);
 *   yield* Mp.Process.run(greet, names);
 *   console.log(yield* names.toArray); // ["hello", "world"]
 * }).pipe(Effect.scoped, Effect.provide(Mp.SubprocessBackend.layer()));
 *
 * if (import.meta.main) Mp.runMain(program);
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  options: Options = {},
): Effect.Effect<Started, SpawnError | CallError | ManagerError, Backend | Scope.Scope> =>
  implementation(({ make }) => make(options));

/**
 * Options of a manager for other programs.
 *
 * @since 0.1.0
 * @category models
 */
export interface ServeOptions {
  /** The address. @default a Unix socket in a new folder, or on Windows any free port of 127.0.0.1 */
  readonly address?: Address | undefined;
  /** The key that clients must have. @default `Process.authKey`, which this program shares with its children */
  readonly authKey?: AuthKey | undefined;
  /** Encrypts connections, and proves this side's identity. Needs a TCP address. @default no encryption */
  readonly tls?: Certificate | undefined;
  /** Types of which clients can make objects, in addition to the library's types. @default [] */
  readonly types?: ReadonlyArray<AnyType> | undefined;
  /** Tasks by which clients can change objects. @default [] */
  readonly tasks?: ReadonlyArray<Task.Any> | undefined;
  /** Time limit for a client to prove the key. @default "10 seconds" */
  readonly handshakeTimeout?: Duration.DurationInput | undefined;
  /** Maximum of open connections. @default 1024 */
  readonly maxConnections?: number | undefined;
  /** Maximum of open handshakes. @default 128 */
  readonly maxHandshakes?: number | undefined;
  /** The largest message in either direction, in bytes. @default 67108864 */
  readonly maxMessageSize?: number | undefined;
}

/**
 * A manager whose server runs in this process, and serves other programs.
 *
 * @since 0.1.0
 * @category models
 */
export interface Served extends Manager {
  /** The address, with the port that the system has chosen or the path of the socket. */
  readonly address: Address;
}

/**
 * Serves a manager in this process, to its family and to other programs that have the key. Python's `get_server().serve_forever()`.
 *
 * Other programs can make objects of the library's types (except pools and shared memory), and of the types in `types`, find
 * published objects, and call exposed methods. Messages in both directions contain only data and this manager's objects: any
 * other handle is an `EncodeError`. When a program's connection ends, the objects that it made are freed, and its locks are given
 * back.
 *
 * Fails with a `ListenError` if it cannot listen at the address.
 *
 * *Release:* stops listening, closes all connections, and frees all objects.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect } from "effect";
 *
 * export const server = (authKey: Uint8Array) =>
 *   Effect.gen(function* () {
 *     const manager = yield* Mp.Manager.serve({ address: { hostname: "127.0.0.1", port: 50_000 }, authKey });
 *     yield* manager.publish("jobs", yield* manager.queue<string>({ capacity: 100 }));
 *     return yield* Effect.never;
 *   }).pipe(Effect.scoped, Effect.provide(Mp.SubprocessBackend.layer()));
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const serve = (
  options: ServeOptions = {},
): Effect.Effect<Served, ListenError, Backend | Scope.Scope> => implementation(({ serve }) => serve(options));

/**
 * Options of a connection to a manager of another program.
 *
 * @since 0.1.0
 * @category models
 */
export interface ConnectOptions {
  /** The address of the manager. */
  readonly address: Address;
  /** The key that the manager must have. @default `Process.authKey` */
  readonly authKey?: AuthKey | undefined;
  /** Whether to use TLS, as the manager does, and which certificates to trust. @default false */
  readonly tls?: Trust | boolean | undefined;
  /** Time limit for connecting and authenticating together. @default "10 seconds" */
  readonly timeout?: Duration.DurationInput | undefined;
  /** The largest message in either direction, in bytes. @default 67108864 */
  readonly maxMessageSize?: number | undefined;
}

/**
 * Connects to a manager that another program serves. The manager and its proxies can be sent to processes of this family, whose
 * calls then pass through this process. Python's `connect`.
 *
 * When the connection breaks, open calls fail with `Disconnected`, since they may have been executed, and the next call connects
 * again. Objects that were made over the broken connection are freed unless another process holds them; published objects remain.
 *
 * Fails with a `ConnectError` if the manager cannot be reached, and with an `AuthenticationError` if the two sides have different
 * keys.
 *
 * *Interruption:* leaves no connection. *Release:* closes the connection, which frees the objects that were made over it.
 *
 * @since 0.1.0
 * @category constructors
 */
export const connect = (
  options: ConnectOptions,
): Effect.Effect<Manager, ConnectError | AuthenticationError, Scope.Scope> =>
  implementation(({ connect }) => connect(options));

/**
 * The type of {@link type}, for a class and for a function.
 *
 * @since 0.1.0
 * @category type-level
 */
export interface Define {
  /** Defines a type of a class. */
  <Args extends ReadonlyArray<unknown>, T extends object, const O extends TypeOptions<T> = Record<never, never>>(
    meta: ImportMeta,
    name: string,
    Class: new (...args: Args) => T,
    options?: O & TypeOptions<T>,
  ): Type<Args, ClassProxy<T, O>>;
  /** Defines a type of a function. */
  <Args extends ReadonlyArray<unknown>, Made, const O extends TypeOptions<Task.Success<Made>> = Record<never, never>>(
    meta: ImportMeta,
    name: string,
    make: (...args: Args) => Made,
    options?: O & TypeOptions<Task.Success<Made>>,
  ): Type<Args, ClassProxy<Task.Success<Made>, O>, Task.Failure<Made, never>>;
}

const define = (
  meta: ImportMeta,
  name: string,
  make: Types.TypeDefinition["make"],
  options: Parameters<typeof Types.define>[3] = {},
): AnyType => {
  const { url } = Types.define(meta, name, make, options);
  return { [TypeTypeId]: {} as AnyType[typeof TypeTypeId], url, name };
};

/**
 * Defines a managed type, from a class, or from a function that makes an object: plain, `async`, or an Effect, which may need
 * `Scope` (closed when the object is freed) and `Backend`. Call it at the top level of a module, once for each name: the server
 * loads the module and finds the type. Python's `register`.
 *
 * - Methods become Effects. A method that is an Effect fails with its own errors; an exception of any other method is a
 *   `RemoteError`.
 * - Methods whose result is a Stream or an AsyncIterable are named in `streams`, and become Streams.
 * - The result of a method that is named in `returns` stays at the server, as an object of that type; the caller gets its proxy.
 * - The methods whose names do not begin with `_`, or those in `exposed`, can be called. Properties and the methods of every object
 *   cannot.
 * - When an object is freed, its method `Symbol.asyncDispose` or `Symbol.dispose` is called, if it has one.
 *
 * Throws a `TypeError` if the name is empty or taken in this module, or if a method cannot be exposed.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect } from "effect";
 *
 * class Maths {
 *   add(x: number, y: number) {
 *     return x + y;
 *   }
 * }
 * export const maths = Mp.Manager.type(import.meta, "Maths", Maths);
 *
 * export const seven = Effect.gen(function* () {
 *   const manager = yield* Mp.Manager.make();
 *   const proxy = yield* manager.create(maths);
 *   return yield* proxy.add(4, 3);
 * });
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const type: Define = define as Define;

/**
 * Holds an object for the scope, so that it lives at least as long. Fails with `Unreachable` if the object was freed.
 *
 * *Release:* gives the hold back; the last one frees the object.
 *
 * @since 0.1.0
 * @category operations
 */
export const retain = (proxy: Proxy): Effect.Effect<void, ManagerFailure, Scope.Scope> =>
  implementation(({ retain }) => retain(proxy));

/**
 * Makes the server hold an object for a time, or with `Infinity` for as long as the manager lives: for a sender that does not wait
 * until the receiver has retained the object.
 *
 * @since 0.1.0
 * @category operations
 */
export const lease = (proxy: Proxy, duration: Duration.DurationInput): Effect.Effect<void, ManagerFailure> =>
  implementation(({ lease }) => lease(proxy, duration));

/**
 * A copy of an object's content: a Map for a dict, an Array for a list, the fields of an object of the program's class, which must
 * be data. Python's `_getvalue`.
 *
 * @since 0.1.0
 * @category operations
 */
export const getValue = (proxy: Proxy): Effect.Effect<unknown, ManagerFailure> =>
  implementation(({ getValue }) => getValue(proxy));

/**
 * An object's content as text. Python's `str` of a proxy; `String(proxy)` describes the proxy, like Python's `repr`.
 *
 * @since 0.1.0
 * @category operations
 */
export const inspect = (proxy: Proxy): Effect.Effect<string, ManagerFailure> =>
  implementation(({ inspect }) => inspect(proxy));

/**
 * Whether a value is a proxy, a manager included.
 *
 * @since 0.1.0
 * @category guards
 */
export const isProxy = (value: unknown): value is Proxy =>
  typeof value === "object" && value !== null && TypeId in value;
