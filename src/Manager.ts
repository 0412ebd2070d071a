/**
 * Objects that live in a server process and are used from many processes: dicts, lists, locks, and classes of a
 * program's own.
 *
 * A {@link Manager} is a server. {@link make} starts one in the scope, and the server ends with the scope, or with the
 * program that started it. The objects that it makes are used through proxies. Each operation of a proxy is an Effect
 * that is done at the server, one after the other, each as a whole. Proxies, and managers as well, can be sent to any
 * process of the family, at any time, and into other managed objects, themselves included.
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
 * // Runs at the server. What it returns is the new value.
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
 * | made by | what it is |
 * | --- | --- |
 * | `dict`, `namespace` | a Map, with Python's operations as well; attributes by name. Keys are compared by value |
 * | `list` | an Array, with Python's operations as well |
 * | `value`, `array` | one value; numbers of one kind |
 * | `lock`, `rlock`, `semaphore`, `boundedSemaphore` | a holder that is killed gives it back; requests are served in the order in which they came |
 * | `condition`, `event`, `barrier` | waiting for each other; a barrier breaks when one of its parties gives up or dies |
 * | `queue`, `lifoQueue`, `priorityQueue` | a queue that lives at the server |
 * | `pool` | a pool whose workers are children of the server |
 * | `create(type, ...args)` | an object of a class of the program's own |
 *
 * A value that is read is a copy: changing it changes nothing at the server. To change a part deep inside, run a task
 * at the server with `modify`: it receives a copy, and its result is the new value. If it fails, or is interrupted
 * before it is done, nothing has changed. While it takes its time other processes read, and wait to write.
 * `compareAndSet`, `setDefault`, `add` and the like need no task.
 *
 * `dict.watch`, `list.watch` and `value.watch` are Streams of the present content and of each later change. The server
 * does not wait for a reader: a reader that falls behind by more than 1024 changes receives the whole content again in
 * place of the changes that it has missed.
 *
 * ## A class of one's own
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
 * The class stays at the server, which loads its module and finds it by name, as it finds tasks. `Manager.type` takes a
 * function as well, plain, `async` or an Effect with a `Scope`, which is closed when the object is freed.
 *
 * - Methods are Effects with their results, and fail as they fail; an exception of a method that is no Effect is a
 *   `RemoteError`, whose `cause` has the stack of the server. A method that takes its time holds up only its caller,
 *   and is interrupted with its caller.
 * - Methods whose results are Streams are named in `streams`. Objects that methods named in `returns` give stay at the
 *   server, and come back as proxies of the type that is named there.
 * - Other processes can call the methods that do not begin with `_`, or those in `exposed`. They reach nothing else: no
 *   properties, and nothing that every object has. The server knows the modules that had defined types or tasks when it
 *   was made, or those in `modules`.
 *
 * ## How long an object lives
 *
 * An object is held by the scope in which it was made. When no process holds it any more it is freed, and later uses
 * fail with `Unreachable`. A handle does not hold it: no object is kept for a dead process, and objects can refer to
 * each other and to themselves.
 *
 * | to keep it | |
 * | --- | --- |
 * | for as long as a scope is open, in any process | `Manager.retain(proxy)` |
 * | while it is on its way to a process that will retain it | `Manager.lease(proxy, "1 minute")`; with `Infinity`, as long as the manager |
 *
 * A process that is killed gives back all that it held: objects, and locks. `manager.statistics` says how many objects
 * there are, and of which types.
 *
 * | the end of | what becomes of it |
 * | --- | --- |
 * | a process that uses a manager | Objects that it made are freed, unless other processes hold them, and its locks go to the next process. |
 * | the server | Every call fails at once with `Unreachable`, waiting calls as well. |
 * | the program that has started the server | The server ends as well. |
 * | a call, by interruption | A `pop` or `shift` has taken nothing, `take` and `acquire` hold nothing. A task or method is interrupted at the server, and waited for, five seconds at most. An operation of a single step, `set` for example, may have been done. |
 *
 * ## Managers of other programs
 *
 * `Manager.serve` serves a manager in this process, to programs that this one has not started, on this machine or on
 * others; `Manager.connect` attaches to it. Both sides first prove that they have the same key, as with listeners and
 * clients. Objects that are published by a name are found by every client.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect } from "effect";
 *
 * const authKey = crypto.getRandomValues(new Uint8Array(32)); // both programs have to know it
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
 * - Other programs make objects of the library's types (but no pools), and of those in `types`; they change objects by
 *   the tasks in `tasks`. Types and tasks are found by their names, since the other program may know their modules by
 *   other URLs.
 * - Only data and the manager's own objects cross: queues, too, and all of them into each other. Any other handle is an
 *   `EncodeError`, and a forged handle ends the connection.
 * - Objects and locks of a program go with its connection.
 * - Proxies can be sent to processes of the family; their calls pass through the process that is connected.
 * - When the connection breaks, open calls fail with `Disconnected`: whether they were done is `unknown`. The next call
 *   connects again; if that fails, the call was not done, and says `no`.
 *
 * ## From Python
 *
 * | Python | here |
 * | --- | --- |
 * | `Manager()`, `with Manager() as manager` | `Manager.make()` in a scope |
 * | `manager.dict()`, `manager.list()`, `manager.Namespace()` | `manager.dict()`, `manager.list()`, `manager.namespace()` |
 * | `d[k] = v`, `d[k]`, `del d[k]`, `k in d`, `len(d)` | `dict.set(k, v)`, `dict.get(k)`, `dict.delete(k)`, `dict.has(k)`, `dict.size` |
 * | `d["nest"]["k"] = 2`, which is lost | `dict.modify("nest", task)`, which is not |
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
 * | `RemoteError`, exceptions of methods | `RemoteError`, whose `cause` has the stack of the server; an Effect's own failures |
 * | `_number_of_objects()`, `_debug_info()` | `manager.statistics`, `manager.objects` |
 * | `get_server().serve_forever()`, `connect()` | `Manager.serve({ address, authKey })`, `Manager.connect({ address, authKey })` |
 * | `register("get_queue", lambda: queue)` | `manager.publish("queue", queue)`, `manager.find("queue")` |
 * | reference counts of proxies | the scope that made the object, `Manager.retain`, `Manager.lease` |
 * | `start(initializer, initargs)`, `shutdown`, `join` | `Manager.make({ initializer })`, `manager.shutdown`, `manager.process.join` |
 * | (cannot be done) | `watch`, `compareAndSet`, a lock whose holder was killed, `Equal.equals(proxy, other)` |
 *
 * @module
 */
import "./internal/kinds.ts";
import type * as Duration from "effect/Duration";
import type * as Effect from "effect/Effect";
import type * as Scope from "effect/Scope";
import type { Backend, CallError, KillPolicy, Permissions, SpawnError } from "./Backend.ts";
import type { Failure } from "./internal/manager/calls.ts";
import type { ManagerError } from "./internal/manager/errors.ts";
import type { Manager } from "./internal/manager/manager.ts";
import {
  type AnyType,
  type Proxy,
  type ProxyOf,
  type Type,
  TypeId,
  type TypeOptions,
  TypeTypeId,
} from "./internal/manager/typed.ts";
import * as Types from "./internal/manager/types.ts";
import type { Address } from "./internal/network/address.ts";
import type { Trust } from "./internal/network/dial.ts";
import type { AuthenticationError, ConnectError, ListenError } from "./internal/network/errors.ts";
import type { AuthKey } from "./internal/network/key.ts";
import type { Certificate } from "./internal/network/bind.ts";
import { lazily } from "./internal/os/lazy.ts";
import type { Initializer } from "./Pool.ts";
import type * as Process from "./Process.ts";
import type * as Task from "./Task.ts";

export { Unreachable } from "./internal/objects/errors.ts";
export { BrokenBarrier, SyncError } from "./internal/sync/errors.ts";
export type { Address } from "./internal/network/address.ts";
export type { Failure, Place } from "./internal/manager/calls.ts";
export type { Change, Dict, DictChange, Name, Namespace } from "./internal/manager/dict.ts";
export { Disconnected, ManagerError, type ManagerErrorReason, RemoteError } from "./internal/manager/errors.ts";
export type { List, ListChange } from "./internal/manager/list.ts";
export type { Making, Manager, ObjectInfo, Statistics } from "./internal/manager/manager.ts";
export type { SharedPool } from "./internal/manager/pool.ts";
export type {
  Acquirable,
  Barrier,
  BarrierStatistics,
  Condition,
  Event,
  Lock,
  LockStatistics,
  RLock,
  Semaphore,
} from "./internal/manager/sync.ts";
export {
  type AnyType,
  type Exposed,
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
export type { NumberOf, Numbers, TypedArray, Value } from "./internal/manager/value.ts";

const implementation = lazily(() => import("./internal/manager/make.ts"));

/**
 * Options of a manager.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends KillPolicy {
  /** Label of the server's process. @default `Manager-1` and so on */
  readonly name?: string | undefined;
  /** URLs of the modules whose types and tasks the server may use. @default those that have defined some by now */
  readonly modules?: ReadonlyArray<string> | undefined;
  /** What the server runs before it serves; see `Pool.initializer`. If it fails, the acquisition fails with a `ManagerError`. */
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
  /** Ends the server, and waits for its end. Later uses of its objects fail with `Unreachable`. */
  readonly shutdown: Effect.Effect<void>;
}

/**
 * Starts a server, and returns when it serves. Python's `Manager()`.
 *
 * Fails with a `SpawnError` if its process cannot be started, with a `ManagerError` (`InitializerFailed`) if its initializer fails, and
 * as the process fails if it ends before it serves.
 *
 * *Interruption:* ends the process that was started meanwhile.
 * *Release:* ends the server by the kill policy; later uses of its objects fail with `Unreachable`.
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
  /** Where to listen. @default a Unix socket in a new folder of its own; on Windows any free port of 127.0.0.1 */
  readonly address?: Address | undefined;
  /** What clients have to know. @default `Process.authKey`, which this program shares with its children */
  readonly authKey?: AuthKey | undefined;
  /** Encrypts, and tells clients who this is. Needs an address with a port. @default neither */
  readonly tls?: Certificate | undefined;
  /** Types that clients can make objects of, besides the library's. @default [] */
  readonly types?: ReadonlyArray<AnyType> | undefined;
  /** Tasks by which clients can change objects. @default [] */
  readonly tasks?: ReadonlyArray<Task.Any> | undefined;
  /** Time in which a client has to prove that it has the key. @default "10 seconds" */
  readonly handshakeTimeout?: Duration.DurationInput | undefined;
  /** Connections that may be open. @default 1024 */
  readonly maxConnections?: number | undefined;
  /** Clients that may be proving that they have the key at once. @default 128 */
  readonly maxHandshakes?: number | undefined;
  /** The largest message in either direction, in bytes. @default 67108864 */
  readonly maxMessageSize?: number | undefined;
}

/**
 * A manager whose server is in this process, and serves other programs.
 *
 * @since 0.1.0
 * @category models
 */
export interface Served extends Manager {
  /** Where it listens: with the port that the system has chosen, or the path of its socket. */
  readonly address: Address;
}

/**
 * Serves a manager in this process, to its family and to other programs that have the key. Python's `get_server().serve_forever()`.
 *
 * Other programs can make objects of the library's types (but no pools, and no shared memory), and of those in `types`; find what was published; and
 * call what is exposed. Of what they send, and of what they are sent, only this manager's objects are more than data: a handle of
 * anything else is an `EncodeError`. What a program made, and the locks that it holds, go when its connection ends.
 *
 * Fails with a `ListenError` if it cannot listen there.
 *
 * *Release:* listens no more, ends the connections, and frees the objects.
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
  /** Where the manager is. */
  readonly address: Address;
  /** What it has to know. @default `Process.authKey` */
  readonly authKey?: AuthKey | undefined;
  /** Whether to encrypt, as the manager does, and whose certificates to trust. @default false */
  readonly tls?: Trust | boolean | undefined;
  /** Time for connecting and for the proof of the key, both together. @default "10 seconds" */
  readonly timeout?: Duration.DurationInput | undefined;
  /** The largest message in either direction, in bytes. @default 67108864 */
  readonly maxMessageSize?: number | undefined;
}

/**
 * Connects to a manager that another program serves. What it gives, and its proxies, can be sent to processes of this family, whose
 * calls then pass through this one. Python's `connect`.
 *
 * When the connection breaks, calls under way fail with `Disconnected`, which says that they may have been done, and the next one
 * connects again. What was made over the broken connection is gone unless somebody else holds it; what was published is still there.
 *
 * Fails with a `ConnectError` if nobody can be reached there, and with an `AuthenticationError` if one of the two does not know the
 * other's key.
 *
 * *Interruption:* leaves no connection. *Release:* ends it, and with it what was made over it.
 *
 * @since 0.1.0
 * @category constructors
 */
export const connect = (
  options: ConnectOptions,
): Effect.Effect<Manager, ConnectError | AuthenticationError, Scope.Scope> =>
  implementation(({ connect }) => connect(options));

/**
 * What {@link type} does, of a class and of a function.
 *
 * @since 0.1.0
 * @category type-level
 */
export interface Define {
  /** Of a class. */
  <Args extends ReadonlyArray<unknown>, T extends object, const O extends TypeOptions<T> = Record<never, never>>(
    meta: ImportMeta,
    name: string,
    Class: new (...args: Args) => T,
    options?: O & TypeOptions<T>,
  ): Type<Args, ProxyOf<T, O>>;
  /** Of a function. */
  <Args extends ReadonlyArray<unknown>, Made, const O extends TypeOptions<Task.Success<Made>> = Record<never, never>>(
    meta: ImportMeta,
    name: string,
    make: (...args: Args) => Made,
    options?: O & TypeOptions<Task.Success<Made>>,
  ): Type<Args, ProxyOf<Task.Success<Made>, O>, Task.Failure<Made, never>>;
}

const define = (meta: ImportMeta, name: string, make: unknown, options: TypeOptions<unknown> = {}): AnyType => {
  const { url } = Types.define(meta, name, make as never, options as never);
  return { [TypeTypeId]: {} as never, url, name };
};

/**
 * Defines a type whose objects live at a server, from a class, or from a function that makes an object: a plain one, a Promise
 * or an Effect, which may need `Scope` (closed when the object is freed) and `Backend`. Call it at the top level of a module,
 * once for each name: the server loads the module and finds the type. Python's `register`.
 *
 * - Methods become Effects with their results. Those that are Effects fail as they fail; what others throw is a `RemoteError`.
 * - Methods whose result is a Stream or an AsyncIterable are named in `streams`, and become Streams.
 * - What methods named in `returns` give stays at the server, as an object of that type, and what comes back is its proxy.
 * - All methods can be called whose names do not begin with `_`, or those in `exposed`, and nothing else can: no properties, nothing
 *   that every object has.
 * - When an object is freed, its `Symbol.asyncDispose` or `Symbol.dispose` is called, if it has one.
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
export const type: Define = define as never;

/**
 * Holds an object for the scope: it lives at least as long. Fails with `Unreachable` if it is gone.
 *
 * *Release:* gives the hold back; the last one frees the object.
 *
 * @since 0.1.0
 * @category operations
 */
export const retain = (proxy: Proxy): Effect.Effect<void, Failure, Scope.Scope> =>
  implementation(({ retain }) => retain(proxy));

/**
 * Has the server itself hold an object for this long, or for ever: for a sender that does not wait until the receiver has
 * retained the object.
 *
 * @since 0.1.0
 * @category operations
 */
export const lease = (proxy: Proxy, duration: Duration.DurationInput): Effect.Effect<void, Failure> =>
  implementation(({ lease }) => lease(proxy, duration));

/**
 * A copy of what an object holds: a Map of a dict, an Array of a list, the fields of an object of one's own, as far as they
 * are data. Python's `_getvalue`.
 *
 * @since 0.1.0
 * @category operations
 */
export const getValue = (proxy: Proxy): Effect.Effect<unknown, Failure> =>
  implementation(({ getValue }) => getValue(proxy));

/**
 * What an object holds, as text for people. Python's `str` of a proxy; `String(proxy)` says what the proxy is, as its `repr`.
 *
 * @since 0.1.0
 * @category operations
 */
export const inspect = (proxy: Proxy): Effect.Effect<string, Failure> =>
  implementation(({ inspect }) => inspect(proxy));

/**
 * Whether a value is a proxy, a manager included.
 *
 * @since 0.1.0
 * @category guards
 */
export const isProxy = (value: unknown): value is Proxy =>
  typeof value === "object" && value !== null && TypeId in value;
