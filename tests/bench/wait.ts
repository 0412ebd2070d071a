/** The rows of waiting for one of many objects of this process, against `multiprocessing.connection.wait`. */

import * as Effect from "effect/Effect";
import type * as Scope from "effect/Scope";
import * as Event from "../../src/Event.ts";
import * as Pipe from "../../src/Pipe.ts";
import * as Queue from "../../src/Queue.ts";
import { wait, type Waitable } from "../../src/Wait.ts";
import { bench, perTurn, pythonRow } from "./harness.ts";

/** An object to wait for, with the operations that make it ready and not ready. */
interface Subject {
  readonly object: Waitable;
  readonly wake: Effect.Effect<unknown, unknown>;
  readonly rest: Effect.Effect<unknown, unknown>;
}

type Kind = Effect.Effect<Subject, unknown, Scope.Scope>;

const kinds: Readonly<Record<string, Kind>> = {
  queue: Effect.map(Queue.make<number>(), (queue) => ({ object: queue, wake: queue.put(1), rest: queue.get })),
  pipe: Effect.map(Pipe.make<number>(), ([here, there]) => ({ object: here, wake: there.send(1), rest: here.recv })),
  event: Effect.map(Event.make(), (event) => ({ object: event, wake: event.set, rest: event.clear })),
};

/** The objects become ready one after the other, while a fiber waits for all of them. */
const turns = (subjects: ReadonlyArray<Subject>): Promise<number> => {
  const objects = subjects.map(({ object }) => object);
  let next = 0;
  const turn = Effect.suspend(() => {
    const { rest, wake } = subjects[next++ % subjects.length];
    return Effect.flatMap(
      Effect.fork(wait(objects)),
      (waiting) => Effect.yieldNow().pipe(Effect.zipRight(wake), Effect.zipRight(waiting.await), Effect.zipRight(rest)),
    );
  });
  return perTurn((calls) => Effect.runPromise(Effect.replicateEffect(turn, calls, { discard: true })));
};

for (const [kind, make] of Object.entries(kinds)) {
  for (const count of [10, 100, 1000]) {
    bench({
      name: `wait.many.${kind}.${count}`,
      unit: "us",
      better: "lower",
      bound: "asking each object twice, and one notification",
      run: () =>
        Effect.runPromise(
          Effect.replicateEffect(make, count).pipe(
            Effect.flatMap((subjects) => Effect.promise(() => turns(subjects))),
            Effect.scoped,
          ),
        ),
      // Python cannot wait for several events.
      peers: kind === "event" ? {} : { python: pythonRow(`wait.many.${kind}.${count}`) },
    });
  }
}
