/**
 * The tasks about queues: makers, producers and consumers, in every process.
 *
 * @module
 */
import * as Chunk from "effect/Chunk";
import * as Effect from "effect/Effect";
import * as Option from "effect/Option";
import * as Order from "effect/Order";
import type * as Scope from "effect/Scope";
import * as Stream from "effect/Stream";
import * as Pool from "../../src/Pool.ts";
import * as Process from "../../src/Process.ts";
import * as Queue from "../../src/Queue.ts";
import * as SubprocessBackend from "../../src/SubprocessBackend.ts";
import * as Task from "../../src/Task.ts";
import * as WorkerBackend from "../../src/WorkerBackend.ts";

/** An item with a priority. */
export interface Job {
  readonly urgency: number;
  readonly name: string;
}

/** A queue of any type, because queues are invariant in their items. */
// deno-lint-ignore no-explicit-any
export type Any = Queue.Queue<any>;

/** The queues that the tests make. Functions cannot be sent, so a queue with a key or an order has a name. */
export const kinds = {
  fifo: (options: Queue.Options) => Queue.make<unknown>(options),
  lifo: (options: Queue.Options) => Queue.lifo<unknown>(options),
  priority: (options: Queue.Options) => Queue.priority<unknown>(options),
  byUrgency: (options: Queue.Options) =>
    Queue.priority<unknown, number>({ ...options, key: (job) => (job as Job).urgency }),
  downwards: (options: Queue.Options) =>
    Queue.priority<unknown>({ ...options, order: Order.reverse(Order.number) as Order.Order<unknown> }),
  urgentFirst: (options: Queue.Options) =>
    Queue.priority<unknown, number>({
      ...options,
      key: (job) => (job as Job).urgency,
      order: Order.reverse(Order.number),
    }),
} as const;

export type Kind = keyof typeof kinds;

/** A request to a {@link hosting} process. */
export type Wanted = readonly [kind: Kind, options: Queue.Options];

/** Makes queues, and hosts them until it is ended. */
export const hosting = Task.make(
  import.meta,
  "hosting",
  (wanted: Queue.Queue<Wanted>, made: Queue.Queue<Any>) =>
    Effect.scoped(Effect.forever(
      Effect.flatMap(wanted.get, ([kind, options]) => Effect.flatMap(kinds[kind](options), made.put)),
    )),
);

/** Lets a child host queues. */
export const hostingBelow = Task.make(
  import.meta,
  "hostingBelow",
  (wanted: Queue.Queue<Wanted>, made: Queue.Queue<Any>) =>
    Effect.scoped(Effect.flatMap(Process.spawnWith(hosting, [wanted, made], { daemon: true }), ({ join }) => join)),
);

/** Puts one item. */
export const put = Task.make(import.meta, "put", (queue: Any, item: unknown) => queue.put(item));

/** Puts an item, and at once checks that the queue has it. */
export const putAndObserve = Task.make(
  import.meta,
  "putAndObserve",
  (queue: Any, item: Uint8Array) =>
    Effect.gen(function* () {
      yield* queue.put(item);
      return { size: yield* queue.size, taken: Option.getOrElse(yield* queue.tryGet, () => new Uint8Array()).length };
    }),
);

/** Puts the large item and a number alternately. */
export const putMixed = Task.make(
  import.meta,
  "putMixed",
  (queue: Any, item: Uint8Array, count: number) =>
    Effect.forEach(Array.from({ length: count }), (_, n) => Effect.zipRight(queue.put(item), queue.put(n)), {
      discard: true,
    }),
);

/** Puts a text of this length, and reports the failure. */
export const putText = Task.make(
  import.meta,
  "putText",
  (queue: Any, length: number) => Effect.match(queue.put("x".repeat(length)), { onFailure: String, onSuccess: String }),
);

/** Gets an item of an unknown kind, then an item of a known kind. */
export const takeStrange = Task.make(
  import.meta,
  "takeStrange",
  (queue: Any) => Effect.all([Effect.map(Effect.flip(queue.get), String), queue.get]),
);

/** Takes the given number of items in as few steps as possible, including items that cannot be decoded. */
export const takeAround = Task.make(import.meta, "takeAround", (queue: Any, count: number) =>
  Effect.gen(function* () {
    const parts: Array<unknown> = [];
    while (parts.length < count) {
      parts.push(
        ...yield* Effect.catchTag(queue.takeUpTo(count), "DecodeError", ({ _tag }) => Effect.succeed([_tag])),
      );
    }
    return parts;
  }));

/** Reads the stream to its end, and restarts it after each item that cannot be decoded. */
export const streamAround = Task.make(import.meta, "streamAround", (queue: Any) => {
  const parts: Array<unknown> = [];
  const each = Stream.runForEach(queue.toStream, (item) => Effect.sync(() => void parts.push(item)));
  const read: Effect.Effect<void, Queue.QueueFailure> = Effect.catchTag(each, "DecodeError", ({ _tag }) => {
    parts.push(_tag);
    return read;
  });
  return Effect.as(read, parts);
});

/** Puts these. */
export const putAll = Task.make(
  import.meta,
  "putAll",
  (queue: Any, items: ReadonlyArray<unknown>) => queue.putAll(items),
);

/** Puts its name with each number below `count`, in separate puts. */
export const produce = Task.make(
  import.meta,
  "produce",
  (queue: Queue.Queue<readonly [name: string, n: number]>, name: string, count: number) =>
    Effect.forEach(Array.from({ length: count }), (_, n) => queue.put([name, n]), { discard: true }),
);

/** Puts for ever, and counts its puts in another queue. */
export const flood = Task.make(
  import.meta,
  "flood",
  (queue: Queue.Queue<Uint8Array>, size: number, done: Queue.Queue<number>) => {
    const item = new Uint8Array(size);
    let count = 0;
    return Effect.forever(Effect.zipRight(queue.put(item), Effect.suspend(() => done.put(++count))));
  },
);

/** Takes the given number of items. */
export const take = Task.make(
  import.meta,
  "take",
  (queue: Any, count: number) => Effect.all(Array.from({ length: count }, () => queue.get)),
);

/** Takes items one by one until it finds the pill. */
export const takeUntil = Task.make(
  import.meta,
  "takeUntil",
  (queue: Any, pill: unknown) =>
    Effect.gen(function* () {
      const items: Array<unknown> = [];
      for (;;) {
        const item = yield* queue.get;
        if (item === pill) return items;
        items.push(item);
      }
    }),
);

/** Takes items until the end. */
export const drain = Task.make(
  import.meta,
  "drain",
  (queue: Any) => Effect.map(Stream.runCollect(queue.toStream), Chunk.toReadonlyArray),
);

/**
 * Takes items one by one until the end, and reports each done. Returns the number of items, and how the queue ended.
 */
export const work = Task.make(import.meta, "work", (queue: Any) => {
  let count = 0;
  return queue.get.pipe(
    Effect.zipRight(Effect.suspend(() => {
      count++;
      return queue.taskDone();
    })),
    Effect.forever,
    Effect.catchTag("QueueClosed", ({ reason }) => Effect.succeed({ count, reason })),
  );
});

/** Starts `count` waiting gets, each in its own fiber. Returns the items that they took, in the order of the fibers. */
export const takers = Task.make(
  import.meta,
  "takers",
  (queue: Any, count: number) =>
    Effect.all(Array.from({ length: count }, () => queue.get), { concurrency: "unbounded" }),
);

/** The outcome of one operation: its value, or the tag and the reason of its failure. */
export const attempt = Task.make(
  import.meta,
  "attempt",
  (queue: Any, operation: "get" | "put" | "size" | "join" | "ready" | "close" | "statistics") =>
    Effect.catchAll(
      operation === "put" ? queue.put(1) : queue[operation] as Effect.Effect<unknown, Queue.QueueFailure>,
      (error) => Effect.succeed(described(error)),
    ),
);

/** An error as data. */
export const described = (error: unknown): string => {
  const { _tag, host, reason } = error as { _tag: string; host?: string; reason?: string };
  return [_tag, reason ?? host].filter((part) => part !== undefined).join(" ");
};

/** The statistics of the queue, requested from this process. */
export const observe = Task.make(
  import.meta,
  "observe",
  (queue: Any) => Effect.all([queue.size, queue.isEmpty, queue.isFull, queue.statistics]),
);

export const echo = Task.make(import.meta, "echo", (value: unknown) => value);

/** Makes a queue, puts an item, and returns the queue. The scope of the queue has closed by then. */
export const makeAndReturn = Task.make(
  import.meta,
  "makeAndReturn",
  () => Effect.scoped(Effect.tap(Queue.make<unknown>(), (queue) => queue.put(1))),
);

/** A queue in every place of a value that can hold one. */
export interface Places {
  readonly field: { readonly deep: { readonly queue: Any } };
  readonly list: ReadonlyArray<Any>;
  readonly map: ReadonlyMap<string, Any>;
  readonly set: ReadonlySet<Any>;
}

/** Puts an item through the queue at each place, and returns the number of distinct queues. */
export const putEverywhere = Task.make(
  import.meta,
  "putEverywhere",
  ({ field, list, map, set }: Places) =>
    Effect.gen(function* () {
      yield* field.deep.queue.put("field");
      yield* list[0].put("list");
      yield* map.get("queue")!.put("map");
      for (const queue of set) yield* queue.put("set");
      return new Set([field.deep.queue, ...list, ...map.values(), ...set]).size;
    }),
);

/** A process of a class, with a queue among its fields. */
export class Shouter {
  constructor(readonly queue: Queue.Queue<string>, readonly words: ReadonlyArray<string>) {}
  run(): Effect.Effect<void, unknown> {
    return this.queue.putAll(this.words.map((word) => word.toUpperCase()));
  }
}
export const shouter = Task.fromClass(import.meta, Shouter);

/** Takes a queue out of a queue, and puts an item into it. */
export const forward = Task.make(
  import.meta,
  "forward",
  (queues: Queue.Queue<Any>, item: unknown) =>
    Effect.flatMap(queues.get, (queue) => Effect.zipRight(queue.put(item), queue.get)),
);

/** Lets a child put. */
export const putBelow = Task.make(
  import.meta,
  "putBelow",
  (queue: Any, item: unknown, depth: number): Effect.Effect<unknown, unknown, Task.Provided> =>
    depth === 0 ? queue.put(item) : Process.run(itself(), queue, item, depth - 1),
);
const itself = (): Task.Task<[Any, unknown, number], unknown, unknown> => putBelow;

/** Lets a child on each backend use the queue: one puts, the other takes items and puts them back. */
export const mixed = Task.make(import.meta, "mixed", (queue: Any) =>
  Effect.gen(function* () {
    const own = yield* Queue.make<unknown>({ capacity: 2 });
    yield* Process.run(putAll, own, ["worker", queue]).pipe(Effect.provide(WorkerBackend.layer()));
    const taken = yield* Process.run(take, own, 2).pipe(Effect.provide(SubprocessBackend.layer()));
    yield* queue.put(taken[0]);
    yield* (taken[1] as Any).put("itself");
  }).pipe(Effect.scoped));

/** Lets its children put and take, over its own queue. */
export const family = Task.make(import.meta, "family", (count: number) =>
  Effect.scoped(Effect.gen(function* () {
    const queue = yield* Queue.make<readonly [string, number]>({ capacity: 10 });
    yield* Process.spawn(produce, queue, "a", count);
    yield* Process.spawn(produce, queue, "b", count);
    const taken = yield* Process.run(take, queue, 2 * count);
    return { host: queue.host, taken: taken as ReadonlyArray<readonly [string, number]> };
  })));

/** Lets the workers of its own pool take. */
export const poolBelow = Task.make(
  import.meta,
  "poolBelow",
  (queue: Any) =>
    Effect.scoped(Effect.flatMap(
      Pool.make({ size: 2 }),
      (pool) => pool.starmap(take, [[queue, 2], [queue, 2]], { chunkSize: 1 }),
    )),
);

/** A stage of a pipeline: takes an item, adds one, and passes it on. */
export const stage = Task.make(
  import.meta,
  "stage",
  (from: Queue.Queue<number>, to: Queue.Queue<number>): Effect.Effect<void, unknown, Scope.Scope> =>
    Effect.zipRight(Stream.run(Stream.map(from.toStream, (n) => n + 1), to.toSink), to.close),
);
