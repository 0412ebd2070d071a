/**
 * Jobs as Effects: submitted when the Effect runs, cancelled when it is interrupted.
 *
 * @module
 */
import * as Cause from "effect/Cause";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import type * as Fiber from "effect/Fiber";
import * as FiberId from "effect/FiberId";
import type * as RuntimeFlags from "effect/RuntimeFlags";
import type * as Scope from "effect/Scope";
import type { Child } from "../../Backend.ts";
import * as Call from "../child/call.ts";
import { lookup } from "../child/tasks.ts";
import { waitThenCommitIn } from "../objects/interruption.ts";
import { SmallSet } from "../os/small.ts";
import type { Admission } from "./admission.ts";
import type { Dispatcher } from "./dispatcher.ts";
import type { OpenCalls } from "./open_calls.ts";
import type { Begin, Job, JobExit, Settle, Slot, Terms, Work } from "./job.ts";

/** Submits a prepared call as a job; see `Dispatcher.submit`. */
export type Submit = (prepared: Call.Prepared, settle: Settle, terms: Terms, pinned?: Slot, elapsed?: number) => Job;

/** The way into the pool. */
export interface Gate {
  readonly dispatcher: Dispatcher;
  readonly admission: Admission;
  readonly submit: Submit;
}

/** Number of bytes above which a request does not leave together with others. */
const LONG = 64 * 1024;

const isLong = ({ carried, encoded }: Call.Prepared): boolean =>
  encoded.attachments.length > 0 || encoded.bytes.length + (carried?.length ?? 0) > LONG;

/** The work of a prepared call. */
export abstract class CallWork implements Work {
  readonly prepared: Call.Prepared;
  readonly idempotent: boolean;
  readonly queueable: boolean;
  readonly long: boolean;

  constructor(prepared: Call.Prepared, queueable: boolean) {
    const { name, url } = prepared.task;
    this.prepared = prepared;
    this.idempotent = lookup(url, name)?.options.idempotent === true;
    this.queueable = queueable;
    this.long = isLong(prepared);
  }

  get task(): string {
    return this.prepared.task.name;
  }

  get module(): string {
    return this.prepared.task.url;
  }

  get encoding(): number {
    return this.prepared.encoding;
  }

  abstract begin(...args: Parameters<Begin>): Call.OpenCall;
}

/** A call that a worker of this program runs. */
class WorkerCall extends CallWork {
  /** Whether it is sent once, unless a worker has not begun it. */
  readonly #last: boolean;

  constructor(prepared: Call.Prepared, queueable: boolean, last: boolean) {
    super(prepared, queueable);
    this.#last = last;
  }

  begin(...[child, done, place]: Parameters<Begin>): Call.OpenCall {
    return Call.start(child, this.prepared, false, this.#last, done, place);
  }
}

/** Submits calls that a worker of this program runs; it may receive them before it can run them if they are `queueable`. */
export const toWorkers = (dispatcher: Dispatcher, queueable: boolean): Submit => (prepared, settle, terms, ...rest) =>
  dispatcher.submit(new WorkerCall(prepared, queueable, terms.retry === undefined), settle, terms, ...rest);

/**
 * Runs one job, in a step of the fiber that waits for it, with the flags that it has. The call is open until the job has ended.
 * *Interruption:* takes the job back if it waits; otherwise stops it, and waits until it has stopped.
 */
export const runIn = (
  fiber: Fiber.RuntimeFiber<unknown, unknown>,
  flags: RuntimeFlags.RuntimeFlags,
  gate: Gate,
  calls: OpenCalls,
  prepared: Call.Prepared,
  terms: Terms,
): Effect.Effect<unknown, unknown> =>
  waitThenCommitIn(
    fiber,
    flags,
    (answer) => {
      calls.begin();
      const single = new Single(gate, prepared, terms, answer);
      return () => {
        const stopped = single.stop();
        if (stopped !== undefined) return Effect.map(stopped, () => calls.end());
        calls.end();
      };
    },
    (value) => {
      calls.end();
      return Exit.succeed(value);
    },
  );

/** The job of a call that has one. */
class Single {
  readonly #dispatcher: Dispatcher;
  readonly #answer: (exit: JobExit) => void;
  readonly #leave: () => void;
  #job: Job | undefined;
  #settled = false;
  #stopped: (() => void) | undefined;

  constructor(
    { admission, dispatcher, submit }: Gate,
    prepared: Call.Prepared,
    terms: Terms,
    answer: (exit: JobExit) => void,
  ) {
    this.#dispatcher = dispatcher;
    this.#answer = answer;
    this.#leave = admission.enter(() => {
      this.#job = submit(prepared, (exit) => this.#settle(exit), terms);
    });
  }

  #settle(exit: JobExit): void {
    this.#settled = true;
    this.#answer(exit);
    this.#stopped?.();
  }

  /** The job is not wanted any more. The result waits until it has stopped. */
  stop(): Effect.Effect<void> | undefined {
    if (this.#settled) return undefined;
    this.#leave();
    if (this.#job === undefined || this.#dispatcher.cancel(this.#job)) return undefined;
    return Effect.async((resume) => {
      if (this.#settled) resume(Effect.void);
      else this.#stopped = () => resume(Effect.void);
    });
  }
}

/** The jobs of a call, each prepared when it is submitted. */
export interface Supply {
  /** Maximal number of jobs that wait or run at a time. */
  readonly window: number;
  /** Prepares the next job; `undefined` if there is no more. */
  readonly next: () => Call.Prepared | undefined;
  /** How long the call has run, in milliseconds: its limits count from its beginning. */
  readonly elapsed?: (() => number) | undefined;
  /** The slots of the jobs. */
  readonly pins?: ReadonlyArray<Slot> | undefined;
}

/** Receives the Exit of a job, its index, and what is known of it. A failure that it returns ends the call. */
type Settled = (exit: JobExit, index: number, report: Call.Report | undefined) => Exit.Exit<void, unknown>;

/** The jobs of one call. */
class Batch {
  readonly #gate: Gate;
  readonly #supply: Supply;
  readonly #terms: Terms;
  readonly #settled: Settled;
  readonly #ended: (exit: Exit.Exit<void, unknown>) => void;
  /** The jobs that have not settled. */
  readonly #jobs = new SmallSet<Job>();
  #open = 0;
  #submitted = 0;
  /** Waits for room in the queue of the pool. */
  #entering = false;
  #submitting = false;
  #leave = (): void => {};
  /** No more jobs follow. */
  #exhausted = false;
  #stopping = false;
  #isOver = false;
  #failure: Exit.Exit<never, unknown> | undefined;
  #stopped = (): void => {};

  constructor(
    gate: Gate,
    supply: Supply,
    terms: Terms,
    settled: Settled,
    ended: (exit: Exit.Exit<void, unknown>) => void,
  ) {
    this.#gate = gate;
    this.#supply = supply;
    this.#terms = terms;
    this.#settled = settled;
    this.#ended = ended;
  }

  /** Submits jobs as far as there is room, and the others when there is. */
  submit(): void {
    // A job that settles at once comes back here.
    if (this.#submitting) return;
    this.#submitting = true;
    const { admission } = this.#gate;
    while (!this.#exhausted && !this.#entering && this.#open < this.#supply.window) {
      if (admission.open) this.#submitOne();
      else {
        this.#entering = true;
        this.#leave = admission.enter(() => {
          this.#entering = false;
          this.#submitOne();
          this.submit();
        });
      }
    }
    this.#submitting = false;
    this.#check();
  }

  /** Stops all jobs, and calls back when they have stopped. */
  interrupt(stopped: () => void): void {
    if (this.#isOver) return stopped();
    this.#stopped = stopped;
    this.#stop();
  }

  #submitOne(): void {
    const prepared = this.#supply.next();
    if (prepared === undefined) {
      this.#exhausted = true;
      return;
    }
    const index = this.#submitted++;
    this.#open++;
    const { elapsed, pins } = this.#supply;
    // A job that cannot be sent settles before `submit` has returned.
    let isSync = true;
    let early: JobExit | undefined;
    const receive = (exit: JobExit, report: Call.Report | undefined): void => {
      if (isSync) early = exit;
      else {
        this.#jobs.delete(job);
        this.#settle(exit, index, report);
      }
    };
    const job = this.#gate.submit(prepared, receive, this.#terms, pins?.[index], elapsed?.());
    isSync = false;
    if (early !== undefined) this.#settle(early, index, undefined);
    else this.#jobs.add(job);
  }

  #settle(exit: JobExit, index: number, report: Call.Report | undefined): void {
    const outcome = this.#settled(exit, index, report);
    if (Exit.isFailure(outcome) && this.#failure === undefined) {
      this.#failure = Exit.failCause(outcome.cause);
      this.#stop();
    }
    this.#open--;
    this.submit();
  }

  #stop(): void {
    if (this.#stopping) return;
    this.#stopping = this.#exhausted = true;
    this.#leave();
    for (const job of this.#jobs) {
      if (!this.#gate.dispatcher.cancel(job)) continue;
      this.#jobs.delete(job);
      this.#open--;
    }
    this.#check();
  }

  #check(): void {
    if (this.#isOver || !this.#exhausted || this.#open > 0) return;
    this.#isOver = true;
    this.#ended(this.#failure ?? Exit.void);
    this.#stopped();
  }
}

/** The jobs of a call that were prepared before. With `pins`, each job runs in its slot. */
export const all = (prepared: ReadonlyArray<Call.Prepared>, pins?: ReadonlyArray<Slot>): Supply => {
  let next = 0;
  return {
    window: Infinity,
    next: () => prepared[next++],
    pins,
  };
};

/**
 * Runs jobs until all have settled, and passes the Exit of each, with its index, to `settled`. The first failure that `settled` returns
 * stops the other jobs; the Effect fails with it when they have stopped. *Interruption:* stops all jobs, and waits until they have
 * stopped.
 */
export const runAll = (
  gate: Gate,
  supply: Supply,
  terms: Terms,
  settled: Settled,
): Effect.Effect<void, unknown> =>
  Effect.async((resume) => {
    const batch = new Batch(gate, supply, terms, settled, resume);
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
      long: false,
      encoding: 0,
      begin: (child, done) => {
        giveBack = () => done(Exit.void);
        const stopping = (): void => job && dispatcher.hurry(job);
        resume(Exit.succeed({ child, onRevoked, stopping }));
        const cancel = (): void => {
          cause = job?.overrun ?? Cause.interrupt(FiberId.none);
          revoke(cause);
        };
        return { interruptible: true, report: undefined, cancel, forget: () => {} };
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
