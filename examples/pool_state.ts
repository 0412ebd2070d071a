/** State that stays in a worker: a Layer with its release, keys that find their worker, and news for all: `deno task example:pool_state`. */
import { Pool, runMain, SubprocessBackend, Task } from "@effect-deno/multiprocessing";
import { Console, Context, Effect, Layer } from "effect";

/** What each worker keeps for its tasks. */
class Accounts extends Context.Tag("Accounts")<Accounts, { rate: number; readonly balances: Map<string, number> }>() {}

/** Built once in each worker, released when the worker ends. */
const accounts = Layer.scoped(
  Accounts,
  Effect.acquireRelease(
    Effect.succeed({ rate: 1, balances: new Map<string, number>() }),
    ({ balances }) => Effect.sync(() => console.log(`released: ${[...balances].join(" ")}`)),
  ),
);

const deposit = Task.make(
  import.meta,
  "deposit",
  (name: string, amount: number) =>
    Effect.map(Accounts, ({ balances, rate }) => {
      const balance = (balances.get(name) ?? 0) + amount * rate;
      balances.set(name, balance);
      return balance;
    }),
  { layer: accounts },
);

const setRate = Task.make(
  import.meta,
  "setRate",
  (rate: number) => Effect.map(Accounts, (accounts) => void (accounts.rate = rate)),
  { layer: accounts },
);

const program = Effect.gen(function* () {
  const pool = yield* Pool.make({ size: 2 });
  yield* pool.broadcast(setRate, 2);
  // The deposits of one person go to one worker, one after the other.
  const deposits = [["ann", 1], ["ben", 10], ["ann", 2], ["ben", 20], ["ann", 3]] as const;
  const balances = yield* Effect.forEach(
    deposits,
    ([name, amount]) => pool.applyWith(deposit, [name, amount], { affinity: name }),
  );
  yield* Console.log(balances);
}).pipe(Effect.scoped, Effect.provide(SubprocessBackend.layer()));

if (import.meta.main) runMain(program);
