/** Waits until all items of a queue are done, not only taken: `deno task example:queue_join`. */
import { Process, Queue, runMain, SubprocessBackend, Task } from "@effect-deno/multiprocessing";
import { Console, Effect } from "effect";

/** Takes jobs for ever. Reports each job done when its result has been put. */
const work = Task.make(
  import.meta,
  "work",
  (jobs: Queue.Queue<number>, results: Queue.Queue<number>) =>
    Effect.gen(function* () {
      const job = yield* jobs.get;
      yield* results.put(job * job);
      yield* jobs.taskDone();
    }).pipe(Effect.forever),
);

const program = Effect.gen(function* () {
  const jobs = yield* Queue.make<number>();
  const results = yield* Queue.make<number>();

  const worker = Process.spawnWith(work, [jobs, results], { daemon: true }); // ends with the scope
  yield* Effect.all([worker, worker]);

  yield* jobs.putAll([1, 2, 3, 4, 5]);
  yield* jobs.join;

  const { size, unfinished } = yield* jobs.statistics;
  yield* Console.log(`waiting ${size}, unfinished ${unfinished}`);
  const squares = yield* results.takeUpTo(5); // all results have been put, since all jobs are done
  yield* Console.log([...squares].sort((a, b) => a - b).join(", "));

  const tooMany = yield* Effect.flip(jobs.taskDone());
  yield* Console.log(tooMany.message);
}).pipe(Effect.scoped, Effect.provide(SubprocessBackend.layer()));

if (import.meta.main) runMain(program);
