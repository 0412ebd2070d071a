/**
 * The order between processes: an effect of an earlier operation is visible to a later one.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import type * as Layer from "effect/Layer";
import type * as Scope from "effect/Scope";
import * as Option from "effect/Option";
import {
  type Backend,
  Barrier,
  Event,
  Lock,
  Pipe,
  Process,
  Queue,
  SubprocessBackend,
  Value,
  WorkerBackend,
} from "../../mod.ts";
import { assertEquals } from "../support/assert.ts";
import * as Tasks from "./order_law_tasks.ts";
import * as Queues from "./queue_tasks.ts";
import { rounds } from "../support/chance.ts";
import { type Step, warmUp } from "../support/suite.ts";
import { run, spawn, withWorkers, type Workers } from "../support/workers.ts";
import { fullUnless, repeated, repeating } from "../support/tier.ts";

/** A queue that lives in a child. */
const hosted = Effect.gen(function* () {
  const wanted = yield* Queue.make<Queues.Wanted>();
  const made = yield* Queue.make<Queues.Any>();
  yield* Process.spawnWith(Queues.hosting, [wanted, made], { daemon: true });
  return (yield* Effect.zipRight(wanted.put(["fifo", {}]), made.get)) as Queue.Queue<number>;
});

/** Registers the suite for one backend. */
const suite = (name: string, layer: Layer.Layer<Backend.Backend>): void => {
  const steps: Array<Step<Backend.Backend | Workers | Scope.Scope>> = [];
  const check = <E>(
    title: string,
    program: Effect.Effect<unknown, E, Backend.Backend | Workers | Scope.Scope>,
  ): void => {
    steps.push([title, program]);
  };

  check(
    "an item whose put has returned is found by every process that is told of it by an event (storm)",
    Effect.gen(function* () {
      const ROUNDS = rounds(60, 500);
      const queue = yield* Queue.make<number>();
      const results = yield* Queue.make<number>();
      const [told, ready] = [yield* Event.make(), yield* Event.make()];
      yield* spawn(Tasks.puts, queue, told, ready, ROUNDS);
      yield* spawn(Tasks.looks, queue, told, ready, ROUNDS, results);
      assertEquals(yield* results.get, 0, "rounds in which tryGet has found nothing");
    }),
  );

  for (const where of ["here", "in a third process"] as const) {
    check(
      `an item whose put has returned is there for a process that is told of it by any means, the queue ${where}${
        fullUnless(where === "here")
      } (storm)`,
      Effect.gen(function* () {
        const ROUNDS = rounds(20, 60);
        const queue = where === "here" ? yield* Queue.make<number>() : yield* hosted;
        for (const means of ["event", "value", "lock", "barrier", "queue", "pipe"] as const) {
          const [mine, theirs] = yield* Pipe.make<number>();
          const signals: Omit<Tasks.Signals, "pipe"> = {
            event: yield* Event.make(),
            value: yield* Value.make("i32", 0),
            lock: yield* Lock.make(),
            barrier: yield* Barrier.make({ parties: 2 }),
            queue: yield* Queue.make<number>(),
          };
          const [missed] = yield* Effect.all([
            run(Tasks.hears, queue, means, { ...signals, pipe: theirs }, ROUNDS),
            run(Tasks.tells, queue, means, { ...signals, pipe: mine }, ROUNDS),
          ], { concurrency: 2 });
          assertEquals(missed, 0, `looks that have found nothing, told by a ${means}`);
        }
      }),
    );
  }

  check(
    "an item whose put has returned is there when its task has returned, for any process (storm)",
    Effect.gen(function* () {
      for (const queue of [yield* Queue.make<number>(), yield* hosted]) {
        for (let round = 0; round < rounds(10, 40); round++) {
          yield* run(Tasks.putsOnce, queue);
          if (round % 2 === 0) assertEquals(yield* run(Tasks.finds, queue), true);
          else assertEquals(Option.getOrUndefined(yield* queue.tryGet), 1);
        }
      }
    }),
  );

  check(
    "items that were put in turn, under one lock and with a barrier between rounds, come out in that order (full) (storm)",
    Effect.gen(function* () {
      const [PARTIES, ROUNDS] = [4, rounds(40, 200)];
      const queue = yield* Queue.make<number>();
      const lock = yield* Lock.make();
      const barrier = yield* Barrier.make({ parties: PARTIES });
      for (let party = 0; party < PARTIES; party++) yield* spawn(Tasks.rounds, queue, lock, barrier, ROUNDS);
      const taken: Array<number> = [];
      while (taken.length < PARTIES * ROUNDS) taken.push(yield* queue.get);
      assertEquals(taken, taken.toSorted((a, b) => a - b));
    }),
  );

  withWorkers(`order on ${name}`, layer, 4, steps);
};

await warmUp(Effect.provide(Process.run(Tasks.nothing), SubprocessBackend.layer()));
if (repeating) await warmUp(Effect.provide(Process.run(Tasks.nothing), WorkerBackend.layer()));

suite("subprocess", SubprocessBackend.layer());
repeated(() => suite("worker", WorkerBackend.layer()));
