/**
 * Jobs as Effects: submitted when run, taken back when interrupted.
 *
 * @module
 */
import * as Cause from "effect/Cause";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as FiberId from "effect/FiberId";
import type * as Scope from "effect/Scope";
import type { Child } from "../../Backend.ts";
import * as Call from "../child/call.ts";
import type { Begin, Dispatcher, Job, Settled } from "./dispatcher.ts";

const begin = (prepared: Call.Prepared): Begin => (child, done) => Call.start(child, prepared, false, done);

/** Runs one job. *Interruption:* takes it back, or stops it and waits until it has stopped. */
export const run = (
  dispatcher: Dispatcher,
  prepared: Call.Prepared,
  timeout?: number,
): Effect.Effect<unknown, unknown> =>
  Effect.async((resume) => {
    let stopped = (): void => {};
    const job = dispatcher.submit(begin(prepared), (exit) => {
      resume(exit);
      stopped();
    }, timeout);
    return Effect.async<void>((done) => {
      if (job.state === "settled" || dispatcher.cancel(job)) return done(Effect.void);
      stopped = () => done(Effect.void);
    });
  });

/**
 * Runs jobs until all have settled, giving each result with its index. The first failure stops the others, and is the
 * failure when they have stopped. *Interruption:* the same, without a failure.
 */
export const runAll = (
  dispatcher: Dispatcher,
  prepared: ReadonlyArray<Call.Prepared>,
  each: (value: unknown, index: number) => void,
  timeout?: number,
): Effect.Effect<void, unknown> =>
  Effect.async((resume) => {
    const jobs: Array<Job> = [];
    let open = prepared.length;
    let stopping = false;
    let failure: Exit.Exit<never, unknown> | undefined;
    let stopped = (): void => {};
    const close = (count: number): void => {
      open -= count;
      if (open > 0) return;
      resume(failure ?? Exit.void);
      stopped();
    };
    const stop = (): void => {
      if (stopping) return;
      stopping = true;
      // Those after the last one that was submitted will not be.
      let taken = prepared.length - jobs.length;
      for (const job of jobs) if (dispatcher.cancel(job)) taken++;
      if (taken > 0) close(taken);
    };
    const settle = (exit: Settled, index: number): void => {
      if (Exit.isSuccess(exit)) each(exit.value, index);
      else if (failure === undefined) {
        failure = Exit.failCause(exit.cause);
        stop();
      }
      close(1);
    };
    if (open === 0) return resume(Exit.void);
    for (let index = 0; index < prepared.length && !stopping; index++) {
      const early: Array<Settled> = [];
      let submitted = false;
      const receive = (exit: Settled): void => {
        if (submitted) settle(exit, index);
        else early.push(exit);
      };
      jobs.push(dispatcher.submit(begin(prepared[index]), receive, timeout));
      submitted = true;
      early.forEach(receive);
    }
    return Effect.async<void>((done) => {
      if (open <= 0) return done(Effect.void);
      stopped = () => done(Effect.void);
      stop();
    });
  });

/** A worker for oneself, until the scope closes. */
export interface Lease {
  readonly child: Child;
  /** Is told, with the reason, when the worker is taken back. */
  readonly onRevoked: (listener: (cause: Cause.Cause<unknown>) => void) => void;
  /** The holder is stopping: the worker is killed if that takes longer than the grace period. */
  readonly stopping: () => void;
}

/** Waits for a worker and takes it out of the rotation. *Interruption:* takes none. */
export const lease = (dispatcher: Dispatcher): Effect.Effect<Lease, unknown, Scope.Scope> =>
  Effect.suspend(() => {
    let job: Job | undefined;
    let cause: Cause.Cause<unknown> | undefined;
    let revoke = (_cause: Cause.Cause<unknown>): void => {};
    const onRevoked: Lease["onRevoked"] = (listener) => {
      revoke = listener;
      if (cause !== undefined) listener(cause);
    };
    let giveBack = (): void => {
      if (job !== undefined) dispatcher.cancel(job);
    };
    // Released also when the wait was interrupted: the worker may have come at that very moment.
    return Effect.acquireReleaseInterruptible(
      Effect.async<Lease, unknown>((resume) => {
        job = dispatcher.submit((child, done) => {
          giveBack = () => done(Exit.void);
          const stopping = (): void => job && dispatcher.hurry(job);
          resume(Exit.succeed({ child, onRevoked, stopping }));
          const cancel = (): void => {
            cause = job?.overrun ?? Cause.interrupt(FiberId.none);
            revoke(cause);
          };
          return { begun: true, cancel };
        }, (exit) => resume(exit as Exit.Exit<never, unknown>));
      }),
      () => Effect.sync(() => giveBack()),
    );
  });

/** Waits until no job waits or runs, and all have settled. */
export const drained = (dispatcher: Dispatcher): Effect.Effect<void> =>
  Effect.async((resume) => dispatcher.onceDrained(() => resume(Effect.void)));
