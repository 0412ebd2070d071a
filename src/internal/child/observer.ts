/**
 * The parent's side of telemetry: logs of a child go to the loggers of the fiber that started the child, its spans go
 * to the tracer of that fiber, and the state of its metrics is kept.
 *
 * @module
 */
import * as Cause from "effect/Cause";
import * as Context from "effect/Context";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as FiberId from "effect/FiberId";
import * as FiberRef from "effect/FiberRef";
import * as FiberRefs from "effect/FiberRefs";
import * as HashMap from "effect/HashMap";
import * as List from "effect/List";
import * as LogLevel from "effect/LogLevel";
import * as LogSpan from "effect/LogSpan";
import * as Option from "effect/Option";
import * as Tracer from "effect/Tracer";
import { toCause } from "../codec/cause.ts";
import type { Link } from "../rpc/link.ts";
import type { ProcessMetrics } from "../../Telemetry.ts";
import type { LogEntry, Report, SpanEvent, SpanLinkData, SpanReference } from "./telemetry.ts";

/** Number of ended processes whose metrics are kept individually. */
const MAX_ENDED = 256;

/** Number of ended spans that are kept for each child. */
const MAX_SPANS = 1024;

/** Destination of the telemetry of a child. */
interface Sinks {
  readonly refs: FiberRefs.FiberRefs;
  readonly tracer: Tracer.Tracer;
}

/** State of one child. */
class Observer {
  /** A standby child gets another name when it is taken over. */
  name: string;
  readonly #spans = new Map<string, Tracer.Span>();
  /** The last ended spans, oldest first: a span may have a parent that has ended, such as the start of a process. */
  readonly #ended = new Map<string, Tracer.Span>();
  sinks: Sinks | undefined;
  metrics: ReadonlyArray<ProcessMetrics> = [];

  constructor(name: string) {
    this.name = name;
  }

  receive({ dropped, events, metrics }: Report): void {
    if (metrics !== undefined) this.metrics = metrics;
    const { sinks } = this;
    if (sinks === undefined) return;
    for (const event of events) {
      if (event._tag === "Log") this.#log(event, sinks);
      else this.#trace(event, sinks);
    }
    if (dropped > 0) this.#log(lost(this.name, dropped), sinks);
  }

  /** Ends the spans that the child left open. */
  end(): void {
    const time = BigInt(Date.now()) * 1_000_000n;
    const exit = Exit.die(new Error(`${this.name} ended before the span did`));
    for (const span of this.#spans.values()) span.end(time, exit);
    this.#spans.clear();
  }

  #log(entry: LogEntry, { refs }: Sinks): void {
    const logLevel = LogLevel.fromLiteral(entry.level as LogLevel.Literal);
    if (LogLevel.lessThan(logLevel, FiberRefs.getOrDefault(refs, FiberRef.currentMinimumLogLevel))) return;
    const options = {
      fiberId: FiberId.runtime(...entry.fiber),
      logLevel,
      message: entry.message,
      cause: entry.cause === undefined ? Cause.empty : toCause(entry.cause, this.name),
      context: refs,
      spans: List.fromIterable(entry.spans.map(([label, startTime]) => LogSpan.make(label, startTime))),
      annotations: HashMap.fromIterable(entry.annotations),
      date: new Date(entry.time),
    };
    for (const logger of FiberRefs.getOrDefault(refs, FiberRef.currentLoggers)) logger.log(options);
  }

  #trace(event: SpanEvent, { tracer }: Sinks): void {
    if (event._tag === "SpanStart") {
      const { kind, links, name, parent, span: { spanId }, time } = event;
      const span = tracer.span(
        name,
        Option.map(Option.fromNullable(parent), (parent) => this.#find(parent)),
        Context.empty(),
        this.#links(links),
        time,
        kind as Tracer.SpanKind,
      );
      span.attribute("process.name", this.name);
      this.#spans.set(spanId, span);
      return;
    }
    // A span is unknown here if its start event was dropped.
    const span = this.#spans.get(event.id);
    if (span === undefined) return;
    switch (event._tag) {
      case "SpanAttribute":
        return span.attribute(event.key, event.value);
      case "SpanEvent":
        return span.event(event.name, event.time, event.attributes);
      case "SpanLinks":
        return span.addLinks(this.#links(event.links));
      case "SpanEnd": {
        this.#spans.delete(event.id);
        this.#ended.set(event.id, span);
        if (this.#ended.size > MAX_SPANS) this.#ended.delete(this.#ended.keys().next().value!);
        const exit = event.cause === undefined ? Exit.void : Exit.failCause(toCause(event.cause, this.name));
        return span.end(event.time, exit);
      }
    }
  }

  #find(reference: SpanReference): Tracer.AnySpan {
    const { spanId } = reference;
    return this.#spans.get(spanId) ?? this.#ended.get(spanId) ?? Tracer.externalSpan(reference);
  }

  #links(links: ReadonlyArray<SpanLinkData>): ReadonlyArray<Tracer.SpanLink> {
    return links.map(([to, attributes]) => ({ _tag: "SpanLink", span: this.#find(to), attributes }));
  }
}

const lost = (name: string, count: number): LogEntry => ({
  _tag: "Log",
  level: "Warning",
  message: [`${name} has reported more than could be sent: ${count} log entries and span events were dropped`],
  cause: undefined,
  fiber: [0, 0],
  time: Date.now(),
  annotations: [["process", name]],
  spans: [],
});

const observers = new Map<Link, Observer>();

/** Last state of the metrics of ended processes, oldest first. */
const ended: Array<ProcessMetrics> = [];

const observerOf = (link: Link, name: string): Observer => {
  let observer = observers.get(link);
  if (observer === undefined) observers.set(link, observer = new Observer(name));
  return observer;
};

/** Directs the telemetry of the child to the loggers and the tracer of this fiber. */
export const adopt = (link: Link, name: string): Effect.Effect<void> =>
  Effect.zipWith(Effect.getFiberRefs, Effect.tracer, (refs, tracer) => {
    const observer = observerOf(link, name);
    observer.name = name;
    observer.sinks = { refs, tracer };
  });

/** Handles a report of the child. */
export const receive = (link: Link, name: string, report: Report): void => observerOf(link, name).receive(report);

/** Handles the end of the child. */
export const end = (link: Link): void => {
  const observer = observers.get(link);
  if (observer === undefined) return;
  observers.delete(link);
  observer.end();
  ended.push(...observer.metrics);
  ended.splice(0, ended.length - MAX_ENDED);
};

/**
 * Returns the last known metrics of the descendants of this process: of those that are running, and of the last
 * {@link MAX_ENDED} that have ended.
 */
export const known = (): ReadonlyArray<ProcessMetrics> => [
  ...ended,
  ...[...observers.values()].flatMap(({ metrics }) => metrics),
];
