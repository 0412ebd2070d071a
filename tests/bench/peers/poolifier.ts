/** poolifier-web-worker. */

import { sampled, timed } from "../harness.ts";
import { apply, burst, bytes, fib, type Open, start } from "./pool.ts";
import { serve } from "./serve.ts";

const specifier: string = "npm:poolifier-web-worker@0.5.15";

interface FixedThreadPool {
  readonly execute: (data: unknown, name: string) => Promise<unknown>;
  readonly mapExecute: (data: Iterable<unknown>, name: string) => Promise<unknown>;
  readonly destroy: () => Promise<void>;
}

await serve(specifier, async () => {
  const { FixedThreadPool } = await import(specifier) as {
    FixedThreadPool: new (size: number, url: URL) => FixedThreadPool;
  };
  const make = (size: number): FixedThreadPool =>
    new FixedThreadPool(size, new URL("poolifier_worker.ts", import.meta.url));
  const open: Open = (size) => {
    const pool = make(size);
    return Promise.resolve({ run: (name, value) => pool.execute(value, name), end: () => pool.destroy() });
  };
  const map = async (): Promise<number> => {
    const pool = make(2);
    try {
      const items = Array.from({ length: 10_000 }, (_, n) => n);
      return await sampled(async () => 10_000 / (await timed(() => pool.mapExecute(items, "increment")) / 1000));
    } finally {
      await pool.destroy();
    }
  };
  return {
    "pool.map.chunk1": ["items/s", map],
    "process.start.cold": start(open),
    "pool.apply": apply(open),
    "pool.burst": burst(open),
    "pool.bytes": bytes(open),
    "pool.fib": fib(open),
  };
});
