/** The rows of a pool, for any runner of numbered tasks. */

import { privateMemory } from "../processes.ts";
import { median, perTurn, sampled, timed } from "../harness.ts";
import type { Rows } from "./serve.ts";

/** The names of the tasks of a peer. */
export type Name = "nothing" | "increment" | "pid" | "prepareToDie" | "die" | "echo" | "fib" | "work";

/** A peer's pool. */
export interface Pool {
  readonly run: (name: Name, value?: unknown) => PromiseLike<unknown>;
  readonly end: () => PromiseLike<unknown> | void;
}

/** Opens a pool; with `least`, one that begins with so many workers, and has `size` at most. */
export type Open = (size: number, least?: number) => Promise<Pool>;

const using = async <A>(open: Open, size: number, use: (pool: Pool) => Promise<A>): Promise<A> => {
  const pool = await open(size);
  try {
    return await use(pool);
  } finally {
    await pool.end();
  }
};

/** The rows of every peer that has a pool. */
export const common = (open: Open): Rows => ({
  "process.start.cold": start(open),
  "pool.apply": apply(open),
  "pool.burst": burst(open),
  "pool.bytes": bytes(open),
  "pool.fib": fib(open),
  "pool.grow": grow(open),
});

/** From the start of a pool of one to its first result and its end. */
export const start = (open: Open): Rows[string] => [
  "ms",
  () => sampled(() => timed(() => using(open, 1, async (pool) => void await pool.run("nothing")))),
];

export const apply = (
  open: Open,
  size = 2,
): Rows[string] => ["us", () =>
  using(open, size, (pool) =>
    perTurn(async (calls) => {
      for (let call = 0; call < calls; call++) await pool.run("increment", 1);
    }))];

const COUNT = 20_000;

export const burst = (open: Open, size = 2): Rows[string] => ["tasks/s", () =>
  using(open, size, async (pool) => {
    await Promise.all(Array.from({ length: 100 }, (_, n) => pool.run("increment", n)));
    const all = () => Promise.all(Array.from({ length: COUNT }, (_, n) => pool.run("increment", n)));
    return COUNT / (await timed(all) / 1000);
  })];

/** One call with 1 MiB as its argument and its result. */
export const bytes = (open: Open): Rows[string] => ["us", () =>
  using(open, 2, (pool) => {
    const value = new Uint8Array(1024 * 1024).fill(1);
    return perTurn(async (calls) => {
      for (let call = 0; call < calls; call++) await pool.run("echo", value);
    });
  })];

/** 200 calls of some milliseconds, all submitted at once. */
export const fib = (open: Open, size = 2): Rows[string] => ["tasks/s", () =>
  using(open, size, async (pool) => {
    await Promise.all([pool.run("fib", 20), pool.run("fib", 20)]);
    return 200 / (await timed(() => Promise.all(Array.from({ length: 200 }, () => pool.run("fib", 30)))) / 1000);
  })];

/** How much longer two tasks of half a second take if the second worker has to be started for them. */
export const grow = (open: Open): Rows[string] => ["ms", async () => {
  const pool = await open(2, 1);
  try {
    await pool.run("nothing");
    return await timed(() => Promise.all([pool.run("work"), pool.run("work")])) - 500;
  } finally {
    await pool.end();
  }
}];

export const recover = (open: Open): Rows[string] => ["ms", () =>
  using(open, 1, async (pool) => {
    return await sampled(async () => {
      await pool.run("prepareToDie");
      return await timed(async () => {
        await Promise.resolve(pool.run("die")).then(() => Promise.reject(new Error("Nobody died")), () => {});
        await pool.run("increment", 1);
      });
    });
  })];

export const memory = (open: Open): Rows[string] => ["MB", () =>
  using(open, 4, async (pool) => {
    const pids = await Promise.all(Array.from({ length: 4 }, () => pool.run("pid")));
    return median([...new Set(pids as Array<number>)].map(privateMemory));
  })];
