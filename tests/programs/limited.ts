/**
 * A program with few permissions. Prints the permissions of a child, by default or with the permissions in the
 * argument.
 */
import * as Console from "effect/Console";
import * as Effect from "effect/Effect";
import * as Process from "../../src/Process.ts";
import * as SubprocessBackend from "../../src/SubprocessBackend.ts";
import { runMain } from "../../src/Main.ts";
import * as Tasks from "../support/tasks.ts";

const [readable, permissions] = Deno.args;

const program = Effect.gen(function* () {
  yield* Console.log(`inherited ${JSON.stringify(SubprocessBackend.inherited())}`);
  yield* Console.log(`child ${JSON.stringify(yield* Process.run(Tasks.attempts, readable, "127.0.0.1"))}`);
}).pipe(
  Effect.catchTag("SpawnError", ({ message, reason }) => Console.log(`refused ${reason}: ${message}`)),
  Effect.provide(
    SubprocessBackend.layer(permissions === undefined ? {} : { permissions: JSON.parse(permissions) }),
  ),
);

if (import.meta.main) runMain(program);
