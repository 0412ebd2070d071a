/**
 * Runs Effects of tasks. The runtime of Effect inspects each thrown value. If a value throws when it is inspected, the exception
 * leaves the runtime where the fiber was resumed, and the fiber never ends.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import type * as Fiber from "effect/Fiber";
import * as Scheduler from "effect/Scheduler";
import { asTask } from "../starting.ts";

/**
 * Starts the fiber of a task. If the runtime fails in this way, `fallen` is called once, and the observers of the fiber may never
 * be called. Returns `undefined` if the runtime fails at once.
 */
export const fork = (
  effect: Effect.Effect<unknown, unknown>,
  fallen: (error: unknown) => void,
): Fiber.RuntimeFiber<unknown, unknown> | undefined => {
  let hasFallen = false;
  const guarded = (run: () => void): void => {
    try {
      run();
    } catch (error) {
      if (!hasFallen) fallen(error);
      hasFallen = true;
    }
  };
  const { defaultScheduler } = Scheduler;
  const scheduler: Scheduler.Scheduler = {
    scheduleTask: (task, priority, fiber) => defaultScheduler.scheduleTask(() => guarded(task), priority, fiber),
    shouldYield: (fiber) => defaultScheduler.shouldYield(fiber),
  };
  let fiber: Fiber.RuntimeFiber<unknown, unknown> | undefined;
  guarded(() => fiber = Effect.runFork(asTask(Effect.withScheduler(effect, scheduler)), { scheduler }));
  return fiber;
};
