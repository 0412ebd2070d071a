/**
 * The options of the calls of a pool: retries, times, the bound of the queue, priorities; and maps that go on after a failure.
 *
 * @module
 */
import * as Cause from "effect/Cause";
import * as Deferred from "effect/Deferred";
import * as Duration from "effect/Duration";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Fiber from "effect/Fiber";
import type * as Layer from "effect/Layer";
import * as Logger from "effect/Logger";
import * as LogLevel from "effect/LogLevel";
import * as Metric from "effect/Metric";
import * as MetricState from "effect/MetricState";
import * as Option from "effect/Option";
import * as Schedule from "effect/Schedule";
import type * as Scope from "effect/Scope";
import * as Stream from "effect/Stream";
import { Backend, Pool, SharedMemory, SubprocessBackend, wait, WorkerBackend } from "../../mod.ts";
import * as Capabilities from "../../src/internal/child/capabilities.ts";
import { assert, assertEquals, assertInstanceOf, assertStringIncludes } from "../support/assert.ts";
import { everywhere } from "../support/steps.ts";
import { logging } from "../support/logs.ts";
import { gateway, signal, type Step, temporary, when } from "../support/suite.ts";
import * as Shared from "../support/tasks.ts";
import { withWorkers, Workers } from "../support/workers.ts";
import * as Tasks from "./pool_calls_tasks.ts";
import { repeated } from "../support/tier.ts";

const numbers = (n: number): ReadonlyArray<number> => Array.from({ length: n }, (_, i) => i);

const failure = (exit: Exit.Exit<unknown, unknown>): unknown =>
  Exit.isFailure(exit) ? Option.getOrUndefined(Cause.failureOption(exit.cause)) : undefined;

const refused = <A, E, R>(program: Effect.Effect<A, E, R>): Effect.Effect<Pool.PoolError["reason"], A, R> =>
  Effect.map(Effect.flip(program), (error) => {
    assertInstanceOf(error, Pool.PoolError);
    return error.reason;
  });

const impatient = { gracePeriod: "50 millis", forceKillAfter: "50 millis" } as const;

const suite = (
  name: string,
  layer: Layer.Layer<Backend.Backend>,
  small: Layer.Layer<Backend.Backend>,
  { killBusy }: Backend.Capabilities,
): void => {
  const steps: Array<Step<Backend.Backend | Workers | Scope.Scope>> = [];
  const check = <E>(
    title: string,
    program: Effect.Effect<unknown, E, Backend.Backend | Workers | Scope.Scope>,
  ): void => {
    steps.push([title, program]);
  };

  /** Occupies the only worker of a pool until the gate opens. */
  const occupy = (pool: Pool.Pool) =>
    Effect.gen(function* () {
      const begun = yield* signal;
      const gate = yield* gateway;
      const fiber = yield* Effect.fork(pool.apply(Shared.gate, begun.stream, gate.stream, 0));
      yield* begun.fired;
      return { release: Effect.zipRight(gate.open, Fiber.join(fiber)) };
    });

  // Retries

  check(
    "an idempotent task whose worker dies runs again, as often as the schedule says",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1 });
      assertEquals(
        yield* pool.applyWith(Tasks.diesAtFirst, [yield* temporary, 2], { retry: Schedule.recurs(2) }),
        3,
      );
      const submission = yield* pool.submitWith(Tasks.diesAtFirst, [yield* temporary, 1], {
        retry: Schedule.recurs(1),
      });
      assertEquals(yield* submission.await, 2);
      const error = yield* Effect.flip(
        pool.applyWith(Tasks.diesAtFirst, [yield* temporary, 2], { retry: Schedule.recurs(1) }),
      );
      assertInstanceOf(error, Backend.ProcessDied);
      const { completed, failed, retried } = yield* pool.statistics;
      assertEquals([completed, failed, retried], [2, 1, 4]);
    }),
  );

  check(
    "a task that is not idempotent does not run again, however it has failed",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1 });
      const path = yield* temporary;
      const retry = Schedule.recurs(5);
      assertInstanceOf(yield* Effect.flip(pool.applyWith(Tasks.diesOnce, [path], { retry })), Backend.ProcessDied);
      assertEquals(yield* Effect.flip(pool.applyWith(Tasks.failsOnce, [path], { retry })), "attempt 2");
      assertEquals(Deno.readTextFileSync(path), "xx");
    }),
  );

  check(
    "an idempotent task that fails runs again; the schedule receives its failure",
    Effect.gen(function* () {
      const { pool } = yield* Workers;
      const path = yield* temporary;
      const seen: Array<unknown> = [];
      const schedule = Schedule.tapInput(
        Schedule.recurs(3),
        (failure: unknown) => Effect.sync(() => seen.push(failure)),
      );
      assertEquals(yield* pool.applyWith(Tasks.failsAtFirst, [path, 2], { retry: { schedule } }), 3);
      assertEquals(seen, ["attempt 1", "attempt 2"]);
      const only = Schedule.whileInput(Schedule.forever, (failure: unknown) => failure !== "attempt 2");
      const other = yield* temporary;
      assertEquals(yield* Effect.flip(pool.applyWith(Tasks.failsAtFirst, [other, 2], { retry: only })), "attempt 2");
    }),
  );

  check(
    "a task that ran too long runs again if it is idempotent (full)",
    Effect.gen(function* () {
      const { pool } = yield* Workers;
      // The second attempt ends by itself, also on a busy machine.
      const options = { retry: Schedule.recurs(1), timeout: "2 seconds" } as const;
      assertEquals(yield* pool.applyWith(Tasks.hangsAtFirst, [yield* temporary], options), 2);
    }),
  );

  check(
    "a task that has killed too many workers is set aside with their deaths, and the rest of a map goes on",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1 });
      const exits = yield* pool.mapSettled(Tasks.killsAtFives, [1, 5, 2, 10], {
        retry: { schedule: Schedule.forever, kills: 2 },
      });
      assertEquals(exits.map((exit) => Exit.isSuccess(exit) ? exit.value : failure(exit) instanceof Pool.Poisoned), [
        1,
        true,
        2,
        true,
      ]);
      const poisoned = failure(exits[3]) as Pool.Poisoned;
      assertEquals(poisoned.task, "killsAtFives");
      assertEquals(poisoned.deaths.map(({ status }) => status), [
        { _tag: "Exited", code: 10 },
        { _tag: "Exited", code: 10 },
      ]);
      assertStringIncludes(poisoned.message, "it was set aside after it had killed 2 workers");
    }),
  );

  check(
    "a pool's retry applies to all its calls, and false turns it off (full)",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1, retry: Schedule.recurs(1) });
      assertEquals(yield* pool.apply(Tasks.diesAtFirst, yield* temporary, 1), 2);
      assertInstanceOf(
        yield* Effect.flip(pool.applyWith(Tasks.diesAtFirst, [yield* temporary, 1], { retry: false })),
        Backend.ProcessDied,
      );
      assertEquals(yield* pool.map(Tasks.killsAtFives, [1, 2]), [1, 2]);
    }),
  );

  check(
    "a task that waits for its next attempt can be cancelled, has a deadline, and ends with its pool",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1 });
      const retry = Schedule.spaced("1 hour");
      const resting = (count: number) => when(pool.statistics, ({ resting }) => resting === count);
      const one = yield* pool.submitWith(Tasks.failsAtFirst, [yield* temporary, 9], { retry });
      yield* resting(1);
      yield* one.cancel;
      assert(Exit.isInterrupted(yield* Effect.exit(one.await)));
      yield* resting(0);
      const fiber = yield* Effect.fork(pool.applyWith(Tasks.failsAtFirst, [yield* temporary, 9], { retry }));
      yield* resting(1);
      yield* Fiber.interrupt(fiber);
      yield* resting(0);
      const late = pool.applyWith(Tasks.failsAtFirst, [yield* temporary, 9], { retry, deadline: "50 millis" });
      assertEquals(yield* refused(late), "Deadline");
      const last = yield* pool.submitWith(Tasks.failsAtFirst, [yield* temporary, 9], { retry });
      yield* resting(1);
      yield* pool.terminate;
      assertEquals(yield* refused(last.await), "Terminated");
      assertEquals((yield* pool.statistics).resting, 0);
    }),
  );

  check(
    "close and join wait for a task that is tried again (full)",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1 });
      const submission = yield* pool.submitWith(Tasks.diesAtFirst, [yield* temporary, 1], {
        retry: Schedule.recurs(1),
      });
      yield* pool.close;
      yield* pool.join;
      assertEquals(yield* submission.poll, Option.some(Exit.succeed(2)));
    }),
  );

  // Several submissions

  /** Collects submissions in the order in which they settle. Returns when it watches them. */
  const collecting = <S extends Pool.Submission<unknown, unknown>>(submissions: ReadonlyArray<S>) =>
    Effect.gen(function* () {
      const closed = yield* Pool.make({ size: { min: 0, max: 1 } });
      yield* closed.close;
      const refused = yield* closed.submit(Shared.echo, 0);
      const begun = yield* Deferred.make<void>();
      // The one that has settled comes first.
      const stream = Pool.asCompleted<Pool.Submission<unknown, unknown>>([...submissions, refused]);
      const fiber = yield* Effect.fork(Stream.runCollect(Stream.tap(stream, () => Deferred.succeed(begun, undefined))));
      yield* Deferred.await(begun);
      return Effect.map(Fiber.join(fiber), (all) => Array.from(all, (one) => submissions.indexOf(one as S)).slice(1));
    });

  check(
    "wait returns what has settled: the first, the first failure, or all, or what there is after a time; it stops nothing",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1 });
      const { release } = yield* occupy(pool);
      const [one, two, failing, last] = [
        yield* pool.submit(Shared.echo, 1),
        yield* pool.submit(Shared.echo, 2),
        yield* pool.submit(Tasks.failsAt, 15_000),
        yield* pool.submit(Shared.echo, 4),
      ];
      const all = [last, failing, one, two, one];
      const names = ({ done, pending }: Pool.Waited<(typeof all)[number]>): string => {
        const name = (submission: (typeof all)[number]) =>
          ["one", "two", "failing", "last"][[one, two, failing, last].indexOf(submission as never)];
        return `${done.map(name)} | ${pending.map(name)}`;
      };
      assertEquals(names(yield* Pool.wait(all, { timeout: 0 })), " | last,failing,one,two");
      assertEquals(
        names(yield* Pool.wait(all, { timeout: 5, returnWhen: "firstCompleted" })),
        " | last,failing,one,two",
      );
      const first = yield* Effect.fork(Pool.wait(all, { returnWhen: "firstCompleted" }));
      const failure = yield* Effect.fork(Pool.wait(all, { returnWhen: "firstFailure" }));
      const every = yield* Effect.fork(Pool.wait(all));
      const stopped = yield* Effect.fork(Pool.wait([last]));
      const any = yield* Effect.fork(wait([two, last]));
      const order = yield* collecting([last, failing, one, two]);
      yield* Fiber.interrupt(stopped);
      yield* release;
      assertStringIncludes(names(yield* Fiber.join(first)), "one");
      assertStringIncludes(names(yield* Fiber.join(failure)), "failing");
      assertEquals(names(yield* Fiber.join(every)), "last,failing,one,two | ");
      assert((yield* Fiber.join(any)).includes(two));
      assertEquals(yield* order, [2, 3, 1, 0]);
      const again = Array.from(yield* Stream.runCollect(Pool.asCompleted(all)));
      assertEquals(again.map((submission) => all.indexOf(submission)), [0, 1, 2, 3]);
      assertEquals(
        names(yield* Pool.wait(all, { returnWhen: "firstCompleted", timeout: 0 })),
        "last,failing,one,two | ",
      );
      assertEquals(yield* Pool.wait([]), { done: [], pending: [] });
    }),
  );

  check(
    "wait and asCompleted count a submission that was cancelled, that was refused, and that its pool has stopped as settled",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1 });
      yield* occupy(pool);
      const [cancelled, stopped] = [yield* pool.submit(Shared.echo, 1), yield* pool.submit(Shared.echo, 2)];
      const seen = yield* collecting([stopped, cancelled]);
      yield* cancelled.cancel;
      const { done: [first, ...others] } = yield* Pool.wait([stopped, cancelled], { returnWhen: "firstFailure" });
      assert(first === cancelled && others.length === 0);
      yield* pool.terminate;
      const refused = yield* pool.submit(Shared.echo, 3);
      assertEquals((yield* Pool.wait([refused, stopped])).done.length, 2);
      assertEquals(yield* seen, [1, 0]);
    }),
  );

  // Chunks

  check(
    "a map of tiny items makes far fewer chunks than items, and keeps their order",
    Effect.gen(function* () {
      const { pool } = yield* Workers;
      const before = yield* pool.statistics;
      const items = numbers(20_000);
      assertEquals(yield* pool.map(Shared.square, items), items.map((n) => n * n));
      assertEquals(yield* pool.starmap(Shared.add, items.map((n) => [n, 1] as const)), items.map((n) => n + 1));
      const chunks = (yield* pool.statistics).completed - before.completed;
      assert(chunks <= 2_000, `${chunks} chunks of 40 000 items`);
    }),
  );

  check(
    "a map of slow items sends them one by one, and a given chunk size is exact",
    Effect.gen(function* () {
      const { pool } = yield* Workers;
      const chunks = (call: Effect.Effect<unknown, unknown>) =>
        Effect.gen(function* () {
          const before = yield* pool.statistics;
          yield* call;
          return (yield* pool.statistics).completed - before.completed;
        });
      assertEquals(yield* chunks(pool.map(Tasks.slow, numbers(30))), 30);
      assertEquals(yield* chunks(pool.map(Shared.square, numbers(30), { chunkSize: 1 })), 30);
      assertEquals(yield* chunks(pool.map(Shared.square, numbers(30), { chunkSize: 7 })), 5);
      assertEquals(yield* pool.map(Shared.square, []), []);
    }),
  );

  check(
    "a stream of tiny items makes far fewer chunks than items; slow items are sent one by one, as are those with a limit or a retry",
    Effect.gen(function* () {
      const { pool } = yield* Workers;
      const collected = (stream: Stream.Stream<number, unknown>, sort = false) =>
        Effect.gen(function* () {
          const before = yield* pool.statistics;
          const all = Array.from(yield* Stream.runCollect(stream));
          const results = sort ? all.toSorted((a, b) => a - b) : all;
          return { results, chunks: (yield* pool.statistics).completed - before.completed };
        });
      const items = numbers(10_000);
      const squares = items.map((n) => n * n);
      function* endless() {
        for (const n of items) yield n;
      }
      for (
        const { chunks, results } of [
          yield* collected(pool.mapStream(Shared.square)(Stream.range(0, 9_999))),
          yield* collected(pool.mapStream(Shared.squareEffect, { unordered: true })(Stream.range(0, 9_999)), true),
          yield* collected(pool.mapUnordered(Shared.square, items), true),
          yield* collected(pool.mapUnordered(Shared.square, endless()), true),
          yield* collected(pool.mapUnordered(Shared.square, new Float64Array(items)), true),
        ]
      ) {
        assertEquals(results, squares);
        assert(chunks <= 1_000, `${chunks} chunks of 10 000 items`);
      }
      const few = Stream.range(0, 29);
      assertEquals((yield* collected(pool.mapStream(Tasks.slow)(few))).chunks, 30);
      assertEquals((yield* collected(pool.mapUnordered(Tasks.slow, numbers(30)))).chunks, 30);
      for (const options of [{ timeout: "1 minute" }, { retry: Schedule.recurs(1) }, { chunkSize: 1 }] as const) {
        assertEquals((yield* collected(pool.mapStream(Shared.square, options)(few))).chunks, 30);
        assertEquals((yield* collected(pool.mapUnordered(Shared.square, numbers(30), options))).chunks, 30);
      }
    }),
  );

  check(
    "a failure in a stream of tiny items comes after the results of the items before it, and no item of its chunk runs after it (full)",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1 });
      const before = numbers(3_000);
      const items = (how: Tasks.Fragile["how"]): ReadonlyArray<Tasks.Fragile> => [
        ...before.map((n) => ({ n })),
        { n: -1, how },
        ...before.map((n) => ({ n: n + 10_000 })),
      ];
      let calls = 0;
      for (const unordered of [false, true]) {
        for (const task of [Tasks.fragile, Tasks.fragileEffect, Tasks.fragileChecked] as const) {
          for (const how of ["throws", "fails", "cannot be sent"] as const) {
            const results: Array<unknown> = [];
            const stream = pool.mapStream<Tasks.Fragile, unknown, unknown>(task, { unordered })(
              Stream.fromIterable(items(how)),
            );
            const exit = yield* Effect.exit(Stream.runForEach(stream, (n) => Effect.sync(() => results.push(n))));
            assert(Exit.isFailure(exit));
            assertEquals(
              results,
              task === Tasks.fragileChecked ? before.map((x) => new Shared.Point({ x, y: 0 })) : [...before],
            );
            const error = failure(exit);
            if (task === Tasks.fragileChecked || how === "cannot be sent") assertInstanceOf(error, Backend.EncodeError);
            else if (how === "fails") assertEquals(error, "it fails");
            else assertEquals((Option.getOrThrow(Cause.dieOption(exit.cause)) as Error).message, "it throws");
            const now = yield* pool.apply(Tasks.fragileCount);
            if (task !== Tasks.fragileChecked && how !== "cannot be sent") assertEquals(now - calls, 3_001);
            calls = now;
          }
        }
      }
    }),
  );

  check(
    "an item of a stream that cannot be sent fails it after the results of those before it, with its place",
    Effect.gen(function* () {
      const { pool } = yield* Workers;
      for (const chunkSize of [undefined, 1, 4]) {
        const results: Array<unknown> = [];
        const source = Stream.fromIterable([...numbers(2_000), () => 1, ...numbers(50)]);
        const stream = pool.mapStream(Shared.echo, { chunkSize })(source);
        const error = yield* Effect.flip(Stream.runForEach(stream, (n) => Effect.sync(() => results.push(n))));
        assertEquals(results, [...numbers(2_000)]);
        assertInstanceOf(error, Backend.EncodeError);
        assertEquals(error.path, chunkSize === 1 ? "args[0]" : "items[2000]");
      }
    }),
  );

  check(
    "chunks by time stay below the size limit of a message (full)",
    Effect.gen(function* () {
      const pool = yield* Effect.provide(Pool.make({ size: 2 }), small);
      const texts = numbers(60).map((n) => `${n}`.padEnd(60_000));
      assertEquals(yield* pool.map(Shared.echo, texts), texts);
      assertEquals(
        Array.from(yield* Stream.runCollect(pool.mapStream(Shared.echo)(Stream.fromIterable(texts)))),
        texts,
      );
      const unordered = Array.from(yield* Stream.runCollect(pool.mapUnordered(Shared.echo, texts)));
      assertEquals(unordered.toSorted(), texts.toSorted());
      const many = numbers(1_000).map((n) => `${n}`.padEnd(9_000));
      assertEquals(yield* pool.map(Shared.echo, many), many);
    }),
  );

  check(
    "a failure in a map of tiny items stops the rest, and an item that cannot be sent fails it before anything has run",
    Effect.gen(function* () {
      const { pool } = yield* Workers;
      const error = yield* Effect.flip(pool.map(Tasks.failsAt, numbers(20_000)));
      assertEquals(error, "15000 fails");
      const before = yield* pool.statistics;
      const items = [...numbers(15_000), () => 2, 1];
      const refusal = yield* Effect.flip(pool.map(Shared.echo, items));
      assertInstanceOf(refusal, Backend.EncodeError);
      assertEquals(refusal.path, "items[15000]");
      assertEquals((yield* pool.statistics).completed, before.completed);
    }),
  );

  check(
    "a pool whose tasks take less than their transfer gives a hint once; one whose tasks are worth it gives none (full)",
    logging((lines) =>
      Effect.gen(function* () {
        const hints = () => lines.filter((line) => line.includes("chunkSize"));
        const pool = yield* Pool.make({ size: 2 });
        yield* pool.map(Tasks.slow, numbers(1001), { chunkSize: 1 });
        yield* pool.map(Shared.square, numbers(3000), { chunkSize: 1 });
        assertEquals(hints(), []);
        const busy = yield* Pool.make({ size: 2 });
        for (let round = 0; round < 3; round++) yield* pool.map(Shared.square, numbers(20_000));
        for (let round = 0; round < 3; round++) yield* busy.map(Shared.square, numbers(1000), { chunkSize: 1 });
        yield* Effect.repeat(Effect.yieldNow(), { until: () => hints().length > 0 });
        assertEquals(hints().length, 1);
        assertStringIncludes(hints()[0], "DEBUG Tasks of the pool take ");
      })
    ).pipe(Logger.withMinimumLogLevel(LogLevel.Debug)),
  );

  // Maps that go on

  check(
    "mapSettled gives the Exit of each item in its place, whatever the chunk size",
    Effect.gen(function* () {
      const { pool } = yield* Workers;
      for (const task of [Tasks.mixed, Tasks.mixedEffect] as const) {
        for (const chunkSize of [undefined, 4]) {
          const exits = yield* pool.mapSettled<number, unknown, string>(task, numbers(12), { chunkSize });
          assertEquals(exits.length, 12);
          for (const [n, exit] of exits.entries()) {
            if (n % 6 === 0 && task === Tasks.mixed) {
              assert(Exit.isFailure(exit));
              assertEquals((Option.getOrThrow(Cause.dieOption(exit.cause)) as Error).message, `${n} throws`);
            } else if (n % 6 === 0) assertEquals(failure(exit), `${n} fails`);
            else if (n % 6 === 2) assertInstanceOf(failure(exit), Backend.EncodeError);
            else assertEquals(exit, Exit.succeed(2 * n));
          }
        }
      }
      assertEquals(yield* pool.mapSettled(Tasks.mixed, []), []);
    }),
  );

  check(
    "settled maps of tiny items make far fewer chunks than items; slow items are sent one by one, as are those with a limit or a retry",
    Effect.gen(function* () {
      const { pool } = yield* Workers;
      type Exits = Iterable<Exit.Exit<number, unknown>>;
      const chunks = (call: Effect.Effect<Exits, unknown>, expected: ReadonlyArray<number>) =>
        Effect.gen(function* () {
          const before = yield* pool.statistics;
          const exits = Array.from(yield* call, (exit) => Exit.getOrElse(exit, () => NaN));
          assertEquals(exits, expected);
          return (yield* pool.statistics).completed - before.completed;
        });
      const items = numbers(10_000);
      const squares = items.map((n) => n * n);
      const streamed = Stream.range(0, 9_999);
      for (
        const [call, expected] of [
          [pool.mapSettled(Shared.square, items), squares],
          [pool.mapSettled(Shared.squareEffect, items), squares],
          [pool.mapSettled(Shared.square, new Float64Array(items)), squares],
          [Stream.runCollect(pool.mapStreamSettled(Shared.square)(streamed)), squares],
        ] as const
      ) {
        const count = yield* chunks(call, expected);
        assert(count <= 1_000, `${count} chunks of 10 000 items`);
      }
      const few = numbers(30);
      assertEquals(yield* chunks(pool.mapSettled(Tasks.slow, few), yield* pool.map(Tasks.slow, few)), 30);
      for (const options of [{ timeout: "1 minute" }, { retry: Schedule.recurs(1) }, { chunkSize: 1 }] as const) {
        assertEquals(yield* chunks(pool.mapSettled(Shared.square, few, options), few.map((n) => n * n)), 30);
      }
    }),
  );

  check(
    "a death in a settled map of tiny items fails its chunk, once, and items after it are sent one by one",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1 });
      const killers = [10_000, 10_400, 10_600];
      const items = numbers(11_000).map((n) => killers.includes(n) ? 5 : 5 * n + 1);
      const progress = yield* Pool.progress;
      const exits = yield* pool.mapSettled(Tasks.killsAtFives, items, { progress });
      assertEquals(exits.length, items.length);
      const failed = exits.flatMap((exit, n) => Exit.isFailure(exit) ? [n] : []);
      assert(exits.every((exit, n) => Exit.isSuccess(exit) ? exit.value === items[n] : !!failure(exit)));
      assert(failed.every((n) => failure(exits[n]) instanceof Backend.ProcessDied));
      const chunk = failed.slice(0, -2);
      assert(chunk.includes(killers[0]) && chunk.length <= 64);
      assertEquals(chunk, numbers(chunk.length).map((n) => chunk[0] + n));
      assertEquals(failed.slice(-2), killers.slice(1));
      const { done, failed: count } = yield* progress.snapshot;
      assertEquals([done + count, count], [items.length, failed.length]);
      assertEquals((yield* pool.statistics).replaced, 3);
    }),
  );

  check(
    "results of a chunk that are too large together: the largest fail, and the others are kept",
    Effect.gen(function* () {
      const pool = yield* Effect.provide(Pool.make({ size: 1 }), small);
      const texts = [10, 60_000, 70_000, 10, 200_000].map((length) => "x".repeat(length));
      const exits = yield* pool.mapSettled(Tasks.repeat, [10, 60_000, 70_000, 10, 200_000], { chunkSize: 5 });
      const tooLarge = exits.map((exit) => failure(exit) instanceof Backend.MessageTooLarge);
      assertEquals(tooLarge, [false, false, true, false, true]);
      for (const n of [0, 1, 3]) assertEquals(exits[n], Exit.succeed(texts[n]));
      const alone = yield* pool.mapSettled(Tasks.repeat, [10, 60_000, 70_000, 10, 200_000], { chunkSize: 1 });
      assertEquals(alone.map(Exit.isSuccess), [true, true, true, true, false]);
      const many = numbers(300).map((n) => `${n}`.padEnd(n % 100 === 99 ? 40_000 : 50));
      const sent = yield* pool.mapSettled(Shared.echo, many);
      assertEquals(sent.filter(Exit.isFailure), []);
    }),
  );

  check(
    "mapSettled of more items than the stack is deep, all of which fail (full)",
    Effect.gen(function* () {
      const { pool } = yield* Workers;
      const exits = yield* pool.mapSettled(Tasks.mixed, numbers(20_000).map((n) => 6 * n), { chunkSize: 10_000 });
      assert(exits.length === 20_000 && exits.every(Exit.isFailure));
    }),
  );

  check(
    "mapSettled fails for an item that cannot be sent, before anything has run",
    Effect.gen(function* () {
      const { pool } = yield* Workers;
      const before = yield* pool.statistics;
      const error = yield* Effect.flip(pool.mapSettled(Shared.echo, [1, () => 2]));
      assertInstanceOf(error, Backend.EncodeError);
      assertEquals(error.path, "items[1]");
      assertEquals((yield* pool.statistics).completed, before.completed);
    }),
  );

  check(
    "mapStreamSettled emits the Exit of each element, and goes on after failures and deaths",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1 });
      for (const options of [{}, { chunkSize: 3 }, { unordered: true }]) {
        const stream = pool.mapStreamSettled(Tasks.mixed, options)(Stream.range(0, 11));
        const exits = Array.from(yield* Stream.runCollect(stream));
        assertEquals(exits.length, 12);
        assertEquals(exits.filter(Exit.isSuccess).length, 8);
        if (options.unordered !== true) assertEquals(exits[5], Exit.succeed(10));
      }
      const exits = yield* Stream.runCollect(pool.mapStreamSettled(Tasks.killsAtFives)(Stream.make(1, 5, 2)));
      assertEquals(Array.from(exits, (exit) => Exit.isSuccess(exit) || failure(exit) instanceof Backend.ProcessDied), [
        true,
        true,
        true,
      ]);
    }),
  );

  check(
    "a progress counts the items of its calls, and its changes end with them",
    Effect.gen(function* () {
      const { pool } = yield* Workers;
      const progress = yield* Pool.progress;
      const { done, failed, rate, timeLeft, total } = yield* progress.snapshot;
      assertEquals({ done, failed, rate, timeLeft, total }, {
        done: 0,
        failed: 0,
        rate: 0,
        timeLeft: Option.none(),
        total: Option.some(0),
      });
      const watch = (call: Effect.Effect<unknown, unknown>) =>
        Effect.gen(function* () {
          const begun = yield* Deferred.make<void>();
          const changes = Stream.tap(progress.changes, () => Deferred.succeed(begun, undefined));
          const fiber = yield* Effect.fork(Stream.runCollect(changes));
          yield* Deferred.await(begun);
          yield* Effect.exit(call);
          return Array.from(yield* Fiber.join(fiber));
        });
      const seen = yield* watch(pool.map(Shared.square, numbers(10), { chunkSize: 3, progress }));
      for (let i = 1; i < seen.length; i++) assert(seen[i].done >= seen[i - 1].done);
      assertEquals([seen.at(-1)!.done, seen.at(-1)!.failed, seen.at(-1)!.total], [10, 0, Option.some(10)]);
      assertEquals(Option.map(seen.at(-1)!.timeLeft, Duration.toMillis), Option.some(0));
      const more = yield* watch(pool.mapSettled(Tasks.mixed, numbers(6), { chunkSize: 2, progress }));
      assertEquals([more.at(-1)!.done, more.at(-1)!.failed, more.at(-1)!.total], [14, 2, Option.some(16)]);
      const stream = pool.mapStreamSettled(Tasks.mixed, { progress })(Stream.range(0, 5));
      const last = (yield* watch(Stream.runDrain(stream))).at(-1)!;
      assertEquals([last.done, last.failed, last.total, last.timeLeft], [18, 4, Option.none(), Option.none()]);
      const stopped = yield* watch(pool.map(Shared.failing, [1, 2, 3], { chunkSize: 3, progress }));
      assertEquals(stopped.at(-1)!.failed, 7);
      assertEquals((yield* watch(pool.map(Shared.square, [], { progress }))).at(-1)!.failed, 7);
    }),
  );

  check(
    "insights tell how long tasks wait and run, and what the workers do",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1 });
      const nothing = { count: 0, mean: 0, median: 0, p90: 0, p99: 0, max: 0 };
      const before = yield* pool.insights;
      for (const part of ["encode", "queueWait", "run", "work", "decode"] as const) assertEquals(before[part], nothing);
      assertEquals(before.slowest, []);
      assert(before.workers[0].start > 0);
      const { release } = yield* occupy(pool);
      const waiting = yield* pool.submit(Shared.add, 1, 2);
      yield* release;
      yield* waiting.await;
      const { queueWait, run, slowest, workers: [worker, ...others] } = yield* pool.insights;
      assertEquals([queueWait.count, run.count, worker.tasks, others], [2, 2, 2, []]);
      assert(queueWait.max > 0 && run.mean <= run.max && run.median <= run.p99);
      assertEquals(slowest.map(({ task }) => task).toSorted(), ["add", "gate"]);
      assert(slowest[0].millis >= slowest[1].millis && slowest[0].millis === run.max);
      assertEquals(slowest[0].worker, worker.name);
      assert(worker.busy > 0 && worker.idle >= 0);
      const { decode, encode, work } = yield* pool.insights;
      assertEquals([encode.count, work.count, decode.count], [2, 2, 2]);
      assert(encode.max > 0 && decode.max > 0 && work.max <= run.max);
    }),
  );

  check(
    "insights tell the memory of a worker after its tasks, and how long a replacement took to start (full)",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1 });
      const memory = Effect.map(pool.insights, ({ workers }) => Option.getOrElse(workers[0].memory, () => 0));
      yield* pool.apply(Tasks.fatten, 20);
      assert((yield* when(memory, (bytes) => bytes > 0)) > 20 * 2 ** 20);
      yield* Effect.flip(pool.apply(Tasks.killsAtFives, 5));
      yield* pool.apply(Shared.add, 1, 2);
      const { workers: [worker] } = yield* pool.insights;
      assert(worker.start > 0 && worker.tasks === 1);
    }),
  );

  check(
    "metrics count the tasks of all pools by their outcome, and the workers that were lost (full)",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1 });
      const counts = Effect.map(
        Metric.snapshot,
        (pairs) =>
          ["tasks_completed", "tasks_failed", "tasks_retried", "workers_lost"].map((name) => {
            const pair = pairs.find(({ metricKey }) => metricKey.name === `multiprocessing_pool_${name}`);
            return pair !== undefined && MetricState.isCounterState(pair.metricState)
              ? Number(pair.metricState.count)
              : NaN;
          }),
      );
      yield* Effect.flip(pool.apply(Tasks.killsAtFives, 5));
      yield* pool.applyWith(Tasks.failsAtFirst, [yield* temporary, 1], { retry: Schedule.recurs(1) });
      const before = yield* counts;
      yield* pool.apply(Shared.add, 1, 2);
      yield* Effect.flip(pool.apply(Tasks.killsAtFives, 5));
      yield* pool.applyWith(Tasks.failsAtFirst, [yield* temporary, 1], { retry: Schedule.recurs(1) });
      assertEquals((yield* counts).map((count, i) => count - before[i]), [2, 1, 1, 1]);
    }),
  );

  check(
    "watch gives the statistics again and again, until the pool has ended",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1 });
      const fiber = yield* Effect.fork(Stream.runCollect(pool.watch(1)));
      yield* pool.apply(Shared.add, 1, 2);
      yield* pool.close;
      yield* pool.join;
      const seen = Array.from(yield* Fiber.join(fiber));
      assertEquals([seen.at(-1)!.completed, seen.at(-1)!.alive], [1, 0]);
    }),
  );

  // Data

  check(
    "reduce combines the items from left to right, whatever the number of items and the chunk size",
    Effect.gen(function* () {
      const { pool } = yield* Workers;
      for (const task of [Tasks.concat, Tasks.concatEffect] as const) {
        for (const count of [0, 1, 2, 3, 7, 100]) {
          for (const chunkSize of [undefined, 1, 3, 1000]) {
            const items = numbers(count).map((n) => `${n},`);
            const expected = count === 0 ? Option.none() : Option.some(items.join(""));
            assertEquals(yield* pool.reduce(task, items, { chunkSize }), expected);
          }
        }
      }
      assertEquals(yield* pool.reduce(Shared.add, new Float64Array(10_000).fill(0.5)), Option.some(5000));
      assertEquals(yield* pool.reduce(Tasks.larger, [1, 5, 3]), Option.some(5));
      const points = [1, 4, 2].map((x) => new Shared.Point({ x, y: 0 }));
      const farthest = Option.getOrThrow(yield* pool.reduce(Tasks.farther, points));
      assert(farthest instanceof Shared.Point && farthest.x === 4);
      assertEquals(yield* Effect.flip(pool.reduce(Tasks.refuses, ["a", "b", "c"])), "a + b");
    }),
  );

  check(
    "mapReduce maps and combines the items from left to right, whatever the tasks and the chunk size",
    Effect.gen(function* () {
      const { pool } = yield* Workers;
      const words = numbers(23).map((n) => `${n}`);
      for (const join of [Tasks.concat, Tasks.concatEffect] as const) {
        for (const shout of [Tasks.shout, Tasks.shoutEffect, Tasks.shoutChecked, Tasks.shoutOnce] as const) {
          for (const chunkSize of [undefined, 1, 4, 1000]) {
            for (const count of [0, 1, 2, 23]) {
              const items = words.slice(0, count);
              const expected = count === 0 ? Option.none() : Option.some(items.map((word) => `${word}!`).join(""));
              assertEquals(yield* pool.mapReduce(shout, join, items, { chunkSize }), expected);
            }
          }
        }
      }
      assertEquals(yield* pool.mapReduce(Shared.square, Shared.add, new Float64Array(1000).fill(2)), Option.some(4000));
    }),
  );

  check(
    "mapReduce fails with the typed failure of either task, and with the path of an item that cannot be sent",
    Effect.gen(function* () {
      const { pool } = yield* Workers;
      assertEquals(yield* Effect.flip(pool.mapReduce(Tasks.shout, Tasks.refuses, ["a", "b", "c"])), "a! + b!");
      assertEquals(yield* Effect.flip(pool.mapReduce(Tasks.failsAt, Shared.add, numbers(15_001))), "15000 fails");
      const refusal = yield* Effect.flip(
        pool.mapReduce(Shared.echo, Tasks.either, ["a", "b", () => 1]),
      );
      assertInstanceOf(refusal, Backend.EncodeError);
      assertEquals(refusal.path, "items[2]");
    }),
  );

  check(
    "a map sends its items as they were when it began, whatever becomes of them meanwhile",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1 });
      const items = numbers(1000).map((n) => ({ n, list: new Float64Array([n]) }));
      const floats = new Float64Array(items.length).map((_, n) => n);
      for (const change of [() => items.length = 0, () => items.forEach((item) => item.n = item.list[0] = -1)]) {
        const sent = items.map((item) => structuredClone(item));
        const { release } = yield* occupy(pool);
        const echoes = yield* Effect.fork(pool.map(Shared.echo, items));
        const squares = yield* Effect.fork(pool.map(Shared.square, floats));
        yield* when(pool.statistics, ({ waiting }) => waiting > 1);
        change();
        floats.fill(-1);
        yield* release;
        assertEquals(yield* Fiber.join(echoes), sent);
        assertEquals(yield* Fiber.join(squares), sent.map(({ n }) => n * n));
        items.splice(0, items.length, ...sent);
        floats.forEach((_, n) => floats[n] = n);
      }
    }),
  );

  check(
    "tasks work on slices of shared memory, of which no process has a copy",
    Effect.gen(function* () {
      const { pool } = yield* Workers;
      const memory = yield* SharedMemory.make({ size: 8 * 1000 });
      const all = memory.array(Float64Array);
      for (let i = 0; i < all.length; i++) all[i] = i;
      const slices = [[0, 1], [1, 400], [400, 999], [999, 1000]].map(([from, to]) => [memory, from, to] as const);
      assertEquals(yield* pool.starmap(Tasks.squareSlice, slices), [1, 399, 599, 1]);
      assertEquals(Array.from(all), numbers(1000).map((n) => n * n));
    }),
  );

  check(
    "the numbers in a typed array are items",
    Effect.gen(function* () {
      const { pool } = yield* Workers;
      for (const items of [new Float64Array([1.5, 2, 3]), new Uint8Array([1, 2, 3]), new Int32Array(1000).fill(7)]) {
        for (const chunkSize of [undefined, 2]) {
          const expected = Array.from(items, (n) => n * n);
          assertEquals(yield* pool.map(Shared.square, items, { chunkSize }), expected);
          assertEquals(yield* pool.map(Shared.squareEffect, items, { chunkSize }), expected);
          assertEquals(
            (yield* pool.mapSettled(Shared.square, items, { chunkSize })).map((exit) => Exit.getOrElse(exit, () => -1)),
            expected,
          );
        }
      }
      assertEquals(yield* pool.map(Shared.echo, new BigInt64Array([1n, -2n])), [1n, -2n]);
    }),
  );

  // Streams and the bound of the queue

  check(
    "the elements of a stream and other calls enter a full queue in the order in which they came (full)",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1, queueCapacity: 1 });
      const { release } = yield* occupy(pool);
      const order: Array<unknown> = [];
      const noted = (n: unknown) => Effect.sync(() => void order.push(n));
      const call = (n: number) => Effect.fork(Effect.flatMap(pool.apply(Shared.echo, n), noted));

      const fibers: Array<Fiber.Fiber<void, unknown>> = [yield* call(1)];
      yield* when(pool.statistics, ({ waiting }) => waiting === 1);
      const pulled: Array<number> = [];
      const source = Stream.tap(Stream.fromIterable([2, 4]), (n) => Effect.sync(() => pulled.push(n)));
      const mapped = pool.mapStream(Shared.echo, { chunkSize: 1 })(source);
      fibers.push(yield* Effect.fork(Stream.runForEach(mapped, noted)));
      yield* when(Effect.sync(() => pulled.length), (length) => length > 0);
      yield* Effect.yieldNow();
      fibers.push(yield* call(3));
      yield* Effect.yieldNow();
      yield* release;
      yield* Effect.forEach(fibers, Fiber.join);
      assertEquals(order, [1, 2, 3, 4]);
    }),
  );

  check(
    "a stream through a pool never has more tasks in its queue than queueCapacity, also if Schemas encode them (full)",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1, queueCapacity: 2 });
      const { release } = yield* occupy(pool);
      const points = Stream.map(Stream.range(1, 20), (x) => new Shared.Point({ x, y: 0 }));
      const fibers = yield* Effect.forEach(
        [1, 2, 3],
        () => Effect.fork(Stream.runCollect(pool.mapStream(Shared.mirrorEffect, { lookAhead: 10 })(points))),
      );
      yield* when(pool.statistics, ({ waiting }) => waiting === 2);
      for (let i = 0; i < 100; i++) {
        yield* Effect.yieldNow();
        const { waiting } = yield* pool.statistics;
        assert(waiting <= 2, `${waiting} tasks wait`);
      }
      yield* release;
      for (const results of yield* Effect.forEach(fibers, Fiber.join)) {
        assertEquals(Array.from(results, ({ x }) => x), numbers(20).map((n) => -n - 1));
      }
    }),
  );

  // Time and order

  check(
    "a task that waits too long fails without having begun; queueTimeout does not limit its run",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1, queueTimeout: "30 millis" });
      const { release } = yield* occupy(pool);
      const path = yield* temporary;
      assertEquals(yield* refused(pool.apply(Tasks.diesOnce, path)), "QueueTimeout");
      assertEquals(yield* refused(pool.map(Shared.square, [1, 2], { queueTimeout: 1 })), "QueueTimeout");
      assertEquals(Deno.readTextFileSync(path), "");
      yield* release;
      assertEquals(yield* pool.apply(Shared.add, 1, 2), 3);
      assertEquals((yield* pool.statistics).waiting, 0);
    }),
  );

  check(
    "a deadline ends a task that waits, and one that runs",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1, ...impatient });
      assertEquals(yield* refused(pool.applyWith(Shared.never, [], { deadline: "30 millis" })), "Deadline");
      const { release } = yield* occupy(pool);
      assertEquals(yield* refused(pool.applyWith(Shared.add, [1, 2], { deadline: "30 millis" })), "Deadline");
      yield* release;
      assertEquals(yield* pool.applyWith(Shared.add, [1, 2], { deadline: "1 minute" }), 3);
    }),
  );

  check(
    "waiting tasks run in the order of their priorities, and of their submission",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1 });
      const { release } = yield* occupy(pool);
      const order: Array<number> = [];
      const submissions = yield* Effect.forEach(
        [[1, undefined], [2, 5], [3, -1], [4, 5], [5, 0.5], [6, 0]] as const,
        ([n, priority]) =>
          pool.submitWith(Shared.echo, [n], { priority, onSuccess: () => Effect.sync(() => order.push(n)) }),
      );
      yield* submissions[4].cancel;
      yield* release;
      for (const n of [0, 1, 2, 3, 5]) yield* submissions[n].await;
      yield* when(Effect.sync(() => order.length), (length) => length === 5);
      assertEquals(order, [2, 4, 1, 6, 3]);
    }),
  );

  check(
    "submit waits for room in the queue, and an interrupted one has submitted nothing",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1, queueCapacity: 2 });
      const { release } = yield* occupy(pool);
      const first = yield* pool.submit(Shared.echo, 1);
      const second = yield* pool.submit(Shared.echo, 2);
      const third = yield* Effect.fork(pool.submit(Shared.echo, 3));
      const fourth = yield* Effect.fork(pool.apply(Shared.echo, 4));
      const map = yield* Effect.fork(pool.map(Shared.square, numbers(50), { chunkSize: 1 }));
      yield* Effect.yieldNow();
      yield* Fiber.interrupt(third);
      assertEquals((yield* pool.statistics).waiting, 2);
      yield* first.cancel;
      yield* when(pool.statistics, ({ waiting }) => waiting === 2);
      yield* release;
      assertEquals(yield* second.await, 2);
      assertEquals(yield* Fiber.join(fourth), 4);
      assertEquals(yield* Fiber.join(map), numbers(50).map((n) => n * n));
      assertEquals(
        Array.from(yield* Stream.runCollect(pool.mapStream(Shared.square)(Stream.range(0, 49)))),
        numbers(50).map((n) => n * n),
      );
      assertEquals((yield* pool.statistics).waiting, 0);
    }),
  );

  check(
    "a pool that refuses tells so at once, and maps wait for room all the same",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1, queueCapacity: 1, whenFull: "refuse" });
      const { release } = yield* occupy(pool);
      const waiting = yield* pool.submit(Shared.echo, 1);
      assertEquals(yield* refused(pool.submit(Shared.echo, 2)), "QueueFull");
      assertEquals(yield* refused(pool.apply(Shared.echo, 2)), "QueueFull");
      const map = yield* Effect.fork(pool.map(Shared.square, [1, 2, 3], { chunkSize: 1 }));
      yield* release;
      assertEquals(yield* waiting.await, 1);
      assertEquals(yield* Fiber.join(map), [1, 4, 9]);
    }),
  );

  check(
    "a call that waits for room fails when the pool is terminated",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1, queueCapacity: 1, ...impatient });
      yield* pool.submit(Shared.never);
      yield* pool.submit(Shared.never);
      const calls = [pool.apply(Shared.echo, 1), pool.map(Shared.square, [1, 2], { chunkSize: 1 })] as const;
      const fibers = yield* Effect.forEach(calls, (call) => Effect.fork(call as Effect.Effect<unknown, unknown>));
      const submitting = yield* Effect.fork(Effect.flatMap(pool.submit(Shared.echo, 1), (made) => made.await));
      yield* Effect.yieldNow();
      yield* pool.terminate;
      for (const fiber of [...fibers, submitting]) assertEquals(yield* refused(Fiber.join(fiber)), "Terminated");
    }),
  );

  check(
    killBusy
      ? "a killable task runs where a busy worker can be killed"
      : "a killable task is refused, since a busy thread cannot be killed",
    Effect.gen(function* () {
      const { pool } = yield* Workers;
      if (killBusy) assertEquals(yield* pool.apply(Tasks.killable), 1);
      else assertEquals(yield* refused(pool.apply(Tasks.killable)), "Unsupported");
    }),
  );

  check(
    "a call with every option that is interrupted, at whatever step, leaves nothing behind (storm)",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1, queueCapacity: 1 });
      const options = {
        retry: Schedule.recurs(1),
        priority: 1,
        affinity: "a",
        queueTimeout: "1 minute",
        deadline: "1 minute",
      } as const;
      const calls: ReadonlyArray<Effect.Effect<unknown, unknown>> = [
        pool.applyWith(Shared.addEffect, [1, 2], options),
        pool.mapSettled(Shared.squareEffect, [1, 2, 3], options),
        Stream.runDrain(pool.mapStreamSettled(Shared.squareEffect, options)(Stream.range(0, 5))),
        pool.broadcast(Shared.addEffect, 1, 2),
        Effect.flatMap(pool.submitWith(Shared.addEffect, [1, 2], options), (submission) => submission.await),
      ];
      for (const call of calls) {
        yield* everywhere(call, { rounds: 30, turns: 3 }, (when) =>
          Effect.gen(function* () {
            assertEquals(yield* pool.apply(Shared.addEffect, 2, 3), 5, when);
            const { busy, resting, waiting } = yield* pool.statistics;
            assertEquals([busy, resting, waiting], [0, 0, 0], when);
          }));
      }
    }),
  );

  withWorkers(`calls of a pool on ${name}`, layer, 2, steps);
};

const maxMessageSize = 100_000;
suite(
  "subprocess",
  SubprocessBackend.layer({ stderr: "null" }),
  SubprocessBackend.layer({ maxMessageSize }),
  Capabilities.subprocess,
);
repeated(() => suite("worker", WorkerBackend.layer(), WorkerBackend.layer({ maxMessageSize }), Capabilities.worker));
