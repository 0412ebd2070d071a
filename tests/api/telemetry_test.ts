import * as Cause from "effect/Cause";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Fiber from "effect/Fiber";
import * as FiberRef from "effect/FiberRef";
import * as HashMap from "effect/HashMap";
import * as HashSet from "effect/HashSet";
import * as List from "effect/List";
import * as Logger from "effect/Logger";
import * as LogLevel from "effect/LogLevel";
import * as Option from "effect/Option";
import * as Tracer from "effect/Tracer";
import type { Backend } from "../../src/Backend.ts";
import * as Pool from "../../src/Pool.ts";
import * as Process from "../../src/Process.ts";
import * as SubprocessBackend from "../../src/SubprocessBackend.ts";
import * as Telemetry from "../../src/Telemetry.ts";
import * as WorkerBackend from "../../src/WorkerBackend.ts";
import { assert, assertEquals } from "../support/assert.ts";
import { gateway, test, warmUp, when } from "../support/suite.ts";
import { complain, flood, leave, measure, measureBelow, nest, say, traced } from "./telemetry_tasks.ts";
import { casesOf, registerEach } from "../support/tier.ts";

type Options = Pick<WorkerBackend.Options, "observe" | "standby">;

/** Runs a program, and returns its log entries. */
const logged = <A, E>(
  program: Effect.Effect<A, E>,
): Effect.Effect<ReadonlyArray<Logger.Logger.Options<unknown>>, E> =>
  Effect.suspend(() => {
    const entries: Array<Logger.Logger.Options<unknown>> = [];
    const logger = Logger.make<unknown, void>((options) => void entries.push(options));
    return Effect.as(Effect.locally(program, FiberRef.currentLoggers, HashSet.make(logger)), entries);
  });

interface Seen {
  readonly name: string;
  readonly parent: Tracer.AnySpan | undefined;
  readonly span: Tracer.Span;
  readonly events: Array<readonly [string, bigint, unknown]>;
}

/** A tracer that keeps its spans. */
const recorder = (): { readonly tracer: Tracer.Tracer; readonly spans: Array<Seen> } => {
  const spans: Array<Seen> = [];
  let count = 0;
  const hex = (n: number, digits: number): string => n.toString(16).padStart(digits, "0");
  const tracer = Tracer.make({
    span: (name, parent, context, links, startTime, kind) => {
      const attributes = new Map<string, unknown>();
      const events: Seen["events"] = [];
      const span = {
        _tag: "Span" as const,
        name,
        spanId: hex(++count, 16),
        traceId: Option.match(parent, { onNone: () => hex(count, 32), onSome: ({ traceId }) => traceId }),
        parent,
        context,
        status: { _tag: "Started", startTime } as Tracer.SpanStatus,
        attributes,
        links,
        sampled: true,
        kind,
        end: (endTime: bigint, exit: Exit.Exit<unknown, unknown>) =>
          void (span.status = { _tag: "Ended", startTime, endTime, exit }),
        attribute: (key: string, value: unknown) => void attributes.set(key, value),
        event: (name: string, time: bigint, attributes?: Record<string, unknown>) =>
          void events.push([name, time, attributes]),
        addLinks: () => {},
      };
      spans.push({ name, parent: Option.getOrUndefined(parent), span, events });
      return span;
    },
    context: (run) => run(),
  });
  return { tracer, spans };
};

const find = (spans: ReadonlyArray<Seen>, name: string): Seen => {
  const [found, ...more] = spans.filter((span) => span.name === name);
  assert(found !== undefined && more.length === 0, `${name}: ${spans.map(({ name }) => name).join(", ")}`);
  return found;
};

/** Whether a span is a descendant of another. */
const isBelow = (spans: ReadonlyArray<Seen>, name: string, above: string): boolean => {
  let span: Tracer.AnySpan | undefined = find(spans, name).span;
  const target = find(spans, above).span.spanId;
  while (span !== undefined && span.spanId !== target) {
    const id: string = span.spanId;
    span = spans.find(({ span }) => span.spanId === id)?.parent;
  }
  return span !== undefined;
};

const backends = {
  subprocess: (options: Options) => SubprocessBackend.layer(options),
  worker: (options: Options) => WorkerBackend.layer(options),
};

for (const layer of casesOf(Object.values(backends))) await warmUp(Effect.provide(Process.run(measure, 0), layer({})));

registerEach(Object.entries(backends), ([backend, layer]) => {
  const on = <E>(
    name: string,
    program: Effect.Effect<unknown, E, Backend>,
    options: Options = { observe: true },
  ): void => test(`telemetry on ${backend}: ${name}`, Effect.provide(program, layer(options)));

  const provided = <A, E>(program: Effect.Effect<A, E, Backend>): Effect.Effect<A, E> =>
    Effect.provide(program, layer({ observe: true }));

  on(
    "a log entry reaches the loggers of the fiber that started the child, with all that belongs to it",
    Effect.gen(function* () {
      const entries = yield* logged(provided(Process.run(say, "hello")));
      assertEquals(entries.length, 1);
      const [{ annotations, cause, date, fiberId, logLevel, message, spans }] = entries;
      assertEquals(logLevel, LogLevel.Warning);
      assertEquals(message, ["hello", { at: 1 }, new Map([["a", 1]])]);
      assertEquals(cause, Cause.empty);
      assertEquals(fiberId._tag, "Runtime");
      assert(Math.abs(date.getTime() - Date.now()) < 60_000);
      assertEquals(Option.getOrUndefined(HashMap.get(annotations, "page")), 7);
      assertEquals(Option.getOrUndefined(HashMap.get(annotations, "process"))?.toString().startsWith("Process-"), true);
      assertEquals(typeof Option.getOrUndefined(HashMap.get(annotations, "pid")), "number");
      assertEquals(List.toArray(spans).map(({ label }) => label), ["saying"]);
    }),
  );

  on(
    "values that are no data are logged as text, causes with their errors (full)",
    Effect.gen(function* () {
      const [first, second] = yield* logged(provided(Process.run(complain)));
      const [text, fn, symbol] = first.message as ReadonlyArray<unknown>;
      assertEquals(text, "failed");
      assertEquals(typeof fn, "string");
      assertEquals(symbol, "Symbol(s)");
      assert(Cause.pretty(second.cause).includes("no room"));
    }),
  );

  on(
    "a minimum level of the parent holds for its children",
    Effect.gen(function* () {
      const quiet = Effect.locally(
        provided(Process.run(say, "hello")),
        FiberRef.currentMinimumLogLevel,
        LogLevel.Error,
      );
      assertEquals(yield* logged(quiet), []);
    }),
  );

  on(
    "what is more than can wait is dropped and counted, and the work goes on",
    Effect.gen(function* () {
      const entries = yield* logged(provided(Process.run(flood, 20_000)));
      const lost = entries.flatMap(({ message }) =>
        String(message).match(/: (\d+) log entries and span events were dropped/)?.[1] ?? []
      );
      const kept = entries.length - lost.length;
      assertEquals(kept + lost.reduce((sum, count) => sum + Number(count), 0), 20_000);
      assert(kept >= 4096);
    }),
  );

  on(
    "a span stands below the caller's, with its kind, attributes, events and inner spans",
    Effect.gen(function* () {
      const { spans, tracer } = recorder();
      const traceId = yield* Effect.withTracer(
        Effect.withSpan(provided(Process.run(traced, false)), "caller"),
        tracer,
      );
      const outer = find(spans, "outer");
      assert(isBelow(spans, "outer", "caller"));
      assert(isBelow(spans, "inner", "outer"));
      assertEquals(outer.span.traceId, traceId);
      assertEquals(outer.span.kind, "server");
      assertEquals(outer.events, [["begun", 1n, { n: 1 }]]);
      assertEquals(outer.span.attributes.get("key"), "value");
      assertEquals(outer.span.attributes.get("fixed"), 1);
      assertEquals(typeof outer.span.attributes.get("odd"), "string");
      assertEquals(String(outer.span.attributes.get("process.name")).startsWith("Process-"), true);
      assert(outer.span.status._tag === "Ended" && Exit.isSuccess(outer.span.status.exit));
    }),
  );

  on(
    "a span that fails ends as a failure, and one whose process dies is ended",
    Effect.gen(function* () {
      const { spans, tracer } = recorder();
      yield* Effect.withTracer(provided(Effect.exit(Process.run(traced, true))), tracer);
      const { status } = find(spans, "outer").span;
      assert(status._tag === "Ended" && Exit.isFailure(status.exit));
      assert(Cause.pretty(status.exit.cause).includes("no"));
      const gate = yield* gateway;
      const leaving = yield* Effect.fork(
        Effect.withTracer(provided(Effect.exit(Process.run(leave, gate.stream))), tracer),
      );
      yield* when(Effect.sync(() => spans.some(({ name }) => name === "left open")), (known) => known);
      yield* gate.open;
      yield* Fiber.join(leaving);
      const left = find(spans, "left open").span.status;
      assert(left._tag === "Ended" && Exit.isFailure(left.exit));
      assert(Cause.pretty(left.exit.cause).includes("ended before the span did"));
    }),
  );

  on(
    "a pool, a child and a grandchild make one trace",
    Effect.gen(function* () {
      const { spans, tracer } = recorder();
      const program = Effect.scoped(Effect.flatMap(Pool.make({ size: 1 }), (pool) => pool.apply(nest)));
      const traceId = yield* Effect.withTracer(Effect.withSpan(provided(program), "program"), tracer);
      for (const name of ["nested", "outer", "inner"]) assertEquals(find(spans, name).span.traceId, traceId);
      assert(isBelow(spans, "inner", "outer"));
      assert(isBelow(spans, "outer", "nested"));
      assert(isBelow(spans, "nested", "program"));
    }),
  );

  on(
    "metrics can be read for each process, of any depth, and summed",
    Effect.gen(function* () {
      const before = yield* Telemetry.metrics;
      yield* provided(Effect.zipRight(Process.run(measure, 1), Process.run(measureBelow, 20)));
      const after = yield* Telemetry.metrics;
      const mine = after.slice(before.length).filter(({ metrics }) => metrics.some(({ name }) => name === "counted"));
      assertEquals(mine.map(({ process }) => process.startsWith("Process-")), [true, true]);
      const summed = Object.fromEntries(Telemetry.sum(mine).map((metric) => [metric.name, metric]));
      assertEquals(summed.counted.state, { _tag: "Counter", count: 21 });
      assertEquals(summed.counted.description, "what was counted");
      assertEquals(summed.counted.tags, [["kind", "odd"]]);
      assertEquals(summed.level.state, { _tag: "Gauge", value: 21 });
      assertEquals(summed.words.state, { _tag: "Frequency", occurrences: new Map([["small", 1], ["big", 1]]) });
      const { buckets, ...sizes } = summed.sizes.state as Extract<Telemetry.State, { _tag: "Histogram" }>;
      assertEquals(sizes, { _tag: "Histogram", count: 2, min: 1, max: 20, sum: 21 });
      assertEquals(buckets.find(([boundary]) => boundary === 10)?.[1], 1);
      assertEquals(summed.times.state, { _tag: "Summary", quantiles: [], count: 2, min: 1, max: 20, sum: 21 });
    }),
  );

  on(
    "a standby child reports to the fiber that takes it over, under its new name (full)",
    Effect.gen(function* () {
      const program = Effect.provide(
        Effect.zipRight(Process.run(say, "first"), Effect.zipRight(Process.run(say, "second"), Effect.void)),
        layer({ observe: { logs: true }, standby: 1 }),
      );
      const entries = yield* logged(program);
      const names = entries.map(({ annotations }) => Option.getOrUndefined(HashMap.get(annotations, "process")));
      assertEquals(names.map((name) => String(name).replace(/\d+$/, "")), ["Process-", "Process-"]);
    }),
  );
});

test(
  "telemetry: without the option a child reports nothing (full)",
  Effect.gen(function* () {
    const { spans, tracer } = recorder();
    const before = (yield* Telemetry.metrics).length;
    const program = Effect.provide(
      Effect.zipRight(Process.run(traced, false), Process.run(measure, 1)),
      backends.worker({}),
    );
    yield* Effect.withTracer(program, tracer);
    assertEquals(spans.some(({ name }) => name === "outer"), false);
    assertEquals((yield* Telemetry.metrics).length, before);
  }),
);
