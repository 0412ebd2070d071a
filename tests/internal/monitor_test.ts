/** Objects in the middle of a long change by another process, just when their waiters leave. */
import * as Effect from "effect/Effect";
import { Condition, sizeFor as conditionSize } from "../../src/internal/sync/protocol/condition.ts";
import type { Participants } from "../../src/internal/sync/protocol/participants.ts";
import { ReadWriteLock, sizeFor as readersSize } from "../../src/internal/sync/protocol/read_write_lock.ts";
import { Semaphore, sizeFor as semaphoreSize } from "../../src/internal/sync/protocol/semaphore.ts";
import { words } from "../../src/internal/os/atomics.ts";
import { assert, assertEquals } from "../support/assert.ts";
import { test, when } from "../support/suite.ts";

/** Two processes that use one object. The first may stay in the middle of a change for any time. */
const pair = <A>(size: number, make: (cells: ReturnType<typeof words>, participants: Participants) => A) => {
  const cells = words(new SharedArrayBuffer(4 * size));
  const rung = new Map<number, () => void>();
  let ended = false;
  const participants = (self: number): Participants => ({
    self,
    alive: () => true,
    at: (slot) => 256 | slot,
    ring: (participant) => rung.get(participant)?.(),
    watch: (check) => {
      rung.set(self, () => check(false));
      return () => rung.delete(self);
    },
    exists: () => true,
    ended: () => ended && self === 257,
    now: () => 0,
    hold: () => "busy",
  });
  return {
    one: make(cells, participants(256)),
    other: make(cells, participants(257)),
    /** Blocks all changes until the returned function is called. */
    freeze: () => {
      cells.store(0, 256);
      return () => cells.store(0, 0);
    },
    /** Delays the notifications of the other process. */
    defer: () => {
      const tell = rung.get(257)!;
      rung.set(257, () => {});
      return tell;
    },
    /** Marks the other process as ended, until the returned function is called. */
    end: () => {
      ended = true;
      return () => void (ended = false);
    },
  };
};

/** Nothing tells that a notification will not come, so a test waits longer than it takes to come. */
const quiet = Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 10)));

test(
  "a waiter that leaves a lock while nothing can be changed, and was granted it, gives it back",
  Effect.gen(function* () {
    for (const side of ["read", "write"] as const) {
      const { defer, freeze, one, other } = pair(
        readersSize(4),
        (cells, participants) => new ReadWriteLock(cells, 0, participants),
      );
      assertEquals(one.tryTake("write"), true);
      const outcomes: Array<string> = [];
      const leave = other.wait(side, (outcome) => outcomes.push(`${outcome}`));
      const tell = defer();
      one.release("write");
      const thaw = freeze();
      tell();
      assertEquals([leave(), outcomes], [true, []]);
      thaw();
      yield* when(Effect.sync(() => one.writer + one.readers), (holders) => holders === 0);
      assertEquals(outcomes, []);
      assertEquals(one.tryTake("write"), true);
    }
  }),
);

test(
  "a notification for a waiter that leaves while nothing can be changed goes to the other",
  Effect.gen(function* () {
    const { defer, freeze, one, other } = pair(
      conditionSize(4),
      (cells, participants) => new Condition(cells, 0, participants),
    );
    const heard: Array<string> = [];
    const leave = other.wait((outcome) => heard.push(`other ${outcome}`));
    const tell = defer();
    let notified = 0;
    one.notify(1, (count) => notified = count);
    assertEquals(notified, 1);
    assert(typeof one.wait((outcome) => heard.push(`one ${outcome}`)) === "function");
    const thaw = freeze();
    tell();
    assert(typeof leave === "function" && leave());
    thaw();
    yield* when(Effect.sync(() => heard.length), (count) => count > 0);
    assertEquals(heard, ["one notified"]);
  }),
);

test(
  "permits for a waiter that leaves while nothing can be changed are there for others",
  Effect.gen(function* () {
    const { defer, freeze, one, other } = pair(
      semaphoreSize(4),
      (cells, participants) => new Semaphore(cells, 0, participants, { bound: 2, reclaim: true }),
    );
    one.begin(2);
    assertEquals(one.tryTake(2), true);
    const outcomes: Array<string> = [];
    const leave = other.wait(2, (outcome) => outcomes.push(`${outcome}`));
    const tell = defer();
    one.release(2);
    const thaw = freeze();
    tell();
    assertEquals([leave(), outcomes], [true, []]);
    thaw();
    yield* when(Effect.sync(() => one.tryTake(2)), (taken) => taken === true);
    assertEquals(outcomes, []);
  }),
);

test(
  "a worker that was ended takes nothing any more, though its thread runs on",
  Effect.gen(function* () {
    const { end, one, other } = pair(conditionSize(4), (cells, participants) => new Condition(cells, 0, participants));
    const heard: Array<string> = [];
    other.wait((outcome) => heard.push(`${outcome}`));
    const revive = end();
    one.notify(1, () => {});
    yield* quiet;
    // The notification still belongs to the ended worker, and passes to another waiter when the death is found.
    assertEquals([heard, one.sleeping], [[], 0]);
    revive();
    yield* when(Effect.sync(() => heard.length), (count) => count > 0);
    assertEquals(heard, ["notified"]);
  }),
);
