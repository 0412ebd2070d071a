/**
 * Interrupts every operation of shared objects at every step: it is complete or had no effect, and no operation waits
 * any more.
 *
 * @module
 */
import * as Clock from "effect/Clock";
import * as Effect from "effect/Effect";
import * as Fiber from "effect/Fiber";
import * as Option from "effect/Option";
import type * as Scope from "effect/Scope";
import {
  type Barrier,
  type Condition,
  Event,
  Lock,
  Process,
  Queue,
  ReadWriteLock,
  RLock,
  Semaphore,
  SubprocessBackend,
} from "../../mod.ts";
import * as Tasks from "../api/sync_tasks.ts";
import { assertEquals } from "../support/assert.ts";
import { everywhere, type Operation, turn } from "../support/steps.ts";
import { test, when } from "../support/suite.ts";

/** Holds an object for a few turns, so that the operation has to wait for it. */
const busy = <E>(
  take: Effect.Effect<unknown, E>,
  release: Effect.Effect<unknown, E>,
  operation: Operation,
): Operation =>
  Effect.gen(function* () {
    yield* take;
    const giving = yield* Effect.forkDaemon(Effect.zipRight(turn, release));
    yield* Effect.ensuring(Effect.interruptible(operation), Effect.ignore(Fiber.join(giving)));
  }).pipe(Effect.uninterruptible);

/** Number of steps that a resumed fiber makes before it yields. */
const resumed = 12;

const limits = { rounds: 60, turns: 4, resumed };

/** Objects that this process uses in memory, or by messages because another process has made them. */
const objects = (carrier: Lock.Carrier) =>
  Effect.gen(function* () {
    const made = yield* Queue.make<unknown>();
    const end = yield* Event.make();
    const layer = SubprocessBackend.layer();
    yield* Effect.provide(Process.spawnWith(Tasks.maker, [made, end, carrier], { daemon: true }), layer);
    const [lock, rlock, semaphore, condition, event, barrier, readers] = (yield* made.get) as [
      Lock.Lock,
      RLock.RLock,
      Semaphore.Semaphore,
      Condition.Condition,
      Event.Event,
      Barrier.Barrier,
      ReadWriteLock.ReadWriteLock,
    ];
    assertEquals(lock.carrier, carrier);
    return { lock, rlock, semaphore, condition, event, barrier, readers };
  });

for (const carrier of ["memory", "messages"] as const) {
  test(
    `sync interruption, by ${carrier}: locks, at any step (storm)`,
    Effect.gen(function* () {
      const { lock, rlock } = yield* objects(carrier);
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
      const twice = rlock.withLock(rlock.withLock(Effect.yieldNow()));
      yield* everywhere(
        twice,
        limits,
        (when) => Effect.map(rlock.isLocked, (locked) => assertEquals(locked, false, when)),
      );
    }),
  );

  test(
    `sync interruption, by ${carrier}: semaphores and locks for readers and writers, at any step (storm)`,
    Effect.gen(function* () {
      const { readers: lock, semaphore } = yield* objects(carrier);
      const full = (when: string) =>
        Effect.map(
          semaphore.statistics,
          (found) => assertEquals(found, { available: 2, held: 0, waiting: 0, waitingProcesses: 0 }, when),
        );
      const body = semaphore.withPermits(Effect.yieldNow(), 2);
      yield* everywhere(body, limits, full);
      yield* everywhere(busy(semaphore.take(), semaphore.release(), body), limits, full);
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
    `sync interruption, by ${carrier}: conditions, events and barriers, at any step (storm)`,
    Effect.gen(function* () {
      const { barrier, condition, event } = yield* objects(carrier);
      const notified = Effect.gen(function* () {
        const other = yield* Effect.forkDaemon(Effect.interruptible(Effect.forever(
          Effect.zipRight(condition.withLock(condition.notify()), turn),
        )));
        yield* Effect.ensuring(Effect.interruptible(condition.withLock(condition.wait)), Fiber.interrupt(other));
      }).pipe(Effect.uninterruptible);
      yield* everywhere(notified, { rounds: 30, turns: 4, resumed }, (when) =>
        Effect.gen(function* () {
          assertEquals(yield* condition.lock.isLocked, false, when);
          assertEquals(yield* condition.statistics, { waiting: 0, waitingHere: 0 }, when);
        }));
      yield* everywhere(
        busy(event.clear, event.set, event.wait),
        limits,
        (when) => Effect.map(event.statistics, ({ waiting }) => assertEquals(waiting, 0, when)),
      );
      const meeting = Effect.gen(function* () {
        const other = yield* Effect.forkDaemon(Effect.ignore(barrier.wait));
        yield* Effect.ensuring(
          Effect.interruptible(Effect.zipRight(turn, barrier.wait)),
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
}

/** A clock whose sleeps end when `fire` is called. */
const manualClock = (): { readonly clock: Clock.Clock; readonly fire: () => void } => {
  const sleeping: Array<() => void> = [];
  const clock: Clock.Clock = Object.assign(Object.create(Clock.make()), {
    sleep: () => Effect.async<void>((resume) => void sleeping.push(() => resume(Effect.void))),
  });
  return { clock, fire: () => sleeping.splice(0).forEach((wake) => wake()) };
};

/** A wait, and the release that grants it in the very turn in which its timeout fires. */
interface Granted {
  readonly take: Effect.Effect<unknown, unknown>;
  readonly release: () => void;
  readonly waiting: Effect.Effect<boolean, unknown>;
  readonly taken: Effect.Effect<boolean, unknown>;
}

const waits = ({ waiting }: { readonly waiting: number }): boolean => waiting === 1;

const granted: Readonly<Record<string, Effect.Effect<Granted, unknown, Scope.Scope>>> = {
  lock: Effect.map(Effect.tap(Lock.make({ carrier: "memory" }), (lock) => lock.take), (lock) => ({
    take: lock.take,
    release: () => lock.unsafeRelease(),
    waiting: Effect.map(lock.statistics, waits),
    taken: lock.isLocked,
  })),
  semaphore: Effect.map(Semaphore.make({ permits: 0, carrier: "memory" }), (semaphore) => ({
    take: semaphore.take(),
    release: () => semaphore.unsafeRelease(),
    waiting: Effect.map(semaphore.statistics, waits),
    taken: Effect.map(semaphore.available, (available) => available === 0),
  })),
  "recursive lock": Effect.gen(function* () {
    const lock = yield* RLock.make();
    let release = (): void => {};
    // The owner is another fiber, so that the waiter does not re-enter.
    yield* Effect.forkScoped(Effect.zipRight(
      lock.take,
      Effect.async<void, RLock.SyncFailure>((resume) => void (release = () => resume(lock.release))),
    ));
    yield* when(lock.isLocked, (locked) => locked);
    return {
      take: lock.take,
      release: () => release(),
      waiting: Effect.map(lock.statistics, waits),
      taken: lock.isLocked,
    };
  }),
  reader: Effect.map(Effect.tap(ReadWriteLock.make({ carrier: "memory" }), (lock) => lock.write.take), (lock) => ({
    take: lock.read.take,
    release: () => lock.write.unsafeRelease(),
    waiting: Effect.map(lock.statistics, waits),
    taken: Effect.map(lock.statistics, ({ readers, writer }) => readers > 0 || Option.isSome(writer)),
  })),
  writer: Effect.map(Effect.tap(ReadWriteLock.make({ carrier: "memory" }), (lock) => lock.write.take), (lock) => ({
    take: lock.write.take,
    release: () => lock.write.unsafeRelease(),
    waiting: Effect.map(lock.statistics, waits),
    taken: Effect.map(lock.statistics, ({ readers, writer }) => readers > 0 || Option.isSome(writer)),
  })),
};

for (const [name, make] of Object.entries(granted)) {
  for (const timeoutFirst of [true, false]) {
    test(
      `a ${name} that is granted in the turn in which the timeout fires (${
        timeoutFirst ? "after" : "before"
      } it) belongs to the caller, or to nobody`,
      Effect.gen(function* () {
        const { clock, fire } = manualClock();
        const { release, take, taken, waiting } = yield* make;
        const fiber = yield* Effect.fork(Effect.withClock(Effect.timeoutOption(take, "1 second"), clock));
        yield* when(waiting, (yes) => yes);
        yield* Effect.sync(() => {
          if (timeoutFirst) fire();
          release();
          if (!timeoutFirst) fire();
        });
        const result = yield* Fiber.join(fiber);
        yield* when(taken, (yes) => yes === Option.isSome(result));
      }),
    );
  }
}
