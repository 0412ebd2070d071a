/** The rows of shared memory: blocks, values and arrays, against `multiprocessing.shared_memory`, `Value` and `RawArray`. */

import * as Effect from "effect/Effect";
import type * as Scope from "effect/Scope";
import * as SharedArray from "../../src/Array.ts";
import type { Backend } from "../../src/Backend.ts";
import * as Process from "../../src/Process.ts";
import type { Task } from "../../src/Task.ts";
import * as Queue from "../../src/Queue.ts";
import * as SharedMemory from "../../src/SharedMemory.ts";
import * as SubprocessBackend from "../../src/SubprocessBackend.ts";
import * as Value from "../../src/Value.ts";
import { bench, type Peer, perCall, perTurn, python, sampled, timed } from "./harness.ts";
import * as tasks from "./shared_memory_tasks.ts";

const MB = 1024 * 1024;
const LENGTH = 4 * MB;
const ADDITIONS = 400_000;

const daemon = <Args extends ReadonlyArray<unknown>, A, E>(task: Task<Args, A, E>, ...args: Args) =>
  Process.spawnWith(task, args, { daemon: true });

const measure = (
  program: Effect.Effect<() => Promise<number>, unknown, Backend | Scope.Scope>,
): Promise<number> =>
  Effect.runPromise(
    program.pipe(
      Effect.flatMap((sample) => Effect.promise(sample)),
      Effect.scoped,
      Effect.provide(SubprocessBackend.layer()),
    ),
  );

bench({
  name: "value.atomicAdd",
  unit: "us",
  better: "lower",
  bound: "two atomic operations, and one that checks whether the object still exists",
  run: () =>
    measure(Effect.map(Value.make("i32"), (value) => () =>
      Promise.resolve(perCall(() => {
        if (value.raw.add(1) > 2 ** 30) value.raw.set(0);
      })))),
  peers: { python },
});

/** Two children that add to one value at full speed: additions per second of both together. */
bench({
  name: "value.contended",
  unit: "items/s",
  better: "higher",
  bound: "the cache line, which one core has at a time",
  run: () =>
    measure(Effect.gen(function* () {
      const value = yield* Value.make("i32");
      const [orders, done] = [yield* Queue.make<number>(), yield* Queue.make<number>()];
      yield* daemon(tasks.add, orders, done, value);
      yield* daemon(tasks.add, orders, done, value);
      const both = Effect.zipRight(orders.putAll([ADDITIONS, ADDITIONS]), Effect.zipRight(done.get, done.get));
      return () =>
        sampled(async () => {
          await Effect.runPromise(value.set(0));
          const millis = await timed(() => Effect.runPromise(both));
          if (value.raw.value !== 2 * ADDITIONS) throw new Error(`additions were lost: ${value.raw.value}`);
          return 2 * ADDITIONS / (millis / 1000);
        });
    })),
  peers: { python },
});

const creates = (name: string, create: Effect.Effect<unknown, unknown>, bound: string): void =>
  bench({
    name,
    unit: "us",
    better: "lower",
    bound,
    run: () =>
      perTurn((calls) =>
        Effect.runPromise(Effect.gen(function* () {
          for (let call = 0; call < calls; call++) yield* create;
        }))
      ),
    peers: { python },
  });

creates("shm.create", Effect.scoped(SharedMemory.make({ size: 4096 })), "seven system calls");
creates(
  "shm.create.named",
  Effect.scoped(SharedMemory.create({ name: "mp_bench", size: 4096 })),
  "ten system calls",
);
creates(
  "shm.create.filled",
  Effect.scoped(Effect.map(SharedMemory.make({ size: 16 * MB }), ({ bytes }) => bytes.fill(1))),
  "the system, which clears the pages",
);

/** Megabytes per second of copies. */
const copies = (into: Uint8Array, from: Uint8Array): Promise<number> =>
  sampled(async () => from.length / MB / (await timed(() => Promise.resolve(into.set(from))) / 1000));

const memcpy: Peer = () => copies(new Uint8Array(64 * MB).fill(2), new Uint8Array(64 * MB).fill(1));

bench({
  name: "shm.bandwidth",
  unit: "MB/s",
  better: "higher",
  bound: "copying memory",
  run: () =>
    measure(Effect.map(
      SharedMemory.make({ size: 64 * MB }),
      ({ bytes }) => () => copies(bytes.fill(2), new Uint8Array(64 * MB).fill(1)),
    )),
  peers: { python, memcpy },
});

/** Milliseconds for two children to sum 4 Mi numbers in place. */
const inPlace = Effect.gen(function* () {
  const array = yield* SharedArray.make("f64", LENGTH);
  yield* array.fill(0.5);
  const [orders, done] = [yield* Queue.make<number>(), yield* Queue.make<number>()];
  yield* daemon(tasks.sum, orders, done, array);
  yield* daemon(tasks.sum, orders, done, array);
  const both = Effect.zipRight(orders.putAll([0, 1]), Effect.zipWith(done.get, done.get, (a, b) => a + b));
  return () =>
    sampled(() =>
      timed(async () => {
        const sum = await Effect.runPromise(both);
        if (sum !== LENGTH / 2) throw new Error(`the sum is wrong: ${sum}`);
      })
    );
});

/** Milliseconds for the same sum with the numbers sent as messages. */
const bySending = Effect.gen(function* () {
  const array = new Float64Array(LENGTH).fill(0.5);
  const parts = yield* Queue.make<Float64Array>();
  const done = yield* Queue.make<number>();
  yield* daemon(tasks.sumSent, parts, done);
  yield* daemon(tasks.sumSent, parts, done);
  const both = Effect.zipRight(
    parts.putAll([array.subarray(0, LENGTH / 2), array.subarray(LENGTH / 2)]),
    Effect.zipWith(done.get, done.get, (a, b) => a + b),
  );
  return () => sampled(() => timed(() => Effect.runPromise(both)));
});

bench({
  name: "array.sum",
  unit: "ms",
  better: "lower",
  bound: "the sums; a round trip of a queue",
  run: () => measure(inPlace),
  peers: { python, queue: () => measure(bySending) },
});
