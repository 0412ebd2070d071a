/**
 * A program that starts a process whenever its module is loaded. The task of that process reports the outcome of the
 * same attempt in its own process.
 */
import * as Cause from "effect/Cause";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import type * as Scope from "effect/Scope";
import * as Stream from "effect/Stream";
import type * as Backend from "../../src/Backend.ts";
import * as Manager from "../../src/Manager.ts";
import * as Pool from "../../src/Pool.ts";
import * as Process from "../../src/Process.ts";
import * as SubprocessBackend from "../../src/SubprocessBackend.ts";
import * as Task from "../../src/Task.ts";
import * as WorkerBackend from "../../src/WorkerBackend.ts";
import { runMain } from "../../src/Main.ts";

const told = async (): Promise<string> => {
  const exit = await outcome;
  if (Exit.isSuccess(exit)) return `started: ${exit.value}`;
  const error = Cause.squash(exit.cause) as {
    readonly _tag?: string;
    readonly reason?: string;
    readonly message: string;
  };
  return `${error._tag} ${error.reason}: ${error.message}`;
};
const report = Task.make(import.meta, "report", told);
const reports = Task.make(import.meta, "reports", () => Stream.fromEffect(Effect.promise(told)));

const run = Process.run(report);
const programs: Readonly<Record<string, Effect.Effect<string, unknown, Backend.Backend | Scope.Scope>>> = {
  run,
  // The module has been loaded by then, in the program and in the child.
  later: Effect.delay(run, "20 millis"),
  stream: Stream.runFold(Process.stream(reports), "", (all, text) => all + text),
  pool: Effect.flatMap(Pool.make({ size: 1 }), (pool) => pool.apply(report)),
  manager: Effect.zipRight(Manager.make(), run),
  forked: Effect.flatMap(Effect.forkScoped(Effect.delay(run, "1 millis")), (fiber) => fiber),
  standby: run,
  awaited: run,
};

console.log("loaded");
const way = Deno.env.get("WAY")!;
const options = way === "standby" ? { standby: 1 } : {};
const layer = Deno.env.get("BACKEND") === "worker" ? WorkerBackend.layer(options) : SubprocessBackend.layer(options);
const program = Effect.provide(Effect.scoped(programs[way]), layer);
const outcome: Promise<Exit.Exit<string, unknown>> = way === "awaited"
  ? Promise.resolve(Exit.succeed(await Effect.runPromise(program)))
  : Effect.runPromiseExit(program);

if (import.meta.main) runMain(Effect.flatMap(Effect.promise(told), (text) => Effect.sync(() => console.log(text))));
