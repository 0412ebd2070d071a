/** Runs one task in a process of its own: `deno task example:hello`. */
import { Process, runMain, SubprocessBackend, Task } from "@effect-deno/multiprocessing";
import { Console, Effect } from "effect";

const greet = Task.make(import.meta, "greet", (name: string) => `Hello ${name}, this is process ${Deno.pid}`);

const program = Effect.gen(function* () {
  yield* Console.log(`This is process ${Deno.pid}`);
  yield* Console.log(yield* Process.run(greet, "world"));
}).pipe(Effect.provide(SubprocessBackend.layer()));

if (import.meta.main) runMain(program);
