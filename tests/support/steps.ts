/**
 * Interrupts an operation at any of its steps.
 *
 * A step is a step of the fiber runtime, counted by a scheduler. Interruptions after a number of turns of the event
 * loop, or of rounds of the fiber scheduler, cover the time between two steps, while the operation waits.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Fiber from "effect/Fiber";
import * as FiberId from "effect/FiberId";
import * as Scheduler from "effect/Scheduler";
import { assert } from "./assert.ts";
import { random, rounds as length, seed } from "./chance.ts";

const numbers = (n: number): ReadonlyArray<number> => Array.from({ length: n }, (_, i) => i);

export type Operation<R = never> = Effect.Effect<unknown, unknown, R>;

/**
 * Runs an operation and interrupts it after `at` steps. Returns its exit and the number of its steps.
 *
 * A resumed fiber is not interrupted in its next steps, up to `resumed`: the default scheduler does not yield there, so
 * no other fiber can run.
 */
export const interruptAtStep = <R>(
  operation: Operation<R>,
  at: number,
  counted: "own" | "any",
  resumed: number = 0,
): Effect.Effect<readonly [exit: Exit.Exit<unknown, unknown>, steps: number], never, R> =>
  Effect.suspend(() => {
    let steps = 0;
    let root: Fiber.RuntimeFiber<unknown, unknown> | undefined;
    const counting: Scheduler.Scheduler = {
      shouldYield: (fiber) => {
        root ??= fiber;
        const { currentOpCount } = fiber as unknown as { readonly currentOpCount: number };
        const counts = (counted === "any" || fiber === root) && currentOpCount > resumed;
        if (counts && ++steps === at) root.unsafeInterruptAsFork(FiberId.none);
        return Scheduler.defaultScheduler.shouldYield(fiber);
      },
      scheduleTask: (task, priority, fiber) => Scheduler.defaultScheduler.scheduleTask(task, priority, fiber),
    };
    return Effect.fork(Effect.withScheduler(operation, counting)).pipe(
      Effect.flatMap(Fiber.await),
      Effect.map((exit) => [exit, steps] as const),
    );
  });

/** One turn of the event loop. */
export const turn: Effect.Effect<unknown> = Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 0)));

/** Runs an operation, and interrupts it after the given number of turns of the event loop. */
export const interruptAtTurn = <R>(operation: Operation<R>, turns: number): Effect.Effect<void, never, R> =>
  Effect.gen(function* () {
    const fiber = yield* Effect.fork(operation);
    for (let i = 0; i < turns; i++) yield* turn;
    yield* Fiber.interrupt(fiber);
  });

/** Runs an operation, and interrupts it after the given number of rounds of the fiber scheduler. */
export const interruptAtYield = <R>(operation: Operation<R>, yields: number): Effect.Effect<void, never, R> =>
  Effect.gen(function* () {
    const fiber = yield* Effect.fork(operation);
    for (let i = 0; i < yields; i++) yield* Effect.yieldNow();
    yield* Fiber.interrupt(fiber);
  });

/** Minimum number of steps of a storm that a quick run samples. */
const QUICK = 4;

/** Number of turns of the event loop that a quick run of a storm samples. */
const QUICK_TURNS = 2;

/**
 * Samples the numbers from 1 to `total`, one from each stretch. Returns all numbers if there are at most `count`. A
 * quick run samples a sixth of `count`, and at least `least`.
 */
export const sample = (total: number, count: number, least: number = QUICK): ReadonlyArray<number> => {
  const full = Math.min(total, count);
  const size = Math.min(total, length(Math.max(least, Math.ceil(full / 6)), full));
  return size === total
    ? numbers(total).map((n) => n + 1)
    : numbers(size).map((n) => 1 + Math.floor((n + random()) * total / size));
};

/** Interrupts an operation at sampled steps and turns, and runs the check `sound` after each interruption. */
export const everywhere = <R, R2>(
  operation: Operation<R>,
  { resumed = 0, rounds, turns }: { readonly rounds: number; readonly turns: number; readonly resumed?: number },
  sound: (when: string) => Effect.Effect<void, unknown, R2>,
): Effect.Effect<void, unknown, R | R2> =>
  Effect.gen(function* () {
    for (const counted of ["own", "any"] as const) {
      const [exit, total] = yield* interruptAtStep(operation, Infinity, counted, resumed);
      assert(Exit.isSuccess(exit), `it fails by itself: ${exit}`);
      yield* sound("without interruption");
      let interrupted = 0;
      for (const step of sample(total, counted === "own" ? rounds : rounds / 2)) {
        const when = `interrupted at step ${step} of ${total} (${counted}), seed ${seed}`;
        const [exit] = yield* interruptAtStep(operation, step, counted, resumed);
        if (Exit.isInterrupted(exit)) interrupted++;
        // At its last steps the operation is done, and uninterruptible parts run to their end.
        else assert(Exit.isSuccess(exit), `${when}: ${exit}`);
        yield* sound(when);
      }
      assert(interrupted > 0, `of ${total} steps none can be interrupted`);
    }
    for (const turn of sample(turns, turns, QUICK_TURNS).map((n) => n - 1)) {
      yield* interruptAtTurn(operation, turn);
      yield* sound(`interrupted after turn ${turn}`);
    }
  });
