/**
 * Tasks that many tests share: plain functions, Effects and Streams, and tasks that need more of the library. A child
 * loads only the module of its task.
 *
 * @module
 */
import * as Context from "effect/Context";
import * as Effect from "effect/Effect";
import * as Layer from "effect/Layer";
import * as Schema from "effect/Schema";
import * as Stream from "effect/Stream";
import * as Pool from "../../src/Pool.ts";
import * as Process from "../../src/Process.ts";
import * as Task from "../../src/Task.ts";
import { Shortage } from "./effect_tasks.ts";
import { square } from "./plain_tasks.ts";

export * from "./effect_tasks.ts";
export * from "./plain_tasks.ts";

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

/** Its result violates its Schema. */
export const wrongResult = Task.make(import.meta, "wrongResult", (text: string) => text as unknown as number, {
  success: Schema.Number,
});

export const wrongResultEffect = Task.make(
  import.meta,
  "wrongResultEffect",
  (text: string) => Effect.succeed(text as unknown as number),
  { success: Schema.Number },
);

/** Its failure violates its Schema. */
export const wrongFailure = Task.make(
  import.meta,
  "wrongFailure",
  (): Effect.Effect<number, number> => Effect.fail("text" as unknown as number),
  { error: Schema.Number },
);

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

/** The release of the layer writes to this file. */
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

export const whoAmI = Task.make(import.meta, "whoAmI", () => Process.current);
export const whoAmIStream = Task.make(import.meta, "whoAmIStream", () => Stream.fromEffect(Process.current));

export const whoIsMyParent = Task.make(import.meta, "whoIsMyParent", () => Process.parent);

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
