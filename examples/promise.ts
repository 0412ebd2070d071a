/**
 * A pool, a queue and a lock in a script that is written with Promises.
 *
 *     deno task example:promise
 *
 * @module
 */
import * as Mp from "@effect-deno/multiprocessing/Promise";

export const isPrime = Mp.task(import.meta, "isPrime", (n: number) => {
  for (let divisor = 2; divisor * divisor <= n; divisor++) if (n % divisor === 0) return false;
  return n > 1;
});

export const count = Mp.task(
  import.meta,
  "count",
  async (numbers: Mp.Queue<number>, total: Mp.Value<"i32">, lock: Mp.Lock) => {
    let found = 0;
    for await (const n of numbers) if (n % 3 === 0) found++;
    await total.add(found);
    await using _held = await lock.take(); // one process at a time writes its line
    console.log("one counter is done");
  },
);

if (import.meta.main) {
  await using pool = await Mp.pool({ size: 2 });
  console.log(await pool.map(isPrime, [97, 98, 99, 101]));

  // A signal stops a task that runs for too long, and frees its core.
  const signal = AbortSignal.timeout(100);
  const late = await pool.apply(isPrime, [Number.MAX_SAFE_INTEGER - 110], { signal }).catch((error) => error.name);
  console.log(late);

  await using numbers = await Mp.queue<number>({ capacity: 100 });
  await using total = await Mp.value("i32", 0);
  await using lock = await Mp.lock();
  const counters = [1, 2].map(() => Mp.run(count, [numbers, total, lock]));
  await numbers.putAll(Array.from({ length: 300 }, (_, n) => n));
  await numbers.close();
  await Promise.all(counters);
  console.log(await total.get(), "numbers can be divided by 3");
}
