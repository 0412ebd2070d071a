/**
 * One trace and one log of a program, a pool, its workers and their children, drawn as text: `deno task example:trace`.
 *
 * The example `opentelemetry` exports such a trace by `@effect/opentelemetry`.
 */
import * as Mp from "@effect-deno/multiprocessing";
import { Effect, Exit, Logger, Option, Tracer } from "effect";

const count = Mp.Task.make(import.meta, "count", (text: string) =>
  Effect.succeed(text.split(" ").length).pipe(
    Effect.tap((words) => Effect.log(`${words} words`)),
    Effect.withSpan("count", { attributes: { characters: text.length } }),
  ));

/** Delegates the work to a child of its own. */
const read = Mp.Task.make(
  import.meta,
  "read",
  (page: string) =>
    Mp.Process.run(count, `the words of page ${page}`).pipe(Effect.withSpan("read", { attributes: { page } })),
);

const program = Effect.gen(function* () {
  const pool = yield* Mp.Pool.make({ size: 1 });
  for (const page of ["one", "two"]) yield* pool.apply(read, page);
}).pipe(
  Effect.scoped,
  Effect.withSpan("program"),
  Effect.provide(Mp.SubprocessBackend.layer({ observe: { logs: true, spans: true } })),
);

/** A tracer that keeps the spans of the program itself. */
const spans: Array<Tracer.Span> = [];
const tracer = Tracer.make({
  span: (name, parent, context, links, startTime, kind) => {
    const spanId = String(spans.length).padStart(16, "0");
    const attributes = new Map<string, unknown>();
    const span: Tracer.Span = {
      _tag: "Span",
      name,
      spanId,
      traceId: Option.match(parent, { onNone: () => spanId.padStart(32, "0"), onSome: ({ traceId }) => traceId }),
      parent,
      context,
      status: { _tag: "Started", startTime },
      attributes,
      links,
      sampled: true,
      kind,
      end: () => {},
      attribute: (key, value) => attributes.set(key, value),
      event: () => {},
      addLinks: () => {},
    };
    spans.push(span);
    return span;
  },
  context: (run) => run(),
});

const own = new Set(["program", "read", "count"]);

/** The nearest span above that belongs to the program itself. */
const above = (span: Tracer.Span): Tracer.Span | undefined => {
  const parent = Option.getOrUndefined(span.parent);
  const found = parent && spans.find(({ spanId }) => spanId === parent.spanId);
  return found === undefined || own.has(found.name) ? found : above(found);
};

const draw = (parent: Tracer.Span | undefined, indent: string): void => {
  for (const span of spans) {
    if (!own.has(span.name) || above(span) !== parent) continue;
    const { "process.name": process = "MainProcess", ...attributes } = Object.fromEntries(span.attributes);
    console.log(`${indent}${span.name} in ${process}`, attributes);
    draw(span, `${indent}  `);
  }
};

if (import.meta.main) {
  const logger = Logger.make(({ message }) => console.log(`log: ${message}`));
  const exit = await program.pipe(
    Effect.withTracer(tracer),
    Effect.provide(Logger.replace(Logger.defaultLogger, logger)),
    Effect.runPromiseExit,
  );
  if (Exit.isFailure(exit)) throw exit.cause;
  draw(undefined, "");
}
