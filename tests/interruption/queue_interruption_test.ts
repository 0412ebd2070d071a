/**
 * Interrupts every operation of a queue at every step, in each place of a queue: the operation is complete or had no
 * effect, no operation waits any more, and no capacity is lost.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Fiber from "effect/Fiber";
import type * as Layer from "effect/Layer";
import type * as Scope from "effect/Scope";
import * as Stream from "effect/Stream";
import { type Backend, Process, Queue, SubprocessBackend, WorkerBackend } from "../../mod.ts";
import { assertEquals } from "../support/assert.ts";
import * as Tasks from "./queue_interruption_tasks.ts";
import * as Hosts from "../api/queue_tasks.ts";
import { rounds } from "../support/chance.ts";
import { interruptAtTurn } from "../support/steps.ts";
import { test, warmUp, when } from "../support/suite.ts";
import { repeated, repeating } from "../support/tier.ts";

const subprocess = SubprocessBackend.layer();
const worker = WorkerBackend.layer();

await warmUp(Effect.provide(Process.run(Hosts.makeAndReturn), subprocess));
if (repeating) await warmUp(Effect.provide(Process.run(Hosts.makeAndReturn), worker));

const numbers = (n: number): Array<number> => Array.from({ length: n }, (_, i) => i);

const capacity = 4;

for (const name of Object.keys(Tasks.scenarios)) {
  test(
    `queue interruption in this process: ${name}, at any step (storm)`,
    Effect.flatMap(
      Queue.make<number>({ capacity }),
      (queue) => Tasks.explore(queue, name, { rounds: Infinity, turns: 3, yields: 40 }),
    ),
  );
}

test(
  "queue interruption in this process: what comes back goes to its place in a queue of any order",
  Effect.gen(function* () {
    for (const [kind, order] of [["lifo", [1, 3, 2]], ["priority", [1, 2, 3]]] as const) {
      const queue = (yield* Hosts.kinds[kind]({ capacity })) as Queue.Queue<unknown>;
      for (const ticks of numbers(30)) {
        const get = yield* Effect.fork(queue.get);
        yield* queue.putAll([2, 3, 1]);
        for (let i = 0; i < ticks; i++) yield* Effect.yieldNow();
        yield* Fiber.interrupt(get);
        const exit = yield* Fiber.await(get);
        const left = (yield* queue.takeUpTo(4)) as Array<number>;
        if (Exit.isSuccess(exit)) assertEquals(left.length, 2);
        else assertEquals(left, [...order], `${kind}, ${ticks}`);
      }
    }
  }),
);

test(
  "queue interruption in this process: operations of every kind at once, each interrupted some time or not at all (storm)",
  Effect.flatMap(
    Queue.make<string>({ capacity: 3 }),
    (queue) => Tasks.interleaving(queue, rounds(20, 100)),
  ),
);

/** Registers the suite for one backend. */
const suite = (name: string, layer: Layer.Layer<Backend.Backend>): void => {
  const check = <E>(title: string, program: Effect.Effect<unknown, E, Backend.Backend | Scope.Scope>): void =>
    test(`queue interruption on ${name}: ${title}`, Effect.provide(program, layer));

  /** A queue that a child hosts. */
  const there = <A>(options: Queue.Options): Effect.Effect<Queue.Queue<A>, unknown, Backend.Backend | Scope.Scope> =>
    Effect.gen(function* () {
      const wanted = yield* Queue.make<Hosts.Wanted>();
      const made = yield* Queue.make<Hosts.Any>();
      const child = yield* Process.spawnWith(Hosts.hosting, [wanted, made], { daemon: true });
      yield* wanted.put(["fifo", options]);
      return yield* Effect.raceFirst(made.get, Effect.zipRight(child.join, Effect.never));
    });

  check(
    `the queue of a child, at any step: ${Object.keys(Tasks.scenarios).join(", ")} (full) (storm)`,
    Effect.gen(function* () {
      const queue = yield* there<number>({ capacity });
      for (const scenario of Object.keys(Tasks.scenarios)) {
        yield* Tasks.explore(queue, scenario, { rounds: 60, turns: 6, yields: 10 });
      }
    }),
  );

  check(
    "the same by a child, for a queue of its parent, and of its sibling (full) (storm)",
    Effect.gen(function* () {
      const mine = yield* Queue.make<number>({ capacity });
      yield* Process.run(Tasks.exploreAll, mine, { rounds: 40, turns: 5, yields: 5 });
      yield* Process.run(Tasks.exploreAll, yield* there<number>({ capacity }), { rounds: 20, turns: 5, yields: 5 });
    }),
  );

  check(
    // Deno notices a timer that is left.
    "gets from the queue of a child that ends right after them, or while one waits, leave nothing behind",
    Effect.gen(function* () {
      for (const waits of [false, true]) {
        yield* Effect.scoped(Effect.gen(function* () {
          const queue = yield* there<number>({ capacity });
          for (let round = 0; round < 5; round++) {
            yield* queue.putAll([1, 2]);
            assertEquals([yield* queue.get, yield* queue.get], [1, 2]);
          }
          if (!waits) return;
          const waiting = yield* Effect.fork(queue.get);
          yield* when(queue.statistics, ({ takers }) => takers === 1);
          yield* Fiber.interrupt(waiting);
        }));
      }
    }),
  );

  check(
    "a put that waits for room and is interrupted has put nothing, wherever the queue is",
    Effect.gen(function* () {
      for (const queue of [yield* Queue.make<number>({ capacity: 1 }), yield* there<number>({ capacity: 1 })]) {
        yield* queue.put(0);
        for (const put of [queue.put(1), queue.putAll([1, 2]), Stream.run(Stream.make(1), queue.toSink)]) {
          const waiting = yield* Effect.fork(put);
          yield* when(queue.statistics, ({ putters }) => putters === 1);
          yield* Fiber.interrupt(waiting);
          yield* when(queue.statistics, ({ putters }) => putters === 0);
        }
        assertEquals(yield* queue.takeUpTo(5), [0]);
        assertEquals(yield* queue.tryPut(1), true);
        assertEquals(yield* queue.takeUpTo(5), [1]);
      }
    }),
  );

  check(
    "a stream that is interrupted loses no item that it has not given",
    Effect.gen(function* () {
      for (const queue of [yield* Queue.make<number>(), yield* there<number>({})]) {
        for (const turns of numbers(12)) {
          const seen: Array<number> = [];
          const reading = Stream.runForEachChunk(queue.toStream, (chunk) => Effect.sync(() => seen.push(...chunk)));
          const putting = yield* Effect.fork(Effect.forEach(numbers(40), queue.put));
          yield* interruptAtTurn(reading, turns);
          yield* Fiber.join(putting);
          while (!(yield* queue.isEmpty)) seen.push(...yield* queue.takeUpTo(100));
          assertEquals(seen, numbers(40), `after ${turns} turns`);
        }
      }
    }),
  );

  check(
    "operations of every kind at once, each interrupted some time or not at all: in a child, and for the queue of a child (full) (storm)",
    Effect.gen(function* () {
      yield* Process.run(Tasks.interleave, yield* Queue.make<string>({ capacity: 3 }), rounds(4, 12));
      yield* Tasks.interleaving(yield* there<string>({ capacity: 3 }), rounds(4, 12));
    }),
  );
};

suite("subprocess", subprocess);
repeated(() => suite("worker", worker));
