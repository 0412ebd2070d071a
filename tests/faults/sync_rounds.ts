/**
 * Rounds that kill the users of shared objects at random moments, with the checks after each. Used by a test, and by a
 * process with fewer permissions than the test.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Fiber from "effect/Fiber";
import type * as Scope from "effect/Scope";
import {
  type Backend,
  Barrier,
  Condition,
  Event,
  Lock,
  Process,
  ReadWriteLock,
  Semaphore,
  Task,
  WorkerBackend,
} from "../../mod.ts";
import { assert, assertEquals, assertStringIncludes } from "../support/assert.ts";
import { below, restart } from "../support/chance.ts";
import { temporary } from "../support/suite.ts";
import * as Tasks from "./sync_fault_tasks.ts";
import * as Sync from "../api/sync_tasks.ts";

const numbers = (n: number): Array<number> => Array.from({ length: n }, (_, i) => i);

/** How the objects are carried. */
type Carried = { readonly carrier?: "messages" };

const job = (writes: boolean, carried: Carried): Effect.Effect<Tasks.Job, unknown, Scope.Scope> =>
  Effect.gen(function* () {
    const path = yield* temporary;
    Deno.writeFileSync(path, new Uint8Array(8));
    return {
      writes,
      lock: yield* Lock.make(carried),
      semaphore: yield* Semaphore.bounded({ permits: 3, ...carried }),
      readers: yield* ReadWriteLock.make(carried),
      condition: yield* Condition.make(carried),
      event: yield* Event.make(carried),
      begun: yield* Event.make(carried),
      path,
    };
  });

/** After a death, this process can take every object, and its state is as before. */
const sound = (job: Tasks.Job, when: string): Effect.Effect<void, unknown> =>
  Effect.gen(function* () {
    const { condition, event, lock, readers, semaphore } = job;
    yield* Effect.scoped(Effect.flatMap(lock.acquire, Tasks.count(job)));
    yield* semaphore.take(3);
    assertEquals(yield* semaphore.available, 0, when);
    yield* semaphore.release(3);
    assertEquals(yield* semaphore.available, 3, when);
    yield* readers.write.withLock(Effect.void);
    yield* readers.read.withLock(Effect.void);
    const { readers: reading, waitingReaders } = yield* readers.statistics;
    assertEquals([reading, waitingReaders], [0, 0], when);
    // A notification for a dead waiter reaches a living one.
    const waiting = yield* Effect.fork(condition.withLock(condition.wait));
    while (!(yield* Effect.map(condition.statistics, ({ waitingHere }) => waitingHere === 1))) yield* Effect.yieldNow();
    yield* condition.withLock(condition.notify());
    yield* Fiber.join(waiting);
    yield* event.set;
    yield* event.clear;
  });

/** Number of kills, and of sets of objects in use at each. */
export interface Rounds extends Carried {
  readonly kills: number;
  readonly sets: number;
  /** Whether the thread of a killed worker runs to the end of its turn, although its lock was taken from it. */
  readonly killBusy: boolean;
}

/** After each kill, every object that the dead process held is available. */
export const rounds = (
  { killBusy, kills, sets, ...carried }: Rounds,
): Effect.Effect<void, unknown, Backend.Backend | Scope.Scope> =>
  Effect.gen(function* () {
    const jobs = yield* Effect.replicateEffect(job(killBusy, carried), sets);
    for (const kill of numbers(kills)) {
      for (const { begun } of jobs) yield* begun.clear;
      const child = yield* Process.spawnWith(Tasks.victim, [jobs], { daemon: true });
      for (const { begun } of jobs) yield* begun.wait;
      // This process competes for the objects.
      const fibers = yield* Effect.forEach(jobs, (job) => Effect.fork(Tasks.everything(job)));
      for (const { condition, event } of jobs) {
        yield* Effect.fork(condition.withLock(condition.notifyAll));
        yield* event.set;
        yield* event.clear;
      }
      const millis = below(25);
      yield* Effect.sleep(millis);
      yield* child.kill;
      yield* Fiber.interruptAll(fibers);
      for (const fiber of fibers) {
        const exit = yield* Fiber.await(fiber);
        assert(Exit.isInterrupted(exit), `kill ${kill}: ${exit}`);
      }
      yield* Effect.all(
        jobs.map((job, n) => sound(job, `set ${n} after kill ${kill}, ${millis} ms after its begin`)),
        {
          concurrency: "unbounded",
        },
      );
    }
  });

/** The death of a party breaks the barrier, and a reset makes it usable again. */
export const meetings = (
  kills: number,
  carried: Carried = {},
): Effect.Effect<void, unknown, Backend.Backend | Scope.Scope> =>
  Effect.gen(function* () {
    const barriers = yield* Effect.replicateEffect(Barrier.make({ parties: 2, ...carried }), 30);
    const begun = yield* Event.make(carried);
    for (const kill of numbers(kills)) {
      yield* begun.clear;
      const meeting = yield* Effect.scoped(Effect.gen(function* () {
        const child = yield* Process.spawnWith(Sync.meetsAll, [barriers, begun], { daemon: true });
        // Rounds complete until the other party is dead.
        const fibers = yield* Effect.forEach(
          barriers,
          (barrier) => Effect.forkDaemon(Effect.flip(Effect.forever(barrier.wait))),
        );
        yield* begun.wait;
        yield* Effect.sleep(below(10));
        yield* child.kill;
        return fibers;
      }));
      // A party that arrived after the death is alone in its round, because no process can know that the other party
      // would have arrived.
      for (const [n, barrier] of barriers.entries()) {
        yield* barrier.abort;
        const error = Sync.described(yield* Fiber.join(meeting[n]));
        assertStringIncludes(error, "BrokenBarrier");
      }
      for (const barrier of barriers) {
        yield* barrier.reset;
        const places = yield* Effect.all([barrier.wait, barrier.wait], { concurrency: 2 });
        assertEquals(places.toSorted(), [0, 1], `after kill ${kill}`);
      }
    }
  });

/** The same among the workers of a process, which may lack the permission to share memory with other processes. */
export const amongWorkers = Task.make(
  import.meta,
  "amongWorkers",
  (options: Rounds, seed: number) =>
    Effect.gen(function* () {
      restart(seed);
      yield* rounds(options);
      yield* meetings(3);
      return (yield* Effect.promise(() => Deno.permissions.query({ name: "ffi" }))).state;
    }).pipe(Effect.scoped, Effect.provide(WorkerBackend.layer())),
);
