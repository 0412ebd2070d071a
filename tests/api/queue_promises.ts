/**
 * The guarantees of a queue that hold wherever it lives: each sentence of its documentation.
 *
 * @module
 */
import * as Chunk from "effect/Chunk";
import * as Context from "effect/Context";
import * as Effect from "effect/Effect";
import * as Either from "effect/Either";
import * as Fiber from "effect/Fiber";
import * as Option from "effect/Option";
import type * as Scope from "effect/Scope";
import * as Stream from "effect/Stream";
import type { Queue } from "../../mod.ts";
import { assert, assertEquals, assertStringIncludes } from "../support/assert.ts";
import { type Step, when } from "../support/suite.ts";
import * as Tasks from "./queue_tasks.ts";

/** Makes a queue of a kind. */
export type Make = (kind?: Tasks.Kind, options?: Queue.Options) => Effect.Effect<Tasks.Any, unknown, Scope.Scope>;

/** Makes the queues of a group of tests. */
export interface Maker {
  readonly make: Make;
}
export const Maker = Context.GenericTag<Maker>("tests/Maker");

/** The guarantees of all queues, and those of queues with another order than the first in first out. */
export const promises: Array<Step<Maker | Scope.Scope>> = [];
export const orders: Array<Step<Maker | Scope.Scope>> = [];

type Program = (make: Make) => Effect.Effect<unknown, unknown, Scope.Scope>;

const promise = (title: string, program: Program): void => {
  promises.push([title, Effect.flatMap(Maker, ({ make }) => program(make))]);
};

const order = (title: string, program: Program): void => {
  orders.push([title, Effect.flatMap(Maker, ({ make }) => program(make))]);
};

export const numbers = (n: number): Array<number> => Array.from({ length: n }, (_, i) => i);

/** Takes all available items, one by one. */
export const empty = (queue: Tasks.Any): Effect.Effect<ReadonlyArray<unknown>, unknown> =>
  Effect.gen(function* () {
    const items: Array<unknown> = [];
    for (;;) {
      const item = yield* queue.tryGet;
      if (Option.isNone(item)) return items;
      items.push(item.value);
    }
  });

/** {@link empty} for many items. */
const drained = (queue: Tasks.Any): Effect.Effect<ReadonlyArray<unknown>, unknown> =>
  Effect.gen(function* () {
    const items: Array<unknown> = [];
    while ((yield* queue.size) > 0) items.push(...yield* queue.takeUpTo(10_000));
    return items;
  });

/** The tag of a failure, and its reason if it has one. */
export const failure = <A>(program: Effect.Effect<A, unknown>): Effect.Effect<string, A> =>
  Effect.map(Effect.flip(program), Tasks.described);
/** Nothing waits, and nothing is reserved. */
export const calm = ({ bytes, putters, size, takers }: Queue.Statistics): void =>
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

/** Items of which some need a message of their own, and the number of each. */
const mixed = (count: number): ReadonlyArray<number | Uint8Array> =>
  numbers(count).map((n) => n % 700 === 699 ? new Uint8Array(150_000).fill(n % 251) : n);
const numberOf = (item: unknown, at: number): unknown => item instanceof Uint8Array ? item[0] === at % 251 && at : item;

/** The first place at which an item is not its own number. The comparison of long lists would take minutes to describe a difference. */
const misplaced = (items: ReadonlyArray<unknown>): number => items.findIndex((item, at) => numberOf(item, at) !== at);

promise(
  "keeps the order of a Stream and of a list that take many messages, of which several are on their way",
  (make) =>
    Effect.gen(function* () {
      for (const capacity of [Infinity, 1500]) {
        const queue = yield* make("fifo", { capacity });
        const items = mixed(6000);
        const put = yield* Effect.fork(
          Effect.zipRight(Stream.run(Stream.fromIterable(items), queue.toSink), queue.putAll(items)),
        );
        const taken: Array<unknown> = [];
        while (taken.length < 2 * items.length) taken.push(...yield* queue.takeUpTo(1000));
        yield* Fiber.join(put);
        for (const part of [taken.slice(0, items.length), taken.slice(items.length)]) assertEquals(misplaced(part), -1);
        assertEquals(taken.length, 2 * items.length);
      }
    }),
);

promise(
  "what a Stream puts before an item that cannot be encoded is put; a list with such an item puts nothing",
  (make) =>
    Effect.gen(function* () {
      const queue = yield* make();
      const items = [...numbers(1500), () => {}, 1];
      assertStringIncludes(
        `${yield* Effect.flip(Stream.run(Stream.fromIterable(items), queue.toSink))}`,
        "items[1500]",
      );
      const taken = yield* drained(queue);
      assertEquals([taken.length, misplaced(taken)], [1500, -1]);
      assertStringIncludes(`${yield* Effect.flip(queue.putAll(items))}`, "items[1500]");
      assertEquals(yield* queue.size, 0);
      yield* queue.put("next");
      assertEquals(yield* queue.get, "next");
    }),
);

promise(
  "a queue that is closed while lists are on their way keeps a first part of them",
  (make) =>
    Effect.gen(function* () {
      const queue = yield* make("fifo", { capacity: 20_000 });
      const put = yield* Effect.fork(Effect.flip(Stream.run(Stream.range(0, 1_000_000), queue.toSink)));
      const first = yield* queue.takeUpTo(100);
      yield* queue.close;
      assertEquals(Tasks.described(yield* Fiber.join(put)), "QueueClosed Closed");
      const taken = [...first, ...yield* Stream.runCollect(queue.toStream)];
      assertEquals(misplaced(taken), -1);
      calm(yield* when(queue.statistics, ({ bytes }) => bytes === 0));
    }),
);

promise(
  "a Stream or a list whose put is interrupted has put a first part, and nothing comes later",
  (make) =>
    Effect.gen(function* () {
      const queue = yield* make("fifo", { capacity: 10_000 });
      for (const steps of numbers(20)) {
        const put = yield* Effect.fork(
          steps % 2 === 0 ? Stream.run(Stream.range(0, 1_000_000), queue.toSink) : queue.putAll(numbers(20_000)),
        );
        yield* Effect.sleep(`${steps} millis`);
        yield* Fiber.interrupt(put);
        const taken = yield* drained(queue);
        assertEquals(misplaced(taken), -1);
        yield* queue.put("after");
        assertEquals(yield* empty(queue), ["after"]);
      }
      calm(yield* when(queue.statistics, ({ bytes }) => bytes === 0));
    }),
);

order("a last in first out queue gives first what was put last", (make) =>
  Effect.gen(function* () {
    const queue = yield* make("lifo");
    yield* queue.putAll([1, 2, 3]);
    assertEquals(yield* queue.get, 3);
    yield* queue.put(4);
    assertEquals(yield* queue.takeUpTo(2), [4, 2]);
    assertEquals(yield* empty(queue), [1]);
  }));

order(
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

order("a priority queue gives equal ones in the order in which they came", (make) =>
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

order("a priority queue orders by a key, by an Order, or by both", (make) =>
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

order(
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

order("the lists after one with an item that has no place in the order are not put", (make) =>
  Effect.gen(function* () {
    const queue = yield* make("priority");
    const items = numbers(8000).map((n) => n === 1500 ? NaN : n);
    for (const put of [queue.putAll(items), Stream.run(Stream.fromIterable(items), queue.toSink)]) {
      assertEquals(yield* failure(put), "QueueError NotOrderable");
      const taken = yield* empty(queue);
      assertEquals(misplaced(taken.slice(0, 1500)), -1);
      assert(taken.length < 4000, `${taken.length} items were put`);
    }
  }));

order(
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
