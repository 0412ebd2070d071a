/** A consumer takes the remaining items of a closed queue, and then ends: `deno task example:queue_drain`. */
import { Process, Queue, runMain, SubprocessBackend, Task } from "@effect-deno/multiprocessing";
import { Console, Effect, Stream } from "effect";

/** The Stream ends when the queue is closed and empty. */
const drain = Task.make(import.meta, "drain", (queue: Queue.Queue<string>) =>
  queue.toStream.pipe(
    Stream.map((word) => word.toUpperCase()),
    Stream.runCollect,
    Effect.map((words) => [...words].join(" ")),
  ));

const program = Effect.gen(function* () {
  const queue = yield* Queue.make<string>();
  yield* queue.putAll(["what", "was", "put", "is", "not", "lost"]);
  yield* queue.close;

  const refused = yield* Effect.flip(queue.put("too late"));
  yield* Console.log(`put: ${refused._tag}, size ${yield* queue.size}`);

  yield* Console.log(yield* Process.run(drain, queue));

  const end = yield* Effect.flip(queue.get);
  yield* Console.log(`get: ${end.message}`);
}).pipe(Effect.scoped, Effect.provide(SubprocessBackend.layer()));

if (import.meta.main) runMain(program);
