/**
 * The output that a task writes to its standard streams without waiting, before it ends.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Stream from "effect/Stream";
import { Process, SubprocessBackend } from "../../mod.ts";
import { assert, assertEquals } from "../support/assert.ts";
import { noLeaks } from "../support/leaks.ts";
import * as Tasks from "./output_tasks.ts";
import { script } from "../support/scripts.ts";
import { test, warmUp } from "../support/suite.ts";
import { testFunction } from "../support/tier.ts";

/** More bytes than any pipe holds. */
const SIZE = 8 * 1024 * 1024;

const piped = SubprocessBackend.layer({ stdout: "pipe", stderr: "pipe" });

/** Only `stdout`, because an error is printed to the other. */
const { exitCode, ...tasks } = Tasks;

for (const [name, task] of Object.entries(tasks)) {
  for (const where of ["stdout", "stderr"] as const) {
    test(
      `output on subprocess: what is written to ${where} (${name}) arrives in full, though the task does not wait for it`,
      Effect.gen(function* () {
        const child = yield* Process.spawn(task, where, SIZE);
        assertEquals(yield* Stream.runFold(child[where], 0, (size, chunk) => size + chunk.length), SIZE);
        assertEquals(yield* child.join, 1);
      }).pipe(Effect.provide(piped)),
    );
  }

  testFunction(
    `output on worker: what is written (${name}) arrives in full, though the task does not wait for it${
      name === "byWrite" ? "" : " (full)"
    }`,
    () =>
      noLeaks(async () => {
        for (const where of ["stdout", "stderr"] as const) {
          assertEquals((await script("output.ts", [name, where, `${SIZE}`]).ended)[where].length, SIZE);
        }
      }),
  );
}

test(
  "output on subprocess: what a task has written that fails arrives as well",
  Effect.gen(function* () {
    const child = yield* Process.spawn(exitCode, "stdout", SIZE);
    assertEquals(yield* Stream.runFold(child.stdout, 0, (size, chunk) => size + chunk.length), SIZE);
    assert(Exit.isFailure(yield* Effect.exit(child.join)));
    assertEquals(yield* child.exitCode, 1);
  }).pipe(Effect.provide(piped)),
);

test(
  "output on subprocess: a child whose output nobody reads ends all the same (full)",
  Effect.gen(function* () {
    const child = yield* Process.spawn(tasks.byWriter, "stdout", SIZE);
    assertEquals(yield* child.join, 1);
    assertEquals(yield* child.exitCode, 0);
  }).pipe(Effect.provide(piped)),
);

await warmUp(
  Effect.flatMap(Process.spawn(tasks.byWrite, "stdout", 1), (child) => Stream.runDrain(child.stdout)).pipe(
    Effect.provide(piped),
  ),
);
