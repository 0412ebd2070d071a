/**
 * What those who come from Python's `multiprocessing` rely on, and what has let them down there.
 *
 * @module
 */
import * as Cause from "effect/Cause";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Fiber from "effect/Fiber";
import type * as Layer from "effect/Layer";
import * as Logger from "effect/Logger";
import * as LogLevel from "effect/LogLevel";
import * as Option from "effect/Option";
import * as Random from "effect/Random";
import * as Scope from "effect/Scope";
import * as Stream from "effect/Stream";
import { Backend, Pool, Process, SubprocessBackend, WorkerBackend } from "../../mod.ts";
import * as Capabilities from "../../src/internal/child/capabilities.ts";
import {
  assert,
  assertEquals,
  assertFalse,
  assertInstanceOf,
  assertLess,
  assertNotEquals,
  assertStringIncludes,
} from "../support/assert.ts";
import { below, rounds } from "../support/chance.ts";
import * as Checker from "../faults/checker_tasks.ts";
import * as Family from "../support/family_tasks.ts";
import { descendants, noLeaks, processEntry, until } from "../support/leaks.ts";
import * as Plain from "../support/lifetime_tasks.ts";
import * as Tasks from "./parity_tasks.ts";
import { gone, script } from "../support/scripts.ts";
import { gateway, signal, temporary, test, warmUp, when } from "../support/suite.ts";
import * as Effects from "../support/tasks.ts";

const numbers = (n: number): ReadonlyArray<number> => Array.from({ length: n }, (_, i) => i);

const impatient = { gracePeriod: "20 millis", forceKillAfter: "20 millis" } as const;

/** Waits until a task has said in this file that it runs, and gives what it said. */
const said = (path: string): Effect.Effect<string> =>
  Effect.promise(async () => {
    await until("the task has begun", () => Deno.readTextFileSync(path) !== "");
    return Deno.readTextFileSync(path);
  });

const failureOf = (exit: Exit.Exit<unknown, unknown>): unknown =>
  Exit.isFailure(exit) ? Option.getOrUndefined(Cause.failureOption(exit.cause)) : undefined;

const defectOf = (exit: Exit.Exit<unknown, unknown>): unknown =>
  Exit.isFailure(exit) ? Option.getOrUndefined(Cause.dieOption(exit.cause)) : undefined;

const turn = Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 0)));

/** Runs an operation, and interrupts it after so many turns of the event loop. */
const interruptAtTurn = (operation: Effect.Effect<unknown, unknown>, turns: number): Effect.Effect<void> =>
  Effect.gen(function* () {
    const fiber = yield* Effect.fork(operation);
    for (let i = 0; i < turns; i++) yield* turn;
    yield* Fiber.interrupt(fiber);
  });

/** Registers the suite for one backend. */
const suite = (
  name: "subprocess" | "worker",
  layer: Layer.Layer<Backend.Backend>,
  { signals }: Backend.Capabilities,
): void => {
  const check = <E>(title: string, program: Effect.Effect<unknown, E, Backend.Backend | Scope.Scope>): void =>
    test(`parity on ${name}: ${title}`, Effect.provide(program, layer));

  // Processes

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
      // What travels is what its fields are by now.
      assertEquals((yield* Process.run(Tasks.adder, adder)).terms, [5, 5]);
    }),
  );

  check(
    "spawn is a description: whoever runs it twice has started two processes",
    Effect.gen(function* () {
      const spawn = Process.spawnWith({ daemon: true })(Plain.linger);
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
    "the first of several to end is known by a race of their status, and the others go on",
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
      `${how} ends what a process has started as well`,
      Effect.gen(function* () {
        const path = yield* temporary;
        const child = yield* Process.spawn(Family.guardian, path);
        const grandchild = Number(yield* said(path));
        yield* child[how];
        assertFalse(yield* child.isAlive);
        // Threads are looked for when the test has ended.
        if (signals) yield* Effect.promise(() => gone([grandchild]));
      }),
    );

    check(
      `${how} that is interrupted, at whatever turn, leaves a process that has ended or can be ended`,
      Effect.gen(function* () {
        for (const turns of numbers(6)) {
          for (const task of [Plain.linger, Effects.never]) {
            const child = yield* Process.spawnWith(impatient)(task);
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

  // Pools

  check(
    "a pool has one worker for each core, unless it is told otherwise, and all of them from the start",
    Effect.gen(function* () {
      const pool = yield* Pool.make();
      const { alive, size } = yield* pool.statistics;
      assertEquals([pool.size, size, alive], [yield* Process.cpuCount, pool.size, pool.size]);
    }),
  );

  check(
    "what waits for a worker is run in the order in which it came",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1 });
      const begun = yield* signal;
      const gate = yield* gateway;
      yield* pool.submit(Effects.gate, begun.stream, gate.stream, 0);
      yield* begun.fired;
      const turns: Array<Effect.Effect<{ readonly calls: number }, unknown>> = [];
      for (const n of numbers(20)) {
        if (n % 2 === 0) turns.push((yield* pool.submit(Plain.visit, n)).await);
        else {
          turns.push(Fiber.join(yield* Effect.fork(pool.apply(Plain.visit, n))));
          yield* when(pool.statistics, ({ waiting }) => waiting === n + 1);
        }
      }
      yield* gate.open;
      assertEquals((yield* Effect.all(turns)).map(({ calls }) => calls), numbers(20).map((n) => n + 1));
    }),
  );

  check(
    "items that raise when they are iterated are a defect of that call, items that cannot be iterated fail it, and the pool goes on",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1 });
      const raising = function* () {
        yield 1;
        throw new RangeError("the source is dry");
      };
      const calls: ReadonlyArray<Effect.Effect<unknown, unknown>> = [
        pool.map(Plain.echo, raising()),
        Stream.runDrain(pool.mapUnordered(Plain.echo, raising())),
        Stream.runDrain(pool.mapStream(Plain.echo)(Stream.fromIterable(raising()))),
      ];
      for (const call of calls) {
        const defect = defectOf(yield* Effect.exit(call));
        assertInstanceOf(defect, RangeError);
        assertEquals(defect.message, "the source is dry");
      }
      for (const wrong of [5, undefined, null, {}]) {
        const items = wrong as unknown as ReadonlyArray<never>;
        for (const call of [pool.map(Plain.echo, items), pool.starmap(Plain.echo, items)]) {
          const error = yield* Effect.flip(call);
          assertInstanceOf(error, Pool.PoolError);
          assertEquals(error.reason, "InvalidArgument");
        }
      }
      assertEquals(yield* pool.map(Plain.echo, [1, 2]), [1, 2]);
      const { busy, replaced, waiting } = yield* pool.statistics;
      assertEquals({ busy, replaced, waiting }, { busy: 0, replaced: 0, waiting: 0 });
    }),
  );

  check(
    "mapUnordered of items without end gives results, and does not read on for ever; chunk sizes are checked there, too",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 2 });
      let read = 0;
      const endless = function* () {
        for (;;) yield read++;
      };
      const some = yield* Stream.runCollect(
        Stream.take(pool.mapUnordered(Plain.echo, endless(), { chunkSize: 2 }), 10),
      );
      assertEquals(new Set(some).size, 10);
      assertLess(read, 10_000);
      for (const chunkSize of [0, -1, 2.5, NaN]) {
        const error = yield* Effect.flip(Stream.runDrain(pool.mapUnordered(Plain.echo, [1], { chunkSize })));
        assertInstanceOf(error, Pool.PoolError);
        assertEquals(error.reason, "InvalidOption");
      }
    }),
  );

  check(
    "a result that is not there in time, be there no time at all, can be had later, and again",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1 });
      const begun = yield* signal;
      const gate = yield* gateway;
      const submission = yield* pool.submit(Effects.gate, begun.stream, gate.stream, 5);
      yield* begun.fired;
      for (const limit of [0, "1 millis"] as const) {
        const error = yield* Effect.flip(Effect.timeout(submission.await, limit));
        assertEquals((error as Cause.TimeoutException)._tag, "TimeoutException");
      }
      assertEquals(yield* submission.poll, Option.none());
      yield* gate.open;
      assertEquals([yield* Effect.timeout(submission.await, "1 minute"), yield* submission.await], [5, 5]);
      assertEquals((yield* pool.statistics).failed, 0);
    }),
  );

  check(
    "close and join come to an end though workers have died of their tasks, and each of them is told",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 2 });
      const submissions = yield* Effect.forEach(
        numbers(20),
        (n) => n % 5 === 2 ? pool.submit(Plain.exit, n) : pool.submit(Plain.echo, n),
      );
      yield* pool.close;
      yield* pool.join;
      const ends = yield* Effect.forEach(submissions, (submission) =>
        Effect.map(submission.poll, (polled) => {
          const exit = Option.getOrThrow(polled);
          const error = failureOf(exit);
          return Exit.isSuccess(exit) ? exit.value : error instanceof Process.ProcessDied && error.status;
        }));
      assertEquals(ends, numbers(20).map((n) => n % 5 === 2 ? { _tag: "Exited" as const, code: n } : n));
      assertEquals((yield* pool.statistics).alive, 0);
    }),
  );

  check(
    "a pool of which one worker cannot be started is not made: the others are ended, and the reason is typed",
    Effect.gen(function* () {
      const backend = yield* Backend.Backend;
      for (const nth of [1, 2, 3]) {
        let asked = 0;
        const started: Array<Backend.Child> = [];
        const failing: Backend.Backend = {
          ...backend,
          spawn: (command) =>
            ++asked === nth
              ? Effect.fail(new Backend.SpawnError({ reason: "Failed", message: "there are no more" }))
              : Effect.tap(backend.spawn(command), (child) => started.push(child)),
        };
        const error = yield* Effect.flip(
          Effect.provideService(Effect.scoped(Pool.make({ size: 3 })), Backend.Backend, failing),
        );
        assertInstanceOf(error, Backend.SpawnError);
        assertEquals(error.message, "there are no more");
        assert(started.every((child) => child.status() !== undefined));
      }
    }),
  );

  check(
    "a callback may hand in more work, and wait for it",
    Effect.gen(function* () {
      const heard: Array<number> = [];
      const pool = yield* Pool.make({ size: 1 });
      const submission = yield* pool.submitWith(Plain.echo, [1], {
        onSuccess: (n) =>
          Effect.gen(function* () {
            const next = yield* pool.submit(Plain.echo, n + 1);
            heard.push(yield* next.await, yield* pool.apply(Plain.echo, n + 2));
          }),
      });
      assertEquals(yield* submission.await, 1);
      yield* Effect.repeat(turn, { until: () => heard.length === 2 });
      assertEquals(heard, [2, 3]);
    }),
  );

  check(
    "join or terminate that is interrupted, at whatever turn, leaves a pool that can be ended",
    Effect.gen(function* () {
      for (const turns of numbers(6)) {
        const pool = yield* Pool.make({ size: 1, ...impatient });
        yield* pool.submit(Plain.linger);
        yield* pool.close;
        yield* interruptAtTurn(pool.join, turns);
        yield* interruptAtTurn(pool.terminate, turns);
        yield* Effect.all([pool.terminate, pool.join], { concurrency: 2 });
        const { alive, busy, waiting } = yield* pool.statistics;
        assertEquals({ alive, busy, waiting }, { alive: 0, busy: 0, waiting: 0 });
      }
    }),
  );

  if (signals) {
    check(
      "a pool whose idle workers were all killed from outside can be used, closed and terminated",
      Effect.gen(function* () {
        for (const end of ["close", "terminate", "use"] as const) {
          const pool = yield* Pool.make({ size: 2 });
          for (const { pid } of descendants(Deno.pid)) Deno.kill(pid, "SIGKILL");
          if (end === "use") {
            yield* when(pool.statistics, ({ alive, replaced }) => alive === 2 && replaced === 2);
            assertEquals(yield* pool.map(Plain.echo, numbers(10), { chunkSize: 1 }), numbers(10));
          }
          yield* pool[end === "use" ? "close" : end];
          yield* pool.join;
          assertEquals((yield* pool.statistics).alive, 0);
        }
      }),
    );
  }

  // Ends of pools by chance

  const ROUNDS = rounds(4, 12);
  const SUBMISSIONS = 500;

  check(
    `each of ${SUBMISSIONS} submissions to each of several pools, closed, terminated, left or broken off some time, settles once, with a cause it can have (storm)`,
    Effect.forEach(numbers(ROUNDS), (round) =>
      Effect.suspend(() => {
        const seed = below(2 ** 32);
        return Effect.withRandom(closing(SUBMISSIONS, ends[round % ends.length], `seed ${seed}`), Random.make(seed));
      }), { discard: true }),
  );
};

/** How a pool may end, and whether what it has is finished first. */
const ends = ["closed", "terminated", "left", "broken off"] as const;

/** Hands in tasks of all kinds to a pool that is ended meanwhile. */
const closing = (
  submissions: number,
  how: typeof ends[number],
  label: string,
): Effect.Effect<void, unknown, Backend.Backend> =>
  Effect.gen(function* () {
    const { capabilities } = yield* Backend.Backend;
    const scope = yield* Scope.make();
    const pool = yield* Scope.extend(Pool.make({ size: 2, ...impatient }), scope);
    const when = yield* Random.nextIntBetween(0, submissions);
    const told = new Array<number>(submissions).fill(0);
    const wrong: Array<string> = [];
    let killed = false;

    const kill = Effect.sync(() => {
      const [victim] = descendants(Deno.pid).filter(({ state }) => state !== "Z");
      if (victim === undefined) return;
      killed = true;
      Deno.kill(victim.pid, "SIGKILL");
    });

    const end = Effect.suspend((): Effect.Effect<unknown, unknown> => {
      switch (how) {
        case "closed":
          return Effect.zipRight(pool.close, pool.join);
        case "terminated":
          return pool.terminate;
        case "left":
          return Scope.close(scope, Exit.void);
        case "broken off":
          return Scope.close(scope, Exit.fail("broken off"));
      }
    });
    const abrupt = how === "terminated" || how === "broken off";

    const allowed = (kind: string, exit: Exit.Exit<unknown, unknown>, n: number, early: boolean): boolean => {
      const error = failureOf(exit);
      if (error instanceof Pool.PoolError) {
        if (error.reason === "Closed") return !early;
        if (error.reason === "Terminated") return abrupt;
        return error.reason === "Timeout" && kind === "lingers";
      }
      if (error instanceof Process.ProcessDied) {
        if (error.status._tag === "Signaled") return killed && error.status.signal === "SIGKILL";
        return kind === "leaves" && error.status._tag === "Exited" && error.status.code === 10 + n % 100;
      }
      switch (kind) {
        case "succeeds":
          return Exit.isSuccess(exit) && exit.value === n;
        case "explodes":
          return (defectOf(exit) as Error | undefined)?.message === `exploded ${n}`;
        case "mute":
          return error instanceof Backend.EncodeError;
        case "taken back":
          return Exit.isInterrupted(exit);
        default:
          return false;
      }
    };

    const kinds = { succeeds: Checker.succeed, explodes: Checker.explode, mute: Checker.mute, leaves: Checker.leave };

    const submit = (n: number): Effect.Effect<void, Backend.EncodeError | Pool.PoolError> =>
      Effect.gen(function* () {
        const dice = yield* Random.nextIntBetween(0, 1000);
        const kind = dice < 100
          ? "explodes"
          : dice < 150
          ? "mute"
          : dice < 153
          ? "leaves"
          : dice < 156
          ? "lingers"
          : dice < 166
          ? "taken back"
          : "succeeds";
        const count = () => Effect.sync(() => told[n]++);
        const callbacks = { onSuccess: count, onFailure: count };
        // It was handed in before the pool was ended, whatever becomes of it.
        const early = n < when;
        const submission = kind === "lingers" || kind === "taken back"
          ? yield* pool.submitWith(Checker.linger, [n], { ...callbacks, timeout: kind === "lingers" ? 5 : undefined })
          : yield* pool.submitWith<[number], unknown, never>(kinds[kind], [n], callbacks);
        if (capabilities.signals && dice === 500) yield* kill;
        if (kind === "taken back") yield* submission.cancel;
        const exit = yield* Effect.exit(submission.await);
        if (!allowed(kind, exit, n, early)) {
          wrong.push(
            `${n} of ${when}, ${kind}, ${how}: ${Exit.isSuccess(exit) ? "succeeded" : Cause.pretty(exit.cause)}`,
          );
        }
      });

    const awaiting: Array<Fiber.Fiber<void, Backend.EncodeError | Pool.PoolError>> = [];
    let ending: Fiber.Fiber<unknown, unknown> | undefined;
    for (const n of numbers(submissions)) {
      if (n === when) {
        // Those before it have been handed in.
        yield* Effect.yieldNow();
        ending = yield* Effect.fork(end);
      }
      awaiting.push(yield* Effect.fork(submit(n)));
      if (n % 50 === 0) yield* turn;
    }
    yield* Fiber.joinAll(awaiting);
    yield* Fiber.join(ending!);
    yield* Scope.close(scope, Exit.void);
    assertEquals(wrong, [], label);
    // Who terminates does not wait for callbacks that have not begun.
    assert(told.every((times) => times <= 1) && (abrupt || told.slice(0, when).every((times) => times === 1)), label);
    const { alive, busy, waiting } = yield* pool.statistics;
    assertEquals({ alive, busy, waiting }, { alive: 0, busy: 0, waiting: 0 }, label);
  });

const hasTaskset = await new Deno.Command("taskset", { args: ["-c", "0", "true"] }).output()
  .then(({ success }) => success, () => false);

const subprocess = SubprocessBackend.layer({ stderr: "null" });
const worker = WorkerBackend.layer();

await warmUp(Effect.provide(Process.run(Effects.addEffect, 1, 2), subprocess));
await warmUp(Effect.provide(Process.run(Effects.addEffect, 1, 2), worker));

suite("subprocess", subprocess, Capabilities.subprocess);
suite("worker", worker, Capabilities.worker);

// What only processes of their own have

test(
  "parity on subprocess: without the option no child is kept ready",
  Effect.gen(function* () {
    yield* Backend.Backend;
    for (const _ of numbers(5)) yield* turn;
    assertEquals(descendants(Deno.pid), []);
    yield* Process.run(Plain.echo, 1);
    assertEquals(descendants(Deno.pid), []);
  }).pipe(Effect.provide(subprocess)),
);

test(
  "parity on subprocess: a process inherits no descriptors of its siblings, however many there are",
  Effect.gen(function* () {
    const alone = yield* Process.run(Tasks.descriptors);
    const paths = yield* Effect.all(numbers(4).map(() => temporary));
    for (const path of paths) yield* Process.spawnWith({ daemon: true })(Plain.wait, path);
    for (const path of paths) yield* said(path);
    assertEquals(yield* Process.run(Tasks.descriptors), alone);
  }).pipe(Effect.provide(subprocess)),
);

test(
  "parity on subprocess: a process that stops itself is alive, and is ended all the same",
  Effect.gen(function* () {
    for (const end of ["terminate", "kill"] as const) {
      const child = yield* Process.spawnWith(impatient)(Effects.killItself, "SIGSTOP");
      yield* Effect.promise(() => until("it has stopped", () => processEntry(child.pid)?.state === "T"));
      assertEquals([yield* child.isAlive, yield* child.poll], [true, Option.none()]);
      yield* child[end];
      assertEquals([end, yield* child.exitCode], [end, -9]);
    }
  }).pipe(Effect.provide(subprocess)),
);

// Programs

Deno.test({
  name: "parity: cpuCount is that of the cores which this program may use (needs taskset)",
  ignore: !hasTaskset,
  fn: async () => {
    const program = new URL("../programs/parity.ts", import.meta.url).pathname;
    const { stdout } = await new Deno.Command("taskset", {
      args: ["-c", "0", Deno.execPath(), "run", "-A", "--no-check", program, "cores"],
      env: { NO_COLOR: "1" },
    }).output();
    assertEquals(new TextDecoder().decode(stdout), "1\n");
  },
});

const narrow = ["--allow-read", "--allow-env", `--allow-run=${Deno.execPath()}`];

for (
  const [way, flags] of [
    ["the launcher sees to it", ["-A"]],
    ["the child sees to it by FFI", [...narrow, "--allow-ffi"]],
    ["the child sees to it without FFI", narrow],
  ] as const
) {
  for (const backend of ["subprocess", "worker"]) {
    for (const how of ["killed", "terminated"]) {
      Deno.test(`parity on ${backend}: a process that is ${how} leaves no busy one behind that it has started; ${way}`, () =>
        noLeaks(async () => {
          const running = script("parity.ts", [how, backend], flags);
          const pid = Number(await running.line("busy"));
          running.kill("SIGUSR2");
          await running.line("ended");
          await gone([pid]);
          running.kill("SIGTERM");
          const { code, stderr } = await running.ended;
          assertEquals([code, stderr], [143, ""]);
        }));
    }
  }
}

for (const backend of ["subprocess", "worker"]) {
  Deno.test(`parity on ${backend}: a program ends, and its children with it, though nobody closes the scope that they are in`, () =>
    noLeaks(async () => {
      const { code, stderr, stdout } = await script("parity.ts", ["forgotten", backend]).ended;
      assertEquals([code, stderr], [0, ""]);
      assertStringIncludes(stdout, "forgotten");
      if (backend === "subprocess") {
        await gone(/forgotten (\d+) (\d+)/.exec(stdout)!.slice(1).map(Number));
      }
    }));
}

for (const backend of ["subprocess", "worker"]) {
  Deno.test(`parity on ${backend}: a program without the guard import.meta.main fails, says so, and starts no generations`, () =>
    noLeaks(async () => {
      const { code, stderr, stdout } = await script("unguarded.ts", [backend]).ended;
      assertEquals(code, 1);
      assertStringIncludes(stderr, "import.meta.main");
      assertEquals(stdout, "loaded\nloaded\n");
    }));
}
