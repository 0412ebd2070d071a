/**
 * Processes that put items, and tell others of it by other means than the queue.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Option from "effect/Option";
import type * as Barrier from "../../src/Barrier.ts";
import type * as Event from "../../src/Event.ts";
import type * as Lock from "../../src/Lock.ts";
import type * as Pipe from "../../src/Pipe.ts";
import type * as Queue from "../../src/Queue.ts";
import * as Task from "../../src/Task.ts";
import type * as Value from "../../src/Value.ts";

type Numbers = Queue.Queue<number>;

/** Puts, sets the event when the put has returned, and waits for the other process. */
export const puts = Task.make(
  import.meta,
  "puts",
  (queue: Numbers, told: Event.Event, ready: Event.Event, rounds: number) =>
    Effect.gen(function* () {
      for (let round = 0; round < rounds; round++) {
        yield* queue.put(round);
        yield* told.set;
        yield* ready.wait;
        yield* ready.clear;
      }
    }),
);

/** Waits for the event, then looks into the queue. Counts the rounds without an item. */
export const looks = Task.make(
  import.meta,
  "looks",
  (queue: Numbers, told: Event.Event, ready: Event.Event, rounds: number, results: Numbers) =>
    Effect.gen(function* () {
      let missed = 0;
      for (let round = 0; round < rounds; round++) {
        yield* told.wait;
        yield* told.clear;
        if (Option.isNone(yield* queue.tryGet)) {
          missed++;
          yield* queue.get;
        }
        yield* ready.set;
      }
      yield* results.put(missed);
    }),
);

/** Puts the number of the round under the lock, and meets the others at the barrier. */
export const rounds = Task.make(
  import.meta,
  "rounds",
  (queue: Numbers, lock: Lock.Lock, barrier: Barrier.Barrier, rounds: number) =>
    Effect.gen(function* () {
      for (let round = 0; round < rounds; round++) {
        yield* lock.withLock(queue.put(round));
        yield* barrier.wait;
      }
    }),
);

/** The means by which one process can notify another. */
export interface Signals {
  readonly event: Event.Event;
  readonly value: Value.Value<number>;
  readonly lock: Lock.Lock;
  readonly barrier: Barrier.Barrier;
  readonly queue: Numbers;
  // deno-lint-ignore no-explicit-any
  readonly pipe: Pipe.Connection<any>;
}

export type Means = keyof Signals;

/** Puts an item, then notifies the other process. */
export const tells = Task.make(
  import.meta,
  "tells",
  (queue: Numbers, means: Means, { barrier, event, lock, pipe, queue: told, value }: Signals, rounds: number) =>
    Effect.gen(function* () {
      if (means === "lock") yield* lock.take;
      yield* barrier.wait;
      for (let round = 0; round < rounds; round++) {
        yield* queue.put(round);
        if (means === "event") yield* event.set;
        else if (means === "value") yield* value.set(round + 1);
        else if (means === "lock") yield* lock.release;
        else if (means === "queue") yield* told.put(round);
        else if (means === "pipe") yield* pipe.send(round);
        yield* barrier.wait;
        if (means === "lock") yield* lock.take;
        yield* barrier.wait;
      }
    }),
);

/** Waits for the notification, then looks into the queue with `tryGet` or `size`. Counts the rounds without an item. */
export const hears = Task.make(
  import.meta,
  "hears",
  (queue: Numbers, means: Means, { barrier, event, lock, pipe, queue: told, value }: Signals, rounds: number) =>
    Effect.gen(function* () {
      let missed = 0;
      yield* barrier.wait;
      for (let round = 0; round < rounds; round++) {
        if (means === "event") yield* Effect.zipRight(event.wait, event.clear);
        else if (means === "value") {
          yield* Effect.repeat(Effect.zipLeft(value.get, Effect.yieldNow()), { until: (at) => at === round + 1 });
        } else if (means === "lock") yield* lock.withLock(Effect.void);
        else if (means === "queue") yield* told.get;
        else if (means === "pipe") yield* pipe.recv;
        else yield* barrier.wait;
        if ((yield* queue.size) === 0) missed++;
        if (Option.isNone(yield* queue.tryGet)) {
          missed++;
          yield* queue.get;
        }
        if (means !== "barrier") yield* barrier.wait;
        yield* barrier.wait;
      }
      return missed;
    }),
);

export const putsOnce = Task.make(import.meta, "putsOnce", (queue: Numbers) => queue.put(1));

/** Whether the queue has an item. */
export const finds = Task.make(
  import.meta,
  "finds",
  (queue: Numbers) => Effect.map(queue.tryGet, Option.isSome),
);

export const nothing = Task.make(import.meta, "nothing", () => Effect.void);
