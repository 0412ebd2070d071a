/** Uses both backends as on Deno 2.8, which has no Web Locks. */
import * as Console from "effect/Console";
import * as Effect from "effect/Effect";

Object.defineProperty(navigator, "locks", { value: undefined });
Object.defineProperty(Deno, "version", { value: { ...Deno.version, deno: "2.8.3" } });
const { Pool, Process, runMain, SubprocessBackend, WorkerBackend } = await import("../../mod.ts");
const { add } = await import("../support/plain_tasks.ts");

const program = Effect.gen(function* () {
  const error = yield* Effect.flip(Effect.provide(Process.run(add, 40, 2), WorkerBackend.layer()));
  yield* Console.log(`worker: ${"reason" in error ? error.reason : error._tag}, ${error.message}`);
  const pool = yield* Pool.make({ size: 1 });
  yield* Console.log(`subprocess: ${yield* pool.apply(add, 40, 2)}`);
}).pipe(Effect.scoped, Effect.provide(SubprocessBackend.layer()));

if (import.meta.main) runMain(program);
