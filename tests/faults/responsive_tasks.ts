/** Web servers with other work in the same process. */
import * as Effect from "effect/Effect";
import type * as Event from "../../src/Event.ts";
import type * as Lock from "../../src/Lock.ts";
import type * as Queue from "../../src/Queue.ts";
import * as Task from "../../src/Task.ts";

/** Serves HTTP while an effect runs. Puts the port, and returns the number of requests answered meanwhile. */
const servesWhile = <E>(ports: Queue.Queue<number>, work: Effect.Effect<unknown, E>) =>
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
    yield* work;
    return answered;
  }));

/** Takes `count` items while it serves. */
export const servesAndTakes = Task.make(
  import.meta,
  "servesAndTakes",
  (items: Queue.Queue<number>, ports: Queue.Queue<number>, count: number) =>
    servesWhile(
      ports,
      Effect.gen(function* () {
        for (let left = count; left > 0;) left -= (yield* items.takeUpTo(200)).length;
      }),
    ),
);

const takesAndReleases = (lock: Lock.Lock, count: number) =>
  Effect.gen(function* () {
    for (let i = 0; i < count; i++) {
      yield* lock.take;
      yield* lock.release;
    }
  });

/** Takes and releases a lock `count` times while it serves. */
export const servesAndLocks = Task.make(
  import.meta,
  "servesAndLocks",
  (lock: Lock.Lock, ports: Queue.Queue<number>, count: number) => servesWhile(ports, takesAndReleases(lock, count)),
);

/** Contends for a lock until an event is set. */
export const contends = Task.make(
  import.meta,
  "contends",
  (lock: Lock.Lock, stop: Event.Event) =>
    Effect.gen(function* () {
      while (!(yield* stop.isSet)) yield* takesAndReleases(lock, 100);
    }),
);
