/**
 * The workers of `@effect/platform`, as processes of any backend.
 *
 * Code that uses `Worker.makePoolSerialized`, `Worker.makePool` or `Worker.make` of `@effect/platform` runs unmodified:
 * {@link layer} provides the services that it needs. A worker is a task, made by {@link runner} of the layer that
 * `WorkerRunner.layerSerialized` gives.
 *
 * ```ts
 * import * as Worker from "@effect/platform/Worker";
 * import * as WorkerRunner from "@effect/platform/WorkerRunner";
 * import * as Mp from "@effect-deno/multiprocessing";
 * import * as PlatformWorker from "@effect-deno/multiprocessing/PlatformWorker";
 * import { Effect, Schema, Stream } from "effect";
 *
 * class Sqrt extends Schema.TaggedRequest<Sqrt>()("Sqrt", {
 *   failure: Schema.String,
 *   success: Schema.Number,
 *   payload: { of: Schema.Number },
 * }) {}
 * class Count extends Schema.TaggedRequest<Count>()("Count", {
 *   failure: Schema.Never,
 *   success: Schema.Number,
 *   payload: { to: Schema.Number },
 * }) {}
 * const Request = Schema.Union(Sqrt, Count);
 *
 * const maths = PlatformWorker.runner(
 *   import.meta,
 *   "maths",
 *   WorkerRunner.layerSerialized(Request, {
 *     Sqrt: ({ of }) => of < 0 ? Effect.fail(`${of} is negative`) : Effect.succeed(Math.sqrt(of)),
 *     Count: ({ to }) => Stream.range(1, to),
 *   }),
 * );
 *
 * const program = Effect.gen(function* () {
 *   const pool = yield* Worker.makePoolSerialized<typeof Request.Type>({ size: 2 });
 *   console.log(yield* pool.executeEffect(new Sqrt({ of: 16 })));
 *   console.log(yield* Effect.flip(pool.executeEffect(new Sqrt({ of: -1 }))));
 *   console.log([...yield* Stream.runCollect(pool.execute(new Count({ to: 3 })))]);
 * }).pipe(
 *   Effect.scoped,
 *   Effect.provide(PlatformWorker.layer(() => maths)),
 *   Effect.provide(Mp.SubprocessBackend.layer()),
 * );
 *
 * if (import.meta.main) Mp.runMain(program);
 * ```
 *
 * ```text
 * 4
 * -1 is negative
 * [ 1, 2, 3 ]
 * ```
 *
 * ## When a worker dies
 *
 * Its requests fail with a `WorkerError`. A pool of `Worker.makePoolSerialized` decodes each failure by the Schema of the
 * request, and turns a `WorkerError` that the Schema refuses into a `ParseError`. Name `WorkerError` in the Schema, or use
 * {@link workerErrorOf}, which finds it in a `ParseError`.
 *
 * ```ts
 * import * as Worker from "@effect/platform/Worker";
 * import { WorkerError } from "@effect/platform/WorkerError";
 * import * as WorkerRunner from "@effect/platform/WorkerRunner";
 * import * as Mp from "@effect-deno/multiprocessing";
 * import * as PlatformWorker from "@effect-deno/multiprocessing/PlatformWorker";
 * import { Effect, Logger, LogLevel, Schema } from "effect";
 *
 * class Leave extends Schema.TaggedRequest<Leave>()("Leave", {
 *   failure: Schema.Union(Schema.String, WorkerError),
 *   success: Schema.Void,
 *   payload: { code: Schema.Number },
 * }) {}
 *
 * const leaver = PlatformWorker.runner(
 *   import.meta,
 *   "leaver",
 *   WorkerRunner.layerSerialized(Leave, { Leave: ({ code }) => Effect.sync(() => Deno.exit(code)) }),
 * );
 *
 * const program = Effect.gen(function* () {
 *   const pool = yield* Worker.makePoolSerialized<Leave>({ size: 1 });
 *   const said = yield* pool.executeEffect(new Leave({ code: 3 })).pipe(
 *     Effect.catchTag("WorkerError", ({ cause }) => Effect.succeed((cause as Error).name)),
 *   );
 *   console.log(said);
 * }).pipe(
 *   Effect.scoped,
 *   Effect.provide(PlatformWorker.layer(() => leaver)),
 *   Effect.provide([Mp.SubprocessBackend.layer(), Logger.minimumLogLevel(LogLevel.Error)]), // there is a warning
 * );
 *
 * if (import.meta.main) Mp.runMain(program);
 * ```
 *
 * ```text
 * ProcessDied
 * ```
 *
 * ## Guarantees
 *
 * - A worker that crashes, exits or is killed fails its requests with a `WorkerError`, reason `unknown`, whose `cause`
 *   is the `ProcessDied` that says how. Another takes its place a second later, and gets the initial
 *   message again. Requests made in between wait for it.
 * - A worker that cannot start fails its pool with a `WorkerError`, reason `spawn`: its module cannot be loaded, its layer
 *   fails, or it ends before it serves. `cause` says why.
 * - An interrupted request is interrupted in the worker. When the scope of a worker closes, its process has ended, by the
 *   kill policy of the options: its requests are interrupted, and a process that spins is killed. A Web Worker that spins
 *   cannot be killed; see `WorkerBackend`.
 * - Messages are values that can be sent (see `Task`). An `ArrayBuffer` that is transferred is copied once and detached
 *   here, on each backend. A `MessagePort` cannot be sent: a `WorkerError`, reason `send`.
 *
 * @module
 */
import * as Worker from "@effect/platform/Worker";
import { isWorkerError, type WorkerError } from "@effect/platform/WorkerError";
import * as WorkerRunner from "@effect/platform/WorkerRunner";
import type * as Duration from "effect/Duration";
import * as Layer from "effect/Layer";
import * as ParseResult from "effect/ParseResult";
import type { Backend, KillPolicy, Permissions } from "./Backend.ts";
import { makeManager, makePlatform } from "./internal/platform/worker.ts";
import { makeRunner } from "./internal/platform/runner.ts";
import * as Arguments from "./internal/os/arguments.ts";
import type { Connection } from "./Pipe.ts";
import * as Task from "./Task.ts";

/**
 * A worker: a task that serves the process which has started it.
 *
 * @since 0.1.0
 * @category models
 */
export type Runner = Task.Task<[port: Connection<unknown>], void, unknown>;

/**
 * Options of the processes of workers.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends KillPolicy {
  /** How long finalizers may take after the interruption. @default 1 second */
  readonly gracePeriod?: Duration.DurationInput | undefined;
  /** Their label: `name-0`, `name-1` and so on. @default the names that processes are given */
  readonly name?: string | undefined;
  /** Their permissions, instead of the backend's. On a backend without permissions, a `WorkerError`. */
  readonly permissions?: Permissions | undefined;
}

/**
 * Defines a worker. Call it at the top level of a module, once for each name, as `Task.make`.
 *
 * The layer comes from `WorkerRunner.layer`, `WorkerRunner.layerSerialized` or `RpcServer.layerProtocolWorkerRunner`, with
 * the services of its handlers. It may need `Backend`, to start processes of its own. It is built once for
 * each worker.
 *
 * Throws a `TypeError` if the name is empty or taken in this module, if `meta` is not an `import.meta`, or if `layer` is not a
 * Layer.
 *
 * *Interruption:* a request is interrupted in its worker. *Release:* the layer is released before the process ends.
 *
 * ```ts
 * import * as WorkerRunner from "@effect/platform/WorkerRunner";
 * import * as PlatformWorker from "@effect-deno/multiprocessing/PlatformWorker";
 * import { Effect } from "effect";
 *
 * export const squares = PlatformWorker.runner(
 *   import.meta,
 *   "squares",
 *   WorkerRunner.layer((n: number) => Effect.succeed(n * n)),
 * );
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const runner = (
  meta: ImportMeta,
  name: string,
  layer: Layer.Layer<never, unknown, WorkerRunner.PlatformRunner | Backend>,
): Runner => {
  demand(Arguments.wrong({ layer }, { layer: Arguments.layer }));
  return Task.make(
    meta,
    name,
    (port: Connection<unknown>) =>
      WorkerRunner.launch(Layer.provide(layer, Layer.succeed(WorkerRunner.PlatformRunner, makeRunner(port)))),
  );
};

const demand = (wrong: string | undefined): void => {
  if (wrong !== undefined) throw new TypeError(Arguments.invalidArgument("PlatformWorker.runner", wrong));
};

const defaults = { gracePeriod: "1 second" } as const;

const settings = (options: Options): Options =>
  // The start of a worker reports options that are no object.
  Arguments.record(options) === undefined ? { ...defaults, ...options } : options;

/**
 * Provides the `PlatformWorker` that starts workers in processes, without a manager: for `RpcClient.layerProtocolWorker` with a `Spawner` of its
 * own.
 *
 * *Release:* all its processes have ended.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import * as PlatformWorker from "@effect-deno/multiprocessing/PlatformWorker";
 * import { Layer } from "effect";
 *
 * export const layer = PlatformWorker.layerPlatform().pipe(Layer.provide(Mp.WorkerBackend.layer()));
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerPlatform = (options: Options = {}): Layer.Layer<Worker.PlatformWorker, never, Backend> =>
  Layer.scoped(Worker.PlatformWorker, makePlatform(settings(options)));

/**
 * Provides the `PlatformWorker` that starts workers in processes, and the `WorkerManager` of `@effect/platform` over it, for
 * a `Spawner` of its own. A process that replaces another gets the initial message again.
 *
 * *Release:* all its processes have ended.
 *
 * ```ts
 * import * as Worker from "@effect/platform/Worker";
 * import * as WorkerRunner from "@effect/platform/WorkerRunner";
 * import * as PlatformWorker from "@effect-deno/multiprocessing/PlatformWorker";
 * import { Effect, Layer } from "effect";
 *
 * const even = PlatformWorker.runner(import.meta, "even", WorkerRunner.layer((n: number) => Effect.succeed(2 * n)));
 * const odd = PlatformWorker.runner(import.meta, "odd", WorkerRunner.layer((n: number) => Effect.succeed(2 * n + 1)));
 *
 * export const layer = Layer.merge(
 *   PlatformWorker.layerManager({ gracePeriod: "5 seconds" }),
 *   Worker.layerSpawner((id) => id % 2 === 0 ? even : odd),
 * );
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerManager = (
  options: Options = {},
): Layer.Layer<Worker.WorkerManager | Worker.PlatformWorker, never, Backend> =>
  Layer.merge(Layer.scoped(Worker.WorkerManager, makeManager(settings(options))), layerPlatform(options));

/**
 * Provides the services that `Worker.makePool`, `Worker.makePoolSerialized` and `RpcClient.layerProtocolWorker` need.
 * `spawn` gives the worker for a number, from 0 on.
 *
 * An invalid option, or a `spawn` that does not return a worker, fails each worker with a `WorkerError`, reason `spawn`.
 *
 * *Release:* all its processes have ended.
 *
 * ```ts
 * import * as Worker from "@effect/platform/Worker";
 * import * as WorkerRunner from "@effect/platform/WorkerRunner";
 * import * as Mp from "@effect-deno/multiprocessing";
 * import * as PlatformWorker from "@effect-deno/multiprocessing/PlatformWorker";
 * import { Effect } from "effect";
 *
 * const doubles = PlatformWorker.runner(import.meta, "doubles", WorkerRunner.layer((n: number) => Effect.succeed(2 * n)));
 *
 * export const program = Worker.makePool<number, number, never>({ size: 2 }).pipe(
 *   Effect.flatMap((pool) => pool.executeEffect(21)),
 *   Effect.scoped,
 *   Effect.provide(PlatformWorker.layer(() => doubles, { name: "doubles" })),
 *   Effect.provide(Mp.WorkerBackend.layer()),
 * );
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  spawn: (id: number) => Runner,
  options: Options = {},
): Layer.Layer<Worker.WorkerManager | Worker.Spawner | Worker.PlatformWorker, never, Backend> =>
  Layer.merge(layerManager(options), Worker.layerSpawner(spawn));

/**
 * The `WorkerError` of a failed request: the failure itself, or the value that a `ParseError` names because the Schema of the
 * request refuses it; `undefined` if there is none. Its `cause` is the `ProcessDied` of a worker that has died.
 *
 * ```ts
 * import { WorkerError } from "@effect/platform/WorkerError";
 * import { workerErrorOf } from "@effect-deno/multiprocessing/PlatformWorker";
 *
 * console.log(workerErrorOf(new WorkerError({ reason: "spawn", cause: "none" }))?.reason, workerErrorOf("other"));
 * ```
 *
 * ```text
 * spawn undefined
 * ```
 *
 * @since 0.1.0
 * @category accessors
 */
export const workerErrorOf = (failure: unknown): WorkerError | undefined => {
  const error = ParseResult.isParseError(failure) ? failure.issue.actual : failure;
  return isWorkerError(error) ? error : undefined;
};
