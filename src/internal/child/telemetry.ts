/**
 * The reports of a child to its parent while the child runs Effects: log entries, spans and metrics. Does not import
 * Effect.
 *
 * @module
 */
import type { ProcessMetrics } from "../../Telemetry.ts";
import type { CauseData } from "../codec/exits.ts";

/** A log entry. */
export interface LogEntry {
  readonly _tag: "Log";
  /** Label of the level, such as `INFO`. */
  readonly level: string;
  readonly message: ReadonlyArray<unknown>;
  readonly cause: CauseData | undefined;
  /** Id and start time of the fiber. */
  readonly fiber: readonly [id: number, startMillis: number];
  /** In milliseconds since the epoch. */
  readonly time: number;
  readonly annotations: ReadonlyArray<readonly [string, unknown]>;
  readonly spans: ReadonlyArray<readonly [label: string, startTime: number]>;
}

/** The identity of a span, the same in all processes. */
export interface SpanReference {
  readonly traceId: string;
  readonly spanId: string;
  readonly sampled: boolean;
}

/** A link of a span to another. */
export type SpanLinkData = readonly [to: SpanReference, attributes: Readonly<Record<string, unknown>>];

/** An event in the life of a span. Times are in nanoseconds since the epoch. */
export type SpanEvent =
  | {
    readonly _tag: "SpanStart";
    readonly span: SpanReference;
    readonly name: string;
    readonly parent: SpanReference | undefined;
    readonly links: ReadonlyArray<SpanLinkData>;
    readonly time: bigint;
    readonly kind: string;
  }
  | { readonly _tag: "SpanAttribute"; readonly id: string; readonly key: string; readonly value: unknown }
  | {
    readonly _tag: "SpanEvent";
    readonly id: string;
    readonly name: string;
    readonly time: bigint;
    readonly attributes: Readonly<Record<string, unknown>> | undefined;
  }
  | { readonly _tag: "SpanLinks"; readonly id: string; readonly links: ReadonlyArray<SpanLinkData> }
  | { readonly _tag: "SpanEnd"; readonly id: string; readonly time: bigint; readonly cause: CauseData | undefined };

/** The content of one notice from a child. */
export interface Report {
  readonly events: ReadonlyArray<LogEntry | SpanEvent>;
  /** Number of events that were dropped for lack of room since the last report. */
  readonly dropped: number;
  /** Metrics of the child and of its children. Absent if nothing has changed. */
  readonly metrics?: ReadonlyArray<ProcessMetrics>;
}
