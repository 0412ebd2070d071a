/**
 * The life of a process: its name, its knowledge of itself, and its end.
 *
 * @module
 */
import * as Cause from "effect/Cause";
import * as Deferred from "effect/Deferred";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Fiber from "effect/Fiber";
import type * as Layer from "effect/Layer";
import * as Option from "effect/Option";
import * as Redacted from "effect/Redacted";
import type * as Scope from "effect/Scope";
import * as Stream from "effect/Stream";
import { Backend, Pool, Process, Queue, SharedMemory, SubprocessBackend, WorkerBackend } from "../../mod.ts";
import * as Capabilities from "../../src/internal/child/capabilities.ts";
import {
  assert,
  assertEquals,
  assertFalse,
  assertInstanceOf,
  assertMatch,
  assertNotEquals,
  assertStringIncludes,
} from "../support/assert.ts";
import * as Family from "../support/family_tasks.ts";
import { noLeaks, processEntry, until } from "../support/leaks.ts";
import * as Tasks from "../support/lifetime_tasks.ts";
import { logging } from "../support/logs.ts";
import { gone, script } from "../support/scripts.ts";
import { gateway, signal, temporary, test, warmUp, when } from "../support/suite.ts";
import * as Effects from "../support/tasks.ts";
import { fullUnless, repeated, repeating, testFunction } from "../support/tier.ts";

/** Waits until a task has reported in this file that it runs, and returns the report. */
const said = (path: string): Effect.Effect<string> =>
  Effect.promise(async () => {
    await until("the task has begun", () => Deno.readTextFileSync(path) !== "");
    return Deno.readTextFileSync(path);
  });

const ended = (pid: number): Effect.Effect<void> => Effect.promise(() => gone([pid]));

const impatient = { gracePeriod: "20 millis", forceKillAfter: "20 millis" } as const;

/** Gives the program its own secret, so that no test depends on another. */
const rekeyed = (key: Uint8Array): Effect.Effect<void, Process.InvalidAuthKey, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.zipLeft(Process.authKey, Process.setAuthKey(key)),
    (before) => Effect.orDie(Process.setAuthKey(Redacted.value(before))),
  );

const secret = (byte: number): Uint8Array => Uint8Array.from({ length: 32 }, (_, i) => byte + i);

/** The defects of a program that must die. */
const defectsOf = <A, E, R>(program: Effect.Effect<A, E, R>): Effect.Effect<ReadonlyArray<unknown>, never, R> =>
  Effect.map(Effect.exit(program), (exit) => {
    assert(Exit.isFailure(exit));
    return Array.from(Cause.defects(exit.cause));
  });

/** Registers the suite for one backend. */
const suite = (
  name: "subprocess" | "worker",
  layer: Layer.Layer<Backend.Backend>,
  { signals }: Backend.Capabilities,
): void => {
  const check = <E>(title: string, program: Effect.Effect<unknown, E, Backend.Backend | Scope.Scope>): void =>
    test(`lifetimes on ${name}: ${title}`, Effect.provide(program, layer));

  // Exits

  check(
    "exitCode is 0 after a success, 1 after any failure, and the code of Deno.exit, of which systems keep eight bits",
    Effect.gen(function* () {
      const codes = yield* Effect.forEach(
        [
          Process.spawn(Tasks.echo, 1),
          Process.spawn(Tasks.explode, "no"),
          Process.spawn(Effects.failing, 1),
          Process.spawn(Effects.interrupting),
          Process.spawn(Effects.throwInTimer),
          Process.spawn(Tasks.exit, 0),
          Process.spawn(Tasks.exit, 7),
          Process.spawn(Tasks.exit, 255),
          Process.spawn(Tasks.exit, 300),
          Process.spawn(Tasks.exit, -1),
        ],
        (spawn: Effect.Effect<Process.Process<unknown, unknown>, unknown, Backend.Backend | Scope.Scope>) =>
          Effect.flatMap(spawn, ({ exitCode }) => exitCode),
        { concurrency: 2 },
      );
      assertEquals(codes, [0, 1, 1, 1, 1, 0, 7, 255, 44, 255]);
    }),
  );

  check(
    "exitCode is -N after signal N",
    Effect.gen(function* () {
      const killed = yield* Process.spawn(Tasks.linger);
      yield* killed.kill;
      const terminated = yield* Process.spawn(Tasks.linger);
      yield* terminated.terminate;
      assertEquals([yield* killed.exitCode, yield* terminated.exitCode], [-9, -15]);
      if (!signals) return;
      for (const [signal, code] of [["SIGALRM", -14], ["SIGUSR2", -12]] as const) {
        const child = yield* Process.spawn(Effects.killItself, signal);
        assertEquals([signal, yield* child.exitCode], [signal, code]);
      }
    }),
  );

  check(
    "poll and isAlive tell without waiting, and at once what everybody is told",
    Effect.gen(function* () {
      const begun = yield* signal;
      const gate = yield* gateway;
      const child = yield* Process.spawn(Effects.gate, begun.stream, gate.stream, 5);
      assertEquals([yield* child.poll, yield* child.isAlive], [Option.none(), true]);
      yield* begun.fired;
      assertEquals([yield* child.poll, yield* child.isAlive], [Option.none(), true]);
      // In Python, the sentinel can be ready before the exit code is known.
      const [asked] = yield* Effect.all([
        Effect.zip(child.status, Effect.zip(child.poll, child.isAlive)),
        gate.open,
      ], { concurrency: 2 });
      const status: Backend.ExitStatus = { _tag: "Exited", code: 0 };
      assertEquals(asked, [status, [Option.some(status), false]]);
      assertEquals(yield* child.exitCode, 0);
    }),
  );

  check(
    "an end may be asked for any number of times, by many at once, and before and after it (full)",
    Effect.gen(function* () {
      const child = yield* Process.spawn(Tasks.explode, "once");
      const asking = [Effect.exit(child.join), child.exit, child.status, child.exitCode] as const;
      const all = yield* Effect.all(Array.from({ length: 20 }, () => Effect.all(asking, { concurrency: 4 })), {
        concurrency: 20,
      });
      const after = yield* Effect.all(asking);
      for (const [join, exit, status, code] of [...all, after]) {
        assert(Exit.isFailure(join) && exit._tag === "Failure");
        assertEquals((Cause.squash(join.cause) as Error).message, "once");
        assertEquals(join.cause, exit.cause);
        assertEquals([status, code], [{ _tag: "Exited", code: 1 }, 1]);
      }
    }),
  );

  check(
    "terminate, kill and interrupt may be used twice, at once, and after the end, which stays what it was (full)",
    Effect.gen(function* () {
      for (const stop of ["terminate", "kill", "interrupt"] as const) {
        const begun = yield* signal;
        const child = yield* Process.spawn(Effects.forever, begun.stream, Stream.empty);
        yield* begun.fired;
        yield* Effect.all([child[stop], child[stop], child[stop]], { concurrency: 3 });
        const exit = yield* child.exit;
        assertEquals([stop, exit._tag], [stop, stop === "kill" ? "Died" : "Failure"]);
        const status = yield* child.status;
        for (const again of ["terminate", "kill", "interrupt"] as const) yield* child[again];
        assertEquals([yield* child.exit, yield* child.status], [exit, status]);
      }
      const done = yield* Process.spawn(Tasks.echo, 5);
      assertEquals(yield* done.join, 5);
      for (const stop of ["terminate", "kill", "interrupt"] as const) yield* done[stop];
      assertEquals([yield* done.join, yield* done.exitCode], [5, 0]);
    }),
  );

  check(
    "a process that is stopped in the moment of its start has ended, whatever stops it (full)",
    Effect.gen(function* () {
      for (const stop of ["terminate", "kill", "interrupt"] as const) {
        for (const task of [Tasks.linger, Effects.never, Effects.dying]) {
          const child = yield* Process.spawn(task);
          yield* child[stop];
          assertNotEquals((yield* child.exit)._tag, "Success");
          assertFalse(yield* child.isAlive);
        }
      }
    }),
  );

  check(
    "a caller that is interrupted while it waits for an end takes nothing from the others (full)",
    Effect.gen(function* () {
      const begun = yield* signal;
      const gate = yield* gateway;
      const child = yield* Process.spawn(Effects.gate, begun.stream, gate.stream, 5);
      yield* begun.fired;
      const fibers = yield* Effect.all(
        [child.join, child.exit, child.status, child.exitCode].map((wait) =>
          Effect.fork<unknown, unknown, never>(wait)
        ),
      );
      const staying = yield* Effect.fork(child.join);
      yield* Effect.yieldNow();
      yield* Fiber.interruptAll(fibers);
      assert(yield* child.isAlive);
      yield* gate.open;
      assertEquals(yield* Fiber.join(staying), 5);
    }),
  );

  // Identity

  check(
    "a process knows whether it is a daemon, which it is only if it was made one (full)",
    Effect.gen(function* () {
      const plain = yield* Process.spawn(Effects.whoAmI);
      const daemon = yield* Process.spawnWith(Effects.whoAmI, [], { daemon: true });
      assertEquals([plain.daemon, (yield* plain.join).daemon], [false, false]);
      assertEquals([daemon.daemon, (yield* daemon.join).daemon], [true, true]);
    }),
  );

  check(
    "child, grandchild and great-grandchild know themselves and their parents, and are no daemons because they are (full)",
    Effect.gen(function* () {
      const child = yield* Process.spawnWith(Family.lineage, [2], { name: "eldest", daemon: true });
      const [first, second, third] = yield* child.join;
      assertEquals([first.self.name, second.self.name, third.self.name], ["eldest", "eldest:1", "eldest:1:1"]);
      assertEquals(first.parent, { name: "MainProcess", pid: Deno.pid });
      assertEquals(second.parent, { name: "eldest", pid: first.self.pid });
      assertEquals(third.parent, { name: "eldest:1", pid: second.self.pid });
      for (const { parent, self } of [first, second, third]) assertEquals(self.parent, parent);
      assertEquals([first, second, third].map(({ self }) => [self.backend, self.daemon]), [
        [name, true],
        [name, false],
        [name, false],
      ]);
      const pids = new Set([Deno.pid, first.self.pid, second.self.pid, third.self.pid]);
      assertEquals(pids.size, signals ? 4 : 1);
    }),
  );

  check(
    "a name is a label: two processes may have the same, and it cannot be changed (full)",
    Effect.gen(function* () {
      const twins = yield* Effect.all([
        Process.spawnWith(Effects.whoAmI, [], { name: "twin" }),
        Process.spawnWith(Effects.whoAmI, [], { name: "twin" }),
      ]);
      for (const twin of twins) assertEquals([twin.name, (yield* twin.join).name], ["twin", "twin"]);
      const rename = (process: Process.Process<unknown>): void => {
        // @ts-expect-error the name of a process is for reading
        process.name = "renamed";
      };
      assertEquals(typeof rename, "function");
      // A process cannot join itself: the description of itself has no `join`.
      assertFalse("join" in (yield* Process.current));
    }),
  );

  testFunction(
    `lifetimes on ${name}: processes count from Process-1 in the main program, and from name:1 in each child (full)`,
    () =>
      noLeaks(async () => {
        const { stdout, stderr, code } = await script("names.ts", [name]).ended;
        assertEquals([code, stderr], [0, ""]);
        const [names, printed] = stdout.trimEnd().split("\n");
        assertEquals(JSON.parse(names.slice("names ".length)), [
          "Process-1",
          "a name",
          "Process-2",
          "Process-3",
          "Process-3:1",
          "Process-3:2",
        ]);
        assertStringIncludes(printed, "<redacted>");
        assertFalse(/\d+,\s*\d+,\s*\d+|Uint8Array/.test(printed), printed);
      }),
  );

  // Active children

  check(
    "activeChildren lists a process from its start to its end (full)",
    Effect.gen(function* () {
      const mine = Effect.map(Process.activeChildren, (all) => all.map(({ name }) => name));
      assertEquals(yield* mine, []);
      for (const wait of ["join", "exit", "status", "exitCode"] as const) {
        const begun = yield* signal;
        const gate = yield* gateway;
        const first = yield* Process.spawnWith(Effects.gate, [begun.stream, gate.stream, 5], { name: "first" });
        assertEquals(yield* mine, ["first"]);
        const second = yield* Process.spawnWith(Tasks.linger, [], { name: "second", daemon: true });
        assertEquals(yield* mine, ["first", "second"]);
        assertEquals((yield* Process.activeChildren).map(({ pid }) => pid), [first.pid, second.pid]);
        yield* begun.fired;
        yield* gate.open;
        yield* first[wait];
        assertEquals([wait, yield* mine], [wait, ["second"]]);
        yield* second[wait === "join" ? "kill" : "terminate"];
        assertEquals(yield* mine, []);
      }
      yield* Effect.scoped(Process.spawnWith(Tasks.linger, [], { daemon: true }));
      assertEquals(yield* mine, []);
    }),
  );

  check(
    "activeChildren has neither the workers of pools, nor one that could not be started, nor what others have started (full)",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1 });
      assertEquals(yield* pool.apply(Tasks.echo, 1), 1);
      assertEquals(yield* Process.activeChildren, []);
      yield* Effect.flip(Process.spawn(Effects.echo, () => 1));
      assertEquals(yield* Process.activeChildren, []);
      yield* Process.spawnWith(Tasks.linger, [], { name: "sibling", daemon: true });
      assertEquals(yield* Process.run(Family.siblings), { before: [], during: ["mine"], after: [] });
    }),
  );

  check(
    "a daemon may start processes, which end with it (full)",
    Effect.gen(function* () {
      const path = yield* temporary;
      const daemon = yield* Effect.scoped(Effect.gen(function* () {
        const daemon = yield* Process.spawnWith(Family.guardian, [path], { daemon: true });
        yield* said(path);
        return daemon;
      }));
      assertFalse(yield* daemon.isAlive);
      if (signals) {
        const grandchild = Number(Deno.readTextFileSync(path));
        assertNotEquals(grandchild, daemon.pid);
        // No other process has to wait for the grandchild: its parent ended it before its own end.
        assertEquals(processEntry(grandchild), undefined);
      }
    }),
  );

  // The secret of the family

  check(
    "authKey is the same in child and grandchild, and another after setAuthKey, for those started then (full)",
    Effect.gen(function* () {
      const own = Redacted.value(yield* Process.authKey);
      assertInstanceOf(own, Uint8Array);
      assertEquals(yield* Process.run(Family.secrets, 1), [own, own]);
      yield* rekeyed(secret(1));
      assertEquals(Redacted.value(yield* Process.authKey), secret(1));
      assertEquals(yield* Process.run(Family.secrets, 1), [secret(1), secret(1)]);
    }),
  );

  check(
    "a child that sets its authKey sets it for itself and its own children (full)",
    Effect.gen(function* () {
      yield* rekeyed(secret(2));
      assertEquals(yield* Process.run(Family.rekey, secret(3)), [secret(3), secret(3)]);
      assertEquals(Redacted.value(yield* Process.authKey), secret(2));
      assertEquals(yield* Process.run(Family.secrets, 0), [secret(2)]);
    }),
  );

  // Classes

  check(
    "a class-style process: its own fields travel, and run is executed in the child, with the class's methods",
    Effect.gen(function* () {
      const made = yield* Process.run(Tasks.greeter, new Tasks.Greeter("hello", "world"));
      assertEquals([made.text, made.answer], ["hello, world", "goodbye"]);
      assertEquals(made.pid === Deno.pid, !signals);
      assertEquals((yield* Process.run(Tasks.loud, new Tasks.Loud("hello", "world"))).text, "HELLO, WORLD!");
      // A Loud is a Greeter, so a task that takes a Greeter receives one.
      assertEquals((yield* Process.run(Tasks.greeter, new Tasks.Loud("hello", "world"))).text, "hello, world");
      const pool = yield* Pool.make({ size: 1 });
      const greeters = ["a", "b", "c"].map((name) => new Tasks.Greeter("hi", name));
      assertEquals((yield* pool.map(Tasks.greeter, greeters)).map(({ text }) => text), ["hi, a", "hi, b", "hi, c"]);
    }),
  );

  check(
    "a class-style process: run may return an Effect or a Stream (full)",
    Effect.gen(function* () {
      assertEquals(yield* Process.run(Family.division, new Family.Division(6, 3)), 2);
      assertEquals(yield* Effect.flip(Process.run(Family.division, new Family.Division(6, 0))), "by zero");
      const counted = yield* Stream.runCollect(Process.stream(Family.countdown, new Family.Countdown(3)));
      assertEquals(Array.from(counted), [2, 1, 0]);
    }),
  );

  check(
    "a class-style process: private fields do not travel, and a run that needs them fails where it runs (full)",
    Effect.gen(function* () {
      const [defect] = yield* defectsOf(Process.run(Tasks.secretive, new Tasks.Private(3)));
      assertInstanceOf(defect, TypeError);
      assertMatch(defect.message, /private/);
      assertStringIncludes(String(defect.stack), "lifetime_tasks.ts");
    }),
  );

  check(
    "a class-style process: what is no instance is a defect that says so, and what cannot travel an EncodeError",
    Effect.gen(function* () {
      for (const wrong of [{ greeting: "hello", name: "world" }, undefined, null, "text", new Tasks.Private(1)]) {
        const [defect] = yield* defectsOf(Process.run(Tasks.greeter, wrong as unknown as Tasks.Greeter));
        assertInstanceOf(defect, TypeError);
        assertStringIncludes(defect.message, "an instance of class Greeter");
      }
      assertEquals(yield* Process.activeChildren, []);
      const error = yield* Effect.flip(Process.run(Tasks.holder, new Tasks.Holder({ value: () => 1 })));
      assertInstanceOf(error, Backend.EncodeError);
      assertEquals(error.path, "args[0].inner.value");
    }),
  );

  // Logs

  check(
    "what a task logs carries the name of its process",
    Effect.gen(function* () {
      const child = yield* Process.spawnWith(Family.logged, [], { name: "scribe" });
      assertEquals(yield* child.join, ["scribe"]);
    }),
  );

  // Terminate and kill

  check(
    "a process whose end has been told changes nothing any more, however it was ended (full)",
    Effect.gen(function* () {
      for (let round = 0; round < 3; round++) {
        const memory = yield* SharedMemory.make({ size: 4 });
        const queue = yield* Queue.make<number>();
        const child = yield* Process.spawn(Effects.restless, memory, queue);
        yield* queue.get;
        const words = memory.array(Int32Array);
        const before = Atomics.load(words, 0);
        // The process is in the middle of a turn.
        yield* when(Effect.sync(() => Atomics.load(words, 0)), (count) => count > before);
        yield* Effect.fork(round % 2 === 0 ? child.kill : child.terminate);
        yield* child.status;
        const told = [Atomics.load(words, 0), yield* queue.size];
        yield* Process.run(Effects.add, 1, 2);
        assertEquals([Atomics.load(words, 0), yield* queue.size], told);
      }
    }),
  );

  check(
    "a kill that the program did not ask for is one warning, which says what to change; there is none when a task obeys (full)",
    Effect.gen(function* () {
      yield* logging((lines) =>
        Effect.gen(function* () {
          const obeying = yield* signal;
          const child = yield* Process.spawn(Effects.forever, obeying.stream, Stream.empty);
          yield* obeying.fired;
          yield* child.terminate;
          assertEquals(lines, []);

          const begun = yield* signal;
          const stubborn = yield* Process.spawnWith(signals ? Family.stubborn : Effects.clinging, [begun.stream], {
            ...impatient,
            name: "stubborn",
          });
          yield* begun.fired;
          yield* stubborn.terminate;
          const who = `WARN stubborn (pid ${stubborn.pid}), running task "${
            signals ? "stubborn" : "clinging"
          }", had to be killed`;
          assertEquals(lines, [
            signals
              ? `${who}: it had not ended 20ms after its interruption and 20ms after SIGTERM; a larger gracePeriod or forceKillAfter gives its finalizers more time`
              : `${who}: it had not ended 20ms after its interruption; a larger gracePeriod gives its finalizers more time`,
          ]);
          assertEquals(yield* stubborn.exitCode, signals ? -9 : -15);

          // Without a grace period the program requests the kill, as `kill` always does.
          for (const how of ["terminate", "kill"] as const) {
            const again = yield* signal;
            const hurried = yield* Process.spawnWith(signals ? Family.stubborn : Effects.clinging, [again.stream], {
              ...impatient,
              gracePeriod: 0,
            });
            yield* again.fired;
            yield* hurried[how];
          }
          assertEquals(lines.length, 1);
        })
      );
    }),
  );

  check(
    "a second interruption, or terminate, does not cut the grace period short (full)",
    Effect.gen(function* () {
      for (const how of ["the scope fails", "the scope is interrupted", "terminate"] as const) {
        const begun = yield* signal;
        const finalizing = yield* signal;
        const gate = yield* gateway;
        const started = yield* Deferred.make<Process.Process<never>>();
        const fiber = yield* Effect.fork(Effect.scoped(Effect.gen(function* () {
          const child = yield* Process.spawnWith(Family.reluctant, [begun.stream, finalizing.stream, gate.stream], {
            gracePeriod: "1 minute",
          });
          yield* begun.fired;
          yield* Deferred.succeed(started, child);
          if (how === "terminate") yield* child.terminate;
          return yield* how === "the scope fails" ? Effect.fail("broken off") : Effect.never;
        })));
        const child = yield* Deferred.await(started);
        if (how === "the scope is interrupted") yield* Fiber.interruptFork(fiber);
        yield* finalizing.fired;
        const terminating = yield* Effect.fork(child.terminate);
        for (let i = 0; i < 3; i++) {
          yield* Fiber.interruptFork(fiber);
          yield* Fiber.interruptFork(terminating);
          yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 0)));
        }
        assert(yield* child.isAlive, how);
        yield* gate.open;
        yield* Fiber.await(fiber);
        yield* Fiber.await(terminating);
        // A kill would have ended it with a signal.
        assertEquals([how, yield* child.exitCode, (yield* child.exit)._tag], [how, 1, "Failure"]);
      }
    }),
  );

  check(
    "an escalation is the same when a scope ends the process, and the scope waits for the end (full)",
    Effect.gen(function* () {
      yield* logging((lines) =>
        Effect.gen(function* () {
          const begun = yield* signal;
          const ended = yield* Deferred.make<Process.Process<never>>();
          const exit = yield* Effect.exit(Effect.scoped(Effect.gen(function* () {
            const child = yield* Process.spawnWith(Effects.clinging, [begun.stream], { ...impatient, name: "clings" });
            yield* begun.fired;
            yield* Deferred.succeed(ended, child);
            return yield* Effect.fail("broken off");
          })));
          assert(Exit.isFailure(exit));
          const child = yield* Deferred.await(ended);
          assertFalse(yield* child.isAlive);
          assertEquals((yield* child.exit)._tag, "Died");
          assertStringIncludes(lines[0], "WARN clings");
        })
      );
    }),
  );
};

const subprocess = SubprocessBackend.layer({ stderr: "null", stdout: "null" });
const worker = WorkerBackend.layer();

await warmUp(Effect.provide(Process.run(Effects.addEffect, 1, 2), subprocess));
if (repeating) await warmUp(Effect.provide(Process.run(Effects.addEffect, 1, 2), worker));

suite("subprocess", subprocess, Capabilities.subprocess);
repeated(() => suite("worker", worker, Capabilities.worker));

const onSubprocess = <E>(title: string, program: Effect.Effect<unknown, E, Backend.Backend | Scope.Scope>): void =>
  test(`lifetimes on subprocess: ${title}`, Effect.provide(program, subprocess));

// Behaviour that is the same on both backends

Deno.test("lifetimes: cpuCount is the number of logical cores", () => {
  assertEquals(Effect.runSync(Process.cpuCount), navigator.hardwareConcurrency);
});

test(
  "lifetimes: authKey is 32 random bytes, which cannot be changed through a copy",
  Effect.gen(function* () {
    const first = Redacted.value(yield* Process.authKey);
    assertEquals(first.length, 32);
    assert(new Set(first).size > 8);
    const copy = first.slice();
    first.fill(0);
    assertEquals(Redacted.value(yield* Process.authKey), copy);
    const own = secret(4);
    yield* rekeyed(own);
    own.fill(0);
    assertEquals(Redacted.value(yield* Process.authKey), secret(4));
  }),
);

test(
  "lifetimes: an authKey that is empty, or no bytes, is refused typed and changes nothing; one byte will do",
  Effect.gen(function* () {
    yield* rekeyed(secret(5));
    for (const wrong of [new Uint8Array(0), "text", 32, undefined, null, [1, 2, 3]]) {
      const error = yield* Effect.flip(Process.setAuthKey(wrong as Uint8Array));
      assertInstanceOf(error, Process.InvalidAuthKey);
      assertEquals(error._tag, "InvalidAuthKey");
    }
    assertEquals(Redacted.value(yield* Process.authKey), secret(5));
    yield* Process.setAuthKey(Uint8Array.of(9));
    assertEquals(Redacted.value(yield* Process.authKey), Uint8Array.of(9));
  }),
);

test(
  "lifetimes: an authKey is not printed, and not sent",
  Effect.gen(function* () {
    yield* rekeyed(secret(100));
    const key = yield* Process.authKey;
    for (
      const text of [String(key), `${JSON.stringify(key)}`, Deno.inspect(key), Deno.inspect({ key }, { depth: 9 })]
    ) {
      assertStringIncludes(text, "<redacted>");
      assertFalse(/100|101/.test(text), text);
    }
    const error = yield* Effect.flip(Process.run(Effects.echo, { key }));
    assertInstanceOf(error, Backend.EncodeError);
    assertEquals(error.path, "args[0].key");
  }).pipe(Effect.provide(worker)),
);

// Behaviour of subprocesses only

const contains = (haystack: Uint8Array, needle: Uint8Array): boolean =>
  haystack.some((_, at) => needle.every((byte, i) => haystack[at + i] === byte));

onSubprocess(
  "nothing of the authKey is on a command line or in an environment, in no way of writing it",
  Effect.gen(function* () {
    const key = secret(65);
    yield* rekeyed(key);
    const path = yield* temporary;
    const child = yield* Process.spawnWith(Tasks.wait, [path], { daemon: true });
    yield* said(path);
    // As other programs see it, and as it sees itself.
    const seen = [
      Deno.readFileSync(`/proc/${child.pid}/cmdline`),
      Deno.readFileSync(`/proc/${child.pid}/environ`),
      ...yield* Process.run(Tasks.exposed),
    ];
    const ways = [
      key,
      ...[
        btoa(String.fromCharCode(...key.subarray(0, 30))).replaceAll("=", ""),
        Array.from(key, (byte) => byte.toString(16).padStart(2, "0")).join(""),
        key.join(","),
      ].map((text) => new TextEncoder().encode(text)),
    ];
    assert(seen.every((bytes) => bytes.length > 0));
    for (const bytes of seen) {
      for (const way of ways) assertFalse(contains(bytes, way), new TextDecoder().decode(bytes));
    }
  }),
);

onSubprocess(
  "a process that was stopped by SIGSTOP is alive, until it is ended all the same, whatever it runs",
  Effect.gen(function* () {
    for (const end of ["terminate", "kill", "scope"] as const) {
      const path = yield* temporary;
      const { pid } = yield* Effect.scoped(Effect.gen(function* () {
        const child = yield* Process.spawnWith(Tasks.wait, [path], { ...impatient, daemon: true });
        yield* said(path);
        assert(yield* child.signal("SIGSTOP"));
        yield* Effect.promise(() => until("it is stopped", () => processEntry(child.pid)?.state === "T"));
        assertEquals([yield* child.isAlive, yield* child.poll], [true, Option.none()]);
        if (end !== "scope") yield* child[end];
        return child;
      }));
      assertEquals(processEntry(pid), undefined);
    }
  }),
);

onSubprocess(
  "a process that goes on after SIGCONT gives its result (full)",
  Effect.gen(function* () {
    const begun = yield* signal;
    const gate = yield* gateway;
    const child = yield* Process.spawn(Effects.gate, begun.stream, gate.stream, 5);
    yield* begun.fired;
    yield* child.signal("SIGSTOP");
    yield* Effect.promise(() => until("it is stopped", () => processEntry(child.pid)?.state === "T"));
    yield* gate.open;
    yield* child.signal("SIGCONT");
    assertEquals(yield* child.join, 5);
  }),
);

onSubprocess(
  "a process that takes no notice of SIGTERM is ended by SIGKILL, which is logged",
  logging((lines) =>
    Effect.gen(function* () {
      const path = yield* temporary;
      const child = yield* Process.spawnWith(Tasks.deaf, [path], { name: "deaf", forceKillAfter: "20 millis" });
      yield* said(path);
      assert(yield* child.signal("SIGTERM"));
      yield* child.terminate;
      assertEquals(yield* child.status, { _tag: "Signaled", signal: "SIGKILL" });
      assertEquals(lines, [
        `WARN deaf (pid ${child.pid}), running task "deaf", had to be killed: it had not ended 20ms after SIGTERM; a larger forceKillAfter gives its finalizers more time`,
      ]);
    })
  ),
);

onSubprocess(
  "a signal to one that has ended is not sent: the answer is false, even if another process has its number now",
  Effect.gen(function* () {
    const child = yield* Process.spawn(Tasks.echo, 1);
    yield* child.join;
    for (const signal of ["SIGTERM", "SIGKILL", "SIGSTOP", "SIGUSR1"] as const) {
      assertFalse(yield* child.signal(signal));
    }
  }),
);

for (const [title, ends] of [["ends by itself", true], ["is ended", false]] as const) {
  test(
    `lifetimes on subprocess: with detached, what a task has started is gone when the process ${title}`,
    Effect.gen(function* () {
      const path = yield* temporary;
      yield* Effect.scoped(Effect.gen(function* () {
        const child = yield* Process.spawnWith(Tasks.litter, [path, ends], { daemon: !ends });
        yield* said(path);
        assertNotEquals(Number(Deno.readTextFileSync(path)), child.pid);
      }));
      yield* ended(Number(Deno.readTextFileSync(path)));
    }).pipe(Effect.provide(SubprocessBackend.layer({ detached: true, stderr: "null" }))),
  );
}

test(
  "lifetimes on subprocess: with detached, a pool's worker takes along what its task has started (full)",
  Effect.gen(function* () {
    const path = yield* temporary;
    const pool = yield* Pool.make({ size: 1, gracePeriod: "20 millis" });
    const running = yield* pool.submit(Tasks.litter, path, false);
    yield* said(path);
    yield* running.cancel;
    yield* ended(Number(Deno.readTextFileSync(path)));
    assertEquals(yield* pool.apply(Tasks.echo, 1), 1);
  }).pipe(Effect.provide(SubprocessBackend.layer({ detached: true, stderr: "null" }))),
);

test(
  "lifetimes on subprocess: what a task logs carries the name of its process, on its own stdout",
  Effect.gen(function* () {
    const child = yield* Process.spawnWith(Family.log, ["a message"], { name: "scribe" });
    const text = yield* Stream.mkString(Stream.decodeText(child.stdout));
    yield* child.join;
    assertStringIncludes(text, "a message");
    assertStringIncludes(text, "process=scribe");
  }).pipe(Effect.provide(SubprocessBackend.layer({ stdout: "pipe" }))),
);

test(
  "lifetimes on subprocess: the environment and the directory that a process was given are those of its own children (full)",
  Effect.gen(function* () {
    const surroundings = yield* Process.run(Family.surroundingsBelow, "TESTS_ADDED");
    assertEquals(surroundings, { value: "a value", cwd: "/" });
  }).pipe(Effect.provide(SubprocessBackend.layer({ env: { TESTS_ADDED: "a value" }, cwd: "/" }))),
);

test(
  "lifetimes on worker: a process has the environment and the directory of the program",
  Effect.gen(function* () {
    yield* Effect.acquireRelease(
      Effect.sync(() => Deno.env.set("TESTS_INHERITED", "ours")),
      () => Effect.sync(() => Deno.env.delete("TESTS_INHERITED")),
    );
    assertEquals(yield* Process.run(Tasks.surroundings, "TESTS_INHERITED"), { value: "ours", cwd: Deno.cwd() });
  }).pipe(Effect.provide(worker)),
);

// Permissions

onSubprocess(
  "permissions are given to one process, and its own children get no more (full)",
  Effect.gen(function* () {
    const path = yield* temporary;
    const few = { run: true, env: true } as const;
    const delegate = (permissions: Backend.Permissions | undefined) =>
      Effect.flatMap(
        Process.spawnWith(Family.delegate, [permissions, path], { permissions: few }),
        (child) => child.join,
      );
    assertEquals(yield* Process.run(Family.reads, path), "allowed");
    assertEquals(yield* delegate(undefined), "denied");
    assertEquals(yield* delegate({ read: true }), "PermissionExceeded");
    assertEquals(yield* delegate({ read: [path] }), "PermissionExceeded");
  }),
);

test(
  "lifetimes on worker: permissions of its own are Unsupported, in so many words, whichever they are, and start nothing",
  Effect.gen(function* () {
    for (const permissions of [{}, { read: true }, SubprocessBackend.inherited()]) {
      const error = yield* Effect.flip(Process.spawnWith(Tasks.echo, [1], { permissions }));
      assertInstanceOf(error, Backend.SpawnError);
      assertEquals(error.reason, "Unsupported");
      assertStringIncludes(error.message, "SubprocessBackend");
    }
    assertEquals(yield* Process.activeChildren, []);
  }).pipe(Effect.provide(worker)),
);

// Ctrl-C

/** Signals a program and all its children at once, as a terminal does. */
const ctrlC = (group: number): void => Deno.kill(-group, "SIGINT");

for (const [title, kind] of [["once is orderly", "obeying"], ["twice is immediate", "clinging"]] as const) {
  testFunction(
    `lifetimes on subprocess: Ctrl-C ${title}, and no child prints a stack${fullUnless(kind === "obeying")}`,
    () =>
      noLeaks(async () => {
        const path = await Deno.makeTempFile();
        try {
          const running = script("children.ts", [path, kind]);
          const pid = Number(await running.line("ready"));
          ctrlC(running.pid);
          await running.line("stopping");
          if (kind === "clinging") ctrlC(running.pid);
          const { code, stderr } = await running.ended;
          assertEquals([code, stderr], [130, ""]);
          await gone([pid]);
        } finally {
          await Deno.remove(path);
        }
      }),
  );
}
