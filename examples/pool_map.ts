/** Distributes work over a pool, and shows how failures arrive: `deno task example:pool_map`. */
import { Pool, Process, runMain, SubprocessBackend, Task } from "@effect-deno/multiprocessing";
import { Console, Data, Effect, Option } from "effect";

const isPrime = (n: number): boolean => {
  for (let divisor = 2; divisor * divisor <= n; divisor++) if (n % divisor === 0) return false;
  return n > 1;
};

const countPrimes = Task.make(import.meta, "countPrimes", (from: number, to: number) => {
  let count = 0;
  for (let n = from; n < to; n++) if (isPrime(n)) count++;
  return count;
});

const square = Task.make(import.meta, "square", (n: number) => n * n);
const add = Task.make(import.meta, "add", (a: number, b: number) => a + b);

class NotPrime extends Data.TaggedError("NotPrime")<{ readonly n: number; readonly process: string }> {}

const checkPrime = Task.make(import.meta, "checkPrime", (n: number) =>
  Effect.gen(function* () {
    const { name } = yield* Process.current;
    return isPrime(n) ? n : yield* new NotPrime({ n, process: name });
  }));

const program = Effect.gen(function* () {
  const pool = yield* Pool.make({ size: 2 });

  // `starmap` runs a task with several arguments, `map` a task with one.
  const ranges = Array.from({ length: 10 }, (_, i): [number, number] => [i * 100_000, (i + 1) * 100_000]);
  const counts = yield* pool.starmap(countPrimes, ranges);
  yield* Console.log(`Primes below a million: ${counts.reduce((sum, count) => sum + count)}`);

  // `mapReduce` combines the results where they are made: only one of each chunk comes back.
  const sum = yield* pool.mapReduce(square, add, Array.from({ length: 1000 }, (_, i) => i + 1));
  yield* Console.log(`Sum of the first 1000 squares: ${Option.getOrThrow(sum)}`);

  // The first failure stops all other items. It is the failure of the task, with its type.
  const failed = yield* Effect.flip(pool.map(checkPrime, [2, 3, 5, 7, 9, 11]));
  if (failed._tag === "NotPrime") yield* Console.log(`${failed.n} is not prime, says ${failed.process}`);
}).pipe(Effect.scoped, Effect.provide(SubprocessBackend.layer()));

if (import.meta.main) runMain(program);
