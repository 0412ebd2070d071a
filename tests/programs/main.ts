/** Programs that use `runMain`. The first argument selects the case. */
import * as Cause from "effect/Cause";
import * as Console from "effect/Console";
import * as Context from "effect/Context";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Fiber from "effect/Fiber";
import * as Layer from "effect/Layer";
import * as Logger from "effect/Logger";
import * as Pool from "../../src/Pool.ts";
import * as Process from "../../src/Process.ts";
import * as SubprocessBackend from "../../src/SubprocessBackend.ts";
import * as WorkerBackend from "../../src/WorkerBackend.ts";
import { runMain } from "../../src/Main.ts";
import * as Tasks from "../support/tasks.ts";
import { signal } from "../support/suite.ts";

const layer = Deno.args[1] === "worker" ? WorkerBackend.layer() : SubprocessBackend.layer();

class Word extends Context.Tag("Word")<Word, string>() {}

/** Waits for ever, and reports that its finalizers run. */
const waiting = Effect.zipRight(Console.log("ready"), Effect.never).pipe(
  Effect.onInterrupt(() => Console.log("finalized")),
);

/** Waits for a child that waits for ever, and reports that the child's finalizers have run. */
const withChild = Effect.scoped(Effect.gen(function* () {
  const begun = yield* signal;
  const finalized = yield* signal;
  // Finalizers run in reverse order, so this one runs after the end of the process.
  yield* Effect.addFinalizer(() => Effect.flatMap(finalized.seen, (seen) => Console.log(`child finalized: ${seen}`)));
  const child = yield* Process.spawn(Tasks.forever, begun.stream, finalized.stream);
  yield* begun.fired;
  yield* Console.log(`ready ${child.pid}`);
  return yield* child.join;
}));

/** A thread that cannot be stopped, in a pool that has closed and abandoned the thread. */
const stuck = Effect.scoped(Effect.gen(function* () {
  const pool = yield* Pool.make({ size: 1, gracePeriod: "20 millis" });
  const path = Deno.args[2];
  const fiber = yield* Effect.fork(pool.apply(Tasks.busy, path));
  yield* Effect.promise(async () => {
    while (Deno.readTextFileSync(path) === "") await new Promise((resolve) => setTimeout(resolve, 2));
  });
  yield* Fiber.interrupt(fiber);
  yield* Console.log(`freed ${yield* pool.apply(Tasks.add, 1, 2)}`);
}));

const programs: { readonly [name: string]: () => void } = {
  success: () => runMain(Console.log("done")),
  exitCode: () =>
    runMain(Effect.sync(() => {
      Deno.exitCode = 7;
    })),
  failure: () => runMain(Effect.fail(new Tasks.Shortage({ missing: 3 }))),
  defect: () => runMain(Effect.provide(Process.run(Tasks.throwing), layer)),
  report: () => runMain(Effect.fail("no"), { report: (cause) => `reported: ${Cause.squash(cause)}` }),
  json: () => runMain(Effect.fail("no"), { layer: Logger.json }),
  layer: () =>
    runMain(Effect.flatMap(Word, Console.log), {
      layer: Deno.args[1] === "fails" ? Layer.fail("no word") : Layer.succeed(Word, "hello"),
    }),
  logfmt: () => runMain(Effect.fail("no"), { disablePrettyLogger: true }),
  silent: () => runMain(Effect.fail("no"), { disableErrorReporting: true }),
  teardown: () => runMain(waiting, { teardown: (exit, onExit) => onExit(Exit.isInterrupted(exit) ? 42 : 41) }),
  interrupted: () => runMain(Effect.interrupt),
  wait: () => runMain(waiting),
  cling: () => runMain(Effect.onInterrupt(waiting, () => Effect.never)),
  child: () => runMain(Effect.provide(withChild, layer)),
  stuck: () => runMain(Effect.provide(stuck, layer)),
};

if (import.meta.main) programs[Deno.args[0]]();
