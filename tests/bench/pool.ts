/** The rows of a pool of two, on either backend, against `multiprocessing.Pool`. */

import * as Effect from "effect/Effect";
import * as Layer from "effect/Layer";
import * as Stream from "effect/Stream";
import { Backend } from "../../src/Backend.ts";
import * as Pool from "../../src/Pool.ts";
import * as SubprocessBackend from "../../src/SubprocessBackend.ts";
import * as WorkerBackend from "../../src/WorkerBackend.ts";
import * as Task from "../../src/Task.ts";
import { bench, median, packages, perTurn, python, pythonRow, sampled, scripted, timed, warm } from "./harness.ts";
import { privateMemory, processorTime } from "./processes.ts";
import { close, die, echo, factorial, fib, increment, move, pid, prepareToDie, work } from "./tasks.ts";
import { type Warm, withWarm } from "./warm.ts";

const withPool = (
  backend: Layer.Layer<Backend>,
  measure: (pool: Pool.Pool) => Promise<number>,
  size: Pool.Options["size"] = 2,
  options: Pool.Options = {},
): Promise<number> =>
  Effect.runPromise(
    Pool.make({ ...options, size }).pipe(
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
    warm(async () => count / (await timed(() => Effect.runPromise(pool.map(increment, items, options))) / 1000));
};

/** One sample, as in Python. The other samples of a row come with the turns. */
const burst = async (pool: Pool.Pool): Promise<number> => {
  const items = Array.from({ length: 20_000 }, (_, n) => n);
  await Effect.runPromise(pool.map(increment, items.slice(0, 100), { chunkSize: 1 }));
  const all = Effect.flatMap(
    Effect.forEach(items, (n) => pool.submit(increment, n)),
    Effect.forEach((submission) => submission.await),
  );
  return items.length / (await timed(() => Effect.runPromise(all)) / 1000);
};

/** The default of a user who wants each result when it is there. */
const imap = (count: number) => {
  const items = Array.from({ length: count }, (_, i) => i);
  return (pool: Pool.Pool): Promise<number> =>
    warm(async () =>
      count / (await timed(() => Effect.runPromise(Stream.runSum(pool.mapUnordered(increment, items)))) / 1000)
    );
};

/** One call with 1 MiB as its argument and its result. */
const bytes = (pool: Pool.Pool): Promise<number> => {
  const value = new Uint8Array(1024 * 1024).fill(1);
  return perTurn((calls) =>
    Effect.runPromise(Effect.gen(function* () {
      for (let call = 0; call < calls; call++) yield* pool.apply(echo, value);
    }))
  );
};

/** {@link bytes}, which move there and back. */
const moved = (pool: Pool.Pool): Promise<number> => {
  let value: Uint8Array = new Uint8Array(1024 * 1024).fill(1);
  return perTurn((calls) =>
    Effect.runPromise(Effect.gen(function* () {
      for (let call = 0; call < calls; call++) value = yield* pool.apply(move, Task.move(value));
    }))
  );
};

/** 200 calls of some milliseconds. */
const fibs = async (pool: Pool.Pool): Promise<number> => {
  await Effect.runPromise(pool.map(fib, [20, 20], { chunkSize: 1 }));
  return 200 / (await timed(() => Effect.runPromise(pool.map(fib, new Array<number>(200).fill(30)))) / 1000);
};

/** 100 000 calls of a fraction of a millisecond. One sample, as in Python. */
const factorials = async (pool: Pool.Pool): Promise<number> => {
  const items = new Array<number>(100_000).fill(1000);
  await Effect.runPromise(pool.map(factorial, items.slice(0, 100)));
  return items.length / (await timed(() => Effect.runPromise(pool.map(factorial, items))) / 1000);
};

/** How much longer two tasks of half a second take if the second worker has to be started for them. */
const grow = async (pool: Pool.Pool): Promise<number> => {
  await Effect.runPromise(pool.apply(increment, 1));
  const both = Effect.all([pool.apply(work), pool.apply(work)], { concurrency: 2 });
  return await timed(() => Effect.runPromise(both)) - 500;
};

/** From a worker that dies in a task to the next result. */
const recover = (fatal: Task.Task<[], never>) => async (pool: Pool.Pool): Promise<number> => {
  const both = Effect.zipRight(Effect.flip(pool.apply(fatal)), pool.apply(increment, 1));
  return await sampled(async () => {
    await Effect.runPromise(pool.apply(prepareToDie));
    return await timed(() => Effect.runPromise(both));
  });
};

/** {@link recover}, with a standby child as the next worker. */
const recoverWarm = ({ backend, spare }: Warm): Promise<number> =>
  withPool(Layer.succeed(Backend, backend), async (pool) => {
    const sample = Effect.gen(function* () {
      yield* pool.apply(prepareToDie);
      const next = yield* spare;
      const start = performance.now();
      yield* Effect.flip(pool.apply(die));
      const used = yield* pool.apply(pid);
      const taken = performance.now() - start;
      return used === next ? taken : yield* Effect.dieMessage("Cannot measure: the child was a cold one");
    });
    return await warm(() => Effect.runPromise(sample));
  }, 1);

/** {@link recover}, with a spare that is ready at each death. */
const recoverSpare = (fatal: Task.Task<[], never>) => async (pool: Pool.Pool): Promise<number> => {
  const ready = Effect.repeat(Effect.zipLeft(pool.statistics, Effect.sleep("5 millis")), {
    until: ({ spare }) => spare === 1,
  });
  const both = Effect.zipRight(Effect.flip(pool.apply(fatal)), pool.apply(increment, 1));
  return await warm(async () => {
    await Effect.runPromise(Effect.zipRight(pool.apply(prepareToDie), ready));
    return await timed(() => Effect.runPromise(both));
  });
};

/** Private memory in megabytes of a worker that has run a task; see {@link privateMemory}. */
const memory = async (pool: Pool.Pool): Promise<number> => {
  const pids = await Effect.runPromise(
    Effect.all(Array.from({ length: 4 }, () => pool.apply(pid)), { concurrency: "unbounded" }),
  );
  return median([...new Set(pids)].map(privateMemory));
};

/** Processor time in milliseconds that a pool uses in 20 seconds without a task, with this process. */
const idle = async (pool: Pool.Pool): Promise<number> => {
  const pids = new Set([Deno.pid, ...await Effect.runPromise(pool.broadcast(pid))]);
  const pause = (millis: number) => new Promise((resolve) => setTimeout(resolve, millis));
  // Most of the garbage of the start is collected meanwhile.
  await pause(20_000);
  const before = processorTime(pids);
  await pause(20_000);
  return processorTime(pids) - before;
};

interface Bounds {
  readonly apply: string;
  readonly chunk1: string;
  readonly auto: string;
  readonly burst: string;
  readonly recover: string;
}

const rows = (
  suffix: string,
  backend: Layer.Layer<Backend>,
  fatal: Task.Task<[], never>,
  columns: Readonly<Record<"apply" | "chunk1" | "burst" | "fib" | "grow" | "recover", ReadonlyArray<string>>>,
  bounds: Bounds,
): void => {
  bench({
    name: `pool.apply${suffix}`,
    unit: "us",
    better: "lower",
    bound: bounds.apply,
    run: () => withPool(backend, apply),
    peers: { python: pythonRow("pool.apply"), ...packages("pool.apply", ...columns.apply) },
  });
  bench({
    name: `pool.map.chunk1${suffix}`,
    unit: "items/s",
    better: "higher",
    bound: bounds.chunk1,
    run: () => withPool(backend, map(10_000, { chunkSize: 1 })),
    peers: { python: pythonRow("pool.map.chunk1"), ...packages("pool.map.chunk1", ...columns.chunk1) },
  });
  bench({
    name: `pool.map.auto${suffix}`,
    unit: "items/s",
    better: "higher",
    bound: bounds.auto,
    run: () => withPool(backend, map(1_000_000, {})),
    peers: { python: pythonRow("pool.map.auto") },
  });
  bench({
    name: `pool.burst${suffix}`,
    unit: "tasks/s",
    better: "higher",
    bound: bounds.burst,
    run: () => withPool(backend, burst),
    peers: { python: pythonRow("pool.burst"), ...packages("pool.burst", ...columns.burst) },
  });
  bench({
    name: `pool.imap${suffix}`,
    unit: "items/s",
    better: "higher",
    bound: bounds.auto,
    run: () => withPool(backend, imap(20_000)),
    peers: { python: pythonRow("pool.imap") },
  });
  bench({
    name: `pool.bytes${suffix}`,
    unit: "us",
    better: "lower",
    bound: "copying 1 MiB from process to process and back",
    run: () => withPool(backend, bytes),
    peers: {
      python: pythonRow("pool.bytes"),
      ...packages("pool.bytes", ...columns.apply.filter((name) => name !== "effect")),
    },
  });
  bench({
    name: `pool.fib${suffix}`,
    unit: "tasks/s",
    better: "higher",
    bound: "the work itself, on two cores",
    run: () => withPool(backend, fibs),
    peers: { python: pythonRow("pool.fib"), ...packages("pool.fib", ...columns.fib) },
  });
  bench({
    name: `pool.factorial${suffix}`,
    unit: "tasks/s",
    better: "higher",
    bound: "the work itself, on two cores",
    run: () => withPool(backend, factorials),
    peers: { python: pythonRow("pool.factorial") },
  });
  bench({
    name: `pool.grow${suffix}`,
    unit: "ms",
    better: "lower",
    bound: "the wait before a pool grows, 10 ms by default; the start of a worker",
    run: () => withPool(backend, grow, { min: 1, max: 2 }),
    peers: { python: pythonRow("pool.grow"), ...packages("pool.grow", ...columns.grow) },
  });
  bench({
    name: `pool.recover.spare${suffix}`,
    unit: "ms",
    better: "lower",
    bound: suffix === ""
      ? "the system, which ends a killed process in 2 ms, a half; the first request to the spare, a quarter"
      : "the end of the dead worker; the first request to the spare",
    run: () => withPool(backend, recoverSpare(fatal), 1, { spare: true }),
    peers: { python: pythonRow("pool.recover") },
  });
  bench({
    name: `pool.recover${suffix}`,
    unit: "ms",
    better: "lower",
    bound: bounds.recover,
    run: () => withPool(backend, recover(fatal), 1),
    peers: { python: pythonRow("pool.recover"), ...packages("pool.recover", ...columns.recover) },
  });
};

const processes = ["tinypool", "workerpool"];

rows("", SubprocessBackend.layer(), die, {
  apply: processes,
  chunk1: [],
  burst: processes,
  fib: processes,
  grow: processes,
  recover: processes,
}, {
  apply: "the link's round trip: waiting for each other, two thirds",
  chunk1: "a write and a read for each answer, in the child and here: an answer leaves before the next item begins",
  auto: "waiting for the children; collecting garbage, a seventh; writing, a seventh",
  burst: "a write and a read for each answer, in the child and here: an answer leaves before the next task begins",
  recover: "the start of the next worker",
});

bench({
  name: "pool.start.script",
  unit: "ms",
  better: "lower",
  bound: "loading Effect in both children, two thirds",
  run: () => sampled(() => scripted("script.ts", "pool")),
  peers: { python },
});

bench({
  name: "pool.recover.standby",
  unit: "ms",
  better: "lower",
  bound: "the end of the dead child; the first request to the next",
  run: () => withWarm(recoverWarm),
  peers: { python: pythonRow("pool.recover") },
});

bench({
  name: "pool.memory",
  unit: "MB",
  better: "lower",
  bound: "an empty Deno, two thirds; node:net, a quarter",
  run: () => withPool(SubprocessBackend.layer(), memory, 4),
  peers: { python, ...packages("pool.memory", ...processes) },
});

for (
  const [suffix, backend, bound] of [
    ["", SubprocessBackend.layer(), "nothing wakes a process"],
    [".worker", WorkerBackend.layer(), "V8, which collects the garbage of the start once in each isolate"],
  ] as const
) {
  bench({
    name: `pool.idle.16${suffix}`,
    unit: "ms",
    better: "lower",
    bound,
    run: () => withPool(backend, idle, 16),
  });
}

bench({
  name: "pool.bytes.move.worker",
  unit: "us",
  better: "lower",
  bound: "turns of two isolates that wait for each other",
  run: () => withPool(WorkerBackend.layer(), moved),
  peers: { python: pythonRow("pool.bytes") },
});

// Each of these peers loses the task of a lost worker for ever, so none can recover. Only one has a map, and one has no
// usable burst.
rows(".worker", WorkerBackend.layer(), close, {
  apply: ["poolifier", "comlink", "effect", "piscina"],
  chunk1: ["poolifier"],
  burst: ["poolifier", "comlink", "piscina"],
  fib: ["poolifier", "piscina"],
  grow: ["piscina"],
  recover: [],
}, {
  apply: "turns of two isolates that wait for each other",
  chunk1: "a message for each answer: it leaves before the next item begins",
  auto: "waiting for the workers; slicing and decoding the chunks, a fifth",
  burst:
    "a message for each answer: it leaves before the next task begins, where other libraries hand over all tasks at once",
  recover: "the start of the next worker",
});
