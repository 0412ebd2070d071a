/**
 * Steps that an interruption comes before or after, and waits that it ends with nothing taken.
 *
 * @module
 */
import * as Cause from "effect/Cause";
import * as Effect from "effect/Effect";
import * as Fiber from "effect/Fiber";
import * as FiberRef from "effect/FiberRef";
import * as RuntimeFlags from "effect/RuntimeFlags";
import { Unreachable, Unsupported } from "../objects/errors.ts";
import { ended } from "../os/worker_mappings.ts";
import { BUSY, type Busy } from "./protocol/monitor.ts";
import { SyncError } from "./errors.ts";
import type { Failure } from "./object.ts";

/** What a step answers when it has to wait. */
export const LATER: unique symbol = Symbol("later");
/** Type of {@link LATER}. */
export type Later = typeof LATER;

/** Whether an error says why an object cannot be used. */
export const isFailure = (error: unknown): error is Failure =>
  error instanceof Unreachable || error instanceof SyncError || error instanceof Unsupported;

/** A turn of the event loop, for somebody else who has the guard of an object. */
const pause: Effect.Effect<void> = Effect.async<void>((resume) => {
  const timer = setTimeout(() => resume(Effect.void), 1);
  return Effect.sync(() => clearTimeout(timer));
});

/**
 * Does something in one step of the fiber, whose value goes straight to whoever goes on: an interruption comes before it, or after
 * whoever goes on has it. What fails is thrown.
 */
export const step = <A, E = never>(
  run: () => A | Busy | Later,
  later: Effect.Effect<A, E> = Effect.never,
): Effect.Effect<A, E | Failure> => {
  const again: Effect.Effect<A, E | Failure> = Effect.catchAllCause(
    Effect.sync(() => {
      const result = run();
      if (result === BUSY || result === LATER) throw result;
      return result as A;
    }),
    (cause): Effect.Effect<A, E | Failure> => {
      if (!Cause.isDieType(cause)) return Effect.failCause(cause);
      const { defect } = cause;
      if (defect === LATER) return later;
      if (defect === BUSY) return Effect.zipRight(pause, again);
      return isFailure(defect) ? Effect.fail(defect) : Effect.failCause(cause);
    },
  );
  return again;
};

/** The fiber that runs. */
export const currentFiber = (): Fiber.RuntimeFiber<unknown, unknown> | undefined => {
  const fiber = Fiber.getCurrentFiber();
  return fiber._tag === "Some" ? fiber.value : undefined;
};

/**
 * Waits for what `begin` will be given, which `done` is called with. `begin` answers with what gives it up, and what was given with
 * it: called when the wait ends with an interruption, at whatever point that comes. `accept` runs in the fiber that goes on.
 */
export const waitExactly = <A, E>(
  begin: (done: (result: Effect.Effect<A, E>) => void) => () => void,
  accept: (value: A) => void = () => {},
): Effect.Effect<A, E | Failure> =>
  Effect.withFiberRuntime<A, E | Failure>((fiber, { runtimeFlags }) => {
    const open = RuntimeFlags.interruptible(runtimeFlags);
    return Effect.uninterruptibleMask((restore) => {
      let giveUp = (): void => {};
      const wait = Effect.async<A, E | Failure>((resume) => {
        try {
          giveUp = begin(resume);
        } catch (error) {
          resume(isFailure(error) ? Effect.fail(error) : Effect.die(error));
        }
      });
      return Effect.matchCauseEffect(restore(wait), {
        onFailure: (cause) => {
          giveUp();
          return Effect.failCause(cause);
        },
        onSuccess: (value) =>
          Effect.sync(() => {
            // This fiber's next step is its interruption.
            if (open && !Cause.isEmpty(fiber.getFiberRef(FiberRef.interruptedCause))) giveUp();
            else accept(value);
            return value;
          }),
      });
    });
  });

/** Runs a synchronous operation again until nobody else is in its way. Throws what it throws. */
export const now = <A>(run: () => A | Busy): A => {
  for (;;) {
    const result = run();
    if (result !== BUSY) return result as A;
    // It would not end: nothing can be changed any more.
    if (ended()) throw new Error("this worker was ended");
  }
};
