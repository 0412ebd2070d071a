/** The other side of the rows of locks and events. */

import * as Effect from "effect/Effect";
import type { Event } from "../../src/Event.ts";
import type { Lock } from "../../src/Lock.ts";
import * as Task from "../../src/Task.ts";

export const contend = Task.make(
  import.meta,
  "contend",
  (lock: Lock, start: Event, done: Event, times: number) =>
    Effect.forever(Effect.gen(function* () {
      yield* start.wait;
      yield* start.clear;
      for (let i = 0; i < times; i++) {
        yield* lock.take;
        yield* lock.release;
      }
      yield* done.set;
    })),
);

export const answer = Task.make(
  import.meta,
  "answer",
  (there: Event, back: Event) =>
    Effect.forever(Effect.gen(function* () {
      yield* there.wait;
      yield* there.clear;
      yield* back.set;
    })),
);
