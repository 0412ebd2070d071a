/**
 * The tasks about queues: who makes them, who puts and who takes, wherever they are.
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

/** An item that says how urgent it is. */
export interface Job {
  readonly urgency: number;
  readonly name: string;
}

/** A queue of whatever: queues are invariant in their items. */
// deno-lint-ignore no-explicit-any
export type Any = Queue.Queue<any>;

/** The queues that the tests make: functions do not travel, so those with a key or an order have names. */
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

/** What is asked of a {@link hosting} process. */
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

/** Has a child that hosts. */
export const hostingBelow = Task.make(
  import.meta,
  "hostingBelow",
  (wanted: Queue.Queue<Wanted>, made: Queue.Queue<Any>) =>
    Effect.scoped(Effect.flatMap(Process.spawnWith({ daemon: true })(hosting, wanted, made), ({ join }) => join)),
);

/** Puts one item. */
export const put = Task.make(import.meta, "put", (queue: Any, item: unknown) => queue.put(item));

/** Puts an item, and asks at once whether it is there. */
export const putAndObserve = Task.make(
  import.meta,
  "putAndObserve",
  (queue: Any, item: Uint8Array) =>
    Effect.gen(function* () {
      yield* queue.put(item);
      return { size: yield* queue.size, taken: Option.getOrElse(yield* queue.tryGet, () => new Uint8Array()).length };
    }),
);

/** Puts the large item and a number in turn. */
export const putMixed = Task.make(
  import.meta,
  "putMixed",
  (queue: Any, item: Uint8Array, count: number) =>
    Effect.forEach(Array.from({ length: count }), (_, n) => Effect.zipRight(queue.put(item), queue.put(n)), {
      discard: true,
    }),
);

/** Puts a text of this length; tells why not. */
export const putText = Task.make(
  import.meta,
  "putText",
  (queue: Any, length: number) => Effect.match(queue.put("x".repeat(length)), { onFailure: String, onSuccess: String }),
);

/** Gets what it does not know, and then what it does. */
export const takeStrange = Task.make(
  import.meta,
  "takeStrange",
  (queue: Any) => Effect.all([Effect.map(Effect.flip(queue.get), String), queue.get]),
);

/** Takes so many in as few steps as there are, whatever is among them. */
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

/** Reads the stream to its end, again each time that it has failed for an item. */
export const streamAround = Task.make(import.meta, "streamAround", (queue: Any) => {
  const parts: Array<unknown> = [];
  const each = Stream.runForEach(queue.toStream, (item) => Effect.sync(() => void parts.push(item)));
  const read: Effect.Effect<void, Queue.Failure> = Effect.catchTag(each, "DecodeError", ({ _tag }) => {
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

/** Puts its name and the numbers up to this one, each for itself. */
export const produce = Task.make(
  import.meta,
  "produce",
  (queue: Queue.Queue<readonly [name: string, n: number]>, name: string, count: number) =>
    Effect.forEach(Array.from({ length: count }), (_, n) => queue.put([name, n]), { discard: true }),
);

/** Puts without end, and counts what it has put in a queue of its own. */
export const flood = Task.make(
  import.meta,
  "flood",
  (queue: Queue.Queue<Uint8Array>, size: number, done: Queue.Queue<number>) => {
    const item = new Uint8Array(size);
    let count = 0;
    return Effect.forever(Effect.zipRight(queue.put(item), Effect.suspend(() => done.put(++count))));
  },
);

/** Takes so many. */
export const take = Task.make(
  import.meta,
  "take",
  (queue: Any, count: number) => Effect.all(Array.from({ length: count }, () => queue.get)),
);

/** Takes one by one until it finds the pill. */
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

/** Takes what there is until the end. */
export const drain = Task.make(
  import.meta,
  "drain",
  (queue: Any) => Effect.map(Stream.runCollect(queue.toStream), Chunk.toReadonlyArray),
);

/** Takes one by one until the end, and reports each as done; gives how many, and how it ended. */
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

/** So many gets that wait, each in a fiber of its own; gives what they have taken, in the order of the fibers. */
export const takers = Task.make(
  import.meta,
  "takers",
  (queue: Any, count: number) =>
    Effect.all(Array.from({ length: count }, () => queue.get), { concurrency: "unbounded" }),
);

/** What becomes of one operation: its value, or the tag and the reason of its failure. */
export const attempt = Task.make(
  import.meta,
  "attempt",
  (queue: Any, operation: "get" | "put" | "size" | "join" | "ready" | "close" | "statistics") =>
    Effect.catchAll(
      operation === "put" ? queue.put(1) : queue[operation] as Effect.Effect<unknown, Queue.Failure>,
      (error) => Effect.succeed(described(error)),
    ),
);

/** An error as data. */
export const described = (error: unknown): string => {
  const { _tag, host, reason } = error as { _tag: string; host?: string; reason?: string };
  return [_tag, reason ?? host].filter((part) => part !== undefined).join(" ");
};

/** What the queue says of itself: asked here. */
export const observe = Task.make(
  import.meta,
  "observe",
  (queue: Any) => Effect.all([queue.size, queue.isEmpty, queue.isFull, queue.statistics]),
);

/** Gives back what it was given. */
export const echo = Task.make(import.meta, "echo", (value: unknown) => value);

/** Makes a queue, puts into it, and gives it as its result, after which its scope has closed. */
export const makeAndReturn = Task.make(
  import.meta,
  "makeAndReturn",
  () => Effect.scoped(Effect.tap(Queue.make<unknown>(), (queue) => queue.put(1))),
);

/** A queue in every place where one can be. */
export interface Places {
  readonly field: { readonly deep: { readonly queue: Any } };
  readonly list: ReadonlyArray<Any>;
  readonly map: ReadonlyMap<string, Any>;
  readonly set: ReadonlySet<Any>;
}

/** Puts where it finds the queue into it, and tells whether all of them are one. */
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

/** Takes a queue out of a queue, and puts into it. */
export const forward = Task.make(
  import.meta,
  "forward",
  (queues: Queue.Queue<Any>, item: unknown) =>
    Effect.flatMap(queues.get, (queue) => Effect.zipRight(queue.put(item), queue.get)),
);

/** Has a child of its own put. */
export const putBelow = Task.make(
  import.meta,
  "putBelow",
  (queue: Any, item: unknown, depth: number): Effect.Effect<unknown, unknown, Task.Provided> =>
    depth === 0 ? queue.put(item) : Process.run(itself(), queue, item, depth - 1),
);
const itself = (): Task.Task<[Any, unknown, number], unknown, unknown> => putBelow;

/** Has a child on each backend: one puts, the other takes and puts back what it has taken. */
export const mixed = Task.make(import.meta, "mixed", (queue: Any) =>
  Effect.gen(function* () {
    const own = yield* Queue.make<unknown>({ capacity: 2 });
    yield* Process.run(putAll, own, ["worker", queue]).pipe(Effect.provide(WorkerBackend.layer()));
    const taken = yield* Process.run(take, own, 2).pipe(Effect.provide(SubprocessBackend.layer()));
    yield* queue.put(taken[0]);
    yield* (taken[1] as Any).put("itself");
  }).pipe(Effect.scoped));

/** Has children of its own put and take, over a queue of its own. */
export const family = Task.make(import.meta, "family", (count: number) =>
  Effect.scoped(Effect.gen(function* () {
    const queue = yield* Queue.make<readonly [string, number]>({ capacity: 10 });
    yield* Process.spawn(produce, queue, "a", count);
    yield* Process.spawn(produce, queue, "b", count);
    const taken = yield* Process.run(take, queue, 2 * count);
    return { host: queue.host, taken: taken as ReadonlyArray<readonly [string, number]> };
  })));

/** Has the workers of a pool of its own take. */
export const poolBelow = Task.make(
  import.meta,
  "poolBelow",
  (queue: Any) =>
    Effect.scoped(Effect.flatMap(
      Pool.make({ size: 2 }),
      (pool) => pool.starmap(take, [[queue, 2], [queue, 2]], { chunkSize: 1 }),
    )),
);

/** Handed from stage to stage: takes, adds one, passes on. */
export const stage = Task.make(
  import.meta,
  "stage",
  (from: Queue.Queue<number>, to: Queue.Queue<number>): Effect.Effect<void, unknown, Scope.Scope> =>
    Effect.zipRight(Stream.run(Stream.map(from.toStream, (n) => n + 1), to.toSink), to.close),
);
