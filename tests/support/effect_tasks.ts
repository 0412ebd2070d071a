/**
 * Tasks that are Effects and Streams.
 *
 * @module
 */
import * as Cause from "effect/Cause";
import * as Data from "effect/Data";
import * as Effect from "effect/Effect";
import * as Stream from "effect/Stream";
import type * as Queue from "../../src/Queue.ts";
import type * as SharedMemory from "../../src/SharedMemory.ts";
import * as Task from "../../src/Task.ts";
import { boom } from "./plain_tasks.ts";

export const addEffect = Task.make(import.meta, "addEffect", (a: number, b: number) => Effect.sync(() => a + b));

export const squareEffect = Task.make(import.meta, "squareEffect", (n: number) => Effect.sync(() => n * n));

export const countTo = Task.make(import.meta, "countTo", (n: number) => Stream.range(1, n));

export const failingStream = Task.make(
  import.meta,
  "failingStream",
  (n: number) => Stream.concat(Stream.range(1, n), Stream.fail(new Shortage({ missing: n }))),
);

export const throwingStream = Task.make(
  import.meta,
  "throwingStream",
  () => Stream.concat(Stream.make(1), Stream.sync((): number => boom())),
);

export const functions = Task.make(import.meta, "functions", () => Stream.make(1, () => 2));

export const echoEffect = Task.make(import.meta, "echoEffect", (value: unknown) => Effect.succeed(value));

export const sum = Task.make(
  import.meta,
  "sum",
  (numbers: Stream.Stream<number>) => Stream.runFold(numbers, 0, (sum, n) => sum + n),
);

export const double = Task.make(
  import.meta,
  "double",
  (numbers: Stream.Stream<number, Shortage>) => Stream.map(numbers, (n) => 2 * n),
);

export const firstOf = Task.make(
  import.meta,
  "firstOf",
  (count: number, numbers: Stream.Stream<number>) =>
    Effect.map(Stream.runCollect(Stream.take(numbers, count)), Array.from<number>),
);

export const twice = Task.make(
  import.meta,
  "twice",
  (numbers: Stream.Stream<number>) => Effect.zipRight(Stream.runDrain(numbers), Stream.runDrain(numbers)),
);

/** A signal to the parent: a stream that tells the parent when a task runs it. */
export type Signal = Stream.Stream<never>;

/** Signals its begin, waits until it is interrupted, then signals that its finalizer runs. */
export const forever = Task.make(
  import.meta,
  "forever",
  (begun: Signal, finalized: Signal) =>
    Effect.onInterrupt(
      Effect.zipRight(Stream.runDrain(begun), Effect.never),
      () => Stream.runDrain(finalized),
    ),
);

/** Signals its begin. Its finalizers never end. */
export const clinging = Task.make(
  import.meta,
  "clinging",
  (begun: Signal) => Effect.onInterrupt(Effect.zipRight(Stream.runDrain(begun), Effect.never), () => Effect.never),
);

/** Signals its begin, then waits until the parent lets it continue. */
export const gate = Task.make(
  import.meta,
  "gate",
  (begun: Signal, opened: Signal, value: number) =>
    Effect.as(Effect.zipRight(Stream.runDrain(begun), Stream.runDrain(opened)), value),
);

export const busyEffect = Task.make(import.meta, "busyEffect", (path: string) =>
  Effect.sync(() => {
    Deno.writeTextFileSync(path, String(Deno.pid));
    while (Deno.pid > 0);
  }));

/** Work of each kind, to be killed in the middle. */
export const countAndAdd = Task.make(
  import.meta,
  "countAndAdd",
  (a: number, b: number) => Effect.as(Stream.runDrain(Stream.range(1, 20_000)), a + b),
);

export class Shortage extends Data.TaggedError("Shortage")<{ readonly missing: number }> {}

export const failing = Task.make(import.meta, "failing", (missing: number) => Effect.fail(new Shortage({ missing })));

export const failingWithData = Task.make(
  import.meta,
  "failingWithData",
  () => Effect.fail({ _tag: "Plain" as const, at: [1, 2] }),
);

export const failingInSpan = Task.make(
  import.meta,
  "failingInSpan",
  () => Effect.withSpan(Effect.fail(new Shortage({ missing: 1 })), "inner span"),
);

export const dying = Task.make(import.meta, "dying", () => Effect.sync((): number => boom()));

export const interrupting = Task.make(import.meta, "interrupting", () => Effect.interrupt);

export const failingTwice = Task.make(
  import.meta,
  "failingTwice",
  () => Effect.failCause(Cause.parallel(Cause.fail("left"), Cause.sequential(Cause.fail("right"), Cause.die("after")))),
);

export const failingWithFunction = Task.make(import.meta, "failingWithFunction", () => Effect.fail({ f: () => 1 }));

export const returningFunctionEffect = Task.make(
  import.meta,
  "returningFunctionEffect",
  () => Effect.succeed({ items: [1, { callback: () => 1 }] } as unknown),
);

export const exitLater = Task.make(
  import.meta,
  "exitLater",
  (code: number) => Effect.sync((): number => Deno.exit(code)),
);

export const parentSpan = Task.make(
  import.meta,
  "parentSpan",
  () => Effect.map(Effect.currentParentSpan, ({ spanId, traceId }) => ({ spanId, traceId })),
);

/** Elements that tell how far the stream was run. */
export const wide = Task.make(
  import.meta,
  "wide",
  (width: number, pulled: string) =>
    Stream.map(Stream.iterate(1, (n) => n + 1), (n) => {
      Deno.writeTextFileSync(pulled, String(n));
      return new Uint8Array(width).fill(n);
    }),
);

/** Changes memory during long turns of its event loop, and puts an item after each turn. */
export const restless = Task.make(
  import.meta,
  "restless",
  (memory: SharedMemory.SharedMemory, queue: Queue.Queue<number>) =>
    Effect.forever(Effect.gen(function* () {
      const words = memory.array(Int32Array);
      const until = performance.now() + 50;
      while (performance.now() < until) Atomics.add(words, 0, 1);
      yield* queue.put(words[0]);
      yield* Effect.sleep(0);
    })),
);
