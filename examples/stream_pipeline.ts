/**
 * A pipeline of four processes: one produces a stream, two transform it, one sums it up. Each process waits while the
 * next is slow, so that no elements pile up: `deno task example:stream_pipeline`.
 */
import { Pool, Process, runMain, SubprocessBackend, Task } from "@effect-deno/multiprocessing";
import { Console, Effect, Stream } from "effect";

interface Chain {
  readonly start: number;
  readonly length: number;
}

/** A task that returns a Stream. */
const candidates = Task.make(import.meta, "candidates", (last: number) => Stream.range(1, last));

/** Number of steps of Collatz's rule from a number to 1. */
const collatz = Task.make(import.meta, "collatz", (start: number): Chain => {
  let length = 1;
  for (let n = start; n !== 1; n = n % 2 === 0 ? n / 2 : 3 * n + 1) length++;
  return { start, length };
});

/** A task that takes a Stream: it pulls the elements from its caller's process. */
const longest = Task.make(import.meta, "longest", (chains: Stream.Stream<Chain, unknown>) =>
  Stream.runFold(
    chains,
    { start: 0, length: 0 },
    (best: Chain, chain) => chain.length > best.length ? chain : best,
  ));

const backend = SubprocessBackend.layer();

const program = Effect.gen(function* () {
  const pool = yield* Pool.make({ size: 2 });
  const chains = Process.stream(candidates, 100_000).pipe(
    pool.mapStream(collatz, { chunkSize: 1000 }),
    Stream.provideLayer(backend),
  );
  const best = yield* Process.run(longest, chains);
  yield* Console.log(`The longest chain below 100,000 starts at ${best.start} and has ${best.length} numbers`);

  // Taking only some elements ends the process that produces them.
  const first = yield* Process.stream(candidates, Infinity).pipe(Stream.take(5), Stream.runCollect);
  yield* Console.log(`The first candidates: ${[...first].join(", ")}`);
}).pipe(Effect.scoped, Effect.provide(backend));

if (import.meta.main) runMain(program);
