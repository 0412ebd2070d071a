/**
 * The guarantees of a queue: each sentence of its documentation, in each place where a queue can live, and the moves of
 * its handle.
 *
 * @module
 */
import * as Chunk from "effect/Chunk";
import * as Context from "effect/Context";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Fiber from "effect/Fiber";
import type * as Layer from "effect/Layer";
import * as Scope from "effect/Scope";
import * as Stream from "effect/Stream";
import { type Backend, Pool, Process, Queue, SubprocessBackend, WorkerBackend } from "../../mod.ts";
import { HandleId } from "../../src/internal/objects/handles.ts";
import { assert, assertEquals, assertInstanceOf, assertStringIncludes } from "../support/assert.ts";
import { calm, empty, failure, type Make, Maker, numbers, orders, promises } from "./queue_promises.ts";
import * as Tasks from "./queue_tasks.ts";
import { group, type Step, test, warmUp, when } from "../support/suite.ts";
import { run, spawn, withWorkers, type Workers } from "../support/workers.ts";
import { repeated } from "../support/tier.ts";

const subprocess = SubprocessBackend.layer();
const worker = WorkerBackend.layer();

/** The place of the queue of a test, and its constructor there. */
interface Place {
  readonly name: string;
  readonly make: Effect.Effect<Make, unknown, Scope.Scope>;
}

const here: Place = {
  name: "in this process",
  make: Effect.succeed((kind = "fifo", options = {}) => Tasks.kinds[kind](options)),
};

/** Lets a process make queues. Fails if the process fails. */
const maker = (
  wanted: Queue.Queue<Tasks.Wanted>,
  made: Queue.Queue<Tasks.Any>,
  child: Process.Process<unknown, unknown>,
): Make =>
(kind = "fifo", options = {}) =>
  Effect.zipRight(wanted.put([kind, options]), Effect.raceFirst(made.get, Effect.zipRight(child.join, Effect.never)));

/** A process that makes and hosts queues, or lets a child do so. */
const started = (task: typeof Tasks.hosting | typeof Tasks.hostingBelow) =>
  Effect.gen(function* () {
    const wanted = yield* Queue.make<Tasks.Wanted>();
    const made = yield* Queue.make<Tasks.Any>();
    const child = yield* Process.spawnWith(task, [wanted, made], { daemon: true });
    return { child, make: maker(wanted, made, child) };
  });

const elsewhere = (name: string, layer: Layer.Layer<Backend.Backend>): Place => ({
  name,
  make: Effect.map(Effect.provide(started(Tasks.hosting), layer), ({ make }) => make),
});

const places: ReadonlyArray<Place> = [
  here,
  elsewhere("in a subprocess", subprocess),
  elsewhere("in a worker", worker),
];

await warmUp(Effect.provide(Process.run(Tasks.makeAndReturn), subprocess));
await warmUp(Effect.provide(Process.run(Tasks.makeAndReturn), worker));

/** An object with a handle of a kind that no other process knows. */
class Strange {
  readonly [HandleId] = { kind: "strange", encode: () => 1 };
}
const strange = new Strange();

/** Links with a small maximum message size. */
const narrow = { maxMessageSize: 40_000 };

test(
  "Queue: an option that is no positive integer is refused",
  Effect.gen(function* () {
    for (const make of Object.values(Tasks.kinds)) {
      for (const value of [0, -1, 1.5, NaN, -Infinity, "3" as unknown as number]) {
        for (const option of ["capacity", "maxBytes"]) {
          const error = yield* Effect.flip(make({ [option]: value }));
          assertInstanceOf(error, Queue.QueueError);
          assertEquals(error.reason, "InvalidOption");
          const received = typeof value === "string" ? `"${value}"` : value;
          assertEquals(
            error.message,
            `Invalid queue option: ${option} must be a positive integer or Infinity, received ${received}`,
          );
        }
      }
      assertEquals((yield* make({ capacity: Infinity, maxBytes: Infinity })).capacity, Infinity);
    }
  }),
);

test(
  "Queue.fromStream is filled from a Stream with its back-pressure, and closed when it ends; shut down when it fails",
  Effect.gen(function* () {
    let pulled = 0;
    const source = Stream.rechunk(Stream.tap(Stream.range(1, 100), () => Effect.sync(() => pulled++)), 1);
    const queue = yield* Queue.fromStream(source, { capacity: 5 });
    yield* when(queue.statistics, ({ putters }) => putters === 1);
    assertEquals([yield* queue.size, pulled], [5, 6]);
    assertEquals((yield* Stream.runCollect(queue.toStream)).length, 100);
    const failing = yield* Queue.fromStream(Stream.concat(Stream.make(1), Stream.fail("no")));
    yield* when(failing.statistics, ({ state }) => state === "shut down");
    // The end of its scope interrupts a Stream that has not ended.
    const scope = yield* Scope.make();
    let interrupted = false;
    const endless = Stream.concat(
      Stream.make(1),
      Stream.fromEffect(Effect.onInterrupt(Effect.never, () => Effect.sync(() => (interrupted = true)))),
    );
    const held = yield* Scope.extend(Queue.fromStream(endless), scope);
    assertEquals(yield* held.get, 1);
    yield* Scope.close(scope, Exit.void);
    assert(interrupted);
  }),
);

test(
  "Queue: a guard tells queues apart, and they name themselves",
  Effect.gen(function* () {
    const queue = yield* Queue.make();
    assert(Queue.isQueue(queue));
    for (const other of [undefined, null, {}, "queue", () => queue]) assert(!Queue.isQueue(other));
    assertEquals(queue.host, "MainProcess");
    assertEquals(queue.capacity, Infinity);
  }),
);

const atPlace = ({ make, name }: Place): void => {
  const setup = Effect.gen(function* () {
    const shared = yield* make;
    // A process that has made a queue has started.
    yield* shared();
    return Context.make(Maker, { make: shared });
  });
  group(`Queue ${name}`, setup, [...promises, ...orders]);
};
const [inThisProcess, inSubprocess, inWorker] = places;
atPlace(inThisProcess);
atPlace(inSubprocess);
repeated(() => atPlace(inWorker));

// Between processes

/** Registers the tests of queues between processes, for one backend. */
const suite = (name: string, layer: Layer.Layer<Backend.Backend>): void => {
  const steps: Array<Step<Backend.Backend | Workers | Scope.Scope>> = [];
  const check = <E>(
    title: string,
    program: Effect.Effect<unknown, E, Backend.Backend | Workers | Scope.Scope>,
  ): void => {
    steps.push([title, program]);
  };

  const hosting = started(Tasks.hosting);
  const hostingBelow = started(Tasks.hostingBelow);

  check(
    "several producers and consumers share one: each item arrives once, those of a producer in order",
    Effect.gen(function* () {
      const queue = yield* Queue.make<readonly [string, number]>({ capacity: 16 });
      const producers = yield* Effect.forEach(["a", "b"], (name) => spawn(Tasks.produce, queue, name, 300));
      const consumers = yield* Effect.forEach(numbers(2), () => spawn(Tasks.take, queue, 250));
      const own: Array<unknown> = [];
      for (let i = 0; i < 100; i++) own.push(yield* queue.get);
      const each = [own, ...(yield* Effect.forEach(consumers, ({ join }) => join))] as Array<Array<[string, number]>>;
      yield* Effect.forEach(producers, ({ join }) => join);
      for (const taken of each) {
        for (const name of ["a", "b"]) {
          const from = taken.filter(([producer]) => producer === name).map(([, n]) => n);
          assertEquals(from, from.toSorted((a, b) => a - b));
        }
      }
      const all = each.flat().map(([producer, n]) => `${producer}${n}`);
      assertEquals(all.length, 600);
      assertEquals(new Set(all).size, 600);
      calm(yield* when(queue.statistics, ({ bytes }) => bytes === 0));
    }),
  );

  // Handles

  check(
    "a queue is the argument of a task and its result, and is the same queue",
    Effect.gen(function* () {
      const queue = yield* Queue.make<unknown>({ capacity: 5, maxBytes: 1000 });
      const back = (yield* run(Tasks.echo, queue)) as Tasks.Any;
      assert(Queue.isQueue(back));
      assertEquals([back.host, back.capacity], [queue.host, 5]);
      yield* back.put(1);
      assertEquals(yield* queue.get, 1);
      assertEquals(yield* failure(back.put("x".repeat(1001))), "QueueError TooLarge");
    }),
  );

  check(
    "a queue is found wherever it is in an argument: in objects, lists, Maps, Sets; as often as it is there, it is one",
    Effect.gen(function* () {
      const queue = yield* Queue.make<unknown>();
      const places = {
        field: { deep: { queue } },
        list: [queue],
        map: new Map([["queue", queue]]),
        set: new Set([queue]),
      };
      assertEquals(yield* run(Tasks.putEverywhere, places), 1);
      assertEquals(yield* empty(queue), ["field", "list", "map", "set"]);
    }),
  );

  check(
    "a queue is a field of a process of a class",
    Effect.gen(function* () {
      const queue = yield* Queue.make<string>();
      yield* run(Tasks.shouter, new Tasks.Shouter(queue, ["a", "b"]));
      assertEquals(yield* empty(queue), ["A", "B"]);
    }),
  );

  check(
    "a queue is an item of another queue, also of itself, and of one that a child hosts (full)",
    Effect.gen(function* () {
      const queue = yield* Queue.make<unknown>();
      const { make } = yield* hosting;
      for (const queues of [yield* Queue.make<Tasks.Any>(), yield* make()]) {
        yield* queues.put(queue);
        yield* queue.put("before");
        assertEquals(yield* run(Tasks.forward, queues, "after"), "before");
        assertEquals(yield* queue.get, "after");
      }
      yield* queue.put(queue);
      yield* queue.put("second");
      const itself = (yield* queue.get) as Tasks.Any;
      assertEquals(yield* itself.get, "second");
    }),
  );

  check(
    "a queue reaches grandchildren, and their children (full)",
    Effect.gen(function* () {
      const queue = yield* Queue.make<unknown>({ capacity: 1 });
      for (const depth of [1, 2]) {
        yield* run(Tasks.putBelow, queue, depth, depth);
        assertEquals(yield* queue.get, depth);
      }
    }),
  );

  check(
    "a queue that a child hosts serves its parent, its sibling, and a child of that",
    Effect.gen(function* () {
      const { child, make } = yield* hosting;
      const queue = yield* make("lifo", { capacity: 10 });
      assertEquals([queue.host, queue.capacity], [child.name, 10]);
      yield* queue.put("parent");
      yield* run(Tasks.put, queue, "sibling");
      yield* run(Tasks.putBelow, queue, "nephew", 1);
      assertEquals(yield* run(Tasks.take, queue, 2), ["nephew", "sibling"]);
      assertEquals(yield* queue.get, "parent");
      calm(yield* when(queue.statistics, ({ bytes }) => bytes === 0));
    }),
  );

  check(
    "a queue that a grandchild hosts serves its grandparent and its uncle (full)",
    Effect.gen(function* () {
      const { make } = yield* hostingBelow;
      const queue = yield* make();
      const name = queue.host;
      assertStringIncludes(name, ":");
      yield* queue.put("grandparent");
      yield* run(Tasks.put, queue, "uncle");
      assertEquals(yield* run(Tasks.take, queue, 1), ["grandparent"]);
      assertEquals(yield* queue.get, "uncle");
    }),
  );

  check(
    "a child has its own children produce and consume over a queue of its own (full)",
    Effect.gen(function* () {
      const { host, taken } = yield* run(Tasks.family, 50);
      assert(host !== "MainProcess");
      for (const name of ["a", "b"]) {
        assertEquals(taken.filter(([producer]) => producer === name).map(([, n]) => n), numbers(50));
      }
    }),
  );

  check(
    "the tasks of a pool use a queue, in a child's pool as well (full)",
    Effect.gen(function* () {
      const queue = yield* Queue.make<unknown>();
      const pool = yield* Pool.make({ size: 2 });
      yield* pool.starmap(Tasks.put, numbers(8).map((n): [Tasks.Any, unknown] => [queue, n]), { chunkSize: 2 });
      assertEquals((yield* pool.apply(Tasks.take, queue, 4)).length, 4);
      const rest = yield* run(Tasks.poolBelow, queue);
      assertEquals(rest.flat().length, 4);
      calm(yield* when(queue.statistics, ({ bytes }) => bytes === 0));
    }),
  );

  check(
    "workers and subprocesses use one queue, whichever of them is the parent of the other (full)",
    Effect.gen(function* () {
      const queue = yield* Queue.make<unknown>();
      yield* run(Tasks.mixed, queue);
      assertEquals(yield* empty(queue), ["worker", "itself"]);
      for (const other of [subprocess, worker]) {
        const child = yield* Effect.provide(Process.spawn(Tasks.take, queue, 1), other);
        yield* when(queue.statistics, ({ takers }) => takers === 1);
        yield* run(Tasks.put, queue, "across");
        assertEquals(yield* child.join, ["across"]);
      }
    }),
  );

  // Several processes

  check(
    "numbers are the same for every process, at once",
    Effect.gen(function* () {
      const queue = yield* Queue.make<number>({ capacity: 2 });
      for (const size of numbers(3)) {
        const here = yield* Effect.all([queue.size, queue.isEmpty, queue.isFull, queue.statistics]);
        assertEquals(here.slice(0, 3), [size, size === 0, size === 2]);
        assertEquals(yield* run(Tasks.observe, queue), here);
        if (size < 2) yield* run(Tasks.put, queue, size);
      }
    }),
  );

  check(
    "a process that has put a large item into a queue of a sibling finds it there (full)",
    Effect.gen(function* () {
      const { make } = yield* hosting;
      const queue = yield* make();
      const item = new Uint8Array(20_000_000);
      assertEquals(yield* run(Tasks.putAndObserve, queue, item), { size: 1, taken: item.length });
      assertEquals(yield* run(Tasks.putMixed, queue, item, 3), undefined);
      // The small item that was put later comes later.
      for (const n of numbers(3)) {
        assertEquals((yield* queue.get).length, item.length);
        assertEquals(yield* queue.get, n);
      }
    }),
  );

  check(
    "gets that wait in several processes are served in the order in which they came",
    Effect.gen(function* () {
      const queue = yield* Queue.make<number>();
      const results: Array<Effect.Effect<ReadonlyArray<unknown>, unknown>> = [];
      for (const n of numbers(4)) {
        if (n % 2 === 0) {
          const child = yield* spawn(Tasks.take, queue, 1);
          results.push(child.join);
        } else {
          const fiber = yield* Effect.fork(Effect.all([queue.get]));
          results.push(Fiber.join(fiber));
        }
        yield* when(queue.statistics, ({ takers }) => takers === n + 1);
      }
      yield* queue.putAll(numbers(4));
      assertEquals(yield* Effect.all(results), [[0], [1], [2], [3]]);
    }),
  );

  check(
    "puts that wait in several processes are served in the order in which they came",
    Effect.gen(function* () {
      const queue = yield* Queue.make<unknown>({ capacity: 1 });
      yield* queue.put("first");
      for (const n of numbers(3)) {
        if (n === 1) yield* Effect.fork(queue.put(n));
        else yield* spawn(Tasks.put, queue, n);
        yield* when(queue.statistics, ({ putters }) => putters === n + 1);
      }
      assertEquals(yield* Effect.all(numbers(4).map(() => queue.get)), ["first", 0, 1, 2]);
    }),
  );

  check(
    "close lets all processes take what is left, and then tells each that this is the end",
    Effect.gen(function* () {
      const queue = yield* Queue.make<number>({ capacity: 20 });
      const children = yield* Effect.forEach(numbers(3), () => spawn(Tasks.work, queue));
      const own = yield* Effect.fork(Stream.runCount(queue.toStream));
      yield* queue.putAll(numbers(400));
      yield* queue.close;
      const ends = yield* Effect.forEach(children, ({ join }) => join);
      assertEquals(ends.map(({ reason }) => reason), ["Closed", "Closed", "Closed"]);
      const taken = yield* Fiber.join(own);
      assertEquals(ends.reduce((sum, { count }) => sum + count, taken), 400);
      yield* queue.taskDone(taken);
      yield* queue.join;
      calm(yield* when(queue.statistics, ({ bytes }) => bytes === 0));
    }),
  );

  check(
    "close by a child ends its parent's gets, and its puts",
    Effect.gen(function* () {
      const queue = yield* Queue.make<number>();
      const waiting = yield* Effect.fork(Effect.flip(queue.get));
      yield* when(queue.statistics, ({ takers }) => takers === 1);
      yield* run(Tasks.attempt, queue, "close");
      assertEquals(Tasks.described(yield* Fiber.join(waiting)), "QueueClosed Closed");
      assertEquals(yield* failure(queue.put(1)), "QueueClosed Closed");
      assertEquals(yield* run(Tasks.attempt, queue, "put"), "QueueClosed Closed");
      assertEquals(yield* run(Tasks.attempt, queue, "get"), "QueueClosed Closed");
    }),
  );

  check(
    "shutdown ends all processes that wait",
    Effect.gen(function* () {
      const queue = yield* Queue.make<unknown>({ capacity: 1 });
      const full = yield* Queue.make<unknown>({ capacity: 1 });
      yield* full.put(1);
      const children = [
        yield* spawn(Tasks.attempt, queue, "get"),
        yield* spawn(Tasks.attempt, full, "put"),
        yield* spawn(Tasks.attempt, full, "join"),
        yield* spawn(Tasks.attempt, queue, "ready"),
      ];
      yield* when(queue.statistics, ({ takers }) => takers === 1);
      yield* when(full.statistics, ({ putters }) => putters === 1);
      yield* Effect.all([queue.shutdown, full.shutdown]);
      const ends = yield* Effect.forEach(children, ({ join }) => join);
      const ended = "QueueClosed ShutDown";
      // `ready` waits for an item, or for the end of the queue.
      assertEquals(ends, [ended, ended, ended, undefined]);
    }),
  );

  check(
    "join waits until consumers in other processes have reported all that was put",
    Effect.gen(function* () {
      const queue = yield* Queue.make<number>({ capacity: 10 });
      const children = yield* Effect.forEach(numbers(2), () => spawn(Tasks.work, queue));
      yield* queue.putAll(numbers(200));
      yield* queue.join;
      const { size, unfinished } = yield* queue.statistics;
      assertEquals({ size, unfinished }, { size: 0, unfinished: 0 });
      yield* queue.close;
      const ends = yield* Effect.forEach(children, ({ join }) => join);
      assertEquals(ends.reduce((sum, { count }) => sum + count, 0), 200);
    }),
  );

  check(
    "poison pills end consumers, one for each",
    Effect.gen(function* () {
      const queue = yield* Queue.make<number | null>();
      const children = yield* Effect.forEach(numbers(3), () => spawn(Tasks.takeUntil, queue, null));
      yield* queue.putAll([...numbers(60), null, null, null]);
      const taken = (yield* Effect.forEach(children, ({ join }) => join)).flat() as Array<number>;
      assertEquals(taken.sort((a, b) => a - b), numbers(60));
      assert(yield* queue.isEmpty);
    }),
  );

  check(
    "a pipeline of processes passes all on, in order, and ends stage by stage (full)",
    Effect.gen(function* () {
      const queues = yield* Effect.forEach(numbers(3), () => Queue.make<number>({ capacity: 8 }));
      yield* spawn(Tasks.stage, queues[0], queues[1]);
      yield* spawn(Tasks.stage, queues[1], queues[2]);
      yield* Effect.fork(Effect.zipRight(Stream.run(Stream.range(1, 500), queues[0].toSink), queues[0].close));
      const taken = yield* Stream.runCollect(queues[2].toStream);
      assertEquals(Chunk.toReadonlyArray(taken), numbers(500).map((n) => n + 3));
    }),
  );

  check(
    "10 000 gets of a child wait, and then all are served; its death leaves none behind (full)",
    Effect.gen(function* () {
      const queue = yield* Queue.make<number>();
      const child = yield* Process.spawn(Tasks.takers, queue, 10_000);
      yield* when(queue.statistics, ({ takers }) => takers === 10_000);
      yield* queue.putAll(numbers(10_000));
      assertEquals(yield* child.join, numbers(10_000));
      const other = yield* Process.spawn(Tasks.takers, queue, 10_000);
      yield* when(queue.statistics, ({ takers }) => takers === 10_000);
      yield* other.kill;
      yield* when(queue.statistics, ({ takers }) => takers === 0);
      yield* queue.put(1);
      assertEquals(yield* queue.get, 1);
      calm(yield* when(queue.statistics, ({ bytes }) => bytes === 0));
    }),
  );

  check(
    "a slow consumer holds its producers back: no more is anywhere than the queue has room for",
    Effect.gen(function* () {
      for (const options of [{ capacity: 8 }, { maxBytes: 8_500 }]) {
        const queue = yield* Queue.make<Uint8Array>(options);
        const done = yield* Queue.make<number>();
        const child = yield* Process.spawnWith(Tasks.flood, [queue, 1_000, done], { daemon: true });
        for (const round of numbers(30)) {
          const { bytes, size } = yield* when(queue.statistics, ({ putters }) => putters === 1);
          assertEquals(size, 8);
          assert(bytes <= 8_500, `${bytes}`);
          const puts = yield* done.size;
          assert(puts <= 8 + round, `${puts} puts have returned after ${round} gets`);
          assertEquals((yield* queue.get).length, 1_000);
        }
        yield* child.terminate;
      }
    }),
  );

  check(
    "a process that has put ends, and its parent can join it before anybody takes (full)",
    Effect.gen(function* () {
      const queue = yield* Queue.make<unknown>();
      const items = numbers(4).map((n) => new Uint8Array(1_000_000).fill(n));
      yield* Process.run(Tasks.putAll, queue, items);
      assertEquals((yield* empty(queue)).map((item) => (item as Uint8Array)[0]), numbers(4));
    }),
  );

  // Failures

  check(
    "an item that cannot be decoded fails the get that receives it, and the next one comes",
    Effect.gen(function* () {
      const queue = yield* Queue.make<unknown>();
      yield* queue.putAll([{ deep: [strange] }, 1]);
      const [error, next] = yield* run(Tasks.takeStrange, queue);
      assertStringIncludes(error, "DecodeError");
      assertStringIncludes(error, "strange");
      assertEquals(next, 1);
    }),
  );

  check(
    "an item that cannot be decoded takes no other with it, though they were taken together",
    Effect.gen(function* () {
      const queue = yield* Queue.make<unknown>();
      yield* queue.putAll([1, 2, strange, 3, 4]);
      assertEquals(yield* run(Tasks.takeAround, queue, 5), [1, 2, "DecodeError", 3, 4]);
      yield* queue.putAll([strange, 1, strange, strange, 2]);
      yield* queue.close;
      const parts = yield* run(Tasks.streamAround, queue);
      assertEquals(parts, ["DecodeError", 1, "DecodeError", "DecodeError", 2]);
    }),
  );

  check(
    "a queue whose scope has closed is Unreachable for all, and the error names its host",
    Effect.gen(function* () {
      const returned = (yield* run(Tasks.makeAndReturn)) as Tasks.Any;
      const name = returned.host;
      assert(name !== "MainProcess");
      for (
        const operation of [
          returned.put(1),
          returned.tryPut(1),
          returned.putAll([1]),
          returned.get,
          returned.tryGet,
          returned.takeUpTo(1),
          returned.size,
          returned.isEmpty,
          returned.isFull,
          returned.taskDone(),
          returned.join,
          returned.ready,
          returned.close,
          returned.shutdown,
          returned.statistics,
          Stream.runDrain(returned.toStream),
          Stream.run(Stream.make(1), returned.toSink),
        ] as ReadonlyArray<Effect.Effect<unknown, unknown>>
      ) {
        const error = yield* Effect.flip(operation);
        assertInstanceOf(error, Queue.Unreachable);
        assertEquals([error.host, error.kind], [name, "queue"]);
        assertStringIncludes(error.message, name);
      }
      // The same for a queue of this process, of a sibling, and of a process that never existed.
      const scope = yield* Scope.make();
      const mine = yield* Scope.extend(Queue.make<unknown>(), scope);
      yield* Scope.close(scope, Exit.void);
      for (const operation of ["get", "put", "size", "join", "ready", "close", "statistics"] as const) {
        assertEquals(yield* run(Tasks.attempt, mine, operation), "Unreachable MainProcess");
      }
      assertEquals(yield* run(Tasks.attempt, returned, "get"), `Unreachable ${name}`);
      assertEquals(yield* failure(mine.get), "Unreachable MainProcess");
    }),
  );

  check(
    "when the scope of a queue closes, its waiters in every process are told",
    Effect.gen(function* () {
      const scope = yield* Scope.make();
      const queue = yield* Scope.extend(Queue.make<unknown>({ capacity: 1 }), scope);
      const full = yield* Scope.extend(Queue.make<unknown>({ capacity: 1 }), scope);
      yield* full.put(1);
      const children = [
        yield* spawn(Tasks.attempt, queue, "get"),
        yield* spawn(Tasks.attempt, full, "put"),
      ];
      const own = yield* Effect.forEach(
        [queue.get, queue.ready, full.put(2), full.join],
        (operation) => Effect.fork(Effect.flip(operation as Effect.Effect<unknown, unknown>)),
      );
      yield* when(queue.statistics, ({ takers }) => takers === 2);
      yield* when(full.statistics, ({ putters }) => putters === 2);
      yield* Scope.close(scope, Exit.void);
      for (const { join } of children) assertEquals(yield* join, "Unreachable MainProcess");
      for (const fiber of own) assertEquals(Tasks.described(yield* Fiber.join(fiber)), "Unreachable MainProcess");
    }),
  );

  check(
    "an item that is too large for a link fails its put, or its get, where it stays for others",
    Effect.gen(function* () {
      const queue = yield* Queue.make<unknown>();
      const large = "x".repeat(50_000);
      const error = yield* Process.run(Tasks.putText, queue, 50_000);
      assertStringIncludes(error, "MessageTooLarge");
      assertStringIncludes(error, "maxMessageSize");
      calm(yield* when(queue.statistics, ({ bytes }) => bytes === 0));
      yield* queue.putAll([large, 1]);
      assertEquals(yield* Process.run(Tasks.attempt, queue, "get"), "MessageTooLarge");
      assertEquals(yield* queue.get, large);
      assertEquals(yield* Process.run(Tasks.take, queue, 1), [1]);
    }).pipe(Effect.provide(name === "worker" ? WorkerBackend.layer(narrow) : SubprocessBackend.layer(narrow))),
  );

  withWorkers(`Queue on ${name}`, layer, 4, steps);
};

suite("subprocess", subprocess);
repeated(() => suite("worker", worker));
