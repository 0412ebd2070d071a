/** A program whose children wait for Ctrl-C in every possible way. */
import * as Effect from "effect/Effect";
import * as Pool from "../../src/Pool.ts";
import * as Process from "../../src/Process.ts";
import * as SubprocessBackend from "../../src/SubprocessBackend.ts";
import { runMain } from "../../src/Main.ts";
import * as Tasks from "../support/lifetime_tasks.ts";
import * as Effects from "../support/tasks.ts";
import { signal } from "../support/suite.ts";

const program = Effect.gen(function* () {
  const [path] = Deno.args;
  const begun = yield* signal;
  const finalized = yield* signal;
  const pool = yield* Pool.make({ size: 1 });
  const running = yield* pool.submit(Effects.forever, begun.stream, finalized.stream);
  yield* begun.fired;
  const waiting = yield* Process.spawn(Tasks.wait, path);
  const clinging = yield* signal;
  if (Deno.args[1] === "clinging") {
    yield* Process.spawnWith(Effects.clinging, [clinging.stream], { gracePeriod: "1 hour" });
    yield* clinging.fired;
  }
  while (Deno.readTextFileSync(path) === "") yield* Effect.sleep("2 millis");
  yield* Effect.addFinalizer(() => Effect.sync(() => console.log("stopping")));
  console.log(`ready ${waiting.pid}`);
  yield* running.await;
});

if (import.meta.main) {
  // Starts a new process group, as a shell does: the terminal signals the whole group.
  const libc = Deno.dlopen("libc.so.6", { setpgid: { parameters: ["i32", "i32"], result: "i32" } });
  if (libc.symbols.setpgid(0, 0) !== 0) throw new Error("no group of its own");
  runMain(Effect.provide(Effect.scoped(program), SubprocessBackend.layer()));
}
