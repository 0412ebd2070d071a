/** The guarantees of managers, on every backend. */
import * as Chunk from "effect/Chunk";
import * as Context from "effect/Context";
import * as Deferred from "effect/Deferred";
import * as Effect from "effect/Effect";
import * as Equal from "effect/Equal";
import * as Exit from "effect/Exit";
import * as Fiber from "effect/Fiber";
import type * as Layer from "effect/Layer";
import * as Option from "effect/Option";
import * as Scope from "effect/Scope";
import * as Stream from "effect/Stream";
import { type Backend, type Lock, Manager, Pool, Process, Queue, SubprocessBackend, WorkerBackend } from "../../mod.ts";
import * as Capabilities from "../../src/internal/child/capabilities.ts";
import { call } from "../../src/internal/rpc/router.ts";
import { assert, assertEquals, assertInstanceOf, assertStringIncludes, assertThrows } from "../support/assert.ts";
import * as Tasks from "./manager_tasks.ts";
import { processEntry, until } from "../support/leaks.ts";
import { random, rounds, seed } from "../support/chance.ts";
import { everywhere, interruptAtStep, interruptAtTurn, interruptAtYield, sample } from "../support/steps.ts";
import { type Step, test, warmUp, when } from "../support/suite.ts";
import { run, withWorkers, type Workers } from "../support/workers.ts";
import { repeated, repeating } from "../support/tier.ts";

/** The state of a lock that is not used. */
const unused = { owner: Option.none(), abandoned: false, waiting: 0, waitingProcesses: 0 };

/** The tag of a failure, and its reason if it has one. */
const failure = <A, R>(program: Effect.Effect<A, unknown, R>): Effect.Effect<string, A, R> =>
  Effect.map(Effect.flip(program), (error) => {
    const { _tag, reason } = error as { readonly _tag?: string; readonly reason?: string };
    return reason === undefined || _tag === "EncodeError" ? `${_tag}` : `${_tag} ${reason}`;
  });

const collect = <A, E, R>(stream: Stream.Stream<A, E, R>): Effect.Effect<ReadonlyArray<A>, E, R> =>
  Effect.map(Stream.runCollect(stream), Chunk.toReadonlyArray);

const numbers = (n: number): Array<number> => Array.from({ length: n }, (_, i) => i);

/** With the default scheduler, a resumed fiber does not yield in its first steps. */
const RESUMED = 40;

const steps = (n: number): Effect.Effect<void> =>
  n === 0 ? Effect.void : Effect.flatMap(Effect.void, () => steps(n - 1));

/** Interrupts an operation at every possible point, and checks its result, or that it had no effect. */
const interruptedAnywhere = <A>(
  operation: Effect.Effect<A, unknown>,
  prepare: Effect.Effect<unknown, unknown>,
  sound: (given: A | undefined, when: string) => Effect.Effect<void, unknown>,
): Effect.Effect<void, unknown> =>
  Effect.gen(function* () {
    let given: A | undefined;
    let interrupted = 0;
    const told = Effect.uninterruptibleMask((restore) =>
      Effect.map(restore(operation), (value) => void (given = value))
    );
    const once = <B>(when: string, interrupt: (operation: Effect.Effect<void, unknown>) => Effect.Effect<B>) =>
      Effect.gen(function* () {
        yield* prepare;
        given = undefined;
        const result = yield* interrupt(told);
        if (given === undefined) interrupted++;
        yield* sound(given, `${when}, seed ${seed}`);
        return result;
      });
    // After these steps the operation may yield at any of its own steps.
    const late = (operation: Effect.Effect<void, unknown>) => Effect.zipRight(steps(RESUMED), operation);
    const [, total] = yield* once("whole", (operation) => interruptAtStep(late(operation), Infinity, "own", RESUMED));
    for (const step of sample(total, 60)) {
      yield* once(`at step ${step}`, (operation) => interruptAtStep(late(operation), step, "own", RESUMED));
    }
    for (const at of numbers(30)) yield* once(`at yield ${at}`, (operation) => interruptAtYield(operation, at));
    for (const turn of numbers(5)) yield* once(`at turn ${turn}`, (operation) => interruptAtTurn(operation, turn));
    assert(interrupted > 0, "it was never interrupted");
  });

/** A manager for tests that do not depend on its other objects and do not end it. */
interface Shared {
  readonly manager: Manager.Started;
}
const Shared = Context.GenericTag<Shared>("tests/Manager");

type Environment = Backend.Backend | Workers | Shared | Scope.Scope;

const suite = (name: string, layer: Layer.Layer<Backend.Backend>, { signals }: Backend.Capabilities): void => {
  const checks: Array<Step<Environment>> = [];
  const check = <E>(title: string, program: Effect.Effect<unknown, E, Environment>): void => {
    checks.push([title, program]);
  };

  // Types

  check(
    "a dict has the operations of a Map and of Python's dict, and its keys are compared by what they say",
    Effect.gen(function* () {
      const { manager } = yield* Shared;
      const dict = yield* manager.dict<unknown, unknown>([["a", 1], ["b", 2]]);
      assertEquals([yield* dict.size, yield* dict.get("a"), yield* dict.get("z"), yield* dict.has("b")], [
        2,
        1,
        undefined,
        true,
      ]);
      yield* dict.set("c", 3);
      yield* dict.set("a", 10);
      assertEquals(yield* dict.keys, ["a", "b", "c"]);
      assertEquals(yield* dict.values, [10, 2, 3]);
      assertEquals(yield* dict.entries, [["a", 10], ["b", 2], ["c", 3]]);
      assertEquals(yield* collect(dict.toStream), yield* dict.entries);
      assertEquals(yield* dict.getMany(["a", "z", "c"]), [10, undefined, 3]);
      assertEquals([yield* dict.getOrElse("z", "none"), yield* dict.getOrElse("a", "none")], ["none", 10]);
      assertEquals([yield* dict.setDefault("a", 0), yield* dict.setDefault("d", 4)], [10, 4]);
      assertEquals([yield* dict.delete("d"), yield* dict.delete("d")], [true, false]);
      assertEquals([yield* dict.pop("b"), yield* dict.pop("b")], [2, undefined]);
      yield* dict.update([["e", 5], ["f", 6]]);
      assertEquals([yield* dict.popItem, yield* dict.size], [["f", 6], 3]);
      assertEquals(yield* dict.compareAndSet("e", 5, { deep: [1] }), true);
      assertEquals(yield* dict.compareAndSet("e", { deep: [2] }, 0), false);
      assertEquals(yield* dict.compareAndSet("e", { deep: [1] }, 6), true);
      assertEquals(yield* dict.toMap, new Map<unknown, unknown>([["a", 10], ["c", 3], ["e", 6]]));
      yield* dict.clear;
      assertEquals([yield* dict.size, yield* dict.popItem], [0, undefined]);
      yield* Stream.run(Stream.fromIterable([["s", 1], ["t", 2]] as const), dict.toSink);
      assertEquals(yield* dict.values, [1, 2]);
      yield* dict.clear;
      const keys = [[1, 2], { x: 1 }, 1n, NaN, null, "\0{", '\0"', new Date(5), true];
      yield* dict.update(keys.map((key, i) => [key, i]));
      assertEquals(yield* dict.size, keys.length);
      assertEquals(yield* dict.getMany([[1, 2], { x: 1 }, 1n, NaN, null, "\0{", '\0"', new Date(5), true]), numbers(9));
      assertEquals(yield* dict.has([2, 1]), false);
      assertEquals(yield* dict.keys, keys);
    }),
  );

  check(
    "what is read is a copy: to change it changes nothing at the server",
    Effect.gen(function* () {
      const { manager } = yield* Shared;
      const dict = yield* manager.dict([["nest", { k: 1 }]]);
      const nest = (yield* dict.get("nest"))!;
      nest.k = 2;
      assertEquals(yield* dict.get("nest"), { k: 1 });
    }),
  );

  check(
    "a list has the operations of an Array and of Python's list",
    Effect.gen(function* () {
      const { manager } = yield* Shared;
      const list = yield* manager.list<unknown>([3, 1]);
      assertEquals([yield* list.push(2, 5), yield* list.extend(new Set([4])), yield* list.length], [4, 5, 5]);
      assertEquals([yield* list.at(0), yield* list.at(-1), yield* list.at(9)], [3, 4, undefined]);
      yield* list.set(-1, 40);
      assertEquals(yield* failure(list.set(9, 0)), "ManagerError InvalidArguments");
      yield* list.insert(1, "x");
      assertEquals(yield* list.toArray, [3, "x", 1, 2, 5, 40]);
      assertEquals([yield* list.pop(), yield* list.pop(1), yield* list.pop(99), yield* list.shift], [
        40,
        "x",
        undefined,
        3,
      ]);
      assertEquals([yield* list.unshift(9, 8), yield* list.splice(1, 2, 7, 7), yield* list.toArray], [5, [8, 1], [
        9,
        7,
        7,
        2,
        5,
      ]]);
      assertEquals([
        yield* list.count(7),
        yield* list.indexOf(7),
        yield* list.lastIndexOf(7),
        yield* list.indexOf(7, -1),
      ], [2, 1, 2, -1]);
      assertEquals([yield* list.remove(7), yield* list.remove("z"), yield* list.includes(7)], [true, false, true]);
      assertEquals([yield* list.slice(1, -1), yield* list.join("-")], [[7, 2], "9-7-2-5"]);
      yield* list.sort();
      assertEquals(yield* list.toArray, [2, 5, 7, 9]);
      yield* list.sort({ descending: true });
      assertEquals(yield* list.toArray, [9, 7, 5, 2]);
      yield* list.reverse;
      assertEquals(yield* collect(list.toStream), [2, 5, 7, 9]);
      assertEquals([yield* list.compareAndSet(0, 2, { a: [1] }), yield* list.compareAndSet(0, 2, 3)], [true, false]);
      assertEquals([yield* list.indexOf({ a: [1] }), yield* list.includes({ a: [2] })], [0, false]);
      yield* list.fill(0, 1, 3);
      assertEquals(yield* list.splice(1), [0, 0, 9]);
      yield* list.clear;
      assertEquals(yield* list.length, 0);
      yield* Stream.run(Stream.make(1, 2), list.toSink);
      assertEquals(yield* list.splice(0), [1, 2]);
      assertEquals(yield* list.extend(numbers(30_000)), 30_000);
      assertEquals(yield* list.slice(29_998), [29_998, 29_999]);
    }),
  );

  check(
    "a namespace, a value and an array of numbers",
    Effect.gen(function* () {
      const { manager } = yield* Shared;
      const space = yield* manager.namespace<{ x: number; name: string; extra?: Array<number> }>({ x: 1, name: "n" });
      yield* space.set("x", 2);
      yield* space.assign({ extra: [1], name: "m" });
      assertEquals(yield* space.toObject, { x: 2, name: "m", extra: [1] });
      assertEquals([yield* space.get("x"), yield* space.has("extra"), yield* space.delete("extra")], [2, true, true]);
      assertEquals([yield* space.keys, yield* space.compareAndSet("x", 2, 3), yield* space.get("x")], [
        ["x", "name"],
        true,
        3,
      ]);
      const odd = yield* manager.namespace({ ["__proto__"]: 1, constructor: 2 });
      assertEquals(Object.keys(yield* odd.toObject), ["__proto__", "constructor"]);

      const value = yield* manager.value(5);
      yield* value.set(6);
      assertEquals([yield* value.getAndSet(7), yield* value.add(3), yield* value.get], [6, 10, 10]);
      assertEquals([yield* value.compareAndSet(10, 11), yield* value.compareAndSet(10, 12)], [true, false]);
      assertEquals(yield* failure(value.add("x" as never)), "ManagerError InvalidArguments");

      const array = yield* manager.array(new Int16Array([1, 2, 3]));
      yield* array.set(0, 9);
      yield* array.setAll([7, 8], 1);
      assertEquals([yield* array.at(-1), yield* array.add(0, 1), yield* array.length], [8, 10, 3]);
      assertEquals(yield* array.toTypedArray, new Int16Array([10, 7, 8]));
      yield* array.set(0, 2 ** 15);
      assertEquals(yield* array.slice(0, 1), new Int16Array([-32768]));
      for (
        const wrong of [array.set(3, 1), array.set(0, 1.5), array.set(0, "1" as never), array.setAll([1, 2, 3, 4])]
      ) {
        assertEquals(yield* failure(wrong), "ManagerError InvalidArguments");
      }
      yield* array.fill(0);
      assertEquals([yield* array.compareAndSet(1, 0, 5), yield* array.at(1)], [true, 5]);
      assertEquals(yield* failure(manager.array([1] as never)), "ManagerError InvalidArguments");
    }),
  );

  check(
    "a task changes a value at the server: nothing that is nested is lost, and nothing changes if it fails",
    Effect.gen(function* () {
      const { manager } = yield* Shared;
      const dict = yield* manager.dict<string, Tasks.Shelf>();
      yield* Effect.forEach(["a", "b", "c"], (box) => dict.modify("shelf", Tasks.pack, box), {
        concurrency: "unbounded",
      });
      assertEquals(yield* dict.get("shelf"), { apples: 3, boxes: ["a", "b", "c"] });
      const error = yield* Effect.flip(dict.modify("shelf", Tasks.spoil));
      assertInstanceOf(error, Manager.RemoteError);
      assertEquals([error.method, (error.cause as Error).name], ["spoil", "RangeError"]);
      assertStringIncludes(`${(error.cause as Error).stack}`, "manager_tasks.ts");
      assertEquals(yield* dict.get("shelf"), { apples: 3, boxes: ["a", "b", "c"] });
      const list = yield* manager.list([1, 2, 3]);
      assertEquals([yield* list.modify(-1, Tasks.increment, 10), yield* list.toArray], [13, [1, 2, 13]]);
      yield* list.modifyAll(Tasks.byDigits);
      assertEquals(yield* list.toArray, [1, 13, 2]);
      const value = yield* manager.value(1);
      assertEquals([yield* value.modify(Tasks.increment, 4), yield* value.get], [5, 5]);
      const array = yield* manager.array(new Float64Array([1, 2]));
      yield* array.modifyAll(Tasks.doubled);
      assertEquals(yield* array.toTypedArray, new Float64Array([2, 4]));
      const space = yield* manager.namespace({ n: 1 });
      assertEquals(yield* space.modify("n", Tasks.increment, 1), 2);
    }),
  );

  check(
    "while a task that takes its time changes an object, others read, and wait to write; interrupted, it changes nothing",
    Effect.gen(function* () {
      const { manager } = yield* Shared;
      const begun = yield* Queue.make<string>();
      const go = yield* Queue.make<number>();
      const value = yield* manager.value(1);
      const changing = yield* Effect.fork(value.modify(Tasks.slowly, begun, go));
      yield* begun.get;
      const setting = yield* Effect.fork(value.getAndSet(100));
      assertEquals(yield* value.get, 1);
      yield* go.put(1);
      assertEquals([yield* Fiber.join(changing), yield* Fiber.join(setting), yield* value.get], [2, 2, 100]);

      const again = yield* Effect.fork(value.modify(Tasks.slowly, begun, go));
      yield* begun.get;
      const waiting = yield* Effect.fork(value.set(5));
      const other = yield* Effect.fork(value.set(6));
      yield* Fiber.interrupt(waiting);
      yield* Fiber.interrupt(again);
      yield* Fiber.join(other);
      assertEquals(yield* value.get, 6);
    }),
  );

  check(
    "watch gives the state, and then each change; a reader that falls behind is given the whole state again",
    Effect.gen(function* () {
      const { manager } = yield* Shared;
      const dict = yield* manager.dict<string, number>([["a", 1]]);
      const list = yield* manager.list<number>([1]);
      const value = yield* manager.value(0);
      const started = yield* Deferred.make<void>();
      const seen = yield* Effect.fork(
        Stream.runCollect(Stream.take(Stream.tap(dict.watch, () => Deferred.succeed(started, undefined)), 5)),
      );
      yield* Deferred.await(started);
      yield* dict.set("b", 2);
      yield* dict.modify("a", Tasks.increment, 1);
      yield* dict.delete("b");
      yield* dict.clear;
      assertEquals(Chunk.toReadonlyArray(yield* Fiber.join(seen)), [
        { _tag: "Snapshot", value: new Map([["a", 1]]) },
        { _tag: "Set", key: "b", value: 2 },
        { _tag: "Set", key: "a", value: 2 },
        { _tag: "Delete", key: "b" },
        { _tag: "Clear" },
      ]);
      const pull = yield* Stream.toPull(Stream.rechunk(list.watch, 1));
      assertEquals(Chunk.toReadonlyArray(yield* pull), [{ _tag: "Snapshot", value: [1] }]);
      yield* list.push(2, 3);
      assertEquals(Chunk.toReadonlyArray(yield* pull), [{ _tag: "Splice", index: 1, deleted: 0, items: [2, 3] }]);
      yield* list.reverse;
      assertEquals(Chunk.toReadonlyArray(yield* pull), [{ _tag: "Snapshot", value: [3, 2, 1] }]);
      const last = yield* Effect.fork(Stream.runLast(Stream.takeUntil(value.watch, (n) => n === 500)));
      yield* Effect.forEach(numbers(501), (n) => value.set(n), { discard: true });
      assertEquals((yield* Fiber.join(last))._tag, "Some");

      // The stream is not read during these changes. The link buffers only a few messages.
      const slow = yield* Stream.toPull(Stream.rechunk(dict.watch, 1));
      yield* slow;
      for (const round of numbers(40)) yield* dict.update(numbers(1000).map((n) => [`${n}`, round]));
      const model = new Map<string, number>();
      let snapshots = 0;
      while (model.size < 1000 || [...model.values()].some((round) => round !== 39)) {
        const [change] = Chunk.toReadonlyArray(yield* slow);
        if (change._tag === "Snapshot") {
          snapshots++;
          model.clear();
          for (const [key, n] of change.value) model.set(key, n);
        } else if (change._tag === "Set") model.set(change.key, change.value);
      }
      assert(snapshots > 0, "nothing was missed");
    }),
  );

  check(
    "shared memory and lists in it are the server's, and are gone with the manager that made them (full)",
    Effect.gen(function* () {
      const manager = yield* Manager.make();
      const kept = yield* Effect.scoped(Effect.gen(function* () {
        const memory = yield* manager.sharedMemory(4096);
        const list = yield* manager.shareableList([1, "two", null]);
        const bytes = memory.bytes;
        bytes[7] = 7;
        assertEquals(yield* run(Tasks.doubles, memory, list), 14);
        assertEquals([bytes[7], yield* list.get(0)], [14, "done"]);
        assertEquals((yield* manager.statistics).objects, 2);
        return memory;
      }));
      assertEquals((yield* manager.statistics).objects, 0);
      // A process that has used the memory may keep it.
      assertEquals(yield* Process.run(Tasks.attaches, kept), "Gone");
      assertEquals(yield* failure(manager.sharedMemory(-1)), "MemoryError InvalidArgument");
    }),
  );

  check(
    "queues of a manager live at its server: in order, last first, smallest first, joinable",
    Effect.gen(function* () {
      const { manager } = yield* Shared;
      const [fifo, lifo, priority] = [
        yield* manager.queue<number>({ capacity: 3 }),
        yield* manager.lifoQueue<number>(),
        yield* manager.priorityQueue<number>(),
      ];
      for (const queue of [fifo, lifo, priority]) yield* queue.putAll([2, 1, 3]);
      assertEquals([yield* fifo.isFull, fifo.host], [true, manager.process.name]);
      assertEquals(yield* fifo.takeUpTo(3), [2, 1, 3]);
      assertEquals(yield* lifo.takeUpTo(3), [3, 1, 2]);
      assertEquals(yield* priority.takeUpTo(3), [1, 2, 3]);
      const joining = yield* Effect.fork(fifo.join);
      yield* fifo.taskDone(3);
      yield* Fiber.join(joining);
      assertEquals(yield* failure(manager.queue({ capacity: -1 })), "QueueError InvalidOption");
    }),
  );

  check(
    "a pool of a manager runs the tasks of every process that has its proxy",
    Effect.gen(function* () {
      const manager = yield* Manager.make();
      yield* Effect.scoped(Effect.gen(function* () {
        const pool = yield* manager.pool({ size: 2 });
        assertEquals(yield* pool.apply(Tasks.square, 3), 9);
        assertEquals(yield* pool.map(Tasks.square, [1, 2, 3]), [1, 4, 9]);
        assertEquals(yield* pool.starmap(Tasks.increment, [[1, 2], [3, 4]]), [3, 7]);
        assertEquals((yield* collect(pool.mapUnordered(Tasks.square, [1, 2, 3]))).toSorted(), [1, 4, 9]);
        assertEquals(yield* collect(pool.stream(Tasks.countTo, 3)), [1, 2, 3]);
        assertEquals((yield* pool.statistics).size, 2);
        yield* pool.close;
        yield* pool.join;
        assertEquals(yield* failure(pool.apply(Tasks.square, 3)), "PoolError Closed");
      }));
      assertEquals((yield* manager.statistics).objects, 0);
    }),
  );

  // Locks

  check(
    "one fiber at a time holds a lock, in whichever process it runs (full)",
    Effect.gen(function* () {
      const { manager } = yield* Shared;
      const lock = yield* manager.lock;
      const value = yield* manager.value(0);
      const children = yield* Effect.forEach(numbers(3), () => Process.spawn(Tasks.addsLocked, lock, value, 20));
      yield* Effect.repeatN(lock.withLock(Effect.flatMap(value.get, (n) => value.set(n + 1))), 19);
      yield* Effect.forEach(children, (child) => child.join);
      assertEquals([yield* value.get, yield* lock.isLocked], [80, false]);
    }),
  );

  check(
    "a lock is acquired, tried and released; only its holder can release it",
    Effect.gen(function* () {
      const { manager } = yield* Shared;
      const lock = yield* manager.lock;
      assertEquals(yield* failure(lock.release), "SyncError NotOwner");
      yield* lock.take;
      assertEquals([yield* lock.tryTake, yield* lock.isLocked], [false, true]);
      const waiting = yield* Effect.fork(lock.take);
      yield* when(lock.statistics, ({ waiting }) => waiting === 1);
      yield* lock.release;
      yield* Fiber.join(waiting);
      yield* lock.release;
      assertEquals([yield* lock.tryTake, yield* lock.release, yield* lock.isLocked], [true, undefined, false]);
      yield* Effect.scoped(Effect.zipRight(lock.acquire, Effect.map(lock.isLocked, (locked) => assert(locked))));
      assertEquals(yield* lock.withLock(Effect.as(lock.isLocked, 5)), 5);
      assertEquals(yield* failure(lock.withLock(Effect.fail({ _tag: "Mine" }))), "Mine");
      assertEquals(yield* lock.statistics, unused);
    }),
  );

  check(
    "a lock, a semaphore or an RLock that is held by a process which is killed goes to the next (full)",
    Effect.gen(function* () {
      const manager = yield* Manager.make();
      const told = yield* Queue.make<string>();
      const semaphore = yield* manager.semaphore(1);
      const permit = { take: semaphore.take(), tryTake: semaphore.tryTake(), statistics: semaphore.statistics };
      for (const lock of [yield* manager.lock, yield* manager.rlock, permit]) {
        const { statistics, take, tryTake }: {
          readonly take: Effect.Effect<unknown, unknown>;
          readonly tryTake: Effect.Effect<boolean, unknown>;
          readonly statistics: Effect.Effect<{ readonly waitingProcesses: number }, unknown>;
        } = lock;
        const held = lock === permit ? semaphore : lock as Lock.Lock;
        const holder = yield* Process.spawnWith(Tasks.holds, [held, told], { daemon: true });
        yield* told.get;
        assertEquals(yield* tryTake, false);
        const waiting = yield* Effect.fork(take);
        yield* when(statistics, ({ waitingProcesses }) => waitingProcesses === 1);
        const another = yield* Process.spawnWith(Tasks.holds, [held, told], { daemon: true });
        yield* when(statistics, ({ waitingProcesses }) => waitingProcesses === 2);
        yield* another.kill;
        yield* when(statistics, ({ waitingProcesses }) => waitingProcesses === 1);
        yield* holder.kill;
        assertEquals(yield* Fiber.join(waiting), lock === permit ? undefined : { abandoned: true });
      }
    }),
  );

  check(
    "an acquire that is interrupted at any step holds nothing",
    Effect.gen(function* () {
      const { manager } = yield* Shared;
      const lock = yield* manager.lock;
      const free = (when: string) =>
        Effect.gen(function* () {
          assertEquals(yield* lock.statistics, unused, when);
        });
      yield* everywhere(lock.withLock(Effect.void), { rounds: 60, turns: 3, resumed: 12 }, free);
      yield* everywhere(Effect.scoped(lock.acquire), { rounds: 60, turns: 3, resumed: 12 }, free);
      yield* Effect.scoped(Effect.gen(function* () {
        yield* lock.acquire;
        for (const turns of numbers(5)) {
          const waiting = yield* Effect.fork(lock.take);
          yield* Effect.repeatN(Effect.yieldNow(), turns * 3);
          yield* Fiber.interrupt(waiting);
        }
        assertEquals(yield* lock.isMine, true);
      }));
      yield* free("after those who waited");
    }),
  );

  check(
    "an RLock is acquired again by the fiber that holds it, and released as often",
    Effect.gen(function* () {
      const { manager } = yield* Shared;
      const lock = yield* manager.rlock;
      const gate = yield* Deferred.make<void>();
      const outside = Effect.zipRight(Deferred.await(gate), Effect.all([lock.tryTake, failure(lock.release)]));
      const other = yield* Effect.fork(outside);
      assertEquals(yield* lock.tryTake, true);
      assertEquals(yield* lock.withLock(lock.tryTake), true);
      yield* Deferred.succeed(gate, undefined);
      assertEquals(yield* Fiber.join(other), [false, "SyncError NotOwner"]);
      yield* lock.release;
      assertEquals(yield* lock.isLocked, true);
      yield* lock.release;
      assertEquals([yield* lock.isLocked, yield* failure(lock.release)], [false, "SyncError NotOwner"]);
    }),
  );

  check(
    "an RLock that is taken under timeout or race is the caller's, and its condition waits under them",
    Effect.gen(function* () {
      const { manager } = yield* Shared;
      const lock = yield* manager.rlock;
      const condition = yield* manager.condition(lock);
      for (
        const take of [
          Effect.timeout(lock.take, "1 hour"),
          Effect.race(lock.take, Effect.never),
          Effect.timeout(lock.tryTake, "1 hour"),
          Effect.timeout(condition.lock.take, "1 hour"),
        ]
      ) {
        yield* take;
        yield* take;
        yield* Effect.timeout(lock.release, "1 hour");
        assertEquals(yield* lock.isLocked, true);
        yield* lock.release;
        assertEquals([yield* lock.isLocked, yield* failure(lock.release)], [false, "SyncError NotOwner"]);
      }
      const nested = lock.withLock(
        Effect.timeout(lock.withLock(Effect.timeout(lock.withLock(Effect.void), "1 hour")), "1 hour"),
      );
      yield* Effect.timeout(nested, "1 hour");
      const waiting = yield* Effect.fork(
        lock.withLock(lock.withLock(Effect.timeout(condition.wait, "1 hour"))),
      );
      yield* when(Effect.map(condition.statistics, ({ waiting }) => waiting), (n) => n === 1);
      yield* lock.withLock(Effect.timeout(condition.notify(), "1 hour"));
      yield* Fiber.join(waiting);
      const late = yield* lock.withLock(Effect.exit(Effect.timeout(condition.wait, "1 millis")));
      assertEquals(late._tag, "Failure");
      assertEquals(yield* lock.statistics, unused);
    }),
  );

  check(
    "concurrent branches of one program exclude each other in an RLock, and inside a hold of it as well",
    Effect.gen(function* () {
      const { manager } = yield* Shared;
      const lock = yield* manager.rlock;
      let inside = 0;
      const order: Array<number> = [];
      const alone = (n: number) =>
        lock.withLock(Effect.gen(function* () {
          assertEquals(inside++, 0);
          yield* lock.withLock(Effect.yieldNow());
          order.push(n);
          inside--;
        }));
      const branches = Effect.forEach(numbers(10), alone, { concurrency: "unbounded", discard: true });
      yield* branches;
      yield* lock.withLock(Effect.timeout(branches, "1 hour"));
      assertEquals(order, [...numbers(10), ...numbers(10)]);
      yield* lock.withLock(Effect.gen(function* () {
        const interrupted = yield* Effect.forEach(numbers(5), alone, { concurrency: "unbounded" }).pipe(Effect.fork);
        yield* Effect.yieldNow();
        yield* Fiber.interrupt(interrupted);
        inside = 0;
        yield* alone(0);
      }));
      yield* when(lock.statistics, ({ owner, waiting }) => Option.isNone(owner) && waiting === 0);
    }),
  );

  check(
    "a semaphore admits as many as it has permits; only a holder releases a bounded one",
    Effect.gen(function* () {
      const { manager } = yield* Shared;
      const semaphore = yield* manager.semaphore(2);
      yield* semaphore.take(2);
      assertEquals([yield* semaphore.available, yield* semaphore.tryTake()], [0, false]);
      yield* semaphore.release(3);
      assertEquals(yield* semaphore.available, 3);
      const bounded = yield* manager.boundedSemaphore(1);
      assertEquals(yield* failure(bounded.release()), "SyncError OverRelease");
      yield* bounded.withPermits(Effect.map(bounded.available, (value) => assertEquals(value, 0)));
      assertEquals(yield* bounded.available, 1);
      for (const wrong of [-1, 1.5]) {
        assertEquals(yield* failure(manager.semaphore(wrong)), "ManagerError InvalidOption");
      }
    }),
  );

  check(
    "a condition wakes up as many as it says, and a waiter that is killed or gives up takes no notification along (full)",
    Effect.gen(function* () {
      const { manager } = yield* Shared;
      const told = yield* Queue.make<string>();
      for (const condition of [yield* manager.condition(), yield* manager.condition(yield* manager.lock)]) {
        assertEquals(yield* failure(condition.wait), "SyncError NotOwner");
        assertEquals(yield* failure(condition.notifyAll), "SyncError NotOwner");
        const wait = condition.withLock(condition.wait);
        const waiters = yield* Effect.forEach(numbers(4), () => Effect.fork(wait));
        yield* when(Effect.map(condition.statistics, ({ waiting }) => waiting), (n) => n === 4);
        yield* condition.withLock(condition.notify(0));
        yield* condition.withLock(condition.notify(2));
        yield* when(Effect.map(condition.statistics, ({ waiting }) => waiting), (n) => n === 2);
        const child = yield* Process.spawnWith(Tasks.waitsFor, [condition, told], { daemon: true });
        yield* when(Effect.map(condition.statistics, ({ waiting }) => waiting), (n) => n === 3);
        yield* Fiber.interrupt(waiters[3]);
        yield* child.kill;
        yield* when(Effect.map(condition.statistics, ({ waiting }) => waiting), (n) => n === 1);
        const late = yield* Effect.fork(wait);
        yield* when(Effect.map(condition.statistics, ({ waiting }) => waiting), (n) => n === 2);
        yield* condition.withLock(condition.notifyAll);
        for (const waiter of [...waiters.slice(0, 3), late]) yield* Fiber.join(waiter);
        assertEquals([yield* condition.statistics, yield* condition.lock.statistics], [
          { waiting: 0, waitingHere: 0 },
          unused,
        ]);
      }
      let ready = false;
      const condition = yield* manager.condition();
      const waiting = yield* Effect.fork(condition.withLock(condition.waitFor(Effect.sync(() => ready))));
      yield* when(Effect.map(condition.statistics, ({ waiting }) => waiting), (n) => n === 1);
      yield* condition.withLock(condition.notifyAll);
      yield* when(Effect.map(condition.statistics, ({ waiting }) => waiting), (n) => n === 1);
      ready = true;
      yield* condition.withLock(condition.notifyAll);
      yield* Fiber.join(waiting);
      const wrong = manager.condition((yield* manager.semaphore()) as unknown as Lock.Lock);
      assertEquals(yield* failure(wrong), "ManagerError InvalidArguments");
    }),
  );

  check(
    "a wait for a condition that is interrupted at any moment holds its lock until that is released, and passes a notification on (full)",
    Effect.gen(function* () {
      const { manager } = yield* Shared;
      const condition = yield* manager.condition();
      for (const turns of numbers(24)) {
        let woken = false;
        const first = yield* Effect.fork(
          condition.withLock(Effect.zipRight(condition.wait, Effect.sync(() => woken = true))),
        );
        yield* when(Effect.map(condition.statistics, ({ waiting }) => waiting), (n) => n === 1);
        const second = yield* Effect.fork(condition.withLock(condition.wait));
        yield* when(Effect.map(condition.statistics, ({ waiting }) => waiting), (n) => n === 2);
        const notifying = yield* Effect.fork(condition.withLock(condition.notify()));
        yield* Effect.repeatN(turns % 2 === 0 ? Effect.yieldNow() : Effect.sleep("0 millis"), turns >> 1);
        yield* Fiber.interrupt(first);
        yield* Fiber.join(notifying);
        // Either the first waiter was woken, though it may have been interrupted while it released the lock, or the second is.
        if (woken) yield* condition.withLock(condition.notify());
        yield* Fiber.join(second);
        assertEquals([yield* condition.statistics, yield* condition.lock.statistics], [
          { waiting: 0, waitingHere: 0 },
          unused,
        ]);
      }
    }),
  );

  check(
    "an event wakes up all that wait, also if it is cleared at once",
    Effect.gen(function* () {
      const { manager } = yield* Shared;
      const event = yield* manager.event;
      const waiting = yield* Effect.forEach(numbers(3), () => Effect.fork(event.wait));
      const gives = yield* Effect.fork(event.wait);
      yield* when(Effect.map(event.statistics, ({ waiting }) => waiting), (n) => n === 4);
      yield* Fiber.interrupt(gives);
      assertEquals([(yield* event.statistics).waiting, yield* event.isSet], [3, false]);
      yield* event.set;
      yield* event.clear;
      yield* Effect.forEach(waiting, Fiber.join);
      yield* event.set;
      yield* event.wait;
      assertEquals(yield* event.isSet, true);
    }),
  );

  check(
    "a barrier lets its parties pass together, round after round, and breaks when one gives up, is killed or its action fails (full)",
    Effect.gen(function* () {
      const { manager } = yield* Shared;
      const barrier = yield* manager.barrier(3);
      for (const _ of numbers(3)) {
        const all = yield* Effect.forEach(numbers(3), () => Effect.fork(barrier.wait));
        assertEquals((yield* Effect.forEach(all, Fiber.join)).toSorted(), [0, 1, 2]);
      }
      const told = yield* Queue.make<string>();
      const ways = { interrupted: "Interrupted", killed: "PartyDied", aborted: "Aborted", reset: "Reset" } as const;
      for (const [how, broken] of Object.entries(ways)) {
        const waiting = yield* Effect.fork(failure(barrier.wait));
        yield* when(barrier.statistics, ({ waiting }) => waiting === 1);
        if (how === "interrupted") {
          const giving = yield* Effect.fork(barrier.wait);
          yield* when(barrier.statistics, ({ waiting }) => waiting === 2);
          yield* Fiber.interrupt(giving);
        } else if (how === "killed") {
          const child = yield* Process.spawnWith(Tasks.arrives, [barrier, told], { daemon: true });
          yield* when(barrier.statistics, ({ waiting }) => waiting === 2);
          yield* child.kill;
        } else if (how === "aborted") yield* barrier.abort;
        else yield* barrier.reset;
        const why = yield* Fiber.join(waiting);
        // If another process is between the killed one and the server, that process interrupts the wait.
        if (how !== "killed" || why !== "BrokenBarrier Interrupted") assertEquals(why, `BrokenBarrier ${broken}`, how);
        if (how !== "reset") assertEquals(yield* failure(barrier.wait), why);
        yield* barrier.reset;
        assertEquals(yield* barrier.statistics, { parties: 3, waiting: 0, waitingHere: 0, broken: Option.none() });
      }
      const count = yield* manager.value(0);
      const one = yield* manager.barrier(1);
      assertEquals([yield* one.wait, yield* one.wait], [0, 0]);
      const acting = yield* manager.barrier(2, Tasks.fails);
      const other = yield* Effect.fork(failure(acting.wait));
      yield* when(acting.statistics, ({ waiting }) => waiting === 1);
      const failures = [yield* failure(acting.wait), yield* Fiber.join(other)];
      assertEquals(failures, ["BrokenBarrier ActionFailed", "BrokenBarrier ActionFailed"]);
      assertEquals(yield* count.get, 0);
      assertEquals(yield* failure(manager.barrier(0)), "ManagerError InvalidOption");
    }),
  );

  // Custom types

  check(
    "methods of a class are Effects of its proxy: plain ones, Promises, Effects, and Streams",
    Effect.gen(function* () {
      const manager = yield* Manager.make();
      const maths = yield* manager.create(Tasks.maths, 0);
      assertEquals([yield* maths.add(4, 3), yield* maths.mul(7, 8), yield* maths.later(2)], [7, 56, 2]);
      assertEquals(yield* maths.checked(1), 1);
      const error = yield* Effect.flip(maths.checked(-2));
      assertEquals([(error as Tasks.Shortage)._tag, (error as Tasks.Shortage).missing], ["Shortage", -2]);
      for (const failing of [maths.divide(1, 0), maths.later(-1)]) {
        const error = yield* Effect.flip(failing);
        assertInstanceOf(error, Manager.RemoteError);
        assertInstanceOf(error.cause, RangeError);
        assertStringIncludes(`${error.cause.stack}`, "manager_tasks.ts");
        assert(!`${error.cause.stack}`.includes("src/internal/manager"), error.cause.stack);
      }
      assertEquals(yield* collect(maths.upTo(3)), [0, 1, 2]);
      assertEquals(yield* collect(maths.slowly(3)), [0, 1, 2]);
      assertEquals(yield* collect(Stream.take(maths.forever(), 5)), numbers(5));
      const unlucky = yield* Effect.flip(collect(maths.slowly(13)));
      assertInstanceOf(unlucky, Manager.RemoteError);
      assertEquals(yield* failure(maths.closure()), "EncodeError");
      assertEquals(yield* failure(maths.add((() => 1) as never, 1)), "EncodeError");
      assertEquals(yield* maths.add(1, 1), 2);
      assertEquals(yield* run(Tasks.sum, maths, 4, 3), 7);
      assertEquals(yield* Manager.getValue(maths), { start: 0 });
      assertEquals((yield* manager.statistics).pending, 1);
    }),
  );

  check(
    "a constructor that fails is a RemoteError, and leaves nothing (full)",
    Effect.gen(function* () {
      const manager = yield* Manager.make();
      const error = yield* Effect.flip(manager.create(Tasks.maths, -1));
      assertInstanceOf(error, Manager.RemoteError);
      assertEquals([error.method, (error.cause as Error).message], ["new Maths", "start must not be negative"]);
      assertEquals((yield* manager.statistics).objects, 0);
    }),
  );

  check(
    "results that are kept at the server come back as proxies, in any process",
    Effect.gen(function* () {
      const manager = yield* Manager.make();
      const maths = yield* manager.create(Tasks.maths, 1);
      yield* Effect.scoped(Effect.gen(function* () {
        const child = yield* maths.child(100);
        assertEquals([yield* child.add(1, 1), yield* child._secret()], [102, "secret"]);
        assert(!("mul" in child));
        assertEquals(yield* run(Tasks.grandchild, maths as unknown as Manager.Proxy), 8);
        assertEquals((yield* manager.statistics).types, { Maths: 1, Child: 1 });
      }));
      assertEquals((yield* manager.statistics).types, { Maths: 1 });
      assertEquals(yield* failure(maths.child(-1)), "RemoteError");
    }),
  );

  check(
    "an object that is made by an Effect has a scope of its own, and is disposed of when it is freed",
    Effect.gen(function* () {
      const { manager } = yield* Shared;
      const told = yield* Queue.make<string>();
      yield* Effect.scoped(Effect.gen(function* () {
        const object = yield* manager.create(Tasks.disposed, told);
        assertEquals(yield* object.ping(), "pong");
      }));
      assertEquals([yield* told.get, yield* told.get], ["dispose", "scope"]);
    }),
  );

  check(
    "a method that is interrupted is interrupted at the server; a slow one holds up nobody else",
    Effect.gen(function* () {
      const { manager } = yield* Shared;
      const told = yield* Queue.make<string>();
      const maths = yield* manager.create(Tasks.maths, 0);
      const hanging = yield* Effect.fork(maths.hangs(told));
      assertEquals(yield* told.get, "begun");
      assertEquals(yield* maths.add(1, 2), 3);
      yield* Fiber.interrupt(hanging);
      assertEquals(yield* told.tryGet, Option.some("interrupted"));
    }),
  );

  check(
    "only what is exposed can be reached, and bad calls are typed errors",
    Effect.gen(function* () {
      const manager = yield* Manager.make({ modules: [Tasks.maths.url] });
      const maths = yield* manager.create(Tasks.maths, 0);
      const ref = maths[Manager.TypeId];
      assert(!("_secret" in maths) && !("start" in maths));
      const { ask } = yield* Effect.promise(() => import("../../src/internal/manager/calls.ts"));
      const hidden = [
        "_secret",
        "start",
        "constructor",
        "__proto__",
        "toString",
        "hasOwnProperty",
        "__defineGetter__",
        "nothing",
        "",
      ];
      for (const method of hidden) assertEquals(yield* failure(ask(ref, method)), "ManagerError NotExposed", method);
      const dict = yield* manager.dict<string, number>();
      for (const method of [...hidden, "#set", "tell"]) {
        assertEquals(yield* failure(ask(dict[Manager.TypeId], method)), "ManagerError NotExposed", method);
      }
      const lock = yield* manager.lock;
      for (const method of ["attach", "close", "addCondition", "release"]) {
        assertEquals(yield* failure(ask(lock[Manager.TypeId], method)), "ManagerError NotExposed", method);
      }
      assertEquals(yield* failure(ask({ ...ref, number: 999 }, "add")), "Unreachable");
      assertEquals(yield* failure(ask(dict[Manager.TypeId], "update", 5)), "ManagerError InvalidArguments");
      const elsewhere = { ...Tasks.increment, url: "file:///nowhere.ts" };
      assertEquals(yield* failure(dict.modify("a", elsewhere, 1)), "ManagerError UnknownTask");
      assertEquals(
        yield* failure(dict.modify("a", { ...Tasks.increment, name: "other" }, 1)),
        "ManagerError UnknownTask",
      );
      assertEquals(yield* failure(dict.modify("a", Tasks.withSchema)), "ManagerError InvalidArguments");
      assertEquals(
        yield* failure(manager.create({ ...Tasks.maths, url: "file:///nowhere.ts" }, 0)),
        "ManagerError UnknownType",
      );
      assertEquals(yield* failure(manager.create({ ...Tasks.maths, name: "Other" }, 0)), "ManagerError UnknownType");
      const { askStream, create } = yield* Effect.promise(() => import("../../src/internal/manager/calls.ts"));
      for (const type of ["constructor", "__proto__", "Other"]) {
        assertEquals(yield* failure(create(manager[Manager.TypeId], "", type)), "ManagerError UnknownType", type);
      }
      assertEquals(yield* failure(collect(askStream(ref, "add", 1, 2))), "ManagerError InvalidResult");
      assertEquals(yield* failure(ask(ref, "forever")), "ManagerError InvalidResult");
    }),
  );

  // Handles and lifetimes

  check(
    "proxies travel through queues, into other objects and themselves, and to grandchildren (full)",
    Effect.gen(function* () {
      const manager = yield* Manager.make();
      const list = yield* manager.list<unknown>([1, 2]);
      const dict = yield* manager.dict<string, unknown>();
      yield* dict.set("list", list);
      yield* list.push(list);
      const found = (yield* dict.get("list")) as Manager.List<unknown>;
      assert(Manager.isProxy(found) && Equal.equals(found, list) && !Equal.equals(found, dict));
      assertEquals(yield* found.length, 3);
      const own = (yield* found.at(-1)) as Manager.List<unknown>;
      yield* own.push("own");
      assertEquals(yield* list.length, 4);
      const queue = yield* Queue.make<Manager.List<unknown>>();
      yield* queue.put(found);
      assertEquals(yield* run(Tasks.lengthOf, yield* queue.get), 4);
      assertEquals(yield* run(Tasks.passesOn, list), 4);
      const caller = yield* manager.create(Tasks.caller);
      assertEquals(yield* caller.size(dict as Manager.Dict<unknown, unknown>), 1);
      assertEquals(`${list}`, `list(${list[Manager.TypeId].host}#1)`);
      assertEquals(yield* Manager.inspect(yield* manager.list([1, 2])), "[ 1, 2 ]");
    }),
  );

  check(
    "many children change one dict and one list (full)",
    Effect.gen(function* () {
      const { manager } = yield* Shared;
      const dict = yield* manager.dict<string, number>();
      const list = yield* manager.list<number>();
      const pool = yield* Pool.make({ size: 2 });
      yield* pool.starmap(Tasks.fillDict, numbers(10).map((n) => [dict, list, n] as const) as never, { chunkSize: 1 });
      assertEquals((yield* list.toArray).toSorted(), numbers(10));
      assertEquals([yield* dict.size, yield* dict.get("sum")], [11, 45]);
    }),
  );

  check(
    "an object is freed when nobody holds it: with the scope that made it, and those that retained it",
    Effect.gen(function* () {
      const manager = yield* Manager.make();
      const scope = yield* Scope.make();
      const dict = yield* Scope.extend(manager.dict([["a", 1]]), scope);
      yield* Effect.scoped(Effect.gen(function* () {
        yield* Manager.retain(dict);
        assertEquals(yield* manager.objects, [{ object: 1, type: "dict", holds: 2 }]);
        yield* Scope.close(scope, Exit.void);
        assertEquals(yield* dict.get("a"), 1);
      }));
      assertEquals(yield* failure(dict.get("a")), "Unreachable");
      assertEquals(yield* failure(Effect.scoped(Manager.retain(dict))), "Unreachable");
      const { holds, objects } = yield* manager.statistics;
      assertEquals([objects, holds], [0, 0]);
    }),
  );

  check(
    "an object in transit is kept by a lease; without one, a late receiver is told that it is gone (full)",
    Effect.gen(function* () {
      const manager = yield* Manager.make();
      const queue = yield* Queue.make<Manager.Dict<string, number>>();
      yield* Effect.scoped(Effect.gen(function* () {
        const [kept, gone] = [yield* manager.dict([["a", 1]]), yield* manager.dict([["a", 1]])];
        yield* Manager.lease(kept, "1 hour");
        yield* queue.putAll([kept, gone]);
      }));
      const [kept, gone] = yield* queue.takeUpTo(2);
      assertEquals([yield* kept.get("a"), yield* failure(gone.get("a"))], [1, "Unreachable"]);
      assertEquals(yield* failure(Manager.lease(gone, "1 hour")), "Unreachable");
      yield* Effect.scoped(Effect.gen(function* () {
        const brief = yield* manager.list();
        yield* Manager.lease(brief, "10 millis");
        yield* Manager.lease(brief, Infinity);
        yield* when(manager.objects, (objects) => objects.some(({ holds, type }) => type === "list" && holds === 2));
      }));
      assertEquals((yield* manager.statistics).types, { dict: 1, list: 1 });
    }),
  );

  check(
    "a process that is killed gives back its share: what it made is freed, what others hold stays",
    Effect.gen(function* () {
      const manager = yield* Manager.make();
      const back = yield* Queue.make<Manager.Dict<string, number>>();
      const end = yield* Queue.make<unknown>();
      const told = yield* Queue.make<string>();
      const maker = yield* Process.spawnWith(Tasks.lends, [manager, back, end], { daemon: true });
      const dict = yield* back.get;
      assertEquals(yield* dict.get("lent"), 1);
      yield* Effect.scoped(Effect.gen(function* () {
        yield* Manager.retain(dict);
        const holder = yield* Process.spawnWith(Tasks.retains, [dict, told], { daemon: true });
        yield* told.get;
        assertEquals((yield* manager.statistics).holds, 3);
        yield* maker.kill;
        yield* holder.kill;
        yield* when(manager.statistics, ({ holds }) => holds === 1);
        assertEquals(yield* dict.get("lent"), 1);
      }));
      assertEquals(yield* failure(dict.get("lent")), "Unreachable");
      const another = yield* Process.spawnWith(Tasks.lends, [manager, back, end], { daemon: true });
      const lent = yield* back.get;
      yield* another.kill;
      yield* when(Effect.exit(lent.size), Exit.isFailure);
      assertEquals((yield* manager.statistics).objects, 0);
    }),
  );

  check(
    "making an object that is interrupted at any step leaves none (full)",
    Effect.gen(function* () {
      const manager = yield* Manager.make();
      const none = (when_: string) =>
        Effect.gen(function* () {
          assertEquals((yield* when(manager.statistics, ({ objects }) => objects === 0)).holds, 0, when_);
        });
      yield* everywhere(Effect.scoped(manager.dict([["a", 1]])), { rounds: 60, turns: 3 }, none);
      const told = yield* Queue.make<string>();
      yield* everywhere(Effect.scoped(manager.create(Tasks.disposed, told)), { rounds: 40, turns: 3 }, none);
    }),
  );

  check(
    "what is taken out is taken, or where it was, at whatever moment an interruption comes",
    Effect.gen(function* () {
      const { manager } = yield* Shared;
      const list = yield* manager.list<number>();
      yield* interruptedAnywhere(
        list.shift,
        Effect.zipRight(list.clear, list.push(1, 2)),
        (given, when) =>
          Effect.gen(function* () {
            assertEquals(yield* list.toArray, given === undefined ? [1, 2] : [2], when);
          }),
      );
      const dict = yield* manager.dict<string, number>();
      yield* interruptedAnywhere(dict.pop("a"), dict.set("a", 1), (given, when) =>
        Effect.gen(function* () {
          assertEquals([given, yield* dict.get("a")].toSorted(), [1, undefined], when);
        }));
    }),
  );

  check(
    "what a process takes out that dies before it has it goes back (full)",
    Effect.gen(function* () {
      const { manager } = yield* Shared;
      for (const millis of [0, 1, 5]) {
        const list = yield* manager.list(numbers(50));
        const told = yield* Queue.make<number>();
        const child = yield* Process.spawnWith(Tasks.pops, [list, told], { daemon: true });
        const gone = [yield* told.get];
        // The kill comes at several moments of its work.
        yield* Effect.sleep(millis);
        yield* child.kill;
        // The process has reported every item that it took, except possibly the last.
        yield* when(
          Effect.gen(function* () {
            while ((yield* told.size) > 0) gone.push(yield* told.get);
            return [...yield* list.toArray, ...gone];
          }),
          (all) => {
            assertEquals(new Set(all).size, all.length);
            return all.length >= 49;
          },
        );
      }
    }),
  );

  // Ends

  check(
    "when the server is killed, every call fails at once, also those that wait, and the scope closes",
    Effect.gen(function* () {
      const manager = yield* Manager.make();
      const told = yield* Queue.make<string>();
      const [dict, lock, event, barrier, condition] = [
        yield* manager.dict(),
        yield* manager.lock,
        yield* manager.event,
        yield* manager.barrier(2),
        yield* manager.condition(),
      ];
      const maths = yield* manager.create(Tasks.maths, 0);
      const child = yield* Process.spawn(Tasks.told, event, told);
      const watching = yield* Effect.fork(failure(Stream.runDrain(dict.watch)));
      yield* lock.take;
      const waiting = yield* Effect.forEach(
        [event.wait, barrier.wait, lock.take, condition.withLock(condition.wait), maths.hangs(told)],
        (call) => Effect.fork(failure<unknown, never>(call)),
      );
      assertEquals([yield* told.get, yield* told.get].toSorted(), ["begun", "waits"]);
      yield* when(event.statistics, ({ waitingProcesses }) => waitingProcesses === 2);
      yield* when(Effect.map(condition.statistics, ({ waiting }) => waiting), (n) => n === 1);
      yield* when(lock.statistics, ({ waiting }) => waiting === 1);
      yield* manager.process.kill;
      assertEquals(yield* Effect.forEach(waiting, Fiber.join), numbers(5).map(() => "Unreachable"));
      assertEquals([yield* Fiber.join(watching), yield* child.join], ["Unreachable", "Unreachable"]);
      for (
        const call of [dict.size, manager.list(), lock.release, lock.take, Manager.retain(dict), maths.add(1, 2)]
      ) {
        assertEquals(yield* failure(Effect.scoped(call as typeof dict.size)), "Unreachable");
      }
    }),
  );

  check(
    "shutdown ends the server, its process says how, and can be done twice",
    Effect.gen(function* () {
      const manager = yield* Manager.make({ name: "Objects" });
      const list = yield* manager.list();
      assertEquals([manager.process.name, yield* manager.process.isAlive], ["Objects", true]);
      yield* manager.shutdown;
      yield* manager.shutdown;
      assertEquals([yield* manager.process.isAlive, yield* failure(list.length)], [false, "Unreachable"]);
    }),
  );

  check(
    "an initializer runs before the server serves; one that fails, and a process that ends, fail the acquisition (full)",
    Effect.gen(function* () {
      const told = yield* Queue.make<string>();
      yield* Manager.make({ initializer: Pool.initializer(Tasks.tells, told) });
      assertEquals(yield* told.tryGet, Option.some("told"));
      const reasons = {
        fails: "RangeError: it fails",
        rejects: "RangeError: it rejects",
        failsTyped: "Shortage",
        dies: "RangeError: it dies",
        throwsFunction: "Error: [Function",
      } as const;
      for (const [task, reason] of Object.entries(reasons)) {
        const initializer = Pool.initializer(Tasks[task as keyof typeof reasons] as typeof Tasks.fails);
        const exit = yield* Effect.exit(Manager.make({ name: "Objects", initializer }));
        assert(Exit.isFailure(exit) && exit.cause._tag === "Fail", task);
        const error = exit.cause.error;
        assertInstanceOf(error, Manager.ManagerError);
        assertEquals([error.reason, error.message], [
          "InitializerFailed",
          `Cannot start the manager: the initializer "${task}" failed in Objects`,
        ]);
        assertStringIncludes(
          (error.cause as Error).constructor === Object ? "Shortage" : String(error.cause),
          reason,
          task,
        );
      }
      if (signals) {
        assertEquals(yield* failure(Manager.make({ initializer: Pool.initializer(Tasks.exits) })), "ProcessDied");
      }
    }),
  );

  check(
    "a method that ends the process is told as Unreachable; interrupting make leaves no process (full)",
    Effect.gen(function* () {
      const manager = yield* Manager.make();
      const maths = yield* manager.create(Tasks.maths, 0);
      if (signals) {
        assertEquals(yield* failure(maths.exits()), "Unreachable");
        assertEquals(yield* manager.process.exitCode, 3);
      }
      for (const millis of [0, 5, 40]) {
        const making = yield* Effect.fork(Effect.scoped(Effect.zipRight(Manager.make(), Effect.never)));
        // The interruption comes at several moments of the start.
        yield* Effect.sleep(millis);
        yield* Fiber.interrupt(making);
      }
    }),
  );

  if (signals) {
    check(
      "a call that is interrupted while the server is stopped is given up (full)",
      Effect.gen(function* () {
        const manager = yield* Manager.make();
        const list = yield* manager.list([1]);
        yield* manager.process.signal("SIGSTOP");
        const popping = yield* Effect.fork(list.pop());
        const acquiring = yield* Effect.fork(Effect.scoped(manager.dict()));
        yield* Effect.yieldNow();
        yield* Fiber.interrupt(acquiring);
        assert(Exit.isInterrupted(yield* Fiber.interrupt(popping)));
        yield* manager.process.signal("SIGCONT");
        yield* list.toArray;
        yield* when(manager.statistics, ({ objects }) => objects === 1);
      }),
    );

    check(
      "when the process that started the server is killed, the server ends",
      Effect.gen(function* () {
        const pids = yield* Queue.make<number>();
        const child = yield* Process.spawnWith(Tasks.starts, [pids], { daemon: true });
        const pid = yield* pids.get;
        const { started } = processEntry(pid)!;
        yield* child.kill;
        yield* Effect.promise(() => until("the server has ended", () => processEntry(pid)?.started !== started));
      }),
    );
  }

  check(
    "garbage harms nobody: the server answers or refuses, and goes on (full) (storm)",
    Effect.gen(function* () {
      const manager = yield* Manager.make();
      const dict = yield* manager.dict([["a", 1]]);
      const lock = yield* manager.lock;
      const { address, server } = dict[Manager.TypeId];
      const garbage = (): Uint8Array => Uint8Array.from({ length: Math.floor(random() * 24) }, () => random() * 256);
      // Some inputs begin like a valid message.
      const plausible = [[1], [2, 0], [1, 0, 0xa1, 0x83, 0x73, 0x65, 0x74], [0, 0, 0xa1], [2, 1], [2, 0, 7]];
      let answered = 0;
      const calls = rounds(300, 3000);
      for (let round = 0; round < calls; round++) {
        const head = random() < 0.5 ? plausible[Math.floor(random() * plausible.length)] : [];
        const operation = Math.floor(random() * 9);
        const line = call({ address, object: server }, operation, (writer) => {
          writer.bytes(Uint8Array.from(head));
          writer.bytes(garbage());
          return undefined;
        }, { exit: () => answered++ });
        if (random() < 0.3) line.data((writer) => void writer.bytes(garbage()));
        if (random() < 0.3) line.credit(Math.floor(random() * 4));
        line.cancel();
        if (round % 100 === 0) assertEquals(yield* dict.get("a"), 1, `seed ${seed}`);
      }
      yield* when(Effect.sync(() => answered), (n) => n === calls);
      assertEquals([yield* dict.get("a"), yield* lock.withLock(Effect.succeed(1))], [1, 1]);
      yield* when(manager.statistics, ({ pending }) => pending === 2);
    }),
  );

  const shared = Effect.map(Manager.make(), (manager) => Context.make(Shared, { manager }));
  withWorkers(`Manager on ${name}`, layer, 2, checks, shared);
};

test(
  "Manager: a type that makes no sense is a TypeError where it is defined",
  Effect.sync(() => {
    const define = (name: string, make: unknown, options?: object) => () =>
      Manager.type(import.meta, name, make as () => object, options as never);
    assertThrows(define("", () => ({})), TypeError, "name");
    assertThrows(define("A", 5), TypeError, "class or a function");
    assertThrows(define("A", () => ({}), { exposed: ["constructor"] }), TypeError, "cannot be exposed");
    assertThrows(define("A", () => ({}), { streams: ["__proto__"] }), TypeError, "cannot be exposed");
    define("A", () => ({}))();
    assertThrows(define("A", () => ({})), TypeError, "taken");
    assertThrows(() => Manager.type({} as ImportMeta, "B", () => ({})), TypeError, "import.meta");
  }),
);

const subprocess = SubprocessBackend.layer();
const worker = WorkerBackend.layer();

await warmUp(Effect.provide(Process.run(Tasks.square, 2), subprocess));
if (repeating) await warmUp(Effect.provide(Process.run(Tasks.square, 2), worker));

suite("subprocess", subprocess, Capabilities.subprocess);
repeated(() => suite("worker", worker, Capabilities.worker));
