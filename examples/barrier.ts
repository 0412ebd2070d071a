/** Three processes that start each phase together: `deno task example:barrier`. */
import { Barrier, Process, Queue, runMain, SubprocessBackend, Task } from "@effect-deno/multiprocessing";
import { Console, Effect } from "effect";

const work = Task.make(
  import.meta,
  "work",
  (barrier: Barrier.Barrier, done: Queue.Queue<string>) =>
    Effect.gen(function* () {
      for (const phase of ["load", "compute", "store"]) {
        yield* done.put(phase);
        // The last party to arrive runs this action before any party continues.
        yield* barrier.waitWith(done.put(`all have done: ${phase}`));
      }
    }),
);

const program = Effect.gen(function* () {
  const barrier = yield* Barrier.make({ parties: 3 });
  const done = yield* Queue.make<string>();
  const workers = yield* Effect.replicateEffect(Process.spawn(work, barrier, done), 3);
  for (const worker of workers) yield* worker.join;
  for (const line of yield* done.takeUpTo(12)) yield* Console.log(line);
}).pipe(Effect.scoped, Effect.provide(SubprocessBackend.layer()));

if (import.meta.main) runMain(program);
