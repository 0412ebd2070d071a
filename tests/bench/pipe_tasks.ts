/** The tasks of the pipe rows. */

import * as Effect from "effect/Effect";
import * as Pipe from "../../src/Pipe.ts";
import type * as Queue from "../../src/Queue.ts";
import * as Task from "../../src/Task.ts";

export const reply = Task.make(
  import.meta,
  "reply",
  (connection: Pipe.Connection<number>) => Effect.forever(Effect.flatMap(connection.recv, connection.send)),
);

/** Receives a count, then that many messages of bytes, then answers. */
export const drainBytes = Task.make(
  import.meta,
  "drainBytes",
  (connection: Pipe.Connection<number>) =>
    Effect.gen(function* () {
      while (true) {
        const count = yield* connection.recv;
        for (let left = count; left > 0; left--) yield* connection.recvBytes();
        yield* connection.send(count);
      }
    }),
);

/** The same, into memory of its own. */
export const drainBytesInto = Task.make(
  import.meta,
  "drainBytesInto",
  (connection: Pipe.Connection<number>) =>
    Effect.gen(function* () {
      const buffer = new Uint8Array(16 * 1024 * 1024);
      while (true) {
        const count = yield* connection.recv;
        for (let left = count; left > 0; left--) yield* connection.recvBytesInto(buffer);
        yield* connection.send(count);
      }
    }),
);

/** Makes a pipe, sends one end away, and makes the ordered number of round trips with the owner of that end. */
export const turns = Task.make(
  import.meta,
  "pipe turns",
  (orders: Queue.Queue<number>, made: Queue.Queue<Pipe.Connection<number>>, done: Queue.Queue<number>) =>
    Effect.scoped(Effect.gen(function* () {
      const [mine, theirs] = yield* Pipe.make<number>();
      yield* made.put(theirs);
      while (true) {
        const count = yield* orders.get;
        for (let left = count; left > 0; left--) {
          yield* mine.send(1);
          yield* mine.recv;
        }
        yield* done.put(count);
      }
    })),
);
