/**
 * Ends consumers in two ways: with one special item for each, as in Python, and by closing the queue:
 * `deno task example:queue_poison_pill`.
 */
import { Process, Queue, runMain, SubprocessBackend, Task } from "@effect-deno/multiprocessing";
import { Console, Effect, Stream } from "effect";

const total = (counts: ReadonlyArray<number>): number => counts.reduce((sum, count) => sum + count, 0);

/** Counts jobs until it gets a `null`. */
const untilPill = Task.make(import.meta, "untilPill", (jobs: Queue.Queue<number | null>) =>
  Effect.gen(function* () {
    let count = 0;
    while ((yield* jobs.get) !== null) count++;
    return count;
  }));

/** Counts jobs until the queue is closed and empty. */
const untilEnd = Task.make(import.meta, "untilEnd", (jobs: Queue.Queue<number>) => Stream.runCount(jobs.toStream));

const program = Effect.gen(function* () {
  // One pill for each consumer. A consumer without a pill waits for ever.
  const pills = yield* Queue.make<number | null>();
  const first = yield* Effect.all([Process.spawn(untilPill, pills), Process.spawn(untilPill, pills)]);
  yield* pills.putAll([1, 2, 3, 4, 5]);
  yield* Effect.forEach(first, () => pills.put(null));
  yield* Console.log(`with pills: ${total(yield* Effect.forEach(first, ({ join }) => join))} jobs done`);

  // A closed queue ends all its consumers when it is empty.
  const jobs = yield* Queue.make<number>();
  const second = yield* Effect.all([Process.spawn(untilEnd, jobs), Process.spawn(untilEnd, jobs)]);
  yield* jobs.putAll([1, 2, 3, 4, 5]);
  yield* jobs.close;
  yield* Console.log(`with close: ${total(yield* Effect.forEach(second, ({ join }) => join))} jobs done`);
}).pipe(Effect.scoped, Effect.provide(SubprocessBackend.layer()));

if (import.meta.main) runMain(program);
