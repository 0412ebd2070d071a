/**
 * The size of a pool, and what its workers do at a time: growing and shrinking, several tasks per worker, tasks that are sent ahead,
 * tasks for a certain worker or for all, and the replacement of workers that have served long enough.
 *
 * @module
 */
import * as Context from "effect/Context";
import * as Deferred from "effect/Deferred";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Fiber from "effect/Fiber";
import type * as Layer from "effect/Layer";
import type * as Scope from "effect/Scope";
import { Backend, Pool, SubprocessBackend, WorkerBackend } from "../../mod.ts";
import { assert, assertEquals, assertInstanceOf } from "../support/assert.ts";
import { logging } from "../support/logs.ts";
import { gateway, group, signal, type Step, temporary, when } from "../support/suite.ts";
import * as Shared from "../support/tasks.ts";
import * as Tasks from "./pool_calls_tasks.ts";
import { repeated } from "../support/tier.ts";

const numbers = (n: number): ReadonlyArray<number> => Array.from({ length: n }, (_, i) => i);

const suite = (name: string, layer: Layer.Layer<Backend.Backend>): void => {
  const steps: Array<Step<Backend.Backend | Scope.Scope>> = [];
  const check = <E>(title: string, program: Effect.Effect<unknown, E, Backend.Backend | Scope.Scope>): void => {
    steps.push([title, program]);
  };

  /** Runs tasks until the gate opens, and returns when all have begun. */
  const occupy = (pool: Pool.Pool, count: number) =>
    Effect.gen(function* () {
      const gate = yield* gateway;
      const tasks = yield* Effect.forEach(numbers(count), () =>
        Effect.gen(function* () {
          const begun = yield* signal;
          const gate = yield* gateway;
          const fiber = yield* Effect.fork(pool.apply(Shared.gate, begun.stream, gate.stream, 0));
          return { begun, fiber, open: gate.open };
        }));
      yield* Effect.forEach(tasks, ({ begun }) => begun.fired);
      const release = Effect.zipRight(
        gate.open,
        Effect.forEach(tasks, ({ fiber, open }) => Effect.zipRight(open, Fiber.join(fiber))),
      );
      return { release, tasks };
    });

  check(
    "a pool grows while tasks wait, up to its limit, and shrinks when its workers are idle",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: { min: 1, max: 3, idleTimeToLive: "100 millis", growAfter: 1 } });
      assertEquals([pool.size, (yield* pool.statistics).size], [3, 1]);
      const { release } = yield* occupy(pool, 3);
      const waiting = yield* pool.submit(Shared.add, 1, 2);
      const { alive, busy, size } = yield* pool.statistics;
      assertEquals({ alive, busy, size, waiting: (yield* pool.statistics).waiting }, {
        alive: 3,
        busy: 3,
        size: 3,
        waiting: 1,
      });
      yield* release;
      assertEquals(yield* waiting.await, 3);
      yield* when(pool.statistics, ({ alive, size }) => alive === 1 && size === 1);
      assertEquals(yield* pool.map(Shared.square, numbers(20), { chunkSize: 1 }), numbers(20).map((n) => n * n));
      assertEquals((yield* pool.statistics).replaced, 0);
    }),
  );

  check(
    "a pool of no workers starts the first one with the first task, and ends in any state",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: { min: 0, max: 2, idleTimeToLive: "50 millis" } });
      assertEquals((yield* pool.statistics).alive, 0);
      assertEquals(yield* pool.apply(Shared.add, 1, 2), 3);
      yield* when(pool.statistics, ({ alive }) => alive === 0);
      assertEquals(yield* pool.apply(Shared.add, 3, 4), 7);
      yield* pool.close;
      yield* pool.join;
    }),
  );

  check(
    "a pool whose further workers cannot be started goes on with those that it has; without any it is broken",
    logging((lines) =>
      Effect.gen(function* () {
        const backend = yield* Backend.Backend;
        let starts = 0;
        const failing: Backend.Backend = {
          ...backend,
          spawn: (command) =>
            starts++ === 0
              ? backend.spawn(command)
              : Effect.fail(new Backend.SpawnError({ reason: "Failed", message: "no room" })),
        };
        const make = (min: number) =>
          Effect.provideService(Pool.make({ size: { min, max: 3, growAfter: 1 } }), Backend.Backend, failing);
        const pool = yield* make(1);
        const { release } = yield* occupy(pool, 1);
        const waiting = yield* pool.submit(Shared.add, 1, 2);
        yield* when(Effect.sync(() => lines.length), (count) => count >= 2);
        yield* release;
        assertEquals(yield* waiting.await, 3);
        const error = yield* Effect.flip(Effect.flatMap(make(0), (pool) => pool.apply(Shared.add, 1, 2)));
        assertInstanceOf(error, Pool.PoolError);
        assertEquals([error.reason, (error.cause as Error).message], ["Broken", "no room"]);
      })
    ),
  );

  check(
    "a worker runs several tasks at a time, and the interruption of one does not harm the others",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1, concurrency: 3, gracePeriod: "30 seconds" });
      const { release, tasks: [first, ...rest] } = yield* occupy(pool, 3);
      const fourth = yield* pool.submit(Shared.add, 1, 2);
      const { busy, waiting } = yield* pool.statistics;
      assertEquals([busy, waiting], [3, 1]);
      yield* Fiber.interrupt(first.fiber);
      assertEquals(yield* fourth.await, 3);
      yield* Effect.forEach(rest, ({ fiber, open }) => Effect.zipRight(open, Fiber.join(fiber)));
      void release;
      assertEquals((yield* pool.statistics).replaced, 0);
    }),
  );

  check(
    "before a worker is killed because of a task that does not stop, its other tasks may end (full)",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1, concurrency: 2, gracePeriod: "200 millis", forceKillAfter: 1 });
      const begun = yield* signal;
      const stubborn = yield* pool.submit(Tasks.stubborn, begun.stream);
      yield* begun.fired;
      const { release } = yield* occupy(pool, 1);
      const cancelling = yield* Effect.fork(stubborn.cancel);
      // The next task waits, because the worker is given up.
      const next = yield* pool.submit(Tasks.counted);
      yield* release;
      yield* Fiber.join(cancelling);
      assertEquals((yield* next.await).count, 1);
      const { completed, replaced } = yield* pool.statistics;
      assertEquals([completed, replaced], [2, 1]);
    }),
  );

  check(
    "broadcast runs a task once in each worker, and waits for a worker that is being replaced",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 3 });
      const all = yield* pool.broadcast(Tasks.counted);
      assertEquals(all.map(({ count }) => count), [1, 1, 1]);
      assertEquals(new Set(all.map(({ realm }) => realm)).size, 3);
      yield* Effect.flip(pool.apply(Shared.exitWith, 3));
      const again = yield* pool.broadcast(Tasks.counted);
      assertEquals(again.map(({ count }) => count).toSorted(), [1, 2, 2]);
      const error = yield* Effect.flip(pool.broadcast(Shared.failing, 3));
      assertEquals((error as Shared.Shortage).missing, 3);
    }),
  );

  check(
    "tasks with the same key run in the same worker, also when it is busy, and in its replacement",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 3 });
      const run = (affinity: string | number) => pool.applyWith(Tasks.counted, [], { affinity });
      const homes = yield* Effect.forEach(numbers(12), (n) => Effect.map(run(n), ({ realm }) => realm));
      assert(new Set(homes).size > 1, "keys are spread over the workers");
      const again = yield* Effect.forEach(numbers(12), (n) => Effect.map(run(n), ({ realm }) => realm), {
        concurrency: "unbounded",
      });
      assertEquals(again, homes);
      yield* Effect.flip(pool.applyWith(Shared.exitWith, [1], { affinity: 0 }));
      const after = yield* Effect.forEach(numbers(12), (n) => Effect.map(run(n), ({ realm }) => realm));
      assertEquals(after.map((home, n) => home === homes[n]), homes.map((home) => home !== homes[0]));
      assertEquals(new Set(after.filter((_, n) => homes[n] === homes[0])).size, 1);
    }),
  );

  check(
    "tasks that are sent ahead run one after the other, and elsewhere, once, if their worker dies before them",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 2, prefetch: 4 });
      const paths = yield* Effect.forEach(numbers(4), () => temporary);
      const { tasks } = yield* occupy(pool, 2);
      // They are behind the tasks that hold the workers.
      const ahead = yield* Effect.forEach(paths, (path) => pool.submit(Tasks.failsOnce, path));
      const { busy, waiting } = yield* pool.statistics;
      assertEquals([busy, waiting], [2, 4]);
      assertEquals(paths.map((path) => Deno.readTextFileSync(path)), ["", "", "", ""]);
      const dying = yield* pool.submit(Shared.exitWith, 3);
      const behind = yield* Effect.forEach(numbers(8), (n) => pool.submit(Shared.echo, n));
      for (const { open } of tasks) yield* open;
      for (const submission of ahead) assertEquals(yield* Effect.flip(submission.await), "attempt 1");
      assertInstanceOf(yield* Effect.flip(dying.await), Backend.ProcessDied);
      for (const [n, submission] of behind.entries()) assertEquals(yield* submission.await, n);
      assertEquals(paths.map((path) => Deno.readTextFileSync(path)), ["x", "x", "x", "x"]);
      yield* Effect.forEach(tasks, ({ fiber }) => Fiber.join(fiber));
    }),
  );

  check(
    "a task that was sent ahead to a worker that computes runs in one that is free, and can be cancelled at once",
    Effect.gen(function* () {
      const [first, second] = [yield* temporary, yield* temporary];
      const stop = (path: string) => Deno.writeTextFileSync(path, "stop");
      const pool = yield* Pool.make({ size: 2 });
      yield* Effect.addFinalizer(() => Effect.sync(() => [first, second].forEach(stop)));
      const given = Effect.map(pool.insights, ({ workers }) => workers.reduce((sum, { tasks }) => sum + tasks, 0));
      const submit = (n: number) => pool.submit(Tasks.computeUntil, "", n);
      /** Two tasks that compute, and six that are sent behind them as soon as the pool knows that the task is short. */
      const attempt = Effect.gen(function* () {
        const short = yield* Effect.forEach(numbers(24), submit);
        yield* Effect.forEach(short, (submission) => submission.await);
        [first, second].forEach((path) => Deno.writeTextFileSync(path, ""));
        const long = yield* pool.submit(Tasks.computeUntil, first, -1);
        const other = yield* pool.submit(Tasks.computeUntil, second, -2);
        const before = yield* given;
        const all = yield* Effect.forEach(numbers(6), submit);
        if ((yield* given) - before === 6) return { long, other, all };
        [first, second].forEach(stop);
        yield* Effect.forEach([long, other, ...all], (submission) => submission.await);
      });
      const sent = yield* when(attempt, (sent) => sent !== undefined);
      const { all, long, other } = sent!;
      const before = yield* pool.statistics;
      assertEquals([before.busy, before.waiting], [2, 6]);
      // Both workers compute.
      yield* all[0].cancel;
      yield* all[1].cancel;
      stop(second);
      assertEquals(yield* other.await, -2);
      const results = yield* Effect.forEach(all.slice(2), (submission) => submission.await);
      assertEquals(results, [2, 3, 4, 5]);
      assertEquals(yield* Effect.map(pool.statistics, ({ busy, waiting }) => [busy, waiting]), [1, 0]);
      stop(first);
      assertEquals(yield* long.await, -1);
      // What was taken back never runs.
      assertEquals(yield* pool.map(Tasks.failsAt, numbers(4), { chunkSize: 1 }), [0, 1, 2, 3]);
      const { completed, replaced } = yield* pool.statistics;
      assertEquals([completed - before.completed, replaced], [10, 0]);
    }),
  );

  check(
    "tasks that are behind one that does not stop run elsewhere, even if their worker ends in good order (full)",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1, prefetch: 3, gracePeriod: "20 millis" });
      // A process that has run an Effect releases its layers when it is told to end.
      yield* pool.apply(Shared.addEffect, 1, 2);
      // The task below has begun when its time is over: its module is loaded.
      yield* pool.apply(Shared.echo, 1);
      const stuck = yield* pool.submitWith(Shared.never, [], { timeout: "200 millis" });
      const behind = yield* Effect.forEach(numbers(6), (n) => pool.submit(Shared.echoEffect, n));
      const error = yield* Effect.flip(stuck.await);
      assertInstanceOf(error, Pool.PoolError);
      assertEquals(error.reason, "Timeout");
      for (const [n, submission] of behind.entries()) assertEquals(yield* submission.await, n);
      assertEquals((yield* pool.statistics).replaced, 1);
    }),
  );

  check(
    "a task that was sent ahead can be cancelled, and its timeout begins when it is taken up",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1, prefetch: 2, gracePeriod: "50 millis" });
      const path = yield* temporary;
      const { release } = yield* occupy(pool, 1);
      const cancelled = yield* pool.submit(Tasks.failsOnce, path);
      const timed = yield* pool.submitWith(Shared.echo, [5], { timeout: "10 seconds" });
      yield* cancelled.cancel;
      assert(Exit.isInterrupted(yield* Effect.exit(cancelled.await)));
      const late = yield* pool.submitWith(Shared.gate, [(yield* signal).stream, (yield* gateway).stream, 1], {
        timeout: "20 millis",
      });
      yield* release;
      assertEquals(yield* timed.await, 5);
      const error = yield* Effect.flip(late.await);
      assertInstanceOf(error, Pool.PoolError);
      assertEquals([error.reason, Deno.readTextFileSync(path)], ["Timeout", ""]);
      assertEquals((yield* pool.statistics).replaced, 0);
    }),
  );

  check(
    "thousands of tasks that are sent ahead settle once each, while workers die of some (full)",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 2, prefetch: 3 });
      const submissions = yield* Effect.forEach(
        numbers(1_000),
        (n) => pool.submit(Tasks.killsAtFives, n % 250 === 200 ? 5 : 5 * n + 1),
      );
      const exits = yield* Effect.forEach(submissions, (submission) => Effect.exit(submission.await));
      assertEquals(exits.map(Exit.isSuccess), numbers(1_000).map((n) => n % 250 !== 200));
      const { completed, failed, replaced } = yield* pool.statistics;
      assertEquals([completed, failed, replaced], [996, 4, 4]);
    }),
  );

  check(
    "a worker is replaced at its age, when its successor has started, and no task is lost",
    Effect.gen(function* () {
      const backend = yield* Backend.Backend;
      const proceed = yield* Deferred.make<void>();
      let starts = 0;
      const slow: Backend.Backend = {
        ...backend,
        spawn: (command) =>
          starts++ === 1 ? Effect.zipRight(Deferred.await(proceed), backend.spawn(command)) : backend.spawn(command),
      };
      const pool = yield* Effect.provideService(
        Pool.make({ size: 1, maxAge: "100 millis" }),
        Backend.Backend,
        slow,
      );
      const { realm } = yield* pool.apply(Tasks.counted);
      yield* when(Effect.sync(() => starts), (count) => count === 2);
      // The successor is still starting.
      assertEquals((yield* pool.apply(Tasks.counted)).realm, realm);
      yield* Deferred.succeed(proceed, undefined);
      yield* when(pool.statistics, ({ recycled }) => recycled === 1);
      assert((yield* pool.apply(Tasks.counted)).realm !== realm);
      assertEquals((yield* pool.statistics).replaced, 0);
    }),
  );

  check(
    "a worker that uses too much memory is replaced after its task (full)",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1, maxMemory: 250 * 1024 * 1024 });
      const first = yield* pool.apply(Tasks.fatten, 1);
      assertEquals(yield* pool.apply(Tasks.fatten, 1), first);
      assertEquals((yield* pool.statistics).recycled, 0);
      yield* pool.apply(Tasks.fatten, 300);
      yield* Effect.repeat(pool.apply(Shared.nothing), {
        until: () => Effect.map(pool.statistics, ({ recycled }) => recycled >= 1),
      });
      assert(first !== (yield* pool.apply(Tasks.fatten, 0)));
    }),
  );

  check(
    "maxTasksPerChild starts the successor with the last task",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1, maxTasksPerChild: 1 });
      const realms = yield* Effect.forEach(
        numbers(4),
        () => Effect.map(pool.apply(Tasks.counted), ({ realm }) => realm),
      );
      assertEquals(new Set(realms).size, 4);
      assertEquals((yield* pool.statistics).replaced, 0);
    }),
  );

  group(
    `size of a pool on ${name}`,
    Effect.provide(Effect.map(Backend.Backend, (backend) => Context.make(Backend.Backend, backend)), layer),
    steps,
  );
};

suite("subprocess", SubprocessBackend.layer({ stderr: "null" }));
repeated(() => suite("worker", WorkerBackend.layer()));
