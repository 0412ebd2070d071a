/** Queues whose order is smallest first, by a key, or newest first: `deno task example:queue_priority`. */
import { Process, Queue, runMain, SubprocessBackend, Task } from "@effect-deno/multiprocessing";
import { Console, Effect, Order } from "effect";

type Entry = [priority: number, name: string];

interface Job {
  readonly name: string;
  readonly urgency: number;
}

const fill = Task.make(
  import.meta,
  "fill",
  (entries: Queue.Queue<Entry>, jobs: Queue.Queue<Job>, names: Queue.Queue<string>) =>
    Effect.all([
      entries.putAll([[3, "rest"], [1, "wash"], [2, "cook"], [1, "sweep"]]),
      jobs.putAll([
        { name: "later", urgency: 1 },
        { name: "now", urgency: 9 },
        { name: "soon", urgency: 5 },
        { name: "at once", urgency: 9 },
      ]),
      names.putAll(["first", "second", "third"]),
    ]),
);

const program = Effect.gen(function* () {
  // The smallest item first, as in Python. Arrays are compared by their first difference.
  const entries = yield* Queue.priority<Entry>();
  // By a key and an order: here the largest first. Items with equal keys come oldest first.
  const jobs = yield* Queue.priority<Job, number>({ key: (job) => job.urgency, order: Order.reverse(Order.number) });
  // Last in, first out.
  const names = yield* Queue.lifo<string>();

  yield* Process.run(fill, entries, jobs, names);

  yield* Console.log((yield* entries.takeUpTo(10)).map(([, name]) => name).join(", "));
  yield* Console.log((yield* jobs.takeUpTo(10)).map(({ name }) => name).join(", "));
  yield* Console.log((yield* names.takeUpTo(10)).join(", "));

  // An item without a place in the order is refused.
  const refused = yield* Effect.flip(entries.put([NaN, "never"]));
  yield* Console.log(refused.message);
}).pipe(Effect.scoped, Effect.provide(SubprocessBackend.layer()));

if (import.meta.main) runMain(program);
