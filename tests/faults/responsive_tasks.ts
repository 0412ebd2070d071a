/** A web server that has other work. */
import * as Effect from "effect/Effect";
import { type Queue, Task } from "../../mod.ts";

/** Serves HTTP while it takes so many items; says where, and then how many requests were answered meanwhile. */
export const servesAndTakes = Task.make(
  import.meta,
  "servesAndTakes",
  (items: Queue.Queue<number>, ports: Queue.Queue<number>, count: number) =>
    Effect.scoped(Effect.gen(function* () {
      let answered = 0;
      const server = yield* Effect.acquireRelease(
        Effect.sync(() =>
          Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, () => {
            answered++;
            return new Response("here");
          })
        ),
        (server) => Effect.promise(() => server.shutdown()),
      );
      yield* ports.put(server.addr.port);
      for (let left = count; left > 0;) left -= (yield* items.takeUpTo(200)).length;
      return answered;
    })),
);
