/** A test of how a program takes the death of a worker, without any process: `deno task example:test_backend`. */
import { Pool, runMain, Task } from "@effect-deno/multiprocessing";
import * as TestBackend from "@effect-deno/multiprocessing/TestBackend";
import { Console, Effect, Fiber, TestClock, TestContext } from "effect";

const fetchPrice = Task.make(import.meta, "fetchPrice", (item: string) => item.length * 10);

/** The program under test: it answers with a default price when something goes wrong. */
const price = (pool: Pool.Pool, item: string): Effect.Effect<string> =>
  pool.applyWith(fetchPrice, [item], { timeout: "1 minute" }).pipe(
    Effect.map((price) => `${item}: ${price}`),
    Effect.catchTags({
      ProcessDied: ({ outOfMemory }) => Effect.succeed(`${item}: unknown${outOfMemory ? ", out of memory" : ""}`),
      PoolError: ({ reason }) => Effect.succeed(`${item}: ${reason}`),
    }),
    Effect.orDie,
  );

const program = Effect.gen(function* () {
  const pool = yield* Pool.make({ size: 1 });
  yield* Console.log(yield* price(pool, "tea"));
  yield* Console.log(yield* price(pool, "coffee"));
  const late = yield* Effect.fork(price(pool, "cocoa"));
  yield* TestClock.adjust("2 minutes"); // no time passes
  yield* Console.log(yield* Fiber.join(late));
  yield* Console.log(yield* price(pool, "milk"));
}).pipe(
  Effect.scoped,
  Effect.provide(TestBackend.layer({
    faults: [
      { task: "fetchPrice", nth: 2, action: TestBackend.outOfMemory },
      { task: "fetchPrice", nth: 3, action: TestBackend.hang },
    ],
  })),
  Effect.provide(TestContext.TestContext),
);

if (import.meta.main) runMain(program);
