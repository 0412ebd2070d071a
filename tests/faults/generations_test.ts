/**
 * The right to start processes: the main program has it, and in a child only tasks have it. A module that starts a
 * process while it is loaded would otherwise do so in every child, without end.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import type * as Layer from "effect/Layer";
import { type Backend, Process, SubprocessBackend, WorkerBackend } from "../../mod.ts";
import { assertEquals, assertLessOrEqual, assertMatch } from "../support/assert.ts";
import { noLeaks } from "../support/leaks.ts";
import { warmUp } from "../support/suite.ts";
import { run, withWorkers } from "../support/workers.ts";
import { script } from "../support/scripts.ts";
import * as Tasks from "./generations_tasks.ts";
import { fullUnless, repeated, repeating, testFunction } from "../support/tier.ts";

/**
 * Each way to start a process. The refusal in a child does not depend on the way, so two ways are enough for workers.
 */
const ways = {
  subprocess: ["run", "later", "stream", "pool", "manager", "forked", "standby"],
  worker: ["run", "pool"],
};

/** The ways with code of their own. */
const QUICK: ReadonlySet<string> = new Set(["subprocess run", "worker pool"]);

for (const backend of ["subprocess", "worker"] as const) {
  for (const way of ways[backend]) {
    testFunction(
      `generations on ${backend}: a module that starts a process while a child loads it (${way}) gets a typed error with the fix${
        QUICK.has(`${backend} ${way}`) ? "" : " (full)"
      }`,
      () =>
        noLeaks(async () => {
          const { code, stdout } = await script("generations.ts", [], ["-A"], undefined, { WAY: way, BACKEND: backend })
            .ended;
          // The program has started one process, and that process has started none.
          assertMatch(stdout, /^started: SpawnError Loading: .*import\.meta\.main/m);
          assertEquals(code, 0);
          // Loaded by the program, by its child, and by a standby child or the server of the manager.
          assertLessOrEqual(stdout.match(/^loaded$/gm)!.length, 3, stdout);
        }),
    );
  }

  testFunction(
    `generations on ${backend}: a module that waits for such a process fails to load, and says why${
      backend === "worker" ? " (full)" : ""
    }`,
    () =>
      noLeaks(async () => {
        const { code, stderr, stdout } = await script("generations.ts", [], ["-A"], undefined, {
          WAY: "awaited",
          BACKEND: backend,
        })
          .ended;
        assertEquals([code, stdout], [1, "loaded\nloaded\n"]);
        assertMatch(stderr, /TaskError: .*import\.meta\.main/);
      }),
  );
}

const suite = (name: "subprocess" | "worker", layer: Layer.Layer<Backend.Backend>): void =>
  withWorkers(
    `generations on ${name}`,
    layer,
    1,
    [Tasks.byEffect, Tasks.byOwnLayer, Tasks.byPlain, Tasks.byManagedRuntime, Tasks.byCaptured].map((task) => [
      `a task starts a process (${task.name})${fullUnless(task === Tasks.byEffect)}`,
      Effect.map(run(task as typeof Tasks.byEffect, name), (sum) => assertEquals(sum, 3)),
    ]),
  );

suite("subprocess", SubprocessBackend.layer());
repeated(() => suite("worker", WorkerBackend.layer()));

await warmUp(Effect.provide(Process.run(Tasks.byEffect, ""), SubprocessBackend.layer()));
if (repeating) await warmUp(Effect.provide(Process.run(Tasks.byEffect, ""), WorkerBackend.layer()));
