/**
 * The tasks of the tests.
 *
 * @module
 */
import * as Cause from "effect/Cause";
import * as Context from "effect/Context";
import * as Data from "effect/Data";
import * as Effect from "effect/Effect";
import * as Layer from "effect/Layer";
import * as Schema from "effect/Schema";
import * as Stream from "effect/Stream";
import { Pool, Process, type Queue, type SharedMemory, Task } from "../../mod.ts";

/** A module that exists only in what it says it is. */
export const meta = (url: string): ImportMeta => ({ url }) as ImportMeta;

// What handlers return.

export const add = Task.make(import.meta, "add", (a: number, b: number) => a + b);
export const addLater = Task.make(import.meta, "addLater", (a: number, b: number) => Promise.resolve(a + b));
export const addEffect = Task.make(import.meta, "addEffect", (a: number, b: number) => Effect.sync(() => a + b));
export const square = Task.make(import.meta, "square", (n: number) => n * n);
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
export const echo = Task.make(import.meta, "echo", (value: unknown) => value);
export const echoEffect = Task.make(import.meta, "echoEffect", (value: unknown) => Effect.succeed(value));
export const nothing = Task.make(import.meta, "nothing", () => {});

// Streams as arguments.

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

/** A signal to the parent: a stream that tells it when it is run. */
export type Signal = Stream.Stream<never>;

/** Tells when it has begun, and waits until it is interrupted; then tells that its finalizer runs. */
export const forever = Task.make(
  import.meta,
  "forever",
  (begun: Signal, finalized: Signal) =>
    Effect.onInterrupt(
      Effect.zipRight(Stream.runDrain(begun), Effect.never),
      () => Stream.runDrain(finalized),
    ),
);
/** Begins, and has finalizers that never end. */
export const clinging = Task.make(
  import.meta,
  "clinging",
  (begun: Signal) => Effect.onInterrupt(Effect.zipRight(Stream.runDrain(begun), Effect.never), () => Effect.never),
);
/** Begins, and waits for the parent to let it go on. */
export const gate = Task.make(
  import.meta,
  "gate",
  (begun: Signal, opened: Signal, value: number) =>
    Effect.as(Effect.zipRight(Stream.runDrain(begun), Stream.runDrain(opened)), value),
);
/** Never turns its event loop, once the file says so. */
export const busy = Task.make(import.meta, "busy", (path: string) => {
  Deno.writeTextFileSync(path, String(Deno.pid));
  while (Deno.pid > 0);
});

export const busyEffect = Task.make(import.meta, "busyEffect", (path: string) =>
  Effect.sync(() => {
    Deno.writeTextFileSync(path, String(Deno.pid));
    while (Deno.pid > 0);
  }));

/** Some work of each kind, to be killed in the middle of it. */
export const countAndAdd = Task.make(
  import.meta,
  "countAndAdd",
  (a: number, b: number) => Effect.as(Stream.runDrain(Stream.range(1, 20_000)), a + b),
);

// Failures.

export class Shortage extends Data.TaggedError("Shortage")<{ readonly missing: number }> {}

const boom = (): never => {
  throw new RangeError("boom", { cause: new Error("fuse") });
};

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
export const throwing = Task.make(import.meta, "throwing", (): number => boom());
export const throwingLater = Task.make(import.meta, "throwingLater", async () => {
  await Promise.resolve();
  return boom();
});
export const throwingText = Task.make(import.meta, "throwingText", (): number => {
  throw "only text";
});
export const dying = Task.make(import.meta, "dying", () => Effect.sync((): number => boom()));
export const interrupting = Task.make(import.meta, "interrupting", () => Effect.interrupt);
export const failingTwice = Task.make(
  import.meta,
  "failingTwice",
  () => Effect.failCause(Cause.parallel(Cause.fail("left"), Cause.sequential(Cause.fail("right"), Cause.die("after")))),
);
export const failingWithFunction = Task.make(import.meta, "failingWithFunction", () => Effect.fail({ f: () => 1 }));
export const returningFunction = Task.make(
  import.meta,
  "returningFunction",
  () => ({ items: [1, { callback: () => 1 }] }) as unknown,
);
export const returningFunctionEffect = Task.make(
  import.meta,
  "returningFunctionEffect",
  () => Effect.succeed({ items: [1, { callback: () => 1 }] } as unknown),
);

// Ends.

export const exitWith = Task.make(import.meta, "exitWith", (code: number): number => Deno.exit(code));
export const exitLater = Task.make(
  import.meta,
  "exitLater",
  (code: number) => Effect.sync((): number => Deno.exit(code)),
);
export const killItself = Task.make(import.meta, "killItself", (signal: Deno.Signal) => {
  Deno.kill(Deno.pid, signal);
  return new Promise<number>(() => {});
});
export const throwInTimer = Task.make(import.meta, "throwInTimer", () => {
  setTimeout(() => boom(), 0);
  return new Promise<number>(() => {});
});
export const rejectUnhandled = Task.make(import.meta, "rejectUnhandled", () => {
  Promise.reject(new RangeError("boom"));
  return new Promise<number>(() => {});
});
export const never = Task.make(import.meta, "never", () => new Promise<number>(() => {}));
export const closeSelf = Task.make(import.meta, "closeSelf", () => {
  (globalThis as unknown as { readonly close: () => void }).close();
  return new Promise<number>(() => {});
});

// Schemas.

export class Point extends Schema.Class<Point>("Point")({ x: Schema.Number, y: Schema.Number }) {
  get length(): number {
    return Math.hypot(this.x, this.y);
  }
}
export class Refusal extends Schema.TaggedError<Refusal>()("Refusal", { at: Point }) {}

export const mirror = Task.make(
  import.meta,
  "mirror",
  (point: Point, scale: number) => {
    if (!(point instanceof Point)) throw new TypeError("not a Point");
    if (scale === 0) throw new Refusal({ at: point });
    return new Point({ x: -point.x * scale, y: -point.y * scale });
  },
  { payload: [Point, Schema.Number], success: Point, error: Refusal },
);
export const mirrorEffect = Task.make(
  import.meta,
  "mirrorEffect",
  (point: Point): Effect.Effect<Point, Refusal> =>
    point.x === 0 ? Effect.fail(new Refusal({ at: point })) : Effect.succeed(new Point({ x: -point.x, y: -point.y })),
  { payload: [Point], success: Point, error: Refusal },
);
export const points = Task.make(
  import.meta,
  "points",
  (n: number) => Stream.map(Stream.range(1, n), (x) => new Point({ x, y: 0 })),
  { success: Point },
);
/** Its result is not what its Schema says. */
export const wrongResult = Task.make(import.meta, "wrongResult", (text: string) => text as unknown as number, {
  success: Schema.Number,
});
export const wrongResultEffect = Task.make(
  import.meta,
  "wrongResultEffect",
  (text: string) => Effect.succeed(text as unknown as number),
  { success: Schema.Number },
);
/** Its failure is not what its Schema says. */
export const wrongFailure = Task.make(
  import.meta,
  "wrongFailure",
  (): Effect.Effect<number, number> => Effect.fail("text" as unknown as number),
  { error: Schema.Number },
);

// Layers.

interface Built {
  readonly number: number;
}
const Built = Context.GenericTag<Built>("tests/Built");
let built = 0;
let releaseFile: string | undefined;

const builtLayer = Layer.scoped(
  Built,
  Effect.acquireRelease(
    Effect.sync(() => ({ number: ++built })),
    () => Effect.sync(() => releaseFile !== undefined && Deno.writeTextFileSync(releaseFile, `released ${built}`)),
  ),
);
export const buildCount = Task.make(import.meta, "buildCount", () => Effect.map(Built, () => built), {
  layer: builtLayer,
});
export const buildCountAgain = Task.make(import.meta, "buildCountAgain", () => Effect.map(Built, () => built), {
  layer: builtLayer,
});
/** The release of the layer will be told in this file. */
export const tellRelease = Task.make(
  import.meta,
  "tellRelease",
  (path: string) =>
    Effect.map(Built, ({ number }) => {
      releaseFile = path;
      return number;
    }),
  { layer: builtLayer },
);
export const brokenLayer = Task.make(import.meta, "brokenLayer", () => Effect.map(Built, () => 1), {
  layer: Layer.fail(new Shortage({ missing: 3 })) as Layer.Layer<Built, Shortage>,
});
export const dyingLayer = Task.make(import.meta, "dyingLayer", () => Effect.map(Built, () => 1), {
  layer: Layer.die(new RangeError("boom")) as Layer.Layer<Built>,
});

// What a process knows, and processes in processes.

export const whoAmI = Task.make(import.meta, "whoAmI", () => Process.current);
export const whoIsMyParent = Task.make(import.meta, "whoIsMyParent", () => Process.parent);
export const pid = Task.make(import.meta, "pid", () => Deno.pid);
export const isMain = Task.make(import.meta, "isMain", () => import.meta.main);
export const nested = Task.make(
  import.meta,
  "nested",
  (depth: number): Effect.Effect<ReadonlyArray<string>, unknown, Task.Provided> =>
    Effect.gen(function* () {
      const { name } = yield* Process.current;
      if (depth === 0) return [name];
      return [name, ...yield* Process.run(nestedTask(), depth - 1)];
    }),
);
const nestedTask = (): Task.Task<[depth: number], ReadonlyArray<string>, unknown> => nested;
export const poolInTask = Task.make(
  import.meta,
  "poolInTask",
  (n: number) =>
    Effect.flatMap(Pool.make({ size: 1 }), (pool) => pool.map(square, Array.from({ length: n }, (_, i) => i))),
);
export const parentSpan = Task.make(
  import.meta,
  "parentSpan",
  () => Effect.map(Effect.currentParentSpan, ({ spanId, traceId }) => ({ spanId, traceId })),
);

// Sizes.

export const bytes = Task.make(import.meta, "bytes", (size: number) => new Uint8Array(size).fill(7));
export const size = Task.make(import.meta, "size", (bytes: Uint8Array) => bytes.length);
/** Elements that say how far the stream was run. */
export const wide = Task.make(
  import.meta,
  "wide",
  (width: number, pulled: string) =>
    Stream.map(Stream.iterate(1, (n) => n + 1), (n) => {
      Deno.writeTextFileSync(pulled, String(n));
      return new Uint8Array(width).fill(n);
    }),
);

// Permissions, environment, streams.

/** What becomes of each attempt to use a permission. */
export const attempts = Task.make(import.meta, "attempts", (readable: string, host: string) => {
  const attempt = (f: () => unknown): string => {
    try {
      f();
      return "allowed";
    } catch (error) {
      return error instanceof Deno.errors.NotCapable ? "denied" : `${error}`;
    }
  };
  return {
    read: attempt(() => Deno.readTextFileSync(readable)),
    write: attempt(() => Deno.writeTextFileSync(`${readable}.written`, "")),
    env: attempt(() => Deno.env.get("HOME")),
    net: attempt(() => Deno.listen({ hostname: host, port: 0 }).close()),
    run: attempt(() => new Deno.Command(Deno.execPath(), { args: ["--version"] }).outputSync()),
    sys: attempt(() => Deno.hostname()),
    ffi: attempt(() => Deno.dlopen("libc.so.6", {}).close()),
  };
});
export const environment = Task.make(
  import.meta,
  "environment",
  (name: string) => ({ value: Deno.env.get(name), cwd: Deno.cwd() }),
);
export const print = Task.make(import.meta, "print", (out: string, err: string) => {
  console.log(out);
  console.error(err);
});
export const readInput = Task.make(
  import.meta,
  "readInput",
  async () => (await Deno.stdin.read(new Uint8Array(16))) ?? "end",
);
export const allocate = Task.make(import.meta, "allocate", () => {
  const kept: Array<Array<number>> = [];
  for (;;) kept.push(new Array(1_000_000).fill(kept.length));
});
/** Changes memory throughout long turns of its event loop, and puts an item after each. */
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
