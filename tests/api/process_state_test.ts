/**
 * The state that a process shares with its parent, its end, and the leftovers of a whole program.
 *
 * @module
 */
import type * as Cause from "effect/Cause";
import * as Effect from "effect/Effect";
import * as Fiber from "effect/Fiber";
import type * as Layer from "effect/Layer";
import * as Logger from "effect/Logger";
import * as LogLevel from "effect/LogLevel";
import * as Option from "effect/Option";
import type * as Scope from "effect/Scope";
import { Backend, Pool, Process, SubprocessBackend, WorkerBackend } from "../../mod.ts";
import * as Capabilities from "../../src/internal/child/capabilities.ts";
import { assert, assertEquals, assertFalse, assertNotEquals, assertStringIncludes } from "../support/assert.ts";
import * as Family from "../support/family_tasks.ts";
import { descendants, noLeaks, processEntry, until } from "../support/leaks.ts";
import * as Plain from "../support/lifetime_tasks.ts";
import * as Tasks from "./process_state_tasks.ts";
import { gone, script } from "../support/scripts.ts";
import { interruptAtTurn, turn } from "../support/steps.ts";
import { gateway, signal, temporary, test, warmUp } from "../support/suite.ts";
import * as Effects from "../support/tasks.ts";
import { fullUnless, repeated, repeating, testFunction } from "../support/tier.ts";

const numbers = (n: number): ReadonlyArray<number> => Array.from({ length: n }, (_, i) => i);

const impatient = { gracePeriod: "20 millis", forceKillAfter: "20 millis" } as const;

/** Waits until a task has reported in this file that it runs, and returns the report. */
const said = (path: string): Effect.Effect<string> =>
  Effect.promise(async () => {
    await until("the task has begun", () => Deno.readTextFileSync(path) !== "");
    return Deno.readTextFileSync(path);
  });

/** Registers the suite for one backend. */
const suite = (
  name: "subprocess" | "worker",
  layer: Layer.Layer<Backend.Backend>,
  { signals }: Backend.Capabilities,
): void => {
  const check = <E>(title: string, program: Effect.Effect<unknown, E, Backend.Backend | Scope.Scope>): void =>
    test(`process on ${name}: ${title}`, Effect.provide(program, layer));

  check(
    "arguments are copied when the process is started: what one side changes later the other does not see",
    Effect.gen(function* () {
      const list = [1, 2];
      const table = new Map([["a", 1]]);
      const bytes = Uint8Array.of(1, 2);
      const child = yield* Process.spawn(Tasks.change, list, table, bytes);
      list.push(3);
      table.set("b", 2);
      bytes[1] = 7;
      assertEquals(yield* child.join, {
        list: [1, 2, 99],
        table: new Map([["a", 1], ["changed", 1]]),
        bytes: Uint8Array.of(99, 2),
        count: 1,
      });
      assertEquals([list, table, bytes], [[1, 2, 3], new Map([["a", 1], ["b", 2]]), Uint8Array.of(1, 7)]);
    }),
  );

  check(
    "the variables of a module are those of one process: another has its own, and keeps them between tasks",
    Effect.gen(function* () {
      const counts = (pool: Pool.Pool) =>
        Effect.forEach(
          numbers(3),
          () => Effect.map(pool.apply(Tasks.change, [], new Map(), Uint8Array.of(0)), (_) => _.count),
        );
      const [first, second] = yield* Effect.all([Pool.make({ size: 1 }), Pool.make({ size: 1 })]);
      assertEquals([yield* counts(first), yield* counts(second)], [[1, 2, 3], [1, 2, 3]]);
      assertEquals(Tasks.changes(), 0);
    }),
  );

  check(
    "a class-style process changes its own copy; its run, called directly, runs in this process",
    Effect.gen(function* () {
      const adder = new Tasks.Adder(5);
      const made = yield* Process.run(Tasks.adder, adder);
      assertEquals([made.sum, made.terms], [5, [5]]);
      assertEquals(made.pid === Deno.pid, !signals);
      assertEquals([adder.sum, adder.terms], [0, []]);
      assertEquals([adder.run(), adder.sum], [{ sum: 5, terms: [5], pid: Deno.pid }, 5]);
      // The fields are sent with their current values.
      assertEquals((yield* Process.run(Tasks.adder, adder)).terms, [5, 5]);
    }),
  );

  check(
    "spawn is a description: running it twice starts two processes",
    Effect.gen(function* () {
      const spawn = Process.spawnWith(Plain.linger, [], { daemon: true });
      assertEquals(yield* Process.activeChildren, []);
      const [first, second] = yield* Effect.all([spawn, spawn]);
      assertNotEquals(first.name, second.name);
      if (signals) assertNotEquals(first.pid, second.pid);
      yield* first.kill;
      assertEquals([yield* first.isAlive, yield* second.isAlive], [false, true]);
    }),
  );

  check(
    "whether a process is a daemon, and its pid, are for reading, and the pid stays what the child itself has",
    Effect.gen(function* () {
      const child = yield* Process.spawn(Tasks.pids);
      const seen = yield* child.join;
      assertFalse(yield* child.isAlive);
      assertEquals(child.pid, seen.pid);
      if (signals) assertEquals(seen.ppid, Deno.pid);
      const change = (process: Process.Process<unknown>): void => {
        // @ts-expect-error whether it is a daemon is decided when it is started
        process.daemon = true;
        // @ts-expect-error its pid is the system's
        process.pid = 1;
      };
      assertEquals(typeof change, "function");
    }),
  );

  check(
    "a join with a time limit, be it none at all, is given up with a TimeoutException; the process goes on",
    Effect.gen(function* () {
      const begun = yield* signal;
      const gate = yield* gateway;
      const child = yield* Process.spawn(Effects.gate, begun.stream, gate.stream, 5);
      yield* begun.fired;
      for (const limit of [0, "1 millis", 0] as const) {
        const error = yield* Effect.flip(Effect.timeout(child.join, limit));
        assertEquals((error as Cause.TimeoutException)._tag, "TimeoutException");
        assert(yield* child.isAlive);
      }
      yield* gate.open;
      assertEquals(yield* Effect.timeout(child.join, "1 minute"), 5);
    }),
  );

  check(
    "the first of several to end is known by a race of their status, and the others go on (full)",
    Effect.gen(function* () {
      const gates = yield* Effect.all(numbers(3).map(() => gateway));
      const begun = yield* Effect.all(numbers(3).map(() => signal));
      const children = yield* Effect.forEach(
        gates,
        (gate, i) => Process.spawn(Effects.gate, begun[i].stream, gate.stream, i),
      );
      for (const { fired } of begun) yield* fired;
      const first = yield* Effect.fork(
        Effect.raceAll(children.map((child) => Effect.as(child.status, child.name))),
      );
      yield* gates[1].open;
      assertEquals(yield* Fiber.join(first), children[1].name);
      assertEquals(yield* Effect.forEach(children, ({ isAlive }) => isAlive), [true, false, true]);
      yield* gates[0].open;
      yield* gates[2].open;
      assertEquals(yield* Effect.forEach(children, ({ join }) => join), [0, 1, 2]);
    }),
  );

  for (const how of ["kill", "terminate"] as const) {
    check(
      `${how} ends what a process has started as well${fullUnless(how === "terminate")}`,
      Effect.gen(function* () {
        const path = yield* temporary;
        const child = yield* Process.spawn(Family.guardian, path);
        const grandchild = Number(yield* said(path));
        yield* child[how];
        assertFalse(yield* child.isAlive);
        // The suite checks for leaked threads when the test has ended.
        if (signals) yield* Effect.promise(() => gone([grandchild]));
      }),
    );

    check(
      `${how} that is interrupted, at whatever turn, leaves a process that has ended or can be ended`,
      Effect.gen(function* () {
        for (const turns of numbers(6)) {
          for (const task of [Plain.linger, Effects.never]) {
            const child = yield* Process.spawnWith(task, [], impatient);
            yield* interruptAtTurn(child[how], turns);
            yield* child.terminate;
            assertNotEquals((yield* child.exit)._tag, "Success");
            assertFalse(yield* child.isAlive);
          }
        }
      }),
    );
  }

  check(
    "what a task logs is by Effect's defaults, or by the layer of the task: levels of the caller stay with the caller",
    Effect.gen(function* () {
      const levels = yield* Logger.withMinimumLogLevel(
        Effect.all([Process.run(Family.level), Process.run(Family.verboseLevel)]),
        LogLevel.Error,
      );
      assertEquals(levels, ["INFO", "DEBUG"]);
    }),
  );
};

const hasTaskset = await new Deno.Command("taskset", { args: ["-c", "0", "true"] }).output()
  .then(({ success }) => success, () => false);

const subprocess = SubprocessBackend.layer({ stderr: "null" });
const worker = WorkerBackend.layer();

await warmUp(Effect.provide(Process.run(Effects.addEffect, 1, 2), subprocess));
if (repeating) await warmUp(Effect.provide(Process.run(Effects.addEffect, 1, 2), worker));

suite("subprocess", subprocess, Capabilities.subprocess);
repeated(() => suite("worker", worker, Capabilities.worker));

// Behaviour of subprocesses only

test(
  "process on subprocess: without the option no child is kept ready",
  Effect.gen(function* () {
    yield* Backend.Backend;
    for (const _ of numbers(5)) yield* turn;
    assertEquals(descendants(Deno.pid), []);
    yield* Process.run(Plain.echo, 1);
    assertEquals(descendants(Deno.pid), []);
  }).pipe(Effect.provide(subprocess)),
);

test(
  "process on subprocess: a process inherits no descriptors of its siblings, however many there are",
  Effect.gen(function* () {
    const alone = yield* Process.run(Tasks.descriptors);
    const paths = yield* Effect.all(numbers(4).map(() => temporary));
    for (const path of paths) yield* Process.spawnWith(Plain.wait, [path], { daemon: true });
    for (const path of paths) yield* said(path);
    assertEquals(yield* Process.run(Tasks.descriptors), alone);
  }).pipe(Effect.provide(subprocess)),
);

test(
  "process on subprocess: a process that stops itself is alive, and is ended all the same",
  Effect.gen(function* () {
    for (const end of ["terminate", "kill"] as const) {
      const child = yield* Process.spawnWith(Effects.killItself, ["SIGSTOP"], impatient);
      yield* Effect.promise(() => until("it has stopped", () => processEntry(child.pid)?.state === "T"));
      assertEquals([yield* child.isAlive, yield* child.poll], [true, Option.none()]);
      yield* child[end];
      assertEquals([end, yield* child.exitCode], [end, -9]);
    }
  }).pipe(Effect.provide(subprocess)),
);

// Programs

Deno.test({
  name: "program: cpuCount is that of the cores which this program may use (needs taskset)",
  ignore: !hasTaskset,
  fn: async () => {
    const program = new URL("../programs/lifetimes.ts", import.meta.url).href;
    const { stdout } = await new Deno.Command("taskset", {
      args: ["-c", "0", Deno.execPath(), "run", "-A", "--no-check", program, "cores"],
      env: { NO_COLOR: "1" },
    }).output();
    assertEquals(new TextDecoder().decode(stdout), "1\n");
  },
});

const narrow = ["--allow-read", "--allow-env", `--allow-run=${Deno.execPath()}`];

/** Marks a repetition on workers, and with the second way to end a process. */
const again = (backend: string, how?: string): string => backend === "worker" || how === "terminated" ? " (full)" : "";

for (
  const [way, flags] of [
    ["the launcher sees to it", ["-A"]],
    ["the child sees to it by FFI", [...narrow, "--allow-ffi"]],
    ["the child sees to it without FFI", narrow],
  ] as const
) {
  for (const backend of ["subprocess", "worker"]) {
    for (const how of ["killed", "terminated"]) {
      testFunction(
        `program on ${backend}: a process that is ${how} leaves no busy one behind that it has started; ${way}${
          way === "the launcher sees to it" ? again(backend, how) : " (full)"
        }`,
        () =>
          noLeaks(async () => {
            const running = script("lifetimes.ts", [how, backend], flags);
            const pid = Number(await running.line("busy"));
            running.kill("SIGUSR2");
            await running.line("ended");
            await gone([pid]);
            running.kill("SIGTERM");
            const { code, stderr } = await running.ended;
            assertEquals([code, stderr], [143, ""]);
          }),
      );
    }
  }
}

for (const backend of ["subprocess", "worker"]) {
  testFunction(
    `program on ${backend}: a program ends, and its children with it, though nobody closes the scope that they are in${
      again(backend)
    }`,
    () =>
      noLeaks(async () => {
        const { code, stderr, stdout } = await script("lifetimes.ts", ["forgotten", backend]).ended;
        assertEquals([code, stderr], [0, ""]);
        assertStringIncludes(stdout, "forgotten");
        if (backend === "subprocess") {
          await gone(/forgotten (\d+) (\d+)/.exec(stdout)!.slice(1).map(Number));
        }
      }),
  );
}

for (const backend of ["subprocess", "worker"]) {
  testFunction(
    `program on ${backend}: a program without the guard import.meta.main fails, says so, and starts no generations${
      again(backend)
    }`,
    () =>
      noLeaks(async () => {
        const { code, stderr, stdout } = await script("unguarded.ts", [backend]).ended;
        assertEquals(code, 1);
        assertStringIncludes(stderr, "import.meta.main");
        assertEquals(stdout, "loaded\nloaded\n");
      }),
  );
}
