/** Several processes put items into one queue, and several others take them: `deno task example:queue_producers_consumers`. */
import { Process, Queue, runMain, SubprocessBackend, Task } from "@effect-deno/multiprocessing";
import { Console, Effect, Stream } from "effect";

interface Item {
  readonly producer: string;
  readonly n: number;
}

/** Puts items one after the other. Waits while the queue is full. */
const produce = Task.make(import.meta, "produce", (queue: Queue.Queue<Item>, count: number) =>
  Effect.gen(function* () {
    const { name } = yield* Process.current;
    for (let n = 1; n <= count; n++) yield* queue.put({ producer: name, n });
  }));

/** Takes items until the queue is closed and empty. */
const consume = Task.make(
  import.meta,
  "consume",
  (queue: Queue.Queue<Item>) => Stream.runCollect(queue.toStream).pipe(Effect.map((items) => [...items])),
);

const program = Effect.gen(function* () {
  const queue = yield* Queue.make<Item>({ capacity: 10 });

  const consumers = yield* Effect.all([Process.spawn(consume, queue), Process.spawn(consume, queue)]);
  const spawn = (name: string) => Process.spawnWith(produce, [queue, 100], { name });
  const producers = yield* Effect.forEach(["ann", "bob", "cy"], spawn);

  // After the last producer is done, closing the queue ends the consumers.
  yield* Effect.forEach(producers, (producer) => producer.join);
  yield* queue.close;
  const taken = yield* Effect.forEach(consumers, (consumer) => consumer.join);

  for (const { name } of producers) {
    const count = taken.flat().filter((item) => item.producer === name).length;
    yield* Console.log(`${name} put 100, ${count} were taken`);
  }
  const ordered = taken.every((items) =>
    producers.every(({ name }) => {
      const numbers = items.filter((item) => item.producer === name).map(({ n }) => n);
      return numbers.every((n, i) => i === 0 || numbers[i - 1] < n);
    })
  );
  yield* Console.log(`each consumer saw the items of each producer in order: ${ordered}`);
}).pipe(Effect.scoped, Effect.provide(SubprocessBackend.layer()));

if (import.meta.main) runMain(program);
