/**
 * Running Effects of the user's. The runtime of Effect looks at what is thrown inside of it, and falls over a value that throws
 * when it is touched: the exception then leaves the runtime where the fiber was resumed, and the fiber never ends.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import type * as Fiber from "effect/Fiber";
import * as Scheduler from "effect/Scheduler";
import { asTask } from "./starting.ts";

/**
 * Starts a fiber of a task. If the runtime falls over a value, `fallen` is called, once, and its observers may never be; there is
 * no fiber if that happens at once.
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
