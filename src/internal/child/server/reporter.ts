/**
 * The child's side of its telemetry: a Logger, a Tracer and snapshots of metrics, which go to the parent as notices.
 *
 * Up to {@link ROOM} events wait in a list while a notice is being sent. An event that finds the list full is dropped
 * and counted: telemetry never blocks work. All reports of a task are sent before its result.
 *
 * @module
 */
import * as Cause from "effect/Cause";
import type * as Context from "effect/Context";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as FiberId from "effect/FiberId";
import * as FiberRef from "effect/FiberRef";
import * as HashSet from "effect/HashSet";
import * as Inspectable from "effect/Inspectable";
import * as List from "effect/List";
import * as Logger from "effect/Logger";
import * as Metric from "effect/Metric";
import * as MetricState from "effect/MetricState";
import * as Option from "effect/Option";
import * as Tracer from "effect/Tracer";
import { fromCause, pretty, toCause } from "../../codec/cause.ts";
import type { CauseData } from "../../codec/exits.ts";
import type { Link } from "../../rpc/link.ts";
import { type ObservedKinds, self } from "../../rpc/identity.ts";
import { known } from "../observer.ts";
import type { Metric as MetricData, ProcessMetrics, State } from "../../../Telemetry.ts";
import type { LogEntry, Report, SpanEvent, SpanLinkData, SpanReference } from "../telemetry.ts";

/** Maximum number of waiting events. */
const ROOM = 4096;

type Event = LogEntry | SpanEvent;

/** Reports the telemetry of the Effects of this child. */
export interface Reporter {
  /** Runs an Effect of a task with its logs and spans reported. */
  readonly observed: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>;
  /** Sends the waiting reports and the state of the metrics. */
  readonly flush: () => void;
}

/** Makes the reporter of a child. */
export const make = (link: Link, { logs, metrics, spans }: ObservedKinds): Reporter => {
  const outgoing = new Outgoing(link, metrics);
  const logger = logs ? HashSet.make(loggerTo(outgoing)) : undefined;
  const tracer = spans ? tracerTo(outgoing) : undefined;
  return {
    observed: (effect) => {
      const traced = tracer === undefined ? effect : Effect.withTracer(effect, tracer);
      return logger === undefined ? traced : Effect.annotateLogs(
        Effect.locally(traced, FiberRef.currentLoggers, logger),
        { process: self().name, pid: Deno.pid },
      );
    },
    flush: () => outgoing.flush(),
  };
};

/** The reports that are not sent yet. */
class Outgoing {
  readonly #link: Link;
  readonly #metrics: boolean;
  #events: Array<Event> = [];
  #dropped = 0;
  #scheduled = false;
  /** The last sent state of the metrics, as text. */
  #sent = "";

  constructor(link: Link, metrics: boolean) {
    this.#link = link;
    this.#metrics = metrics;
  }

  add(event: Event): void {
    if (this.#events.length === ROOM) {
      this.#dropped++;
      return;
    }
    this.#events.push(event);
    if (this.#scheduled) return;
    this.#scheduled = true;
    // Runs after the pending writes, so that a parent that does not read finds one notice, not one for each event.
    this.#link.flushed(() => setTimeout(() => this.flush(), 0));
  }

  flush(): void {
    this.#scheduled = false;
    const metrics = this.#metrics ? this.#changedMetrics() : undefined;
    const events = this.#events;
    const dropped = this.#dropped;
    if (events.length === 0 && dropped === 0 && metrics === undefined) return;
    this.#events = [];
    this.#dropped = 0;
    const report = (events: ReadonlyArray<Event>, dropped: number): Report => ({
      events,
      dropped,
      ...(metrics === undefined ? {} : { metrics }),
    });
    if (this.#notify(report(events, dropped))) return;
    const described = events.map(describe);
    if (this.#notify(report(described, dropped))) return;
    // The events together exceed the size of a message.
    let lost = dropped;
    for (const event of described) if (!this.#notify({ events: [event], dropped: 0 })) lost++;
    this.#notify(report([], lost));
  }

  /** Returns whether the report could be encoded and is being sent. */
  #notify(report: Report): boolean {
    try {
      this.#link.notify({ report });
      return true;
    } catch {
      return false;
    }
  }

  #changedMetrics(): ReadonlyArray<ProcessMetrics> | undefined {
    const own = Metric.unsafeSnapshot(undefined).flatMap(({ metricKey, metricState }): ReadonlyArray<MetricData> => {
      const state = stateOf(metricState);
      return state === undefined ? [] : [{
        name: metricKey.name,
        description: Option.getOrUndefined(metricKey.description),
        tags: metricKey.tags.map(({ key, value }) => [key, value] as const),
        state,
      }];
    });
    const metrics = [{ process: self().name, pid: Deno.pid, metrics: own }, ...known()];
    const text = JSON.stringify(metrics, textOf);
    if (text === this.#sent) return undefined;
    this.#sent = text;
    return metrics;
  }
}

/** JSON with maps and bigints, used only for comparison. */
const textOf = (_key: string, value: unknown): unknown =>
  value instanceof Map ? [...value] : typeof value === "bigint" ? `${value}n` : value;

const stateOf = (state: unknown): State | undefined => {
  if (MetricState.isCounterState(state)) return { _tag: "Counter", count: state.count };
  if (MetricState.isGaugeState(state)) return { _tag: "Gauge", value: state.value };
  if (MetricState.isFrequencyState(state)) return { _tag: "Frequency", occurrences: new Map(state.occurrences) };
  if (MetricState.isHistogramState(state)) {
    const { buckets, count, max, min, sum } = state;
    return { _tag: "Histogram", buckets: [...buckets], count, min, max, sum };
  }
  if (MetricState.isSummaryState(state)) {
    const { count, max, min, quantiles, sum } = state;
    return {
      _tag: "Summary",
      quantiles: quantiles.map(([quantile, value]) => [quantile, Option.getOrUndefined(value)] as const),
      count,
      min,
      max,
      sum,
    };
  }
  return undefined;
};

/** Returns an event in which the text of a value replaces each value that may not be encodable. */
const describe = (event: Event): Event => {
  switch (event._tag) {
    case "Log":
      return {
        ...event,
        message: event.message.map(plain),
        cause: event.cause && described(event.cause),
        annotations: event.annotations.map(([key, value]) => [key, plain(value)] as const),
      };
    case "SpanStart":
      return { ...event, links: event.links.map(plainLink) };
    case "SpanAttribute":
      return { ...event, value: plain(event.value) };
    case "SpanEvent":
      return { ...event, attributes: event.attributes && plainRecord(event.attributes) };
    case "SpanLinks":
      return { ...event, links: event.links.map(plainLink) };
    case "SpanEnd":
      return { ...event, cause: event.cause && described(event.cause) };
  }
};

const plain = (value: unknown): unknown =>
  typeof value === "object" || typeof value === "function" || typeof value === "symbol"
    ? value === null ? null : Inspectable.toStringUnknown(value)
    : value;

const plainRecord = (record: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> =>
  Object.fromEntries(Object.entries(record).map(([key, value]) => [key, plain(value)]));

const plainLink = ([to, attributes]: SpanLinkData): SpanLinkData => [to, plainRecord(attributes)];

const described = (cause: CauseData): CauseData => ({
  _tag: "Die",
  defect: new Error(pretty(toCause(cause, self().name))),
  trace: [],
});

const loggerTo = (outgoing: Outgoing): Logger.Logger<unknown, void> =>
  Logger.make(({ annotations, cause, date, fiberId, logLevel, message, spans }) => {
    const [first] = FiberId.toSet(fiberId);
    outgoing.add({
      _tag: "Log",
      level: logLevel._tag,
      message: Array.isArray(message) ? message : [message],
      cause: Cause.isEmpty(cause) ? undefined : fromCause(cause),
      fiber: first?._tag === "Runtime" ? [first.id, first.startTimeMillis] : [0, 0],
      time: date.getTime(),
      annotations: [...annotations],
      spans: List.toArray(spans).map(({ label, startTime }) => [label, startTime] as const),
    });
  });

/** Returns random hexadecimal digits. */
const digits = (count: number): string =>
  Array.from(crypto.getRandomValues(new Uint8Array(count / 2)), (byte) => byte.toString(16).padStart(2, "0")).join("");

const referenceOf = ({ sampled, spanId, traceId }: Tracer.AnySpan): SpanReference => ({ traceId, spanId, sampled });

const linksOf = (links: ReadonlyArray<Tracer.SpanLink>): ReadonlyArray<SpanLinkData> =>
  links.map(({ attributes, span }) => [referenceOf(span), attributes] as const);

/** A span that the parent also has. */
class ReportedSpan implements Tracer.Span {
  readonly _tag = "Span";
  readonly spanId = digits(16);
  readonly traceId: string;
  readonly sampled: boolean;
  readonly attributes = new Map<string, unknown>();
  readonly links: Array<Tracer.SpanLink>;
  status: Tracer.SpanStatus;

  constructor(
    readonly outgoing: Outgoing,
    readonly name: string,
    readonly parent: Option.Option<Tracer.AnySpan>,
    readonly context: Context.Context<never>,
    links: ReadonlyArray<Tracer.SpanLink>,
    startTime: bigint,
    readonly kind: Tracer.SpanKind,
  ) {
    const above = Option.getOrUndefined(parent);
    this.traceId = above?.traceId ?? digits(32);
    this.sampled = above?.sampled ?? true;
    this.links = [...links];
    this.status = { _tag: "Started", startTime };
    this.#report({
      _tag: "SpanStart",
      span: referenceOf(this),
      name,
      parent: above && referenceOf(above),
      links: linksOf(links),
      time: startTime,
      kind,
    });
  }

  end(endTime: bigint, exit: Exit.Exit<unknown, unknown>): void {
    const { startTime } = this.status;
    this.status = { _tag: "Ended", startTime, endTime, exit };
    const cause = Exit.isSuccess(exit) ? undefined : fromCause(exit.cause);
    this.#report({ _tag: "SpanEnd", id: this.spanId, time: endTime, cause });
  }

  attribute(key: string, value: unknown): void {
    this.attributes.set(key, value);
    this.#report({ _tag: "SpanAttribute", id: this.spanId, key, value });
  }

  event(name: string, time: bigint, attributes?: Record<string, unknown>): void {
    this.#report({ _tag: "SpanEvent", id: this.spanId, name, time, attributes });
  }

  addLinks(links: ReadonlyArray<Tracer.SpanLink>): void {
    this.links.push(...links);
    this.#report({ _tag: "SpanLinks", id: this.spanId, links: linksOf(links) });
  }

  #report(event: SpanEvent): void {
    if (this.sampled) this.outgoing.add(event);
  }
}

const tracerTo = (outgoing: Outgoing): Tracer.Tracer =>
  Tracer.make({
    span: (name, parent, context, links, startTime, kind) =>
      new ReportedSpan(outgoing, name, parent, context, links, startTime, kind),
    context: (run) => run(),
  });
