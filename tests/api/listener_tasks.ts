/**
 * Tasks that listen or connect, or receive a connection to another program.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Stream from "effect/Stream";
import * as Client from "../../src/Client.ts";
import * as Listener from "../../src/Listener.ts";
import type * as Pipe from "../../src/Pipe.ts";
import type * as Queue from "../../src/Queue.ts";
import * as Task from "../../src/Task.ts";

// deno-lint-ignore no-explicit-any
type Any = Pipe.Connection<any>;

/** Listens, reports its address, and echoes all messages of each connection. */
export const echoing = Task.make(
  import.meta,
  "echoing listener",
  (options: Listener.Options, found: Queue.Queue<Listener.Address>) =>
    Effect.scoped(Effect.gen(function* () {
      // deno-lint-ignore no-explicit-any
      const listener = yield* Listener.make<any>(options);
      yield* found.put(listener.address);
      yield* listener.serve(({ toSink, toStream }) => Stream.run(toStream, toSink));
    })),
);

/** Connects with the key of the family, and sends a value and then the answer to it. */
export const asking = Task.make(
  import.meta,
  "asking client",
  (address: Listener.Address, value: unknown) =>
    Effect.scoped(Effect.gen(function* () {
      const { recv, send } = yield* Client.connect<unknown>({ address });
      yield* send(value);
      return yield* recv;
    })),
);

/** Connects, sends these values, reports so, and waits for ever. */
export const sending = Task.make(
  import.meta,
  "sending client",
  (address: Listener.Address, values: ReadonlyArray<unknown>, sent: Queue.Queue<boolean>) =>
    Effect.scoped(Effect.gen(function* () {
      const { send } = yield* Client.connect<unknown>({ address });
      yield* Effect.forEach(values, send);
      yield* sent.put(true);
      return yield* Effect.never;
    })),
);

/** Sends a value, and ends this process at once. */
export const sendAndExit = Task.make(
  import.meta,
  "send and exit",
  (address: Listener.Address, values: ReadonlyArray<unknown>) =>
    Effect.scoped(Effect.gen(function* () {
      const { send } = yield* Client.connect<unknown>({ address });
      yield* Effect.forEach(values, send);
      return Deno.exit(0);
    })),
);

/** Receives a value, and sends it back with the pid of the process. */
export const answer = Task.make(
  import.meta,
  "answer once",
  (connection: Any) => Effect.flatMap(connection.recv, (value) => connection.send([value, Deno.pid])),
);

/** Sends bytes of the given size, and returns the tag of the failure. */
export const sendTooMuch = Task.make(
  import.meta,
  "send too much",
  (connection: Any, size: number) =>
    Effect.match(connection.sendBytes(new Uint8Array(size)), {
      onFailure: ({ _tag }) => _tag,
      onSuccess: () => "sent",
    }),
);

/** Sends a handle, and returns the message of the failure. */
export const sendHandle = Task.make(
  import.meta,
  "send a handle",
  (connection: Any, queue: Queue.Queue<number>) =>
    Effect.match(connection.send({ queue }), { onFailure: ({ message }) => message, onSuccess: () => "sent" }),
);
