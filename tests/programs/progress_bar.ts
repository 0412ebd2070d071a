/**
 * A pool with a progress bar, for `ProgressBar_test.ts`.
 *
 * @module
 */
import * as Console from "effect/Console";
import * as Effect from "effect/Effect";
import * as Mp from "../../mod.ts";
import * as ProgressBar from "../../src/ProgressBar.ts";
import { square } from "../support/plain_tasks.ts";

const program = Effect.gen(function* () {
  const pool = yield* Mp.Pool.make({ size: 1 });
  const progress = yield* Mp.Pool.progress;
  yield* ProgressBar.show(progress, { label: "squares" });
  yield* Console.log(yield* pool.map(square, [1, 2, 3], { chunkSize: 1, progress }));
}).pipe(Effect.scoped, Effect.provide(Mp.WorkerBackend.layer()));

if (import.meta.main) Mp.runMain(program);
