/** The tasks of the queue rows. They are not in `tasks.ts`, so that the children of other rows do not load Effect. */

import * as Effect from "effect/Effect";
import * as Stream from "effect/Stream";
import * as Queue from "../../src/Queue.ts";
import * as Task from "../../src/Task.ts";

/**
 * The number of items for a child to put or take. The child receives one for each sample, so that one child serves all
 * samples.
 */
export type Orders = Queue.Queue<number>;

export const echo = Task.make(
  import.meta,
  "echo",
  (from: Queue.Queue<number>, to: Queue.Queue<number>) => Effect.forever(Effect.flatMap(from.get, to.put)),
);

/** Puts the value as often as ordered, in chunks. */
export const fill = Task.make(
  import.meta,
  "fill",
  (orders: Orders, queue: Queue.Queue<unknown>, value: unknown) =>
    Effect.forever(Effect.flatMap(
      orders.get,
      (count) => Stream.run(Stream.map(Stream.range(1, count), () => value), queue.toSink),
    )),
);

/** Puts items one by one. */
export const put = Task.make(
  import.meta,
  "put",
  (orders: Orders, queue: Queue.Queue<unknown>, value: unknown) =>
    Effect.gen(function* () {
      while (true) {
        for (let left = yield* orders.get; left > 0; left--) yield* queue.put(value);
      }
    }),
);

const draining = (chunkSize: number) => (orders: Orders, queue: Queue.Queue<unknown>, done: Queue.Queue<number>) =>
  Effect.forever(
    Effect.flatMap(
      orders.get,
      (count) =>
        Effect.zipRight(Stream.runDrain(Stream.take(queue.toStreamWith({ chunkSize }), count)), done.put(count)),
    ),
  );

/** Takes items as a stream, then answers. */
export const drain = Task.make(import.meta, "drain", draining(1));

/** Takes items as a stream in chunks, then answers. */
export const drainChunks = Task.make(import.meta, "drainChunks", draining(1024));

/** Takes items one by one, then answers. */
export const get = Task.make(
  import.meta,
  "get",
  (orders: Orders, queue: Queue.Queue<number>, done: Queue.Queue<number>) =>
    Effect.gen(function* () {
      while (true) {
        const count = yield* orders.get;
        for (let left = count; left > 0; left--) yield* queue.get;
        yield* done.put(count);
      }
    }),
);

/** Returns items through the other queue as often as ordered, then answers. */
export const turns = Task.make(
  import.meta,
  "turns",
  (orders: Orders, there: Queue.Queue<number>, back: Queue.Queue<number>, done: Queue.Queue<number>) =>
    Effect.gen(function* () {
      while (true) {
        const count = yield* orders.get;
        for (let left = count; left > 0; left--) {
          yield* there.put(1);
          yield* back.get;
        }
        yield* done.put(count);
      }
    }),
);

/** The same with its own queues, which it sends away first. */
export const ownTurns = Task.make(
  import.meta,
  "ownTurns",
  (
    orders: Orders,
    made: Queue.Queue<readonly [there: Queue.Queue<number>, back: Queue.Queue<number>]>,
    done: Queue.Queue<number>,
  ) =>
    Effect.scoped(Effect.gen(function* () {
      const [there, back] = [yield* Queue.make<number>(), yield* Queue.make<number>()];
      yield* made.put([there, back]);
      while (true) {
        const count = yield* orders.get;
        for (let left = count; left > 0; left--) {
          yield* there.put(1);
          yield* back.get;
        }
        yield* done.put(count);
      }
    })),
);
