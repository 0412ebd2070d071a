/**
 * Interrupts every operation at every step: the fiber ends, no process or fiber stays, and later operations work as
 * before.
 *
 * The test runs an operation once to its end, and then repeatedly, with an interruption at step 1, 2, 3 and so on of
 * its fiber, and of any fiber that works for it. If a round costs a process, it samples the steps at random.
 * Interruptions after a number of turns of the event loop cover the time between two steps, while the operation waits
 * for a child or for its own fibers.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Fiber from "effect/Fiber";
import type * as Layer from "effect/Layer";
import * as Schedule from "effect/Schedule";
import type * as Scope from "effect/Scope";
import * as Stream from "effect/Stream";
import { type Backend, Pool, Process, SubprocessBackend, WorkerBackend } from "../../mod.ts";
import { assert, assertEquals } from "../support/assert.ts";
import { descendants } from "../support/leaks.ts";
import * as Tasks from "../support/lifetime_tasks.ts";
import { random, rounds, seed } from "../support/chance.ts";
import { everywhere, interruptAtTurn, type Operation, turn } from "../support/steps.ts";
import { test, warmUp } from "../support/suite.ts";
import * as Effects from "../support/tasks.ts";
import { fullUnless, repeated, repeating } from "../support/tier.ts";

const numbers = (n: number): ReadonlyArray<number> => Array.from({ length: n }, (_, i) => i);

/** Registers the suite for one backend. */
const suite = (name: string, layer: Layer.Layer<Backend.Backend>, everyStep: number): void => {
  const check = <E>(title: string, program: Effect.Effect<unknown, E, Backend.Backend | Scope.Scope>): void =>
    test(`interruption on ${name}: ${title}`, Effect.provide(program, layer));

  const running = (): ReadonlyArray<number> => descendants(Deno.pid).map(({ pid }) => pid);

  /** No process that was started remains. The operation awaits their end, so the test does not wait. */
  const nothing = (before: ReadonlyArray<number>) => (when: string): Effect.Effect<void> =>
    Effect.map(Process.activeChildren, (children) => {
      assertEquals(children.map(({ name }) => name), [], when);
      assertEquals(running().filter((pid) => !before.includes(pid)), [], when);
    });

  const once: Readonly<Record<string, { operation: Operation<Backend.Backend>; rounds: number; turns: number }>> = {
    "Process.spawn and join": {
      operation: Effect.scoped(Effect.flatMap(Process.spawn(Tasks.echo, 1), (child) => child.join)),
      rounds: 32,
      turns: 8,
    },
    "Process.spawn of a daemon": {
      operation: Effect.scoped(Effect.flatMap(Process.spawnWith(Tasks.linger, [], { daemon: true }), () => turn)),
      rounds: 12,
      turns: 4,
    },
    "Process.run": { operation: Process.run(Tasks.echo, 1), rounds: 24, turns: 8 },
    "Process.run of an Effect": { operation: Process.run(Effects.addEffect, 1, 2), rounds: 6, turns: 4 },
    "Process.stream": {
      operation: Stream.runDrain(Process.stream(Effects.countTo, 3_000)),
      rounds: 10,
      turns: 4,
    },
    // Takes many steps of its own: a race that was interrupted at one of them has hung before.
    "Pool.make": { operation: Effect.scoped(Pool.make({ size: 2 })), rounds: everyStep, turns: 6 },
    "Pool.make with an initializer": {
      operation: Effect.scoped(Pool.make({ size: 1, initializer: Pool.initializer(Tasks.echo, 1) })),
      rounds: 12,
      turns: 6,
    },
  };

  const QUICK: ReadonlyArray<string> = ["Process.run of an Effect", "Pool.make"];

  for (const [title, { operation, ...limits }] of Object.entries(once)) {
    check(
      `${title}, at any step, leaves no process and ends its fiber${fullUnless(QUICK.includes(title))} (storm)`,
      Effect.suspend(() => everywhere(operation, limits, nothing(running()))),
    );
  }

  const onPool: Readonly<Record<string, (pool: Pool.Pool) => Operation<never>>> = {
    "apply of a plain function": (pool) => pool.apply(Tasks.echo, 1),
    "apply of an Effect": (pool) => pool.apply(Effects.addEffect, 1, 2),
    "map": (pool) => pool.map(Tasks.echo, numbers(12), { chunkSize: 2 }),
    "starmap of Effects": (pool) =>
      pool.starmap(Effects.addEffect, numbers(6).map((n): [number, number] => [n, 1]), { chunkSize: 2 }),
    "mapStream": (pool) => Stream.runDrain(pool.mapStream(Tasks.echo)(Stream.range(1, 12))),
    "mapStream in chunks": (pool) =>
      Stream.runDrain(pool.mapStream(Tasks.echo, { chunkSize: 3, lookAhead: 2 })(Stream.range(1, 20))),
    "mapUnordered": (pool) => Stream.runDrain(pool.mapUnordered(Tasks.echo, numbers(12), { chunkSize: 2 })),
    "stream": (pool) => Stream.runDrain(pool.stream(Effects.countTo, 300)),
    "a stream that is not read to its end": (pool) =>
      Stream.runDrain(Stream.take(pool.stream(Effects.countTo, 1_000_000), 3)),
    "submit and await": (pool) => Effect.flatMap(pool.submit(Tasks.echo, 1), (submission) => submission.await),
    "submit and cancel": (pool) => Effect.flatMap(pool.submit(Tasks.echo, 1), (submission) => submission.cancel),
  };

  const onPoolFull: typeof onPool = {
    "map in chunks by time": (pool) => pool.map(Tasks.echo, numbers(200)),
    "mapUnordered in chunks by time": (pool) => Stream.runDrain(pool.mapUnordered(Tasks.echo, numbers(200))),
    "mapSettled": (pool) => pool.mapSettled(Tasks.echo, numbers(4), { chunkSize: 2 }),
    "mapStreamSettled": (pool) => Stream.runDrain(pool.mapStreamSettled(Tasks.echo)(Stream.range(1, 8))),
    "reduce": (pool) => pool.reduce(Effects.addEffect, numbers(9)),
    "mapReduce": (pool) => pool.mapReduce(Tasks.echo, Effects.addEffect, numbers(9)),
    "broadcast": (pool) => pool.broadcast(Tasks.echo, 1),
    "applyWith every option": (pool) =>
      pool.applyWith(Effects.addEffect, [1, 2], {
        affinity: "a",
        deadline: "1 hour",
        priority: 1,
        queueTimeout: "1 hour",
        retry: Schedule.recurs(1),
        timeout: "1 hour",
      }),
    "submit and wait": (pool) =>
      Effect.flatMap(Effect.forEach(numbers(3), (n) => pool.submit(Tasks.echo, n)), (all) => Pool.wait(all)),
    "submit and asCompleted": (pool) =>
      Effect.flatMap(
        Effect.forEach(numbers(3), (n) => pool.submit(Tasks.echo, n)),
        (all) => Stream.runDrain(Pool.asCompleted(all)),
      ),
    "insights": (pool) => pool.insights,
  };

  const makePool = Pool.make({ size: 2, gracePeriod: "1 hour" });

  /** The pool runs tasks, and becomes idle with the workers that it had. */
  const works = (pool: Pool.Pool) => (when: string): Effect.Effect<void, unknown> =>
    Effect.gen(function* () {
      assertEquals(yield* pool.apply(Tasks.echo, 7), 7, when);
      const { alive, replaced } = yield* Effect.repeat(Effect.zipLeft(pool.statistics, Effect.yieldNow()), {
        until: ({ busy, waiting }) => busy === 0 && waiting === 0,
      });
      assertEquals({ alive, replaced }, { alive: 2, replaced: 0 }, when);
    });

  check(
    `Pool: ${Object.keys(onPool).join(", ")}: each at any step leaves the pool as it was (storm)`,
    Effect.gen(function* () {
      const pool = yield* makePool;
      // Both workers have loaded Effect, so no sampled step falls into that.
      yield* pool.starmap(Effects.addEffect, [[1, 2], [3, 4]], { chunkSize: 1 });
      const sound = works(pool);
      for (const [title, operation] of Object.entries(onPool)) {
        yield* everywhere(operation(pool), { rounds: 120, turns: 6 }, (when) => sound(`${title} ${when}`));
      }
    }),
  );

  check(
    `Pool: ${Object.keys(onPoolFull).join(", ")}: each at any step leaves the pool as it was (full) (storm)`,
    Effect.gen(function* () {
      const pool = yield* makePool;
      yield* pool.starmap(Effects.addEffect, [[1, 2], [3, 4]], { chunkSize: 1 });
      const sound = works(pool);
      for (const [title, operation] of Object.entries(onPoolFull)) {
        yield* everywhere(operation(pool), { rounds: 60, turns: 6 }, (when) => sound(`${title} ${when}`));
      }
    }),
  );

  check(
    "Pool: operations of every kind at once, each interrupted some time or not at all, leave the pool as it was (full) (storm)",
    Effect.gen(function* () {
      const pool = yield* makePool;
      const operations = [...Object.values(onPool), ...Object.values(onPoolFull)];
      for (const round of numbers(rounds(5, 25))) {
        const fibers = yield* Effect.forEach(numbers(8), () =>
          Effect.suspend(() => {
            const operation = operations[Math.floor(random() * operations.length)](pool);
            const after = Math.floor(random() * 6);
            return Effect.fork(
              random() < 0.2 ? Effect.asVoid(operation) : interruptAtTurn(operation, after),
            );
          }));
        for (const exit of yield* Effect.forEach(fibers, Fiber.await)) {
          assert(Exit.isSuccess(exit), `round ${round}, seed ${seed}: ${exit}`);
        }
        yield* works(pool)(`round ${round}, seed ${seed}`);
      }
    }),
  );

  check(
    "Pool: a submission outlives its caller, if that was interrupted",
    Effect.gen(function* () {
      const pool = yield* makePool;
      for (const turns of numbers(6)) {
        const submitted: Array<Pool.Submission<number, unknown>> = [];
        const submitting = Effect.flatMap(pool.submit(Tasks.echo, turns), (submission) => {
          submitted.push(submission);
          return submission.await;
        });
        yield* interruptAtTurn(submitting, turns);
        for (const submission of submitted) assertEquals(yield* submission.await, turns);
      }
    }),
  );
};

const subprocess = SubprocessBackend.layer({ stderr: "null" });
const worker = WorkerBackend.layer();

await warmUp(Effect.provide(Process.run(Effects.addEffect, 1, 2), subprocess));
if (repeating) await warmUp(Effect.provide(Process.run(Effects.addEffect, 1, 2), worker));

suite("subprocess", subprocess, 100);
repeated(() => suite("worker", worker, 40));
