/**
 * Assigns jobs to workers: one FIFO queue of jobs, and one request at a time over each worker's private link.
 *
 * The dispatcher knows which worker holds which job, so the death of a worker settles exactly that job. Every job settles
 * once. A waiting job costs one place in a list, and the work is linear in the number of jobs.
 *
 * @module
 */
import type * as Cause from "effect/Cause";
import * as Duration from "effect/Duration";
import type * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import type { Child } from "../../Backend.ts";
import type * as Call from "../child/call.ts";
import { after } from "../os/timer.ts";

/** The answer of a worker: an Exit, or an Effect of it if a Schema has to decode the answer. */
export type Reply = Effect.Effect<unknown, unknown>;

/** The Exit that a job settles with. */
export type JobExit = Exit.Exit<unknown, unknown>;

/** Begins a job on a worker, and calls `done` once. */
export type Begin = (child: Child, done: (reply: Reply) => void) => Call.OpenCall;

/** A job, waiting or running. */
export interface Job {
  /** Name of its task. */
  readonly task: string;
  readonly begin: Begin;
  readonly settle: (exit: JobExit) => void;
  /** How long it may run, in milliseconds. */
  readonly timeout: number;
  state: "waiting" | "running" | "settled";
  /** The slot whose worker runs it. */
  slot: Slot | undefined;
  call: Call.OpenCall | undefined;
  /** Stops the timer that limits how long it may take to stop. */
  deadline: (() => void) | undefined;
  /** Whether its worker is being killed because of it. */
  condemned: boolean;
  /** Stops the timer that limits how long it may run. */
  limit: (() => void) | undefined;
  /** What it settles with instead of its answer, because it was stopped by the pool. */
  overrun: Cause.Cause<unknown> | undefined;
}

/** The place of one worker, which a replacement takes over. */
export interface Slot {
  child: Child | undefined;
  /** Number of jobs that this worker has had. */
  jobs: number;
  /** Name of the task of this worker's last job. */
  task: string | undefined;
}

/** Options of a {@link Dispatcher}. */
export interface Options {
  /** How long a job may take to stop. */
  readonly gracePeriod: Duration.DurationInput;
  /** Kills a worker whose job does not stop. */
  readonly kill: (slot: Slot, child: Child) => void;
  /** Number of jobs after which a worker is replaced. */
  readonly maxJobs: number;
  /** Runs a reply that is not an Exit yet. */
  readonly run: (reply: Reply, done: (exit: JobExit) => void) => void;
  /** The cause with which a job fails that has run for too long. */
  readonly overrun: (timeout: number) => Cause.Cause<unknown>;
  /** A worker has become idle, since no job waits. */
  readonly onIdle: () => void;
}

/** The queue of jobs and the idle workers. */
export class Dispatcher {
  readonly #idle: Array<Slot> = [];
  readonly #running = new Set<Job>();
  readonly #grace: number;
  readonly #options: Options;
  #jobs: Array<Job | undefined> = [];
  /** Index of the first waiting job. */
  #head = 0;
  /** Number of jobs in the list that were taken back. */
  #removed = 0;
  #refusal: Cause.Cause<unknown> | undefined;
  /** Number of jobs whose replies are being decoded: their workers have finished them. */
  #decoding = 0;
  readonly #drained: Array<() => void> = [];
  /** Number of jobs that succeeded. */
  completed = 0;
  /** Number of jobs that failed or were interrupted. */
  failed = 0;

  constructor(options: Options) {
    this.#grace = Duration.toMillis(options.gracePeriod);
    this.#options = options;
  }

  /** Number of running jobs. */
  get busy(): number {
    return this.#running.size;
  }

  /** Number of jobs that wait for a worker. */
  get waiting(): number {
    return this.#jobs.length - this.#head - this.#removed;
  }

  /** Accepts a job, which settles later, or at once if the dispatcher is closed. */
  submit(task: string, begin: Begin, settle: (exit: JobExit) => void, timeout: number = Infinity): Job {
    const job: Job = {
      task,
      begin,
      settle,
      timeout,
      state: "waiting",
      slot: undefined,
      call: undefined,
      deadline: undefined,
      condemned: false,
      limit: undefined,
      overrun: undefined,
    };
    if (this.#refusal !== undefined) this.#settle(job, Exit.failCause(this.#refusal));
    else if (this.#idle.length > 0) this.#run(this.#idle.pop()!, job);
    else this.#jobs.push(job);
    return job;
  }

  /**
   * Takes a waiting job back: it never settles, and the result is `true`. A running job is asked to stop, and settles with its
   * outcome, if necessary after its worker has been killed.
   */
  cancel(job: Job): boolean {
    if (job.state === "waiting") {
      job.state = "settled";
      this.#removed++;
      this.#checkDrained();
      return true;
    }
    if (job.state === "running" && job.deadline === undefined) {
      job.call?.cancel();
      this.hurry(job);
    }
    return false;
  }

  /** Gives a running job the grace period to end. Then its worker is killed. */
  hurry(job: Job): void {
    if (job.state !== "running") return;
    job.deadline ??= after(this.#grace, () => {
      const { slot } = job;
      if (slot?.child === undefined) return;
      job.condemned = true;
      this.#options.kill(slot, slot.child);
    });
  }

  /** Adds a worker that can run jobs. */
  add(slot: Slot, child: Child): void {
    slot.child = child;
    slot.jobs = 0;
    slot.task = undefined;
    child.link.onClosed(() => {
      // The link has settled the worker's job.
      slot.child = undefined;
      const at = this.#idle.indexOf(slot);
      if (at >= 0) this.#idle.splice(at, 1);
    });
    if (slot.child !== undefined) this.#next(slot);
  }

  /** Settles every waiting job, and every later one, with this cause. */
  close(refusal: Cause.Cause<unknown>): void {
    this.#refusal ??= refusal;
    const jobs = this.#jobs.slice(this.#head);
    this.#jobs = [];
    this.#head = 0;
    this.#removed = 0;
    for (const job of jobs) if (job?.state === "waiting") this.#settle(job, Exit.failCause(refusal));
  }

  /** Settles every job with this cause, a running job as soon as it has stopped. */
  terminate(refusal: Cause.Cause<unknown>): void {
    this.close(refusal);
    for (const job of this.#running) {
      job.overrun = refusal;
      this.cancel(job);
    }
  }

  /** Calls back when no job waits or runs, and all have settled. */
  onceDrained(done: () => void): void {
    this.#drained.push(done);
    this.#checkDrained();
  }

  /** Gives the next job to an idle worker. */
  #next(slot: Slot): void {
    if (slot.jobs >= this.#options.maxJobs) {
      // The supervisor of the slot sees the worker end, and starts a replacement.
      slot.child?.link.close();
      slot.child = undefined;
      return;
    }
    const job = this.#take();
    if (job !== undefined) return this.#run(slot, job);
    this.#idle.push(slot);
    this.#options.onIdle();
  }

  /** Takes the first waiting job off the queue. */
  #take(): Job | undefined {
    while (this.#head < this.#jobs.length) {
      const job = this.#jobs[this.#head]!;
      this.#jobs[this.#head++] = undefined;
      // Dropping one half at a time keeps the cost in proportion to what was taken.
      if (this.#head > 1024 && this.#head * 2 > this.#jobs.length) {
        this.#jobs = this.#jobs.slice(this.#head);
        this.#head = 0;
      }
      if (job.state === "waiting") return job;
      this.#removed--;
    }
    return undefined;
  }

  #run(slot: Slot, job: Job): void {
    const child = slot.child!;
    job.state = "running";
    job.slot = slot;
    slot.jobs++;
    slot.task = job.task;
    this.#running.add(job);
    let isSync = true;
    let goOn = false;
    const call = job.begin(child, (reply) => {
      this.#finish(job, job.overrun === undefined ? reply : Exit.failCause(job.overrun));
      // An answer may arrive while the worker is being killed: a job that is sent to it now would die with it.
      if (child.link.closed !== undefined || job.condemned) return;
      if (isSync) goOn = true;
      else this.#next(slot);
    });
    isSync = false;
    if (job.state === "running") {
      job.call = call;
      job.limit = after(job.timeout, () => {
        job.overrun = this.#options.overrun(job.timeout);
        this.cancel(job);
      });
    }
    // The job could not be sent. Continuing here, not in the callback, keeps a long row of such jobs off the stack.
    if (goOn) this.#next(slot);
  }

  /** A worker has finished a job. */
  #finish(job: Job, reply: Reply): void {
    if (Exit.isExit(reply)) return this.#settle(job, reply);
    this.#decoding++;
    this.#release(job);
    this.#options.run(reply, (exit) => {
      this.#decoding--;
      this.#settle(job, exit);
    });
  }

  #settle(job: Job, exit: JobExit): void {
    this.#release(job);
    if (Exit.isSuccess(exit)) this.completed++;
    else this.failed++;
    job.settle(exit);
    this.#checkDrained();
  }

  /** A job neither waits nor runs any more. */
  #release(job: Job): void {
    job.state = "settled";
    job.slot = undefined;
    job.call = undefined;
    this.#running.delete(job);
    job.deadline?.();
    job.limit?.();
  }

  #checkDrained(): void {
    if (this.#drained.length === 0 || this.busy > 0 || this.waiting > 0 || this.#decoding > 0) return;
    for (const done of this.#drained.splice(0)) done();
  }
}
