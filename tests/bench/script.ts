/**
 * A first program of a user: one file, and the barrels of both libraries. Prints the milliseconds until its first
 * process has run, or until the first result of its pool of two. `peer_script.py` is its peer.
 */

import { Pool, Process, SubprocessBackend, Task } from "@effect-deno/multiprocessing";
import { Effect } from "effect";

const increment = Task.make(import.meta, "increment", (n: number) => n + 1);

const first: Readonly<Record<string, Effect.Effect<unknown, unknown>>> = {
  process: Process.run(increment, 1).pipe(Effect.provide(SubprocessBackend.layer())),
  pool: Pool.make({ size: 2 }).pipe(
    Effect.flatMap((pool) => pool.map(increment, [1, 2])),
    Effect.scoped,
    Effect.provide(SubprocessBackend.layer()),
  ),
};

if (import.meta.main) {
  const start = performance.now();
  await Effect.runPromise(first[Deno.args[0]]);
  console.log(performance.now() - start);
}
