/**
 * The guarantees of a queue: each sentence of its documentation, in each place where a queue can live, and the moves of
 * its handle.
 *
 * @module
 */
import * as Chunk from "effect/Chunk";
import * as Context from "effect/Context";
import * as Effect from "effect/Effect";
import * as Either from "effect/Either";
import * as Exit from "effect/Exit";
import * as Fiber from "effect/Fiber";
import type * as Layer from "effect/Layer";
import * as Option from "effect/Option";
import * as Scope from "effect/Scope";
import * as Stream from "effect/Stream";
import { type Backend, Pool, Process, Queue, SubprocessBackend, WorkerBackend } from "../../mod.ts";
import { HandleId } from "../../src/internal/objects/handles.ts";
import { assert, assertEquals, assertInstanceOf, assertStringIncludes } from "../support/assert.ts";
import * as Tasks from "./queue_tasks.ts";
import { group, type Step, test, warmUp, when } from "../support/suite.ts";
import { run, spawn, withWorkers, type Workers } from "../support/workers.ts";
import { repeated } from "../support/tier.ts";

const subprocess = SubprocessBackend.layer();
const worker = WorkerBackend.layer();

type Make = (kind?: Tasks.Kind, options?: Queue.Options) => Effect.Effect<Tasks.Any, unknown, Scope.Scope>;

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

/** Makes the queues of a group of tests. */
interface Maker {
  readonly make: Make;
}
const Maker = Context.GenericTag<Maker>("tests/Maker");

const promises: Array<Step<Maker | Scope.Scope>> = [];

/** Registers a test of a guarantee for every place where a queue can live. */
const promise = (title: string, program: (make: Make) => Effect.Effect<unknown, unknown, Scope.Scope>): void => {
  promises.push([title, Effect.flatMap(Maker, ({ make }) => program(make))]);
};

const numbers = (n: number): Array<number> => Array.from({ length: n }, (_, i) => i);

/** Takes all available items, one by one. */
const empty = (queue: Tasks.Any): Effect.Effect<ReadonlyArray<unknown>, unknown> =>
  Effect.gen(function* () {
    const items: Array<unknown> = [];
    for (;;) {
      const item = yield* queue.tryGet;
      if (Option.isNone(item)) return items;
      items.push(item.value);
    }
  });

/** The tag of a failure, and its reason if it has one. */
const failure = <A>(program: Effect.Effect<A, unknown>): Effect.Effect<string, A> =>
  Effect.map(Effect.flip(program), Tasks.described);

/** An object with a handle of a kind that no other process knows. */
class Strange {
  readonly [HandleId] = { kind: "strange", encode: () => 1 };
}
const strange = new Strange();

/** Links with a small maximum message size. */
const narrow = { maxMessageSize: 40_000 };

/** Nothing waits, and nothing is reserved. */
const calm = ({ bytes, putters, size, takers }: Queue.Statistics): void =>
  assertEquals({ bytes, putters, size, takers }, { bytes: 0, putters: 0, size: 0, takers: 0 });

// Order

promise("gives first what was put first", (make) =>
  Effect.gen(function* () {
    const queue = yield* make();
    yield* queue.put(0);
    yield* queue.putAll([1, 2, 3]);
    assert(yield* queue.tryPut(4));
    yield* Stream.run(Stream.make(5, 6), queue.toSink);
    assertEquals(yield* queue.takeUpTo(2), [0, 1]);
    assertEquals([yield* queue.get, yield* queue.tryGet], [2, Option.some(3)]);
    yield* queue.put(7);
    assertEquals(yield* empty(queue), [4, 5, 6, 7]);
  }));

promise("a last in first out queue gives first what was put last", (make) =>
  Effect.gen(function* () {
    const queue = yield* make("lifo");
    yield* queue.putAll([1, 2, 3]);
    assertEquals(yield* queue.get, 3);
    yield* queue.put(4);
    assertEquals(yield* queue.takeUpTo(2), [4, 2]);
    assertEquals(yield* empty(queue), [1]);
  }));

promise(
  "a priority queue gives the smallest first: of numbers and bigints, texts, Dates, arrays",
  (make) =>
    Effect.gen(function* () {
      for (
        const [items, sorted] of [
          [[3, -Infinity, 2n, 10n ** 20n, 0.5, -1n, Infinity], [-Infinity, -1n, 0.5, 2n, 3, 10n ** 20n, Infinity]],
          [["b", "", "a", "B", "aa"], ["", "B", "a", "aa", "b"]],
          [[new Date(2), new Date(0), new Date(1)], [new Date(0), new Date(1), new Date(2)]],
          [[[2, "a"], [1, "b"], [1, "a"], [1], []], [[], [1], [1, "a"], [1, "b"], [2, "a"]]],
          [[[1, [2, 3]], [1, [2, 1]]], [[1, [2, 1]], [1, [2, 3]]]],
        ] as ReadonlyArray<readonly [ReadonlyArray<unknown>, ReadonlyArray<unknown>]>
      ) {
        const queue = yield* make("priority");
        yield* queue.putAll(items);
        assertEquals(yield* empty(queue), sorted);
      }
    }),
);

promise("a priority queue gives equal ones in the order in which they came", (make) =>
  Effect.gen(function* () {
    const queue = yield* make("byUrgency");
    const jobs = numbers(40).map((n): Tasks.Job => ({ urgency: n % 3, name: `${n}` }));
    for (const job of jobs) yield* queue.put(job);
    const expected = [0, 1, 2].flatMap((urgency) => jobs.filter((job) => job.urgency === urgency));
    assertEquals(yield* empty(queue), expected);
    const mixed = yield* make("priority");
    yield* mixed.putAll([1n, 1, 0, 1n]);
    assertEquals(yield* empty(mixed), [0, 1n, 1, 1n]);
  }));

promise("a priority queue orders by a key, by an Order, or by both", (make) =>
  Effect.gen(function* () {
    const downwards = yield* make("downwards");
    yield* downwards.putAll([1, 3, 2]);
    assertEquals(yield* empty(downwards), [3, 2, 1]);
    const jobs = [{ urgency: 1, name: "sweep" }, { urgency: 5, name: "extinguish" }, { urgency: 1, name: "wash" }];
    const leisurely = yield* make("byUrgency");
    yield* leisurely.putAll(jobs);
    assertEquals(yield* empty(leisurely), [jobs[0], jobs[2], jobs[1]]);
    const urgent = yield* make("urgentFirst");
    yield* urgent.putAll(jobs);
    assertEquals(yield* empty(urgent), [jobs[1], jobs[0], jobs[2]]);
  }));

promise(
  "an item without a place in the order is refused, and the queue is unharmed",
  (make) =>
    Effect.gen(function* () {
      const queue = yield* make("priority", { capacity: 4 });
      yield* queue.putAll([3, 1]);
      for (const item of [NaN, { a: 1 }, "text", null, undefined, [1], Symbol.iterator in {}, new Date(NaN)]) {
        assertEquals(yield* failure(queue.put(item)), "QueueError NotOrderable");
        assertEquals(yield* failure(queue.tryPut(item)), "QueueError NotOrderable");
      }
      const { size, unfinished } = yield* queue.statistics;
      assertEquals({ size, unfinished }, { size: 2, unfinished: 2 });
      // Items before the invalid one are put.
      assertEquals(yield* failure(queue.putAll([2, NaN])), "QueueError NotOrderable");
      yield* queue.put(0);
      assert(yield* queue.isFull);
      assertEquals(yield* empty(queue), [0, 1, 2, 3]);
      yield* queue.taskDone(4);
      calm(yield* when(queue.statistics, ({ bytes }) => bytes === 0));
    }),
);

promise(
  "items that are found to have no order among each other come out all the same",
  (make) =>
    Effect.gen(function* () {
      const queue = yield* make("priority");
      // A put compares an item only with the first. The others are compared after the first has left.
      const items = [[1], [2, 5], [2, "b"], [3, 1]];
      yield* queue.putAll(items);
      const taken = yield* empty(queue);
      assertEquals(taken[0], [1]);
      assertEquals(new Set(taken.map(String)), new Set(items.map(String)));
      calm(yield* when(queue.statistics, ({ bytes }) => bytes === 0));
      yield* queue.putAll([2, 1]);
      assertEquals(yield* empty(queue), [1, 2]);
    }),
);

promise(
  "items of one fiber stay in order, and those of several fibers are all there",
  (make) =>
    Effect.gen(function* () {
      const queue = yield* make("fifo", { capacity: 7 });
      const producers = yield* Effect.fork(Effect.forEach(
        ["a", "b", "c"],
        (name) => Effect.forEach(numbers(200), (n) => queue.put([name, n])),
        { concurrency: "unbounded" },
      ));
      const taken = (yield* Effect.all(numbers(600).map(() => queue.get))) as ReadonlyArray<[string, number]>;
      yield* Fiber.join(producers);
      for (const name of ["a", "b", "c"]) {
        assertEquals(taken.filter(([producer]) => producer === name).map(([, n]) => n), numbers(200));
      }
      calm(yield* when(queue.statistics, ({ bytes }) => bytes === 0));
    }),
);

// Bounds

promise(
  "a put waits for room, and waiting puts are served in the order in which they came",
  (make) =>
    Effect.gen(function* () {
      const queue = yield* make("fifo", { capacity: 2 });
      yield* queue.putAll([0, 1]);
      const waiting: Array<Fiber.RuntimeFiber<void, unknown>> = [];
      for (const n of [2, 3, 4]) {
        waiting.push(yield* Effect.fork(queue.put(n)));
        yield* when(queue.statistics, ({ putters }) => putters === waiting.length);
      }
      assertEquals([yield* queue.size, yield* queue.isFull, yield* queue.isEmpty], [2, true, false]);
      assertEquals(waiting.map((fiber) => fiber.unsafePoll()), [null, null, null]);
      assertEquals(yield* queue.get, 0);
      yield* Fiber.join(waiting[0]);
      assertEquals(waiting.map((fiber) => fiber.unsafePoll() === null), [false, true, true]);
      assertEquals(yield* Effect.all(numbers(4).map(() => queue.get)), [1, 2, 3, 4]);
      yield* Fiber.joinAll(waiting);
      calm(yield* when(queue.statistics, ({ bytes }) => bytes === 0));
    }),
);

promise("a put waits for bytes as well, and one item that fits goes in alone", (make) =>
  Effect.gen(function* () {
    const queue = yield* make("fifo", { maxBytes: 1000 });
    const item = (n: number) => "x".repeat(400) + n;
    yield* queue.putAll([item(0), item(1)]);
    assert(!(yield* queue.tryPut(item(2))));
    const third = yield* Effect.fork(queue.put(item(2)));
    const { bytes } = yield* when(queue.statistics, ({ putters }) => putters === 1);
    assert(bytes > 800 && bytes <= 1000, `${bytes}`);
    assertEquals(yield* queue.get, item(0));
    yield* Fiber.join(third);
    assertEquals(yield* empty(queue), [item(1), item(2)]);
    const large = "y".repeat(980);
    yield* queue.put(large);
    assert(!(yield* queue.tryPut(large)));
    assertEquals(yield* empty(queue), [large]);
    calm(yield* when(queue.statistics, ({ bytes }) => bytes === 0));
  }));

promise("an item that is larger than the queue is TooLarge, with nothing put", (make) =>
  Effect.gen(function* () {
    const queue = yield* make("fifo", { maxBytes: 1000 });
    for (const item of ["x".repeat(1001), new Uint8Array(100_000)]) {
      assertEquals(yield* failure(queue.put(item)), "QueueError TooLarge");
      assertEquals(yield* failure(queue.tryPut(item)), "QueueError TooLarge");
      assertEquals(yield* failure(queue.putAll([1, item])), "QueueError TooLarge");
    }
    const error = yield* Effect.flip(queue.put("x".repeat(1001)));
    assertStringIncludes((error as Error).message, "1000 bytes");
    calm(yield* queue.statistics);
    yield* queue.put("fits");
    assertEquals(yield* queue.get, "fits");
  }));

promise("tryPut and tryGet answer at once", (make) =>
  Effect.gen(function* () {
    const queue = yield* make("fifo", { capacity: 1 });
    assertEquals(yield* queue.tryGet, Option.none());
    assertEquals(yield* queue.tryPut(1), true);
    assertEquals(yield* queue.tryPut(2), false);
    assertEquals(yield* queue.tryGet, Option.some(1));
    assertEquals(yield* queue.tryGet, Option.none());
    calm(yield* when(queue.statistics, ({ bytes }) => bytes === 0));
  }));

promise("putAll puts more than there is room for as room comes, in order", (make) =>
  Effect.gen(function* () {
    const queue = yield* make("fifo", { capacity: 3 });
    const putting = yield* Effect.fork(queue.putAll(numbers(5_000)));
    const taken: Array<unknown> = [];
    while (taken.length < 5_000) {
      const items = yield* queue.takeUpTo(10);
      assert(items.length >= 1 && items.length <= 3, `${items.length} of a queue of 3`);
      taken.push(...items);
    }
    yield* Fiber.join(putting);
    assertEquals(taken, numbers(5_000));
    yield* queue.putAll([]);
    yield* queue.putAll(new Set(["a", "b"]));
    assertEquals(yield* empty(queue), ["a", "b"]);
  }));

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

// Items

promise("an item is what it was when it was put, whatever becomes of it", (make) =>
  Effect.gen(function* () {
    const queue = yield* make();
    const list = [1];
    const bytes = new Uint8Array(200_000).fill(1);
    yield* queue.put({ list, bytes });
    list.push(2);
    bytes.fill(2);
    const taken = (yield* queue.get) as { list: Array<number>; bytes: Uint8Array };
    assertEquals(taken.list, [1]);
    assert(taken.bytes.every((byte) => byte === 1));
    // The taken object is a copy of the item in the queue.
    taken.bytes.fill(3);
    assert(bytes.every((byte) => byte === 2));
  }));

promise(
  "an item that cannot be sent fails its put, which has put nothing; the queue stays usable",
  (make) =>
    Effect.gen(function* () {
      const queue = yield* make("fifo", { capacity: 2 });
      for (const item of [() => 1, { deep: [Stream.make(1)] }, Effect.never, Symbol("unique"), new WeakMap()]) {
        assertEquals((yield* failure(queue.put(item))).split(" ")[0], "EncodeError");
        assertEquals((yield* failure(queue.tryPut(item))).split(" ")[0], "EncodeError");
        assertEquals((yield* failure(queue.putAll([1, item]))).split(" ")[0], "EncodeError");
      }
      const error = yield* Effect.flip(queue.putAll([1, { handler: () => 1 }]));
      assertStringIncludes((error as Error).message, "items[1].handler");
      const { size, unfinished } = yield* queue.statistics;
      assertEquals({ size, unfinished }, { size: 0, unfinished: 0 });
      yield* queue.join;
      yield* queue.putAll([1, 2]);
      assertEquals(yield* empty(queue), [1, 2]);
    }),
);

promise("all that is data travels", (make) =>
  Effect.gen(function* () {
    const queue = yield* make();
    const items = [
      undefined,
      null,
      -0,
      NaN,
      10n ** 30n,
      "ünï\ud800",
      new Date(1),
      /a/gi,
      new Map([[{ a: 1 }, new Set([1])]]),
      Option.some(Either.left(Chunk.make(1, 2))),
      new Error("text", { cause: 1 }),
      new Float64Array([1, 2]),
    ];
    yield* queue.putAll(items);
    assertEquals(yield* empty(queue), items);
    const itself: Array<unknown> = [];
    itself.push(itself);
    yield* queue.put(itself);
    const cyclic = yield* queue.get;
    assert(cyclic[0] === cyclic);
  }));

promise("an item of 100 MB arrives whole (full)", (make) =>
  Effect.gen(function* () {
    const queue = yield* make();
    const item = new Uint8Array(100_000_000);
    for (let i = 0; i < item.length; i += 4096) item[i] = i >>> 12;
    yield* queue.put(item);
    assertEquals([yield* queue.size, (yield* queue.statistics).bytes > item.length], [1, true]);
    yield* queue.put("small");
    const taken = yield* queue.get;
    assertEquals(taken.length, item.length);
    for (let i = 0; i < item.length; i += 4096) assert(taken[i] === (i >>> 12 & 255), `${i}`);
    assertEquals(yield* queue.get, "small");
  }));

// Takers

promise(
  "a get waits for an item; waiting gets are served in the order in which they came",
  (make) =>
    Effect.gen(function* () {
      const queue = yield* make();
      const waiting: Array<Fiber.RuntimeFiber<unknown, unknown>> = [];
      for (const n of numbers(5)) {
        waiting.push(yield* Effect.fork(n === 2 ? queue.takeUpTo(10) : queue.get));
        yield* when(queue.statistics, ({ takers }) => takers === n + 1);
      }
      yield* Fiber.interrupt(waiting[1]);
      for (const n of numbers(4)) yield* queue.put(n);
      assertEquals(yield* Effect.forEach([0, 2, 3, 4], (i) => Fiber.join(waiting[i])), [0, [1], 2, 3]);
      calm(yield* when(queue.statistics, ({ bytes }) => bytes === 0));
    }),
);

promise(
  "takeUpTo takes what is there up to the count, and waits when there is nothing",
  (make) =>
    Effect.gen(function* () {
      const queue = yield* make();
      yield* queue.putAll(numbers(10));
      assertEquals(yield* queue.takeUpTo(4), [0, 1, 2, 3]);
      assertEquals(yield* queue.takeUpTo(100), [4, 5, 6, 7, 8, 9]);
      const waiting = yield* Effect.fork(queue.takeUpTo(3));
      yield* when(queue.statistics, ({ takers }) => takers === 1);
      yield* queue.putAll([1, 2, 3, 4, 5]);
      const first = (yield* Fiber.join(waiting)) as ReadonlyArray<unknown>;
      assert(first.length >= 1 && first.length <= 3);
      assertEquals([...first, ...(yield* empty(queue))], [1, 2, 3, 4, 5]);
      for (const count of [0, -1, 1.5, NaN, Infinity]) {
        assertEquals(yield* failure(queue.takeUpTo(count)), "QueueError InvalidOption");
      }
    }),
);

promise("a get that is interrupted, or runs out of time, has taken nothing", (make) =>
  Effect.gen(function* () {
    const queue = yield* make();
    assertEquals(yield* Effect.timeoutOption(queue.get, "1 millis"), Option.none());
    assertEquals(yield* Effect.timeoutOption(queue.takeUpTo(2), "1 millis"), Option.none());
    calm(yield* when(queue.statistics, ({ takers }) => takers === 0));
    yield* queue.putAll([1, 2]);
    assertEquals(yield* empty(queue), [1, 2]);
  }));

promise(
  "10 000 gets wait, half of them go away, and the others are served in their order (full)",
  (make) =>
    Effect.gen(function* () {
      const queue = yield* make();
      const waiting = yield* Effect.forEach(numbers(10_000), () => Effect.fork(queue.get));
      yield* when(queue.statistics, ({ takers }) => takers === 10_000);
      yield* Fiber.interruptAll(waiting.filter((_, i) => i % 2 === 1));
      yield* when(queue.statistics, ({ takers }) => takers === 5_000);
      yield* queue.putAll(numbers(5_000));
      const taken = yield* Effect.forEach(waiting.filter((_, i) => i % 2 === 0), Fiber.join);
      assertEquals(taken, numbers(5_000));
      calm(yield* when(queue.statistics, ({ bytes }) => bytes === 0));
    }),
);

// Numbers

promise("size, isEmpty and isFull are true when they answer", (make) =>
  Effect.gen(function* () {
    const queue = yield* make("fifo", { capacity: 2 });
    const state = Effect.all([queue.size, queue.isEmpty, queue.isFull]);
    for (let round = 0; round < 20; round++) {
      assertEquals(yield* state, [0, true, false]);
      yield* queue.put(1);
      assertEquals(yield* state, [1, false, false]);
      yield* queue.put(2);
      assertEquals(yield* state, [2, false, true]);
      yield* queue.get;
      assertEquals(yield* state, [1, false, false]);
      yield* queue.get;
    }
    const statistics = yield* queue.statistics;
    assertEquals(statistics, {
      size: 0,
      capacity: 2,
      bytes: 0,
      takers: 0,
      putters: 0,
      unfinished: 40,
      state: "open",
    });
  }));

promise("join waits until all that was put has been reported done", (make) =>
  Effect.gen(function* () {
    const queue = yield* make();
    yield* queue.join;
    yield* queue.putAll([1, 2, 3]);
    const joining = yield* Effect.fork(queue.join);
    yield* queue.get;
    yield* queue.taskDone();
    // As in Python, an item can be reported done before it is taken.
    yield* queue.taskDone();
    assertEquals((yield* queue.statistics).unfinished, 1);
    assertEquals(joining.unsafePoll(), null);
    yield* queue.taskDone();
    yield* Fiber.join(joining);
    yield* queue.join;
  }));

promise("more tasks reported done than were put are refused, and change nothing", (make) =>
  Effect.gen(function* () {
    const queue = yield* make();
    assertEquals(yield* failure(queue.taskDone()), "QueueError TooManyDone");
    yield* queue.putAll([1, 2]);
    assertEquals(yield* failure(queue.taskDone(3)), "QueueError TooManyDone");
    for (const count of [0, -1, 0.5, NaN, Infinity]) {
      assertEquals(yield* failure(queue.taskDone(count)), "QueueError InvalidOption");
    }
    assertEquals((yield* queue.statistics).unfinished, 2);
    yield* queue.taskDone(2);
    yield* queue.join;
  }));

promise("join and ready can be interrupted", (make) =>
  Effect.gen(function* () {
    const queue = yield* make();
    assertEquals(yield* Effect.timeoutOption(queue.ready, "1 millis"), Option.none());
    yield* queue.put(1);
    assertEquals(yield* Effect.timeoutOption(queue.join, "1 millis"), Option.none());
    yield* queue.taskDone();
    yield* queue.join;
  }));

promise("ready waits until there is an item, and takes nothing", (make) =>
  Effect.gen(function* () {
    const queue = yield* make();
    const waiting = yield* Effect.fork(Effect.all([queue.ready, queue.ready], { concurrency: 2 }));
    yield* queue.put(1);
    yield* Fiber.join(waiting);
    yield* queue.ready;
    assertEquals(yield* queue.size, 1);
    assertEquals(yield* queue.get, 1);
    const forEnd = yield* Effect.fork(queue.ready);
    yield* queue.close;
    yield* Fiber.join(forEnd);
    yield* queue.ready;
  }));

// The end

promise("close refuses puts; what is there can be taken, then gets fail", (make) =>
  Effect.gen(function* () {
    const queue = yield* make("fifo", { capacity: 2 });
    yield* queue.putAll([1, 2]);
    const putting = yield* Effect.fork(Effect.flip(queue.put(3)));
    yield* when(queue.statistics, ({ putters }) => putters === 1);
    yield* queue.close;
    assertEquals(Tasks.described(yield* Fiber.join(putting)), "QueueClosed Closed");
    for (
      const put of [queue.put(4), queue.putAll([4]), queue.tryPut(4)] as ReadonlyArray<Effect.Effect<unknown, unknown>>
    ) {
      assertEquals(yield* failure(put), "QueueClosed Closed");
    }
    assertEquals((yield* queue.statistics).state, "closed");
    assertEquals([yield* queue.size, yield* queue.isEmpty], [2, false]);
    assertEquals(yield* queue.get, 1);
    assertEquals(yield* queue.takeUpTo(5), [2]);
    for (const get of [queue.get, queue.tryGet, queue.takeUpTo(1)] as ReadonlyArray<Effect.Effect<unknown, unknown>>) {
      assertEquals(yield* failure(get), "QueueClosed Closed");
    }
    yield* queue.close;
    assertEquals(yield* failure(queue.get), "QueueClosed Closed");
    // Remaining items can still be reported done.
    const joining = yield* Effect.fork(queue.join);
    yield* queue.taskDone(2);
    yield* Fiber.join(joining);
  }));

promise("close ends gets that wait", (make) =>
  Effect.gen(function* () {
    const queue = yield* make();
    const waiting = yield* Effect.forEach(numbers(3), () => Effect.fork(Effect.flip(queue.get)));
    yield* when(queue.statistics, ({ takers }) => takers === 3);
    yield* queue.close;
    for (const fiber of waiting) assertEquals(Tasks.described(yield* Fiber.join(fiber)), "QueueClosed Closed");
  }));

promise("shutdown drops what is there, and ends everybody", (make) =>
  Effect.gen(function* () {
    const queue = yield* make("fifo", { capacity: 2 });
    yield* queue.putAll([1, 2]);
    const waiting = [
      yield* Effect.fork(Effect.flip(queue.put(3))),
      yield* Effect.fork(Effect.flip(queue.join)),
    ];
    yield* when(queue.statistics, ({ putters }) => putters === 1);
    yield* queue.shutdown;
    for (const fiber of waiting) assertEquals(Tasks.described(yield* Fiber.join(fiber)), "QueueClosed ShutDown");
    for (
      const operation of [
        queue.get,
        queue.tryGet,
        queue.takeUpTo(1),
        queue.put(1),
        queue.tryPut(1),
        queue.join,
      ] as ReadonlyArray<Effect.Effect<unknown, unknown>>
    ) assertEquals(yield* failure(operation), "QueueClosed ShutDown");
    const { bytes, size, state } = yield* queue.statistics;
    assertEquals({ bytes, size, state }, { bytes: 0, size: 0, state: "shut down" });
    yield* queue.shutdown;
    yield* queue.close;
    assertEquals(yield* failure(queue.get), "QueueClosed ShutDown");
    const other = yield* make();
    const takers = yield* Effect.forEach(numbers(3), () => Effect.fork(Effect.flip(other.get)));
    yield* when(other.statistics, ({ takers }) => takers === 3);
    yield* other.shutdown;
    for (const fiber of takers) assertEquals(Tasks.described(yield* Fiber.join(fiber)), "QueueClosed ShutDown");
  }));

promise("a queue that was closed and is shut down then ends at once", (make) =>
  Effect.gen(function* () {
    const queue = yield* make();
    yield* queue.putAll([1, 2]);
    yield* queue.close;
    yield* queue.shutdown;
    assertEquals(yield* failure(queue.get), "QueueClosed ShutDown");
  }));

// Streams

promise("toStream gives items as they come, and ends with the queue", (make) =>
  Effect.gen(function* () {
    const queue = yield* make("fifo", { capacity: 50 });
    const reading = yield* Effect.fork(Stream.runCollect(queue.toStream));
    yield* Stream.run(Stream.range(1, 3_000), queue.toSink);
    yield* queue.close;
    assertEquals(Chunk.toReadonlyArray(yield* Fiber.join(reading)), numbers(3_000).map((n) => n + 1));
    assertEquals(Chunk.toReadonlyArray(yield* Stream.runCollect(queue.toStream)), []);
    const other = yield* make();
    const failing = yield* Effect.fork(Effect.flip(Stream.runDrain(other.toStream)));
    yield* when(other.statistics, ({ takers }) => takers === 1);
    yield* other.shutdown;
    assertEquals(Tasks.described(yield* Fiber.join(failing)), "QueueClosed ShutDown");
  }));

promise("a stream that waits and is interrupted has taken nothing", (make) =>
  Effect.gen(function* () {
    const queue = yield* make();
    const seen: Array<unknown> = [];
    const reading = yield* Effect.fork(Stream.runForEach(queue.toStream, (item) => Effect.sync(() => seen.push(item))));
    yield* when(queue.statistics, ({ takers }) => takers === 1);
    yield* queue.put(1);
    yield* when(queue.statistics, ({ size, takers }) => size === 0 && takers === 1);
    yield* Fiber.interrupt(reading);
    yield* queue.putAll([2, 3]);
    assertEquals(seen, [1]);
    assertEquals(yield* empty(queue), [2, 3]);
  }));

promise("several streams share the items: each goes to one of them", (make) =>
  Effect.gen(function* () {
    const queue = yield* make("fifo", { capacity: 20 });
    const readers = yield* Effect.forEach(numbers(4), () => Effect.fork(Stream.runCollect(queue.toStream)));
    yield* queue.putAll(numbers(2_000));
    yield* queue.close;
    const taken = (yield* Effect.forEach(readers, Fiber.join)).flatMap((chunk) => [...chunk] as Array<number>);
    assertEquals(taken.sort((a, b) => a - b), numbers(2_000));
  }));

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
  group(`Queue ${name}`, setup, promises);
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
