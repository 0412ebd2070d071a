/**
 * A program that will be killed: it prints the pids of its children, and waits. The first argument selects the case.
 */
import * as Console from "effect/Console";
import * as Effect from "effect/Effect";
import * as Pool from "../../src/Pool.ts";
import * as Process from "../../src/Process.ts";
import * as SubprocessBackend from "../../src/SubprocessBackend.ts";
import { runMain } from "../../src/Main.ts";
import * as Tasks from "../support/tasks.ts";

const idle = Effect.gen(function* () {
  const pool = yield* Pool.make({ size: 2 });
  const first = yield* Effect.all([pool.apply(Tasks.pid), pool.apply(Tasks.pid)]);
  const waiting = yield* Process.spawn(Tasks.never);
  yield* Console.log(`pids ${[...new Set([...first, waiting.pid])].join(" ")}`);
});

const busy = Effect.gen(function* () {
  const child = yield* Process.spawn(Tasks.busy, Deno.args[1]);
  yield* Console.log(`pids ${child.pid}`);
});

/** Children that were started just now. */
const starting = Effect.gen(function* () {
  const children = yield* Effect.all([Process.spawn(Tasks.never), Process.spawn(Tasks.never)]);
  yield* Console.log(`pids ${children.map(({ pid }) => pid).join(" ")}`);
});

const programs: { readonly [name: string]: Effect.Effect<void, unknown, Effect.Effect.Context<typeof busy>> } = {
  idle,
  busy,
  starting,
};

if (import.meta.main) {
  runMain(
    Effect.zipRight(programs[Deno.args[0]], Effect.never).pipe(
      Effect.scoped,
      Effect.provide(SubprocessBackend.layer()),
    ),
  );
}
