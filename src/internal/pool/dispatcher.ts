/**
 * Which worker runs what: one queue, in order, and one request at a time over each worker's private link.
 *
 * The dispatcher knows which worker holds which job, so the death of a worker settles exactly its own job. Every job
 * settles once. Waiting costs one place in a list: the work is linear in the number of jobs, however many wait.
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

/** What a worker's answer gives: an exit, or an Effect of it, for an answer that a Schema decodes. */
export type Reply = Effect.Effect<unknown, unknown>;

/** What a job ends with. */
export type Settled = Exit.Exit<unknown, unknown>;

/** Begins a job on a worker; `done` is to be called once. */
export type Begin = (child: Child, done: (reply: Reply) => void) => Call.Job;

/** One piece of work of somebody, waiting or running. */
export interface Job {
  readonly begin: Begin;
  readonly settle: (exit: Settled) => void;
  /** How long it may run, in milliseconds. */
  readonly timeout: number;
  state: "waiting" | "running" | "settled";
  child: Child | undefined;
  call: Call.Job | undefined;
  /** Stops the timer of how long it may run on after it was asked to stop. */
  deadline: (() => void) | undefined;
  /** Its worker is being killed for it. */
  condemned: boolean;
  /** Stops the timer of how long it may run. */
  limit: (() => void) | undefined;
  /** What it settles with instead, since it has run too long. */
  overrun: Cause.Cause<unknown> | undefined;
}

/** A place for one worker, which may be replaced. */
export interface Slot {
  child: Child | undefined;
  /** Jobs that this worker has had. */
  jobs: number;
}

/** Options of a {@link Dispatcher}. */
export interface Options {
  /** How long a job that was asked to stop may take. */
  readonly gracePeriod: Duration.DurationInput;
  /** Ends a worker whose job does not stop. */
  readonly kill: (child: Child) => void;
  /** Jobs after which a worker is replaced. */
  readonly maxJobs: number;
  /** Runs a reply that is no exit yet. */
  readonly run: (reply: Reply, done: (exit: Settled) => void) => void;
  /** What a job that has run too long settles with. */
  readonly overrun: (timeout: number) => Cause.Cause<unknown>;
}

/** The queue and the workers. */
export class Dispatcher {
  readonly #idle: Array<Slot> = [];
  readonly #running = new Set<Job>();
  readonly #grace: number;
  readonly #options: Options;
  #jobs: Array<Job | undefined> = [];
  #head = 0;
  #removed = 0;
  #refusal: Cause.Cause<unknown> | undefined;
  /** Jobs whose replies are being decoded: their workers are done with them. */
  #decoding = 0;
  readonly #drained: Array<() => void> = [];
  /** Jobs that were settled with a success. */
  completed = 0;
  /** Jobs that were settled otherwise. */
  failed = 0;

  constructor(options: Options) {
    this.#grace = Duration.toMillis(options.gracePeriod);
    this.#options = options;
  }

  /** Jobs that run. */
  get busy(): number {
    return this.#running.size;
  }

  /** Jobs that wait for a worker. */
  get waiting(): number {
    return this.#jobs.length - this.#head - this.#removed;
  }

  /** Takes a job. It is settled later, or at once if the dispatcher is closed. */
  submit(begin: Begin, settle: (exit: Settled) => void, timeout: number = Infinity): Job {
    const job: Job = {
      begin,
      settle,
      timeout,
      state: "waiting",
      child: undefined,
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
   * Takes back a job that waits: it never settles, and the answer is `true`. One that runs is asked to stop, and settles
   * with what became of it, if need be when its worker has been killed.
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

  /** Gives a running job until the end of the grace period. */
  hurry(job: Job): void {
    if (job.state !== "running") return;
    job.deadline ??= after(this.#grace, () => {
      if (job.child === undefined) return;
      job.condemned = true;
      this.#options.kill(job.child);
    });
  }

  /** A worker is ready for its first job. */
  ready(slot: Slot, child: Child): void {
    slot.child = child;
    slot.jobs = 0;
    child.link.onClosed(() => {
      // Its job has been settled by the link.
      slot.child = undefined;
      const at = this.#idle.indexOf(slot);
      if (at >= 0) this.#idle.splice(at, 1);
    });
    if (slot.child !== undefined) this.#next(slot);
  }

  /** Settles every waiting job like this, and every later one. */
  close(refusal: Cause.Cause<unknown>): void {
    this.#refusal ??= refusal;
    const jobs = this.#jobs.slice(this.#head);
    this.#jobs = [];
    this.#head = 0;
    this.#removed = 0;
    for (const job of jobs) if (job?.state === "waiting") this.#settle(job, Exit.failCause(refusal));
  }

  /** Settles every job like this, those that run as soon as they have been stopped. */
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

  #next(slot: Slot): void {
    if (slot.jobs >= this.#options.maxJobs) {
      // Its supervisor sees it end, and puts another in its place.
      slot.child?.link.close();
      slot.child = undefined;
      return;
    }
    while (this.#head < this.#jobs.length) {
      const job = this.#jobs[this.#head]!;
      this.#jobs[this.#head++] = undefined;
      // Halving keeps the cost of forgetting what is done in proportion to what was done.
      if (this.#head > 1024 && this.#head * 2 > this.#jobs.length) {
        this.#jobs = this.#jobs.slice(this.#head);
        this.#head = 0;
      }
      if (job.state === "waiting") return this.#run(slot, job);
      this.#removed--;
    }
    this.#idle.push(slot);
  }

  #run(slot: Slot, job: Job): void {
    const child = slot.child!;
    job.state = "running";
    job.child = child;
    slot.jobs++;
    this.#running.add(job);
    let sync = true;
    let again = false;
    const call = job.begin(child, (reply) => {
      this.#end(job, job.overrun === undefined ? reply : Exit.failCause(job.overrun));
      // An answer may come while the signal is on its way: what was sent to this worker now would die with it.
      if (child.link.closed !== undefined || job.condemned) return;
      if (sync) again = true;
      else this.#next(slot);
    });
    sync = false;
    if (job.state === "running") {
      job.call = call;
      job.limit = after(job.timeout, () => {
        job.overrun = this.#options.overrun(job.timeout);
        this.cancel(job);
      });
    }
    // A job that could not even be sent: going on from here, not from within it, keeps a long row of them off the stack.
    if (again) this.#next(slot);
  }

  /** The worker is done with a job. */
  #end(job: Job, reply: Reply): void {
    if (Exit.isExit(reply)) return this.#settle(job, reply);
    this.#decoding++;
    this.#release(job);
    this.#options.run(reply, (exit) => {
      this.#decoding--;
      this.#settle(job, exit);
    });
  }

  #settle(job: Job, exit: Settled): void {
    this.#release(job);
    if (Exit.isSuccess(exit)) this.completed++;
    else this.failed++;
    job.settle(exit);
    this.#checkDrained();
  }

  /** A job neither waits nor runs any more. */
  #release(job: Job): void {
    job.state = "settled";
    job.child = undefined;
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
