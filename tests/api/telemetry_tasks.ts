/** Tasks of the tests of telemetry. */
import * as Effect from "effect/Effect";
import * as Metric from "effect/Metric";
import * as MetricBoundaries from "effect/MetricBoundaries";
import * as Stream from "effect/Stream";
import * as Process from "../../src/Process.ts";
import * as Task from "../../src/Task.ts";

export const say = Task.make(
  import.meta,
  "say",
  (text: string) =>
    Effect.logWarning(text, { at: 1 }, new Map([["a", 1]])).pipe(
      Effect.annotateLogs({ page: 7 }),
      Effect.withLogSpan("saying"),
      Effect.zipRight(Effect.logDebug("too low")),
    ),
);

export const complain = Task.make(
  import.meta,
  "complain",
  () =>
    Effect.logError("failed", () => "a function", Symbol("s")).pipe(
      Effect.zipRight(Effect.catchAllCause(
        Effect.fail(new RangeError("no room")),
        (cause) => Effect.logError("caught", cause),
      )),
    ),
);

export const flood = Task.make(
  import.meta,
  "flood",
  (count: number) =>
    Effect.forEach(Array.from({ length: count }, (_, n) => n), (n) => Effect.log(n), { discard: true }),
);

export const traced = Task.make(import.meta, "traced", (fails: boolean) =>
  Effect.gen(function* () {
    const span = yield* Effect.currentSpan;
    span.event("begun", 1n, { n: 1 });
    yield* Effect.annotateCurrentSpan({ key: "value", odd: () => 1 });
    yield* Effect.withSpan(Effect.void, "inner");
    if (fails) return yield* Effect.fail("no");
    return span.traceId;
  }).pipe(Effect.orDie, Effect.withSpan("outer", { attributes: { fixed: 1 }, kind: "server" })));

/** Exits in the middle of a span, when the stream ends. */
export const leave = Task.make(
  import.meta,
  "leave",
  (gate: Stream.Stream<never>) =>
    Effect.withSpan(Effect.zipRight(Stream.runDrain(gate), Effect.sync(() => Deno.exit(3))), "left open"),
);

export const nest = Task.make(import.meta, "nest", () => Effect.withSpan(Process.run(traced, false), "nested"));

const counter = Metric.counter("counted", { description: "what was counted" });
const gauge = Metric.gauge("level");
const frequency = Metric.frequency("words");
const histogram = Metric.histogram("sizes", MetricBoundaries.linear({ start: 0, width: 10, count: 3 }));
const summary = Metric.summary({ name: "times", maxAge: "1 day", maxSize: 100, error: 0, quantiles: [0.5] });

export const measure = Task.make(import.meta, "measure", (n: number) =>
  Effect.all([
    Metric.incrementBy(Metric.tagged(counter, "kind", "odd"), n),
    Metric.set(gauge, n),
    Metric.update(frequency, n > 2 ? "big" : "small"),
    Metric.update(histogram, n),
    Metric.update(summary, n),
  ]));

export const measureBelow = Task.make(import.meta, "measureBelow", (n: number) => Process.run(measure, n));
