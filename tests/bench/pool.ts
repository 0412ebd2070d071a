/** The rows of a pool of two, on either backend, against `multiprocessing.Pool`. */

import * as Effect from "effect/Effect";
import type * as Layer from "effect/Layer";
import type { Backend } from "../../src/Backend.ts";
import * as Pool from "../../src/Pool.ts";
import * as SubprocessBackend from "../../src/SubprocessBackend.ts";
import * as WorkerBackend from "../../src/WorkerBackend.ts";
import { bench, perTurn, pythonRow, sampled, timed } from "./harness.ts";
import { increment } from "./tasks.ts";

const withPool = (backend: Layer.Layer<Backend>, measure: (pool: Pool.Pool) => Promise<number>): Promise<number> =>
  Effect.runPromise(
    Pool.make({ size: 2 }).pipe(
      Effect.flatMap((pool) => Effect.promise(() => measure(pool))),
      Effect.scoped,
      Effect.provide(backend),
    ),
  );

const apply = (pool: Pool.Pool): Promise<number> =>
  perTurn((calls) =>
    Effect.runPromise(Effect.gen(function* () {
      for (let call = 0; call < calls; call++) yield* pool.apply(increment, 1);
    }))
  );

const map = (count: number, options: Pool.MapOptions) => {
  const items = Array.from({ length: count }, (_, i) => i);
  return (pool: Pool.Pool): Promise<number> =>
    sampled(async () => count / (await timed(() => Effect.runPromise(pool.map(increment, items, options))) / 1000));
};

interface Bounds {
  readonly apply: string;
  readonly chunk1: string;
  readonly auto: string;
}

const rows = (suffix: string, backend: Layer.Layer<Backend>, bounds: Bounds): void => {
  bench({
    name: `pool.apply${suffix}`,
    unit: "us",
    better: "lower",
    bound: bounds.apply,
    run: () => withPool(backend, apply),
    peers: { python: pythonRow("pool.apply") },
  });
  bench({
    name: `pool.map.chunk1${suffix}`,
    unit: "items/s",
    better: "higher",
    bound: bounds.chunk1,
    run: () => withPool(backend, map(10_000, { chunkSize: 1 })),
    peers: { python: pythonRow("pool.map.chunk1") },
  });
  bench({
    name: `pool.map.auto${suffix}`,
    unit: "items/s",
    better: "higher",
    bound: bounds.auto,
    run: () => withPool(backend, map(1_000_000, {})),
    peers: { python: pythonRow("pool.map.auto") },
  });
};

rows("", SubprocessBackend.layer(), {
  apply: "the link's round trip, half; the span of the call, a third",
  chunk1: "waiting for round trips: a worker has one item at a time",
  auto: "writing and slicing the chunks",
});
rows(".worker", WorkerBackend.layer(), {
  apply: "messages of the port, each acknowledged; the span of the call",
  chunk1: "waiting for round trips: a worker has one item at a time",
  auto: "slicing and joining the chunks",
});
