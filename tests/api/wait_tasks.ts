import * as Effect from "effect/Effect";
import * as Stream from "effect/Stream";
import type * as Event from "../../src/Event.ts";
import type * as Pipe from "../../src/Pipe.ts";
import type * as Queue from "../../src/Queue.ts";
import * as Task from "../../src/Task.ts";
import { wait } from "../../src/Wait.ts";

export const nothing = Task.make(import.meta, "nothing", () => Effect.void);

/** Waits for one object of each kind, and reports which were ready. */
export const three = Task.make(
  import.meta,
  "three",
  (
    queues: ReadonlyArray<Queue.Queue<number>>,
    pipes: ReadonlyArray<Pipe.Connection<number>>,
    events: ReadonlyArray<Event.Event>,
    begun: Stream.Stream<never>,
  ) =>
    Effect.zipRight(
      Stream.runDrain(begun),
      Effect.all([
        Effect.map(wait(queues), (ready) => ready.map((one) => queues.indexOf(one))),
        Effect.map(wait(pipes), (ready) => ready.map((one) => pipes.indexOf(one))),
        Effect.map(wait(events), (ready) => ready.map((one) => events.indexOf(one))),
      ], { concurrency: 3 }),
    ),
);
