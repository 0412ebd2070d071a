/** A producer and a consumer take turns at a stock in a file, with a condition: `deno task example:condition`. */
import { Condition, Process, runMain, SubprocessBackend, Task } from "@effect-deno/multiprocessing";
import { Console, Effect } from "effect";

/** The stock: a number in a file, which is read and written under the lock of the condition. */
const stock = (path: string): number => Number(Deno.readTextFileSync(path));

const consume = Task.make(
  import.meta,
  "consume",
  (condition: Condition.Condition, path: string, count: number) =>
    Effect.gen(function* () {
      const taken: Array<number> = [];
      while (taken.length < count) {
        yield* condition.withLock(Effect.gen(function* () {
          yield* condition.waitFor(() => stock(path) > 0);
          taken.push(stock(path));
          Deno.writeTextFileSync(path, "0");
          yield* condition.notifyAll;
        }));
      }
      return taken;
    }),
);

const program = Effect.gen(function* () {
  const condition = yield* Condition.make();
  const path = yield* Effect.acquireRelease(
    Effect.promise(() => Deno.makeTempFile()),
    (path) => Effect.promise(() => Deno.remove(path)),
  );
  Deno.writeTextFileSync(path, "0");
  const consumer = yield* Process.spawn(consume, condition, path, 3);
  const produce = Effect.forEach([10, 20, 30], (item) =>
    condition.withLock(Effect.gen(function* () {
      yield* condition.waitFor(() => stock(path) === 0);
      Deno.writeTextFileSync(path, String(item));
      yield* condition.notifyAll;
    })));
  // If the consumer dies, its `join` fails, and the producer does not wait for it.
  const [, taken] = yield* Effect.all([produce, consumer.join], { concurrency: "unbounded" });
  yield* Console.log(`consumed ${taken.join(", ")}`);
}).pipe(Effect.scoped, Effect.provide(SubprocessBackend.layer()));

if (import.meta.main) runMain(program);
