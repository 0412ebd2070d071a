/** Processes that start processes, and pools inside a pool: `deno task example:nested`. */
import { Pool, Process, runMain, SubprocessBackend, Task } from "@effect-deno/multiprocessing";
import { Console, Effect } from "effect";

const leaf = Task.make(
  import.meta,
  "leaf",
  () => Effect.map(Process.current, ({ name, parent }) => `${name}, started by ${parent?.name}`),
);

/** A handler that is an Effect can start processes, on a backend of the same kind as that of its own process. */
const branch = Task.make(import.meta, "branch", () =>
  Effect.gen(function* () {
    const { name, parent } = yield* Process.current;
    const first = yield* Process.spawn(leaf);
    const second = yield* Process.spawnWith(leaf, [], { name: "a leaf" });
    return [`${name}, started by ${parent?.name}`, yield* first.join, yield* second.join];
  }));

const square = Task.make(import.meta, "square", (n: number) => n * n);

const sumOfSquares = Task.make(
  import.meta,
  "sumOfSquares",
  (numbers: ReadonlyArray<number>) =>
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 2 }); // ends with the task
      const squares = yield* pool.map(square, numbers);
      return squares.reduce((sum, n) => sum + n, 0);
    }),
);

const program = Effect.gen(function* () {
  for (const line of yield* Process.run(branch)) yield* Console.log(line);

  const pool = yield* Pool.make({ size: 2 });
  const sums = yield* pool.map(sumOfSquares, [[1, 2, 3], [4, 5, 6]]);
  yield* Console.log(`pools in a pool: ${sums.join(", ")}`);
}).pipe(Effect.scoped, Effect.provide(SubprocessBackend.layer()));

if (import.meta.main) runMain(program);
