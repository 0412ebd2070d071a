/**
 * The other side of `../sidecar.ts`, for a peer that is an npm package: one JSON request a line on stdin, one JSON answer a line on stdout.
 *
 *     echo '{"name": "pool.apply"}' | deno run -A tests/bench/peers/tinypool.ts
 *
 * A peer names its package as an `npm:` URL with the exact version in a constant typed `string`, so that neither the
 * checks of this repository nor its lock file include it.
 * The lock file beside this module includes the packages. To change a version, set `frozen` to false in `deno.json`,
 * and run the peer once.
 */

import { createInterface } from "node:readline";
import process from "node:process";

/**
 * By row: its unit, and a function that takes one sample. The function closes its resources outside the measured time.
 */
export type Rows = Readonly<Record<string, readonly [unit: string, sample: () => Promise<number>]>>;

const message = (error: unknown): string => String(error instanceof Error ? error.message : error).split("\n", 1)[0];

/** Serves the rows that the package supports. If the package cannot be loaded, reports it as missing. */
export const serve = async (specifier: string, load: () => Promise<Rows>): Promise<void> => {
  let rows: Rows | undefined;
  for await (const line of createInterface({ input: process.stdin })) {
    const { name } = JSON.parse(line) as { name: string };
    try {
      rows ??= await load();
    } catch (error) {
      console.log(JSON.stringify({ missing: `cannot load ${specifier}: ${message(error)}` }));
      continue;
    }
    try {
      const [unit, sample] = rows[name];
      console.log(JSON.stringify({ unit, value: await sample() }));
    } catch (error) {
      console.log(JSON.stringify({ error: `Cannot measure ${name}: ${message(error)}` }));
    }
  }
  // Ends everything that the package has left running.
  Deno.exit();
};
