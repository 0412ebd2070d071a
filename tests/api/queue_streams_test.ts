/**
 * The items that a stream of a queue has taken: exactly those that it has handed on, whatever the end of its consumer;
 * and queues that deliver unreported items again.
 *
 * @module
 */
import { setImmediate } from "node:timers";
import * as Chunk from "effect/Chunk";
import * as Context from "effect/Context";
import * as Effect from "effect/Effect";
import * as Fiber from "effect/Fiber";
import type * as Layer from "effect/Layer";
import * as Option from "effect/Option";
import type * as Scope from "effect/Scope";
import * as Stream from "effect/Stream";
import { type Backend, Manager, Pool, Process, Queue, SubprocessBackend, WorkerBackend } from "../../mod.ts";
import type { Task } from "../../src/Task.ts";
import { assert, assertEquals } from "../support/assert.ts";
import { until } from "../support/leaks.ts";
import * as Tasks from "./queue_stream_tasks.ts";
import * as Hosts from "./queue_tasks.ts";
import { random, rounds, seed } from "../support/chance.ts";
import { type Step, temporary, warmUp, when } from "../support/suite.ts";
import { spawn, withWorkers, type Workers } from "../support/workers.ts";
import { fullUnless, repeated, repeating } from "../support/tier.ts";

type Numbers = Queue.Queue<number>;
type Program = Effect.Effect<unknown, unknown, Backend.Backend | Workers | Places | Scope.Scope>;
type Make = (kind?: Hosts.Kind, options?: Queue.Options) => Effect.Effect<Numbers, unknown, Scope.Scope>;

const numbers = (n: number): Array<number> => Array.from({ length: n }, (_, i) => i);

const failure = <A>(program: Effect.Effect<A, unknown>): Effect.Effect<string, A> =>
  Effect.map(Effect.flip(program), Hosts.described);

/** Takes all available items, one by one. */
const empty = (queue: Numbers): Effect.Effect<ReadonlyArray<number>, unknown> =>
  Effect.gen(function* () {
    const items: Array<number> = [];
    for (;;) {
      const item = yield* queue.tryGet;
      if (Option.isNone(item)) return items;
      items.push(item.value);
    }
  });

const here: Make = (kind = "fifo", options = {}) => Hosts.kinds[kind](options) as ReturnType<Make>;

const daemon = <Args extends ReadonlyArray<unknown>, A, E>(task: Task<Args, A, E>, ...args: Args) =>
  Process.spawnWith(task, args, { daemon: true });

/** Makes queues in a process of their own. */
const elsewhere: Effect.Effect<Make, unknown, Backend.Backend | Scope.Scope> = Effect.gen(function* () {
  const wanted = yield* Queue.make<Hosts.Wanted>();
  const made = yield* Queue.make<Hosts.Any>();
  yield* daemon(Hosts.hosting, wanted, made);
  return (kind = "fifo", options = {}) => Effect.zipRight(wanted.put([kind, options]), made.get);
});

/** Makes queues at the server of a manager. */
const managed: Effect.Effect<Make, unknown, Backend.Backend | Scope.Scope> = Effect.map(
  Manager.make(),
  (manager) => (kind = "fifo", options = {}) =>
    kind === "fifo"
      ? manager.queue<number>(options)
      : kind === "lifo"
      ? manager.lifoQueue<number>(options)
      : manager.priorityQueue<number>(options),
);

type Where = "here" | "in another process" | "of a manager";

/** Makes queues in each place where one can be. All tests of a backend share the process and the manager. */
type Places = Readonly<Record<Where, Make>>;
const Places = Context.GenericTag<Places>("tests/Places");

const places: Effect.Effect<Places, unknown, Backend.Backend | Scope.Scope> = Effect.all({
  "here": Effect.succeed(here),
  "in another process": elsewhere,
  "of a manager": managed,
});

const kinds = ["fifo", "lifo", "priority"] as const;

/** Registers the suite for one backend. */
const suite = (
  name: string,
  layer: Layer.Layer<Backend.Backend>,
  { signals }: { readonly signals: boolean },
): void => {
  const steps: Array<Step<Backend.Backend | Workers | Places | Scope.Scope>> = [];

  /** Registers a test for each place where a queue can live. */
  const promise = (title: string, program: (make: Make, where: Where) => Program): void => {
    for (const where of ["here", "in another process", "of a manager"] as const) {
      // The services behind the places differ, and the protocol of a consumer does not.
      const quick = where === "here";
      steps.push([
        `a queue ${where}: ${title}${fullUnless(quick)}`,
        Effect.flatMap(Places, (places) => program(places[where], where)),
      ]);
    }
  };

  for (const way of ["stream", "chunks", "get"] as const) {
    promise(
      `a service that is killed with an item in hand, and started again, answers all others in order (${way})${
        fullUnless(way === "stream")
      } (full)`,
      (make, where) =>
        Effect.gen(function* () {
          const replies = yield* Queue.make<number>();
          const one = ({ stream: "fifo", chunks: "priority", get: "lifo" } as const)[way];
          for (const kind of where === "here" && way === "stream" ? kinds : [one]) {
            const requests = yield* make(kind);
            yield* requests.putAll(kind === "lifo" ? numbers(12).reverse() : numbers(12));
            const service = yield* daemon(Tasks.answers, requests, replies, 3, way);
            yield* when(replies.size, (size) => size === 4);
            assertEquals(yield* empty(replies), [0, 1, 2, -1]);
            const inHand = way === "chunks" ? Tasks.CHUNK : 1;
            const left = numbers(12).slice(2 + Math.max(inHand, 2));
            assertEquals(yield* requests.size, left.length);
            yield* Effect.zipRight(service.kill, service.exit);
            yield* when(requests.statistics, ({ size, takers }) => size === left.length && takers === 0);
            yield* Effect.scoped(Effect.gen(function* () {
              yield* spawn(Tasks.answers, requests, replies, -1, way);
              yield* when(replies.size, (size) => size === left.length);
            }));
            assertEquals(yield* empty(replies), left, kind);
            yield* when(requests.statistics, ({ bytes, size, takers }) => bytes + size + takers === 0);
          }
        }),
    );
  }

  promise(
    "a consumer that fails leaves what it was not handed in its place, and the next goes on with it",
    (make) =>
      Effect.gen(function* () {
        for (const kind of kinds) {
          const queue = yield* make(kind, { capacity: 12 });
          yield* queue.putAll(kind === "lifo" ? numbers(12).reverse() : numbers(12));
          const seen: Array<number> = [];
          const consume = Stream.runForEach(
            queue.toStream,
            (item) => item % 4 === 3 ? Effect.fail("no") : Effect.sync(() => void seen.push(item)),
          );
          for (const rest of [8, 4, 0]) {
            assertEquals(yield* Effect.flip(consume), "no");
            assertEquals(yield* queue.size, rest);
          }
          assertEquals(seen, numbers(12).filter((item) => item % 4 !== 3));
          // The whole capacity is free again.
          for (const n of numbers(12)) assert(yield* queue.tryPut(n));
          assert(!(yield* queue.tryPut(12)));
        }
      }),
  );

  promise("a stream that takes no more than it needs leaves the rest", (make) =>
    Effect.gen(function* () {
      const queue = yield* make();
      yield* queue.putAll(numbers(10));
      for (const count of [1, 2, 3]) {
        const taken = yield* Stream.runCollect(Stream.take(queue.toStream, count));
        assertEquals(Chunk.toReadonlyArray(taken).length, count);
      }
      assertEquals(yield* empty(queue), [6, 7, 8, 9]);
      assertEquals(yield* failure(Stream.runDrain(queue.toStreamWith({ chunkSize: 0 }))), "QueueError InvalidOption");
    }));

  for (const way of ["stream", "get"] as const) {
    promise(
      `numbers are true while a consumer has an item in hand, and others get what it was not handed (${way})${
        fullUnless(way === "stream")
      }`,
      (make) =>
        Effect.gen(function* () {
          const replies = yield* Queue.make<number>();
          for (const stops of signals ? [false, true] : [false]) {
            const queue = yield* make("fifo", { capacity: 12 });
            yield* queue.putAll(numbers(12));
            // After the first two gets, which follow each other closely, items are sent ahead to gets as well.
            const consumer = yield* daemon(Tasks.answers, queue, replies, 4, way);
            yield* when(replies.size, (size) => size === 5);
            assertEquals(yield* empty(replies), [0, 1, 2, 3, -1]);
            yield* when(queue.statistics, ({ size }) => size === 7);
            // A stopped consumer sends no answers.
            if (stops) yield* consumer.signal("SIGSTOP");
            const { bytes, takers } = yield* queue.statistics;
            assert(bytes > 0 && takers === 0);
            assertEquals([yield* queue.isEmpty, yield* queue.isFull], [false, false]);
            for (const n of [12, 13, 14, 15, 16]) assert(yield* queue.tryPut(n));
            assertEquals([yield* queue.isFull, yield* queue.tryPut(17)], [true, false]);
            yield* queue.ready;
            // Items that were sent ahead come before a later item that was not.
            assertEquals(yield* empty(queue), numbers(17).slice(5));
            assertEquals([yield* queue.size, yield* queue.isEmpty], [0, true]);
            const waiting = yield* Effect.fork(queue.get);
            yield* when(queue.statistics, ({ takers }) => takers === 1);
            yield* queue.put(7);
            assertEquals(yield* Fiber.join(waiting), 7);
            yield* Effect.zipRight(consumer.kill, consumer.exit);
            assertEquals(yield* empty(queue), []);
          }
        }),
    );
  }

  promise(
    "several consumers, of which one stands still: the others get all that it was not handed",
    (make) =>
      Effect.gen(function* () {
        const replies = yield* Queue.make<number>();
        const queue = yield* make();
        yield* spawn(Tasks.answers, queue, replies, 0, "stream");
        yield* queue.putAll(numbers(300));
        yield* when(replies.size, (size) => size === 1);
        yield* spawn(Tasks.answers, queue, replies, -1, "stream");
        yield* spawn(Tasks.answers, queue, replies, -1, "stream");
        yield* when(replies.size, (size) => size === 300);
        assertEquals((yield* empty(replies)).toSorted((a, b) => a - b), [-1, ...numbers(300).slice(1)]);
      }),
  );

  promise(
    "each of several consumers gets its items in order, by streams of any chunk size and by gets",
    (make) =>
      Effect.gen(function* () {
        const queue = yield* make("fifo", { capacity: 10 });
        const all: Array<Numbers> = [];
        for (const way of ["stream", "stream", "chunks", "get"] as const) {
          const replies = yield* Queue.make<number>();
          all.push(replies);
          yield* spawn(Tasks.answers, queue, replies, -1, way);
        }
        for (const n of numbers(500)) yield* queue.put(n);
        yield* when(Effect.all(all.map(({ size }) => size)), (sizes) => sizes.reduce((a, b) => a + b) === 500);
        const seen = yield* Effect.all(all.map(empty));
        for (const items of seen) assertEquals(items, items.toSorted((a, b) => a - b));
        assertEquals(seen.flat().toSorted((a, b) => a - b), numbers(500));
      }),
  );

  promise(
    "a pool that maps the stream has taken what it looks ahead, and nothing else",
    (make) =>
      Effect.gen(function* () {
        const pool = yield* Pool.make({ size: 1 });
        for (const unordered of [false, true]) {
          const queue = yield* make();
          yield* queue.putAll([1, -1, ...numbers(10)]);
          const results: Array<number> = [];
          const mapped = pool.mapStream(Tasks.square, { lookAhead: 3, unordered })(queue.toStream);
          const mapping = yield* Effect.fork(Stream.runForEach(mapped, (n) => Effect.sync(() => void results.push(n))));
          yield* when(queue.size, (size) => size === 8);
          yield* when(Effect.sync(() => results.length), (length) => length === 1);
          yield* Fiber.interrupt(mapping);
          assertEquals(results, [1]);
          assertEquals(yield* empty(queue), numbers(10).slice(2));
        }
      }),
  );

  if (signals) {
    promise("a consumer that cannot share memory takes one by one", (make) =>
      Effect.gen(function* () {
        const replies = yield* Queue.make<number>();
        const requests = yield* make();
        yield* requests.putAll(numbers(12));
        const apart = SubprocessBackend.layer({ permissions: { read: true, ffi: false } });
        const service = yield* Effect.provide(daemon(Tasks.answers, requests, replies, 3, "stream"), apart);
        yield* when(replies.size, (size) => size === 4);
        assertEquals(yield* requests.size, 8);
        yield* Effect.zipRight(service.kill, service.exit);
        assertEquals(yield* empty(requests), numbers(12).slice(4));
      }));

    promise(
      "the streams of a consumer that cannot share memory take nothing that they give back",
      (make) =>
        Effect.gen(function* () {
          // By a file, and by a message for each item.
          for (const write of [true, false]) {
            const queue = yield* make();
            const apart = SubprocessBackend.layer({ permissions: { read: true, write, ffi: false } });
            const firsts = yield* Effect.provide(Process.spawn(Tasks.firsts, queue, 20), apart);
            const mine: Array<number> = [];
            const turns = Effect.gen(function* () {
              // While it opens its streams, items go past it, in order. There are always enough for all streams.
              for (let n = 0;; n++) {
                yield* queue.put(n);
                if (n > 30) mine.push(yield* queue.get);
                yield* Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)));
              }
            });
            const theirs = yield* Effect.raceFirst(firsts.join, turns);
            assertEquals(theirs.length, 20);
            for (const taken of [mine, theirs]) assertEquals(taken, taken.toSorted((a, b) => a - b));
          }
        }),
    );
  }

  // Queues that redeliver

  const redeliver = true;

  promise(
    "what a consumer has not reported done when it is killed goes to others, in its place",
    (make, where) =>
      Effect.gen(function* () {
        const told = yield* Queue.make<ReadonlyArray<number>>();
        for (const kind of where === "here" ? kinds : ["fifo" as const]) {
          const queue = yield* make(kind, { redeliver, capacity: 6 });
          yield* queue.putAll(kind === "lifo" ? numbers(6).reverse() : numbers(6));
          const holder = yield* daemon(Tasks.holds, queue, told, 3, 1);
          assertEquals(yield* told.get, [0, 1, 2]);
          // A report has left its process when `taskDone` returns, and may still be on its way to the queue.
          yield* when(queue.statistics, ({ unfinished }) => unfinished === 5);
          assertEquals(yield* queue.size, 3);
          assertEquals(yield* queue.get, 3);
          const joining = yield* Effect.fork(queue.join);
          yield* Effect.zipRight(holder.kill, holder.exit);
          yield* when(queue.size, (size) => size === 4);
          assertEquals(yield* empty(queue), [1, 2, 4, 5], kind);
          assertEquals(yield* failure(queue.taskDone(6)), "QueueError TooManyDone");
          yield* queue.taskDone(5);
          yield* Fiber.join(joining);
          assertEquals(yield* failure(queue.taskDone()), "QueueError TooManyDone");
          yield* when(queue.statistics, ({ bytes, size }) => bytes + size === 0);
        }
      }),
  );

  promise(
    "a stream that fails gives back what was not reported, one that ends does not",
    (make) =>
      Effect.gen(function* () {
        for (const options of [{}, { chunkSize: 2 }]) {
          const queue = yield* make("fifo", { redeliver });
          yield* queue.putAll(numbers(8));
          const stream = queue.toStreamWith(options);
          const consume = Stream.runForEach(
            stream,
            (n): Effect.Effect<void, unknown> => n === 2 ? Effect.fail("no") : queue.taskDone(),
          );
          assertEquals(yield* Effect.flip(consume), "no");
          assertEquals(yield* queue.size, 6);
          const taken = Chunk.toReadonlyArray(yield* Stream.runCollect(Stream.take(stream, 2)));
          assertEquals(taken, [2, 3]);
          assertEquals(yield* queue.size, 4);
          yield* queue.taskDone(2);
          const interrupted = yield* Effect.fork(Stream.runForEach(stream, () => Effect.never));
          yield* when(queue.size, (size) => size < 4);
          yield* Fiber.interrupt(interrupted);
          assertEquals(yield* empty(queue), [4, 5, 6, 7]);
          yield* queue.taskDone(4);
          yield* queue.join;
        }
      }),
  );

  promise("the end of a closed queue comes when nothing can come back", (make) =>
    Effect.gen(function* () {
      const told = yield* Queue.make<ReadonlyArray<number>>();
      const queue = yield* make("fifo", { redeliver });
      yield* queue.putAll(numbers(4));
      const holder = yield* daemon(Tasks.holds, queue, told, 2, 0);
      assertEquals(yield* told.get, [0, 1]);
      yield* queue.close;
      const seen: Array<number> = [];
      const consuming = yield* Effect.fork(
        Stream.runForEach(
          queue.toStream,
          (n) => Effect.zipRight(Effect.sync(() => void seen.push(n)), queue.taskDone()),
        ),
      );
      yield* when(queue.statistics, ({ size, takers }) => size === 0 && takers === 1);
      yield* Effect.zipRight(holder.kill, holder.exit);
      yield* Fiber.join(consuming);
      assertEquals(seen, [2, 3, 0, 1]);
      yield* queue.join;
      // The consumer's own items do not keep it from the end.
      const own = yield* make("fifo", { redeliver });
      yield* own.putAll([1, 2]);
      yield* own.close;
      assertEquals(Chunk.toReadonlyArray(yield* Stream.runCollect(own.toStream)), [1, 2]);
      yield* own.taskDone(2);
      yield* own.join;
    }));

  promise(
    "consumers that are killed at random moments: each item is worked on, and none again that was reported (full) (storm)",
    (make, where) =>
      Effect.gen(function* () {
        const ROUND = 250;
        const each: ReadonlyArray<Tasks.Reporting> = ["stream", "takeUpTo", "get", "fibers", "chunks", "concurrently"];
        const ways = numbers(rounds(where === "here" ? each.length : 2, 16)).map((round) => each[round % each.length]);
        const queue = yield* make("fifo", { redeliver });
        const paths: Array<string> = [];
        const done = (): number =>
          paths.reduce(
            (sum, path) => sum + Deno.readTextFileSync(path).split("\n").filter((line) => line[0] === "=").length,
            0,
          );
        for (const [round, way] of ways.entries()) {
          const path = yield* temporary;
          yield* queue.putAll(numbers(ROUND).map((n) => round * ROUND + n));
          const before = done();
          paths.push(path);
          const worker = yield* daemon(Tasks.works, queue, path, way);
          yield* Effect.promise(() => until("it works", () => done() > before + Math.floor(random() * 60)));
          yield* Effect.zipRight(worker.kill, worker.exit);
          // All unreported items have returned.
          yield* when(queue.statistics, ({ size, unfinished }) => size === unfinished);
        }
        const path = yield* temporary;
        paths.push(path);
        yield* spawn(Tasks.works, queue, path, "stream");
        yield* queue.join;
        const lines = paths.flatMap((path) => Deno.readTextFileSync(path).split("\n").slice(0, -1));
        const reported = new Set<string>();
        const worked = new Set<string>();
        for (const line of lines) {
          const [sign, item] = line.split(" ");
          if (sign === "=") {
            assert(!reported.has(item), `${item} was reported twice, seed ${seed}`);
            reported.add(item);
          } else {
            assert(!reported.has(item), `${item} came again after it was reported, seed ${seed}`);
            worked.add(item);
          }
        }
        assertEquals(worked.size, ways.length * ROUND, `seed ${seed}`);
        yield* when(queue.statistics, ({ bytes, size }) => bytes + size === 0);
      }),
  );

  withWorkers(
    `queue streams on ${name}`,
    layer,
    3,
    steps,
    Effect.map(places, (places) => Context.make(Places, places)),
  );
};

await warmUp(Effect.provide(Process.run(Hosts.makeAndReturn), SubprocessBackend.layer()));
if (repeating) await warmUp(Effect.provide(Process.run(Hosts.makeAndReturn), WorkerBackend.layer()));

suite("subprocess", SubprocessBackend.layer(), { signals: true });
repeated(() => suite("worker", WorkerBackend.layer(), { signals: false }));
