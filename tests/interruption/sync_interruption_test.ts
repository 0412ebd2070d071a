/**
 * Interruption of every operation of shared objects at every step: it is done, or it has done nothing, and nobody waits any more.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Fiber from "effect/Fiber";
import { Barrier, Condition, Event, Lock, ReadWriteLock, RLock, Semaphore } from "../../mod.ts";
import { assertEquals } from "../support/assert.ts";
import { everywhere, type Operation } from "../support/steps.ts";
import { test } from "../support/suite.ts";

/** Holds something for a few turns, so that the operation has to wait for it. */
const busy = <E>(
  take: Effect.Effect<unknown, E>,
  release: Effect.Effect<unknown, E>,
  operation: Operation,
): Operation =>
  Effect.gen(function* () {
    yield* take;
    const giving = yield* Effect.forkDaemon(Effect.zipRight(Effect.sleep("1 millis"), release));
    yield* Effect.ensuring(Effect.interruptible(operation), Effect.ignore(Fiber.join(giving)));
  }).pipe(Effect.uninterruptible);

/** Whoever was resumed makes so many steps before he gives way. */
const resumed = 12;

const limits = { rounds: 60, turns: 4, resumed };

test(
  "sync interruption: locks, at any step (storm)",
  Effect.gen(function* () {
    const lock = yield* Lock.make();
    const free = (when: string) =>
      Effect.map(
        lock.statistics,
        ({ owner, waiting, waitingProcesses }) =>
          assertEquals([owner._tag, waiting, waitingProcesses], ["None", 0, 0], when),
      );
    const body = lock.withLock(Effect.yieldNow());
    yield* everywhere(body, limits, free);
    yield* everywhere(Effect.scoped(lock.acquire), limits, free);
    yield* everywhere(busy(lock.take, lock.release, body), limits, free);
    const rlock = yield* RLock.make();
    const twice = rlock.withLock(rlock.withLock(Effect.yieldNow()));
    yield* everywhere(
      twice,
      limits,
      (when) => Effect.map(rlock.isLocked, (locked) => assertEquals(locked, false, when)),
    );
  }),
);

test(
  "sync interruption: semaphores and locks for readers and writers, at any step (storm)",
  Effect.gen(function* () {
    const semaphore = yield* Semaphore.bounded({ permits: 2 });
    const full = (when: string) =>
      Effect.map(
        semaphore.statistics,
        (found) => assertEquals(found, { available: 2, held: 0, waiting: 0, waitingProcesses: 0 }, when),
      );
    const body = semaphore.withPermits(2)(Effect.yieldNow());
    yield* everywhere(body, limits, full);
    yield* everywhere(busy(semaphore.take(), semaphore.release(), body), limits, full);
    const lock = yield* ReadWriteLock.make();
    const free = (when: string) =>
      Effect.map(
        lock.statistics,
        ({ readers, waiting, waitingReaders, writer }) =>
          assertEquals([readers, waiting, waitingReaders, writer._tag], [0, 0, 0, "None"], when),
      );
    for (const side of [lock.read, lock.write]) {
      const body = side.withLock(Effect.yieldNow());
      yield* everywhere(body, limits, free);
      yield* everywhere(busy(lock.write.take, lock.write.release, body), limits, free);
    }
  }),
);

test(
  "sync interruption: conditions, events and barriers, at any step (storm)",
  Effect.gen(function* () {
    const condition = yield* Condition.make();
    const notified = Effect.gen(function* () {
      const other = yield* Effect.forkDaemon(Effect.interruptible(Effect.forever(
        Effect.zipRight(condition.withLock(condition.notify()), Effect.sleep("1 millis")),
      )));
      yield* Effect.ensuring(Effect.interruptible(condition.withLock(condition.wait)), Fiber.interrupt(other));
    }).pipe(Effect.uninterruptible);
    yield* everywhere(notified, { rounds: 30, turns: 4, resumed }, (when) =>
      Effect.gen(function* () {
        assertEquals(yield* condition.lock.isLocked, false, when);
        assertEquals(yield* condition.statistics, { waiting: 0, waitingHere: 0 }, when);
      }));
    const event = yield* Event.make();
    yield* everywhere(
      busy(event.clear, event.set, event.wait),
      limits,
      (when) => Effect.map(event.statistics, ({ waiting }) => assertEquals(waiting, 0, when)),
    );
    const barrier = yield* Barrier.make({ parties: 2 });
    const meeting = Effect.gen(function* () {
      const other = yield* Effect.forkDaemon(Effect.ignore(barrier.wait));
      yield* Effect.ensuring(
        Effect.interruptible(Effect.zipRight(Effect.sleep("1 millis"), barrier.wait)),
        Effect.ignore(Effect.zipRight(barrier.abort, Fiber.join(other))),
      );
    }).pipe(Effect.uninterruptible);
    yield* everywhere(meeting, { rounds: 30, turns: 4, resumed }, (when) =>
      Effect.gen(function* () {
        yield* barrier.reset;
        assertEquals((yield* barrier.statistics).waitingHere, 0, when);
        yield* Effect.all([barrier.wait, barrier.wait], { concurrency: 2 });
      }));
  }),
);
