/** Shared memory in a program without `--allow-ffi`. */
import * as Console from "effect/Console";
import * as Effect from "effect/Effect";
import * as Process from "../../src/Process.ts";
import * as SharedMemory from "../../src/SharedMemory.ts";
import * as SubprocessBackend from "../../src/SubprocessBackend.ts";
import * as WorkerBackend from "../../src/WorkerBackend.ts";
import { runMain } from "../../src/Main.ts";
import * as Tasks from "../api/memory_tasks.ts";

const failure = (effect: Effect.Effect<unknown, SharedMemory.MemoryError>): Effect.Effect<void> =>
  Effect.flatMap(
    Effect.match(effect, { onFailure: ({ message, reason }) => `${reason}: ${message}`, onSuccess: () => "it works" }),
    Console.log,
  );

const program = Effect.gen(function* () {
  yield* failure(Effect.scoped(SharedMemory.create({ name: "mp_test", size: 1 })));
  yield* failure(Effect.scoped(SharedMemory.attach("mp_test")));
  const memory = yield* SharedMemory.make({ size: 3 });
  memory.bytes.fill(1);
  yield* Console.log(
    `a worker adds: ${yield* Effect.provide(Process.run(Tasks.increments, memory), WorkerBackend.layer())}`,
  );
  const inSubprocess = yield* Effect.provide(Process.run(Tasks.looks, memory), SubprocessBackend.layer());
  yield* Console.log(`a subprocess: ${inSubprocess}`);
}).pipe(Effect.scoped);

if (import.meta.main) runMain(program);
