/** Programs whose lifetimes a test observes from outside. The first argument selects the case. */
import * as Effect from "effect/Effect";
import * as Scope from "effect/Scope";
import * as Pool from "../../src/Pool.ts";
import * as Process from "../../src/Process.ts";
import * as WorkerBackend from "../../src/WorkerBackend.ts";
import { runMain } from "../../src/Main.ts";
import * as Lifetimes from "../support/lifetime_tasks.ts";
import * as Tasks from "./orphan_tasks.ts";

/** Resumes when this program is told to continue. */
const told = Effect.async<void>((resume) => {
  Deno.addSignalListener("SIGUSR2", () => resume(Effect.void));
});

/** Starts a child with a busy child of its own, and ends the child when it is told to. */
const generations = (how: "kill" | "terminate") =>
  Effect.gen(function* () {
    const child = yield* Process.spawnWith(Tasks.parent, [], {
      daemon: true,
      gracePeriod: "20 millis",
      forceKillAfter: "20 millis",
    });
    yield* told;
    yield* child[how];
    console.log("ended");
    return yield* Effect.never;
  });

/** Ends while a pool and a process live in a scope that is never closed. */
const forgotten = Effect.gen(function* () {
  const scope = yield* Scope.make();
  const pool = yield* Scope.extend(Pool.make({ size: 1 }), scope);
  const child = yield* Scope.extend(Process.spawn(Tasks.busy), scope);
  console.log(`forgotten ${child.pid} ${yield* pool.apply(Lifetimes.pid)}`);
  yield* Effect.forkDaemon(pool.apply(Tasks.idle));
});

const cores = Effect.map(Process.cpuCount, (count) => console.log(count));

const [name, backend] = Deno.args;
const layer = backend === "worker" ? WorkerBackend.layer() : Tasks.layer;

const programs: { readonly [name: string]: Effect.Effect<unknown, unknown, Effect.Effect.Context<typeof forgotten>> } =
  {
    cores,
    forgotten,
    killed: Effect.scoped(generations("kill")),
    terminated: Effect.scoped(generations("terminate")),
  };

if (import.meta.main) runMain(Effect.provide(programs[name], layer));
