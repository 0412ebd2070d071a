/**
 * Children as Web Workers: threads of this process, which start fast, have its permissions and end with it.
 *
 * - The end of a worker is noticed at once, with its reason, however the worker ends, `self.close()` and `Deno.exit()`
 *   included: the worker holds a lock for life, and the backend waits for that lock.
 * - A worker that never turns its event loop cannot be stopped by this Deno (`capabilities.killBusy` is `false`).
 * - Workers have no signals, exit codes, streams or permissions of their own.
 *
 * This program needs `--allow-read` for its own modules, since Deno asks for it when a worker loads them. `deno task
 * bench --filter=process.start.cold` compares the start of workers with that of subprocesses.
 *
 * ## Type checks
 *
 * `deno test` and `deno run --check` check the types of all modules that the first worker of a program loads, before it
 * starts. Without a cache that takes as long as `deno check`; `--no-check` saves the time. Subprocesses are never checked.
 *
 * ## A worker that cannot be stopped
 *
 * - A caller that waits for it is released at once, and a pool has another worker a second later.
 * - Its thread uses a core until the program ends; it is logged, and counted by {@link quarantined} and the metric
 *   `multiprocessing_workers_quarantined`. With `maxQuarantined`, no more workers are started when so many of these threads run.
 * - A pool refuses a task that is marked as `killable`, with the `PoolError` `Unsupported`.
 * - `runMain` ends the program nevertheless.
 *
 * Use `SubprocessBackend` for tasks that can get stuck.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect, Logger, LogLevel, Schedule } from "effect";
 *
 * const half = Mp.Task.make(import.meta, "half", (n: number) => n / 2);
 * const spin = Mp.Task.make(import.meta, "spin", () => {
 *   while (true);
 * });
 *
 * const program = Effect.gen(function* () {
 *   const pool = yield* Mp.Pool.make({ size: 1, gracePeriod: "100 millis" });
 *   console.log(yield* pool.apply(half, 8));
 *   const late = yield* Effect.flip(Effect.timeout(pool.apply(spin), "500 millis"));
 *   console.log(late._tag, yield* pool.apply(half, 10));
 *   // The thread is counted when it has not ended a second after its termination.
 *   const poll = { until: (count: number) => count > 0, schedule: Schedule.spaced("50 millis") };
 *   yield* Effect.repeat(Mp.WorkerBackend.quarantined, poll);
 *   console.log("quarantined:", yield* Mp.WorkerBackend.quarantined);
 * }).pipe(
 *   Effect.scoped,
 *   Effect.provide([Mp.WorkerBackend.layer(), Logger.minimumLogLevel(LogLevel.Error)]), // there is a warning
 * );
 *
 * if (import.meta.main) Mp.runMain(program);
 * ```
 *
 * ```text
 * 4
 * TimeoutException 5
 * quarantined: 1
 * ```
 *
 * ## From Python
 *
 * | Python | here |
 * | --- | --- |
 * | `multiprocessing.dummy`, `multiprocessing.pool.ThreadPool` | the same program with `WorkerBackend.layer()` |
 *
 * @module
 */
import "./internal/kinds.ts";
import type * as Effect from "effect/Effect";
import * as Layer from "effect/Layer";
import type * as Scope from "effect/Scope";
import { Backend } from "./Backend.ts";
import type { Observe } from "./Telemetry.ts";
import { layerRefusingEffect4 } from "./internal/os/effect4.ts";
import { lazily } from "./internal/os/lazy.ts";

const implementation = lazily(() => import("./internal/child/backends/worker_backend.ts"));

/** Never called: naming the modules that children load makes Deno fetch and cache them together with this one. */
const _children = (): ReadonlyArray<Promise<unknown>> => [
  import("./internal/entry/worker.ts"),
  import("./internal/entry/followed.ts"),
];

/**
 * Options of the backend, for all its children.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The largest message in either direction, in bytes. @default 1 GiB */
  readonly maxMessageSize?: number | undefined;
  /**
   * Number of workers to start before they are needed, with the modules of all tasks loaded. Using one costs less than a
   * millisecond. `"auto"` keeps one ready after the first start, with the modules that were used, and ends it after a minute
   * without use; `false` is 0. @default 0
   */
  readonly standby?: number | "auto" | false | undefined;
  /** URLs of further modules that standby workers load. */
  readonly preload?: ReadonlyArray<string> | undefined;
  /**
   * The telemetry that children report about the Effects of their tasks: `true` for all kinds, or a selection. Log entries go to
   * the loggers of the fiber that started the child, spans to its tracer; `Telemetry.metrics` gives the state of the metrics.
   * Children of children inherit the option. @default false
   */
  readonly observe?: boolean | Observe | undefined;
  /**
   * Number of {@link quarantined} threads of this program at which no more workers are started: a start fails with the `SpawnError`
   * `Quarantine`, and a pool that cannot replace its workers with the `PoolError` `Broken`. @default unlimited
   */
  readonly maxQuarantined?: number | undefined;
}

/**
 * Number of threads of this program that were terminated and still run, because they never turn their event loop. Nothing waits
 * for them, and each uses a core: use `SubprocessBackend` for tasks that can get stuck.
 *
 * @since 0.1.0
 * @category accessors
 */
export const quarantined: Effect.Effect<number> = implementation(({ quarantined }) => quarantined);

/**
 * Makes the backend, for programs that build their own layers.
 *
 * If an option is invalid, each start fails with the `SpawnError` `InvalidArgument`, which names the option.
 *
 * *Release:* ends the standby workers.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<Backend, never, Scope.Scope> =>
  implementation(({ make }) => make(options));

/**
 * Provides a `Backend` whose children are Web Workers. Python's `multiprocessing.dummy` is similar, but its threads do not run
 * in parallel.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options = {}): Layer.Layer<Backend> =>
  layerRefusingEffect4(Layer.scoped(Backend, make(options)));
