/** Creates a block of shared memory with the name in its argument, and keeps it until it is told to end. */
import * as Effect from "effect/Effect";
import * as SharedMemory from "../../src/SharedMemory.ts";
import { runMain } from "../../src/Main.ts";

if (import.meta.main) {
  runMain(Effect.scoped(Effect.gen(function* () {
    const { name } = yield* SharedMemory.create({ name: Deno.args[0], size: 8 });
    console.log(`made ${name}`);
    yield* Effect.never;
  })));
}
