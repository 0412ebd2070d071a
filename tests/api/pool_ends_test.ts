/**
 * The ends of pools, and the outcome of their submissions.
 *
 * @module
 */
import * as Cause from "effect/Cause";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Fiber from "effect/Fiber";
import type * as Layer from "effect/Layer";
import * as Option from "effect/Option";
import * as Random from "effect/Random";
import * as Scope from "effect/Scope";
import * as Stream from "effect/Stream";
import { Backend, Pool, Process, SubprocessBackend, WorkerBackend } from "../../mod.ts";
import * as Capabilities from "../../src/internal/child/capabilities.ts";
import { assert, assertEquals, assertInstanceOf, assertLess } from "../support/assert.ts";
import { below, rounds } from "../support/chance.ts";
import * as Checker from "../faults/checker_tasks.ts";
import { descendants } from "../support/leaks.ts";
import * as Plain from "../support/lifetime_tasks.ts";
import { interruptAtTurn, turn } from "../support/steps.ts";
import { gateway, signal, test, warmUp, when } from "../support/suite.ts";
import * as Effects from "../support/tasks.ts";
import { repeated, repeating } from "../support/tier.ts";

const numbers = (n: number): ReadonlyArray<number> => Array.from({ length: n }, (_, i) => i);

const impatient = { gracePeriod: "20 millis", forceKillAfter: "20 millis" } as const;

const failureOf = (exit: Exit.Exit<unknown, unknown>): unknown =>
  Exit.isFailure(exit) ? Option.getOrUndefined(Cause.failureOption(exit.cause)) : undefined;

const defectOf = (exit: Exit.Exit<unknown, unknown>): unknown =>
  Exit.isFailure(exit) ? Option.getOrUndefined(Cause.dieOption(exit.cause)) : undefined;

/** Registers the suite for one backend. */
const suite = (
  name: "subprocess" | "worker",
  layer: Layer.Layer<Backend.Backend>,
  { signals }: Backend.Capabilities,
): void => {
  const check = <E>(title: string, program: Effect.Effect<unknown, E, Backend.Backend | Scope.Scope>): void =>
    test(`pool on ${name}: ${title}`, Effect.provide(program, layer));

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
    "items that raise when they are iterated are a defect of that call, items that cannot be iterated fail it, and the pool goes on (full)",
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
    "a result that is not there in time, be there no time at all, can be had later, and again (full)",
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
    "join or terminate that is interrupted, at whatever turn, leaves a pool that can be ended (full)",
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

  const ROUNDS = rounds(2, 12);
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

/** The ways in which a pool may end. */
const ends = ["closed", "terminated", "left", "broken off"] as const;

/** Submits tasks of all kinds to a pool that ends meanwhile. */
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
        // The submission precedes the end of the pool, whatever its outcome.
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
        // All earlier tasks have been submitted.
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
    // A terminate does not wait for callbacks that have not begun.
    assert(told.every((times) => times <= 1) && (abrupt || told.slice(0, when).every((times) => times === 1)), label);
    const { alive, busy, waiting } = yield* pool.statistics;
    assertEquals({ alive, busy, waiting }, { alive: 0, busy: 0, waiting: 0 }, label);
  });

const subprocess = SubprocessBackend.layer({ stderr: "null" });
const worker = WorkerBackend.layer();

await warmUp(Effect.provide(Process.run(Effects.addEffect, 1, 2), subprocess));
if (repeating) await warmUp(Effect.provide(Process.run(Effects.addEffect, 1, 2), worker));

suite("subprocess", subprocess, Capabilities.subprocess);
repeated(() => suite("worker", worker, Capabilities.worker));
