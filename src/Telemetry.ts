/**
 * One log, one trace and one set of metrics for a program and all its processes.
 *
 * With the option `observe` of a backend, its children report what the Effects of their tasks log, trace and measure:
 *
 * - A log entry of a child reaches the loggers of the fiber that started the child, with its level, message, cause, fiber,
 *   annotations, log spans and date, and with the annotations `process` and `pid`. The minimum level of both sides holds.
 * - A span of a child reaches the tracer of that fiber, below the span in which the task was called, with its events,
 *   attributes, links and failure, and the attribute `process.name`. When a child dies, its open spans are ended as failures.
 * - {@link metrics} gives the metrics of each process; {@link sum} adds them up.
 * - Children of children report through their parents, so a trace goes from the program through all of them.
 * - A task's result arrives after everything that the task has reported.
 * - Reporting never holds back work. Up to 4096 events wait while others are being sent; further ones are dropped, and a
 *   warning says how many.
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
 * `deno task example:trace` draws the trace of a program, its pool, and the children of the workers. To export traces, provide
 * the tracer of `@effect/opentelemetry` to the program.
 *
 * Plain functions and Promises report nothing: a `console.log` of theirs goes to the stdout of the child. Without `observe`
 * a child's Effects log to its own stdout by Effect's default logger, and its spans and metrics stay in the child.
 *
 * @module
 */
import type * as Effect from "effect/Effect";
import * as Implementation from "./internal/child/metrics.ts";

/** What children report. @since 0.1.0 @category models */
export interface Observe {
  /** Log entries. @default false */
  readonly logs?: boolean | undefined;
  /** Spans. @default false */
  readonly spans?: boolean | undefined;
  /** States of metrics. @default false */
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
  /** The name that its program gave it. */
  readonly name: string;
  /** Its description, if it has one. */
  readonly description: string | undefined;
  /** Its tags. */
  readonly tags: ReadonlyArray<readonly [key: string, value: string]>;
  /** Its state. */
  readonly state: State;
}

/** The metrics of one process. @since 0.1.0 @category models */
export interface ProcessMetrics {
  /** Name of the process. */
  readonly process: string;
  /** Process id. */
  readonly pid: number;
  /** All its metrics, as they were when its last task ended, or when it reported its last log entry or span. */
  readonly metrics: ReadonlyArray<Metric>;
}

/**
 * The metrics of the processes that this one has started, and of theirs: of those that live, and of the last 256 that have
 * ended. Their backend has to have `observe: true` or `observe: { metrics: true }`.
 *
 * @since 0.1.0
 * @category metrics
 */
export const metrics: Effect.Effect<ReadonlyArray<ProcessMetrics>> = Implementation.metrics;

/**
 * Adds up metrics of the same name, type and tags: counts, occurrences, buckets and gauges are added, minima and maxima
 * compared. The quantiles of a summary cannot be added up; the sum has none. Throws a `TypeError` if the argument is no array.
 *
 * @since 0.1.0
 * @category metrics
 */
export const sum = (processes: ReadonlyArray<ProcessMetrics>): ReadonlyArray<Metric> => Implementation.sum(processes);
