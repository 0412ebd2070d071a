/**
 * Effect alone. Prints operations per second.
 *
 *     deno run -A effect.ts steps     two steps of a fiber that do nothing
 *     deno run -A effect.ts stream    an item of a stream whose chunks have one item
 */
import * as Chunk from "effect/Chunk";
import * as Effect from "effect/Effect";
import * as Stream from "effect/Stream";
import { rate } from "./rate.ts";

const COUNT = 20_000;

const nothing = Effect.sync(() => {});
const steps = Effect.gen(function* () {
  for (let i = 0; i < COUNT; i++) {
    yield* nothing;
    yield* nothing;
  }
});

const stream = Stream.runDrain(Stream.take(Stream.repeatEffectChunk(Effect.succeed(Chunk.of(1))), COUNT));

const run = Deno.args[0] === "steps" ? steps : stream;
console.log(COUNT * await rate(() => Effect.runPromise(run)));
