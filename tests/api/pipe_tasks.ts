/**
 * Tasks that make pipes, or receive their ends.
 *
 * @module
 */
import v8 from "node:v8";
import vm from "node:vm";
import * as Deferred from "effect/Deferred";
import * as Effect from "effect/Effect";
import * as Fiber from "effect/Fiber";
import * as Stream from "effect/Stream";
import * as Pipe from "../../src/Pipe.ts";
import * as Process from "../../src/Process.ts";
import type * as Queue from "../../src/Queue.ts";
import * as Task from "../../src/Task.ts";

/** A connection of any type. */
// deno-lint-ignore no-explicit-any
export type Any = Pipe.Connection<any>;

/** Both ends of a pipe. */
export type Ends = readonly [Any, Any];

/** Makes pipes, sends both ends away, and hosts the pipes until it is ended. */
export const hosting = Task.make(
  import.meta,
  "hosting pipes",
  (wanted: Queue.Queue<Pipe.Options>, made: Queue.Queue<Ends>) =>
    Effect.scoped(Effect.forever(
      Effect.flatMap(wanted.get, (options) => Effect.flatMap(Pipe.make(options), made.put)),
    )),
);

/** Makes a pipe, sends its second end away, receives one message with the first, then waits for ever. */
export const owning = Task.make(
  import.meta,
  "owning",
  (made: Queue.Queue<Any>) =>
    Effect.scoped(Effect.gen(function* () {
      const [mine, theirs] = yield* Pipe.make<string>();
      yield* mine.send("early");
      yield* made.put(theirs);
      yield* mine.recv;
      return yield* Effect.never;
    })),
);

/** Echoes all values. */
export const echo = Task.make(
  import.meta,
  "echo values",
  (connection: Any) => Stream.run(connection.toStream, connection.toSink),
);

/** Echoes all bytes. */
export const echoBytes = Task.make(import.meta, "echo bytes", (connection: Any) =>
  Effect.catchTag(
    Effect.forever(Effect.flatMap(connection.recvBytes(), (bytes) => connection.sendBytes(bytes))),
    "EndOfFile",
    () => Effect.void,
  ));

/** Sends these values, and ends. */
export const sendAll = Task.make(
  import.meta,
  "send all",
  (connection: Any, values: ReadonlyArray<unknown>) => Effect.forEach(values, connection.send, { discard: true }),
);

/** Sends one message with the given number of bytes. */
export const sendMany = Task.make(
  import.meta,
  "send many bytes",
  (connection: Any, size: number) => connection.sendBytes(new Uint8Array(size).fill(7)),
);

/** Receives a value. */
export const receive = Task.make(import.meta, "receive", (connection: Any) => connection.recv);

/** Receives until the end of file. */
export const receiveAll = Task.make(
  import.meta,
  "receive all",
  (connection: Pipe.Connection<unknown, never>) =>
    Effect.map(Stream.runCollect(connection.toStream), (all) => Array.from(all)),
);

/**
 * Receives a value, reports so, and keeps the value and the end for ever, because an end without references is closed.
 */
export const receiveAndKeep = Task.make(
  import.meta,
  "receive and keep",
  (connection: Any) =>
    Effect.flatMap(connection.recv, (value) =>
      Effect.zipRight(
        connection.send("received"),
        Effect.ensuring(Effect.never, Effect.sync(() => void [value, connection])),
      )),
);

/** Ignores the connection, in a plain function. */
export const ignore = Task.make(import.meta, "ignore", (_connection: Any) => {});

/** Reports that it has the connection, and keeps it for ever. */
export const keep = Task.make(
  import.meta,
  "keep",
  (connection: Any) => Effect.zipRight(connection.send("here"), Effect.never),
);

/** Receives a value, and returns the connection. */
export const giveBack = Task.make(
  import.meta,
  "give back",
  (connection: Any) => Effect.as(connection.recv, connection),
);

/** Returns the connection before a message has arrived. */
export const giveBackAtOnce = Task.make(
  import.meta,
  "give back at once",
  (connection: Any) => ({ deep: [connection] }),
);

/** Takes a connection from a queue, and echoes all messages. */
export const echoQueued = Task.make(
  import.meta,
  "echo queued",
  (queue: Queue.Queue<Any>) =>
    Effect.flatMap(queue.get, (connection) => Stream.run(connection.toStream, connection.toSink)),
);

/** Puts its connection into a queue, and waits for ever. */
export const putAway = Task.make(
  import.meta,
  "put away",
  (connection: Any, queue: Queue.Queue<Any>) => Effect.zipRight(queue.put(connection), Effect.never),
);

/** Receives connections over a connection, and sends a greeting with each. */
export const greetAll = Task.make(
  import.meta,
  "greet all",
  (connections: Pipe.Connection<Any>) =>
    Stream.runForEach(connections.toStream, (connection) => connection.send("hello")),
);

/** Lets a child echo. */
export const echoBelow = Task.make(
  import.meta,
  "echo below",
  (connection: Any) => Effect.scoped(Effect.flatMap(Process.spawn(echo, connection), ({ join }) => join)),
);

/** Lets a child return a connection, and then echoes with it. */
export const echoAfterChild = Task.make(
  import.meta,
  "echo after child",
  (connection: Any) =>
    Effect.flatMap(
      Process.run(giveBack, connection),
      (connection) => Stream.run(connection.toStream, connection.toSink),
    ),
);

/** Waits until a send waits for room. */
const stuck = (connection: Any): Effect.Effect<unknown> =>
  Effect.repeat(Effect.tap(connection.statistics, () => Effect.yieldNow()), { until: ({ senders }) => senders === 1 });

/** Sends numbers until a send has to wait, then reports their number over the other connection. */
export const flood = Task.make(
  import.meta,
  "flood",
  (connection: Any, report: Any, size: number) =>
    Effect.gen(function* () {
      let sent = 0;
      const bytes = new Uint8Array(size);
      const sending = Effect.forever(Effect.tap(connection.sendBytes(bytes), () => Effect.sync(() => sent++)));
      const fiber = yield* Effect.fork(sending);
      yield* stuck(connection);
      yield* report.send(sent);
      yield* Effect.flip(fiber);
      yield* report.send(sent);
    }),
);

/** Interrupts a send that waits, reports so over the other connection, and sends another value. */
export const interruptSend = Task.make(
  import.meta,
  "interrupt send",
  (connection: Any, report: Any, size: number) =>
    Effect.gen(function* () {
      yield* connection.send(new Uint8Array(size));
      const fiber = yield* Effect.fork(connection.send("interrupted"));
      yield* stuck(connection);
      yield* Fiber.interrupt(fiber);
      yield* report.send("interrupted");
      yield* connection.send("not interrupted");
    }),
);

/** Makes enough garbage that unreferenced objects are collected. */
export const litter = Task.make(import.meta, "litter", async (megabytes: number) => {
  for (let i = 0; i < megabytes; i++) new Uint8Array(1024 * 1024).fill(1);
  await new Promise((resolve) => setTimeout(resolve, 0));
});

/** The next message of a connection to which only the waiting fiber refers, after its process has collected garbage. */
export const receiveUnreferenced = Task.make(
  import.meta,
  "receiveUnreferenced",
  (source: Any) =>
    Effect.gen(function* () {
      v8.setFlagsFromString("--expose-gc");
      const collect = vm.runInNewContext("gc") as () => void;
      const receiving = yield* Deferred.make<void>();
      const fiber = yield* Effect.fork(Effect.flatMap(
        source.recv,
        (found: Pipe.Connection<string>) => Effect.zipRight(Deferred.succeed(receiving, undefined), found.recv),
      ));
      yield* Deferred.await(receiving);
      // The callbacks of a collection run in later turns. Two objects without references tell when they have run.
      for (let round = 0; round < 2; round++) {
        let isCollected = false;
        const registry = new FinalizationRegistry(() => isCollected = true);
        registry.register({}, undefined);
        while (!isCollected) {
          collect();
          yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 0)));
        }
      }
      yield* source.send("waits");
      return yield* Fiber.join(fiber);
    }),
);
