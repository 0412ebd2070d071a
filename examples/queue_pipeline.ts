/** Three processes, each of which runs a Stream from one queue into the next: `deno task example:queue_pipeline`. */
import { Process, Queue, runMain, SubprocessBackend, Task } from "@effect-deno/multiprocessing";
import { Console, Effect, Stream } from "effect";

/** Runs a Stream into a queue, and then closes the queue, which ends the Stream of the next stage. */
const into = <A, E, R>(stream: Stream.Stream<A, E, R>, queue: Queue.Queue<A>) =>
  Effect.zipRight(Stream.run(stream, queue.toSink), queue.close);

const numbers = Task.make(
  import.meta,
  "numbers",
  (out: Queue.Queue<number>, last: number) => into(Stream.range(1, last), out),
);

/** Keeps the primes. */
const primes = Task.make(
  import.meta,
  "primes",
  (input: Queue.Queue<number>, out: Queue.Queue<number>) => into(Stream.filter(input.toStream, isPrime), out),
);

/** The largest gap between two successive numbers. */
const largestGap = Task.make(import.meta, "largestGap", (input: Queue.Queue<number>) =>
  input.toStream.pipe(
    Stream.zipWithPrevious,
    Stream.runFold(0, (largest, [before, n]) => before._tag === "None" ? 0 : Math.max(largest, n - before.value)),
  ));

const isPrime = (n: number): boolean => {
  for (let divisor = 2; divisor * divisor <= n; divisor++) if (n % divisor === 0) return false;
  return n > 1;
};

const program = Effect.gen(function* () {
  // The capacity bounds how far a stage can run ahead of the next one.
  const all = yield* Queue.make<number>({ capacity: 1000 });
  const prime = yield* Queue.make<number>({ capacity: 1000 });
  const stages = Effect.all([
    Process.run(numbers, all, 100_000),
    Process.run(primes, all, prime),
    Process.run(largestGap, prime),
  ], { concurrency: "unbounded" }); // the failure of one stage ends the others
  const [, , gap] = yield* stages;
  yield* Console.log(`The largest gap between primes below 100,000 is ${gap}`);
}).pipe(Effect.scoped, Effect.provide(SubprocessBackend.layer()));

if (import.meta.main) runMain(program);
