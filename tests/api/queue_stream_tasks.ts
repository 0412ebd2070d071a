/**
 * Consumers of queues that are killed, fail, or hang while they hold an item.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Option from "effect/Option";
import * as Stream from "effect/Stream";
import * as Pool from "../../src/Pool.ts";
import type * as Queue from "../../src/Queue.ts";
import * as Task from "../../src/Task.ts";
import { scribe } from "../faults/queue_fault_tasks.ts";

type Numbers = Queue.Queue<number>;

/** The ways in which a consumer takes items. */
export type Way = "stream" | "chunks" | "pool" | "get";

/** Number of items of a chunk. */
export const CHUNK = 2;

const each = (
  queue: Numbers,
  way: Way,
  work: (item: number) => Effect.Effect<unknown, unknown>,
): Effect.Effect<unknown, unknown> => {
  switch (way) {
    case "stream":
    case "pool":
      return Stream.runForEach(queue.toStream, work);
    case "chunks":
      return Stream.runForEach(queue.toStreamWith({ chunkSize: CHUNK }), work);
    case "get":
      return Effect.forever(Effect.flatMap(queue.get, work));
  }
};

/** Answers each item, and hangs at the given one. */
export const answers = Task.make(
  import.meta,
  "answers",
  (requests: Numbers, replies: Numbers, still: number, way: Way) =>
    each(requests, way, (item) => item === still ? Effect.zipRight(replies.put(-1), Effect.never) : replies.put(item)),
);

/** Takes the first item of each of several Streams. */
export const firsts = Task.make(import.meta, "firsts", (queue: Numbers, count: number) =>
  Effect.map(
    Effect.replicateEffect(Stream.runHead(queue.toStream), count),
    (items) => items.map(Option.getOrThrow),
  ));

/** Returns the square of the item, or never ends. */
export const square = Task.make(import.meta, "square", (n: number) => n < 0 ? Effect.never : Effect.succeed(n * n));

/** Runs the items through a pool of its own. */
export const pools = Task.make(
  import.meta,
  "pools",
  (queue: Numbers, results: Numbers) =>
    Effect.scoped(Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1 });
      yield* Stream.run(pool.mapStream(square, { lookAhead: 2 })(queue.toStream), results.toSink);
    })),
);

/** The ways in which a worker takes and reports items. */
export type Reporting = "get" | "fibers" | "takeUpTo" | "stream" | "chunks" | "concurrently";

/** Writes `+ n` after its work on an item, and `= n` after its report of the item. */
export const works = Task.make(import.meta, "works", (queue: Numbers, path: string, how: Reporting) => {
  const write = scribe(path);
  const work = (item: number): Effect.Effect<void, unknown> =>
    Effect.suspend(() => {
      write(`+ ${item}`);
      return Effect.map(queue.taskDone(), () => write(`= ${item}`));
    });
  const one = Effect.forever(Effect.flatMap(queue.get, work));
  switch (how) {
    case "get":
      return one;
    case "fibers":
      return Effect.all([one, one, one], { concurrency: "unbounded", discard: true });
    case "takeUpTo":
      return Effect.forever(Effect.flatMap(queue.takeUpTo(3), (items) => Effect.forEach(items, work)));
    case "stream":
      return Stream.runForEach(queue.toStream, work);
    case "chunks":
      return Stream.runForEach(queue.toStreamWith({ chunkSize: 3 }), work);
    case "concurrently":
      return queue.toStream.pipe(
        Stream.mapEffect((item) => Effect.as(Effect.yieldNow(), item), { concurrency: 3 }),
        Stream.runForEach(work),
      );
  }
});

/** Takes items and reports so, reports some of them done, then hangs. */
export const holds = Task.make(
  import.meta,
  "holds",
  (queue: Numbers, told: Queue.Queue<ReadonlyArray<number>>, count: number, report: number) =>
    Effect.gen(function* () {
      const items: Array<number> = [];
      while (items.length < count) items.push(yield* queue.get);
      if (report > 0) yield* queue.taskDone(report);
      yield* told.put(items);
      yield* Effect.never;
    }),
);
