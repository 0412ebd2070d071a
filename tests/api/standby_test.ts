/**
 * Standby children: a spawn takes one over, and another child takes its place.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import type * as Layer from "effect/Layer";
import type * as Scope from "effect/Scope";
import * as Queue from "effect/Queue";
import * as Redacted from "effect/Redacted";
import { Backend, Pool, Process, SubprocessBackend, Task, WorkerBackend } from "../../mod.ts";
import * as Capabilities from "../../src/internal/child/capabilities.ts";
import { standby } from "../../src/internal/child/backends/standby.ts";
import { assert, assertEquals, assertFalse, assertInstanceOf } from "../support/assert.ts";
import { mark as later } from "../fixtures/marked.ts";
import { descendants, until } from "../support/leaks.ts";
import * as Plain from "../support/lifetime_tasks.ts";
import { logging } from "../support/logs.ts";
import * as Tasks from "./standby_tasks.ts";
import { temporary, test, warmUp } from "../support/suite.ts";
import * as Effects from "../support/tasks.ts";
import { repeated, repeating } from "../support/tier.ts";

const preloaded = import.meta.resolve("../fixtures/preloaded.ts");
const failing = import.meta.resolve("../fixtures/fails_to_preload.ts");

interface Options {
  readonly standby: number | "auto";
  readonly preload: ReadonlyArray<string>;
}

/** Repeats the program until it got a standby child. There is no signal that one is ready. */
const untilWarm = <A, E, R>(run: Effect.Effect<A, E, R>, warm: (result: A) => boolean): Effect.Effect<A, E, R> =>
  Effect.repeat(run, { until: warm });

/** The mark of a standby child. */
const takeOver = untilWarm(Process.run(Tasks.mark), (mark) => mark !== undefined);

const pids = (): ReadonlyArray<number> => descendants(Deno.pid).map(({ pid }) => pid);

/** A module that is made for one test. */
const module = (source: string): Effect.Effect<string, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const path = Deno.makeTempFileSync({ suffix: ".ts" });
      Deno.writeTextFileSync(path, source);
      return path;
    }),
    (path) => Effect.sync(() => Deno.removeSync(path)),
  );

/** Registers the suite for one backend. */
const suite = (
  name: "subprocess" | "worker",
  make: (options: Options) => Layer.Layer<Backend.Backend>,
  { permissions, signals }: Backend.Capabilities,
): void => {
  const check = <E>(
    title: string,
    program: Effect.Effect<unknown, E, Backend.Backend | Scope.Scope>,
    options: Partial<Options> = {},
  ): void => test(`standby on ${name}: ${title}`, Effect.provide(program, make({ ...standard, ...options })));

  const standard: Options = { standby: 2, preload: [preloaded] };

  check(
    "a process is one that was kept ready, with its modules loaded",
    Effect.gen(function* () {
      if (!signals) return assert(yield* takeOver);
      const result = yield* untilWarm(
        Effect.scoped(Effect.gen(function* () {
          const before = pids();
          const child = yield* Process.spawn(Tasks.mark);
          return { before, pid: child.pid, mark: yield* child.join };
        })),
        ({ mark }) => mark !== undefined,
      );
      assert(result.before.includes(result.pid), `${result.pid} of ${result.before}`);
    }),
  );

  check(
    "with auto, a process after the first one is one that was kept ready (full)",
    takeOver,
    { standby: "auto" },
  );

  check(
    "with auto, what is kept ready has the modules of all that was started (full)",
    Effect.gen(function* () {
      yield* takeOver;
      yield* untilWarm(Process.run(later), (mark) => mark !== undefined);
      yield* takeOver;
    }),
    { standby: "auto" },
  );

  check(
    "with auto, what was kept ready and is not used ends, and the next start keeps another (full)",
    Effect.gen(function* () {
      const backend = yield* Backend.Backend;
      const started = yield* Queue.unbounded<Backend.Child>();
      const watched = {
        ...backend,
        spawn: (command: Backend.Command) => Effect.tap(backend.spawn(command), (child) => Queue.offer(started, child)),
      };
      const automatic = yield* standby(watched, { size: "auto", modules: [], idle: "10 millis" });
      for (let turn = 0; turn < 2; turn++) {
        yield* Effect.provideService(Process.run(Tasks.mark), Backend.Backend, automatic);
        assertEquals((yield* Queue.take(started)).name === "Standby", false);
        const kept = yield* Queue.take(started);
        assertEquals(kept.name, "Standby");
        yield* kept.exited;
      }
    }),
    { standby: 0 },
  );

  check(
    "each is taken once, also by many at once, and another takes its place (full)",
    Effect.gen(function* () {
      yield* takeOver;
      const marks = new Set<string>();
      while (marks.size < 4) {
        const taken = yield* Effect.all(Array.from({ length: 4 }, () => Process.run(Tasks.mark)), { concurrency: 4 });
        for (const mark of taken) {
          if (mark === undefined) continue;
          assertFalse(marks.has(mark));
          marks.add(mark);
        }
      }
    }),
  );

  check(
    "it has the name, the daemon flag and the authKey of the process that takes it over (full)",
    Effect.gen(function* () {
      yield* takeOver;
      yield* Effect.acquireRelease(
        Effect.zipLeft(Process.authKey, Process.setAuthKey(Uint8Array.of(7, 8, 9))),
        (before) => Effect.orDie(Process.setAuthKey(Redacted.value(before))),
      );
      for (const daemon of [true, false]) {
        const { child, result } = yield* untilWarm(
          Effect.gen(function* () {
            const child = yield* Process.spawnWith(Tasks.everything, [], { name: `taken ${daemon}`, daemon });
            assertEquals((yield* Process.activeChildren).map(({ name }) => name), [`taken ${daemon}`]);
            return { child, result: yield* child.join };
          }),
          ({ result }) => result.mark !== undefined,
        );
        assertEquals([child.name, child.daemon], [`taken ${daemon}`, daemon]);
        assertEquals([result.self.name, result.self.daemon, result.self.backend], [`taken ${daemon}`, daemon, name]);
        assertEquals([result.self.pid, result.self.parent], [child.pid, { name: "MainProcess", pid: Deno.pid }]);
        assertEquals(result.key, Uint8Array.of(7, 8, 9));
      }
    }),
  );

  check(
    "it ends as any other: by itself, by an exit, a crash, a kill, its scope (full)",
    Effect.gen(function* () {
      yield* takeOver;
      assertEquals(yield* Effect.flatMap(Process.spawn(Plain.exit, 3), ({ exitCode }) => exitCode), 3);
      const crashed = yield* Effect.exit(Process.run(Plain.explode, "no"));
      assert(Exit.isFailure(crashed));
      const lingering = yield* Process.spawn(Plain.linger);
      yield* lingering.kill;
      assertEquals(yield* lingering.exitCode, -9);
      const daemon = yield* Effect.scoped(Process.spawnWith(Plain.linger, [], { daemon: true }));
      assertFalse(yield* daemon.isAlive);
      assertEquals(yield* Process.activeChildren, []);
      assertEquals(yield* Process.run(Plain.echo, 5), 5);
    }),
  );

  check(
    "the workers of a pool are taken over, too, and more of them than are ready are started (full)",
    Effect.gen(function* () {
      yield* untilWarm(
        Effect.scoped(Effect.gen(function* () {
          const pool = yield* Pool.make({ size: 3 });
          const marks = yield* Effect.all([1, 2, 3].map(() => pool.apply(Tasks.mark)), { concurrency: 3 });
          assertEquals(yield* pool.map(Plain.echo, [1, 2, 3]), [1, 2, 3]);
          return marks;
        })),
        (marks) => marks.some((mark) => mark !== undefined),
      );
    }),
  );

  check(
    "a process with permissions of its own is started in the ordinary way (full)",
    Effect.gen(function* () {
      yield* takeOver;
      const spawn = Process.spawnWith(Tasks.mark, [], { permissions: { read: true } });
      if (!permissions) {
        const error = yield* Effect.flip(spawn);
        assertInstanceOf(error, Backend.SpawnError);
        return assertEquals(error.reason, "Unsupported");
      }
      for (let i = 0; i < 3; i++) {
        const before = pids();
        const child = yield* spawn;
        assertFalse(before.includes(child.pid));
        assertEquals(yield* child.join, undefined);
      }
      assert(yield* takeOver);
    }),
  );

  check(
    "a task of a module that was defined later is run, in a child that was started for it (full)",
    Effect.gen(function* () {
      yield* takeOver;
      const url = import.meta.resolve(`../fixtures/late.ts?${name}`);
      const late = Task.make(Effects.meta(url), "late", (n: number) => n + 1);
      assertEquals(yield* Process.run(late, 1), 2);
    }),
  );

  test(
    `standby on ${name}: a module that cannot be preloaded is logged, with its reason, and the rest works (full)`,
    logging((lines) =>
      Effect.gen(function* () {
        assert(yield* takeOver);
        assert(lines.some((line) => line.startsWith("WARN") && line.includes(failing)), lines.join("\n"));
        assert(lines.every((line) => line.includes("this module cannot be preloaded")), lines.join("\n"));
      }).pipe(Effect.provide(make({ standby: 1, preload: [failing, preloaded] })))
    ),
  );

  test(
    `standby on ${name}: a child that dies before it is used is replaced, which is logged, and nobody is given it`,
    logging((lines) =>
      Effect.gen(function* () {
        const path = yield* temporary;
        Deno.writeTextFileSync(path, "die");
        // The child dies once, soon after it was loaded.
        const dying = yield* module(
          `if (Deno.readTextFileSync(${JSON.stringify(path)}) === "die") {\n` +
            `  Deno.writeTextFileSync(${JSON.stringify(path)}, "dead");\n` +
            `  setTimeout(() => Deno.exit(3));\n` +
            `}\n`,
        );
        yield* Effect.gen(function* () {
          yield* Effect.promise(() => until("it has died", () => lines.some((line) => line.includes("died"))));
          assert(yield* takeOver);
        }).pipe(Effect.provide(make({ standby: 1, preload: [preloaded, `file://${dying}`] })));
        assertEquals(Deno.readTextFileSync(path), "dead");
        assertEquals(lines, ["WARN A standby child died before it was used"]);
      })
    ),
  );

  check(
    "those that were not used end with the layer, those that were taken over with their scope",
    Effect.gen(function* () {
      const child = yield* Effect.scoped(Effect.gen(function* () {
        const backend = yield* (name === "subprocess" ? SubprocessBackend : WorkerBackend).make(standard);
        const on = Effect.provideService(Backend.Backend, backend);
        yield* on(takeOver);
        return yield* Effect.scoped(Effect.gen(function* () {
          const before = pids();
          const child = yield* on(Process.spawnWith(Plain.linger, [], { daemon: true }));
          if (signals) assert(before.includes(child.pid) || child.pid > 0);
          assert(yield* child.isAlive);
          return child;
        }));
      }));
      assertFalse(yield* child.isAlive);
      // The check of the suite finds other leftovers.
      if (signals) assertFalse(pids().includes(child.pid));
    }),
    { standby: 0 },
  );

  check(
    "a layer that ends at once leaves none of those that it was about to start",
    Effect.gen(function* () {
      const backend = (name === "subprocess" ? SubprocessBackend : WorkerBackend).make({ ...standard, standby: 3 });
      for (let turns = 0; turns < 6; turns++) {
        yield* Effect.scoped(Effect.gen(function* () {
          yield* backend;
          for (let i = 0; i < turns; i++) yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 0)));
        }));
        assertEquals(pids(), []);
      }
    }),
    { standby: 0 },
  );

  if (signals) {
    test(
      `standby on ${name}: one that is killed from outside is replaced, and nobody is given it once that is known (full)`,
      logging((lines) =>
        Effect.gen(function* () {
          yield* takeOver;
          for (let round = 0, killed = 0; round < 2; round++) {
            const idle = pids();
            for (const pid of idle) Deno.kill(pid, "SIGKILL");
            killed += idle.length;
            yield* Effect.promise(() =>
              until("they are missed", () => lines.filter((line) => line.includes("died")).length === killed)
            );
            assertEquals(yield* Process.run(Plain.echo, round), round);
          }
          assert(yield* takeOver);
        }).pipe(Effect.provide(make(standard)))
      ),
    );
  }
};

const subprocess = (options: Options) => SubprocessBackend.layer({ ...options, stderr: "null" });
const worker = (options: Options) => WorkerBackend.layer(options);

await warmUp(Effect.provide(takeOver, subprocess({ standby: 1, preload: [preloaded] })));
if (repeating) await warmUp(Effect.provide(takeOver, worker({ standby: 1, preload: [preloaded] })));

suite("subprocess", subprocess, Capabilities.subprocess);
repeated(() => suite("worker", worker, Capabilities.worker));
