/** Creates blocks while `/dev/shm` has 1 MiB. */
import * as Console from "effect/Console";
import * as Effect from "effect/Effect";
import * as SharedMemory from "../../src/SharedMemory.ts";
import { runMain } from "../../src/Main.ts";

const tooMuch = Effect.gen(function* () {
  const { reason } = yield* Effect.flip(Effect.scoped(SharedMemory.create({ size: 2 * 1024 * 1024 })));
  const left = [...Deno.readDirSync("/dev/shm")].filter(({ name }) => name.startsWith("mp_")).length;
  yield* Console.log(`${reason}, ${left === 0 ? "nothing" : left} is left`);
});

const program = Effect.gen(function* () {
  yield* tooMuch;
  yield* Effect.scoped(Effect.gen(function* () {
    const memory = yield* SharedMemory.create({ size: 512 * 1024 });
    memory.bytes.fill(1);
    yield* Console.log(`${memory.bytes.reduce((a, b) => a + b)} bytes used`);
  }));
  yield* tooMuch;
});

if (import.meta.main) runMain(program);
