/** The names and the secret of a program's processes, from its first process on. */
import * as Effect from "effect/Effect";
import * as Process from "../../src/Process.ts";
import * as SubprocessBackend from "../../src/SubprocessBackend.ts";
import * as WorkerBackend from "../../src/WorkerBackend.ts";
import { runMain } from "../../src/Main.ts";
import * as Family from "../support/family_tasks.ts";
import * as Tasks from "../support/lifetime_tasks.ts";

const program = Effect.gen(function* () {
  const first = yield* Process.spawn(Tasks.echo, 1);
  const named = yield* Process.spawnWith(Tasks.echo, [1], { name: "a name" });
  const second = yield* Process.spawn(Tasks.echo, 1);
  const third = yield* Process.spawn(Family.names, 2);
  console.log(`names ${JSON.stringify([first.name, named.name, second.name, third.name, ...yield* third.join])}`);
  const key = yield* Process.authKey;
  console.log("printed", `${key} ${JSON.stringify(key)} ${Deno.inspect(key)} ${Deno.inspect(first, { depth: 10 })}`);
});

const layer = Deno.args[0] === "worker" ? WorkerBackend.layer() : SubprocessBackend.layer();
if (import.meta.main) runMain(Effect.provide(Effect.scoped(program), layer));
