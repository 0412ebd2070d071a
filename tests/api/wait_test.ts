/**
 * Waiting for many objects at once: the calls that it makes to each of them.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Fiber from "effect/Fiber";
import { Event, Pipe, Process, Queue, SubprocessBackend, wait, WorkerBackend } from "../../mod.ts";
import { type Waitable, WaitId } from "../../src/internal/objects/waitable.ts";
import { assert, assertEquals, assertLessOrEqual, assertStringIncludes } from "../support/assert.ts";
import { signal, test, warmUp, when } from "../support/suite.ts";
import * as Waits from "./wait_tasks.ts";
import { casesOf, registerEach } from "../support/tier.ts";

const MANY = 200;

/** An object that counts its calls. */
class Counted implements Waitable {
  looked = 0;
  watched = 0;
  cancelled = 0;
  fired = 0;
  isReady = false;
  #ready: (() => void) | undefined;
  readonly #behaviour: { readonly fires?: boolean; readonly throws?: "look" | "watch" };

  constructor(behaviour: { readonly fires?: boolean; readonly throws?: "look" | "watch" } = {}) {
    this.#behaviour = behaviour;
  }

  readonly [WaitId]: Waitable[typeof WaitId] = {
    look: (answer) => {
      this.looked++;
      if (this.#behaviour.throws === "look") throw new Error("it cannot look");
      answer(this.isReady);
    },
    watch: (ready) => {
      this.watched++;
      if (this.#behaviour.throws === "watch") throw new Error("it cannot watch");
      this.#ready = ready;
      if (this.#behaviour.fires === true) this.fire();
      return () => {
        this.cancelled++;
        this.#ready = undefined;
      };
    },
  };

  /** Makes the object ready. */
  fire(): void {
    this.isReady = true;
    this.fired++;
    const ready = this.#ready;
    this.#ready = undefined;
    ready?.();
  }
}

const counted = (special: ReadonlyMap<number, Counted> = new Map()): ReadonlyArray<Counted> =>
  Array.from({ length: MANY }, (_, i) => special.get(i) ?? new Counted());

/** Asserts that each wait was cancelled once, unless the object had become ready. */
const assertLeft = (objects: ReadonlyArray<Counted>, watched: number): void => {
  assertEquals(objects.reduce((sum, { watched }) => sum + watched, 0), watched);
  for (const [i, one] of objects.entries()) {
    assertLessOrEqual(one.watched, 1);
    assertLessOrEqual(one.looked, 2);
    assertEquals(one.cancelled, one.watched - Math.min(one.fired, one.watched), `object ${i}`);
  }
};

const waiting = (objects: ReadonlyArray<Counted>) =>
  Effect.flatMap(
    Effect.fork(wait(objects, { timeout: "1 hour" })),
    (fiber) => Effect.as(when(Effect.sync(() => objects.at(-1)!.watched), (watched) => watched === 1), fiber),
  );

test(
  "wait: an object that becomes ready ends the waiting for each of the others once",
  Effect.gen(function* () {
    const objects = counted();
    const fiber = yield* waiting(objects);
    objects[70].fire();
    objects[150].fire();
    assertEquals(yield* Fiber.join(fiber), [objects[70], objects[150]]);
    // The second object became ready after the wait had ended.
    objects[150].fired = 0;
    assertLeft(objects, MANY);
  }),
);

test(
  "wait: an object that is ready while it is being watched ends the waiting for those before it, and begins none after it",
  Effect.gen(function* () {
    for (const at of [0, 70, MANY - 1]) {
      const objects = counted(new Map([[at, new Counted({ fires: true })]]));
      assertEquals(yield* wait(objects), [objects[at]]);
      assertLeft(objects, at + 1);
    }
  }),
);

test(
  "wait: an interruption, and the end of the time, end the waiting for each once",
  Effect.gen(function* () {
    const interrupted = counted();
    yield* Fiber.interrupt(yield* waiting(interrupted));
    assertLeft(interrupted, MANY);
    const late = counted();
    assertEquals(yield* wait(late, { timeout: "1 millis" }), []);
    assertLeft(late, MANY);
  }),
);

test(
  "wait: an object that throws is a defect of that wait, and the waiting for the others ends",
  Effect.gen(function* () {
    for (const throws of ["look", "watch"] as const) {
      const objects = counted(new Map([[70, new Counted({ throws })]]));
      const exit = yield* Effect.exit(wait(objects));
      assert(Exit.isFailure(exit) && exit.cause._tag === "Die");
      assertStringIncludes(`${exit.cause.defect}`, `it cannot ${throws}`);
      objects[70].watched = 0;
      assertLeft(objects, throws === "look" ? 0 : 70);
    }
  }),
);

const backends = [
  ["subprocess", SubprocessBackend.layer()],
  ["worker", WorkerBackend.layer()],
] as const;

for (const [, layer] of casesOf(backends)) await warmUp(Effect.provide(Process.run(Waits.nothing), layer));

registerEach(backends, ([name, layer]) => {
  test(
    `wait on ${name}: one of ${MANY} queues, pipes or events is found in whichever process it waits, and nobody waits afterwards`,
    Effect.gen(function* () {
      const [queues, pipes, events] = yield* Effect.all([
        Effect.replicateEffect(Queue.make<number>(), MANY),
        Effect.replicateEffect(Pipe.make<number>(), MANY),
        Effect.replicateEffect(Event.make(), MANY),
      ]);
      const theirs = pipes.map(([_, end]) => end);
      const begun = yield* signal;
      const there = yield* Process.spawn(Waits.three, queues, theirs, events, begun.stream);
      yield* begun.fired;
      for (
        const [kind, objects, wake] of [
          ["queue", queues, queues[120].put(1)],
          ["event", events, events[120].set],
        ] as const
      ) {
        const here = yield* Effect.fork(wait(objects as ReadonlyArray<Waitable>));
        yield* Effect.yieldNow();
        yield* wake;
        assertEquals(yield* Fiber.join(here), [objects[120]], kind);
      }
      yield* pipes[120][0].send(1);
      assertEquals(yield* there.join, [[120], [120], [120]]);
      assertEquals((yield* events[0].statistics).waiting, 0);
      assertEquals((yield* when(events[0].statistics, (now) => now.waitingProcesses === 0)).isSet, false);
    }).pipe(Effect.provide(layer)),
  );
});
