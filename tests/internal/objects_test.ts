/**
 * The base of all objects: the FIFO queue of waiters, its gate, and exact interruption.
 *
 * @module
 */
import * as Deferred from "effect/Deferred";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as fc from "effect/FastCheck";
import * as Fiber from "effect/Fiber";
import { Fifo } from "../../src/internal/objects/fifo.ts";
import { FifoGate } from "../../src/internal/objects/fifo_gate.ts";
import { awaitGate, oneStep, Otherwise, passGate, waitThenCommit } from "../../src/internal/objects/interruption.ts";
import { SmallMap, SmallSet } from "../../src/internal/os/small.ts";
import { assert, assertEquals } from "../support/assert.ts";
import { interruptAtStep, sample } from "../support/steps.ts";

Deno.test("a FIFO queue inserts a value before the first one that is behind it, and forgets removed entries", () => {
  fc.assert(fc.property(fc.array(fc.integer({ min: 0, max: 50 })), (numbers) => {
    const fifo = new Fifo<number>();
    const entries = numbers.map((number) => fifo.insertBefore(number, (other) => other > number));
    assertEquals([...fifo], numbers.toSorted((a, b) => a - b));
    for (const entry of entries) assert(fifo.remove(entry) && !fifo.remove(entry));
    assertEquals([fifo.length, fifo.first, fifo.drain()], [0, undefined, []]);
  }));
});

Deno.test("a FIFO queue gives its values while those that were given are removed", () => {
  const fifo = new Fifo<number>();
  const entries = [1, 2, 3].map((number) => fifo.push(number));
  const seen: Array<number> = [];
  for (const value of fifo) {
    fifo.remove(entries[value - 1]);
    seen.push(value);
  }
  assertEquals([seen, fifo.length], [[1, 2, 3], 0]);
  assertEquals([fifo.push(4), fifo.push(5), fifo.push(6)].length, 3);
  assertEquals([fifo.removeWhere((value) => value !== 5), [...fifo]], [[4, 6], [5]]);
});

Deno.test("sets and maps for one element behave like those of the language, in their order too", () => {
  const keys = Array.from({ length: 4 }, (_, key) => ({ key }));
  const step = fc.tuple(fc.constantFrom("add", "add", "delete", "delete", "clear"), fc.nat(keys.length - 1));
  fc.assert(fc.property(fc.array(step, { maxLength: 60, size: "max" }), (steps) => {
    const set = new SmallSet<{ readonly key: number }>();
    const map = new SmallMap<number, number>();
    const likeSet = new Set<{ readonly key: number }>();
    const likeMap = new Map<number, number>();
    for (const [at, [operation, key]] of steps.entries()) {
      if (operation === "add") {
        set.add(keys[key]);
        map.set(key, at);
        likeSet.add(keys[key]);
        likeMap.set(key, at);
      } else if (operation === "delete") {
        assertEquals([set.delete(keys[key]), map.delete(key)], [likeSet.delete(keys[key]), likeMap.delete(key)]);
      } else {
        for (const any of [set, map, likeSet, likeMap]) any.clear();
      }
      assertEquals([[...set], [...map.values()]], [[...likeSet], [...likeMap.values()]]);
      assertEquals([set.size, map.size], [likeSet.size, likeMap.size]);
      assertEquals(set.first, [...likeSet][0]);
      assertEquals(keys.map((each) => set.has(each)), keys.map((each) => likeSet.has(each)));
      assertEquals(keys.map((_, n) => [map.has(n), map.get(n)]), keys.map((_, n) => [likeMap.has(n), likeMap.get(n)]));
    }
  }));
});

Deno.test("a set for one element gives its elements while those that were given are removed", () => {
  const elements = [{ n: 1 }, { n: 2 }, { n: 3 }];
  const set = new SmallSet<{ readonly n: number }>();
  for (const element of elements) set.add(element);
  const seen: Array<number> = [];
  for (const element of set) {
    seen.push(element.n);
    set.delete(element);
  }
  assertEquals([seen, set.size], [[1, 2, 3], 0]);
});

Deno.test("a gate admits its head only, even if the operation is possible for a later waiter", () => {
  let room = 0;
  const gate = new FifoGate((size) => size <= room);
  const admitted: Array<string> = [];
  const large = gate.enter(2, () => admitted.push("large"));
  const small = gate.enter(1, () => admitted.push("small"));
  room = 1;
  gate.check();
  assertEquals([admitted, gate.isOpen(1), gate.length], [[], false, 2]);
  room = 2;
  gate.check();
  gate.check();
  assertEquals(admitted, ["large"]);
  gate.leave(large);
  assertEquals(admitted, ["large", "small"]);
  gate.leave(small);
  assert(gate.isOpen(2));
});

/** Counts the outcomes of a resource that can be taken once. */
class Thing {
  free = true;
  taken = 0;

  take(): void {
    assert(this.free, "taken twice");
    this.free = false;
    this.taken++;
  }
}

/** Interrupts an operation at each of its steps: it has taken the resource and returned, or it has done neither. */
const exactAtEachStep = (operation: (thing: Thing) => Effect.Effect<unknown, unknown>): Promise<void> =>
  Effect.runPromise(Effect.gen(function* () {
    const once = (step: number) =>
      Effect.gen(function* () {
        const thing = new Thing();
        let observed: Exit.Exit<unknown, unknown> = Exit.interrupt(yield* Effect.fiberId);
        const whole = Effect.uninterruptibleMask((restore) =>
          Effect.map(Effect.exit(restore(operation(thing))), (exit) => (observed = exit))
        );
        const [, steps] = yield* interruptAtStep(whole, step, "own", 0);
        assertEquals(thing.taken, Exit.isSuccess(observed) ? 1 : 0, `at step ${step}`);
        return [steps, Exit.isInterrupted(observed)] as const;
      });
    const [total] = yield* once(Infinity);
    let interrupted = 0;
    for (const step of sample(total, Infinity)) if ((yield* once(step))[1]) interrupted++;
    assert(interrupted > 0);
  }));

Deno.test("an attempt in one step gives its value to the caller, or an interruption comes before it", () =>
  exactAtEachStep((thing) => Effect.zipRight(Effect.void, oneStep(() => thing.take()))));

Deno.test("an attempt that gives an effect in place of a value continues with that effect", async () => {
  const attempt = (value: number | Effect.Effect<string, string>) =>
    Effect.runPromiseExit(
      oneStep<number | string, string>(() => Effect.isEffect(value) ? new Otherwise(value) : value),
    );
  assertEquals(await attempt(1), Exit.succeed(1));
  assertEquals(await attempt(Effect.succeed("later")), Exit.succeed("later"));
  assertEquals(await attempt(Effect.fail("no")), Exit.fail("no"));
  const thrown = await Effect.runPromiseExit(oneStep(() => {
    throw new Error("a defect");
  }));
  assert(Exit.isFailure(thrown) && thrown.cause._tag === "Die");
});

Deno.test("a wait commits or cancels, whenever it is interrupted", async () => {
  let successes = 0;
  for (let turns = 0; turns < 8; turns++) {
    let committed = 0;
    let canceled = 0;
    let answer: (result: Effect.Effect<number>) => void = () => {};
    const exit = await Effect.runPromise(Effect.gen(function* () {
      const fiber = yield* Effect.fork(waitThenCommit<number, never, number>(
        (resume) => {
          answer = resume;
          return () => void canceled++;
        },
        (value) => Effect.sync(() => (committed++, value)),
      ));
      for (let i = 0; i < turns; i++) {
        if (i === 2) answer(Effect.succeed(7));
        yield* Effect.yieldNow();
      }
      yield* Fiber.interrupt(fiber);
      return yield* Fiber.await(fiber);
    }));
    if (Exit.isSuccess(exit)) successes++;
    assertEquals([committed, canceled], Exit.isSuccess(exit) ? [1, 0] : turns === 0 ? [0, 0] : [0, 1], `${turns}`);
  }
  assert(successes > 0 && successes < 8);
});

Deno.test("a wait that fails is canceled, and one that is canceled by an effect waits for that", async () => {
  const failed = await Effect.runPromiseExit(waitThenCommit<never, string, never, string>(
    (answer) => {
      answer(Effect.fail("no"));
      return () => Effect.fail("not even that");
    },
    Effect.succeed,
  ));
  assertEquals(failed, Exit.fail("not even that"));
  await Effect.runPromise(Effect.gen(function* () {
    const begun = yield* Deferred.make<void>();
    const closed = yield* Deferred.make<void>();
    const fiber = yield* Effect.fork(waitThenCommit<never, never, never>(
      () => {
        Effect.runSync(Deferred.succeed(begun, undefined));
        return () => Deferred.await(closed);
      },
      Effect.succeed,
    ));
    yield* Deferred.await(begun);
    const interruption = yield* Effect.fork(Fiber.interrupt(fiber));
    yield* Effect.yieldNow();
    assertEquals(fiber.unsafePoll(), null);
    yield* Deferred.succeed(closed, undefined);
    assert(Exit.isInterrupted(yield* Fiber.join(interruption)));
  }));
});

Deno.test("fibers pass a gate one after the other, and one that is interrupted leaves it to the next", async () => {
  await Effect.runPromise(Effect.gen(function* () {
    let room = 0;
    const gate = new FifoGate(() => room > 0);
    const passed: Array<string> = [];
    const act = (name: string) => () => {
      room--;
      passed.push(name);
      return Effect.void;
    };
    const first = yield* Effect.fork(passGate(gate, 0, act("first")));
    yield* Effect.yieldNow();
    const second = yield* Effect.fork(awaitGate(gate, 0, act("second")));
    const third = yield* Effect.fork(passGate(gate, 0, act("third")));
    while (gate.length < 3) yield* Effect.yieldNow();
    yield* Fiber.interrupt(first);
    assertEquals(gate.length, 2);
    room = 2;
    gate.check();
    yield* Fiber.join(second);
    yield* Fiber.join(third);
    assertEquals([passed, gate.length, room], [["second", "third"], 0, 0]);
  }));
});
