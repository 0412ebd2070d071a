/**
 * The life of a pool: submissions, start and end, for any behaviour of its workers.
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
import * as Schema from "effect/Schema";
import type * as Scope from "effect/Scope";
import * as Stream from "effect/Stream";
import { Backend, Pool, Process, SubprocessBackend, Task, WorkerBackend } from "../../mod.ts";
import * as Capabilities from "../../src/internal/child/capabilities.ts";
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertLessOrEqual,
  assertMatch,
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

const otherVersion = Effects.meta(import.meta.resolve("../fixtures/other_version.ts"));
const answer = Task.make(otherVersion, "answer", (_: number): string => "", { success: Schema.String });
const Positive = Schema.transform(Schema.Number, Schema.Number, {
  strict: true,
  decode: (n) => {
    if (n < 0) throw new RangeError("brittle");
    return n;
  },
  encode: (n) => n,
});
const brittle = Task.make(otherVersion, "brittle", (n: number): number => n, { success: Positive });

const numbers = (n: number): ReadonlyArray<number> => Array.from({ length: n }, (_, i) => i);

const said = (path: string): Effect.Effect<string> =>
  Effect.promise(async () => {
    await until("the task has begun", () => Deno.readTextFileSync(path) !== "");
    return Deno.readTextFileSync(path);
  });

const ended = (pid: number): Effect.Effect<void> => Effect.promise(() => gone([pid]));

const failureOf = (exit: Exit.Exit<unknown, unknown>): unknown =>
  Exit.isFailure(exit) ? Option.getOrUndefined(Cause.failureOption(exit.cause)) : undefined;

/** The reason why a pool refused a submission. */
const reasonOf = (error: unknown): string => error instanceof Pool.PoolError ? error.reason : String(error);

const refused = <A, E, R>(program: Effect.Effect<A, E, R>): Effect.Effect<Pool.PoolError, A, R> =>
  Effect.map(Effect.flip(program), (error) => {
    assertInstanceOf(error, Pool.PoolError);
    return error;
  });

/** For tasks that do not stop on request. */
const impatient = { gracePeriod: "20 millis", forceKillAfter: "20 millis" } as const;
/** For tasks that stop on request, even on a busy machine. */
const patient = { gracePeriod: "1 minute" } as const;

/** Registers the suite for one backend. */
const suite = (
  name: string,
  layer: Layer.Layer<Backend.Backend>,
  { killBusy, signals }: Backend.Capabilities,
): void => {
  const check = <E>(title: string, program: Effect.Effect<unknown, E, Backend.Backend | Scope.Scope>): void =>
    test(`pool lifetimes on ${name}: ${title}`, Effect.provide(program, layer));

  /** Occupies a worker until the gate opens. */
  const occupy = (pool: Pool.Pool) =>
    Effect.gen(function* () {
      const begun = yield* signal;
      const gate = yield* gateway;
      const submission = yield* pool.submit(Effects.gate, begun.stream, gate.stream, 0);
      yield* begun.fired;
      return { ...gate, submission };
    });

  // Submissions

  check(
    "submit goes on at once; poll tells when it is done, and await gives the result as often as one likes",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1 });
      const first = yield* occupy(pool);
      const second = yield* pool.submit(Tasks.echo, 5);
      assertEquals([yield* first.submission.poll, yield* second.poll], [Option.none(), Option.none()]);
      const impatient = yield* Effect.fork(second.await);
      yield* Effect.yieldNow();
      yield* Fiber.interrupt(impatient);
      yield* first.open;
      assertEquals(yield* Effect.all([second.await, second.await, second.await], { concurrency: 3 }), [5, 5, 5]);
      assertEquals(yield* second.await, 5);
      assertEquals(yield* second.poll, Option.some(Exit.succeed(5)));
      assertEquals(yield* first.submission.poll, Option.some(Exit.succeed(0)));
    }),
  );

  check(
    "a submission that fails has its typed failure; one that cannot be sent fails where it is handed in",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1 });
      const failing = yield* pool.submit(Effects.failing, 7);
      for (let i = 0; i < 2; i++) {
        const caught = yield* Effect.catchTag(failing.await, "Shortage", (error) => Effect.succeed(error.missing));
        assertEquals(caught, 7);
      }
      const polled = Option.getOrThrow(yield* failing.poll);
      assertEquals((failureOf(polled) as Effects.Shortage).missing, 7);
      const error = yield* Effect.flip(pool.submit(Effects.echo, { callback: () => 1 }));
      assertInstanceOf(error, Backend.EncodeError);
      const { busy, completed, failed, waiting } = yield* pool.statistics;
      assertEquals({ busy, completed, failed, waiting }, { busy: 0, completed: 0, failed: 1, waiting: 0 });
    }),
  );

  check(
    "cancel takes a submission back that waits: it never runs, and its callers are interrupted",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1 });
      const path = yield* temporary;
      const first = yield* occupy(pool);
      const waiting = yield* pool.submit(Tasks.wait, path);
      const awaiting = yield* Effect.fork(Effect.exit(waiting.await));
      yield* Effect.all([waiting.cancel, waiting.cancel], { concurrency: 2 });
      assert(Exit.isInterrupted(yield* Fiber.join(awaiting)));
      assert(Exit.isInterrupted(Option.getOrThrow(yield* waiting.poll)));
      assertEquals((yield* pool.statistics).waiting, 0);
      yield* first.open;
      yield* first.submission.await;
      yield* first.submission.cancel;
      assertEquals(yield* first.submission.await, 0);
      assertEquals(yield* pool.apply(Tasks.echo, 1), 1);
      assertEquals(Deno.readTextFileSync(path), "");
    }),
  );

  check(
    "cancel stops a submission that runs, and waits until its finalizers have run",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1, ...patient });
      const begun = yield* signal;
      const finalized = yield* signal;
      const running = yield* pool.submit(Effects.forever, begun.stream, finalized.stream);
      yield* begun.fired;
      yield* Effect.all([running.cancel, running.cancel], { concurrency: 2 });
      assert(yield* finalized.seen);
      assert(Exit.isInterrupted(yield* Effect.exit(running.await)));
      assertEquals((yield* pool.statistics).replaced, 0);
    }),
  );

  check(
    "callbacks have the result or the failure, once; those that raise are logged, and concern nobody else",
    logging((lines) =>
      Effect.gen(function* () {
        const heard: Array<unknown> = [];
        yield* Effect.scoped(Effect.gen(function* () {
          const pool = yield* Pool.make({ size: 1 });
          const hear = {
            onSuccess: (value: number) => Effect.sync(() => heard.push(value)),
            onFailure: (cause: Cause.Cause<unknown>) => Effect.sync(() => heard.push(Cause.squash(cause))),
          };
          const raising = [
            () => Effect.fail("the callback failed"),
            () => Effect.die(new Error("the callback died")),
            () => {
              throw new Error("the callback threw");
            },
          ];
          const submissions = [
            yield* pool.submitWith(Tasks.echo, [1], hear),
            ...yield* Effect.forEach(raising, (onSuccess) => pool.submitWith(Tasks.echo, [2], { onSuccess })),
            ...yield* Effect.forEach(raising, (onFailure) => pool.submitWith(Tasks.explode, ["no"], { onFailure })),
            yield* pool.submitWith(Tasks.explode, ["heard"], hear),
            yield* pool.submitWith(Tasks.echo, [3], hear),
          ];
          const exits = yield* Effect.forEach(submissions, (submission) => Effect.exit(submission.await));
          assertEquals(exits.map(Exit.isSuccess), [true, true, true, true, false, false, false, false, true]);
        }));
        // A scope that closes with success has waited for them.
        assertEquals(heard.length, 3);
        assertEquals([heard[0], (heard[1] as Error).message, heard[2]], [1, "heard", 3]);
        assertEquals(lines.length, 6, lines.join("\n"));
        for (const words of ["failed", "died", "threw"]) {
          assertEquals(lines.filter((line) => line.includes(`the callback ${words}`)).length, 2, lines.join("\n"));
        }
        assert(lines.every((line) => line.startsWith("ERROR A callback of task")));
      })
    ),
  );

  check(
    "a callback that never ends holds up nobody, and ends with the pool",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1 });
      const called = yield* Deferred.make<void>();
      const finalized = yield* Deferred.make<void>();
      const submission = yield* pool.submitWith(Tasks.echo, [1], {
        onSuccess: () =>
          Deferred.succeed(called, undefined).pipe(
            Effect.zipRight(Effect.never),
            Effect.ensuring(Deferred.succeed(finalized, undefined)),
          ),
      });
      yield* Deferred.await(called);
      assertEquals(yield* submission.await, 1);
      assertEquals(yield* pool.apply(Tasks.echo, 2), 2);
      yield* pool.terminate;
      yield* Deferred.await(finalized);
    }),
  );

  check(
    "mapUnordered gives what is done before what is not",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 2 });
      const path = yield* temporary;
      const order: Array<string> = [];
      yield* Stream.runForEach(pool.mapUnordered(Tasks.patient, [path, "", "", ""]), (item) =>
        Effect.sync(() => {
          order.push(item);
          if (order.length === 3) Deno.writeTextFileSync(path, "now");
        }));
      assertEquals(order, ["", "", "", path]);
    }),
  );

  check(
    "mapUnordered fails with the first failure, and stops the rest (full)",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1 });
      const error = yield* Effect.flip(Stream.runDrain(pool.mapUnordered(Effects.failing, numbers(500))));
      assertEquals((error as Effects.Shortage).missing, 0);
      const { busy, completed, waiting } = yield* when(pool.statistics, ({ busy, waiting }) => busy + waiting === 0);
      assertEquals([busy, completed, waiting], [0, 0, 0]);
      assertEquals(yield* pool.apply(Tasks.echo, 1), 1);
    }),
  );

  // Start

  check(
    "the initializer runs in each worker, once, before its first task, also in one that replaces another",
    Effect.gen(function* () {
      const path = yield* temporary;
      const pool = yield* Pool.make({ size: 2, initializer: Pool.initializer(Tasks.initialize, path) });
      assertEquals(Deno.readTextFileSync(path), "initialized\n".repeat(2));
      assertEquals(new Set(yield* pool.map(Tasks.initializations, numbers(20), { chunkSize: 1 })), new Set([1]));
      const error = yield* Effect.flip(pool.apply(Tasks.exit, 3));
      assertInstanceOf(error, Process.ProcessDied);
      yield* when(pool.statistics, ({ alive, replaced }) => alive === 2 && replaced === 1);
      assertEquals(new Set(yield* pool.map(Tasks.initializations, numbers(20), { chunkSize: 1 })), new Set([1]));
      assertEquals(Deno.readTextFileSync(path), "initialized\n".repeat(3));
      // The initializer does not count as a task of the pool.
      assertEquals((yield* pool.statistics).completed, 40);
    }),
  );

  for (const [how, cause] of [["raise", RangeError], ["exit", Process.ProcessDied]] as const) {
    check(
      `an initializer that does "${how}" fails the acquisition with its cause, and leaves no worker`,
      Effect.gen(function* () {
        const path = yield* temporary;
        Deno.writeTextFileSync(path, how);
        const initializer = Pool.initializer(Tasks.initialize, path);
        const error = yield* refused(Effect.scoped(Pool.make({ size: 3, initializer })));
        assertEquals(error.reason, "InitializerFailed");
        assertInstanceOf(error.cause, cause);
        assertStringIncludes(error.message, "initialize");
      }),
    );
  }

  check(
    "an initializer that cannot be sent, found or decoded fails the acquisition, typed",
    Effect.gen(function* () {
      const missing = Task.make(Effects.meta("file:///there/is/no such.ts"), crypto.randomUUID(), () => 1);
      const error = yield* refused(Effect.scoped(Pool.make({ size: 1, initializer: Pool.initializer(missing) })));
      assertEquals(error.reason, "InitializerFailed");
      assertInstanceOf(error.cause, Task.TaskError);
      const unencodable = Pool.initializer(Effects.echo, () => 1);
      assertInstanceOf(
        yield* Effect.flip(Effect.scoped(Pool.make({ size: 1, initializer: unencodable }))),
        Backend.EncodeError,
      );
    }),
  );

  check(
    "an acquisition whose initializer hangs can be interrupted, and leaves no worker (full)",
    Effect.gen(function* () {
      const path = yield* temporary;
      for (const task of killBusy ? [Tasks.wait, Tasks.spin] : [Tasks.wait]) {
        Deno.writeTextFileSync(path, "");
        const initializer = Pool.initializer<[string], number, never>(task, path);
        const making = yield* Effect.fork(Effect.scoped(Pool.make({ size: 2, initializer })));
        yield* said(path);
        assert(Exit.isInterrupted(yield* Fiber.interrupt(making)));
      }
    }),
  );

  check(
    "a worker that can no longer be initialized breaks the pool after some attempts, and waiting callers are told",
    Effect.gen(function* () {
      const path = yield* temporary;
      const pool = yield* Pool.make({ size: 1, initializer: Pool.initializer(Tasks.initialize, path) });
      Deno.writeTextFileSync(path, "raise");
      const dying = yield* pool.submit(Tasks.exit, 3);
      const waiting = yield* Effect.forEach(numbers(10), (n) => pool.submit(Tasks.echo, n));
      assertInstanceOf(yield* Effect.flip(dying.await), Process.ProcessDied);
      for (const submission of waiting) {
        const error = yield* refused(submission.await);
        assertEquals(error.reason, "Broken");
        assertStringIncludes(error.message, "initialize");
      }
      assertEquals(reasonOf(yield* Effect.flip(pool.apply(Tasks.echo, 1))), "Broken");
      assertEquals((yield* pool.statistics).alive, 0);
    }),
  );

  check(
    "a number of tasks for each worker that is no positive integer is refused, typed",
    Effect.gen(function* () {
      for (const maxTasksPerChild of [0, -1, 1.5, NaN]) {
        assertEquals((yield* refused(Effect.scoped(Pool.make({ size: 1, maxTasksPerChild })))).reason, "InvalidOption");
      }
    }),
  );

  // Fresh workers

  check(
    "with maxTasksPerChild a worker is replaced after so many tasks, and its state is lost",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1, maxTasksPerChild: 2 });
      const visits = yield* Effect.forEach(numbers(6), (n) => pool.apply(Tasks.visit, n));
      assertEquals(visits.map(({ calls }) => calls), [1, 2, 1, 2, 1, 2]);
      const workers = visits.map(({ identity }) => identity);
      assertEquals([workers[0], workers[2], workers[4]], [workers[1], workers[3], workers[5]]);
      assertEquals(new Set(workers).size, 3);
      if (signals) {
        const first = yield* pool.apply(Tasks.pid);
        assertEquals(yield* pool.apply(Tasks.pid), first);
        assert((yield* pool.apply(Tasks.pid)) !== first);
        yield* Effect.promise(() => gone([first]));
      }
      const { failed, recycled, replaced } = yield* when(pool.statistics, ({ recycled }) => recycled >= 2);
      assertEquals([failed, replaced], [0, 0]);
      assertLessOrEqual(recycled, 4);
    }),
  );

  check(
    "with maxTasksPerChild a chunk is one task, and a map larger than all workers is done (full)",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 2, maxTasksPerChild: 1 });
      assertEquals(yield* pool.map(Tasks.echo, numbers(60), { chunkSize: 10 }), numbers(60));
      const calls = (yield* pool.map(Tasks.visit, numbers(6), { chunkSize: 3 })).map(({ calls }) => calls);
      assertEquals(calls, [1, 2, 3, 1, 2, 3]);
    }),
  );

  for (const maxTasksPerChild of [1, 2]) {
    check(
      `with maxTasksPerChild ${maxTasksPerChild} a pool that is closed early finishes everything that it has${
        fullUnless(maxTasksPerChild === 1)
      }`,
      Effect.gen(function* () {
        const path = yield* temporary;
        const initializer = Pool.initializer(Tasks.initialize, path);
        const pool = yield* Pool.make({ size: 2, maxTasksPerChild, initializer });
        const submissions = yield* Effect.forEach(numbers(12), (n) => pool.submit(Tasks.echo, n));
        yield* pool.close;
        yield* pool.join;
        const exits = yield* Effect.forEach(submissions, (submission) => submission.poll);
        assertEquals(exits, numbers(12).map((n) => Option.some(Exit.succeed(n))));
        assertEquals((yield* pool.statistics).alive, 0);
        // Each worker that ran a task was initialized.
        const initialized = Deno.readTextFileSync(path).trimEnd().split("\n").length;
        assert(initialized >= 12 / maxTasksPerChild, `${initialized}`);
      }),
    );
  }

  // Time

  check(
    "a task that runs too long is stopped: its finalizers run, the caller has a typed Timeout, the worker lives",
    Effect.gen(function* () {
      for (const limited of ["pool", "call", "submission"]) {
        const pool = yield* Pool.make({ size: 1, ...patient, timeout: limited === "pool" ? "100 millis" : undefined });
        const finalized = yield* signal;
        const args = [Stream.empty, finalized.stream] as const;
        const options = { timeout: "100 millis" } as const;
        const call = limited === "pool"
          ? pool.apply(Effects.forever, ...args)
          : limited === "call"
          ? pool.applyWith(Effects.forever, [...args], options)
          : Effect.flatMap(pool.submitWith(Effects.forever, [...args], options), (submission) => submission.await);
        const error = yield* refused(call);
        assertEquals(error.reason, "Timeout");
        assertStringIncludes(error.message, "100 ms");
        // A task that was stopped before it began has no finalizers, and the next task finds the worker unchanged.
        const { failed, replaced } = yield* pool.statistics;
        assertEquals([failed, replaced], [1, 0]);
      }
    }),
  );

  check(
    "each chunk of a map has the time of one task, and the map fails with the Timeout",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1, timeout: "20 millis", ...impatient });
      const path = yield* temporary;
      assertEquals(reasonOf(yield* Effect.flip(pool.map(Tasks.patient, [path], { chunkSize: 1 }))), "Timeout");
      assertEquals((yield* when(pool.statistics, ({ alive }) => alive === 1)).busy, 0);
    }),
  );

  // End

  check(
    "a closed pool takes nothing more, finishes what it has, and join waits for that and for its workers",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1 });
      const first = yield* occupy(pool);
      const others = yield* Effect.forEach(numbers(50), (n) => pool.submit(Tasks.echo, n));
      const applying = yield* Effect.fork(pool.map(Tasks.echo, numbers(50), { chunkSize: 7 }));
      yield* when(pool.statistics, ({ waiting }) => waiting === 58);
      yield* pool.close;
      yield* pool.close;
      for (
        const call of [
          Effect.asVoid(pool.apply(Tasks.echo, 1)),
          Effect.asVoid(pool.map(Tasks.echo, [1])),
          Effect.asVoid(pool.starmap(Tasks.echo, [[1]])),
          Stream.runDrain(pool.mapUnordered(Tasks.echo, [1])),
          Stream.runDrain(pool.stream(Effects.countTo, 1)),
          Effect.flatMap(pool.submit(Tasks.echo, 1), (submission) => Effect.asVoid(submission.await)),
        ]
      ) assertEquals((yield* refused(call)).reason, "Closed");
      const joining = yield* Effect.fork(pool.join);
      const gaveUp = yield* Effect.fork(pool.join);
      yield* Effect.yieldNow();
      yield* Fiber.interrupt(gaveUp);
      assertEquals(yield* Fiber.poll(joining), Option.none());
      yield* first.open;
      yield* Fiber.join(joining);
      yield* Effect.all([pool.join, pool.join], { concurrency: 2 });
      assertEquals(yield* Effect.forEach(others, (submission) => submission.await), numbers(50));
      assertEquals(yield* Fiber.join(applying), numbers(50));
      const { alive, busy, completed, failed, replaced, waiting } = yield* pool.statistics;
      assertEquals({ alive, busy, completed, failed, replaced, waiting }, {
        alive: 0,
        busy: 0,
        completed: 59,
        failed: 0,
        replaced: 0,
        waiting: 0,
      });
    }),
  );

  check(
    "a closed pool finishes the streams that are being run, and join waits for their readers; only new ones are refused (full)",
    Effect.gen(function* () {
      const many = numbers(60);
      const source = Stream.fromIterable(many);
      const streams: ReadonlyArray<(pool: Pool.Pool) => Stream.Stream<number, unknown>> = [
        (pool) => source.pipe(pool.mapStream(Tasks.echo)),
        (pool) => source.pipe(pool.mapStream(Tasks.echo, { chunkSize: 7, lookAhead: 2 })),
        (pool) => source.pipe(pool.mapStream(Tasks.echo, { unordered: true })),
        (pool) => pool.mapUnordered(Tasks.echo, many),
        (pool) => pool.mapUnordered(Tasks.echo, many, { chunkSize: 3 }),
        (pool) => pool.stream(Effects.countTo, 60),
      ];
      for (const make of streams) {
        const pool = yield* Pool.make({ size: 1 });
        const stream = make(pool);
        const begun = yield* Deferred.make<void>();
        const gate = yield* Deferred.make<void>();
        const reader = stream.pipe(
          Stream.tap(() => Effect.zipRight(Deferred.succeed(begun, undefined), Deferred.await(gate))),
          Stream.runCollect,
        );
        const reading = yield* Effect.fork(reader);
        yield* Deferred.await(begun);
        yield* pool.close;
        assertEquals((yield* refused(Stream.runDrain(stream))).reason, "Closed");
        const joining = yield* Effect.fork(pool.join);
        yield* Effect.yieldNow();
        assertEquals(yield* Fiber.poll(joining), Option.none());
        yield* Deferred.succeed(gate, undefined);
        assertEquals([...yield* Fiber.join(reading)].length, 60);
        yield* Fiber.join(joining);
        const { alive, failed } = yield* pool.statistics;
        assertEquals({ alive, failed }, { alive: 0, failed: 0 });
      }
    }),
  );

  check(
    "a closed pool that is terminated before the reader of its stream has read it can be joined",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1 });
      const begun = yield* Deferred.make<void>();
      const reading = yield* Stream.fromIterable(numbers(60)).pipe(
        pool.mapStream(Tasks.echo),
        Stream.runForEach(() => Effect.zipRight(Deferred.succeed(begun, undefined), Effect.never)),
        Effect.fork,
      );
      yield* Deferred.await(begun);
      yield* pool.close;
      const joining = yield* Effect.fork(pool.join);
      yield* Effect.yieldNow();
      yield* pool.terminate;
      yield* Fiber.join(joining);
      yield* Fiber.interrupt(reading);
    }),
  );

  check(
    "a pool that was not closed cannot be joined, a typed error, and goes on; a terminated one can",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1 });
      const error = yield* refused(pool.join);
      assertEquals(error.reason, "Open");
      assertStringIncludes(error.message, "close");
      assertEquals(yield* pool.apply(Tasks.echo, 1), 1);
      yield* pool.terminate;
      yield* pool.join;
      yield* pool.close;
      assertEquals((yield* refused(pool.apply(Tasks.echo, 1))).reason, "Closed");
    }),
  );

  check(
    "terminate with 10 000 in the queue settles each of them, and those that run, as Terminated (full)",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1, ...patient });
      const begun = yield* signal;
      const finalized = yield* signal;
      const running = yield* pool.submit(Effects.forever, begun.stream, finalized.stream);
      yield* begun.fired;
      const queued = yield* Effect.forEach(numbers(9_000), (n) => pool.submit(Tasks.echo, n));
      const applying = yield* Effect.forEach(numbers(999), (n) => Effect.fork(pool.apply(Tasks.echo, n)));
      const mapping = yield* Effect.fork(pool.map(Tasks.echo, [1]));
      yield* when(pool.statistics, ({ waiting }) => waiting === 10_000);
      yield* Effect.all([pool.terminate, pool.terminate], { concurrency: 2 });
      yield* pool.terminate;
      assert(yield* finalized.seen);
      const exits = [
        yield* Effect.exit(running.await),
        ...(yield* Effect.forEach(queued, (submission) => submission.poll)).map(Option.getOrThrow),
        ...yield* Effect.forEach(applying, Fiber.await),
        yield* Fiber.await(mapping),
      ];
      assertEquals(exits.length, 10_001);
      assertEquals(new Set(exits.map((exit) => reasonOf(failureOf(exit)))), new Set(["Terminated"]));
      const { alive, busy, failed, waiting } = yield* pool.statistics;
      assertEquals({ alive, busy, failed, waiting }, { alive: 0, busy: 0, failed: 10_001, waiting: 0 });
    }),
  );

  check(
    "terminate ends a plain function, which cannot be asked, with its worker, and it is Terminated",
    Effect.gen(function* () {
      const path = yield* temporary;
      const pool = yield* Pool.make({ size: 1, ...impatient });
      const running = yield* pool.submit(Tasks.wait, path);
      yield* said(path);
      yield* pool.terminate;
      assertEquals((yield* refused(running.await)).reason, "Terminated");
      assertEquals((yield* pool.statistics).alive, 0);
    }),
  );

  check(
    "a pool that is terminated twice, by fibers that are interrupted, waits for the finalizers all the same, and ends its workers (full)",
    Effect.gen(function* () {
      const begun = yield* signal;
      const finalizing = yield* signal;
      const gate = yield* gateway;
      const made = yield* Deferred.make<Pool.Pool>();
      const scope = yield* Effect.fork(Effect.scoped(Effect.gen(function* () {
        const pool = yield* Pool.make({ size: 2, ...patient });
        yield* pool.submit(Family.reluctant, begun.stream, finalizing.stream, gate.stream);
        yield* begun.fired;
        yield* Deferred.succeed(made, pool);
        return yield* Effect.never;
      })));
      const pool = yield* Deferred.await(made);
      const terminating = yield* Effect.all([pool.terminate, pool.terminate].map(Effect.fork));
      yield* finalizing.fired;
      for (let i = 0; i < 3; i++) {
        for (const fiber of [scope, ...terminating]) yield* Fiber.interruptFork(fiber);
        yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 0)));
      }
      assertEquals((yield* pool.statistics).busy, 1);
      yield* gate.open;
      yield* Fiber.awaitAll([scope, ...terminating]);
      const { alive, busy, replaced } = yield* pool.statistics;
      assertEquals({ alive, busy, replaced }, { alive: 0, busy: 0, replaced: 0 });
    }),
  );

  check(
    "the reader of a Stream of a terminated pool has a typed error, whether it pulls at that moment or later (full)",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 2, ...impatient });
      const looking = yield* Deferred.make<void>();
      const terminated = yield* Deferred.make<void>();
      const reading = yield* Effect.fork(Effect.flip(Stream.runForEach(
        pool.stream(Effects.countTo, 1_000_000_000),
        () => Deferred.succeed(looking, undefined),
      )));
      const away = yield* Deferred.make<void>();
      const later = yield* Effect.fork(Effect.flip(Stream.runForEach(
        pool.stream(Effects.countTo, 1_000_000_000),
        () => Effect.zipRight(Deferred.succeed(away, undefined), Deferred.await(terminated)),
      )));
      yield* Deferred.await(looking);
      yield* Deferred.await(away);
      yield* pool.terminate;
      yield* Deferred.succeed(terminated, undefined);
      for (const fiber of [reading, later]) {
        const error = yield* Fiber.join(fiber);
        assert(error instanceof Process.ProcessDied || reasonOf(error) === "Terminated", String(error));
      }
      const { busy, waiting } = yield* pool.statistics;
      assertEquals({ busy, waiting }, { busy: 0, waiting: 0 });
    }),
  );

  check(
    "a scope that closes with success waits for what was submitted",
    Effect.gen(function* () {
      const { first, others } = yield* Effect.scoped(Effect.gen(function* () {
        const pool = yield* Pool.make({ size: 1 });
        const first = yield* occupy(pool);
        const others = yield* Effect.forEach(numbers(20), (n) => pool.submit(Tasks.echo, n));
        // Finalizers run in reverse order, so this one runs before the pool is released.
        yield* Effect.addFinalizer(() => first.open);
        return { first, others };
      }));
      assertEquals(yield* first.submission.poll, Option.some(Exit.succeed(0)));
      const exits = yield* Effect.forEach(others, (submission) => submission.poll);
      assertEquals(exits, numbers(20).map((n) => Option.some(Exit.succeed(n))));
    }),
  );

  for (const how of ["fails", "is interrupted"]) {
    check(
      `a scope that ${how} stops what was submitted: finalizers run, and each is Terminated${
        fullUnless(how === "fails")
      }`,
      Effect.gen(function* () {
        const begun = yield* signal;
        const finalized = yield* signal;
        const submitted = yield* Deferred.make<ReadonlyArray<Pool.Submission<number, unknown>>>();
        const fiber = yield* Effect.fork(Effect.scoped(Effect.gen(function* () {
          const pool = yield* Pool.make({ size: 1, ...patient });
          const running = yield* pool.submit(Effects.forever, begun.stream, finalized.stream);
          const waiting = yield* Effect.forEach(numbers(20), (n) => pool.submit(Tasks.echo, n));
          yield* begun.fired;
          yield* Deferred.succeed(submitted, [running, ...waiting]);
          return yield* how === "fails" ? Effect.fail("broken off") : Effect.never;
        })));
        const submissions = yield* Deferred.await(submitted);
        if (how !== "fails") yield* Fiber.interrupt(fiber);
        assert(Exit.isFailure(yield* Fiber.await(fiber)));
        assert(yield* finalized.seen);
        const exits = yield* Effect.forEach(submissions, (submission) => submission.poll);
        assertEquals(
          exits.map((exit) => reasonOf(failureOf(Option.getOrThrow(exit)))),
          exits.map(() => "Terminated"),
        );
      }),
    );
  }

  check(
    "a scope that is interrupted while it waits for what was submitted stops it (full)",
    Effect.gen(function* () {
      const begun = yield* signal;
      const finalized = yield* signal;
      const closing = yield* Deferred.make<void>();
      const fiber = yield* Effect.fork(Effect.scoped(Effect.gen(function* () {
        const pool = yield* Pool.make({ size: 1, ...patient });
        yield* pool.submit(Effects.forever, begun.stream, finalized.stream);
        yield* begun.fired;
        yield* Effect.addFinalizer(() => Deferred.succeed(closing, undefined));
      })));
      yield* Deferred.await(closing);
      yield* Fiber.interrupt(fiber);
      assert(yield* finalized.seen);
    }),
  );

  // Failures

  check(
    "a result that its caller cannot decode concerns that task alone, also when the decoder throws",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1 });
      const calls = yield* Effect.forEach(
        [1, -1, 2, -2, 3],
        (n) => Effect.exit(pool.apply(answer, n)),
        { concurrency: "unbounded" },
      );
      assertEquals(
        calls.map((exit) => Exit.isSuccess(exit) ? exit.value : failureOf(exit) instanceof Backend.DecodeError),
        [
          "1",
          true,
          "2",
          true,
          "3",
        ],
      );
      assertInstanceOf(yield* Effect.flip(pool.map(answer, [1, -1, 2], { chunkSize: 2 })), Backend.DecodeError);
      const thrown = yield* Effect.exit(pool.apply(brittle, -1));
      assert(Exit.isFailure(thrown));
      assertStringIncludes(Cause.pretty(thrown.cause), "brittle");
      assertEquals(yield* pool.apply(brittle, 1), 1);
      const { alive, busy, replaced, waiting } = yield* pool.statistics;
      assertEquals({ alive, busy, replaced, waiting }, { alive: 1, busy: 0, replaced: 0, waiting: 0 });
    }),
  );

  check(
    "statistics count a task with a success Schema by what its caller gets, and join waits until that is decoded",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1 });
      const calls: ReadonlyArray<Effect.Effect<unknown, unknown, Scope.Scope>> = [
        pool.apply(brittle, 1),
        pool.map(brittle, [1, 2], { chunkSize: 2 }),
        Stream.runDrain(Stream.make(1).pipe(pool.mapStream(brittle))),
        Stream.runDrain(pool.mapUnordered(brittle, [1])),
        Effect.flatMap(pool.submit(brittle, 1), (submission) => submission.await),
        Effect.exit(pool.apply(answer, 1)),
        Effect.exit(pool.apply(answer, -1)),
        Effect.exit(pool.apply(brittle, -1)),
      ];
      yield* Effect.forEach(calls, (call) => call);
      const { completed, failed } = yield* pool.statistics;
      assertEquals({ completed, failed }, { completed: 6, failed: 2 });
      const last = yield* pool.submit(brittle, 1);
      yield* pool.close;
      yield* pool.join;
      assertEquals(yield* last.poll, Option.some(Exit.succeed(1)));
      assertEquals((yield* pool.statistics).completed, 7);
    }),
  );

  check(
    "workers that die with large arguments on their way fail their own tasks, and no other (full)",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 2 });
      const bytes = new Uint8Array(2 * 1024 * 1024);
      const codes = numbers(24).map((n) => n % 6 === 3 ? 1 + n : 0);
      const exits = yield* Effect.forEach(codes, (code) => Effect.exit(pool.apply(Tasks.large, bytes, code)), {
        concurrency: "unbounded",
      });
      assertEquals(
        exits.map((exit) => {
          const error = failureOf(exit);
          return Exit.isSuccess(exit) ? exit.value : error instanceof Process.ProcessDied && error.status;
        }),
        codes.map((code) => code === 0 ? bytes.length : { _tag: "Exited" as const, code }),
      );
      yield* when(pool.statistics, ({ alive }) => alive === 2);
    }),
  );

  check(
    "a pool whose workers die as soon as they live is Broken before it is made, and does not start them for ever",
    Effect.gen(function* () {
      const backend = yield* Backend.Backend;
      let started = 0;
      const stillborn: Backend.Backend = {
        ...backend,
        spawn: (command) =>
          Effect.tap(backend.spawn(command), (child) => {
            started++;
            return Effect.orDie(child.kill("SIGKILL"));
          }),
      };
      const broken = yield* Effect.flip(Effect.provideService(Pool.make({ size: 2 }), Backend.Backend, stillborn));
      assertEquals(reasonOf(broken), "Broken");
      assertLessOrEqual(started, 12);
    }),
  );

  check(
    "a pool whose workers come up and die before they have had any work is Broken, and does not start them for ever (full)",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1, initializer: Pool.initializer(Tasks.succumb) });
      // One death for each, and the fourth in a row breaks the pool.
      yield* when(pool.statistics, ({ alive, replaced }) => alive === 0 && replaced >= 3);
      for (let i = 0; i < 3; i++) assertEquals(reasonOf(yield* Effect.flip(pool.apply(Tasks.echo, 1))), "Broken");
      assertEquals((yield* pool.statistics).replaced, 3);
    }),
  );

  check(
    "a pool whose workers can no longer be started is Broken, says why, and tells waiting callers",
    Effect.gen(function* () {
      const backend = yield* Backend.Backend;
      let left = 2;
      const exhausted: Backend.Backend = {
        ...backend,
        spawn: (command) =>
          left-- > 0
            ? backend.spawn(command)
            : Effect.fail(new Backend.SpawnError({ reason: "Failed", message: "there are no more" })),
      };
      const pool = yield* Effect.provideService(Pool.make({ size: 2 }), Backend.Backend, exhausted);
      const dying = yield* Effect.forEach([1, 2], (code) => pool.submit(Tasks.exit, code));
      const waiting = yield* Effect.forEach(numbers(5), (n) => pool.submit(Tasks.wait, `${n}`));
      for (const submission of dying) assertInstanceOf(yield* Effect.flip(submission.await), Process.ProcessDied);
      for (const submission of waiting) {
        const error = yield* refused(submission.await);
        assertEquals(error.reason, "Broken");
        assertStringIncludes(error.message, "there are no more");
        assertInstanceOf(error.cause, Backend.SpawnError);
      }
      assertEquals((yield* pool.statistics).alive, 0);
    }),
  );

  // Families

  check(
    "workers are daemons named after their pool, and may have pools of their own, whose workers as well (full)",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 2 });
      const self = yield* pool.apply(Effects.whoAmI);
      assertMatch(self.name, /^PoolWorker-\d+:\d+$/);
      assertEquals([self.daemon, self.parent?.name, self.parent?.pid], [true, "MainProcess", Deno.pid]);
      assertEquals(yield* pool.starmap(Family.poolInPool, [[5, 1], [3, 0]], { chunkSize: 1 }), [20, 3]);
    }),
  );

  for (const end of ["terminate", "join"] as const) {
    check(
      `a callback may ${end} its own pool`,
      Effect.gen(function* () {
        const ended = yield* Deferred.make<void>();
        const pool = yield* Pool.make({ size: 1 });
        const submission = yield* pool.submitWith(Tasks.echo, [1], {
          onSuccess: () => Effect.zipRight(Effect.zipRight(pool.close, pool[end]), Deferred.succeed(ended, undefined)),
        });
        assertEquals(yield* submission.await, 1);
        yield* Deferred.await(ended);
        assertEquals((yield* pool.statistics).alive, 0);
      }),
    );
  }

  check(
    "a pool in a pool is ended when the outer one is (full)",
    Effect.gen(function* () {
      const path = yield* temporary;
      yield* Effect.scoped(Effect.gen(function* () {
        const pool = yield* Pool.make({ size: 1 });
        yield* Effect.fork(pool.apply(Family.outer, path));
        yield* said(path);
      }));
      // If its parent has not waited for it, the system's first process does, some time.
      if (signals) assert(["Z", undefined].includes(processEntry(Number(Deno.readTextFileSync(path)))?.state));
    }),
  );

  if (killBusy) {
    check(
      "a busy loop that runs too long is killed: the core is free, the caller has a typed Timeout",
      Effect.gen(function* () {
        const path = yield* temporary;
        const pool = yield* Pool.make({ size: 1, ...impatient, timeout: "1 hour" });
        const running = yield* pool.submitWith(Tasks.spin, [path], { timeout: "500 millis" });
        const error = yield* refused(running.await);
        assertEquals(error.reason, "Timeout");
        const pid = Deno.readTextFileSync(path);
        if (pid !== "") yield* ended(Number(pid));
        assertEquals(yield* pool.apply(Tasks.echo, 1), 1);
        assertEquals((yield* pool.statistics).replaced, 1);
      }),
    );

    check(
      "terminate ends a pool whose workers are all in busy loops, or stopped by SIGSTOP",
      Effect.gen(function* () {
        const paths = yield* Effect.all([temporary, temporary]);
        const pool = yield* Pool.make({ size: 2, ...impatient });
        const running = yield* Effect.forEach(paths, (path) => pool.submit(Tasks.spin, path));
        const pids = (yield* Effect.forEach(paths, said)).map(Number);
        Deno.kill(pids[0], "SIGSTOP");
        yield* pool.terminate;
        for (const submission of running) assertEquals((yield* refused(submission.await)).reason, "Terminated");
        assertEquals(pids.map(processEntry), [undefined, undefined]);
      }),
    );

    check(
      "a worker that answers while it is being killed is given no other task (full)",
      Effect.gen(function* () {
        const begun = yield* signal;
        const pool = yield* Pool.make({ size: 1, gracePeriod: "20 millis", forceKillAfter: "1 hour" });
        const running = yield* pool.submit(Family.lastWord, begun.stream);
        yield* begun.fired;
        const next = yield* pool.submit(Tasks.echo, 1);
        yield* running.cancel;
        assertEquals(yield* next.await, 1);
        assertEquals((yield* pool.statistics).replaced, 1);
      }),
    );

    check(
      "a worker that was stopped by SIGSTOP costs its own task, when that is given up, and is replaced (full)",
      Effect.gen(function* () {
        const path = yield* temporary;
        const pool = yield* Pool.make({ size: 1, ...impatient });
        const running = yield* pool.submit(Tasks.wait, path);
        const pid = Number(yield* said(path));
        Deno.kill(pid, "SIGSTOP");
        yield* running.cancel;
        yield* ended(pid);
        assertEquals(yield* pool.apply(Tasks.echo, 1), 1);
      }),
    );
  }
};

const subprocess = SubprocessBackend.layer({ stderr: "null" });
const worker = WorkerBackend.layer();

await warmUp(Effect.provide(Process.run(Effects.addEffect, 1, 2), subprocess));
if (repeating) await warmUp(Effect.provide(Process.run(Effects.addEffect, 1, 2), worker));

suite("subprocess", subprocess, Capabilities.subprocess);
repeated(() => suite("worker", worker, Capabilities.worker));

test(
  "pool lifetimes on subprocess: a pool whose workers cannot come up any more is Broken, and no task is spent on them",
  Effect.gen(function* () {
    let started = 0;
    const backend = yield* Backend.Backend;
    const failing: Backend.Backend = {
      ...backend,
      spawn: (command) => backend.spawn(started++ < 2 ? command : { ...command, permissions: { read: ["/a,b"] } }),
    };
    const pool = yield* Effect.provideService(Pool.make({ size: 2 }), Backend.Backend, failing);
    const deaths = yield* Effect.forEach(numbers(2), () => pool.submit(Tasks.exit, 3));
    const submissions = yield* Effect.forEach(numbers(500), (n) => pool.submit(Tasks.echo, n));
    for (const death of deaths) assertInstanceOf(yield* Effect.flip(death.await), Process.ProcessDied);
    const errors = yield* Effect.forEach(submissions, (submission) => Effect.flip(submission.await));
    assertEquals(new Set(errors.map(reasonOf)), new Set(["Broken"]));
  }).pipe(Effect.provide(SubprocessBackend.layer({ stderr: "null" }))),
);

testFunction(
  "pool lifetimes on worker: a thread that nobody can stop frees its caller and its place, is counted and reported, and the program ends (full)",
  () =>
    noLeaks(async () => {
      const paths = await Promise.all([1, 2, 3].map(() => Deno.makeTempFile()));
      try {
        const { code, stdout, stderr } = await script("quarantine.ts", paths).ended;
        assertEquals([code, stderr], [0, ""]);
        assertEquals(stdout.trimEnd().split("\n"), [
          "before 0",
          "interrupted 1",
          "late Timeout 2",
          "statistics 1 of 1, 2 replaced",
          "killed -15 Died",
          "stuck true",
          "capped SpawnError Quarantine",
          "warnings true true",
        ]);
      } finally {
        for (const path of paths) await Deno.remove(path);
      }
    }),
);
