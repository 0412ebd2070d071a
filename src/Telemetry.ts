/**
 * One log, one trace and one set of metrics for a program and all its processes.
 *
 * With the option `observe` of a backend, its children report the log entries, spans and metrics of the Effects of
 * their tasks:
 *
 * - A log entry of a child reaches the loggers of the fiber that started the child, with its level, message, cause,
 *   fiber, annotations, log spans and date, and with the annotations `process` and `pid`. The entry must satisfy the
 *   minimum log levels of both sides.
 * - A span of a child reaches the tracer of that fiber, as a descendant of the span that called the task, with its
 *   events, attributes, links and failure, and with the attribute `process.name`. When a child dies, its open spans end
 *   as failures.
 * - {@link metrics} returns the metrics of each process; {@link sum} adds them up.
 * - A child reports through its parent, so a trace spans the program and all its descendants.
 * - The result of a task arrives after all reports of the task.
 * - Reporting never blocks work. Up to 4096 events wait while others are being sent; further events are dropped, and a
 *   warning gives their number.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect, Logger, Metric } from "effect";
 *
 * const seen = Metric.counter("pages_seen");
 *
 * const read = Mp.Task.make(import.meta, "read", (page: string) =>
 *   Effect.log(`reading ${page}`).pipe(
 *     Effect.zipRight(Metric.increment(seen)),
 *     Effect.annotateLogs({ page }),
 *     Effect.withSpan("read"),
 *   ));
 *
 * const program = Effect.gen(function* () {
 *   yield* Mp.Process.run(read, "one");
 *   yield* Mp.Process.run(read, "two");
 *   const summed = Mp.Telemetry.sum(yield* Mp.Telemetry.metrics);
 *   console.log(summed.find(({ name }) => name === "pages_seen")?.state);
 * }).pipe(
 *   Effect.provide(Mp.SubprocessBackend.layer({ observe: true })),
 *   Effect.provide(Logger.replace(
 *     Logger.defaultLogger,
 *     Logger.make(({ message }) => console.log(`here: ${message}`)),
 *   )),
 * );
 *
 * if (import.meta.main) Mp.runMain(program);
 * ```
 *
 * ```text
 * here: reading one
 * here: reading two
 * { _tag: "Counter", count: 2 }
 * ```
 *
 * `deno task example:trace` draws the trace of a program, its pool, and the children of the workers. To export traces,
 * provide the tracer of `@effect/opentelemetry` to the program, as `deno task example:opentelemetry` does.
 *
 * Plain functions and Promises report nothing: `console.log` in a task writes to the stdout of the child. Without
 * `observe`, Effects in a child log to its stdout with the default logger of Effect, and its spans and metrics stay in
 * the child.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Metrics from "./internal/child/metrics.ts";
import { lazily } from "./internal/os/lazy.ts";

const observer = lazily(() => import("./internal/child/observer.ts"));

/** The kinds of telemetry that children report. @since 0.1.0 @category models */
export interface Observe {
  /** Log entries. @default false */
  readonly logs?: boolean | undefined;
  /** Spans. @default false */
  readonly spans?: boolean | undefined;
  /** Metrics. @default false */
  readonly metrics?: boolean | undefined;
}

/** The state of a metric, by its type. @since 0.1.0 @category models */
export type State =
  | { readonly _tag: "Counter"; readonly count: number | bigint }
  | { readonly _tag: "Gauge"; readonly value: number | bigint }
  | { readonly _tag: "Frequency"; readonly occurrences: ReadonlyMap<string, number> }
  | {
    readonly _tag: "Histogram";
    readonly buckets: ReadonlyArray<readonly [boundary: number, count: number]>;
    readonly count: number;
    readonly min: number;
    readonly max: number;
    readonly sum: number;
  }
  | {
    readonly _tag: "Summary";
    readonly quantiles: ReadonlyArray<readonly [quantile: number, value: number | undefined]>;
    readonly count: number;
    readonly min: number;
    readonly max: number;
    readonly sum: number;
  };

/** A metric and its state. @since 0.1.0 @category models */
export interface Metric {
  /** Name of the metric. */
  readonly name: string;
  /** Description of the metric, if it has one. */
  readonly description: string | undefined;
  /** Tags of the metric. */
  readonly tags: ReadonlyArray<readonly [key: string, value: string]>;
  /** State of the metric. */
  readonly state: State;
}

/** The metrics of one process. @since 0.1.0 @category models */
export interface ProcessMetrics {
  /** Name of the process. */
  readonly process: string;
  /** Process id. */
  readonly pid: number;
  /** All metrics of the process, as of the end of its last task, or of its last reported log entry or span. */
  readonly metrics: ReadonlyArray<Metric>;
}

/**
 * Returns the metrics of all descendants of this process: of those that are running, and of the last 256 that have
 * ended. Their backends need `observe: true` or `observe: { metrics: true }`.
 *
 * @since 0.1.0
 * @category metrics
 */
export const metrics: Effect.Effect<ReadonlyArray<ProcessMetrics>> = observer(({ known }) => Effect.sync(known));

/**
 * Adds up metrics with the same name, type and tags: counts, occurrences, buckets and gauges are added, minima and
 * maxima compared. Quantiles of summaries cannot be added, so the sum has none. Throws a `TypeError` if the argument is
 * not an array.
 *
 * @since 0.1.0
 * @category metrics
 */
export const sum = (processes: ReadonlyArray<ProcessMetrics>): ReadonlyArray<Metric> => Metrics.sum(processes);
