/** Two processes fill one shared array and add it up, without copies: `deno task example:shared_array`. */
import { Array as SharedArray, Process, runMain, SubprocessBackend, Task, Value } from "@effect-deno/multiprocessing";
import { Console, Effect } from "effect";

const length = 1_000_000;

/** Fills a part of the array with the square roots of its indexes. */
const fill = Task.make(import.meta, "fill", (array: SharedArray.Of<"f64">, from: number, to: number) => {
  const { view } = array.raw;
  for (let i = from; i < to; i++) view[i] = Math.sqrt(i);
});

/** Adds the sum of a part to the total. */
const sum = Task.make(
  import.meta,
  "sum",
  (array: SharedArray.Of<"f64">, total: Value.Of<"f64">, from: number, to: number) => {
    let part = 0;
    for (const number of array.raw.view.subarray(from, to)) part += number;
    return total.add(part);
  },
);

const program = Effect.gen(function* () {
  const array = yield* SharedArray.make("f64", length);
  const total = yield* Value.make("f64");
  const halves = [[0, length / 2], [length / 2, length]] as const;

  yield* Effect.forEach(halves, ([from, to]) => Process.run(fill, array, from, to), { concurrency: 2 });
  yield* Console.log(`filled: ${yield* array.get(0)}, ${yield* array.get(4)} ... ${(yield* array.get(-1)).toFixed(3)}`);

  yield* Effect.forEach(halves, ([from, to]) => Process.run(sum, array, total, from, to), { concurrency: 2 });
  yield* Console.log(`the sum is ${(yield* total.get).toFixed(0)}`);

  // A value out of range, or an index that does not exist, is an error and changes nothing.
  const bytes = yield* SharedArray.make("u8", [200, 100]);
  yield* Console.log((yield* Effect.flip(bytes.add(0, 100))).message);
  yield* Console.log((yield* Effect.flip(bytes.get(2))).message);
}).pipe(Effect.scoped, Effect.provide(SubprocessBackend.layer()));

if (import.meta.main) runMain(program);
