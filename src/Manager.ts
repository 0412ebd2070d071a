/**
 * Objects that live in a server process and are used from many: dicts, lists, locks, and what a program defines itself.
 *
 * - A {@link Manager} is a server. {@link make} starts one in the scope, and it ends with that, however the scope does; when
 *   whoever started it is killed, it ends as well.
 * - What a manager makes is a proxy: each operation is an Effect that is done at the server. Proxies, and managers, can be sent
 *   anywhere: as arguments and results of tasks, through queues and pipes, and into other managed objects, themselves included.
 * - Operations are done one after the other, each as a whole. What is read is a copy; what is to be changed deep inside is changed
 *   by a task that runs at the server (`modify`), so that nothing is lost. A method that takes its time holds up nobody but its caller.
 * - An object lives as long as the scope in which it was made. Whoever needs it longer holds it with {@link retain}, and who gives
 *   it away without waiting keeps it for a while with {@link lease}. A process that dies gives back all that it held, locks included.
 * - When the server is gone every call fails at once with `Unreachable`.
 * - {@link serve} serves a manager to other programs that have its key, {@link connect} attaches to one.
 * - All that crosses is data. Others reach the types of the library, the types and tasks of the modules that the server was
 *   told of, and of an object the methods that are exposed.
 *
 * @module
 */
import * as Deferred from "effect/Deferred";
import * as Duration from "effect/Duration";
import * as Effect from "effect/Effect";
import type * as Scope from "effect/Scope";
import type { Backend, CallError, KillPolicy, Permissions, SpawnError } from "./Backend.ts";
import { isLibrary } from "./backend/modules.ts";
import { service } from "./hosted/service.ts";
import { address, host, retire } from "./link/router.ts";
import { self } from "./link/self.ts";
import { ask, checked, type Failure, retain as hold } from "./manager/calls.ts";
import * as Connection from "./manager/connection.ts";
import { open } from "./manager/host/door.ts";
import { type InitializerFailed, make as host_, READY, serve as task } from "./manager/host/main.ts";
import { ManagerError } from "./manager/errors.ts";
import type { Position } from "./manager/host/server.ts";
import { type Manager, ManagerProxy } from "./manager/manager.ts";
import { forget } from "./manager/proxies.ts";
import { isProxy as isRemote, type Proxy, TypeId } from "./manager/remote.ts";
import { type AnyType, type ProxyOf, type Type, type TypeOptions, TypeTypeId } from "./manager/typed.ts";
import * as Types from "./manager/types.ts";
import type { Initializer } from "./Pool.ts";
import * as Process from "./Process.ts";
import { type Address, show } from "./remote/address.ts";
import type { Trust } from "./remote/dial.ts";
import { type AuthenticationError, ConnectError, ListenError } from "./remote/errors.ts";
import { CALLS } from "./remote/handshake.ts";
import type { AuthKey } from "./remote/key.ts";
import type { Certificate, Options as Settings } from "./remote/listen.ts";
import { isInitializer, processChecks, wrongOptions } from "./backend/checks.ts";
import * as Arguments from "./os/arguments.ts";
import { positiveDuration } from "./os/durations.ts";
import { connectChecks, listenChecks, MAX_BYTES, MAX_MESSAGE_SIZE } from "./remote/options.ts";
import * as Task from "./Task.ts";

export { Unreachable } from "./hosted/errors.ts";
export { BrokenBarrier, SyncError } from "./shared/errors.ts";
export type { Address } from "./remote/address.ts";
export type { Failure, Place } from "./manager/calls.ts";
export type { Change, Dict, DictChange, Name, Namespace } from "./manager/dict.ts";
export { Disconnected, ManagerError, type ManagerErrorReason, RemoteError } from "./manager/errors.ts";
export type { List, ListChange } from "./manager/list.ts";
export type { Making, Manager, ObjectInfo, Statistics } from "./manager/manager.ts";
export type { SharedPool } from "./manager/pool.ts";
export { type Proxy, TypeId } from "./manager/remote.ts";
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
} from "./manager/sync.ts";
export {
  type AnyType,
  type Exposed,
  type MethodName,
  type ProxyOf,
  type PublicName,
  type Result,
  type SingleResult,
  type StreamResult,
  type Type,
  type TypeOptions,
  TypeTypeId,
} from "./manager/typed.ts";
export type { NumberOf, Numbers, TypedArray, Value } from "./manager/value.ts";

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
  /** Ends the server, and waits for its end. Everybody who uses its objects then fails with `Unreachable`. */
  readonly shutdown: Effect.Effect<void>;
}

let count = 0;

const managerChecks: Arguments.Checks = {
  ...processChecks,
  modules: Arguments.optional(Arguments.texts),
  initializer: Arguments.optional(isInitializer),
};

/** URLs of the user's modules that have defined types or tasks by now. */
const modules = (): ReadonlyArray<string> =>
  [...new Set([...Types.modules(), ...Task.modules()])].filter((url) => !isLibrary(url));

/**
 * Starts a server, and returns when it serves. Python's `Manager()`.
 *
 * Fails with a `SpawnError` if its process cannot be started, with a `ManagerError` (`InitializerFailed`) if its initializer fails, and
 * as the process fails if it ends before it serves.
 *
 * *Interruption:* ends the process that was started meanwhile.
 * *Release:* ends the server by the kill policy; everybody who uses its objects then fails with `Unreachable`.
 *
 * ```ts
 * import { Manager, Process, runMain, SubprocessBackend, Task } from "@effect-deno/multiprocessing";
 * import { Effect } from "effect";
 *
 * const greet = Task.make(import.meta, "greet", (names: Manager.List<string>) => names.push("world"));
 *
 * const program = Effect.gen(function* () {
 *   const manager = yield* Manager.make();
 *   const names = yield* manager.list(["hello"]);
 *   yield* Process.run(greet, names);
 *   console.log(yield* names.toArray); // ["hello", "world"]
 * }).pipe(Effect.scoped, Effect.provide(SubprocessBackend.layer()));
 *
 * if (import.meta.main) runMain(program);
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  options: Options = {},
): Effect.Effect<Started, SpawnError | CallError | ManagerError, Backend | Scope.Scope> =>
  Effect.gen(function* () {
    const wrong = wrongOptions("manager", options, managerChecks);
    if (wrong !== undefined) return yield* Effect.fail(wrong);
    const { initializer, name = `Manager-${++count}` } = options;
    const ready = yield* Deferred.make<Position, CallError | ManagerError>();
    const object = yield* Effect.acquireRelease(
      Effect.sync(() => host(service({ [READY]: (position) => Deferred.succeed(ready, position as Position) }))),
      (object) => Effect.sync(() => retire(object)),
    );
    const told = options.modules ?? modules();
    const process = yield* Process.spawnFor(
      told,
      { ...options, name, daemon: true },
      task,
      { address: address(), object, host: self().name },
      told,
      ...initializer === undefined
        ? []
        : [{ task: [initializer.task.url, initializer.task.name] as const, args: initializer.args }],
    );
    const joined = Effect.catchIf(
      process.join,
      (error): error is InitializerFailed => "_tag" in error && error._tag === "InitializerFailed",
      ({ cause, task }) =>
        Effect.fail(
          new ManagerError(
            "InitializerFailed",
            `Cannot start the manager: the initializer "${task}" failed in ${name}`,
            cause,
          ),
        ),
    );
    yield* Effect.forkScoped(Effect.catchAllCause(joined, (cause) => Deferred.failCause(ready, cause)));
    const position = yield* Deferred.await(ready);
    const manager = new ManagerProxy({ ...position, number: 0, type: "Manager" });
    return Object.assign(manager, { process, shutdown: process.terminate });
  }).pipe(Effect.withSpan("Manager.make"));

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
 * import { Manager, SubprocessBackend } from "@effect-deno/multiprocessing";
 * import { Effect } from "effect";
 *
 * export const server = (authKey: Uint8Array) =>
 *   Effect.gen(function* () {
 *     const manager = yield* Manager.serve({ address: { hostname: "127.0.0.1", port: 50_000 }, authKey });
 *     yield* manager.publish("jobs", yield* manager.queue<string>({ capacity: 100 }));
 *     return yield* Effect.never;
 *   }).pipe(Effect.scoped, Effect.provide(SubprocessBackend.layer()));
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const serve = (
  options: ServeOptions = {},
): Effect.Effect<Served, ListenError, Backend | Scope.Scope> =>
  Effect.gen(function* () {
    const references = (all: ReadonlyArray<{ readonly url: string; readonly name: string }> = []) =>
      all.map(({ name, url }) => [url, name] as const);
    const settings = yield* listening(options);
    const { server, ...position } = yield* host_({
      modules: [],
      types: references(options.types),
      tasks: references(options.tasks),
    });
    const address = yield* open(server, settings);
    return Object.assign(new ManagerProxy({ ...position, number: 0, type: "Manager" }), { address });
  }).pipe(Effect.withSpan("Manager.serve"));

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
  Effect.gen(function* () {
    const wrong = Arguments.wrongOptions(options, connectChecks);
    if (wrong !== undefined) {
      return yield* Effect.fail(new ConnectError("InvalidOption", Arguments.invalidOption("manager", wrong)));
    }
    const { address: where, authKey, maxMessageSize = MAX_MESSAGE_SIZE, timeout = "10 seconds", tls } = options;
    const millis = Duration.toMillis(timeout);
    const limits = { maxBytes: MAX_BYTES, maxMessageSize };
    const connection = yield* Connection.make({ address: where, authKey, tls, purpose: CALLS, limits, millis });
    const place = yield* Effect.acquireRelease(
      Effect.sync(() => ({
        address: address(),
        gate: host(connection),
        host: show(where),
        number: 0,
        type: "Manager",
      })),
      (place) =>
        Effect.sync(() => {
          retire(place.gate);
          forget(place);
        }),
    );
    return new ManagerProxy({ ...place, stranger: true });
  }).pipe(Effect.withSpan("Manager.connect"));

const isType = Arguments.marked(TypeTypeId, "made by Manager.type(import.meta, name, Class)");

const serveChecks: Arguments.Checks = {
  ...listenChecks,
  types: Arguments.optional(Arguments.arrayOf(isType, "types, each made by Manager.type(import.meta, name, Class)")),
  tasks: Arguments.optional(Arguments.arrayOf(Arguments.task, "tasks, each made by Task.make(import.meta, name, fn)")),
};

/** What the options come to; fails if one makes no sense. */
const listening = (options: ServeOptions): Effect.Effect<Settings, ListenError> => {
  const wrong = Arguments.wrongOptions(options, serveChecks);
  if (wrong !== undefined) {
    return Effect.fail(new ListenError("InvalidOption", Arguments.invalidOption("manager", wrong)));
  }
  const {
    address,
    authKey,
    handshakeTimeout = "10 seconds",
    maxConnections = 1024,
    maxHandshakes = 128,
    maxMessageSize = MAX_MESSAGE_SIZE,
    tls,
  } = options;
  const handshakeMillis = Duration.toMillis(handshakeTimeout);
  const limits = { maxBytes: MAX_BYTES, maxMessageSize };
  const counts = { handshakeMillis, maxConnections, maxHandshakes };
  return Effect.succeed({ ...counts, address, authKey, limits, purpose: CALLS, tls });
};

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
 * import { Manager } from "@effect-deno/multiprocessing";
 * import { Effect } from "effect";
 *
 * class Maths {
 *   add(x: number, y: number) {
 *     return x + y;
 *   }
 * }
 * export const maths = Manager.type(import.meta, "Maths", Maths);
 *
 * export const seven = Effect.gen(function* () {
 *   const manager = yield* Manager.make();
 *   const proxy = yield* manager.create(maths);
 *   return yield* proxy.add(4, 3);
 * });
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const type: Define = define as never;

const isProxyCheck = Arguments.marked(TypeId, "a proxy of a managed object");

/**
 * Holds an object for the scope: it lives at least as long. Fails with `Unreachable` if it is gone.
 *
 * *Release:* gives the hold back; the last one frees the object.
 *
 * @since 0.1.0
 * @category operations
 */
export const retain = (proxy: Proxy): Effect.Effect<void, Failure, Scope.Scope> =>
  checked("Manager.retain", { proxy }, { proxy: isProxyCheck }, () => hold(proxy[TypeId]));

/**
 * Has the server itself hold an object for so long, or for ever: for who gives it away and does not wait until whoever receives it
 * has retained it.
 *
 * @since 0.1.0
 * @category operations
 */
export const lease = (proxy: Proxy, duration: Duration.DurationInput): Effect.Effect<void, Failure> =>
  checked(
    "Manager.lease",
    { proxy, duration },
    { proxy: isProxyCheck, duration: positiveDuration },
    () => ask({ ...proxy[TypeId], number: 0 }, "lease", proxy[TypeId].number, Duration.toMillis(duration)),
  );

/**
 * A copy of what an object holds: a Map of a dict, an Array of a list, the fields of an object of one's own, as far as they
 * are data. Python's `_getvalue`.
 *
 * @since 0.1.0
 * @category operations
 */
export const getValue = (proxy: Proxy): Effect.Effect<unknown, Failure> =>
  checked(
    "Manager.getValue",
    { proxy },
    { proxy: isProxyCheck },
    () => ask({ ...proxy[TypeId], number: 0 }, "value", proxy[TypeId].number),
  );

/**
 * What an object holds, as text for people. Python's `str` of a proxy; `String(proxy)` says what the proxy is, as its `repr`.
 *
 * @since 0.1.0
 * @category operations
 */
export const inspect = (proxy: Proxy): Effect.Effect<string, Failure> =>
  checked(
    "Manager.inspect",
    { proxy },
    { proxy: isProxyCheck },
    () => ask({ ...proxy[TypeId], number: 0 }, "inspect", proxy[TypeId].number),
  );

/**
 * Whether a value is a proxy, a manager included.
 *
 * @since 0.1.0
 * @category guards
 */
export const isProxy = (value: unknown): value is Proxy => isRemote(value);
