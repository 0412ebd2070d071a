/** The first answer wins, and what there is at a deadline: `deno task example:groups`. */
import { Group, Pool, runMain, SubprocessBackend, Task } from "@effect-deno/multiprocessing";
import { Console, Effect, Exit, Option } from "effect";

const ask = Task.make(
  import.meta,
  "ask",
  (server: string, millis: number): Effect.Effect<string, string> =>
    Effect.delay(server === "broken" ? Effect.fail("refused") : Effect.succeed(`answer of ${server}`), millis),
);

const program = Effect.gen(function* () {
  const pool = yield* Pool.make({ size: 2, concurrency: 4 });
  const servers = [["slow", 60_000], ["broken", 1], ["fast", 10]] as const;
  const questions = servers.map(([server, millis]) => pool.apply(ask, server, millis));

  // The others are interrupted in their workers.
  yield* Console.log(yield* Group.any(questions));
  yield* Console.log((yield* Effect.flip(Group.first(questions.slice(1), 2))).message);

  const exits = yield* Group.partial(questions, { deadline: "500 millis" });
  for (const [i, exit] of exits.entries()) {
    const outcome = Option.match(exit, {
      onNone: () => "no answer yet",
      onSome: Exit.match({
        onFailure: () => "failed",
        onSuccess: (answer) => answer,
      }),
    });
    yield* Console.log(`${servers[i][0]}: ${outcome}`);
  }
}).pipe(Effect.scoped, Effect.provide(SubprocessBackend.layer()));

if (import.meta.main) runMain(program);
