/** A producer drops samples when its queue is full, instead of waiting: `deno task example:queue_full`. */
import { Process, Queue, runMain, SubprocessBackend, Task } from "@effect-deno/multiprocessing";
import { Console, Effect } from "effect";

/** `tryPut` does not wait. It returns whether the item was put. */
const measure = Task.make(
  import.meta,
  "measure",
  (queue: Queue.Queue<number>, samples: number) =>
    Effect.gen(function* () {
      let dropped = 0;
      for (let sample = 1; sample <= samples; sample++) {
        if (!(yield* queue.tryPut(sample))) dropped++;
      }
      return { dropped, full: yield* queue.isFull };
    }),
);

const program = Effect.gen(function* () {
  const queue = yield* Queue.make<number>({ capacity: 4 });

  const { dropped, full } = yield* Process.run(measure, queue, 10);
  yield* Console.log(`dropped ${dropped}, full: ${full}`);

  // `put` waits for room. If it times out, nothing was put.
  const late = yield* Effect.flip(Effect.timeout(queue.put(11), "50 millis"));
  yield* Console.log(`put: ${late._tag}, size ${yield* queue.size} of ${queue.capacity}`);

  yield* Console.log(`took ${yield* queue.get}, full: ${yield* queue.isFull}`);
  yield* queue.put(12);
  yield* Console.log(`took ${(yield* queue.takeUpTo(10)).join(", ")}, empty: ${yield* queue.isEmpty}`);
}).pipe(Effect.scoped, Effect.provide(SubprocessBackend.layer()));

if (import.meta.main) runMain(program);
