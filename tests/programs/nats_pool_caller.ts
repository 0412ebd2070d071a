/**
 * Submits tasks to a pool, prints the id of each that the server has, and waits to be killed:
 * `nats_pool_caller.ts SERVERS NAME FILE PREFIX COUNT MILLIS`.
 */
import * as Effect from "effect/Effect";
import { runMain } from "../../mod.ts";
import * as NatsPool from "../../src/NatsPool.ts";
import * as Tasks from "../nats/pool_tasks.ts";

if (import.meta.main) {
  const [servers, name, file, prefix, count, millis] = Deno.args;
  const program = Effect.gen(function* () {
    const pool = yield* NatsPool.make({ servers, name, size: 1 });
    const submit = (n: number) =>
      Effect.map(
        pool.submitWith(Tasks.work, [file, n, Number(millis)], { id: `${prefix}-${n}` }),
        ({ id }) => console.log("stored", id),
      );
    const all = Array.from({ length: Number(count) }, (_, i) => i);
    yield* Effect.forEach(all, submit, { concurrency: 16, discard: true });
    console.log("submitted");
    yield* Effect.never;
  });
  runMain(Effect.scoped(program));
}
