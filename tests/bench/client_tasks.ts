/** The children of the client rows: listeners that report their address. */

import * as Effect from "effect/Effect";
import * as Listener from "../../src/Listener.ts";
import type * as Queue from "../../src/Queue.ts";
import * as Task from "../../src/Task.ts";

/** The address options of a row. */
export type Family = "unix" | "tcp";

const listening = (family: Family, found: Queue.Queue<Listener.Address>) =>
  Effect.tap(
    Listener.make<number>({ address: family === "tcp" ? { hostname: "127.0.0.1", port: 0 } : undefined }),
    ({ address }) => found.put(address),
  );

/** Echoes all messages. */
export const echo = Task.make(
  import.meta,
  "echo for clients",
  (family: Family, found: Queue.Queue<Listener.Address>) =>
    Effect.scoped(
      Effect.flatMap(listening(family, found), ({ serve }) =>
        serve(({ recv, send }) => Effect.forever(Effect.flatMap(recv, send)))),
    ),
);

/** Receives a count, then that many messages, then answers. */
export const drain = Task.make(
  import.meta,
  "drain for clients",
  (family: Family, found: Queue.Queue<Listener.Address>) =>
    Effect.scoped(
      Effect.flatMap(listening(family, found), ({ serve }) =>
        serve(({ recv, send }) =>
          Effect.gen(function* () {
            while (true) {
              const count = yield* recv;
              for (let left = count; left > 0; left--) yield* recv;
              yield* send(count);
            }
          })
        )),
    ),
);

/** Receives a count, then that many messages of bytes, then answers. */
export const drainBytes = Task.make(
  import.meta,
  "drain bytes for clients",
  (family: Family, found: Queue.Queue<Listener.Address>) =>
    Effect.scoped(
      Effect.flatMap(listening(family, found), ({ serve }) =>
        serve(({ recv, recvBytes, send }) =>
          Effect.gen(function* () {
            while (true) {
              const count = yield* recv;
              for (let left = count; left > 0; left--) {
                yield* recvBytes();
              }
              yield* send(count);
            }
          })
        )),
    ),
);
