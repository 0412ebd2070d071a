/**
 * Cost against size: the cost of one item, worker, waiter or byte as their number grows. If the cost is linear, the
 * rows of a group are equal.
 */

import * as Effect from "effect/Effect";
import type * as Layer from "effect/Layer";
import * as Stream from "effect/Stream";
import type { Backend } from "../../src/Backend.ts";
import * as Pipe from "../../src/Pipe.ts";
import * as Pool from "../../src/Pool.ts";
import * as Process from "../../src/Process.ts";
import * as Queue from "../../src/Queue.ts";
import * as SubprocessBackend from "../../src/SubprocessBackend.ts";
import * as WorkerBackend from "../../src/WorkerBackend.ts";
import { bench, timed, type Unit } from "./harness.ts";
import { drainBytes } from "./pipe_tasks.ts";
import { increment } from "./tasks.ts";

const KB = 1024;
const MB = 1024 * KB;

const backends: Readonly<Record<string, Layer.Layer<Backend>>> = {
  "": SubprocessBackend.layer(),
  ".worker": WorkerBackend.layer(),
};

/** One sample at a time, because the largest takes seconds. The other samples come with the turns. */
const row = (name: string, unit: Unit, bound: string, run: () => Promise<number>): void =>
  bench({ name: `cost.${name}`, unit, better: "lower", bound, run });

/** Microseconds of an Effect, divided by `count`. */
const each = async (count: number, effect: Effect.Effect<unknown, unknown>): Promise<number> =>
  await timed(() => Effect.runPromise(effect)) / count * 1000;

const map = (backend: Layer.Layer<Backend>, count: number): Promise<number> =>
  Effect.runPromise(
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 2 });
      const items = Array.from({ length: count }, (_, n) => n);
      yield* pool.map(increment, items.slice(0, 100));
      return yield* Effect.promise(() => each(count, pool.map(increment, items)));
    }).pipe(Effect.scoped, Effect.provide(backend)),
  );

/** All items are in the queue before the first is taken. */
const queue = (count: number): Promise<number> =>
  Effect.runPromise(
    Effect.gen(function* () {
      const queue = yield* Queue.make<number>({ capacity: count });
      const items = Array.from({ length: count }, (_, n) => n);
      const all = Effect.zipRight(queue.putAll(items), Stream.runDrain(Stream.take(queue.toStream, count)));
      return yield* Effect.promise(() => each(count, all));
    }).pipe(Effect.scoped),
  );

/** From the start to the end of a pool in which each worker has run a task. */
const workers = (backend: Layer.Layer<Backend>, size: number): Promise<number> =>
  timed(() =>
    Effect.runPromise(
      Effect.gen(function* () {
        // The workers end together and share the cores, so the grace period is long enough that none is killed.
        const pool = yield* Pool.make({ size, gracePeriod: "30 seconds" });
        yield* pool.map(increment, Array.from({ length: size }, (_, n) => n), { chunkSize: 1 });
      }).pipe(Effect.scoped, Effect.provide(backend)),
    )
  ).then((millis) => millis / size);

/** `count` fibers wait in one queue, and each receives an item. */
const waiters = (count: number): Promise<number> =>
  Effect.runPromise(
    Effect.gen(function* () {
      const queue = yield* Queue.make<number>();
      const waiting = yield* Effect.forkScoped(
        Effect.replicateEffect(queue.get, count, { concurrency: "unbounded", discard: true }),
      );
      const wakeAll = Effect.zipRight(
        Effect.replicateEffect(queue.put(1), count, { discard: true }),
        waiting.await,
      );
      return yield* Effect.promise(() => each(count, wakeAll));
    }).pipe(Effect.scoped),
  );

/** Sends a message of the given size to a child, until the child has it: nanoseconds per byte. */
const payload = (backend: Layer.Layer<Backend>, size: number): Promise<number> =>
  Effect.runPromise(
    Effect.gen(function* () {
      const [ours, theirs] = yield* Pipe.make<number>();
      yield* Process.spawnWith(drainBytes, [theirs], { daemon: true });
      const value = new Uint8Array(size).fill(1);
      const count = Math.max(1, Math.min(1000, Math.floor(64 * MB / size)));
      const send = (count: number) =>
        Effect.gen(function* () {
          for (let left = count; left > 0; left--) {
            yield* ours.send(1);
            yield* ours.sendBytes(value);
            yield* ours.recv;
          }
        });
      yield* send(1);
      return yield* Effect.promise(() => each(count * size, send(count)));
    }).pipe(Effect.scoped, Effect.provide(backend)),
  ).then((micros) => micros * 1000);

for (const [suffix, backend] of Object.entries(backends)) {
  for (const count of [100, 1_000, 10_000, 100_000, 1_000_000]) {
    row(`map.${count}${suffix}`, "us", "a round trip, and then each item", () => map(backend, count));
  }
}

for (const count of [100, 1_000, 10_000, 100_000, 1_000_000]) {
  row(`queue.${count}`, "us", "a put and a get of this process", () => queue(count));
}

for (const [suffix, backend] of Object.entries(backends)) {
  for (const size of [1, 2, 4, 8, 16, 32, 64]) {
    row(`workers.${size}${suffix}`, "ms", "Deno's start, on as many cores as there are", () => workers(backend, size));
  }
}

for (const count of [10, 100, 1_000, 10_000]) {
  row(`waiters.${count}`, "us", "waking a fiber", () => waiters(count));
}

const payloads = [["1B", 1], ["1KB", KB], ["64KB", 64 * KB], ["1MB", MB], ["16MB", 16 * MB], [
  "256MB",
  256 * MB,
]] as const;
for (const [suffix, backend] of Object.entries(backends)) {
  for (const [name, size] of payloads) {
    row(
      `payload.${name}${suffix}`,
      "ns",
      "a round trip, and then each byte: a copy into fresh memory",
      () => payload(backend, size),
    );
  }
}
