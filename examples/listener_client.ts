/** A conversation of a listener and a client in another process: `deno task example:listener_client`. */
import { Client, Listener, Process, runMain, SubprocessBackend, Task } from "@effect-deno/multiprocessing";
import { Console, Effect, Logger, LogLevel } from "effect";

/** Sends numbers, objects and bytes, and returns the answers. A child of this program has the key by default. */
const talk = Task.make(import.meta, "talk", (address: Listener.Address) =>
  Effect.scoped(Effect.gen(function* () {
    const { recv, recvBytes, send, sendBytes } = yield* Client.connect<unknown>({ address });
    const answers: Array<unknown> = [];
    for (const value of [21, { name: "Ada", born: new Date("1815-12-10"), tags: new Set(["math"]) }, [1n, null]]) {
      yield* send(value);
      answers.push(yield* recv);
    }
    yield* send("bytes");
    yield* sendBytes(new Uint8Array([3, 1, 2]));
    answers.push(yield* recvBytes());
    return answers;
  })));

/** A program without the key is rejected. */
const intrude = (address: Listener.Address) =>
  Effect.scoped(Client.connect({ address, authKey: new TextEncoder().encode("a guess") })).pipe(
    Effect.catchTag("AuthenticationError", ({ reason }) => Effect.succeed(`rejected: ${reason}`)),
  );

const program = Effect.gen(function* () {
  const listener = yield* Listener.make<unknown>({ address: { hostname: "127.0.0.1", port: 0 } });
  yield* Effect.fork(listener.serve(({ recv, recvBytes, send, sendBytes }) =>
    // The handler ends with `EndOfFile` when the client closes the connection. That is not an error.
    Effect.forever(Effect.gen(function* () {
      const value = yield* recv;
      if (value === "bytes") yield* sendBytes((yield* recvBytes()).toSorted());
      else yield* send(typeof value === "number" ? value * 2 : { received: value });
    }))
  ));

  const child = yield* Process.spawn(talk, listener.address);
  for (const answer of yield* child.join) yield* Console.log(answer);

  yield* Console.log(yield* intrude(listener.address));
  const { authenticated, failed } = yield* listener.statistics;
  yield* Console.log({ authenticated, failed });
}).pipe(
  Effect.scoped,
  Effect.provide([SubprocessBackend.layer(), Logger.minimumLogLevel(LogLevel.Error)]), // the rejection is logged as a warning
);

if (import.meta.main) runMain(program);
