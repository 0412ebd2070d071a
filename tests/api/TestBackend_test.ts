/**
 * The backend for tests: the same pool as on any backend, and faults that happen when the script says.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Fiber from "effect/Fiber";
import * as Schedule from "effect/Schedule";
import * as Stream from "effect/Stream";
import * as TestClock from "effect/TestClock";
import * as TestContext from "effect/TestContext";
import { Backend, Pool, Process, Queue } from "../../mod.ts";
import * as TestBackend from "../../src/TestBackend.ts";
import { assert, assertEquals, assertInstanceOf } from "../support/assert.ts";
import { test } from "../support/suite.ts";
import * as Shared from "../support/tasks.ts";
import * as Tasks from "./pool_calls_tasks.ts";

const numbers = (n: number): ReadonlyArray<number> => Array.from({ length: n }, (_, i) => i);

const died = <A, E, R>(program: Effect.Effect<A, E, R>): Effect.Effect<Backend.ProcessDied, A, R> =>
  Effect.map(Effect.flip(program), (error) => {
    assertInstanceOf(error, Backend.ProcessDied);
    return error;
  });

/** Waits for a state without a clock. */
const until = (
  pool: Pool.Pool,
  holds: (statistics: Pool.Statistics) => boolean,
): Effect.Effect<Pool.Statistics> =>
  Effect.repeat(Effect.zipRight(Effect.yieldNow(), pool.statistics), { until: holds });

test(
  "tasks of each kind run, with Schemas, layers, streams and handles",
  Effect.gen(function* () {
    const pool = yield* Pool.make({ size: 2 });
    assertEquals(yield* pool.apply(Shared.add, 1, 2), 3);
    assertEquals(yield* pool.apply(Shared.addLater, 1, 2), 3);
    assertEquals(yield* pool.map(Shared.squareEffect, numbers(50), { chunkSize: 3 }), numbers(50).map((n) => n * n));
    assertEquals(yield* pool.apply(Shared.sum, Stream.range(1, 100)), 5050);
    assertEquals(Array.from(yield* Stream.runCollect(pool.stream(Shared.countTo, 1000))).length, 1000);
    const point = yield* pool.apply(Shared.mirrorEffect, new Shared.Point({ x: 1, y: 2 }));
    assert(point instanceof Shared.Point && point.x === -1);
    const shortage = yield* Effect.flip(pool.apply(Shared.failing, 7));
    assertEquals((shortage as Shared.Shortage).missing, 7);
    assertInstanceOf(yield* Effect.flip(pool.apply(Shared.returningFunction)), Backend.EncodeError);
    const exits = yield* pool.mapSettled(Tasks.mixed, numbers(6), { chunkSize: 6 });
    assertEquals(exits.map(Exit.isSuccess), [false, true, false, true, true, true]);
    assertEquals(yield* Process.run(Shared.add, 3, 4), 7);
    const queue = yield* Queue.make<number>();
    yield* queue.put(5);
    assertEquals(yield* queue.get, 5);
  }).pipe(Effect.provide(TestBackend.layer())),
);

for (
  const [title, action, status] of [
    ["is killed", TestBackend.kill(), { _tag: "Signaled", signal: "SIGKILL" }],
    ["exits", TestBackend.exit(7), { _tag: "Exited", code: 7 }],
    ["crashes", TestBackend.crash("boom"), { _tag: "Crashed", message: "boom" }],
  ] as const
) {
  test(
    `a worker that ${title} at its third request fails that task, before or after it has run`,
    Effect.gen(function* () {
      for (const when of ["received", "answered"] as const) {
        const pool = yield* Effect.provide(
          Pool.make({ size: 1 }),
          TestBackend.layer({ faults: [{ worker: 1, nth: 3, action, when }] }),
        );
        const { count } = yield* pool.apply(Tasks.counted);
        yield* pool.apply(Tasks.counted);
        assertEquals((yield* died(pool.apply(Tasks.counted))).status, status);
        assertEquals((yield* pool.apply(Tasks.counted)).count, count + (when === "received" ? 2 : 3));
        assertEquals((yield* pool.statistics).replaced, 1);
      }
    }),
  );
}

test(
  "attempts after a worker ran out of memory have a budget of their own",
  Effect.gen(function* () {
    const faults = [{ action: TestBackend.outOfMemory }];
    const pool = yield* Effect.provide(Pool.make({ size: 1 }), TestBackend.layer({ faults }));
    for (const outOfMemory of [0, 2]) {
      const before = yield* pool.statistics;
      const error = yield* died(
        pool.applyWith(Tasks.killsAtFives, [1], {
          retry: { schedule: Schedule.forever, outOfMemory, kills: Infinity },
        }),
      );
      assert(error.outOfMemory);
      assertEquals((yield* pool.statistics).retried - before.retried, outOfMemory);
    }
  }),
);

test(
  "limits and delays follow the clock of the test",
  Effect.gen(function* () {
    const faults = [{ task: "add", nth: 1, action: TestBackend.delay("1 hour") }];
    const pool = yield* Effect.provide(Pool.make({ size: 1 }), TestBackend.layer({ faults }));
    const slow = yield* Effect.fork(pool.apply(Shared.add, 1, 2));
    const impatient = yield* Effect.fork(
      Effect.flip(pool.applyWith(Shared.square, [3], { queueTimeout: "1 minute" })),
    );
    yield* until(pool, ({ busy, waiting }) => busy === 1 && waiting === 1);
    yield* TestClock.adjust("2 minutes");
    const error = yield* Fiber.join(impatient);
    assertInstanceOf(error, Pool.PoolError);
    assertEquals(error.reason, "QueueTimeout");
    yield* TestClock.adjust("1 hour");
    assertEquals(yield* Fiber.join(slow), 3);

    const retry = Schedule.spaced("1 day");
    const flaky = yield* Effect.fork(pool.applyWith(Tasks.sometimes, ["flaky"], { retry }));
    yield* until(pool, ({ resting }) => resting === 1);
    yield* TestClock.adjust("2 days");
    assertEquals(yield* Fiber.join(flaky), 2);
  }).pipe(Effect.provide(TestContext.TestContext)),
);

test(
  "a task that hangs is killed by its timeout, and runs again in another worker",
  Effect.gen(function* () {
    const faults = [{ nth: 1, action: TestBackend.hang }];
    const pool = yield* Effect.provide(
      Pool.make({ size: 1, timeout: "1 minute", gracePeriod: "1 minute", retry: Schedule.recurs(1) }),
      TestBackend.layer({ faults }),
    );
    const fiber = yield* Effect.fork(pool.apply(Tasks.killsAtFives, 1));
    yield* until(pool, ({ busy }) => busy === 1);
    yield* TestClock.adjust("3 minutes");
    assertEquals(yield* Fiber.join(fiber), 1);
    assertEquals((yield* pool.statistics).replaced, 1);
  }).pipe(Effect.provide(TestContext.TestContext)),
);

test(
  "a child that cannot be started fails the start",
  Effect.gen(function* () {
    const error = yield* Effect.flip(
      Effect.provide(Effect.scoped(Pool.make({ size: 3 })), TestBackend.layer({ unstartable: [2] })),
    );
    assertInstanceOf(error, Backend.SpawnError);
    assertEquals(
      error.message,
      "Cannot start PoolWorker-N:2: the script of the test says so".replace("N", /-(\d+):/.exec(error.message)![1]),
    );
  }),
);

test(
  "the same script gives the same story each time",
  Effect.gen(function* () {
    const story = Effect.gen(function* () {
      const faults = [
        { worker: 2, nth: 3, action: TestBackend.kill() },
        { task: "killsAtFives", nth: 9, action: TestBackend.exit(1), when: "answered" as const },
        { worker: 1, nth: 20, action: TestBackend.outOfMemory },
      ];
      const pool = yield* Effect.provide(Pool.make({ size: 3, prefetch: 1 }), TestBackend.layer({ faults }));
      const exits = yield* pool.mapSettled(Tasks.killsAtFives, numbers(60).map((n) => 5 * n + 1), { chunkSize: 1 });
      const { completed, failed, replaced } = yield* pool.statistics;
      return [exits.map(Exit.isSuccess), completed, failed, replaced] as const;
    });
    const first = yield* Effect.scoped(story);
    assertEquals(first.slice(1), [57, 3, 3]);
    for (let i = 0; i < 3; i++) assertEquals(yield* Effect.scoped(story), first);
  }),
);
