/** Rows for `bench_test.ts`: one with a limit, and one that never ends. */
import { bench, main } from "../bench/harness.ts";

bench({
  name: "hangs",
  unit: "us",
  better: "lower",
  run: () => new Promise<never>(() => setInterval(() => {}, 1000)),
});

bench({ name: "shm.bandwidth", unit: "MB/s", better: "higher", run: () => Promise.resolve(1) });

await main(Deno.args);
