/** Submitted tasks, with callbacks for their results and failures: `deno task example:pool_callbacks`. */
import { Pool, runMain, SubprocessBackend, Task } from "@effect-deno/multiprocessing";
import { Cause, Console, Data, Effect, Option, Ref } from "effect";

class TooLarge extends Data.TaggedError("TooLarge")<{ readonly n: number }> {}

const fibonacci = (n: number): number => n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);

const compute = Task.make(
  import.meta,
  "compute",
  (n: number) => n > 30 ? Effect.fail(new TooLarge({ n })) : Effect.sync(() => fibonacci(n)),
);

const describe = (cause: Cause.Cause<TooLarge | Pool.PoolFailure>): string => {
  const failure = Option.getOrUndefined(Cause.failureOption(cause));
  return failure?._tag === "TooLarge" ? `${failure.n} is too large` : Cause.pretty(cause);
};

const program = Effect.gen(function* () {
  const lines = yield* Ref.make<ReadonlyArray<string>>([]);
  const note = (line: string): Effect.Effect<void> => Ref.update(lines, (all) => [...all, line]);

  // A pool whose scope closes with success waits for its submissions and their callbacks.
  yield* Effect.scoped(Effect.gen(function* () {
    const pool = yield* Pool.make({ size: 2 });

    // Each submission returns at once. Its callback runs in its own fiber when the task is done.
    for (const n of [10, 20, 40]) {
      yield* pool.submitWith(compute, [n], {
        onSuccess: (value) => note(`fibonacci(${n}) is ${value}`),
        onFailure: (cause) => note(`fibonacci(${n}) failed: ${describe(cause)}`),
      });
    }

    // A submission can be awaited any number of times, polled without waiting, and cancelled.
    const submission = yield* pool.submit(compute, 30);
    yield* Console.log(`awaited: ${yield* submission.await}, ready: ${Option.isSome(yield* submission.poll)}`);
  }));

  for (const line of [...yield* Ref.get(lines)].sort()) yield* Console.log(line);
}).pipe(Effect.provide(SubprocessBackend.layer()));

if (import.meta.main) runMain(program);
