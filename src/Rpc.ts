/**
 * The typed services of `@effect/rpc` between processes: over the connection of a pipe, over a listener and its clients,
 * to a process that it starts, or to a pool of workers.
 *
 * An `RpcGroup` describes a service; `RpcServer` and `RpcClient` of `@effect/rpc` serve and call it. This module gives
 * them their protocols.
 *
 * ```ts
 * import * as Rpc from "@effect/rpc/Rpc";
 * import * as RpcClient from "@effect/rpc/RpcClient";
 * import * as RpcGroup from "@effect/rpc/RpcGroup";
 * import * as RpcServer from "@effect/rpc/RpcServer";
 * import * as Mp from "@effect-deno/multiprocessing";
 * import * as MpRpc from "@effect-deno/multiprocessing/Rpc";
 * import { Effect, Layer, Schema, Stream } from "effect";
 *
 * class Unknown extends Schema.TaggedError<Unknown>()("Unknown", { id: Schema.Number }) {}
 *
 * class Users extends RpcGroup.make(
 *   Rpc.make("name", { payload: { id: Schema.Number }, success: Schema.String, error: Unknown }),
 *   Rpc.make("ids", { success: Schema.Number, stream: true }),
 * ) {}
 *
 * const handlers = Users.toLayer({
 *   name: ({ id }) => id === 1 ? Effect.succeed("Ada") : new Unknown({ id }),
 *   ids: () => Stream.range(1, 3),
 * });
 *
 * const users = MpRpc.server(import.meta, "users", RpcServer.layer(Users).pipe(Layer.provide(handlers)));
 *
 * const program = Effect.gen(function* () {
 *   const client = yield* RpcClient.make(Users);
 *   console.log(yield* client.name({ id: 1 }));
 *   console.log(yield* client.name({ id: 2 }).pipe(Effect.catchTag("Unknown", ({ id }) => Effect.succeed(`no user ${id}`))));
 *   console.log([...yield* Stream.runCollect(client.ids())]);
 * }).pipe(
 *   Effect.scoped,
 *   Effect.provide(MpRpc.layerProcess(users)),
 *   Effect.provide(Mp.SubprocessBackend.layer()),
 * );
 *
 * if (import.meta.main) Mp.runMain(program);
 * ```
 *
 * ```text
 * Ada
 * no user 2
 * [ 1, 2, 3 ]
 * ```
 *
 * ## Which one
 *
 * | server | client |
 * | --- | --- |
 * | a process that this one starts: {@link server} | {@link layerProcess} |
 * | a process that has the other end of a pipe: {@link layerServer} | {@link layerClient} |
 * | another program: {@link layerServer} of a `Listener` | {@link layerClient} of `Client.connect` |
 * | a pool of workers: `PlatformWorker.runner` with `RpcServer.layerProtocolWorkerRunner` | `RpcClient.layerProtocolWorker` with `PlatformWorker.layer` |
 *
 * ## Guarantees
 *
 * - Payloads, results, errors and the elements of streams are encoded by their Schemas, and then as any message of this
 *   library. A result that cannot be sent is a defect of its request alone.
 * - A request that is interrupted, by a timeout for instance, is interrupted in the server.
 * - A stream has back-pressure: the server waits for its reader.
 * - When the server ends, each open request, and each later one, fails with an `RpcClientError`. Its `cause` says why:
 *   the `ProcessDied` of a process of {@link layerProcess}, otherwise the `EndOfFile` of the connection.
 * - When a client ends, the server interrupts its requests.
 * - The server closes the connection of a client that sends any message that does not belong to `@effect/rpc`, and logs a warning.
 *   Other clients go on.
 *
 * In a pool of workers, `@effect/rpc` fails the open requests of all workers when one of them dies.
 *
 * @module
 */
import * as RpcClient from "@effect/rpc/RpcClient";
import * as RpcServer from "@effect/rpc/RpcServer";
import * as Cause from "effect/Cause";
import * as Deferred from "effect/Deferred";
import * as Effect from "effect/Effect";
import * as Layer from "effect/Layer";
import * as Stream from "effect/Stream";
import type { Backend, SpawnError } from "./Backend.ts";
import { processChecks, wrongOptions } from "./internal/child/options.ts";
import * as Arguments from "./internal/os/arguments.ts";
import { makeClient, makeServer, type ServiceConnection } from "./internal/platform/rpc.ts";
import type { Listener } from "./Listener.ts";
import * as Pipe from "./Pipe.ts";
import * as Process from "./Process.ts";
import * as Task from "./Task.ts";

/**
 * The connections of a server: one end of a pipe, a listener, or any Stream of connections.
 *
 * @since 0.1.0
 * @category models
 */
export type Connections =
  | Pipe.Connection<unknown, never>
  | Listener<unknown, never>
  | Stream.Stream<Pipe.Connection<unknown, never>>;

/**
 * The task of a process that serves the other end of a pipe.
 *
 * @since 0.1.0
 * @category models
 */
export type Server = Task.Task<[port: Pipe.Connection<unknown>], void, unknown>;

const demand = (operation: string, values: object, checks: Arguments.Checks): void => {
  const wrong = Arguments.wrong(values, checks);
  if (wrong !== undefined) throw new TypeError(Arguments.invalidArgument(`Rpc.${operation}`, wrong));
};

const isConnection = Arguments.marked(Pipe.TypeId, "a connection, such as one of the two that Pipe.make gives");

const has = (value: unknown, check: Arguments.Check): boolean => check(value) === undefined;

const isListener = Arguments.must(
  (value) => has(value, Arguments.record) && has((value as Partial<Listener<unknown>>).connections, Arguments.stream),
  "a listener",
);

const isConnections = Arguments.must(
  (value) => [isConnection, isListener, Arguments.stream].some((check) => has(value, check)),
  "a connection, a listener or a Stream of connections",
);

const streamOf = (connections: Connections): Stream.Stream<ServiceConnection> => {
  if (has(connections, isConnection)) return Stream.make(connections as ServiceConnection);
  return (has(connections, isListener) ? (connections as Listener<unknown>).connections : connections) as Stream.Stream<
    ServiceConnection
  >;
};

/**
 * Provides the protocol of a client whose server has the other end of a connection, of a pipe or of a listener. One
 * connection serves one client: nothing else may receive from it.
 *
 * Throws a `TypeError` if the argument is not a connection.
 *
 * *Interruption:* a request is interrupted in the server. *Release:* receives no more; the connection stays open.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import * as MpRpc from "@effect-deno/multiprocessing/Rpc";
 * import { Effect, Layer } from "effect";
 *
 * export const remote = (address: Mp.Listener.Address) =>
 *   Layer.unwrapScoped(Effect.map(Mp.Client.connect<unknown>({ address }), MpRpc.layerClient));
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerClient = (connection: Pipe.Connection<unknown, never>): Layer.Layer<RpcClient.Protocol> => {
  demand("layerClient", { connection }, { connection: isConnection });
  return Layer.scoped(RpcClient.Protocol, makeClient(connection as ServiceConnection, Effect.succeed(undefined)));
};

/**
 * Provides the protocol of a server, for one connection or for each that a listener accepts. The server closes a connection
 * when its client has ended.
 *
 * Throws a `TypeError` if the argument is not a connection, a listener or a Stream.
 *
 * *Release:* open requests are interrupted, and connections closed.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import * as MpRpc from "@effect-deno/multiprocessing/Rpc";
 * import { Effect, Layer } from "effect";
 *
 * export const protocol = Layer.unwrapScoped(
 *   Effect.map(Mp.Listener.make<unknown>({ address: { hostname: "127.0.0.1", port: 7000 } }), MpRpc.layerServer),
 * );
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerServer = (connections: Connections): Layer.Layer<RpcServer.Protocol> => {
  demand("layerServer", { connections }, { connections: isConnections });
  return Layer.scoped(
    RpcServer.Protocol,
    Effect.flatMap(Deferred.make<void>(), (done) => makeServer(streamOf(connections), done)),
  );
};

/**
 * Defines a process that serves. Call it at the top level of a module, once for each name, as `Task.make`. The layer
 * comes from `RpcServer.layer`, with its handlers; it may need `Backend`, to start processes of its own.
 *
 * The result is a task, whose argument is one end of a pipe, and which ends when the other end does.
 *
 * Throws a `TypeError` if the name is empty or taken in this module, if `meta` is not an `import.meta`, or if `layer` is not a
 * Layer.
 *
 * *Release:* the layer is released before the process ends.
 *
 * ```ts
 * import * as Rpc from "@effect/rpc/Rpc";
 * import * as RpcGroup from "@effect/rpc/RpcGroup";
 * import * as RpcServer from "@effect/rpc/RpcServer";
 * import * as MpRpc from "@effect-deno/multiprocessing/Rpc";
 * import { Effect, Layer, Schema } from "effect";
 *
 * export class Clock extends RpcGroup.make(Rpc.make("now", { success: Schema.Number })) {}
 *
 * export const clock = MpRpc.server(
 *   import.meta,
 *   "clock",
 *   RpcServer.layer(Clock).pipe(Layer.provide(Clock.toLayer({ now: () => Effect.sync(Date.now) }))),
 * );
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const server = (
  meta: ImportMeta,
  name: string,
  layer: Layer.Layer<never, unknown, RpcServer.Protocol | Backend>,
): Server => {
  demand("server", { layer }, { layer: Arguments.layer });
  return Task.make(meta, name, (port: Pipe.Connection<unknown>) =>
    Effect.gen(function* () {
      const done = yield* Deferred.make<void>();
      const protocol = Layer.scoped(RpcServer.Protocol, makeServer(Stream.make(port), done));
      yield* Layer.build(Layer.provide(layer, protocol));
      yield* Deferred.await(done);
    }));
};

/**
 * Starts a process that serves, and provides the protocol of its client. Options are those of a process.
 *
 * Fails with a `SpawnError` if the process cannot be started. If it ends, then or later, requests fail with an
 * `RpcClientError` whose `cause` says why.
 *
 * *Interruption:* a request is interrupted in the process. *Release:* the process is terminated by its kill policy.
 *
 * ```ts
 * import type * as RpcClient from "@effect/rpc/RpcClient";
 * import * as Mp from "@effect-deno/multiprocessing";
 * import * as MpRpc from "@effect-deno/multiprocessing/Rpc";
 * import { Layer } from "effect";
 *
 * export const inWorker = (users: MpRpc.Server): Layer.Layer<RpcClient.Protocol, Mp.Process.SpawnError> =>
 *   MpRpc.layerProcess(users, { name: "users" }).pipe(Layer.provide(Mp.WorkerBackend.layer()));
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerProcess = (
  server: Server,
  options: Omit<Process.Options, "daemon"> = {},
): Layer.Layer<RpcClient.Protocol, SpawnError, Backend> =>
  Layer.scoped(
    RpcClient.Protocol,
    Effect.gen(function* () {
      const wrong = wrongOptions("process", options, processChecks);
      if (wrong !== undefined) return yield* Effect.fail(wrong);
      const [port, theirs] = yield* Effect.orDie(Pipe.make<unknown>());
      const process = yield* Process.spawnWith(server, [theirs], { ...options, daemon: true }).pipe(
        // A connection of this process can always be sent.
        Effect.catchTag("EncodeError", Effect.die),
      );
      const why = Effect.map(process.exit, (outcome) => {
        switch (outcome._tag) {
          case "Died":
          case "Rejected":
            return outcome.error;
          case "Failure":
            return Cause.squash(outcome.cause);
          case "Success":
            return undefined;
        }
      });
      return yield* makeClient(port, why);
    }),
  );
