import * as Cause from "effect/Cause";
import * as Deferred from "effect/Deferred";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Fiber from "effect/Fiber";
import type * as Layer from "effect/Layer";
import * as Option from "effect/Option";
import type * as Scope from "effect/Scope";
import * as Stream from "effect/Stream";
import { Backend, Pool, Process, SubprocessBackend, WorkerBackend } from "../../mod.ts";
import * as Capabilities from "../../src/internal/child/capabilities.ts";
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertLessOrEqual,
  assertNotEquals,
  assertStringIncludes,
} from "../support/assert.ts";
import { busy } from "../conformance/conformance.ts";
import { descendants } from "../support/leaks.ts";
import { gateway, signal, type Step, temporary, test, warmUp, when } from "../support/suite.ts";
import { withWorkers, Workers } from "../support/workers.ts";
import * as Tasks from "../support/tasks.ts";
import { fullUnless, repeated, repeating } from "../support/tier.ts";

const numbers = (n: number): ReadonlyArray<number> => Array.from({ length: n }, (_, i) => i);

const squares = (n: number): ReadonlyArray<number> => numbers(n).map((i) => i * i);

const died = <A, E, R>(program: Effect.Effect<A, E, R>): Effect.Effect<Process.ProcessDied, A, R> =>
  Effect.map(Effect.flip(program), (error) => {
    assertInstanceOf(error, Process.ProcessDied);
    return error;
  });

const refused = <A, E, R>(program: Effect.Effect<A, E, R>): Effect.Effect<Pool.PoolError, A, R> =>
  Effect.map(Effect.flip(program), (error) => {
    assertInstanceOf(error, Pool.PoolError);
    return error;
  });

/** Registers the suite for one backend. */
const suite = (
  name: string,
  layer: Layer.Layer<Backend.Backend>,
  { killBusy, signals }: Backend.Capabilities,
): void => {
  const steps: Array<Step<Backend.Backend | Workers | Scope.Scope>> = [];
  const check = <E>(
    title: string,
    program: Effect.Effect<unknown, E, Backend.Backend | Workers | Scope.Scope>,
  ): void => {
    steps.push([title, program]);
  };

  /** Registers a test that inspects all processes of this program. */
  const checkAlone = <E>(title: string, program: Effect.Effect<unknown, E, Backend.Backend | Scope.Scope>): void =>
    test(`Pool on ${name}: ${title}`, Effect.provide(program, layer));

  /** Occupies a worker until the gate opens, so that later submissions wait. */
  const occupy = (pool: Pool.Pool) =>
    Effect.gen(function* () {
      const begun = yield* signal;
      const gate = yield* gateway;
      const fiber = yield* Effect.fork(pool.apply(Tasks.gate, begun.stream, gate.stream, 0));
      yield* begun.fired;
      return { ...gate, fiber };
    });

  check(
    "apply runs a task of any kind in a worker",
    Effect.gen(function* () {
      const { pool } = yield* Workers;
      assertEquals(pool.size, 2);
      assertEquals(yield* pool.apply(Tasks.add, 1, 2), 3);
      assertEquals(yield* pool.apply(Tasks.addLater, 1, 2), 3);
      assertEquals(yield* pool.apply(Tasks.addEffect, 1, 2), 3);
      assertEquals(yield* pool.apply(Tasks.sum, Stream.range(1, 100)), 5050);
    }),
  );

  check(
    "map gives the results in the order of the items, whatever the chunk size",
    Effect.gen(function* () {
      const { pool } = yield* Workers;
      for (const task of [Tasks.square, Tasks.squareEffect]) {
        for (const chunkSize of [1, 3, 100, 1000]) {
          assertEquals(yield* pool.map(task, numbers(100), { chunkSize }), squares(100));
        }
        assertEquals(yield* pool.map(task, new Set(numbers(10))), squares(10));
      }
      assertEquals(yield* pool.map(Tasks.square, numbers(10_000)), squares(10_000));
    }),
  );

  check(
    "starmap gives several arguments to each call",
    Effect.gen(function* () {
      const { pool } = yield* Workers;
      const items = numbers(50).map((i): [number, number] => [i, 1]);
      for (const task of [Tasks.add, Tasks.addLater, Tasks.addEffect]) {
        assertEquals(yield* pool.starmap(task, items, { chunkSize: 7 }), items.map(([i]) => i + 1));
      }
    }),
  );

  check(
    "nothing in, nothing out",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1 });
      assertEquals(yield* pool.map(Tasks.square, []), []);
      assertEquals(yield* pool.starmap(Tasks.add, []), []);
      assertEquals(Array.from(yield* Stream.runCollect(pool.mapStream(Tasks.square)(Stream.empty))), []);
      assertEquals(Array.from(yield* Stream.runCollect(pool.mapUnordered(Tasks.square, []))), []);
      assertEquals((yield* pool.statistics).completed, 0);
    }),
  );

  check(
    "mapStream gives the results in the order of the elements, whatever the chunk size and look-ahead",
    Effect.gen(function* () {
      const { pool } = yield* Workers;
      for (const options of [{}, { chunkSize: 7 }, { lookAhead: 1 }, { chunkSize: 5, lookAhead: 1 }]) {
        const results = yield* Stream.runCollect(pool.mapStream(Tasks.square, options)(Stream.range(0, 99)));
        assertEquals(Array.from(results), squares(100));
      }
    }),
  );

  check(
    "mapStream unordered and mapUnordered give each result once",
    Effect.gen(function* () {
      const { pool } = yield* Workers;
      const sorted = (results: Iterable<number>) => Array.from(results).sort((a, b) => a - b);
      for (const chunkSize of [1, 7]) {
        const stream = pool.mapStream(Tasks.square, { unordered: true, chunkSize })(Stream.range(0, 99));
        assertEquals(sorted(yield* Stream.runCollect(stream)), squares(100));
        assertEquals(
          sorted(yield* Stream.runCollect(pool.mapUnordered(Tasks.square, numbers(100), { chunkSize }))),
          squares(100),
        );
      }
    }),
  );

  check(
    "mapStream pulls its source no more than lookAhead ahead of its reader",
    Effect.gen(function* () {
      const { pool } = yield* Workers;
      for (const chunkSize of [1, 4]) {
        let pulled = 0;
        let taken = 0;
        const source = Stream.mapEffect(Stream.range(0, 199), (n) =>
          Effect.sync(() => {
            pulled++;
            return n;
          }));
        const lookAhead = 3;
        yield* Stream.runForEach(
          pool.mapStream(Tasks.square, { chunkSize, lookAhead })(Stream.rechunk(source, 1)),
          () =>
            Effect.gen(function* () {
              taken++;
              // One more chunk may be waiting for a place, and the reader may hold another.
              assertLessOrEqual(pulled - taken, (lookAhead + 2) * chunkSize);
              yield* Effect.yieldNow();
            }),
        );
        assertEquals(taken, 200);
      }
    }),
  );

  check(
    "mapStream that is not read to its end stops its source",
    Effect.gen(function* () {
      const { pool } = yield* Workers;
      const finalized = yield* Deferred.make<void>();
      const source = Stream.ensuring(Stream.iterate(0, (n) => n + 1), Deferred.succeed(finalized, undefined));
      const results = yield* Stream.runCollect(Stream.take(pool.mapStream(Tasks.square)(source), 10));
      assertEquals(Array.from(results), squares(10));
      yield* Deferred.await(finalized);
      assertEquals(yield* pool.apply(Tasks.add, 1, 2), 3);
    }),
  );

  check(
    "the failure of the source fails mapStream",
    Effect.gen(function* () {
      const { pool } = yield* Workers;
      const source = Stream.concat(Stream.range(0, 9), Stream.fail("source" as const));
      assertEquals(yield* Effect.flip(Stream.runDrain(pool.mapStream(Tasks.square)(source))), "source");
    }),
  );

  check(
    "stream reads a task that is a Stream, and gives the worker back at its end",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1 });
      for (let i = 0; i < 3; i++) {
        const all = yield* Stream.runCollect(pool.stream(Tasks.countTo, 5_000));
        assertEquals(Array.from(all), numbers(5_000).map((n) => n + 1));
        const some = yield* Stream.runCollect(Stream.take(pool.stream(Tasks.countTo, 1_000_000_000), 5));
        assertEquals(Array.from(some), [1, 2, 3, 4, 5]);
      }
      const error = yield* Effect.flip(Stream.runDrain(pool.stream(Tasks.failingStream, 3)));
      assertEquals(error._tag, "Shortage");
      assertEquals(yield* pool.apply(Tasks.add, 1, 2), 3);
      assertEquals((yield* pool.statistics).replaced, 0);
    }),
  );

  check(
    "options that are no positive integers are refused, typed",
    Effect.gen(function* () {
      for (const size of [0, -1, 1.5, NaN, Infinity]) {
        assertEquals((yield* refused(Effect.scoped(Pool.make({ size })))).reason, "InvalidOption");
      }
      const pool = yield* Pool.make({ size: 1 });
      for (const wrong of [0, -1, 1.5, NaN, Infinity]) {
        for (
          const program of [
            Effect.asVoid(pool.map(Tasks.square, [1], { chunkSize: wrong })),
            Effect.asVoid(pool.map(Tasks.square, [], { chunkSize: wrong })),
            Effect.asVoid(pool.starmap(Tasks.add, [[1, 2]], { chunkSize: wrong })),
            Stream.runDrain(pool.mapStream(Tasks.square, { chunkSize: wrong })(Stream.make(1))),
            Stream.runDrain(pool.mapStream(Tasks.square, { lookAhead: wrong })(Stream.make(1))),
          ]
        ) {
          const error = yield* refused(program);
          assertEquals(error.reason, "InvalidOption");
          assertStringIncludes(error.message, String(wrong));
        }
      }
      assertEquals(yield* pool.apply(Tasks.add, 1, 2), 3);
    }),
  );

  check(
    "failures keep their types, and the pool goes on",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1 });
      const caught = yield* Effect.catchTag(pool.apply(Tasks.failing, 7), "Shortage", (error) => Effect.succeed(error));
      assertEquals([caught._tag, caught.missing], ["Shortage", 7]);
      const exit = yield* Effect.exit(pool.apply(Tasks.throwing));
      assert(Exit.isFailure(exit));
      const [defect] = Cause.defects(exit.cause);
      assertInstanceOf(defect, RangeError);
      assertStringIncludes(Cause.pretty(exit.cause), "tasks.ts");
      assert(Exit.isInterrupted(yield* Effect.exit(pool.apply(Tasks.interrupting))));
      const { completed, failed, replaced } = yield* pool.statistics;
      assertEquals([completed, failed, replaced], [0, 3, 0]);
      assertEquals(yield* pool.apply(Tasks.add, 1, 2), 3);
    }),
  );

  check(
    "the first failure of map stops the rest",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1 });
      const error = yield* Effect.flip(pool.map(Tasks.failing, numbers(1000), { chunkSize: 1 }));
      assertEquals([error._tag, (error as Tasks.Shortage).missing], ["Shortage", 0]);
      const { completed, failed, waiting } = yield* pool.statistics;
      assertEquals([completed, waiting], [0, 0]);
      // One task failed; another may have been running.
      assertLessOrEqual(failed, 2);
      assertEquals(yield* pool.apply(Tasks.add, 1, 2), 3);
    }),
  );

  check(
    "an item that cannot be sent fails the call with its place, before anything has run",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1 });
      const items = numbers(10).map((i): unknown => i === 7 ? { callback: () => 1 } : i);
      const error = yield* Effect.flip(pool.map(Tasks.echo, items, { chunkSize: 3 }));
      assertInstanceOf(error, Backend.EncodeError);
      assertEquals(error.path, "items[7].callback");
      assertEquals((yield* pool.statistics).completed, 0);
      assertInstanceOf(yield* Effect.flip(pool.apply(Tasks.returningFunction)), Backend.EncodeError);
      assertEquals(yield* pool.apply(Tasks.add, 1, 2), 3);
    }),
  );

  check(
    "Schemas hold for every item of a map, and what they refuse does not harm the pool",
    Effect.gen(function* () {
      const { pool } = yield* Workers;
      const points = numbers(5).map((i) => new Tasks.Point({ x: i + 1, y: 0 }));
      const mirrored = yield* pool.map(Tasks.mirrorEffect, points, { chunkSize: 2 });
      assertEquals(
        mirrored.map((point) => [point instanceof Tasks.Point, point.x]),
        numbers(5).map((i) => [true, -i - 1]),
      );
      const wrong = [...points, { x: "text", y: 0 } as unknown as Tasks.Point];
      assertInstanceOf(yield* Effect.flip(pool.map(Tasks.mirrorEffect, wrong)), Backend.EncodeError);
      assertInstanceOf(yield* Effect.flip(pool.map(Tasks.wrongResult, ["text"])), Backend.EncodeError);
      const failed = yield* Effect.flip(pool.map(Tasks.mirrorEffect, [new Tasks.Point({ x: 0, y: 4 })]));
      assertInstanceOf(failed, Tasks.Refusal);
      assertEquals(yield* pool.apply(Tasks.add, 1, 2), 3);
    }),
  );

  check(
    "a layer is built once in each worker, not once for each task",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1 });
      for (let i = 0; i < 3; i++) assertEquals(yield* pool.apply(Tasks.buildCount), 1);
    }),
  );

  check(
    "the layers of the workers are released when the pool's scope closes",
    Effect.gen(function* () {
      const released = yield* temporary;
      yield* Effect.scoped(Effect.flatMap(Pool.make({ size: 1 }), (pool) => pool.apply(Tasks.tellRelease, released)));
      assertEquals(Deno.readTextFileSync(released), "released 1");
    }),
  );

  for (
    const [title, call] of [
      ["exits", (pool: Pool.Pool) => pool.apply(Tasks.exitWith, 3)],
      ["throws in a timer", (pool: Pool.Pool) => pool.apply(Tasks.throwInTimer)],
      ["has a rejection that nobody handles", (pool: Pool.Pool) => pool.apply(Tasks.rejectUnhandled)],
      ...(signals ? [["is killed", (pool: Pool.Pool) => pool.apply(Tasks.killItself, "SIGKILL")] as const] : []),
    ] as const
  ) {
    check(
      `a worker that ${title} fails its own task, no other, and is replaced${
        fullUnless(title === "exits" || title === "is killed")
      }`,
      Effect.gen(function* () {
        const pool = yield* Pool.make({ size: 2 });
        const other = yield* occupy(pool);
        const waiting = yield* Effect.fork(pool.map(Tasks.square, numbers(50), { chunkSize: 1 }));
        const error = yield* died(call(pool));
        assertNotEquals(error.status._tag === "Exited" && error.status.code, 0);
        yield* other.open;
        assertEquals(yield* Fiber.join(other.fiber), 0);
        assertEquals(yield* Fiber.join(waiting), squares(50));
        const { alive, failed, replaced } = yield* when(pool.statistics, ({ alive }) => alive === 2);
        assertEquals([alive, failed, replaced], [2, 1, 1]);
      }),
    );
  }

  if (signals) {
    checkAlone(
      "a worker that is killed from outside fails the task that it ran, and an idle one fails none",
      Effect.gen(function* () {
        const pool = yield* Pool.make({ size: 1 });
        const idle = yield* pool.apply(Tasks.pid);
        Deno.kill(idle, "SIGKILL");
        yield* when(pool.statistics, ({ alive, replaced }) => replaced === 1 && alive === 1);
        const begun = yield* signal;
        const running = yield* Effect.fork(pool.apply(Tasks.forever, begun.stream, Stream.empty));
        yield* begun.fired;
        const busy = (yield* Effect.sync(() => workersOf(Deno.pid))).find((pid) => pid !== idle);
        Deno.kill(busy!, "SIGKILL");
        const error = yield* died(Fiber.join(running));
        assertEquals([error.pid, error.status], [busy, { _tag: "Signaled", signal: "SIGKILL" }]);
        assertEquals(yield* pool.apply(Tasks.add, 1, 2), 3);
        assertEquals((yield* pool.statistics).failed, 1);
      }),
    );
  }

  check(
    "a pool whose workers die again and again says so instead of trying for ever",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1 });
      let error: unknown;
      for (let i = 0; i < 12; i++) {
        error = yield* Effect.flip(pool.apply(Tasks.exitWith, 3));
        if (error instanceof Pool.PoolError) break;
        assertInstanceOf(error, Process.ProcessDied);
      }
      // Only workers that die before they get a task break a pool, and this worker had a task.
      assertInstanceOf(error, Process.ProcessDied);
      assertEquals(yield* pool.apply(Tasks.add, 1, 2), 3);
    }),
  );

  check(
    "a pool whose workers cannot be replaced is Broken: waiting and later calls are told why",
    Effect.gen(function* () {
      const backend = yield* Backend.Backend;
      let started = 0;
      const pool = yield* Effect.provideService(Pool.make({ size: 1 }), Backend.Backend, {
        ...backend,
        spawn: (command) =>
          started++ === 0
            ? backend.spawn(command)
            : Effect.fail(new Backend.SpawnError({ reason: "Failed", message: "no more processes" })),
      });
      const leaving = yield* Effect.fork(pool.apply(Tasks.exitWith, 3));
      const waiting = yield* Effect.fork(pool.apply(Tasks.add, 1, 2));
      yield* died(Fiber.join(leaving));
      const error = yield* refused(Fiber.join(waiting));
      assertEquals(error.reason, "Broken");
      assertStringIncludes(error.message, "no more processes");
      assertEquals((yield* refused(pool.apply(Tasks.add, 1, 2))).reason, "Broken");
    }),
  );

  check(
    "interrupting a waiting caller takes its task back: it never runs",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1 });
      const first = yield* occupy(pool);
      const path = yield* temporary;
      const waiting = yield* Effect.fork(Stream.runDrain(pool.stream(Tasks.wide, 10, path)));
      const mapping = yield* Effect.fork(pool.map(Tasks.square, numbers(10), { chunkSize: 1 }));
      const applying = yield* Effect.fork(pool.apply(Tasks.busy, path));
      yield* when(pool.statistics, ({ waiting }) => waiting === 12);
      yield* Fiber.interruptAll([waiting, mapping, applying]);
      assertEquals((yield* pool.statistics).waiting, 0);
      yield* first.open;
      yield* Fiber.join(first.fiber);
      assertEquals(yield* pool.apply(Tasks.add, 1, 2), 3);
      assertEquals(Deno.readTextFileSync(path), "");
      assertEquals((yield* pool.statistics).completed, 2);
    }),
  );

  check(
    "interrupting one whose task runs stops it where it runs, and waits until it has stopped",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1 });
      const begun = yield* signal;
      const finalized = yield* signal;
      const running = yield* Effect.fork(pool.apply(Tasks.forever, begun.stream, finalized.stream));
      yield* begun.fired;
      yield* Fiber.interrupt(running);
      assert(yield* finalized.seen);
      assertEquals(yield* pool.apply(Tasks.add, 1, 2), 3);
      assertEquals((yield* pool.statistics).replaced, 0);
    }),
  );

  check(
    "a task whose finalizers do not end costs the worker, not the caller (full)",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1, gracePeriod: "20 millis", forceKillAfter: "20 millis" });
      const begun = yield* signal;
      const running = yield* Effect.fork(pool.apply(Tasks.clinging, begun.stream));
      yield* begun.fired;
      yield* Fiber.interrupt(running);
      assertEquals(yield* pool.apply(Tasks.add, 1, 2), 3);
      assertEquals((yield* pool.statistics).replaced, 1);
    }),
  );

  if (killBusy) {
    check(
      "interrupting an endless loop kills its worker, and the next task has a fresh one",
      Effect.gen(function* () {
        const pool = yield* Pool.make({ size: 1, gracePeriod: "20 millis", forceKillAfter: "20 millis" });
        const path = yield* temporary;
        const running = yield* Effect.fork(pool.apply(Tasks.busy, path));
        yield* busy(path);
        yield* Fiber.interrupt(running);
        assertEquals(yield* pool.apply(Tasks.add, 1, 2), 3);
        const { alive, replaced } = yield* pool.statistics;
        assertEquals([alive, replaced], [1, 1]);
      }),
    );
  }

  check(
    "20 000 tasks that are submitted at once all get their own result (full)",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 2 });
      const results = yield* Effect.forEach(numbers(20_000), (i) => pool.apply(Tasks.square, i), {
        concurrency: "unbounded",
      });
      assertEquals(results, squares(20_000));
      const { completed, failed, waiting } = yield* pool.statistics;
      assertEquals([completed, failed, waiting], [20_000, 0, 0]);
    }),
  );

  check(
    "of 20 000 that wait all are taken back at once (full)",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1 });
      const first = yield* occupy(pool);
      const fibers = yield* Effect.forEach(numbers(20_000), (i) => Effect.fork(pool.apply(Tasks.square, i)));
      yield* when(pool.statistics, ({ waiting }) => waiting === 20_000);
      yield* Fiber.interruptAll(fibers);
      assertEquals((yield* pool.statistics).waiting, 0);
      yield* first.open;
      assertEquals(yield* Fiber.join(first.fiber), 0);
    }),
  );

  check(
    "a pool whose scope has closed refuses work, and its waiting tasks fail as Closed (full)",
    Effect.gen(function* () {
      const { pool, waiting } = yield* Effect.scoped(Effect.gen(function* () {
        const pool = yield* Pool.make({ size: 1 });
        yield* occupy(pool);
        const waiting = yield* Effect.forkDaemon(Effect.exit(pool.apply(Tasks.add, 1, 2)));
        yield* when(pool.statistics, ({ waiting }) => waiting === 1);
        return { pool, waiting };
      }));
      const exit = yield* Fiber.join(waiting);
      assert(Exit.isFailure(exit));
      const error = Option.getOrThrow(Cause.failureOption(exit.cause));
      assertInstanceOf(error, Pool.PoolError);
      for (
        const program of [
          Effect.asVoid(pool.apply(Tasks.add, 1, 2)),
          Effect.asVoid(pool.map(Tasks.square, [1])),
          Stream.runDrain(pool.mapStream(Tasks.square)(Stream.make(1))),
          Stream.runDrain(pool.stream(Tasks.countTo, 3)),
        ]
      ) assertEquals((yield* refused(program)).reason, "Closed");
      assertEquals((yield* pool.statistics).alive, 0);
    }),
  );

  check(
    "a pool that has never been used closes (full)",
    Effect.scoped(Pool.make({ size: 3 })),
  );

  check(
    "statistics say what is going on",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 2 });
      const idle = yield* pool.statistics;
      assertEquals([idle.size, idle.alive, idle.busy, idle.waiting], [2, 2, 0, 0]);
      const first = yield* occupy(pool);
      const second = yield* occupy(pool);
      const third = yield* Effect.fork(pool.apply(Tasks.add, 1, 2));
      const full = yield* when(pool.statistics, ({ waiting }) => waiting === 1);
      assertEquals([full.busy, full.completed], [2, 0]);
      yield* first.open;
      yield* second.open;
      assertEquals(yield* Fiber.join(third), 3);
      yield* Fiber.joinAll([first.fiber, second.fiber]);
      const done = yield* pool.statistics;
      assertEquals([done.busy, done.waiting, done.completed, done.failed], [0, 0, 3, 0]);
    }),
  );

  check(
    "a task may have a pool of its own (full)",
    Effect.gen(function* () {
      const { pool } = yield* Workers;
      assertEquals(yield* pool.apply(Tasks.poolInTask, 5), squares(5));
    }),
  );

  check(
    "a layer starts a pool for its tag, and the pool ends with the layer",
    Effect.gen(function* () {
      class Thumbnails extends Pool.Tag("Thumbnails")<Thumbnails>() {}
      class Pages extends Pool.Tag("Pages")<Pages>() {}
      const both = Effect.all([Effect.flatMap(Thumbnails, (pool) => pool.apply(Tasks.square, 3)), Pages]);
      const [square, pages] = yield* Effect.provide(both, [
        Pool.layer(Thumbnails, { size: 1 }),
        Pool.layer(Pages, { size: 1 }),
      ]);
      assertEquals([square, (yield* pages.statistics).alive], [9, 0]);
      const refused = yield* Effect.flip(Effect.provide(Thumbnails, Pool.layer(Thumbnails, { size: 0 })));
      assertEquals([refused._tag, refused.message], [
        "PoolError",
        "Invalid pool option: size must be a positive integer, received 0",
      ]);
    }),
  );

  // Tests of the statistics of a pool, or of the end of workers, make their own pool.
  withWorkers(`Pool on ${name}`, layer, 2, steps);
};

/** The processes that this process has started. */
const workersOf = (pid: number): ReadonlyArray<number> => descendants(pid).map(({ pid }) => pid);

const subprocess = SubprocessBackend.layer({ stderr: "null" });
const worker = WorkerBackend.layer();

await warmUp(Effect.provide(Process.run(Tasks.addEffect, 1, 2), subprocess));
if (repeating) await warmUp(Effect.provide(Process.run(Tasks.addEffect, 1, 2), worker));

suite("subprocess", subprocess, Capabilities.subprocess);
repeated(() => suite("worker", worker, Capabilities.worker));
