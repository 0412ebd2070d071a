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
import { lookup } from "../child/tasks.ts";
import type { Admission } from "./admission.ts";
import type { Dispatcher } from "./dispatcher.ts";
import type { Job, JobExit, Slot, Terms, Work } from "./job.ts";

/** The way into the pool. */
export interface Gate {
  readonly dispatcher: Dispatcher;
  readonly admission: Admission;
  /** Whether workers receive jobs before they can run them. */
  readonly queueable: boolean;
}

/** The work of a prepared call. */
export const workOf = (prepared: Call.Prepared, queueable: boolean): Work => ({
  task: prepared.task.name,
  idempotent: lookup(prepared.task.url, prepared.task.name)?.options.idempotent === true,
  queueable,
  begin: (child, done, isAhead) => Call.start(child, prepared, false, done, queueable ? isAhead : undefined),
});

/** Runs one job. *Interruption:* takes the job back if it waits; otherwise stops it, and waits until it has stopped. */
export const run = (
  { admission, dispatcher, queueable }: Gate,
  prepared: Call.Prepared,
  terms: Terms,
): Effect.Effect<unknown, unknown> =>
  Effect.async((resume) => {
    let stopped = (): void => {};
    let job: Job | undefined;
    let early: JobExit | undefined;
    const settle = (exit: JobExit): void => {
      early = exit;
      resume(exit);
      stopped();
    };
    const leave = admission.enter(() => {
      job = dispatcher.submit(workOf(prepared, queueable), settle, terms);
    });
    return Effect.async<void>((done) => {
      leave();
      if (job === undefined || early !== undefined || dispatcher.cancel(job)) return done(Effect.void);
      stopped = () => done(Effect.void);
    });
  });

/** The jobs of one call. */
class Batch {
  readonly #gate: Gate;
  readonly #prepared: ReadonlyArray<Call.Prepared>;
  readonly #terms: Terms;
  readonly #settled: (exit: JobExit, index: number) => Exit.Exit<void, unknown>;
  readonly #ended: (exit: Exit.Exit<void, unknown>) => void;
  readonly #pins: ReadonlyArray<Slot> | undefined;
  readonly #jobs: Array<Job> = [];
  #open: number;
  #next = 0;
  #leave = (): void => {};
  #stopping = false;
  #failure: Exit.Exit<never, unknown> | undefined;
  #stopped = (): void => {};

  constructor(
    gate: Gate,
    prepared: ReadonlyArray<Call.Prepared>,
    terms: Terms,
    settled: (exit: JobExit, index: number) => Exit.Exit<void, unknown>,
    ended: (exit: Exit.Exit<void, unknown>) => void,
    pins: ReadonlyArray<Slot> | undefined,
  ) {
    this.#gate = gate;
    this.#prepared = prepared;
    this.#terms = terms;
    this.#settled = settled;
    this.#ended = ended;
    this.#pins = pins;
    this.#open = prepared.length;
  }

  /** Submits the jobs as far as there is room, and the others when there is. */
  submit(): void {
    if (this.#open === 0) return this.#ended(Exit.void);
    const { admission } = this.#gate;
    while (!this.#stopping && this.#next < this.#prepared.length) {
      if (admission.open) this.#submitOne();
      else {
        this.#leave = admission.enter(() => {
          this.#submitOne();
          this.submit();
        });
        return;
      }
    }
  }

  /** Stops all jobs, and calls back when they have stopped. */
  interrupt(stopped: () => void): void {
    if (this.#open <= 0) return stopped();
    this.#stopped = stopped;
    this.#stop();
  }

  #submitOne(): void {
    const index = this.#next++;
    const { dispatcher, queueable } = this.#gate;
    // A job that cannot be sent settles before `submit` has returned, and before it is in the list.
    const early: Array<JobExit> = [];
    let submitted = false;
    const receive = (exit: JobExit): void => {
      if (submitted) this.#settle(exit, index);
      else early.push(exit);
    };
    const work = workOf(this.#prepared[index], queueable);
    this.#jobs.push(dispatcher.submit(work, receive, this.#terms, this.#pins?.[index]));
    submitted = true;
    early.forEach(receive);
  }

  #settle(exit: JobExit, index: number): void {
    const outcome = this.#settled(exit, index);
    if (Exit.isFailure(outcome) && this.#failure === undefined) {
      this.#failure = Exit.failCause(outcome.cause);
      this.#stop();
    }
    this.#close(1);
  }

  #stop(): void {
    if (this.#stopping) return;
    this.#stopping = true;
    this.#leave();
    // The jobs after the last submitted one will not be submitted.
    let taken = this.#prepared.length - this.#jobs.length;
    for (const job of this.#jobs) if (job.state !== "settled" && this.#gate.dispatcher.cancel(job)) taken++;
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
 * Runs jobs until all have settled, and passes the Exit of each, with its index, to `settled`. The first failure that `settled` returns
 * stops the other jobs; the Effect fails with it when they have stopped. *Interruption:* stops all jobs, and waits until they have
 * stopped. With `pins`, each job runs in its slot.
 */
export const runAll = (
  gate: Gate,
  prepared: ReadonlyArray<Call.Prepared>,
  terms: Terms,
  settled: (exit: JobExit, index: number) => Exit.Exit<void, unknown>,
  pins?: ReadonlyArray<Slot>,
): Effect.Effect<void, unknown> =>
  Effect.async((resume) => {
    const batch = new Batch(gate, prepared, terms, settled, resume, pins);
    batch.submit();
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
export const lease = (
  { admission, dispatcher }: Gate,
  task: string,
  terms: Terms,
): Effect.Effect<Lease, unknown, Scope.Scope> =>
  Effect.suspend(() => {
    let job: Job | undefined;
    let cause: Cause.Cause<unknown> | undefined;
    let revoke = (_cause: Cause.Cause<unknown>): void => {};
    const onRevoked: Lease["onRevoked"] = (listener) => {
      revoke = listener;
      if (cause !== undefined) listener(cause);
    };
    let leave = (): void => {};
    let giveBack = (): void => {
      if (job !== undefined) dispatcher.cancel(job);
      else leave();
    };
    const work = (resume: (exit: Exit.Exit<Lease, unknown>) => void): Work => ({
      task,
      idempotent: false,
      queueable: false,
      begin: (child, done) => {
        giveBack = () => done(Exit.void);
        const stopping = (): void => job && dispatcher.hurry(job);
        resume(Exit.succeed({ child, onRevoked, stopping }));
        const cancel = (): void => {
          cause = job?.overrun ?? Cause.interrupt(FiberId.none);
          revoke(cause);
        };
        return { begun: true, cancel };
      },
    });
    // Released also when the wait was interrupted: the worker may have come at that very moment.
    return Effect.acquireReleaseInterruptible(
      Effect.async<Lease, unknown>((resume) => {
        const submit = (): void => {
          job = dispatcher.submit(work(resume), (exit) => resume(exit as Exit.Exit<never, unknown>), terms);
        };
        leave = admission.enter(submit);
      }),
      () => Effect.sync(() => giveBack()),
    );
  });

/** Waits until no job waits or runs, and all have settled. */
export const drained = (dispatcher: Dispatcher): Effect.Effect<void> =>
  Effect.async((resume) => dispatcher.onceDrained(() => resume(Effect.void)));
