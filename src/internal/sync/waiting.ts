/**
 * The two forms of an operation on a shared object, both exact when the fiber is interrupted: a single step, and a wait.
 *
 * @module
 */
import * as Cause from "effect/Cause";
import * as Effect from "effect/Effect";
import * as Fiber from "effect/Fiber";
import * as FiberRef from "effect/FiberRef";
import { oneStep, Otherwise, waitThenCommit } from "../objects/interruption.ts";
import { ended } from "../os/worker_mappings.ts";
import { BUSY, type Busy } from "./protocol/monitor.ts";
import { isSyncFailure, type SyncFailure } from "./errors.ts";

/** The result of a step that cannot succeed now: the operation has to wait. */
export const LATER: unique symbol = Symbol("later");
/** Type of {@link LATER}. */
export type Later = typeof LATER;

/** A fiber that runs. */
export type RunningFiber = Fiber.RuntimeFiber<unknown, unknown>;

const failureOf = (error: unknown): Effect.Effect<never, SyncFailure> =>
  isSyncFailure(error) ? Effect.fail(error) : Effect.die(error);

/** A turn of the event loop, while another participant has the guard of an object. */
const pause: Effect.Effect<void> = Effect.async<void>((resume) => {
  const timer = setTimeout(() => resume(Effect.void), 1);
  return Effect.sync(() => clearTimeout(timer));
});

/**
 * Runs `run` in one step of the fiber, and continues with `later` if it returns {@link LATER}. If it returns `BUSY`, it runs again in
 * another turn of the event loop. A {@link SyncFailure} that it throws is a failure of the effect.
 */
export const step = <A, E = never>(
  run: () => A | Busy | Later,
  later: Effect.Effect<A, E> = Effect.never,
): Effect.Effect<A, E | SyncFailure> => {
  const wait = new Otherwise<A, E>(later);
  const again: Effect.Effect<A, E | SyncFailure> = oneStep<A, E | SyncFailure>(() => {
    let result: A | Busy | Later;
    try {
      result = run();
    } catch (error) {
      if (isSyncFailure(error)) return new Otherwise(Effect.fail(error));
      throw error;
    }
    return result === LATER ? wait : result === BUSY ? retry : result as A;
  });
  const retry = new Otherwise(Effect.zipRight(pause, again));
  return again;
};

/** The fiber that runs now, if any. */
export const currentFiber = (): RunningFiber | undefined => {
  const fiber = Fiber.getCurrentFiber();
  return fiber._tag === "Some" ? fiber.value : undefined;
};

/**
 * Waits for a grant. `begin` asks for it, calls `answer` once, and returns a function that gives up the request and what was granted.
 * `accept` runs in the fiber that has received the grant.
 *
 * *Interruption:* gives up, whenever it comes. A race that this fiber has lost before it received the grant discards the grant without
 * an interruption; then the grant is given up as well, see {@link giveUpIfDiscarded}.
 */
export const waitExactly = <A, E>(
  begin: (answer: (result: Effect.Effect<A, E>) => void) => () => void,
  accept: (value: A) => void = () => {},
): Effect.Effect<A, E | SyncFailure> =>
  Effect.withFiberRuntime<A, E | SyncFailure>((fiber) => {
    let giveUp = (): void => {};
    return waitThenCommit<A, E | SyncFailure, A, never>((answer) => {
      try {
        const cancel = begin(answer);
        // The result of `cancel` is of no interest here, and must not count as an effect.
        return giveUp = () => void cancel();
      } catch (error) {
        answer(failureOf(error));
        return () => {};
      }
    }, (value) =>
      Effect.sync(() => {
        accept(value);
        giveUpIfDiscarded({ fiber, giveUp });
        return value;
      }));
  });

/** Runs an operation that calls `done` once, now or later, and cannot be given up. A {@link SyncFailure} that it throws is a failure. */
export const whenDone = <A>(run: (done: (value: A) => void) => void): Effect.Effect<A, SyncFailure> =>
  Effect.async((resume) => {
    try {
      run((value) => resume(Effect.succeed(value)));
    } catch (error) {
      resume(failureOf(error));
    }
  });

/** Microtasks within which a race interrupts the fiber that has lost. */
const MICROTASKS = 16;

/** A grant that a fiber has received. */
export interface Granted {
  readonly fiber: RunningFiber;
  readonly giveUp: () => void;
}

let received: Array<Granted> = [];

/**
 * `Effect.timeout(lock.take, "1 second")` runs `take` in a fiber of its own. When the time is over, the race is decided at once, but the
 * fiber is interrupted a few microtasks later. If it receives the lock and ends in between, the race discards its result, and interrupts
 * a fiber that has ended: nobody would release the lock. That interruption is the only trace, so it is looked for here. The fiber may
 * have released the lock itself, so `giveUp` does nothing if this process has released anything since.
 */
export const giveUpIfDiscarded = (granted: Granted): void => {
  if (received.push(granted) === 1) queueMicrotask(() => void look());
};

const look = async (): Promise<void> => {
  const ended = received.filter(({ fiber }) => fiber.unsafePoll()?._tag === "Success");
  received = [];
  if (ended.length === 0) return;
  for (let i = 0; i < MICROTASKS; i++) await null;
  for (const { fiber, giveUp } of ended) {
    if (!Cause.isEmpty(fiber.getFiberRef(FiberRef.interruptedCause))) giveUp();
  }
};

/** Called in the step that takes something: `giveUp` runs if a race discards the result, see {@link giveUpIfDiscarded}. */
export const ifDiscarded = (giveUp: () => void): void => {
  const fiber = currentFiber();
  if (fiber !== undefined) giveUpIfDiscarded({ fiber, giveUp });
};

/** Runs a synchronous operation until no other participant is in the middle of a change. Throws what the operation throws. */
export const now = <A>(run: () => A | Busy): A => {
  for (;;) {
    const result = run();
    if (result !== BUSY) return result as A;
    // A worker that was ended can change nothing any more, so the loop would not end.
    if (ended()) throw new Error("Cannot use the shared object: this worker was ended");
  }
};
