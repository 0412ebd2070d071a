/** What runs in the children of the pipe rows. */

import * as Effect from "effect/Effect";
import type * as Pipe from "../../src/Pipe.ts";
import * as Task from "../../src/Task.ts";

export const reply = Task.make(
  import.meta,
  "reply",
  (connection: Pipe.Connection<number>) => Effect.forever(Effect.flatMap(connection.recv, connection.send)),
);

/** Receives a count, then so many messages of bytes, then answers. */
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
