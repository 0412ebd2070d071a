/**
 * What it takes to start a child: its command line, its environment, its executable.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import { SubprocessBackend, WorkerBackend } from "../mod.ts";
import * as Process from "../src/Process.ts";
import { assertEquals } from "./assert.ts";
import { test, warmUp } from "./suite.ts";
import * as Tasks from "./tasks.ts";

const backends = { subprocess: SubprocessBackend.layer, worker: WorkerBackend.layer };

for (const layer of Object.values(backends)) await warmUp(Effect.provide(Process.run(Tasks.add, 1, 2), layer()));

/** More than an argument holds, and each more than a letter. */
const many = Array.from({ length: 1500 }, (_, i) => import.meta.resolve(`./${"a module of many/".repeat(6)}${i}.ts`));

for (const [name, layer] of Object.entries(backends)) {
  test(
    `a process on ${name} can be told of 1500 modules with long names`,
    Effect.gen(function* () {
      // Without permission to read them, where there are permissions.
      const options = name === "subprocess" ? { permissions: {} } : {};
      const child = yield* Process.spawnFor(many, options, Tasks.add, 1, 2);
      assertEquals(yield* child.join, 3);
    }).pipe(Effect.provide(layer())),
  );
}
