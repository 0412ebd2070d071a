/** A pool works on slices of one large array, of which no process has a copy: `deno task example:pool_shared`. */
import { Pool, runMain, SharedMemory, SubprocessBackend, Task } from "@effect-deno/multiprocessing";
import { Console, Effect } from "effect";

const length = 2_000_000;
const slices = 40;

/** A block of numbers, and the part of it that a task works on. Only this is sent, not the numbers. */
type Slice = readonly [memory: SharedMemory.SharedMemory, from: number, to: number];

/** The numbers of a slice, in the shared memory itself. */
const numbersOf = ([memory, from, to]: Slice): Float64Array<ArrayBufferLike> =>
  memory.array(Float64Array, 8 * from, to - from);

const sum = Task.make(import.meta, "sum", (...slice: Slice) => numbersOf(slice).reduce((a, b) => a + b));

/** Moves the numbers of a slice, where they are, so that their mean is zero. */
const centre = Task.make(import.meta, "centre", (slice: Slice, mean: number) => {
  const numbers = numbersOf(slice);
  for (let i = 0; i < numbers.length; i++) numbers[i] -= mean;
});

const program = Effect.gen(function* () {
  const memory = yield* SharedMemory.make({ size: 8 * length });
  const numbers = memory.array(Float64Array);
  for (let i = 0; i < length; i++) numbers[i] = i;

  const pool = yield* Pool.make({ size: 2 });
  const all = Array.from({ length: slices }, (_, n): Slice => [memory, n * length / slices, (n + 1) * length / slices]);
  const total = (yield* pool.starmap(sum, all)).reduce((a, b) => a + b);
  yield* Console.log(`the mean of ${length} numbers is ${total / length}`);

  yield* pool.starmap(centre, all.map((slice) => [slice, total / length] as const));
  yield* Console.log(`now the first one is ${numbers[0]}, and the last one ${numbers[length - 1]}`);
}).pipe(Effect.scoped, Effect.provide(SubprocessBackend.layer()));

if (import.meta.main) runMain(program);
