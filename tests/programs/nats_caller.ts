/** A program with children on an agent. Prints their process ids, and waits to be killed. */
import * as Effect from "effect/Effect";
import { Process, Queue, runMain } from "../../mod.ts";
import * as NatsBackend from "../../src/NatsBackend.ts";
import * as Tasks from "../nats/tasks.ts";

if (import.meta.main) {
  const [servers, lostAfter] = Deno.args;
  const program = Effect.gen(function* () {
    const queue = yield* Queue.make<number>();
    yield* Process.spawnWith(Tasks.spin, [queue], { daemon: true });
    yield* Process.spawnWith(Tasks.spin, [queue], { daemon: true });
    console.log("children", yield* queue.get, yield* queue.get);
    yield* Effect.never;
  });
  runMain(Effect.scoped(Effect.provide(program, NatsBackend.layer({ servers, lostAfter: Number(lostAfter) }))));
}
