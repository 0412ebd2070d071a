/** The rows of queues that live in this process and are used by children, on either backend, against `multiprocessing.Queue`. */

import * as Effect from "effect/Effect";
import type * as Layer from "effect/Layer";
import type * as Scope from "effect/Scope";
import * as Stream from "effect/Stream";
import type { Backend } from "../../src/Backend.ts";
import * as Process from "../../src/Process.ts";
import type { Task } from "../../src/Task.ts";
import * as Queue from "../../src/Queue.ts";
import * as SubprocessBackend from "../../src/SubprocessBackend.ts";
import * as WorkerBackend from "../../src/WorkerBackend.ts";
import { bench, perTurn, pythonRow, timed, warm } from "./harness.ts";
import * as tasks from "./queue_tasks.ts";

const COUNT = 20_000;

/** Daemons: they wait for orders after the row is done, and end with its scope. */
const daemon = <Args extends ReadonlyArray<unknown>, A, E>(task: Task<Args, A, E>, ...args: Args) =>
  Process.spawnWith(task, args, { daemon: true });

type Setup = Effect.Effect<() => Promise<number>, unknown, Backend | Scope.Scope>;

const measure = (backend: Layer.Layer<Backend>, setup: Setup): Promise<number> =>
  Effect.runPromise(
    setup.pipe(Effect.flatMap((sample) => Effect.promise(sample)), Effect.scoped, Effect.provide(backend)),
  );

/** Items per second of an Effect that moves {@link COUNT} items. */
const throughput = (move: Effect.Effect<unknown, unknown>) => (): Promise<number> =>
  warm(async () => COUNT / (await timed(() => Effect.runPromise(move)) / 1000));

/** Microseconds per round trip of `repeat`, which makes the given number of round trips. */
const turn = (repeat: (calls: number) => Effect.Effect<unknown, unknown>) => (): Promise<number> =>
  perTurn((calls) => Effect.runPromise(repeat(calls)));

/** Parent to child and back. */
const roundTrip: Setup = Effect.gen(function* () {
  const there = yield* Queue.make<number>();
  const back = yield* Queue.make<number>();
  yield* daemon(tasks.echo, there, back);
  return turn((calls) =>
    Effect.gen(function* () {
      for (let call = 0; call < calls; call++) {
        yield* there.put(1);
        yield* back.get;
      }
    })
  );
});

type Take = (queue: Queue.Queue<unknown>) => Effect.Effect<unknown, unknown>;

/** Takes items one by one. */
const gets: Take = ({ get }) =>
  Effect.gen(function* () {
    for (let left = COUNT; left > 0; left--) yield* get;
  });

const streamed = (chunkSize: number): Take => (queue) =>
  Stream.runDrain(Stream.take(queue.toStreamWith({ chunkSize }), COUNT));

/** From a child to this process. */
const produced = (task: typeof tasks.fill, value: unknown, take: Take, options: Queue.Options = {}): Setup =>
  Effect.gen(function* () {
    const orders = yield* Queue.make<number>();
    const queue = yield* Queue.make<unknown>(options);
    yield* daemon(task, orders, queue, value);
    return throughput(Effect.zipRight(orders.put(COUNT), take(queue)));
  });

/** From this process to a child that takes items one by one. */
const consumed: Setup = Effect.gen(function* () {
  const orders = yield* Queue.make<number>();
  const queue = yield* Queue.make<number>();
  const done = yield* Queue.make<number>();
  yield* daemon(tasks.get, orders, queue, done);
  const items = Array.from({ length: COUNT }, () => 1);
  return throughput(orders.put(COUNT).pipe(Effect.zipRight(queue.putAll(items)), Effect.zipRight(done.get)));
});

/** From child to child. */
const siblings = (task: typeof tasks.drain): Setup =>
  Effect.gen(function* () {
    const [filling, draining, done] = yield* Effect.replicateEffect(Queue.make<number>(), 3);
    const queue = yield* Queue.make<unknown>();
    yield* daemon(tasks.fill, filling, queue, 1);
    yield* daemon(task, draining, queue, done);
    return throughput(
      filling.put(COUNT).pipe(Effect.zipRight(draining.put(COUNT)), Effect.zipRight(done.get)),
    );
  });

/** Round trips until the children have compiled their code. This process compiled its own long before. */
const WARM = 10_000;

/** Child to child and back. */
const siblingTurns: Setup = Effect.gen(function* () {
  const [orders, there, back, done] = yield* Effect.replicateEffect(Queue.make<number>(), 4);
  yield* daemon(tasks.echo, there, back);
  yield* daemon(tasks.turns, orders, there, back, done);
  yield* Effect.zipRight(orders.put(WARM), done.get);
  return turn((calls) => Effect.zipRight(orders.put(calls), done.get));
});

/** From child to child and back, with the queues in one of the two. */
const ownSiblingTurns: Setup = Effect.gen(function* () {
  const [orders, done] = yield* Effect.replicateEffect(Queue.make<number>(), 2);
  const made = yield* Queue.make<readonly [Queue.Queue<number>, Queue.Queue<number>]>();
  yield* daemon(tasks.ownTurns, orders, made, done);
  yield* daemon(tasks.echo, ...(yield* made.get));
  yield* Effect.zipRight(orders.put(WARM), done.get);
  return turn((calls) => Effect.zipRight(orders.put(calls), done.get));
});

const rows = (suffix: string, backend: Layer.Layer<Backend>, bounds: Readonly<Record<string, string>>): void => {
  const row = (name: string, unit: "us" | "items/s", setup: Setup, peer = name): void =>
    bench({
      name: `queue.${name}${suffix}`,
      unit,
      better: unit === "us" ? "lower" : "higher",
      bound: bounds[name],
      run: () => measure(backend, setup),
      peers: { python: pythonRow(`queue.${peer}`) },
    });
  row("rtt", "us", roundTrip);
  row("throughput.int", "items/s", produced(tasks.fill, 1, gets));
  row("throughput.int.stream", "items/s", produced(tasks.fill, 1, streamed(1)), "throughput.int");
  row("throughput.int.chunks", "items/s", produced(tasks.fill, 1, streamed(1024)), "throughput.int");
  row("throughput.object", "items/s", produced(tasks.fill, { id: 1, name: "item", ok: true, tags: ["a", "b"] }, gets));
  row("throughput.1KB", "items/s", produced(tasks.fill, new Uint8Array(1024), gets));
  row("put", "items/s", produced(tasks.put, 1, gets), "throughput.int");
  row("put.unconfirmed", "items/s", produced(tasks.put, 1, gets, { confirm: false }), "throughput.int");
  row("get", "items/s", consumed);
  row("siblings", "us", siblingTurns);
  row("siblings.own", "us", ownSiblingTurns, "siblings");
  row("siblings.throughput", "items/s", siblings(tasks.drain));
  row("siblings.throughput.chunks", "items/s", siblings(tasks.drainChunks), "siblings.throughput");
};

rows("", SubprocessBackend.layer(), {
  rtt:
    "encoding, and the turns of two processes that wait for each other; two writes a turn, each with the answer to a put or a get",
  "throughput.int": "Effect's fiber, which takes items one by one; the child, which encodes",
  "throughput.int.stream": "Effect's Stream, an item at a time",
  "throughput.int.chunks": "the child, which encodes: collecting garbage, a quarter; writing, a fifth",
  "throughput.object": "this process: decoding, and Effect's fiber, which takes items one by one",
  "throughput.1KB": "waiting for the socket, a third, which has room for one list; memory for each item, a fifth",
  put: "a round trip: the queue confirms each item",
  "put.unconfirmed": "a write for each item, which the fiber waits for",
  get: "decoding, and Effect's fiber",
  siblings: "six messages a turn, and three processes that wait for each other: this process hosts the queues",
  "siblings.own": "as queue.rtt, and an answer to each put",
});

rows(".worker", WorkerBackend.layer(), {
  rtt: "encoding, and the turns of two isolates that wait for each other",
  put: "a round trip: the queue confirms each item",
  "put.unconfirmed": "a write for each item, which the fiber waits for",
  get: "decoding, and Effect's fiber",
  siblings: "six messages a turn, and three isolates that wait for each other: this isolate hosts the queues",
  "siblings.own": "as queue.rtt, and an answer to each put",
});
