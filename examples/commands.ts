/**
 * Runs programs of the system as commands of `@effect/platform`, with outputs, inputs, chains and ends:
 * `deno task example:commands`.
 */
import * as Command from "@effect/platform/Command";
import { Effect, Option, Stream } from "effect";
import { runMain } from "@effect-deno/multiprocessing";
import * as CommandExecutor from "@effect-deno/multiprocessing/CommandExecutor";

const program = Effect.gen(function* () {
  const words = Command.make("printf", "%s\\n", "pear", "apple", "fig");
  const sorted = words.pipe(Command.pipeTo(Command.make("sort")), Command.pipeTo(Command.make("head", "-n", "2")));
  console.log("sorted:", yield* Command.lines(sorted));

  // A Stream as the input, a Stream of lines as the output.
  const numbers = Stream.range(1, 100_000).pipe(Stream.map((n) => new TextEncoder().encode(`${n}\n`)));
  const sevens = Command.make("grep", "77777").pipe(Command.stdin(numbers), Command.streamLines);
  console.log("found:", yield* Stream.runCount(sevens));

  // The command writes far more to stderr than a pipe holds. It does not block if stderr is never read.
  const noisy = Command.make("sh", "-c", "head -c 500000 /dev/zero >&2; echo quiet");
  console.log("noisy:", (yield* Command.string(noisy)).trim());

  // A signal appears as an exit code, and the time limit is that of Effect.
  const code = yield* Command.exitCode(Command.make("sh", "-c", "kill -TERM $$"));
  console.log("ended by", CommandExecutor.signalOf(code));
  const late = yield* Command.exitCode(Command.make("sleep", "60")).pipe(Effect.timeoutOption("100 millis"));
  console.log("in time:", Option.isSome(late));

  const missing = yield* Command.string(Command.make("no-such-program")).pipe(Effect.flip);
  console.log(missing.message);
}).pipe(Effect.provide(CommandExecutor.layer({ forceKillAfter: "1 second" })));

if (import.meta.main) runMain(program);
