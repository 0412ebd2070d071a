/** Checks that throw: those of a doorbell, and those of waits on it. */
import * as Cause from "effect/Cause";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Fiber from "effect/Fiber";
import { Barrier, Condition, Event, Lock, ReadWriteLock, RLock, Semaphore, wait } from "../../mod.ts";
import { Unsupported } from "../../src/Backend.ts";
import { Unreachable } from "../../src/internal/objects/errors.ts";
import { Doorbell, doorbell } from "../../src/internal/sync/protocol/doorbell.ts";
import { Monitor, size } from "../../src/internal/sync/protocol/monitor.ts";
import { preferred, RegionError, type RegionKind } from "../../src/internal/os/mapping.ts";
import { words } from "../../src/internal/os/atomics.ts";
import { SyncError } from "../../src/internal/sync/errors.ts";
import { allocateObject, resolve } from "../../src/internal/sync/object.ts";
import { find, join, publish, withdraw } from "../../src/internal/os/shared_buffers.ts";
import { lockKind } from "../../src/internal/sync/messages/lock.ts";
import { assert, assertEquals, assertThrows } from "../support/assert.ts";
import { test, when } from "../support/suite.ts";

const kinds: ReadonlyArray<RegionKind> = preferred() === "memory" ? ["memory", "buffer"] : ["buffer"];

for (const kind of kinds) {
  test(
    `a doorbell in a ${kind}: a check that throws is taken out and told, and the others are asked on`,
    Effect.gen(function* () {
      const bell = doorbell(kind);
      const told: Array<unknown> = [];
      const error = new Error("a check that throws");
      let asked = 0;
      let throws = false;
      const before = bell.waiting;
      const throwing = () => {
        asked++;
        if (throws) throw error;
        return false;
      };
      yield* Effect.async<void>((resume) => {
        let done = false;
        bell.watch({ bucket: 3, check: throwing, fail: (error) => told.push(error) });
        bell.watch({
          bucket: 3,
          check: () => {
            // This check runs after the one that throws, and rings for the next time.
            if (done) resume(Effect.void);
            return done;
          },
        });
        throws = true;
        bell.ringSelf(3);
        queueMicrotask(() => {
          done = true;
          bell.ringSelf(3);
        });
      });
      assertEquals([told, asked], [[error], 2]);
      // A check that throws at once is not waited for either.
      const leave = bell.watch({ bucket: 3, check: throwing, fail: (error) => told.push(error) });
      leave();
      assertEquals([told.length, bell.waiting], [2, before]);
    }),
  );
}

const error = new Error("this look fails");

/** Makes all checks of this isolate fail, once enabled. */
const breakable = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => {
      const { watch } = Doorbell.prototype;
      const state = { broken: false };
      Doorbell.prototype.watch = function (one) {
        return watch.call(this, {
          ...one,
          check: (patrol) => {
            if (state.broken) throw error;
            return one.check(patrol);
          },
        });
      };
      return { state, watch };
    }),
    ({ watch }) => Effect.sync(() => Doorbell.prototype.watch = watch),
  ),
  ({ state }) => state,
);

test(
  "a check that fails is a defect of its waiters, whatever they waited for, and the objects can be used again",
  Effect.gen(function* () {
    const state = yield* breakable;
    const lock = yield* Lock.make();
    const rlock = yield* RLock.make();
    const semaphore = yield* Semaphore.make({ permits: 0 });
    const condition = yield* Condition.make();
    const event = yield* Event.make();
    const barrier = yield* Barrier.make({ parties: 2 });
    const readers = yield* ReadWriteLock.make();
    yield* lock.take;
    const rlocked = yield* Effect.fork(rlock.withLock(Effect.never));
    yield* readers.write.take;
    yield* when(rlock.isLocked, (locked) => locked);
    const waits: ReadonlyArray<Effect.Effect<unknown, unknown>> = [
      lock.take,
      rlock.take,
      semaphore.take(),
      condition.withLock(condition.wait),
      event.wait,
      wait([event]),
      barrier.wait,
      readers.read.take,
      readers.write.take,
    ];
    const waiting = Effect.map(
      Effect.all([
        lock.statistics,
        rlock.statistics,
        semaphore.statistics,
        condition.statistics,
        event.statistics,
        readers.statistics,
      ]),
      (all) => all.map(({ waiting }) => waiting),
    );
    const fibers = yield* Effect.forEach(waits, (one) => Effect.fork(Effect.exit(one)));
    yield* when(waiting, (counts) => `${counts}` === "1,1,1,1,2,2");
    yield* when(barrier.statistics, ({ waitingHere }) => waitingHere === 1);
    state.broken = true;
    for (const [i, fiber] of fibers.entries()) {
      const exit = yield* Fiber.join(fiber);
      assert(Exit.isFailure(exit), `${i}`);
      assertEquals([...Cause.defects(exit.cause)], [error], `${i}`);
    }
    state.broken = false;
    assertEquals(yield* waiting, [0, 0, 0, 0, 0, 0]);
    yield* Fiber.interrupt(rlocked);
    yield* lock.release;
    yield* readers.write.release;
    yield* semaphore.release();
    yield* event.set;
    yield* barrier.reset;
    yield* Effect.all([
      lock.withLock(Effect.void),
      rlock.withLock(Effect.void),
      semaphore.withPermits(Effect.void),
      condition.withLock(condition.notifyAll),
      event.wait,
      wait([event]),
      Effect.all([barrier.wait, barrier.wait], { concurrency: 2 }),
      readers.read.withLock(Effect.void),
      readers.write.withLock(Effect.void),
    ]);
  }),
);

class Wide extends Monitor {
  constructor() {
    const participants = {
      self: 256,
      alive: () => true,
      at: () => 256,
      ring: () => {},
      watch: () => () => {},
      exists: () => true,
      now: () => 0,
      hold: () => "again" as const,
    };
    super(words(new SharedArrayBuffer(4 * size(64, 1, 1))), 0, participants, 64, 1);
  }

  /** Sets several words in one change. */
  change(count: number, value: number): void {
    this.attempt(() => {
      for (let i = 0; i < count; i++) this.set(this.own(i), value);
    });
  }

  get values(): ReadonlyArray<number> {
    return Array.from({ length: 64 }, (_, i) => this.load(this.own(i)));
  }

  override get waiting(): number {
    return 0;
  }

  protected override reclaim(): void {}
  protected override advance(): void {}
  protected override deliver(): void {}
  protected override abandon(): void {}
}

Deno.test("a change of more words than the journal has room for is refused, and nothing is changed", () => {
  const wide = new Wide();
  wide.change(32, 1);
  const before = wide.values;
  assertEquals(before.filter((value) => value === 1).length, 32);
  assertThrows(() => wide.change(33, 2), Error, "32 words");
  assertEquals(wide.values, before);
  wide.change(32, 3);
  assertEquals(wide.values.filter((value) => value === 3).length, 32);
});

test(
  "why memory cannot be had decides the class of the error, whatever its message says",
  Effect.gen(function* () {
    const described = yield* Effect.map(allocateObject(lockKind, undefined, "memory"), ({ own }) => own);
    for (
      const [reason, type] of [
        ["Gone", Unreachable],
        ["Unsupported", Unsupported],
        ["Full", SyncError],
      ] as const
    ) {
      const reach = () =>
        resolve("lock", described, () => {
          throw new RegionError(reason, "made without --allow-ffi");
        });
      let thrown: unknown;
      try {
        reach();
      } catch (error) {
        thrown = error;
      }
      assert(thrown instanceof type, `${reason}: ${thrown}`);
    }
  }),
);

Deno.test("a shared buffer of this isolate stays when a worker that has announced it as well ends", () => {
  const name = crypto.randomUUID();
  publish(name, new SharedArrayBuffer(4));
  const worker = join(() => {}, true);
  worker.receive({ buffer: name, memory: new SharedArrayBuffer(4) });
  worker.leave();
  assert(find(name) !== undefined);
  withdraw(name);
  assertEquals(find(name), undefined);
});
