/**
 * Starting the server of a manager: in a process of its own (`Manager.make`), or in this process for other programs
 * (`Manager.serve`).
 *
 * @module
 */
import * as Deferred from "effect/Deferred";
import * as Duration from "effect/Duration";
import * as Effect from "effect/Effect";
import type * as Scope from "effect/Scope";
import type { Backend, CallError, SpawnError } from "../../Backend.ts";
import type { Options, Served, ServeOptions, Started } from "../../Manager.ts";
import { isLibrary } from "../child/modules.ts";
import { modules as taskModules } from "../child/tasks.ts";
import { isInitializer, processChecks, wrongOptions } from "../child/options.ts";
import { spawnFor } from "../child/process.ts";
import { ListenError } from "../network/errors.ts";
import { CALLS } from "../network/handshake.ts";
import type { ListenOptions } from "../network/listen.ts";
import { listenChecks, MAX_BYTES, MAX_MESSAGE_SIZE } from "../network/options.ts";
import { service } from "../objects/service.ts";
import * as Arguments from "../os/arguments.ts";
import { self } from "../rpc/identity.ts";
import { address, host, retire } from "../rpc/router.ts";
import { ManagerError } from "./errors.ts";
import { ManagerProxy } from "./manager.ts";
import type { InitializerFailed } from "./server/main.ts";
import type { ServerRef } from "./server/object_table.ts";
import { TypeTypeId } from "./typed.ts";
import * as Types from "./types.ts";

/** The server's side: loaded only by a process that starts a server. */
const loadServer = Effect.promise(() => import("./server/main.ts"));

let count = 0;

const managerChecks: Arguments.Checks = {
  ...processChecks,
  modules: Arguments.optional(Arguments.texts),
  initializer: Arguments.optional(isInitializer),
};

/** URLs of the user's modules that have defined types or tasks so far. */
const userModules = (): ReadonlyArray<string> =>
  [...new Set([...Types.modules(), ...taskModules()])].filter((url) => !isLibrary(url));

/** Starts a server, and returns when it is ready. */
export const make = (
  options: Options,
): Effect.Effect<Started, SpawnError | CallError | ManagerError, Backend | Scope.Scope> =>
  Effect.gen(function* () {
    const wrong = wrongOptions("manager", options, managerChecks);
    if (wrong !== undefined) return yield* Effect.fail(wrong);
    const { READY, serve: task } = yield* loadServer;
    const { initializer, name = `Manager-${++count}` } = options;
    const ready = yield* Deferred.make<ServerRef, CallError | ManagerError>();
    const object = yield* Effect.acquireRelease(
      Effect.sync(() => host(service({ [READY]: (ref) => Deferred.succeed(ready, ref as ServerRef) }))),
      (object) => Effect.sync(() => retire(object)),
    );
    const modules = options.modules ?? userModules();
    const process = yield* spawnFor(
      modules,
      { ...options, name, daemon: true },
      task,
      { address: address(), object, host: self().name },
      modules,
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
    const manager = managerOf(yield* Deferred.await(ready));
    return Object.assign(manager, { process, shutdown: process.terminate });
  }).pipe(Effect.withSpan("Manager.make"));

const managerOf = (ref: ServerRef): ManagerProxy => new ManagerProxy({ ...ref, number: 0, type: "Manager" });

const isType = Arguments.marked(TypeTypeId, "made by Manager.type(import.meta, name, Class)");

const serveChecks: Arguments.Checks = {
  ...listenChecks,
  types: Arguments.optional(Arguments.arrayOf(isType, "types, each made by Manager.type(import.meta, name, Class)")),
  tasks: Arguments.optional(Arguments.arrayOf(Arguments.task, "tasks, each made by Task.make(import.meta, name, fn)")),
};

/** The options for listening, with defaults. */
const listenOptions = (options: ServeOptions): Effect.Effect<ListenOptions, ListenError> => {
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
  return Effect.succeed({
    address,
    authKey,
    tls,
    purpose: CALLS,
    limits: { maxBytes: MAX_BYTES, maxMessageSize },
    handshakeMillis: Duration.toMillis(handshakeTimeout),
    maxConnections,
    maxHandshakes,
  });
};

/** Hosts a server in this process, and serves it to other programs. */
export const serve = (options: ServeOptions): Effect.Effect<Served, ListenError, Backend | Scope.Scope> =>
  Effect.gen(function* () {
    const references = (all: ReadonlyArray<{ readonly url: string; readonly name: string }> = []) =>
      all.map(({ name, url }) => [url, name] as const);
    const listening = yield* listenOptions(options);
    const { make } = yield* loadServer;
    const { accept } = yield* Effect.promise(() => import("./server/accept.ts"));
    const { ref, server } = yield* make({
      modules: [],
      types: references(options.types),
      tasks: references(options.tasks),
    });
    return Object.assign(managerOf(ref), { address: yield* accept(server, listening) });
  }).pipe(Effect.withSpan("Manager.serve"));
