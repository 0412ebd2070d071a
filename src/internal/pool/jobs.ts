/**
 * Jobs as Effects: submitted when the Effect runs, cancelled when it is interrupted.
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
import type { Begin, Dispatcher, Job, JobExit } from "./dispatcher.ts";

const begin = (prepared: Call.Prepared): Begin => (child, done) => Call.start(child, prepared, false, done);

/** Runs one job. *Interruption:* takes the job back if it waits; otherwise stops it, and waits until it has stopped. */
export const run = (
  dispatcher: Dispatcher,
  prepared: Call.Prepared,
  timeout?: number,
): Effect.Effect<unknown, unknown> =>
  Effect.async((resume) => {
    let stopped = (): void => {};
    const job = dispatcher.submit(prepared.task.name, begin(prepared), (exit) => {
      resume(exit);
      stopped();
    }, timeout);
    return Effect.async<void>((done) => {
      if (job.state === "settled" || dispatcher.cancel(job)) return done(Effect.void);
      stopped = () => done(Effect.void);
    });
  });

/** The jobs of one call. */
class Batch {
  readonly #dispatcher: Dispatcher;
  readonly #prepared: ReadonlyArray<Call.Prepared>;
  readonly #each: (value: unknown, index: number) => void;
  readonly #ended: (exit: Exit.Exit<void, unknown>) => void;
  readonly #jobs: Array<Job> = [];
  #open: number;
  #stopping = false;
  #failure: Exit.Exit<never, unknown> | undefined;
  #stopped = (): void => {};

  constructor(
    dispatcher: Dispatcher,
    prepared: ReadonlyArray<Call.Prepared>,
    each: (value: unknown, index: number) => void,
    ended: (exit: Exit.Exit<void, unknown>) => void,
  ) {
    this.#dispatcher = dispatcher;
    this.#prepared = prepared;
    this.#each = each;
    this.#ended = ended;
    this.#open = prepared.length;
  }

  submit(timeout: number | undefined): void {
    if (this.#open === 0) return this.#ended(Exit.void);
    for (let index = 0; index < this.#prepared.length && !this.#stopping; index++) {
      const prepared = this.#prepared[index];
      // A job that cannot be sent settles before `submit` has returned, and before it is in the list.
      const early: Array<JobExit> = [];
      let submitted = false;
      const receive = (exit: JobExit): void => {
        if (submitted) this.#settle(exit, index);
        else early.push(exit);
      };
      this.#jobs.push(this.#dispatcher.submit(prepared.task.name, begin(prepared), receive, timeout));
      submitted = true;
      early.forEach(receive);
    }
  }

  /** Stops all jobs, and calls back when they have stopped. */
  interrupt(stopped: () => void): void {
    if (this.#open <= 0) return stopped();
    this.#stopped = stopped;
    this.#stop();
  }

  #settle(exit: JobExit, index: number): void {
    if (Exit.isSuccess(exit)) this.#each(exit.value, index);
    else if (this.#failure === undefined) {
      this.#failure = Exit.failCause(exit.cause);
      this.#stop();
    }
    this.#close(1);
  }

  #stop(): void {
    if (this.#stopping) return;
    this.#stopping = true;
    // The jobs after the last submitted one will not be submitted.
    let taken = this.#prepared.length - this.#jobs.length;
    for (const job of this.#jobs) if (this.#dispatcher.cancel(job)) taken++;
    if (taken > 0) this.#close(taken);
  }

  #close(count: number): void {
    this.#open -= count;
    if (this.#open > 0) return;
    this.#ended(this.#failure ?? Exit.void);
    this.#stopped();
  }
}

/**
 * Runs jobs until all have settled, and passes each result with its index to `each`. The first failure stops the other jobs; the
 * Effect fails with it when they have stopped. *Interruption:* stops all jobs, and waits until they have stopped.
 */
export const runAll = (
  dispatcher: Dispatcher,
  prepared: ReadonlyArray<Call.Prepared>,
  each: (value: unknown, index: number) => void,
  timeout?: number,
): Effect.Effect<void, unknown> =>
  Effect.async((resume) => {
    const batch = new Batch(dispatcher, prepared, each, resume);
    batch.submit(timeout);
    return Effect.async<void>((done) => batch.interrupt(() => done(Effect.void)));
  });

/** Exclusive use of a worker, until the scope closes. */
export interface Lease {
  readonly child: Child;
  /** Calls `listener` with the reason when the pool takes the worker back. */
  readonly onRevoked: (listener: (cause: Cause.Cause<unknown>) => void) => void;
  /** The holder is stopping its task. The worker is killed if that takes longer than the grace period. */
  readonly stopping: () => void;
}

/** Waits for a worker and takes it out of the rotation, for a task with this name. *Interruption:* takes no worker. */
export const lease = (dispatcher: Dispatcher, task: string): Effect.Effect<Lease, unknown, Scope.Scope> =>
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
        job = dispatcher.submit(task, (child, done) => {
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
