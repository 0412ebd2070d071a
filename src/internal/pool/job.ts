/**
 * A job: one call of a task that a pool has accepted, from its submission until it settles.
 *
 * ```text
 *             cancelled, out of time: settled
 *            /                               \
 * waiting --- running --- settled             settled
 *    ^           |
 *    +- resting -+   the failed attempt is repeated
 * ```
 *
 * @module
 */
import type * as Cause from "effect/Cause";
import type * as Effect from "effect/Effect";
import type * as Exit from "effect/Exit";
import type { Child, ProcessDied } from "../../Backend.ts";
import type * as Call from "../child/call.ts";
import type { Tickets } from "../child/tickets.ts";
import { SmallSet } from "../os/small.ts";
import { JobQueue } from "./job_queue.ts";
import type { Retry } from "./retry.ts";

/** The answer of a worker: an Exit, or an Effect of it if a Schema has to decode the answer. */
export type Reply = Effect.Effect<unknown, unknown>;

/** The Exit that a job settles with. */
export type JobExit = Exit.Exit<unknown, unknown>;

/** Begins a job on a worker, and calls `done` once. With a place, the worker runs such jobs one after the other. */
export type Begin = (child: Child, done: (reply: Reply) => void, place: Call.Place | undefined) => Call.OpenCall;

/** Receives the Exit of a job, and what is known of its last attempt if a worker has answered it. */
export type Settle = (exit: JobExit, report: Call.Report | undefined) => void;

/** The work of a job. */
export interface Work {
  /** Name of its task. */
  readonly task: string;
  /** URL of the module of its task, if a spare worker can load it before it is needed. */
  readonly module?: string | undefined;
  /** Whether the task may run again after it has begun. */
  readonly idempotent: boolean;
  /** Whether a worker may receive it before it can run it. */
  readonly queueable: boolean;
  /** Whether its message is sent in parts, which a later message may overtake. */
  readonly long: boolean;
  /** How long its arguments took to be encoded, in milliseconds. */
  readonly encoding: number;
  /** Begins it. May be called again, for another attempt. */
  begin(...args: Parameters<Begin>): Call.OpenCall;
}

/** The conditions under which a job runs. Times are in milliseconds. */
export interface Terms {
  /** How long each attempt may run. */
  readonly timeout: number;
  /** How long the job may wait before its first attempt. */
  readonly queueTimeout: number;
  /** How long the job may take in all, from its submission. */
  readonly deadline: number;
  /** Jobs with a larger priority are taken first. */
  readonly priority: number;
  /** Jobs with the same key run in the same slot. */
  readonly affinity: string | number | undefined;
  /** Whether and when a failed attempt is repeated. */
  readonly retry: Retry | undefined;
}

/** A job that is subject to no limit. */
export const unlimited: Terms = {
  timeout: Infinity,
  queueTimeout: Infinity,
  deadline: Infinity,
  priority: 0,
  affinity: undefined,
  retry: undefined,
};

/**
 * A job.
 *
 * It is a class for the reason that `FifoEntry` in `../objects/fifo.ts` is one.
 */
export class Job {
  readonly work: Work;
  readonly settle: Settle;
  readonly terms: Terms;
  /** Orders the jobs of one priority. */
  readonly sequence: number;
  /** The only slot that may run it. */
  readonly pinned: Slot | undefined;
  state: "waiting" | "running" | "resting" | "settled" = "waiting";
  /** The queue in which it waits. */
  queue: JobQueue | undefined = undefined;
  /** The slot whose worker runs it. */
  slot: Slot | undefined = undefined;
  call: Call.OpenCall | undefined = undefined;
  /** Number of attempts so far. Only the last one may settle it. */
  attempt = 0;
  /** Whether it has a place among the jobs that its worker runs one after the other. */
  placed = false;
  /** Whether its worker has not taken it up: then it still counts as waiting. */
  ahead = false;
  /** By which it can be taken back from its worker; 0 if it cannot. */
  ticket = 0;
  /** Whether its caller has asked it to stop. */
  cancelled = false;
  /** Whether its worker is to be killed because of it. */
  condemned = false;
  /** What it settles with instead of its answer, because it was stopped by the pool. */
  overrun: Cause.Cause<unknown> | undefined = undefined;
  /** What its attempts have been through. */
  past: Past | undefined = undefined;
  /** Stops the timer that limits how long it may take to stop. */
  grace: (() => void) | undefined = undefined;
  /** Stops the timer that limits how long an attempt may run. */
  limit: (() => void) | undefined = undefined;
  /** Stops the timer that limits how long it may wait. */
  patience: (() => void) | undefined = undefined;
  /** Stops the timer of its deadline. */
  deadline: (() => void) | undefined = undefined;
  /** Stops the wait for its next attempt. */
  rest: (() => void) | undefined = undefined;
  /** When it was submitted or its attempt began; see `performance.now`. */
  since: number;

  constructor(work: Work, settle: Settle, terms: Terms, sequence: number, pinned: Slot | undefined, since: number) {
    this.work = work;
    this.settle = settle;
    this.terms = terms;
    this.sequence = sequence;
    this.pinned = pinned;
    this.since = since;
  }
}

/** The failed attempts of a job. */
export interface Past {
  /** The deaths of workers while they ran it. */
  readonly deaths: Array<ProcessDied>;
  /** Number of attempts that were repeated because a worker ran out of memory. */
  outOfMemory: number;
  /** Asks the schedule for the next attempt: succeeds when it may begin, fails if there is none. */
  readonly next: (failure: unknown) => Effect.Effect<unknown, unknown>;
}

/** The place of one worker, which a replacement takes over. */
export interface Slot {
  readonly id: number;
  child: Child | undefined;
  /** Number of jobs that this worker has had. */
  jobs: number;
  /** Name of the task of this worker's last job. */
  task: string | undefined;
  /** The jobs that this worker has, in the order in which it has received them. */
  running: SmallSet<Job>;
  /** By which jobs can be taken back from its worker. */
  tickets: Tickets | undefined;
  /** Jobs that only this slot may run. */
  readonly own: JobQueue;
  /** Gets no more jobs, because a job of its worker does not stop. */
  draining: boolean;
  /** Gets no more jobs, because its worker ends when it has finished its jobs. */
  leaving: boolean;
  /** Its worker is being killed. */
  killing: boolean;
  /** The slot is to end with its worker. */
  surplus: boolean;
  /** Since when its worker has been idle; see `performance.now`. */
  idleSince: number;
  /** Name of its last worker. */
  name: string;
  /** How long its worker took from its start until it could run jobs, in milliseconds. */
  starting: number;
  /** Memory of its worker in bytes, as it has said last. */
  memory: number | undefined;
  /** Since when its worker can run jobs. */
  startedAt: number;
  /** Since when its worker has had a job. */
  busySince: number;
  /** How long its worker had jobs before, in milliseconds. */
  busyTime: number;
}

/** Makes a slot without a worker. */
export const makeSlot = (id: number): Slot => ({
  id,
  child: undefined,
  jobs: 0,
  task: undefined,
  running: new SmallSet(),
  tickets: undefined,
  own: new JobQueue(),
  draining: false,
  leaving: false,
  killing: false,
  surplus: false,
  idleSince: 0,
  name: "",
  starting: 0,
  memory: undefined,
  startedAt: 0,
  busySince: 0,
  busyTime: 0,
});
