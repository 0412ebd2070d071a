/**
 * Starts a child after the working directory was removed.
 *
 * @module
 */
import * as Console from "effect/Console";
import * as Effect from "effect/Effect";
import * as Process from "../../src/Process.ts";
import * as SubprocessBackend from "../../src/SubprocessBackend.ts";
import { runMain } from "../../src/Main.ts";
import * as Tasks from "../support/tasks.ts";

const program = Effect.gen(function* () {
  const folder = Deno.makeTempDirSync();
  Deno.chdir(folder);
  Deno.removeSync(folder);
  const error = yield* Effect.flip(Process.run(Tasks.add, 1, 2));
  yield* Console.log(error._tag, error.message.replaceAll(/\s+/g, " "));
});

if (import.meta.main) runMain(Effect.provide(program, SubprocessBackend.layer({ stderr: "null" })));
