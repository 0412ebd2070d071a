/**
 * Tasks that misbehave: their callers get an error, and no other process is harmed.
 *
 * @module
 */
import * as Cause from "effect/Cause";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import type * as Layer from "effect/Layer";
import type * as Scope from "effect/Scope";
import * as Stream from "effect/Stream";
import { type Backend, Pool, Process, SubprocessBackend, Task, WorkerBackend } from "../../mod.ts";
import { assert, assertEquals, assertInstanceOf, assertMatch, assertStringIncludes } from "../support/assert.ts";
import * as Tasks from "./hostile_tasks.ts";
import { until } from "../support/leaks.ts";
import { temporary, test, warmUp, when } from "../support/suite.ts";
import * as Effects from "../support/tasks.ts";
import { fullUnless, repeated, repeating } from "../support/tier.ts";

const died = <A, E, R>(program: Effect.Effect<A, E, R>): Effect.Effect<Process.ProcessDied, A, R> =>
  Effect.map(Effect.flip(program), (error) => {
    assertInstanceOf(error, Process.ProcessDied);
    return error;
  });

const fixture = (name: string): ImportMeta => Effects.meta(import.meta.resolve(`../fixtures/${name}`));
const exitsAtLoad = Task.make(fixture("exits_at_load.ts"), "task", () => 1);
const neverLoads = Task.make(fixture("never_loads.ts"), "task", () => 1);

const impatient = { gracePeriod: "20 millis", forceKillAfter: "20 millis" } as const;

/** Registers the suite for one backend. */
const suite = (name: "subprocess" | "worker", layer: Layer.Layer<Backend.Backend>): void => {
  const check = <E>(title: string, program: Effect.Effect<unknown, E, Backend.Backend | Scope.Scope>): void =>
    test(`hostile on ${name}: ${title}`, Effect.provide(program, layer));

  /** Runs the task in a process, and in a pool, which must work as before afterwards. */
  const everywhere = <E>(
    task: Task.Task<[], unknown, E>,
    look: (error: Process.ProcessDied) => void,
  ): Effect.Effect<void, unknown, Backend.Backend | Scope.Scope> =>
    Effect.gen(function* () {
      const child = yield* Process.spawn(task);
      look(yield* died(child.join));
      const pool = yield* Pool.make({ size: 1 });
      const calls = yield* Effect.all([Effect.exit(pool.apply(task)), pool.apply(Tasks.add, 1, 2)], { concurrency: 2 });
      const [exit, sum] = calls;
      assert(Exit.isFailure(exit));
      const error = Cause.squash(exit.cause);
      assertInstanceOf(error, Process.ProcessDied);
      look(error);
      assertEquals(sum, 3);
      const { failed, replaced } = yield* when(pool.statistics, ({ alive }) => alive === 1);
      assertEquals([failed, replaced], [1, 1]);
    });

  /** A task with its arguments, as a task without arguments. */
  const bound = (task: Task.Task<[string], number>, text: string) =>
  (
    look: (error: Process.ProcessDied) => void,
  ): Effect.Effect<void, unknown, Backend.Backend | Scope.Scope> =>
    Effect.gen(function* () {
      look(yield* died(Process.run(task, text)));
      const pool = yield* Pool.make({ size: 1 });
      look(yield* died(pool.apply(task, text)));
      assertEquals(yield* pool.apply(Tasks.add, 1, 2), 3);
    });

  for (
    const [title, task] of [["error", Tasks.throwLater], ["rejection", Tasks.rejectLater]] as const
  ) {
    check(
      `an ${title === "error" ? "error that nobody catches" : "unhandled rejection"} is Crashed, with its reason`,
      bound(task, "a reason of its own")(({ message, status }) => {
        assert(status._tag === "Crashed", JSON.stringify(status));
        assertMatch(status.message, /RangeError: a reason of its own/);
        assertStringIncludes(message, "a reason of its own");
      }),
    );
  }

  for (const task of [Tasks.throwNothing, Tasks.rejectNothing]) {
    check(
      `a process that throws undefined (${task.name}) has crashed as well`,
      everywhere(task, ({ status }) => assertEquals(status._tag, "Crashed")),
    );
  }

  check(
    "a task that deals itself with what nobody catches goes on",
    Effect.map(Process.run(Tasks.tolerate), (seen) => assertEquals(seen, ["error", "unhandledrejection"])),
  );

  check(
    "a worker of a pool that crashes when it is idle costs nobody a task",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1 });
      assertEquals(yield* pool.apply(Tasks.throwWhenIdle), 5);
      const { completed, failed } = yield* when(
        pool.statistics,
        ({ alive, replaced }) => alive === 1 && replaced === 1,
      );
      assertEquals([completed, failed], [1, 0]);
      assertEquals(yield* pool.apply(Tasks.add, 1, 2), 3);
    }),
  );

  for (const task of [Tasks.exit, Tasks.exitAsNode, Tasks.exitLater]) {
    check(
      `a process that leaves (${task.name}) has exited with that code, for every caller${
        fullUnless(task === Tasks.exit)
      }`,
      Effect.gen(function* () {
        for (const code of [0, 3]) {
          const child = yield* Process.spawn(task, code);
          assertEquals((yield* died(child.join)).status, { _tag: "Exited", code });
          assertEquals(yield* child.exitCode, code);
        }
        const pool = yield* Pool.make({ size: 1 });
        assertEquals((yield* died(pool.apply(task, 3))).status, { _tag: "Exited", code: 3 });
        assertEquals((yield* died(pool.map(task, [4], { chunkSize: 1 }))).status, { _tag: "Exited", code: 4 });
        assertEquals(yield* pool.apply(Tasks.add, 1, 2), 3);
      }),
    );
  }

  check(
    "a stack that overflows is a defect of that task alone",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1 });
      const exit = yield* Effect.exit(pool.apply(Tasks.overflow));
      assert(Exit.isFailure(exit));
      assertInstanceOf(Array.from(Cause.defects(exit.cause))[0], RangeError);
      assertEquals(yield* pool.apply(Tasks.add, 1, 2), 3);
      assertEquals((yield* pool.statistics).replaced, 0);
    }),
  );

  check(
    "a module that leaves while it loads is the death of the process, for each of its tasks (full)",
    Effect.gen(function* () {
      assertEquals((yield* died(Process.run(exitsAtLoad))).status, { _tag: "Exited", code: 4 });
      const pool = yield* Pool.make({ size: 1 });
      assertEquals((yield* died(pool.apply(exitsAtLoad))).status, { _tag: "Exited", code: 4 });
      assertEquals(yield* pool.apply(Tasks.add, 1, 2), 3);
    }),
  );

  check(
    "a caller that waits for a task can give up on a module that never loads",
    Effect.gen(function* () {
      const child = yield* Process.spawnWith(neverLoads, [], impatient);
      yield* child.terminate;
      assertEquals((yield* child.exit)._tag === "Success", false);
      const pool = yield* Pool.make({ size: 1, ...impatient });
      const error = yield* Effect.flip(Effect.flatMap(
        pool.submitWith(neverLoads, [], { timeout: "1 millis" }),
        (submission) => submission.await,
      ));
      assertEquals((error as Pool.PoolError).reason, "Timeout");
      assertEquals(yield* pool.apply(Tasks.add, 1, 2), 3);
    }),
  );

  if (name === "worker") {
    check(
      "self.close() is the end of a process, seen at once",
      everywhere(Tasks.close, ({ status }) => assertEquals(status, { _tag: "Exited", code: 0 })),
    );

    check(
      "a task that posts messages to the program as if it were the library harms neither",
      Effect.gen(function* () {
        const pool = yield* Pool.make({ size: 1 });
        // The host accepts the report of a task about its own end, and no other claim.
        const exit = yield* Effect.exit(pool.apply(Tasks.interfere));
        assert(Exit.isSuccess(exit) || Cause.squash(exit.cause) instanceof Process.ProcessDied, String(exit));
        assertEquals(yield* pool.apply(Tasks.add, 1, 2), 3);
      }),
    );
  }
};

const subprocess = SubprocessBackend.layer({ stderr: "null" });
const worker = WorkerBackend.layer();

await warmUp(Effect.provide(Process.run(Effects.addEffect, 1, 2), subprocess));
if (repeating) await warmUp(Effect.provide(Process.run(Effects.addEffect, 1, 2), worker));

suite("subprocess", subprocess);
repeated(() => suite("worker", worker));

// Tests that need a process of its own

const SIZE = 8 * 1024 * 1024;

for (const where of ["stdout", "stderr"] as const) {
  test(
    `hostile on subprocess: a flood of ${where} that nobody wants does not hold up its task${
      fullUnless(where === "stdout")
    }`,
    Effect.gen(function* () {
      assertEquals(yield* Process.run(Tasks.flood, where, SIZE), SIZE);
      const pool = yield* Pool.make({ size: 1 });
      assertEquals(yield* pool.apply(Tasks.flood, where, SIZE), SIZE);
    }).pipe(Effect.provide(SubprocessBackend.layer({ [where]: "null" }))),
  );

  test(
    `hostile on subprocess: a flood of ${where} that is read arrives, every byte of it, and so does the result${
      fullUnless(where === "stdout")
    }`,
    Effect.gen(function* () {
      const child = yield* Process.spawn(Tasks.flood, where, SIZE);
      const [read, result] = yield* Effect.all([
        Stream.runFold(child[where], 0, (sum, bytes) => sum + bytes.length),
        child.join,
      ], { concurrency: 2 });
      assertEquals([read, result], [SIZE, SIZE]);
    }).pipe(Effect.provide(SubprocessBackend.layer({ [where]: "pipe" }))),
  );

  test(
    `hostile on subprocess: a flood of ${where} that is piped and not read waits, and is ended with its process${
      fullUnless(where === "stdout")
    }`,
    Effect.gen(function* () {
      const path = yield* temporary;
      const { pid } = yield* Effect.scoped(Effect.gen(function* () {
        const child = yield* Process.spawnWith(Tasks.floodForever, [path, where], { ...impatient, daemon: true });
        yield* Effect.promise(() => until("it floods", () => Deno.readTextFileSync(path) !== ""));
        const some = yield* Stream.runHead(child[where]);
        assertEquals(some._tag, "Some");
        return child;
      }));
      const pool = yield* Pool.make({ size: 1, ...impatient });
      Deno.writeTextFileSync(path, "");
      const running = yield* pool.submit(Tasks.floodForever, path, where);
      yield* Effect.promise(() => until("it floods", () => Deno.readTextFileSync(path) !== ""));
      yield* running.cancel;
      assertEquals(yield* pool.apply(Tasks.add, 1, 2), 3);
      assert(pid > 0);
    }).pipe(Effect.provide(SubprocessBackend.layer({ [where]: "pipe" }))),
  );
}

test(
  "hostile on subprocess: a task that closes its standard streams gives its result",
  Effect.gen(function* () {
    assertEquals(yield* Process.run(Tasks.closeStreams), 5);
  }).pipe(Effect.provide(SubprocessBackend.layer({ stdout: "null", stderr: "null" }))),
);

test(
  "hostile on subprocess: out of memory is a ProcessDied that says so, fails its own task only, and can be told from a kill",
  Effect.gen(function* () {
    const child = yield* Process.spawn(Tasks.consume);
    const error = yield* died(child.join);
    assertEquals([error.outOfMemory, error.status._tag], [true, "Signaled"]);
    assertStringIncludes(error.message, "--max-old-space-size");
    assert((yield* child.exitCode) < 0);
    const pool = yield* Pool.make({ size: 2 });
    const exits = yield* Effect.all([
      Effect.flip(pool.apply(Tasks.consume)),
      pool.starmap(Tasks.add, [[1, 2], [3, 4], [5, 6]], { chunkSize: 1 }),
    ], { concurrency: 2 });
    assert(exits[0] instanceof Process.ProcessDied && exits[0].outOfMemory);
    assertEquals(exits[1], [3, 7, 11]);
    const killed = yield* Process.spawn(Effects.killItself, "SIGKILL");
    assertEquals((yield* died(killed.join)).outOfMemory, false);
  }).pipe(Effect.provide(SubprocessBackend.layer({ stderr: "null", v8Flags: ["--max-old-space-size=48"] }))),
);

test(
  "hostile on subprocess: random bytes on a link, few or many, are the death of their process, and of no other",
  Effect.gen(function* () {
    const pool = yield* Pool.make({ size: 2 });
    for (const size of [1, 4, 5, 6, 7, 8, 9, 16, 100, 60_000]) {
      const [scribbled, sums] = yield* Effect.all([
        Effect.exit(pool.apply(Tasks.scribble, size)),
        pool.starmap(Tasks.add, [[1, 2], [3, 4], [5, 6]], { chunkSize: 1 }),
      ], { concurrency: 2 });
      assertEquals(sums, [3, 7, 11]);
      assert(Exit.isFailure(scribbled));
      assertInstanceOf(Cause.squash(scribbled.cause), Process.ProcessDied);
    }
  }).pipe(Effect.provide(subprocess)),
);
