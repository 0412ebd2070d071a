/**
 * The guarantees of locks, semaphores, conditions, events, barriers and read-write locks, used by this process and by
 * another, on each backend.
 *
 * @module
 */
import * as Deferred from "effect/Deferred";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Fiber from "effect/Fiber";
import type * as Layer from "effect/Layer";
import * as Option from "effect/Option";
import * as Scope from "effect/Scope";
import {
  Array as SharedArray,
  type Backend,
  Barrier,
  Condition,
  Event,
  Lock,
  Manager,
  Process,
  Queue,
  ReadWriteLock,
  RLock,
  Semaphore,
  SubprocessBackend,
  Value,
  wait,
  WorkerBackend,
} from "../../mod.ts";
import { assert, assertEquals, assertInstanceOf, assertStringIncludes } from "../support/assert.ts";
import { rounds } from "../support/chance.ts";
import { temporary, test, warmUp, when } from "../support/suite.ts";
import * as Tasks from "./sync_tasks.ts";
import { repeated, repeating } from "../support/tier.ts";

type Program<R = never> = Effect.Effect<unknown, unknown, R | Scope.Scope>;

/** An operation that another process runs. */
interface Started {
  readonly outcome: Effect.Effect<Tasks.Outcome>;
  readonly interrupt: Effect.Effect<void, unknown>;
}

/** Another process that performs operations on request. */
interface Agent {
  readonly child: Process.Process<unknown, unknown>;
  /**
   * Runs the operation in the main fiber of the process. Returns its result, or fails with the description of the
   * error.
   */
  readonly does: (
    object: unknown,
    operation: string,
    ...args: ReadonlyArray<unknown>
  ) => Effect.Effect<unknown, unknown>;
  /** Starts the operation in a fiber of its own. */
  readonly begins: (
    object: unknown,
    operation: string,
    ...args: ReadonlyArray<unknown>
  ) => Effect.Effect<Started, unknown>;
}

const agent: Effect.Effect<Agent, unknown, Backend.Backend | Scope.Scope> = Effect.gen(function* () {
  const orders = yield* Queue.make<Tasks.Order>();
  const answers = yield* Queue.make<Tasks.Answer>();
  const child = yield* Process.spawnWith(Tasks.agent, [orders, answers], { daemon: true });
  const open = new Map<number, Deferred.Deferred<Tasks.Outcome>>();
  yield* Effect.forkScoped(Effect.forever(Effect.flatMap(
    answers.get,
    ({ id, outcome }) => Deferred.succeed(open.get(id)!, outcome),
  )));
  let next = 0;
  const order = (forked: boolean, object: unknown, operation: string, args: ReadonlyArray<unknown>) =>
    Effect.gen(function* () {
      const id = ++next;
      const outcome = yield* Deferred.make<Tasks.Outcome>();
      open.set(id, outcome);
      yield* orders.put({ id, object, operation, args, forked });
      return {
        outcome: Deferred.await(outcome),
        interrupt: orders.put({ id: 0, object: 0, operation: "interrupt", args: [id], forked: false }),
      };
    });
  return {
    child,
    begins: (object, operation, ...args) => order(true, object, operation, args),
    does: (object, operation, ...args) =>
      Effect.flatMap(
        Effect.flatMap(order(false, object, operation, args), ({ outcome }) => outcome),
        (outcome): Effect.Effect<unknown, string> =>
          outcome._tag === "Success"
            ? Effect.succeed(outcome.value)
            : Effect.fail(outcome._tag === "Failure" ? outcome.error : "interrupted"),
      ),
  };
});

/** Waits until the condition holds. */
const until = <E>(holds: Effect.Effect<boolean, E>): Effect.Effect<void, E> =>
  Effect.asVoid(when(holds, (held) => held));

const failure = <A>(effect: Effect.Effect<A, unknown>): Effect.Effect<string, A> =>
  Effect.map(Effect.flip(effect), Tasks.described);

const numbers = (n: number): Array<number> => Array.from({ length: n }, (_, i) => i);

// In one process

const here = (name: string, program: Program): void => test(`sync in this process: ${name}`, program);

here(
  "a lock is held once, and by turns",
  Effect.gen(function* () {
    const lock = yield* Lock.make();
    assertEquals(yield* lock.take, { abandoned: false });
    assertEquals([yield* lock.tryTake, yield* lock.isLocked, yield* lock.isMine], [false, true, true]);
    const order: Array<number> = [];
    const fibers = [];
    for (const n of numbers(5)) {
      fibers.push(yield* Effect.fork(lock.withLock(Effect.sync(() => order.push(n)))));
      yield* until(Effect.map(lock.statistics, ({ waiting }) => waiting === n + 1));
    }
    assertEquals((yield* lock.statistics).waitingProcesses, 1);
    yield* lock.release;
    for (const fiber of fibers) yield* Fiber.join(fiber);
    assertEquals(order, numbers(5));
    assertEquals(yield* lock.isLocked, false);
    assertEquals(Option.isNone(yield* lock.owner), true);
  }),
);

here(
  "a lock that this process does not hold is not released",
  Effect.gen(function* () {
    const lock = yield* Lock.make({ carrier: "memory" });
    assertEquals(yield* failure(lock.release), "SyncError NotOwner");
    yield* lock.take;
    yield* lock.release;
    assertEquals(yield* failure(lock.release), "SyncError NotOwner");
    assertEquals(yield* lock.tryTake, true);
    lock.unsafeRelease();
    assertEquals(lock.unsafeTryTake(), true);
  }),
);

here(
  "a lock is given back when the effect, the scope or the wait ends, however it does",
  Effect.gen(function* () {
    const lock = yield* Lock.make();
    for (const end of [Effect.void, Effect.fail("no"), Effect.die("never"), Effect.interrupt]) {
      yield* Effect.exit(lock.withLock(end));
      assertEquals(yield* lock.isLocked, false);
    }
    yield* Effect.scoped(Effect.zipRight(lock.acquire, Effect.map(lock.isLocked, (locked) => assert(locked))));
    assertEquals(yield* lock.isLocked, false);
    yield* lock.take;
    assert(Exit.isFailure(yield* Effect.exit(Effect.timeout(lock.take, "1 millis"))));
    assertEquals((yield* lock.statistics).waiting, 0);
    yield* lock.release;
    assertEquals(yield* lock.isLocked, false);
  }),
);

here(
  "a lock that a race takes and does not give to the caller is free",
  Effect.gen(function* () {
    const lock = yield* Lock.make();
    const rlock = yield* RLock.make();
    for (
      const take of [Effect.asVoid(lock.take), lock.tryTake, Effect.asVoid(rlock.take), rlock.tryTake] as Array<
        Effect.Effect<unknown, unknown>
      >
    ) {
      yield* Effect.race(Effect.void, take);
      yield* until(Effect.map(Effect.all([lock.isLocked, rlock.isLocked]), ([a, b]) => !a && !b));
      yield* Effect.race(take, Effect.never);
      assert((yield* lock.isLocked) !== (yield* rlock.isLocked));
      yield* Effect.ignore(lock.release);
      yield* Effect.ignore(rlock.release);
    }
  }),
);

here(
  "an RLock belongs to a fiber, and is released as often as it was taken",
  Effect.gen(function* () {
    const lock = yield* RLock.make();
    const gate = yield* Deferred.make<void>();
    const before = <A, E>(effect: Effect.Effect<A, E>) => Effect.fork(Effect.zipRight(Deferred.await(gate), effect));
    const other = yield* before(Effect.all([lock.tryTake, lock.isMine, lock.depth, failure(lock.release)]));
    const waiting = yield* before(Effect.zipRight(lock.take, Effect.zipLeft(lock.depth, lock.release)));
    assertEquals(yield* failure(lock.release), "SyncError NotOwner");
    yield* lock.take;
    yield* lock.take;
    assertEquals([yield* lock.depth, yield* lock.tryTake, yield* lock.depth], [2, true, 3]);
    yield* Deferred.succeed(gate, undefined);
    assertEquals(yield* Fiber.join(other), [false, false, 0, "SyncError NotOwner"]);
    yield* until(Effect.map(lock.statistics, ({ waiting }) => waiting === 1));
    for (const _ of numbers(3)) yield* lock.release;
    assertEquals(yield* Fiber.join(waiting), 1);
    assertEquals(yield* lock.isMine, false);
    assertEquals(yield* failure(lock.release), "SyncError NotOwner");
  }),
);

here(
  "an RLock that is taken under timeout, race, all or join is the caller's, and can be taken again under them",
  Effect.gen(function* () {
    const lock = yield* RLock.make();
    const takes: ReadonlyArray<Effect.Effect<unknown, unknown>> = [
      Effect.timeout(lock.take, "1 hour"),
      Effect.race(lock.take, Effect.never),
      Effect.all([Effect.void, lock.take], { concurrency: 2 }),
      Effect.flatMap(Effect.fork(lock.take), Fiber.join),
      Effect.disconnect(lock.take),
    ];
    for (const [i, take] of takes.entries()) {
      yield* take;
      yield* take;
      assertEquals([yield* lock.depth, yield* lock.isMine], [2, true], `${i}`);
      yield* Effect.timeout(lock.release, "1 hour");
      assertEquals(yield* lock.depth, 1);
      yield* lock.release;
      assertEquals([yield* lock.isLocked, yield* lock.depth], [false, 0]);
    }
    yield* Effect.promise(() => Effect.runPromise(lock.take));
    assert(Exit.isFailure(yield* Effect.exit(Effect.timeout(lock.take, "1 millis"))));
    assertEquals([yield* lock.depth, (yield* lock.statistics).waiting], [0, 0]);
  }),
);

here(
  "withLock of an RLock, a Value and an Array nests under timeout, and a condition waits under it",
  Effect.gen(function* () {
    const lock = yield* RLock.make();
    const condition = yield* Condition.make({ lock });
    const value = yield* Value.make("i32");
    const array = yield* SharedArray.make("i32", 2);
    for (const { withLock } of [lock, value, array]) {
      const nested = withLock(
        Effect.timeout(withLock(Effect.timeout(withLock(Effect.succeed(1)), "1 hour")), "1 hour"),
      );
      assertEquals(yield* Effect.timeout(nested, "1 hour"), 1);
    }
    const seen = yield* lock.withLock(lock.withLock(
      Effect.flatMap(
        Effect.exit(Effect.timeout(condition.wait, "1 millis")),
        (exit) => Effect.map(lock.depth, (depth) => [exit._tag, depth]),
      ),
    ));
    assertEquals(seen, ["Failure", 2]);
    const waiting = yield* Effect.fork(
      lock.withLock(Effect.zipRight(Effect.timeout(condition.wait, "1 hour"), lock.depth)),
    );
    yield* until(Effect.map(condition.statistics, ({ waiting }) => waiting === 1));
    yield* lock.withLock(Effect.timeout(condition.notify(), "1 hour"));
    assertEquals(yield* Fiber.join(waiting), 1);
    for (const lock of [value.lock, array.lock, condition.lock]) assertEquals(yield* lock.isLocked, false);
  }),
);

here(
  "concurrent branches of one program exclude each other in an RLock, and inside a hold of it as well",
  Effect.gen(function* () {
    const lock = yield* RLock.make();
    let inside = 0;
    const order: Array<number> = [];
    const alone = (n: number) =>
      Effect.gen(function* () {
        assertEquals(inside++, 0);
        yield* lock.withLock(Effect.yieldNow());
        yield* Effect.yieldNow();
        order.push(n);
        inside--;
      });
    const branches = Effect.forEach(numbers(20), (n) => lock.withLock(alone(n)), {
      concurrency: "unbounded",
      discard: true,
    });
    yield* branches;
    yield* lock.withLock(branches);
    yield* lock.withLock(Effect.timeout(lock.withLock(branches), "1 hour"));
    assertEquals(order, [...numbers(20), ...numbers(20), ...numbers(20)]);
    yield* lock.withLock(Effect.gen(function* () {
      const child = yield* Effect.fork(lock.withLock(Effect.zipRight(Effect.yieldNow(), alone(0))));
      yield* until(Effect.map(lock.depth, (depth) => depth === 1));
      // The holder waits for a fiber that has re-entered the lock.
      yield* lock.withLock(alone(1));
      yield* Fiber.join(child);
    }));
    assertEquals([yield* lock.isLocked, (yield* lock.statistics).waiting], [false, 0]);
  }),
);

here(
  "a fiber that outlives the hold in which it was forked is outside of an RLock, and keeps what it took itself",
  Effect.gen(function* () {
    const lock = yield* RLock.make();
    const gates = yield* Effect.replicateEffect(Deferred.make<void>(), 3);
    const pass = (n: number) => Effect.asVoid(Deferred.succeed(gates[n], undefined));
    yield* lock.take;
    const daemon = yield* Effect.forkDaemon(Effect.gen(function* () {
      const seen = [yield* lock.isMine];
      yield* lock.take;
      yield* pass(0);
      yield* Deferred.await(gates[1]);
      seen.push(yield* lock.isMine);
      yield* lock.release;
      yield* Deferred.await(gates[2]);
      seen.push(yield* lock.tryTake);
      yield* lock.take;
      yield* lock.release;
      return seen;
    }));
    yield* Deferred.await(gates[0]);
    yield* lock.release;
    assertEquals([yield* lock.isMine, yield* lock.isLocked, yield* lock.tryTake], [false, true, false]);
    yield* pass(1);
    yield* lock.take;
    yield* pass(2);
    yield* until(Effect.map(lock.statistics, ({ waiting }) => waiting === 1));
    yield* lock.release;
    assertEquals(yield* Fiber.join(daemon), [true, true, false]);
    assertEquals(yield* lock.isLocked, false);
  }),
);

here(
  "a branch that takes an RLock while another one inside waits with its condition goes on, whichever has the lock first",
  Effect.gen(function* () {
    const lock = yield* RLock.make();
    const condition = yield* Condition.make({ lock });
    for (const notifies of [true, false]) {
      const sibling = Effect.gen(function* () {
        yield* until(Effect.map(condition.statistics, ({ waiting }) => waiting === 1));
        if (notifies) return yield* lock.withLock(condition.notify());
        // A fiber of another program holds the lock when both want it: the waiter is notified, and gets the lock first.
        const gate = yield* Deferred.make<void>();
        const stranger = Effect.runFork(
          lock.withLock(Effect.zipRight(condition.notify(), Deferred.await(gate))),
        );
        yield* until(Effect.map(lock.statistics, ({ waiting }) => waiting === 1));
        const later = yield* Effect.fork(lock.withLock(lock.withLock(lock.depth)));
        yield* until(Effect.map(lock.statistics, ({ waiting }) => waiting === 2));
        yield* Deferred.succeed(gate, undefined);
        yield* Fiber.join(stranger);
        return yield* Fiber.join(later);
      });
      const [, answer] = yield* lock.withLock(Effect.all([condition.wait, sibling], { concurrency: 2 }));
      assertEquals(answer, notifies ? 1 : 3);
      assertEquals([yield* lock.isLocked, (yield* lock.statistics).waiting], [false, 0]);
    }
  }),
);

here(
  "when the scope of an RLock closes, waiters inside a hold are told",
  Effect.gen(function* () {
    const scope = yield* Scope.make();
    const lock = yield* Scope.extend(RLock.make(), scope);
    const told: Array<string> = [];
    yield* lock.take;
    const branches = yield* Effect.fork(Effect.all(
      numbers(3).map(() =>
        Effect.mapError(lock.withLock(Effect.never), (error) => told.push(error._tag)).pipe(Effect.exit)
      ),
      { concurrency: "unbounded" },
    ));
    yield* until(Effect.map(lock.statistics, ({ waiting }) => waiting === 2));
    yield* Scope.close(scope, Exit.void);
    yield* until(Effect.sync(() => told.length === 2));
    assertEquals(told, ["Unreachable", "Unreachable"]);
    yield* Fiber.interrupt(branches);
  }),
);

here(
  "a semaphore has as many permits as it says, and a request for many is not overtaken",
  Effect.gen(function* () {
    const semaphore = yield* Semaphore.make({ permits: 3 });
    yield* semaphore.take(2);
    assertEquals([yield* semaphore.available, yield* semaphore.tryTake(2), yield* semaphore.tryTake()], [
      1,
      false,
      true,
    ]);
    yield* semaphore.release();
    const many = yield* Effect.fork(semaphore.take(3));
    yield* until(Effect.map(semaphore.statistics, ({ waiting }) => waiting === 1));
    assertEquals(yield* semaphore.tryTake(), false);
    const one = yield* Effect.fork(semaphore.take());
    yield* until(Effect.map(semaphore.statistics, ({ waiting }) => waiting === 2));
    yield* semaphore.release(2);
    yield* Fiber.join(many);
    assertEquals((yield* semaphore.statistics).waiting, 1);
    yield* semaphore.release(3);
    yield* Fiber.join(one);
    assertEquals(yield* semaphore.statistics, { available: 2, held: 1, waiting: 0, waitingProcesses: 0 });
    yield* semaphore.release(5);
    assertEquals(yield* semaphore.available, 7);
  }),
);

here(
  "a semaphore refuses numbers that are none, and a bounded one what is too much",
  Effect.gen(function* () {
    for (const permits of [-1, 0.5, NaN, Infinity, 2 ** 31]) {
      assertEquals(yield* failure(Effect.scoped(Semaphore.make({ permits }))), "SyncError InvalidArgument");
    }
    const semaphore = yield* Semaphore.bounded({ permits: 2 });
    for (const permits of [0, -1, 1.5, 3]) {
      assertEquals(yield* failure(semaphore.take(permits)), "SyncError InvalidArgument");
    }
    assertEquals(yield* failure(semaphore.release()), "SyncError OverRelease");
    yield* semaphore.withPermits(Effect.map(semaphore.available, (n) => assertEquals(n, 0)), 2);
    assertEquals(yield* semaphore.available, 2);
    const full = yield* Semaphore.make({ permits: 2 ** 31 - 1 });
    assertEquals(yield* failure(full.release()), "SyncError OverRelease");
    const none = yield* Semaphore.bounded({ permits: 0 });
    assertEquals(yield* none.tryTake().pipe(Effect.catchAll(() => Effect.succeed("refused"))), "refused");
  }),
);

here(
  "a condition notifies as many as it is told, and keeps the books",
  Effect.gen(function* () {
    const condition = yield* Condition.make();
    assertEquals(yield* failure(condition.wait), "SyncError NotOwner");
    assertEquals(yield* failure(condition.notify()), "SyncError NotOwner");
    assertEquals(yield* failure(condition.waitFor(() => true)), "SyncError NotOwner");
    let woken = 0;
    const fibers = [];
    for (const n of numbers(6)) {
      fibers.push(yield* Effect.fork(condition.withLock(Effect.map(condition.wait, () => void woken++))));
      yield* until(Effect.map(condition.statistics, ({ waiting }) => waiting === n + 1));
    }
    const notify = (count: number) => condition.withLock(condition.notify(count));
    assertEquals([yield* notify(0), yield* notify(2)], [0, 2]);
    yield* until(Effect.sync(() => woken === 2));
    assertEquals(yield* notify(4), 4);
    yield* until(Effect.sync(() => woken === 6));
    assertEquals([yield* notify(3), yield* condition.withLock(condition.notifyAll)], [0, 0]);
    for (const fiber of fibers) yield* Fiber.join(fiber);
    assertEquals(yield* condition.lock.isLocked, false);
  }),
);

here(
  "a wait gives up an RLock as a whole, and takes it again as it was: notified, late, or interrupted",
  Effect.gen(function* () {
    const lock = yield* RLock.make();
    const condition = yield* Condition.make({ lock });
    const seen: Array<unknown> = [];
    const waits = Effect.gen(function* () {
      yield* lock.take;
      yield* lock.take;
      seen.push(yield* condition.waitWithin("1 millis"), yield* lock.depth);
      seen.push(yield* condition.waitWithin("1 hour"), yield* lock.depth);
      yield* Effect.onInterrupt(
        condition.wait,
        () => Effect.ignore(Effect.map(lock.depth, (depth) => seen.push("interrupted", depth))),
      );
    });
    const fiber = yield* Effect.fork(waits);
    const waiting = until(Effect.map(condition.statistics, ({ waiting }) => waiting === 1));
    yield* until(Effect.sync(() => seen.length === 2));
    yield* waiting;
    yield* lock.withLock(condition.notify());
    yield* until(Effect.sync(() => seen.length === 4));
    yield* waiting;
    yield* Fiber.interrupt(fiber);
    assertEquals(seen, [false, 2, true, 2, "interrupted", 2]);
  }),
);

here(
  "a waiter that is interrupted while it takes the lock again passes its notification on",
  Effect.gen(function* () {
    const lock = yield* Lock.make();
    const condition = yield* Condition.make({ lock });
    const first = yield* Effect.fork(condition.withLock(condition.wait));
    yield* until(Effect.map(condition.statistics, ({ waiting }) => waiting === 1));
    const second = yield* Effect.fork(condition.withLock(condition.wait));
    yield* until(Effect.map(condition.statistics, ({ waiting }) => waiting === 2));
    yield* lock.take;
    assertEquals(yield* condition.notify(), 1);
    yield* until(Effect.map(lock.statistics, ({ waiting }) => waiting === 1));
    const interrupting = yield* Effect.fork(Fiber.interrupt(first));
    yield* until(Effect.sync(() => first.unsafePoll() !== null || interrupting.unsafePoll() === null));
    yield* lock.release;
    assert(Exit.isInterrupted(yield* Fiber.join(interrupting)));
    yield* Fiber.join(second);
  }),
);

here(
  "a notification whose waiter a race discards goes to another one",
  Effect.gen(function* () {
    const condition = yield* Condition.make();
    // The race is decided in the turn in which the waiter has taken the lock again.
    const discarded = yield* Effect.fork(condition.withLock(
      Effect.gen(function* () {
        const gate = yield* Deferred.make<void>();
        const wait = Effect.ensuring(condition.wait, Deferred.succeed(gate, undefined));
        return yield* Effect.race(Deferred.await(gate), wait);
      }),
    ));
    yield* until(Effect.map(condition.statistics, ({ waiting }) => waiting === 1));
    yield* condition.withLock(condition.notify());
    yield* Fiber.join(discarded);
    assertEquals(yield* condition.statistics, { waiting: 0, waitingHere: 0 });
    assertEquals(yield* condition.lock.isLocked, false);
  }),
);

here(
  "a waiter that is interrupted after its notification passes it on",
  Effect.gen(function* () {
    const condition = yield* Condition.make();
    for (const ticks of numbers(8)) {
      let heard = 0;
      const waits = condition.withLock(Effect.map(condition.wait, () => void heard++));
      const first = yield* Effect.fork(waits);
      yield* until(Effect.map(condition.statistics, ({ waiting }) => waiting === 1));
      const second = yield* Effect.fork(waits);
      yield* until(Effect.map(condition.statistics, ({ waiting }) => waiting === 2));
      yield* condition.withLock(condition.notify());
      for (let i = 0; i < ticks; i++) yield* Effect.yieldNow();
      yield* Fiber.interrupt(first);
      yield* until(Effect.sync(() => heard === 1));
      if (yield* Effect.map(condition.statistics, ({ waiting }) => waiting === 1)) {
        yield* condition.withLock(condition.notify());
      }
      yield* Fiber.join(second);
    }
  }),
);

here(
  "waitFor looks at once, and after each notification",
  Effect.gen(function* () {
    const condition = yield* Condition.make();
    let value = 1;
    yield* condition.withLock(condition.waitFor(() => value === 1));
    let looks = 0;
    const fiber = yield* Effect.fork(condition.withLock(condition.waitFor(Effect.sync(() => {
      looks++;
      return value === 3;
    }))));
    for (const next of [2, 3]) {
      yield* until(Effect.map(condition.statistics, ({ waiting }) => waiting === 1));
      value = next;
      yield* condition.withLock(condition.notifyAll);
    }
    yield* Fiber.join(fiber);
    assertEquals(looks, 3);
  }),
);

here(
  "an event wakes all its waiters, also when it is cleared at once",
  Effect.gen(function* () {
    const event = yield* Event.make();
    assertEquals([yield* event.isSet, yield* Effect.isSuccess(Effect.timeout(event.wait, "1 millis"))], [false, false]);
    const fibers = yield* Effect.replicateEffect(Effect.fork(event.wait), 100);
    yield* until(Effect.map(event.statistics, ({ waiting }) => waiting === 100));
    yield* event.set;
    yield* event.clear;
    for (const fiber of fibers) yield* Fiber.join(fiber);
    assertEquals(yield* event.statistics, { isSet: false, waiting: 0, waitingProcesses: 0 });
    const ready = yield* Effect.fork(wait([event]));
    yield* event.set;
    yield* event.set;
    assertEquals(yield* Fiber.join(ready), [event]);
    yield* event.wait;
    yield* event.clear;
    yield* event.clear;
    assertEquals(yield* event.isSet, false);
  }),
);

here(
  "10 000 fibers wait for one event (full)",
  Effect.gen(function* () {
    const event = yield* Event.make();
    const fibers = yield* Effect.replicateEffect(Effect.fork(event.wait), 10_000);
    yield* until(Effect.map(event.statistics, ({ waiting }) => waiting === 10_000));
    yield* event.set;
    yield* Fiber.joinAll(fibers);
  }),
);

here(
  "a barrier lets so many go on together, in rounds, each with a place of its own",
  Effect.gen(function* () {
    assertEquals(yield* failure(Effect.scoped(Barrier.make({ parties: 0 }))), "SyncError InvalidArgument");
    const barrier = yield* Barrier.make({ parties: 3 });
    let actions = 0;
    const party = Effect.replicateEffect(barrier.waitWith(Effect.sync(() => void actions++)), 20);
    const rounds = yield* Effect.all([party, party, party], { concurrency: "unbounded" });
    for (const round of numbers(20)) assertEquals(rounds.map((places) => places[round]).toSorted(), [0, 1, 2]);
    assertEquals(actions, 20);
    const alone = yield* Barrier.make({ parties: 1 });
    assertEquals([yield* alone.wait, yield* alone.wait], [0, 0]);
  }),
);

here(
  "a barrier that is aborted, left, or has a bad action is broken until it is reset",
  Effect.gen(function* () {
    const barrier = yield* Barrier.make({ parties: 2 });
    const come = Effect.gen(function* () {
      const fiber = yield* Effect.fork(failure(barrier.wait));
      yield* until(Effect.map(barrier.waiting, (n) => n === 1));
      return fiber;
    });
    for (
      const [reason, breaks] of [
        ["Aborted", barrier.abort],
        ["Interrupted", Effect.ignore(Effect.timeout(barrier.wait, 0))],
        ["Reset", barrier.reset],
        [
          "ActionFailed",
          Effect.map(failure(barrier.waitWith(Effect.fail("bad"))), (error) => assertEquals(error, "bad")),
        ],
      ] as const
    ) {
      if (reason === "Interrupted") {
        const leaving = yield* Effect.fork(barrier.wait);
        yield* until(Effect.map(barrier.waiting, (n) => n === 1));
        yield* Fiber.interrupt(leaving);
      } else {
        const waiting = yield* come;
        yield* breaks;
        assertEquals(yield* Fiber.join(waiting), `BrokenBarrier ${reason}`);
      }
      if (reason !== "Reset") {
        assertEquals(yield* barrier.broken, Option.some(reason));
        assertEquals(yield* failure(barrier.wait), `BrokenBarrier ${reason}`);
        yield* barrier.abort;
        assertEquals(yield* barrier.broken, Option.some(reason));
        yield* barrier.reset;
      }
      assertEquals(yield* barrier.statistics, { parties: 2, waiting: 0, waitingHere: 0, broken: Option.none() });
      assertEquals((yield* Effect.all([barrier.wait, barrier.wait], { concurrency: 2 })).toSorted(), [0, 1]);
    }
  }),
);

here(
  "a party that comes to a barrier while its action runs waits for the next round",
  Effect.gen(function* () {
    const barrier = yield* Barrier.make({ parties: 2 });
    const gate = yield* Deferred.make<void>();
    const first = yield* Effect.fork(barrier.wait);
    yield* until(Effect.map(barrier.waiting, (n) => n === 1));
    const second = yield* Effect.fork(barrier.waitWith(Deferred.await(gate)));
    yield* until(Effect.map(barrier.waiting, (n) => n === 2));
    const late = yield* Effect.fork(barrier.wait);
    yield* until(Effect.map(barrier.statistics, ({ waitingHere }) => waitingHere === 2));
    yield* Deferred.succeed(gate, undefined);
    assertEquals([yield* Fiber.join(first), yield* Fiber.join(second)], [0, 1]);
    yield* until(Effect.map(barrier.waiting, (n) => n === 1));
    assertEquals([yield* barrier.wait, yield* Fiber.join(late)], [1, 0]);
  }),
);

here(
  "many read at once, one writes alone, and neither starves the other",
  Effect.gen(function* () {
    const lock = yield* ReadWriteLock.make();
    yield* lock.read.take;
    assertEquals([yield* lock.read.tryTake, yield* lock.write.tryTake], [true, false]);
    const order: Array<string> = [];
    const writer = yield* Effect.fork(lock.write.withLock(Effect.sync(() => order.push("write"))));
    yield* until(Effect.map(lock.statistics, ({ waiting }) => waiting === 1));
    assertEquals(yield* lock.read.tryTake, false);
    const reader = yield* Effect.fork(lock.read.withLock(Effect.sync(() => order.push("read"))));
    const second = yield* Effect.fork(lock.write.withLock(Effect.sync(() => order.push("write"))));
    yield* until(Effect.map(lock.statistics, ({ waiting }) => waiting === 3));
    yield* lock.read.release;
    yield* lock.read.release;
    for (const fiber of [writer, reader, second]) yield* Fiber.join(fiber);
    assertEquals(order, ["write", "read", "write"]);
    assertEquals(yield* failure(lock.read.release), "SyncError NotOwner");
    assertEquals(yield* failure(lock.write.release), "SyncError NotOwner");
    const { abandoned, readers, waiting } = yield* lock.statistics;
    assertEquals([abandoned, readers, waiting], [false, 0, 0]);
  }),
);

const every = (options: Lock.CarrierOptions = {}) =>
  Effect.gen(function* () {
    const lock = yield* Lock.make(options);
    const rlock = yield* RLock.make(options);
    const semaphore = yield* Semaphore.make({ permits: 0, ...options });
    const condition = yield* Condition.make({ lock, ...options });
    const event = yield* Event.make(options);
    const barrier = yield* Barrier.make({ parties: 2, ...options });
    const readers = yield* ReadWriteLock.make(options);
    return { lock, rlock, semaphore, condition, event, barrier, readers };
  });

here(
  "when the scope closes every user is told, and every waiter",
  Effect.gen(function* () {
    const scope = yield* Scope.make();
    const { barrier, condition, event, lock, readers, rlock, semaphore } = yield* Scope.extend(every(), scope);
    yield* readers.write.take;
    // A separate program, so that this one does not re-enter.
    yield* Effect.promise(() => Effect.runPromise(rlock.take));
    const waits: ReadonlyArray<Effect.Effect<unknown, unknown>> = [
      condition.withLock(condition.wait),
      semaphore.take(),
      event.wait,
      barrier.wait,
      readers.read.take,
      readers.write.take,
      rlock.take,
    ];
    const fibers = yield* Effect.forEach(waits, (waiting) => Effect.fork(failure(waiting)));
    yield* until(Effect.map(condition.statistics, ({ waiting }) => waiting === 1));
    yield* lock.take;
    const last = yield* Effect.fork(failure(lock.take));
    yield* until(Effect.map(lock.statistics, ({ waiting }) => waiting === 1));
    yield* Scope.close(scope, Exit.void);
    for (const fiber of [...fibers, last]) assertEquals(yield* Fiber.join(fiber), "Unreachable");
    for (
      const use of [
        ...waits,
        lock.release,
        lock.statistics,
        event.set,
        barrier.reset,
        readers.write.release,
        rlock.release,
      ]
    ) {
      assertEquals(yield* failure(use), "Unreachable");
    }
  }),
);

// In two processes

/** Where the objects of a suite are made. */
interface Place {
  readonly name: string;
  readonly make: Effect.Effect<Constructors, unknown, Backend.Backend | Scope.Scope>;
  /** The carrier, if this process makes the objects. */
  readonly carrier?: Lock.Carrier;
}

type Make<A, Args extends ReadonlyArray<unknown> = []> = (...args: Args) => Effect.Effect<A, unknown, Scope.Scope>;

/** The constructors that a suite uses. */
interface Constructors {
  readonly lock: Make<Lock.Lock>;
  readonly barrier: Make<Barrier.Barrier, [parties: number]>;
  readonly bounded: Make<Semaphore.Semaphore, [permits: number]>;
  readonly every: Make<Effect.Effect.Success<ReturnType<typeof every>>>;
}

const atHome = (carrier: Lock.Carrier): Place => ({
  name: `by ${carrier}`,
  carrier,
  make: Effect.succeed({
    lock: () => Lock.make({ carrier }),
    barrier: (parties) => Barrier.make({ parties, carrier }),
    bounded: (permits) => Semaphore.bounded({ permits, carrier }),
    every: () => every({ carrier }),
  }),
});

const atManager: Place = {
  name: "at a manager",
  make: Effect.map(Manager.make(), (manager): Constructors => ({
    lock: () => manager.lock,
    barrier: manager.barrier,
    bounded: manager.boundedSemaphore,
    every: () =>
      Effect.gen(function* () {
        const lock = yield* manager.lock;
        return {
          lock,
          rlock: yield* manager.rlock,
          semaphore: yield* manager.semaphore(0),
          condition: yield* manager.condition(lock),
          event: yield* manager.event,
          barrier: yield* manager.barrier(2),
          // Managers have no such locks.
          readers: yield* ReadWriteLock.make({ carrier: "messages" }),
        };
      }),
  })),
};

const suite = (name: string, layer: Layer.Layer<Backend.Backend>, { carrier, make, name: place }: Place): void => {
  const check = (title: string, program: Program<Backend.Backend>): void =>
    test(`sync with a ${name}, ${place}: ${title}`, Effect.provide(program, layer));

  check(
    "a lock is held by one process at a time, which alone can release it, and the next one has it then",
    Effect.gen(function* () {
      const lock = yield* (yield* make).lock();
      const other = yield* agent;
      assertEquals(yield* other.does(lock, "take"), { abandoned: false });
      assertEquals([yield* lock.tryTake, yield* lock.isMine, yield* other.does(lock, "isMine")], [false, false, true]);
      assertEquals(yield* failure(lock.release), "SyncError NotOwner");
      const owner = Option.getOrThrow(yield* lock.owner);
      assertEquals(owner, { pid: other.child.pid, here: false });
      const waiting = yield* Effect.fork(lock.take);
      yield* until(Effect.map(lock.statistics, ({ waiting }) => waiting === 1));
      yield* other.does(lock, "release");
      assertEquals(yield* Fiber.join(waiting), { abandoned: false });
      const theirs = yield* other.begins(lock, "take");
      yield* until(Effect.map(lock.statistics, ({ waitingProcesses }) => waitingProcesses === 1));
      yield* theirs.interrupt;
      assertEquals(yield* theirs.outcome, { _tag: "Interrupt" });
      yield* until(Effect.map(lock.statistics, ({ waitingProcesses }) => waitingProcesses === 0));
      const again = yield* other.begins(lock, "take");
      yield* until(Effect.map(lock.statistics, ({ waitingProcesses }) => waitingProcesses === 1));
      yield* lock.release;
      assertEquals((yield* again.outcome)._tag, "Success");
      // The lock belongs to the process, whichever of its fibers has taken it.
      yield* other.does(lock, "release");
      assertEquals(yield* lock.isLocked, false);
    }),
  );

  check(
    "an RLock, a semaphore, a condition, an event, a barrier, a lock for readers: each process sees what the other does",
    Effect.gen(function* () {
      const { barrier, condition, event, lock, readers, rlock, semaphore } = yield* (yield* make).every();
      const other = yield* agent;
      yield* other.does(rlock, "take");
      yield* other.does(rlock, "take");
      assertEquals([yield* rlock.tryTake, yield* failure(rlock.release)], [false, "SyncError NotOwner"]);
      const waiting = yield* Effect.fork(rlock.take);
      yield* other.does(rlock, "release");
      assertEquals(yield* other.does(rlock, "depth"), 1);
      yield* other.does(rlock, "release");
      yield* Fiber.join(waiting);

      const theirs = yield* other.begins(semaphore, "take", 2);
      yield* until(Effect.map(semaphore.statistics, ({ waitingProcesses }) => waitingProcesses === 1));
      yield* semaphore.release(2);
      assertEquals((yield* theirs.outcome)._tag, "Success");
      assertEquals([yield* semaphore.available, yield* other.does(semaphore, "available")], [0, 0]);

      yield* other.does(lock, "take");
      const sleeps = yield* other.begins(condition, "wait");
      yield* condition.withLock(condition.waitFor(Effect.map(condition.statistics, ({ waiting }) => waiting === 1)));
      assertEquals(yield* condition.withLock(condition.notifyAll), 1);
      assertEquals((yield* sleeps.outcome)._tag, "Success");
      assertEquals(yield* other.does(lock, "isMine"), true);
      yield* other.does(lock, "release");

      const rings = yield* other.begins(event, "wait");
      yield* until(Effect.map(event.statistics, ({ waitingProcesses }) => waitingProcesses === 1));
      yield* event.set;
      yield* event.clear;
      assertEquals((yield* rings.outcome)._tag, "Success");

      const meets = yield* other.begins(barrier, "wait");
      yield* until(Effect.map(barrier.waiting, (n) => n === 1));
      assertEquals([yield* barrier.wait, yield* meets.outcome], [1, { _tag: "Success", value: 0 }]);

      yield* other.does(readers, "write.take");
      const reads = yield* Effect.fork(readers.read.take);
      yield* until(Effect.map(readers.statistics, ({ waiting }) => waiting === 1));
      yield* other.does(readers, "write.release");
      assertEquals(yield* Fiber.join(reads), { abandoned: false });
    }),
  );

  check(
    "a process that was killed holds nothing, and the next one is told",
    Effect.gen(function* () {
      const made = yield* make;
      const { barrier, condition, event, lock, readers, rlock, semaphore } = yield* made.every();
      const bounded = yield* made.bounded(2);
      // A semaphore of a manager reclaims permits.
      const signal = yield* Semaphore.make({ permits: 1, reclaim: false, carrier: carrier ?? "messages" });
      const other = yield* agent;
      yield* other.does(lock, "take");
      yield* other.begins(condition, "wait");
      yield* other.begins(event, "wait");
      yield* other.begins(semaphore, "take");
      yield* other.begins(barrier, "wait");
      yield* other.does(rlock, "take");
      yield* other.does(readers, "write.take");
      yield* other.does(bounded, "take", 2);
      yield* other.does(signal, "take");
      yield* until(Effect.map(
        Effect.all([event.statistics, semaphore.statistics, barrier.statistics, condition.statistics]),
        ([event, semaphore, barrier, condition]) =>
          event.waitingProcesses + semaphore.waitingProcesses + barrier.waiting + condition.waiting === 4,
      ));
      yield* other.does(lock, "take");
      const [a, b, c, d, e] = [
        yield* Effect.fork(lock.take),
        yield* Effect.fork(rlock.take),
        yield* Effect.fork(readers.read.take),
        yield* Effect.fork(bounded.take()),
        yield* Effect.fork(failure(barrier.wait)),
      ];
      // This party completes the round, so only an earlier death breaks the barrier.
      yield* Fiber.await(e);
      yield* other.child.kill;
      assertEquals(yield* Fiber.join(a), { abandoned: true });
      assertEquals(yield* Fiber.join(b), { abandoned: true });
      assertEquals(yield* Fiber.join(c), { abandoned: true });
      yield* Fiber.join(d);
      assertEquals(yield* bounded.tryTake(), true);
      assertEquals(yield* signal.tryTake(), false);
      yield* lock.release;
      assertEquals(yield* lock.take, { abandoned: false });
      yield* condition.notifyAll;
      yield* event.set;
      yield* semaphore.release();
      assertEquals(yield* semaphore.tryTake(), true);
      assertEquals((yield* semaphore.statistics).waitingProcesses, 0);
    }),
  );

  check(
    "a party that is killed at a barrier breaks it for waiting parties and for later ones",
    Effect.gen(function* () {
      const made = yield* make;
      const barrier = yield* made.barrier(3);
      const late = yield* made.barrier(2);
      const other = yield* agent;
      yield* other.begins(barrier, "wait");
      yield* other.begins(late, "wait");
      const waiting = yield* Effect.fork(failure(barrier.wait));
      yield* until(Effect.map(Effect.all([barrier.waiting, late.waiting]), ([a, b]) => a === 2 && b === 1));
      yield* other.child.kill;
      assertEquals(yield* Fiber.join(waiting), "BrokenBarrier PartyDied");
      assertEquals(yield* failure(late.wait), "BrokenBarrier PartyDied");
      yield* late.reset;
      assertEquals((yield* Effect.all([late.wait, late.wait], { concurrency: 2 })).toSorted(), [0, 1]);
    }),
  );

  if (carrier === undefined) return;
  check(
    "what a child has made can be used by its parent and its siblings, for as long as its scope is open",
    Effect.gen(function* () {
      const made = yield* Queue.make<unknown>();
      const end = yield* Event.make();
      const maker = yield* Process.spawnWith(Tasks.maker, [made, end, carrier], { name: "maker" });
      const other = yield* agent;
      const objects = (yield* made.get) as [
        Lock.Lock,
        RLock.RLock,
        Semaphore.Semaphore,
        Condition.Condition,
        Event.Event,
        Barrier.Barrier,
        ReadWriteLock.ReadWriteLock,
      ];
      const [lock, , semaphore, condition, event] = objects;
      assertEquals(objects.map(({ host }) => host), objects.map(() => "maker"));
      yield* lock.take;
      assertEquals(yield* other.does(lock, "tryTake"), false);
      assertEquals(yield* condition.lock.isMine, true);
      const waiting = yield* other.begins(event, "wait");
      yield* until(Effect.map(event.statistics, ({ waitingProcesses }) => waitingProcesses === 1));
      yield* end.set;
      yield* maker.join;
      assertEquals(yield* waiting.outcome, { _tag: "Failure", error: "Unreachable" });
      assertEquals(yield* failure(lock.release), "Unreachable");
      assertEquals(yield* failure(semaphore.take()), "Unreachable");
      const error = yield* Effect.flip(event.wait);
      assertInstanceOf(error, Event.Unreachable);
      assertStringIncludes(error.message, "event");
      assertStringIncludes(error.message, "maker");
    }),
  );

  check(
    "no update is lost: four processes count in one file (full)",
    Effect.gen(function* () {
      const lock = yield* (yield* make).lock();
      const path = yield* temporary;
      Deno.writeTextFileSync(path, "0");
      const children = yield* Effect.replicateEffect(Process.spawn(Tasks.counts, lock, path, 250), 3);
      yield* Effect.repeatN(
        lock.withLock(Effect.sync(() => Deno.writeTextFileSync(path, `${Number(Deno.readTextFileSync(path)) + 1}`))),
        249,
      );
      for (const child of children) yield* child.join;
      assertEquals(Deno.readTextFileSync(path), "1000");
    }),
  );

  check(
    "three processes meet a hundred times (full)",
    Effect.gen(function* () {
      const barrier = yield* Barrier.make({ parties: 3, carrier });
      const children = yield* Effect.replicateEffect(Process.spawn(Tasks.meets, barrier, 100), 2);
      const places = [yield* Effect.replicateEffect(barrier.wait, 100)];
      for (const child of children) places.push(yield* child.join);
      for (const round of numbers(100)) assertEquals(places.map((own) => own[round]).toSorted(), [0, 1, 2]);
    }),
  );
};

const subprocess = SubprocessBackend.layer();
const worker = WorkerBackend.layer();

const warm = Effect.flatMap(Lock.make(), (lock) => Effect.flatMap(agent, ({ does }) => does(lock, "tryTake")));
await warmUp(Effect.provide(warm, subprocess));
if (repeating) await warmUp(Effect.provide(warm, worker));

suite("subprocess", subprocess, atHome("memory"));
// By messages, every operation is a call to the process of the object.
repeated(() => suite("subprocess", subprocess, atHome("messages")), [
  "a lock is held by one process at a time",
  "each process sees what the other does",
  "holds nothing, and the next",
]);
repeated(() => {
  suite("worker", worker, atHome("memory"));
  suite("worker", worker, atHome("messages"));
  suite("subprocess", subprocess, atManager);
  suite("worker", worker, atManager);
});

test(
  "sync: a subprocess and a worker use one lock (full)",
  Effect.gen(function* () {
    const lock = yield* Lock.make();
    const [one, two] = [yield* Effect.provide(agent, subprocess), yield* Effect.provide(agent, worker)];
    yield* one.does(lock, "take");
    const waiting = yield* two.begins(lock, "take");
    yield* until(Effect.map(lock.statistics, ({ waitingProcesses }) => waitingProcesses === 1));
    yield* one.does(lock, "release");
    assertEquals((yield* waiting.outcome)._tag, "Success");
    assertEquals([yield* one.does(lock, "tryTake"), yield* lock.tryTake], [false, false]);
    yield* two.does(lock, "release");
  }),
);

const incremented = (processes: number, times: number): Program<Backend.Backend> =>
  Effect.gen(function* () {
    const lock = yield* Lock.make();
    const value = yield* Value.make("i32", 0);
    const children = yield* Effect.replicateEffect(Process.spawn(Tasks.increments, lock, value, times), processes);
    for (const child of children) yield* child.join;
    assertEquals(yield* value.get, processes * times);
    const { owner, waitingProcesses } = yield* lock.statistics;
    assertEquals([Option.isNone(owner), waitingProcesses], [true, 0]);
  });

test(
  "sync: many subprocesses use one lock, and no update is lost (full) (storm)",
  Effect.provide(incremented(rounds(12, 50), 20), subprocess),
);
test(
  "sync: a counter that four subprocesses fight for loses nothing",
  Effect.provide(incremented(4, 400), subprocess),
);
test(
  "sync: a counter that four workers fight for loses nothing (full)",
  Effect.provide(incremented(4, 2500), worker),
);

test(
  "sync: a subprocess without --allow-ffi uses objects by messages, and is told which flag it needs if their maker insists on memory",
  Effect.gen(function* () {
    const lock = yield* Lock.make();
    const other = yield* agent;
    assertEquals([lock.carrier, yield* other.does(lock, "tryTake")], ["memory", true]);
    assertEquals([yield* lock.tryTake, Option.map(yield* lock.owner, ({ pid }) => pid)], [
      false,
      Option.some(other.child.pid),
    ]);
    const waiting = yield* Effect.fork(lock.take);
    yield* until(Effect.map(lock.statistics, ({ waiting }) => waiting === 1));
    yield* other.child.kill;
    assertEquals(yield* Fiber.join(waiting), { abandoned: true });
    const error = yield* Effect.flip(Process.run(Tasks.usesOnce, yield* Lock.make({ carrier: "memory" })));
    assertEquals(Tasks.described(error), "Unsupported");
    assertStringIncludes(error.message, "--allow-ffi");
    assertStringIncludes(error.message, "messages");
  }).pipe(Effect.provide(SubprocessBackend.layer({ permissions: { read: true } }))),
);

test(
  "sync: without --allow-ffi workers share the same objects, and the death of one leaves nothing taken (full)",
  Effect.gen(function* () {
    const found = yield* Process.run(Tasks.aloneWithWorkers, 8);
    assertEquals(found, { count: 900, abandoned: 8, ffi: "denied" });
  }).pipe(Effect.provide(SubprocessBackend.layer({ permissions: { read: true } }))),
);

/** `true` only for `any`. */
type IsAny<A> = 0 extends 1 & A ? true : false;

test(
  "sync: withLock within Effect.all keeps the types of failures and requirements",
  Effect.gen(function* () {
    const lock = yield* Lock.make();
    const rlock = yield* RLock.make();
    const shared = yield* ReadWriteLock.make();
    const all = Effect.all([
      lock.withLock(Effect.succeed(1)),
      rlock.withLock(Effect.succeed("two")),
      shared.read.withLock(Effect.succeed(true)),
      lock.withLock(Effect.succeed(4n), { onAbandoned: Effect.void }),
    ]);
    const failure: IsAny<Effect.Effect.Error<typeof all>> = false;
    const requirement: IsAny<Effect.Effect.Context<typeof all>> = false;
    const found: readonly [number, string, boolean, bigint] = yield* all;
    assertEquals([...found, failure, requirement], [1, "two", true, 4n, false, false]);
  }),
);
