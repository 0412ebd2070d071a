/** Uses the library in several ways on the backend that is the argument, and prints the results. */
import * as Effect from "effect/Effect";
import * as Stream from "effect/Stream";
import { Pool, Process, Queue, runMain, SubprocessBackend, Task, Value, WorkerBackend } from "../../mod.ts";

const square = Task.make(import.meta, "square", (n: number) => n * n);
const countTo = Task.make(import.meta, "countTo", (last: number) => Stream.range(1, last));
const adds = Task.make(import.meta, "adds", (value: Value.Of<"i32">) => value.add(1));
const puts = Task.make(import.meta, "puts", (queue: Queue.Queue<string>) => queue.put(Deno.version.deno));

const program = Effect.gen(function* () {
  const pool = yield* Pool.make({ size: 2 });
  const value = yield* Value.make("i32", 41);
  yield* Process.run(adds, value);
  const queue = yield* Queue.make<string>();
  yield* Process.run(puts, queue);
  console.log(JSON.stringify({
    map: yield* pool.map(square, [1, 2, 3]),
    stream: [...yield* Stream.runCollect(Process.stream(countTo, 3))],
    value: yield* value.get,
    version: yield* queue.get,
  }));
}).pipe(
  Effect.scoped,
  Effect.catchTag("SpawnError", ({ message, reason }) => Effect.sync(() => console.log(reason, message))),
  Effect.provide(Deno.args[0] === "worker" ? WorkerBackend.layer() : SubprocessBackend.layer()),
);

if (import.meta.main) runMain(program);
