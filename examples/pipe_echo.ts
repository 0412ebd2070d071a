/** A pipe between two processes, in both directions: `deno task example:pipe_echo`. */
import { Pipe, Process, runMain, SubprocessBackend, Task } from "@effect-deno/multiprocessing";
import { Console, Effect, Stream } from "effect";

/** Sends back what it receives, until the other end is closed. */
const echo = Task.make(import.meta, "echo", (connection: Pipe.Connection<string>) =>
  connection.toStream.pipe(
    Stream.tap((text) => connection.send(`${text}, ${text}`)),
    Stream.runCount,
  ));

const program = Effect.gen(function* () {
  const [ours, theirs] = yield* Pipe.make<string>();
  const child = yield* Process.spawn(echo, theirs);

  for (const text of ["hello", "world"]) {
    yield* ours.send(text);
    yield* Console.log(yield* ours.recv);
  }

  // No message arrives within the time limit of `poll`.
  yield* Console.log(`more to receive: ${yield* ours.poll("50 millis")}`);

  // The end has moved: only the child owns it now.
  yield* Console.log((yield* Effect.flip(theirs.send("me too"))).message);

  // The child's Stream ends when this end is closed.
  yield* ours.close;
  yield* Console.log(`echoed ${yield* child.join}`);
}).pipe(Effect.scoped, Effect.provide(SubprocessBackend.layer()));

if (import.meta.main) runMain(program);
