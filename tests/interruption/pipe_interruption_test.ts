/**
 * Interrupts the operations of connections at any step, and checks the received and sent messages, in each place of a
 * pipe.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Fiber from "effect/Fiber";
import type * as Scope from "effect/Scope";
import * as Stream from "effect/Stream";
import { Pipe, Process, Queue, SubprocessBackend, WorkerBackend } from "../../mod.ts";
import { assert, assertEquals } from "../support/assert.ts";
import * as Tasks from "../api/pipe_tasks.ts";
import { seed } from "../support/chance.ts";
import { interruptAtStep, interruptAtTurn, interruptAtYield, type Operation, sample } from "../support/steps.ts";
import { test, warmUp } from "../support/suite.ts";
import { add } from "../support/tasks.ts";
import { registerEach, repeating } from "../support/tier.ts";

type Any = Tasks.Any;

const numbers = (n: number): Array<number> => Array.from({ length: n }, (_, i) => i);

/** An interrupted operation. */
interface Scenario {
  /** Messages that were sent before. */
  readonly before: ReadonlyArray<number>;
  /** Whether the messages are bytes. */
  readonly bytes?: boolean;
  readonly operation: (one: Any, other: Any) => Operation;
  /** The concurrent operation that runs while the interrupted operation waits, or after it. */
  readonly meanwhile?: (one: Any, other: Any) => Operation;
  /** The messages that remain after a completed operation, and the alternatives after an interrupted one. */
  readonly done: ReadonlyArray<number>;
  readonly interrupted: ReadonlyArray<ReadonlyArray<number>>;
}

/** The number of messages with a number that fit. */
const ROOM = 3;
const maxBytes = ROOM * 67;

const full = [1, 2, 3];

const byte = (n: number): Uint8Array => new Uint8Array([n, n]);

/** A message is available, or arrives while the operation waits. */
const receives = (operation: (other: Any) => Operation, bytes: boolean): Readonly<Record<string, Scenario>> => ({
  "of what is there": {
    before: [1, 2],
    bytes,
    operation: (_, other) => operation(other),
    done: [2],
    interrupted: [[1, 2]],
  },
  "that waits": {
    before: [],
    bytes,
    operation: (_, other) => operation(other),
    meanwhile: (one) => Effect.forEach([1, 2], (n) => bytes ? one.sendBytes(byte(n)) : one.send(n)),
    done: [2],
    interrupted: [[1, 2]],
  },
});

const beginnings = (before: ReadonlyArray<number>, more: ReadonlyArray<number>): ReadonlyArray<ReadonlyArray<number>> =>
  numbers(more.length + 1).map((count) => [...before, ...more.slice(0, count)]);

/** Room is available, or becomes available while the operation waits. */
const sends = (
  operation: (one: Any, items: ReadonlyArray<number>) => Operation,
  bytes: boolean,
  count: number,
): Readonly<Record<string, Scenario>> => {
  const items = [4, 5].slice(0, count);
  return {
    "for which there is room": {
      before: [1],
      bytes,
      operation: (one) => operation(one, items),
      done: [1, ...items],
      interrupted: beginnings([1], items),
    },
    "that waits": {
      before: full,
      bytes,
      operation: (one) => operation(one, items),
      meanwhile: (_, other) => Effect.forEach(items, () => bytes ? other.recvBytes() : other.recv),
      done: [...full.slice(count), ...items],
      interrupted: beginnings(full.slice(count), items),
    },
  };
};

const asks = (operation: (other: Any) => Operation): Scenario => ({
  before: [1, 2],
  operation: (_, other) => operation(other),
  done: [1, 2],
  interrupted: [[1, 2]],
});

const waits = (operation: (other: Any) => Operation): Scenario => ({
  before: [],
  operation: (_, other) => operation(other),
  meanwhile: (one) => one.send(1),
  done: [1],
  interrupted: [[1]],
});

const named = (name: string, scenarios: Readonly<Record<string, Scenario>>): Readonly<Record<string, Scenario>> =>
  Object.fromEntries(Object.entries(scenarios).map(([more, scenario]) => [`${name} ${more}`, scenario]));

const scenarios: Readonly<Record<string, Scenario>> = {
  ...named("recv", receives((other) => other.recv, false)),
  ...named("recvBytes", receives((other) => other.recvBytes(), true)),
  ...named("recvBytesInto", receives((other) => other.recvBytesInto(new Uint8Array(5), 3), true)),
  ...named("send", sends((one, [item]) => one.send(item), false, 1)),
  ...named("sendBytes", sends((one, [item]) => one.sendBytes(byte(item)), true, 1)),
  ...named("toSink", sends((one, items) => Stream.run(Stream.fromIterable(items), one.toSink), false, 2)),
  "poll": asks((other) => other.poll()),
  "ready": asks((other) => other.ready),
  "statistics": asks((other) => other.statistics),
  "poll that waits": waits((other) => other.poll("1 hour")),
  "ready that waits": waits((other) => other.ready),
};

/** With the default scheduler, a resumed fiber does not yield in its first steps. */
const RESUMED = 40;

const steps = (n: number): Effect.Effect<void> =>
  n === 0 ? Effect.void : Effect.flatMap(Effect.void, () => steps(n - 1));

/** Receives all available messages. */
const empty = (other: Any, bytes: boolean): Effect.Effect<ReadonlyArray<number>, unknown> =>
  Effect.gen(function* () {
    const items: Array<number> = [];
    while (yield* other.poll()) items.push(bytes ? (yield* other.recvBytes())[0] : yield* other.recv);
    return items;
  });

/** Interrupts one operation at sampled steps, and between them. */
const explore = (
  [one, other]: Tasks.Ends,
  name: string,
  rounds: number,
): Effect.Effect<void, unknown> =>
  Effect.gen(function* () {
    const { before, bytes = false, done, interrupted, meanwhile, operation } = scenarios[name];
    let interruptions = 0;
    const once = <A>(interrupt: (operation: Operation) => Effect.Effect<A>, when: string): Effect.Effect<A, unknown> =>
      Effect.gen(function* () {
        for (const n of before) yield* bytes ? one.sendBytes(byte(n)) : one.send(n);
        let outcome: Exit.Exit<unknown, unknown> = Exit.interrupt(yield* Effect.fiberId);
        // The exit of the operation itself, even if its caller is interrupted.
        const observed = Effect.uninterruptibleMask((restore) =>
          Effect.map(
            Effect.exit(restore(Effect.zipRight(steps(RESUMED), operation(one, other)))),
            (exit) => (outcome = exit),
          )
        );
        let over = false;
        let looks = 0;
        const wait = Effect.repeat(
          Effect.zipLeft(Effect.zip(one.statistics, other.statistics), Effect.yieldNow()),
          { until: ([a, b]) => a.senders + b.receivers > 0 || over || ++looks > 20 },
        );
        const next = yield* Effect.fork(Effect.zipRight(wait, meanwhile?.(one, other) ?? Effect.void));
        const result = yield* interrupt(observed);
        over = true;
        yield* Fiber.join(next);
        const after = yield* empty(other, bytes);
        const says = `${name} ${when}, seed ${seed}: ${JSON.stringify(outcome)}`;
        if (Exit.isSuccess(outcome)) assertEquals(after, done, says);
        else {
          assert(Exit.isInterrupted(outcome), says);
          interruptions++;
          assert(interrupted.some((allowed) => `${allowed}` === `${after}`), `${after} is left: ${says}`);
        }
        // No operation waits, and all messages that fit can be sent.
        const free = yield* Effect.repeat(Effect.zipLeft(one.statistics, Effect.yieldNow()), {
          until: ({ pendingBytes }) => pendingBytes === 0,
        });
        assertEquals([free.senders, (yield* other.statistics).receivers], [0, 0], says);
        return result;
      });
    for (const counted of ["own", "any"] as const) {
      const run = (at: number) => (operation: Operation) => interruptAtStep(operation, at, counted, RESUMED);
      const [, total] = yield* once(run(Infinity), "without interruption");
      for (const step of sample(total, rounds)) yield* once(run(step), `at step ${step} of ${total} (${counted})`);
    }
    for (const turns of numbers(3)) {
      yield* once((operation) => interruptAtTurn(operation, turns), `after turn ${turns}`);
    }
    for (const yields of numbers(6)) {
      yield* once((operation) => interruptAtYield(operation, yields), `after yield ${yields}`);
    }
    assert(interruptions > 0, `${name} is never interrupted`);
  });

type Make = Effect.Effect<Tasks.Ends, unknown, Scope.Scope>;

const subprocess = SubprocessBackend.layer({ stderr: "null" });
const worker = WorkerBackend.layer();

const elsewhere = Effect.gen(function* () {
  const wanted = yield* Queue.make<Pipe.Options>();
  const made = yield* Queue.make<Tasks.Ends>();
  yield* Process.spawnWith(Tasks.hosting, [wanted, made], { daemon: true });
  const make: Make = Effect.zipRight(wanted.put({ maxBytes }), made.get);
  return make;
});

await warmUp(Effect.provide(Process.run(add, 1, 2), subprocess));
if (repeating) await warmUp(Effect.provide(Process.run(add, 1, 2), worker));

registerEach(
  [
    ["in a subprocess", Effect.provide(elsewhere, subprocess)],
    ["in this process", Effect.succeed<Make>(Pipe.make<unknown>({ maxBytes }))],
    ["in a worker", Effect.provide(elsewhere, worker)],
  ] as const,
  ([name, place]) =>
    test(
      `Pipe ${name}: what is interrupted, at any of its steps, has received or sent all of a message or nothing (storm)`,
      Effect.gen(function* () {
        const make = yield* place;
        for (const scenario of Object.keys(scenarios)) yield* explore(yield* make, scenario, 30);
        const [one, other] = yield* make;
        for (const turns of numbers(6)) {
          yield* interruptAtTurn(Stream.runDrain(other.toStream), turns);
          yield* interruptAtYield(Stream.runDrain(other.toStream), turns);
          yield* one.send(turns);
          assertEquals(yield* other.recv, turns);
        }
      }),
    ),
  ["in this process"],
);
