/**
 * A program that starts children of the given kind, prints their pids, and waits to be killed.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Process from "../../src/Process.ts";
import * as WorkerBackend from "../../src/WorkerBackend.ts";
import { runMain } from "../../src/Main.ts";
import * as Tasks from "./orphan_tasks.ts";

const say = (pids: ReadonlyArray<number>): Effect.Effect<never> =>
  Effect.zipRight(Effect.sync(() => console.log(`children ${pids.join(" ")}`)), Effect.never);

const scenarios = {
  idle: Effect.flatMap(Process.spawn(Tasks.idle), ({ pid }) => say([pid])),
  busy: Effect.flatMap(Process.spawn(Tasks.busy), ({ pid }) => say([pid])),
  starting: Effect.flatMap(
    Effect.all([Process.spawn(Tasks.busy), Process.spawn(Tasks.idle), Process.spawn(Tasks.busy)]),
    (children) => say(children.map(({ pid }) => pid)),
  ),
  grandchildren: Effect.flatMap(Process.spawn(Tasks.parent), ({ pid }) => say([pid])),
  fromWorker: Effect.flatMap(Effect.provide(Process.spawn(Tasks.parent), WorkerBackend.layer()), () => say([])),
};

const program = scenarios[Deno.args[0] as keyof typeof scenarios];
runMain(Effect.provide(Effect.scoped(program), Tasks.layer));
