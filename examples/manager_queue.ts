/** A queue in a server process, and its clients: `deno task example:manager_queue`. */
import { Manager, Process, type Queue, runMain, SubprocessBackend, Task } from "@effect-deno/multiprocessing";
import { Console, Effect } from "effect";

/** Squares each item, until the queue is closed. */
const client = Task.make(
  import.meta,
  "client",
  (jobs: Queue.Queue<number>, results: Manager.List<number>) =>
    jobs.get.pipe(
      Effect.flatMap((n) => results.push(n * n)),
      Effect.forever,
      Effect.catchTag("QueueClosed", () => Effect.void),
    ),
);

const program = Effect.gen(function* () {
  const manager = yield* Manager.make({ name: "Jobs" });
  const jobs = yield* manager.queue<number>({ capacity: 10 });
  const results = yield* manager.list<number>();
  const clients = yield* Effect.replicateEffect(Process.spawn(client, jobs, results), 2);

  yield* jobs.putAll(Array.from({ length: 20 }, (_, n) => n));
  yield* jobs.close;
  yield* Effect.forEach(clients, (client) => client.join);

  yield* results.sort();
  yield* Console.log(`${jobs.host} had ${yield* results.length} results, the last is ${yield* results.at(-1)}`);
  const { types } = yield* manager.statistics;
  yield* Console.log(`it keeps ${Object.keys(types).join(" and ")}`);
}).pipe(Effect.scoped, Effect.provide(SubprocessBackend.layer()));

if (import.meta.main) runMain(program);
