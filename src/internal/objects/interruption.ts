/**
 * Exact interruption: an operation that is interrupted has done nothing, and an operation that has done something returns its
 * result.
 *
 * Effect 3 checks for interruption before each step of a fiber. Two forms therefore suffice:
 *
 * - **An operation that need not wait** is one step whose value goes straight to the caller's continuation: {@link oneStep}. It
 *   needs no mask and no finalizer. Anything longer has a gap, since between two steps the fiber may yield and be interrupted,
 *   and the error handlers of an interrupted, interruptible fiber do not run.
 * - **An operation that waits** sends a request, and then either commits or cancels it: {@link waitThenCommit}. A fiber counts
 *   its steps from zero when it is resumed, so it does not yield between the arrival of the answer and the caller's
 *   continuation. The canceller of `Effect.async` alone is not enough: it no longer runs once the fiber has been resumed, but
 *   the interruption may arrive between that moment and the first step that follows.
 *
 * {@link awaitGate} and {@link passGate} are the second form for a {@link FifoGate}.
 *
 * @module
 */
import * as Cause from "effect/Cause";
import * as Effect from "effect/Effect";
import type * as Fiber from "effect/Fiber";
import * as FiberRef from "effect/FiberRef";
import * as RuntimeFlags from "effect/RuntimeFlags";
import type { FifoGate } from "./fifo_gate.ts";

/** The answer of an attempt that has no value and has changed nothing: the effect with which the fiber continues. */
export class Otherwise<out A, out E, out R = never> {
  constructor(readonly effect: Effect.Effect<A, E, R>) {}
}

/**
 * Runs `attempt` in one step of the fiber. Its value goes straight to the caller's continuation: an interruption comes before the
 * attempt, or after the caller has the value.
 *
 * If the attempt gives {@link Otherwise}, the fiber continues with that effect. A step of Effect 3 can end without a value only
 * by throwing, which costs 2 µs; therefore look first, in `Effect.suspend`, whether the attempt can succeed.
 */
export const oneStep = <A, E = never, R = never>(
  attempt: () => A | Otherwise<A, E, R>,
): Effect.Effect<A, E, R> =>
  Effect.catchAllCause(
    Effect.sync(() => {
      const result = attempt();
      if (result instanceof Otherwise) throw result;
      return result;
    }),
    (cause): Effect.Effect<A, E, R> =>
      cause._tag === "Die" && cause.defect instanceof Otherwise ? cause.defect.effect : Effect.failCause(cause),
  );

/**
 * Waits for the answer to a request, and then commits it. Exactly one of the two runs: `commit`, uninterruptibly, or the function
 * that `request` returns, which cancels the request and takes back what was granted meanwhile. That function is called if the wait
 * fails or is interrupted, at whatever moment the interruption comes.
 *
 * `request` calls `answer` once, perhaps before it returns. If it returns an effect, the effect runs uninterruptibly before the
 * fiber continues with the failure or the interruption.
 */
export const waitThenCommit = <A, E, B, E2 = never, R = never>(
  request: (answer: (result: Effect.Effect<A, E>) => void) => Cancel<E2, R>,
  commit: (value: A, cancel: Cancel<E2, R>, restore: Restore) => Effect.Effect<B, E2, R>,
): Effect.Effect<B, E | E2, R> =>
  Effect.withFiberRuntime<B, E | E2, R>((fiber, { runtimeFlags }) =>
    waitThenCommitIn(fiber, runtimeFlags, request, commit)
  );

/** {@link waitThenCommit}, in a step of the fiber that waits, with the flags that it has. */
export const waitThenCommitIn = <A, E, B, E2 = never, R = never>(
  fiber: Fiber.RuntimeFiber<B, E | E2>,
  flags: RuntimeFlags.RuntimeFlags,
  request: (answer: (result: Effect.Effect<A, E>) => void) => Cancel<E2, R>,
  commit: (value: A, cancel: Cancel<E2, R>, restore: Restore) => Effect.Effect<B, E2, R>,
): Effect.Effect<B, E | E2, R> => {
  // Each step of a fiber costs as much as the rest of a small message. `uninterruptibleMask` would take three more.
  const interruptible = RuntimeFlags.interruptible(flags);
  let cancel: Cancel<E2, R> = () => {};
  const wait = Effect.async<A, E>((resume) => {
    cancel = request(resume);
  });
  const abandon = (cause: Cause.Cause<E>): Effect.Effect<never, E | E2, R> => {
    const canceled = cancel();
    const failure = Effect.failCause(cause);
    // A function of type `void` may return any value, such as the result of `Set.delete`.
    return Effect.isEffect(canceled) ? Effect.zipRight(canceled, failure) : failure;
  };
  if (!interruptible) {
    return Effect.matchCauseEffect(wait, {
      onFailure: abandon,
      onSuccess: (value) => commit(value, cancel, uninterruptible),
    });
  }
  return Effect.uninterruptible(Effect.matchCauseEffect(Effect.interruptible(wait), {
    onFailure: abandon,
    onSuccess: (value): Effect.Effect<B, E | E2, R> => {
      // The caller would never see the result: the next step of this fiber is its interruption.
      const pending = fiber.getFiberRef(FiberRef.interruptedCause);
      return Cause.isEmpty(pending) ? commit(value, cancel, Effect.interruptible) : abandon(pending);
    },
  }));
};

/** Cancels a request, and takes back what was granted. An effect that it returns runs before the fiber continues. */
export type Cancel<E, R> = () => void | Effect.Effect<unknown, E, R>;

const uninterruptible: Restore = (effect) => effect;

/**
 * Waits at a gate, interruptibly, and then runs `act` uninterruptibly. The next waiter passes when `act` has returned its effect,
 * so whatever must be done alone is done by `act` itself, not by that effect.
 */
export const awaitGate = <A, E>(
  gate: FifoGate,
  size: number,
  act: (restore: Restore) => Effect.Effect<A, E>,
): Effect.Effect<A, E> =>
  waitThenCommit<void, never, A, E>(
    (answer) => {
      const entry = gate.enter(size, () => answer(Effect.void));
      return () => gate.leave(entry);
    },
    (_, leave, restore) => {
      const acted = act(restore);
      leave();
      return acted;
    },
  );

/**
 * Runs an effect and then `end`, however the effect ends. Call it where nothing can be interrupted but the effect. `Effect.ensuring` and
 * `Effect.acquireUseRelease` take twice as many steps.
 */
export const endingWith = <A, E, R>(effect: Effect.Effect<A, E, R>, end: () => void): Effect.Effect<A, E, R> =>
  Effect.matchCauseEffect(effect, {
    onFailure: (cause) => {
      end();
      return Effect.failCause(cause);
    },
    onSuccess: (value) => {
      end();
      return Effect.succeed(value);
    },
  });

/** Makes an Effect interruptible if the caller is. */
export type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>;

/** {@link awaitGate}, but without any wait if the gate is open. */
export const passGate = <A, E>(
  gate: FifoGate,
  size: number,
  act: (restore: Restore) => Effect.Effect<A, E>,
): Effect.Effect<A, E> =>
  Effect.uninterruptibleMask((restore) =>
    gate.isOpen(size) ? act(restore) : restore(awaitGate(gate, size, () => act(restore)))
  );
