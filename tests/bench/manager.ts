/** The rows of managers whose server is a child of this process, against `multiprocessing.Manager`. */

import * as Effect from "effect/Effect";
import type * as Layer from "effect/Layer";
import type * as Scope from "effect/Scope";
import * as Stream from "effect/Stream";
import type { Backend } from "../../src/Backend.ts";
import * as Manager from "../../src/Manager.ts";
import * as SubprocessBackend from "../../src/SubprocessBackend.ts";
import * as WorkerBackend from "../../src/WorkerBackend.ts";
import { bench, perTurn, pythonRow, timed, warm } from "./harness.ts";
import { maths } from "./manager_tasks.ts";

const COUNT = 20_000;

type Setup = Effect.Effect<() => Promise<number>, unknown, Backend | Scope.Scope>;

const measure = (backend: Layer.Layer<Backend>, setup: Setup): Promise<number> =>
  Effect.runPromise(
    setup.pipe(Effect.flatMap((sample) => Effect.promise(sample)), Effect.scoped, Effect.provide(backend)),
  );

/** Microseconds of an operation that is repeated in sequence. */
const turn = (operation: (n: number) => Effect.Effect<unknown, unknown>) => (): Promise<number> =>
  perTurn((calls) =>
    Effect.runPromise(Effect.gen(function* () {
      for (let call = 0; call < calls; call++) yield* operation(call);
    }))
  );

/** Microseconds of an operation that many fibers run concurrently. */
const pipelined = (operation: (n: number) => Effect.Effect<unknown, unknown>) => (): Promise<number> => {
  const numbers = Array.from({ length: COUNT }, (_, n) => n);
  // Bounded, because the cost of Effect per fiber grows with the number of fibers.
  const all = Effect.forEach(numbers, operation, { concurrency: 256, discard: true });
  return warm(async () => await timed(() => Effect.runPromise(all)) / COUNT * 1000);
};

/** Microseconds of each entry of a Stream. */
const streamed: Setup = Effect.gen(function* () {
  const manager = yield* Manager.make();
  const dict = yield* manager.dict<number, number>();
  const entries = Stream.map(Stream.range(1, COUNT), (n) => [n % 1000, n] as const);
  const run = Stream.run(entries, dict.toSink);
  return () => warm(async () => await timed(() => Effect.runPromise(run)) / COUNT * 1000);
});

const dict = (
  how: typeof turn,
  operation: (dict: Manager.Dict<number, number>, n: number) => Effect.Effect<unknown, unknown>,
): Setup =>
  Effect.gen(function* () {
    const manager = yield* Manager.make();
    const dict = yield* manager.dict<number, number>();
    return how((n) => operation(dict, n));
  });

const call: Setup = Effect.gen(function* () {
  const manager = yield* Manager.make();
  const proxy = yield* manager.create(maths);
  return turn((n) => proxy.add(n, 1));
});

const rows = (suffix: string, backend: Layer.Layer<Backend>, bounds: Readonly<Record<string, string>>): void => {
  const row = (name: string, setup: Setup, peer = name): void =>
    bench({
      name: `manager.${name}${suffix}`,
      unit: "us",
      better: "lower",
      bound: bounds[name],
      run: () => measure(backend, setup),
      peers: { python: pythonRow(`manager.${peer}`) },
    });
  row("dict.set", dict(turn, (dict, n) => dict.set(n % 1000, n)));
  row("dict.get", dict(turn, (dict, n) => dict.get(n % 1000)));
  row("dict.set.pipelined", dict(pipelined, (dict, n) => dict.set(n % 1000, n)), "dict.set");
  row("dict.set.streamed", streamed, "dict.set");
  row("call", call);
};

rows("", SubprocessBackend.layer(), {
  "dict.set": "waiting for the other side, four fifths",
  "dict.get": "waiting for the other side, four fifths",
  "dict.set.pipelined": "this side: collecting garbage, a third; the fibers, each of which costs as much as a call",
  "dict.set.streamed": "encoding and decoding",
  call: "waiting for the other side, four fifths",
});
rows(".worker", WorkerBackend.layer(), {
  "dict.set": "turns of two event loops",
  "dict.get": "turns of two event loops",
  call: "turns of two event loops",
});
