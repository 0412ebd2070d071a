/**
 * One trace of a program, a worker of its pool, its child and its grandchild, exported by `@effect/opentelemetry`:
 * `deno task example:opentelemetry`.
 *
 * Only the main program has an exporter. Its children report their spans to it, so they load nothing of OpenTelemetry.
 */
import * as Mp from "@effect-deno/multiprocessing";
import type { ReadableSpan } from "@opentelemetry/sdk-trace-base";
import { Effect } from "effect";

const measure = Mp.Task.make(
  import.meta,
  "measure",
  (page: string) => Effect.succeed(page.length).pipe(Effect.withSpan("measure", { attributes: { page } })),
);

const read = Mp.Task.make(
  import.meta,
  "read",
  (page: string) => Mp.Process.run(measure, page).pipe(Effect.withSpan("read", { attributes: { page } })),
);

const crawl = Mp.Task.make(
  import.meta,
  "crawl",
  (pages: ReadonlyArray<string>) =>
    Effect.forEach(pages, (page) => Mp.Process.run(read, page)).pipe(Effect.withSpan("crawl")),
);

const program = Effect.gen(function* () {
  const pool = yield* Mp.Pool.make({ size: 1 });
  return yield* pool.apply(crawl, ["one", "three"]);
}).pipe(Effect.scoped, Effect.withSpan("program"));

/** Draws the spans as a tree, without those of the library. */
const draw = (spans: ReadonlyArray<ReadableSpan>): void => {
  const own = new Set(["program", "crawl", "read", "measure"]);
  const above = (span: ReadableSpan): ReadableSpan | undefined => {
    const parent = spans.find((other) => other.spanContext().spanId === span.parentSpanContext?.spanId);
    return parent === undefined || own.has(parent.name) ? parent : above(parent);
  };
  const drawBelow = (parent: ReadableSpan | undefined, indent: string): void => {
    for (const span of spans) {
      if (!own.has(span.name) || above(span) !== parent) continue;
      console.log(`${indent}${span.name} in ${span.attributes["process.name"] ?? "MainProcess"}`);
      drawBelow(span, `${indent}  `);
    }
  };
  console.log(`${new Set(spans.map((span) => span.spanContext().traceId)).size} trace`);
  drawBelow(undefined, "");
};

if (import.meta.main) {
  const { layer } = await import("@effect/opentelemetry/NodeSdk");
  const { InMemorySpanExporter, SimpleSpanProcessor } = await import("@opentelemetry/sdk-trace-base");
  const exporter = new InMemorySpanExporter(); // in a service: that of @opentelemetry/exporter-trace-otlp-http
  const telemetry = layer(() => ({
    resource: { serviceName: "crawler" },
    spanProcessor: new SimpleSpanProcessor(exporter),
  }));
  const traced = Effect.tap(program, (sizes) =>
    Effect.sync(() => {
      console.log(sizes);
      draw(exporter.getFinishedSpans());
    }));
  Mp.runMain(traced.pipe(
    Effect.provide(Mp.SubprocessBackend.layer({ observe: { spans: true } })),
    Effect.provide(telemetry),
  ));
}
