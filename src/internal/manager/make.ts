/**
 * How a manager is started, served to other programs, and connected to.
 *
 * @module
 */
import * as Deferred from "effect/Deferred";
import * as Duration from "effect/Duration";
import * as Effect from "effect/Effect";
import type * as Scope from "effect/Scope";
import type { Backend, CallError, SpawnError } from "../../Backend.ts";
import type { ConnectOptions, Options, Served, ServeOptions, Started } from "../../Manager.ts";
import { modules as definingModules } from "../child/tasks.ts";
import { isLibrary } from "../child/modules.ts";
import { isInitializer, processChecks, wrongOptions } from "../child/options.ts";
import { spawnFor } from "../child/process.ts";
import { show } from "../network/address.ts";
import { type AuthenticationError, ConnectError, ListenError } from "../network/errors.ts";
import { CALLS } from "../network/handshake.ts";
import type { ListenOptions } from "../network/listen.ts";
import { connectChecks, listenChecks, MAX_BYTES, MAX_MESSAGE_SIZE } from "../network/options.ts";
import { service } from "../objects/service.ts";
import * as Arguments from "../os/arguments.ts";
import { positiveDuration } from "../os/durations.ts";
import { self } from "../rpc/identity.ts";
import { address, host, retire } from "../rpc/router.ts";
import { ask, checked, type Failure, retain as hold } from "./calls.ts";
import { ManagerError } from "./errors.ts";
import { type Manager, ManagerProxy } from "./manager.ts";
import { forget } from "./proxies.ts";
import { type Proxy, TypeId } from "./remote.ts";
import type { InitializerFailed } from "./server/main.ts";
import type { Position } from "./server/server.ts";
import { TypeTypeId } from "./typed.ts";
import * as Types from "./types.ts";

let count = 0;

const managerChecks: Arguments.Checks = {
  ...processChecks,
  modules: Arguments.optional(Arguments.texts),
  initializer: Arguments.optional(isInitializer),
};

/** URLs of the user's modules that have defined types or tasks by now. */
const modules = (): ReadonlyArray<string> =>
  [...new Set([...Types.modules(), ...definingModules()])].filter((url) => !isLibrary(url));

/** Starts a server process. */
export const make = (
  options: Options,
): Effect.Effect<Started, SpawnError | CallError | ManagerError, Backend | Scope.Scope> =>
  Effect.gen(function* () {
    const wrong = wrongOptions("manager", options, managerChecks);
    if (wrong !== undefined) return yield* Effect.fail(wrong);
    const { READY, serve: task } = yield* hosting;
    const { initializer, name = `Manager-${++count}` } = options;
    const ready = yield* Deferred.make<Position, CallError | ManagerError>();
    const object = yield* Effect.acquireRelease(
      Effect.sync(() => host(service({ [READY]: (position) => Deferred.succeed(ready, position as Position) }))),
      (object) => Effect.sync(() => retire(object)),
    );
    const told = options.modules ?? modules();
    const process = yield* spawnFor(
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

/** Serves managed objects to other programs. */
export const serve = (
  options: ServeOptions,
): Effect.Effect<Served, ListenError, Backend | Scope.Scope> =>
  Effect.gen(function* () {
    const references = (all: ReadonlyArray<{ readonly url: string; readonly name: string }> = []) =>
      all.map(({ name, url }) => [url, name] as const);
    const settings = yield* listening(options);
    const { make: host_ } = yield* hosting;
    const { accept } = yield* Effect.promise(() => import("./server/accept.ts"));
    const { server, ...position } = yield* host_({
      modules: [],
      types: references(options.types),
      tasks: references(options.tasks),
    });
    const address = yield* accept(server, settings);
    return Object.assign(new ManagerProxy({ ...position, number: 0, type: "Manager" }), { address });
  }).pipe(Effect.withSpan("Manager.serve"));

/** Connects to a manager of another program. */
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
    const Connection = yield* Effect.promise(() => import("./connection.ts"));
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

/** The side of the server: no module that only names `Manager` loads it. */
const hosting = Effect.promise(() => import("./server/main.ts"));

const isType = Arguments.marked(TypeTypeId, "made by Manager.type(import.meta, name, Class)");

const serveChecks: Arguments.Checks = {
  ...listenChecks,
  types: Arguments.optional(Arguments.arrayOf(isType, "types, each made by Manager.type(import.meta, name, Class)")),
  tasks: Arguments.optional(Arguments.arrayOf(Arguments.task, "tasks, each made by Task.make(import.meta, name, fn)")),
};

/** What the options come to; fails if one makes no sense. */
const listening = (options: ServeOptions): Effect.Effect<ListenOptions, ListenError> => {
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

const isProxyCheck = Arguments.marked(TypeId, "a proxy of a managed object");

/** Keeps an object alive. */
export const retain = (proxy: Proxy): Effect.Effect<void, Failure, Scope.Scope> =>
  checked("Manager.retain", { proxy }, { proxy: isProxyCheck }, () => hold(proxy[TypeId]));

/** Keeps an object alive for a while. */
export const lease = (proxy: Proxy, duration: Duration.DurationInput): Effect.Effect<void, Failure> =>
  checked(
    "Manager.lease",
    { proxy, duration },
    { proxy: isProxyCheck, duration: positiveDuration },
    () => ask({ ...proxy[TypeId], number: 0 }, "lease", proxy[TypeId].number, Duration.toMillis(duration)),
  );

/** A copy of the object itself. */
export const getValue = (proxy: Proxy): Effect.Effect<unknown, Failure> =>
  checked(
    "Manager.getValue",
    { proxy },
    { proxy: isProxyCheck },
    () => ask({ ...proxy[TypeId], number: 0 }, "value", proxy[TypeId].number),
  );

/** How the object prints. */
export const inspect = (proxy: Proxy): Effect.Effect<string, Failure> =>
  checked(
    "Manager.inspect",
    { proxy },
    { proxy: isProxyCheck },
    () => ask({ ...proxy[TypeId], number: 0 }, "inspect", proxy[TypeId].number),
  );
