/** The rows of locks and events in shared memory, against those of `multiprocessing`. */

import * as Effect from "effect/Effect";
import type * as Scope from "effect/Scope";
import type { Backend } from "../../src/Backend.ts";
import * as Event from "../../src/Event.ts";
import * as Lock from "../../src/Lock.ts";
import * as Process from "../../src/Process.ts";
import * as SubprocessBackend from "../../src/SubprocessBackend.ts";
import { bench, perCall, perTurn, pythonRow, timed, warm } from "./harness.ts";
import * as tasks from "./sync_tasks.ts";

const measure = (setup: Effect.Effect<() => Promise<number>, unknown, Backend | Scope.Scope>): Promise<number> =>
  Effect.runPromise(
    setup.pipe(
      Effect.flatMap((sample) => Effect.promise(sample)),
      Effect.scoped,
      Effect.provide(SubprocessBackend.layer()),
    ),
  );

bench({
  name: "lock.uncontended",
  unit: "us",
  better: "lower",
  bound: "two swaps of a word in shared memory",
  run: () =>
    measure(Effect.map(Lock.make({ carrier: "memory" }), (lock) => () =>
      Promise.resolve(perCall(() => {
        lock.unsafeTryTake();
        lock.unsafeRelease();
      })))),
  peers: { python: pythonRow("lock.uncontended") },
});

bench({
  name: "lock.uncontended.effect",
  unit: "us",
  better: "lower",
  bound: "the fiber runtime",
  run: () =>
    measure(
      Effect.map(Lock.make({ carrier: "memory" }), (lock) => () =>
        perTurn((calls) =>
          Effect.runPromise(Effect.gen(function* () {
            for (let call = 0; call < calls; call++) {
              yield* lock.take;
              yield* lock.release;
            }
          }))
        )),
    ),
  peers: { python: pythonRow("lock.uncontended") },
});

const TIMES = 5_000;

bench({
  name: "lock.contended",
  unit: "items/s",
  better: "higher",
  bound: "waking the other process",
  run: () =>
    measure(Effect.gen(function* () {
      const lock = yield* Lock.make({ carrier: "memory" });
      const [start, done] = [yield* Event.make(), yield* Event.make()];
      yield* Process.spawnWith(tasks.contend, [lock, start, done, TIMES], { daemon: true });
      return () =>
        warm(async () =>
          2 * TIMES / (await timed(() =>
            Effect.runPromise(Effect.gen(function* () {
              yield* done.clear;
              yield* start.set;
              for (let i = 0; i < TIMES; i++) {
                yield* lock.take;
                yield* lock.release;
              }
              yield* done.wait;
            }))
          ) / 1000)
        );
    })),
  peers: { python: pythonRow("lock.contended") },
});

bench({
  name: "event.wakeup",
  unit: "us",
  better: "lower",
  bound: "waking the other process, twice",
  run: () =>
    measure(Effect.gen(function* () {
      const [there, back] = [yield* Event.make(), yield* Event.make()];
      yield* Process.spawnWith(tasks.answer, [there, back], { daemon: true });
      return () =>
        perTurn((calls) =>
          Effect.runPromise(Effect.gen(function* () {
            for (let call = 0; call < calls; call++) {
              yield* there.set;
              yield* back.wait;
              yield* back.clear;
            }
          }))
        );
    })),
  peers: { python: pythonRow("event.wakeup") },
});
