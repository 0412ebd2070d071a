/** Two children communicate directly, because one of them has made the pipe: `deno task example:siblings`. */
import { Pipe, Process, Queue, runMain, SubprocessBackend, Task } from "@effect-deno/multiprocessing";
import { Console, Effect } from "effect";

type End = Pipe.Connection<number, number>;

/** Makes a pipe, hands out one end of it, and asks questions with the other. */
const asks = Task.make(
  import.meta,
  "asks",
  (handed: Queue.Queue<End>, rounds: number) =>
    Effect.scoped(Effect.gen(function* () {
      const [mine, theirs] = yield* Pipe.make<number, number>();
      yield* handed.put(theirs);
      let sum = 0;
      for (let n = 1; n <= rounds; n++) {
        yield* mine.send(n);
        sum += yield* mine.recv;
      }
      return sum;
    })),
);

/** Answers until no question is left. */
const answers = Task.make(
  import.meta,
  "answers",
  (end: End) =>
    Effect.forever(Effect.flatMap(end.recv, (n) => end.send(n * n))).pipe(
      Effect.catchTag("EndOfFile", () => Effect.void),
    ),
);

const program = Effect.gen(function* () {
  // Only the handle passes through this process. The receiver did not exist yet when the pipe was made.
  const handed = yield* Queue.make<End>();
  const asking = yield* Process.spawn(asks, handed, 1000);
  const answering = yield* Process.spawn(answers, yield* handed.get);
  yield* Console.log(`The sum of the first 1000 squares is ${yield* asking.join}`);
  yield* answering.join;
}).pipe(Effect.scoped, Effect.provide(SubprocessBackend.layer()));

if (import.meta.main) runMain(program);
