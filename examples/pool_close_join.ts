/** The life of a pool, step by step: map, submit, close, join, terminate: `deno task example:pool_close_join`. */
import { Pool, runMain, SubprocessBackend, Task } from "@effect-deno/multiprocessing";
import { Console, Effect } from "effect";

const square = Task.make(import.meta, "square", (n: number) => n * n);
const forever = Task.make(import.meta, "forever", () => Effect.never);

/** The reason of a `PoolError`. */
const reason = (error: Pool.PoolFailure): string => error._tag === "PoolError" ? error.reason : error.message;

const program = Effect.gen(function* () {
  const pool = yield* Pool.make({ size: 2 });

  const squares = yield* pool.map(square, [1, 2, 3, 4], { chunkSize: 1 });
  yield* Console.log(`mapped: ${squares.join(", ")}`);

  const submissions = yield* Effect.forEach([5, 6, 7], (n) => pool.submit(square, n));
  yield* Console.log(`joined before it was closed: ${reason(yield* Effect.flip(pool.join))}`);

  yield* pool.close; // takes no more tasks
  yield* Console.log(`asked after it was closed: ${reason(yield* Effect.flip(pool.apply(square, 8)))}`);

  yield* pool.join; // waits until its tasks are done and its workers have ended
  const results = yield* Effect.forEach(submissions, (submission) => submission.await);
  yield* Console.log(`submitted: ${results.join(", ")}`);

  const { alive, completed, failed, waiting } = yield* pool.statistics;
  yield* Console.log(`alive ${alive}, waiting ${waiting}, completed ${completed}, failed ${failed}`);

  const other = yield* Pool.make({ size: 1 });
  const endless = yield* other.submit(forever);
  yield* other.terminate; // stops at once: pending tasks fail
  yield* Console.log(`not done when it was terminated: ${reason(yield* Effect.flip(endless.await))}`);
}).pipe(Effect.scoped, Effect.provide(SubprocessBackend.layer()));

if (import.meta.main) runMain(program);
