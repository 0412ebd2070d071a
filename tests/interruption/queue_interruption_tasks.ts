/**
 * Interrupts the operations of a queue at any step, from any process, and compares the content of the queue with the
 * allowed outcomes.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Fiber from "effect/Fiber";
import * as Option from "effect/Option";
import type * as Queue from "../../src/Queue.ts";
import * as Task from "../../src/Task.ts";
import { assert, assertEquals } from "../support/assert.ts";
import { random, seed } from "../support/chance.ts";
import { interruptAtStep, interruptAtTurn, interruptAtYield, type Operation, sample } from "../support/steps.ts";

export type Numbers = Queue.Queue<number>;

const numbers = (n: number): Array<number> => Array.from({ length: n }, (_, i) => i);

/** An interrupted operation on a queue of capacity 4. */
interface Scenario {
  /** The content of the queue before. */
  readonly before: ReadonlyArray<number>;
  readonly operation: (queue: Numbers) => Operation;
  /** The concurrent operation that runs while the interrupted operation waits, or after it. */
  readonly meanwhile?: (queue: Numbers) => Operation;
  /** The content of the queue after a completed operation, and the alternatives after an interrupted one. */
  readonly done: (result: unknown) => ReadonlyArray<number>;
  readonly interrupted: ReadonlyArray<ReadonlyArray<number>>;
}

const full = [1, 2, 3, 4];

/** The old content, followed by each prefix of `items`. */
const beginnings = (
  before: ReadonlyArray<number>,
  items: ReadonlyArray<number>,
): ReadonlyArray<ReadonlyArray<number>> =>
  numbers(items.length + 1).map((count) => [...before, ...items.slice(0, count)]);

const asks = (operation: (queue: Numbers) => Operation): Scenario => ({
  before: [1, 2],
  operation,
  done: () => [1, 2],
  interrupted: [[1, 2]],
});

/** Outcomes of get and similar operations: they have taken all of their items or none. */
export const scenarios: Readonly<Record<string, Scenario>> = {
  "get of what is there": {
    before: [1, 2, 3],
    operation: (queue) => queue.get,
    done: () => [2, 3],
    interrupted: [[1, 2, 3]],
  },
  "tryGet": {
    before: [1, 2],
    operation: (queue) => queue.tryGet,
    done: () => [2],
    interrupted: [[1, 2]],
  },
  "takeUpTo of what is there": {
    before: [1, 2, 3],
    operation: (queue) => queue.takeUpTo(2),
    done: () => [3],
    interrupted: [[1, 2, 3]],
  },
  "get that waits": {
    before: [],
    operation: (queue) => queue.get,
    meanwhile: (queue) => queue.putAll([1, 2]),
    done: () => [2],
    interrupted: [[1, 2]],
  },
  "takeUpTo that waits": {
    before: [],
    operation: (queue) => queue.takeUpTo(3),
    meanwhile: (queue) => queue.putAll([1, 2]),
    done: (taken) => [1, 2].slice((taken as ReadonlyArray<number>).length),
    interrupted: [[1, 2]],
  },
  "put for which there is room": {
    before: [1],
    operation: (queue) => queue.put(2),
    done: () => [1, 2],
    interrupted: [[1], [1, 2]],
  },
  "tryPut": {
    before: [1],
    operation: (queue) => queue.tryPut(2),
    done: () => [1, 2],
    interrupted: [[1], [1, 2]],
  },
  "tryPut for which there is no room": {
    before: full,
    operation: (queue) => queue.tryPut(2),
    done: () => full,
    interrupted: [full],
  },
  "putAll for which there is room": {
    before: [1],
    operation: (queue) => queue.putAll([2, 3, 4]),
    done: () => full,
    interrupted: beginnings([1], [2, 3, 4]),
  },
  "put that waits": {
    before: full,
    operation: (queue) => queue.put(5),
    meanwhile: (queue) => queue.get,
    done: () => [2, 3, 4, 5],
    interrupted: [[2, 3, 4], [2, 3, 4, 5]],
  },
  "putAll that waits": {
    before: full,
    operation: (queue) => queue.putAll([5, 6]),
    meanwhile: (queue) => Effect.zipRight(queue.get, queue.get),
    done: () => [3, 4, 5, 6],
    interrupted: beginnings([3, 4], [5, 6]),
  },
  "statistics": asks((queue) => queue.statistics),
  "isFull": asks((queue) => queue.isFull),
  "ready": asks((queue) => queue.ready),
  "taskDone": asks((queue) => queue.taskDone()),
  "join": {
    ...asks((queue) => queue.join),
    meanwhile: (queue) => Effect.flatMap(queue.statistics, ({ unfinished }) => queue.taskDone(unfinished)),
  },
};

/** Takes all available items. */
const empty = (queue: Numbers): Effect.Effect<ReadonlyArray<number>, unknown> =>
  Effect.gen(function* () {
    const items: Array<number> = [];
    for (;;) {
      const item = yield* queue.tryGet;
      if (Option.isNone(item)) return items;
      items.push(item.value);
    }
  });

/** No operation waits, and the whole capacity is free. */
const clean = (queue: Numbers, when: string): Effect.Effect<void, unknown> =>
  Effect.gen(function* () {
    yield* Effect.repeat(Effect.zipLeft(queue.statistics, Effect.yieldNow()), {
      until: ({ bytes, putters, size, takers }) => bytes + putters + size + takers === 0,
    });
    for (const n of numbers(queue.capacity)) assert(yield* queue.tryPut(n), `a place is lost: ${when}`);
    assert(!(yield* queue.tryPut(0)), when);
    assertEquals(yield* empty(queue), numbers(queue.capacity), when);
    const { unfinished } = yield* queue.statistics;
    if (unfinished > 0) yield* queue.taskDone(unfinished);
    yield* queue.join;
  });

/** With the default scheduler, a resumed fiber does not yield in its first steps. */
const RESUMED = 40;

/** Steps to run first, so that a fiber may yield at any later step. */
const steps = (n: number): Effect.Effect<void> =>
  n === 0 ? Effect.void : Effect.flatMap(Effect.void, () => steps(n - 1));

/** Interrupts one operation at sampled steps, and between them. */
export const explore = (
  queue: Numbers,
  name: string,
  { rounds, turns, yields }: { readonly rounds: number; readonly turns: number; readonly yields: number },
): Effect.Effect<void, unknown> =>
  Effect.gen(function* () {
    const { before, done, interrupted, meanwhile, operation } = scenarios[name];
    let interruptions = 0;

    const once = <A>(
      interrupt: (operation: Operation) => Effect.Effect<A, never>,
      when: string,
    ): Effect.Effect<A, unknown> =>
      Effect.gen(function* () {
        yield* queue.putAll(before);
        let outcome: Exit.Exit<unknown, unknown> = Exit.interrupt(yield* Effect.fiberId);
        // The exit of the operation itself, even if its caller is interrupted.
        const observed = Effect.uninterruptibleMask((restore) =>
          Effect.map(
            Effect.exit(restore(Effect.zipRight(steps(RESUMED), operation(queue)))),
            (exit) => (outcome = exit),
          )
        );
        let over = false;
        let looks = 0;
        const waits = Effect.repeat(Effect.zipLeft(queue.statistics, Effect.yieldNow()), {
          until: ({ putters, takers }) => putters + takers > 0 || over || ++looks > 50,
        });
        const other = yield* Effect.fork(Effect.zipRight(waits, meanwhile?.(queue) ?? Effect.void));
        const result = yield* interrupt(observed);
        over = true;
        yield* Fiber.join(other);
        const after = yield* empty(queue);
        const says = `${name} ${when}, seed ${seed}: ${JSON.stringify(outcome)}`;
        if (Exit.isSuccess(outcome)) assertEquals(after, done(outcome.value), says);
        else {
          assert(Exit.isInterrupted(outcome), says);
          interruptions++;
          assert(interrupted.some((allowed) => `${allowed}` === `${after}`), `${after} is left: ${says}`);
        }
        yield* clean(queue, says);
        return result;
      });

    const [, total] = yield* once((operation) => interruptAtStep(operation, Infinity, "own", RESUMED), "whole");
    for (const step of sample(total, rounds)) {
      yield* once((operation) => interruptAtStep(operation, step, "own", RESUMED), `at step ${step} of ${total}`);
    }
    for (const at of numbers(yields)) yield* once((operation) => interruptAtYield(operation, at), `at yield ${at}`);
    for (const turn of numbers(turns)) yield* once((operation) => interruptAtTurn(operation, turn), `at turn ${turn}`);
    assert(interruptions > 0, `${name} was never interrupted`);
  });

/** The same from a process that does not host the queue. */
export const exploreAll = Task.make(
  import.meta,
  "exploreAll",
  (queue: Numbers, effort: { readonly rounds: number; readonly turns: number; readonly yields: number }) =>
    Effect.forEach(Object.keys(scenarios), (name) => explore(queue, name, effort), { discard: true }),
);

/**
 * Fibers put and take concurrently, and each operation is interrupted at a random time or not at all. Each item whose
 * `put` has returned is taken once. Only items of interrupted puts may be taken in addition. The remaining items are in
 * order.
 */
export const interleaving = (queue: Queue.Queue<string>, rounds: number): Effect.Effect<void, unknown> =>
  Effect.gen(function* () {
    for (const round of numbers(rounds)) {
      const says = `round ${round}, seed ${seed}`;
      const put = new Set<string>();
      const perhaps = new Set<string>();
      const taken: Array<string> = [];
      let over = false;
      const maybe = <A>(
        operation: Effect.Effect<A, unknown>,
        always: boolean,
      ): Effect.Effect<Exit.Exit<A, unknown>> =>
        Effect.gen(function* () {
          let outcome: Exit.Exit<A, unknown> = Exit.interrupt(yield* Effect.fiberId);
          const observed = Effect.uninterruptibleMask((restore) =>
            Effect.map(Effect.exit(restore(operation)), (exit) => (outcome = exit))
          );
          const dice = always ? random() / 2 : random();
          if (dice < 0.3) yield* interruptAtYield(observed, Math.floor(random() * 40));
          else if (dice < 0.5) yield* interruptAtTurn(observed, Math.floor(random() * 4));
          else yield* observed;
          assert(Exit.isSuccess(outcome) || Exit.isInterrupted(outcome), `${says}: ${outcome}`);
          return outcome;
        });
      const producer = (name: number): Effect.Effect<void, unknown> =>
        Effect.gen(function* () {
          for (const n of numbers(12)) {
            const items = numbers(1 + Math.floor(random() * 3)).map((i) => `${name} ${3 * n + i}`);
            const tries = random() < 0.3;
            const exit: Exit.Exit<unknown, unknown> = yield* maybe(
              items.length > 1 ? queue.putAll(items) : tries ? queue.tryPut(items[0]) : queue.put(items[0]),
              false,
            );
            if (Exit.isSuccess(exit) && exit.value === false) continue;
            for (const item of items) (Exit.isSuccess(exit) ? put : perhaps).add(item);
          }
        });
      const consumer = Effect.gen(function* () {
        while (!over) {
          const kind = random();
          const operation: Effect.Effect<ReadonlyArray<string>, unknown> = kind < 0.4
            ? queue.takeUpTo(3)
            : kind < 0.6
            ? Effect.map(queue.tryGet, Option.toArray)
            : Effect.map(queue.get, (item) => [item]);
          const exit = yield* maybe(operation, true);
          if (Exit.isSuccess(exit)) taken.push(...exit.value);
        }
      });
      const consumers = yield* Effect.forEach(numbers(3), () => Effect.fork(consumer));
      yield* Effect.forEach(numbers(4), producer, { concurrency: "unbounded", discard: true });
      over = true;
      yield* Fiber.joinAll(consumers);
      const left: Array<string> = [];
      for (;;) {
        const item = yield* queue.tryGet;
        if (Option.isNone(item)) break;
        left.push(item.value);
      }
      const all = [...taken, ...left];
      assertEquals(new Set(all).size, all.length, `an item has come twice, ${says}`);
      for (const item of all) assert(put.has(item) || perhaps.has(item), `${item} was not put, ${says}`);
      const come = new Set(all);
      assertEquals([...put].filter((item) => !come.has(item)), [], `lost, ${says}`);
      for (const name of numbers(4)) {
        const own = left.filter((item) => item.startsWith(`${name} `)).map((item) => Number(item.split(" ")[1]));
        assertEquals(own, own.toSorted((a, b) => a - b), says);
      }
      const { bytes, putters, size, takers } = yield* queue.statistics;
      assertEquals({ bytes, putters, size, takers }, { bytes: 0, putters: 0, size: 0, takers: 0 }, says);
    }
  });

/** The same from a process that does not host the queue. */
export const interleave = Task.make(import.meta, "interleave", interleaving);
