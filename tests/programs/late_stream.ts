/** Makes streams of processes as its first use of the library, and runs each in another way. */
import * as Cause from "effect/Cause";
import * as Chunk from "effect/Chunk";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Stream from "effect/Stream";
import * as Process from "../../src/Process.ts";
import * as SubprocessBackend from "../../src/SubprocessBackend.ts";
import type * as Task from "../../src/Task.ts";
import { runMain } from "../../src/Main.ts";
import { countTo } from "../support/tasks.ts";

const stream = Process.stream(countTo, 5);
const refused = Process.stream({} as Task.StreamTask<[], number>);

const program = Effect.gen(function* () {
  const layer = SubprocessBackend.layer();
  const items = yield* stream.pipe(Stream.take(3), Stream.provideSomeLayer(layer), Stream.runCollect);
  console.log("piped", Chunk.toReadonlyArray(items));
  const error = yield* Effect.flip(Effect.provide(Stream.runDrain(refused), layer));
  console.log("failed", error._tag);
  const fiber = yield* Effect.fork(
    Effect.provide(Stream.runForEach(Stream.concat(stream, stream), () => Effect.interrupt), layer),
  );
  const exit = yield* fiber.await;
  console.log(Exit.isFailure(exit) && Cause.isInterruptedOnly(exit.cause) ? "interrupted" : exit);
});

if (import.meta.main) runMain(program);
