/**
 * Assigns jobs to workers.
 *
 * - One queue holds the jobs that any worker may run, and each slot has a queue of the jobs that only its worker may run.
 * - The dispatcher knows which worker holds which job, so the death of a worker concerns exactly its jobs. Every job settles once.
 * - A worker runs `concurrency` jobs at a time. Up to `ahead` more are sent to it, and it takes them up one after the other;
 *   those that it has not taken up when it dies wait again. A job that was sent ahead counts as waiting.
 * - A worker whose slot has tickets gives back what it has not begun, even while it computes: to a worker that has nothing to do, for a
 *   job of a larger priority, and when a limit of the job passes or its caller gives up. With `measured`, only such workers are sent jobs
 *   ahead, and only behind jobs that are known to be short.
 * - A waiting job costs one place in a list, and the work is linear in the number of jobs.
 *
 * @module
 */
import * as Cause from "effect/Cause";
import * as Duration from "effect/Duration";
import type * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import type { Child } from "../../Backend.ts";
import type { Place, Report } from "../child/call.ts";
import type { Tickets } from "../child/tickets.ts";
import { SmallSet } from "../os/small.ts";
import type { PoolError } from "./errors.ts";
import { Job, type JobExit, type Reply, type Settle, type Slot, type Terms, unlimited, type Work } from "./job.ts";
import type { Observations } from "./insights.ts";
import { JobQueue } from "./job_queue.ts";
import { judge } from "./retry.ts";

/** Options of a {@link Dispatcher}. */
export interface Options {
  /** How long a job may take to stop. */
  readonly gracePeriod: Duration.DurationInput;
  /** Number of jobs that a worker runs at a time. */
  readonly concurrency: number;
  /** Number of jobs that are sent to a worker before it can run them. */
  readonly ahead: number;
  /** Whether jobs are sent ahead only behind short ones, and only if they can be taken back. */
  readonly measured: boolean;
  /** Number of jobs after which a worker is replaced. */
  readonly maxJobs: number;
  /** Kills a worker whose job does not stop. */
  readonly kill: (slot: Slot, child: Child) => void;
  /** Runs a reply that is not an Exit yet. */
  readonly run: (reply: Reply, done: (exit: JobExit) => void) => void;
  /** Runs an Effect, and calls back with whether it has succeeded. Returns a function that stops it. */
  readonly rest: (until: Effect.Effect<unknown, unknown>, done: (succeeded: boolean) => void) => () => void;
  /** Runs a function after a number of milliseconds. Returns a function that stops the timer. */
  readonly after: (millis: number, run: () => void) => () => void;
  /** The error of a job that has exceeded one of its limits. */
  readonly overrun: (reason: "Timeout" | "QueueTimeout" | "Deadline", millis: number) => PoolError;
  /** A worker has become idle, since no job waits for it. */
  readonly onIdle: (slot: Slot) => void;
  /** A job waits, since no worker can take it. */
  readonly onWaiting: () => void;
  /** Jobs are to be sent ahead to a worker, and its slot has no tickets. May be called again. */
  readonly onAhead: (slot: Slot, child: Child) => void;
  /** A worker has received the last job that it may have. */
  readonly onLast: (slot: Slot) => void;
  /** A worker has finished a job. */
  readonly onFinished: (slot: Slot, end: number) => void;
  /** Learns how long jobs wait and run. */
  readonly observations: Observations;
}

/** Work that a worker has, in milliseconds, behind which it gets more jobs if their times are measured. */
const ENOUGH = 0.5;

/** How long the jobs of a task have taken lately, in milliseconds, and how many of them were measured. */
interface Known {
  mean: number;
  count: number;
}

/** Number of jobs of a task after which its time is known. */
const KNOWN = 16;

/** How long a worker must have run a job, in milliseconds, before those behind it are given to other workers that are busy as well. */
const LATE = 5;

/** A number for a slot and a key, by which each key ranks the slots in an order of its own. */
const rank = (slot: number, key: string): number => {
  let hash = 0x811c9dc5 ^ slot;
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ slot ^ hash >>> 15, 0x2c1b3c6d);
  hash = Math.imul(hash ^ hash >>> 12, 0x297a2d39);
  return (hash ^ hash >>> 15) >>> 0;
};

/** The place of one attempt of a job among those of its worker. */
class Placed implements Place {
  readonly ahead: boolean;
  readonly ticket: number;
  readonly #job: Job;
  readonly #tickets: Tickets | undefined;

  constructor(job: Job, tickets: Tickets | undefined) {
    this.ahead = job.ahead;
    this.ticket = job.ticket;
    this.#job = job;
    this.#tickets = tickets;
  }

  unbegun(): boolean {
    return this.ticket === 0 ? this.#job.ahead : this.#tickets!.recall(this.ticket);
  }
}

/** The waiting jobs and the slots. */
export class Dispatcher {
  readonly #options: Options;
  readonly #grace: number;
  /** Number of jobs that a worker may hold. */
  readonly #limit: number;
  readonly #slots: Array<Slot> = [];
  /** Slots whose workers have no job. The last one has become idle last. */
  readonly #idle: Array<Slot> = [];
  readonly #queue = new JobQueue();
  readonly #running = new SmallSet<Job>();
  /** The running jobs that their workers have not taken up, in the order in which they were sent. */
  readonly #ahead = new SmallSet<Job>();
  /** At most the smallest priority of these. */
  #floor = Infinity;
  /** How long the jobs of each task have taken lately, in milliseconds, and how many of them were measured. */
  readonly #times = new Map<string, Known>();
  /** URLs of the modules of all tasks that a worker was given. */
  readonly modules = new Set<string>();
  readonly #resting = new Set<Job>();
  #refusal: Cause.Cause<unknown> | undefined;
  #sequence = 0;
  #waiting = 0;
  /** Number of jobs whose replies are being decoded: their workers have finished them. */
  #decoding = 0;
  #drained: Array<() => void> = [];
  /** Called when a job has left the queue. */
  onRoom: (() => void) | undefined;
  /** Number of jobs that succeeded. */
  completed = 0;
  /** Number of jobs that failed or were interrupted. */
  failed = 0;
  /** Number of attempts that failed and were followed by another one. */
  retried = 0;

  constructor(options: Options) {
    this.#grace = Duration.toMillis(options.gracePeriod);
    this.#limit = options.concurrency + options.ahead;
    this.#options = options;
  }

  /** Number of jobs that workers run. */
  get busy(): number {
    return this.#running.size - this.#ahead.size;
  }

  /** Number of jobs that wait for a worker, or that a worker has not taken up. */
  get waiting(): number {
    return this.#waiting + this.#ahead.size;
  }

  /** Number of jobs that wait for the time of their next attempt. */
  get resting(): number {
    return this.#resting.size;
  }

  /** Whether it settles every job at once. */
  get refuses(): boolean {
    return this.#refusal !== undefined;
  }

  /** The slots. */
  get slots(): ReadonlyArray<Slot> {
    return this.#slots;
  }

  /**
   * Accepts a job, which settles later, or at once if the dispatcher is closed. The limits for its wait and in all count from `elapsed`
   * milliseconds ago.
   */
  submit(work: Work, settle: Settle, terms: Terms = unlimited, pinned?: Slot, elapsed = 0): Job {
    const now = performance.now();
    const job = new Job(work, settle, terms, this.#sequence++, pinned, now);
    if (this.#refusal !== undefined) {
      this.#settle(job, Exit.failCause(this.#refusal));
      return job;
    }
    const { deadline, queueTimeout } = terms;
    if (deadline !== Infinity) {
      job.deadline = this.#options.after(
        Math.max(0, deadline - elapsed),
        () => this.#overrun(job, "Deadline", deadline),
      );
    }
    this.#place(job, now);
    if ((job.state === "waiting" || job.ahead && job.ticket !== 0) && queueTimeout !== Infinity) {
      const patience = Math.max(0, queueTimeout - elapsed);
      job.patience = this.#options.after(patience, () => this.#overrun(job, "QueueTimeout", queueTimeout));
    }
    return job;
  }

  /**
   * Takes back a job that no worker has: it never settles, and the result is `true`. A job that a worker has is asked to stop, and
   * settles with its outcome, if necessary after its worker has been killed.
   */
  cancel(job: Job): boolean {
    this.#recall(job);
    if (job.state === "waiting" || job.state === "resting") {
      this.#withdraw(job);
      this.#release(job);
      this.#checkDrained();
      return true;
    }
    if (job.state === "running" && !job.cancelled) {
      job.cancelled = true;
      this.#stop(job);
    }
    return false;
  }

  /** Gives a running job the grace period to end. Then its worker is killed. */
  hurry(job: Job): void {
    // A job that its worker has not taken up ends with the one before it.
    if (job.state !== "running" || job.grace !== undefined || job.ahead) return;
    job.grace = this.#options.after(this.#grace, () => this.#condemn(job));
  }

  /** Adds a slot, whose worker follows. */
  open(slot: Slot): void {
    this.#slots.push(slot);
  }

  /** Removes a slot without a worker. Its jobs wait elsewhere. */
  close(slot: Slot): void {
    const at = this.#slots.indexOf(slot);
    if (at >= 0) this.#slots.splice(at, 1);
    const now = performance.now();
    for (const job of slot.own.clear()) {
      this.#waiting--;
      this.#place(job, now);
    }
  }

  /** Adds a worker that can run jobs, and has taken so many milliseconds to start. */
  add(slot: Slot, child: Child, starting: number): void {
    slot.child = child;
    slot.tickets = undefined;
    slot.starting = starting;
    slot.memory = undefined;
    slot.jobs = 0;
    slot.task = undefined;
    // The stream of a worker that has died may still be given back.
    slot.running = new SmallSet();
    slot.name = child.name;
    const now = slot.startedAt = performance.now();
    slot.busyTime = 0;
    slot.draining = false;
    slot.leaving = false;
    slot.killing = false;
    child.link.onClosed(() => {
      // The link has settled the worker's jobs.
      slot.child = undefined;
      slot.tickets = undefined;
      this.#unlist(slot);
    });
    if (slot.child !== undefined) this.#feed(slot, now);
  }

  /** Ends a worker in good order as soon as it has finished its jobs. It gets no more. */
  retire(slot: Slot): void {
    slot.leaving = true;
    this.#unlist(slot);
    this.#depart(slot);
  }

  /** Settles every waiting job, and every later one, with this cause. */
  refuse(refusal: Cause.Cause<unknown>): void {
    this.#refusal ??= refusal;
    this.#requeue([...this.#ahead]);
    const jobs = [...this.#queue.clear(), ...this.#slots.flatMap(({ own }) => [...own.clear()]), ...this.#resting];
    this.#waiting = 0;
    for (const job of jobs) this.#settle(job, Exit.failCause(refusal));
    this.onRoom?.();
  }

  /** Settles every job with this cause, a running job as soon as it has stopped. */
  terminate(refusal: Cause.Cause<unknown>): void {
    this.refuse(refusal);
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

  // Placing

  /** Gives a job to a worker that can take it, or lets it wait. */
  #place(job: Job, now: number, first: boolean = false): void {
    const { priority } = job.terms;
    if (priority > this.#floor) this.#makeWay(priority);
    const home = job.pinned ?? this.#home(job.terms.affinity);
    const slot = home ?? this.#pick(job);
    if (slot !== undefined && this.#takes(slot, job) && (first || !this.#overtakes(slot))) {
      this.#run(slot, job, now);
      // The job could not be sent.
      if (job.state !== "running") this.#feed(slot, now);
      return;
    }
    job.state = "waiting";
    (home?.own ?? this.#queue).push(job, first);
    this.#waiting++;
    this.#options.onWaiting();
  }

  /** The slot of a key: each key prefers the slots in an order of its own, so a slot that is added or removed moves few keys. */
  #home(key: string | number | undefined): Slot | undefined {
    if (key === undefined) return undefined;
    const text = String(key);
    let best: Slot | undefined;
    let highest = -1;
    for (const slot of this.#slots) {
      const value = slot.surplus ? -1 : rank(slot.id, text);
      if (value > highest) {
        highest = value;
        best = slot;
      }
    }
    return best;
  }

  /** The slot whose worker has the fewest jobs, if it can take one more. */
  #pick(job: Job): Slot | undefined {
    if (this.#limit === 1 || this.#idle.length > 0) return this.#idle.at(-1);
    if (this.#queue.size > 0 && this.#options.concurrency === 1) return undefined;
    let best: Slot | undefined;
    for (const slot of this.#slots) {
      if (this.#takes(slot, job) && (best === undefined || slot.running.size < best.running.size)) best = slot;
    }
    return best;
  }

  #isOpen(slot: Slot): boolean {
    return slot.child !== undefined && !slot.draining && !slot.leaving && slot.jobs < this.#options.maxJobs;
  }

  #takes(slot: Slot, job: Job): boolean {
    if (!this.#isOpen(slot) || slot.running.size >= this.#limit) return false;
    return slot.running.size < this.#options.concurrency || this.#takesAhead(slot, job);
  }

  /** Whether a busy worker gets a job ahead. */
  #takesAhead(slot: Slot, { work }: Job): boolean {
    const { measured } = this.#options;
    if (!work.queueable || measured && work.long) return false;
    let time = 0;
    let hasTickets = true;
    let task: string | undefined;
    let known: Known | undefined;
    for (const other of slot.running) {
      if (other.work.long) return false;
      if (measured) {
        // Most are of one task.
        if (task !== other.work.task) known = this.#times.get(task = other.work.task);
        if (known === undefined || known.count < KNOWN) return false;
        time += known.mean;
      } else if (!other.placed) return false;
      if (other.ticket === 0) hasTickets = false;
    }
    if (time >= ENOUGH) return false;
    if (slot.tickets === undefined) {
      this.#options.onAhead(slot, slot.child!);
      return !measured;
    }
    // A worker that takes no more of those with a ticket would never take up one behind another that has none.
    return hasTickets;
  }

  /** Whether a job that is sent ahead to a worker would overtake waiting jobs. */
  #overtakes(slot: Slot): boolean {
    return slot.running.size >= this.#options.concurrency && this.#queue.size + slot.own.size > 0;
  }

  /** Gives a worker as many jobs as it can take. */
  #feed(slot: Slot, now: number): void {
    if (this.#ahead.size > 0) this.#relieve(slot, now);
    if (this.#isSupplied(slot)) return;
    while (this.#isOpen(slot)) {
      const queue = this.#queueOf(slot);
      const job = queue?.peek();
      if (queue === undefined || job === undefined) {
        if (slot.running.size === 0 && this.#steal(slot)) continue;
        break;
      }
      if (!this.#takes(slot, job)) break;
      queue.shift();
      this.#waiting--;
      this.#run(slot, job, now);
      this.onRoom?.();
    }
    if (slot.running.size > 0) return;
    if (!this.#isOpen(slot)) return this.#depart(slot);
    if (this.#idle.includes(slot)) return;
    this.#idle.push(slot);
    slot.idleSince = now;
    this.#options.onIdle(slot);
  }

  /** Whether a worker has most of its jobs ahead. It gets the next ones together, because messages cost more than what is in them. */
  #isSupplied({ running }: Slot): boolean {
    const { ahead, concurrency } = this.#options;
    return running.size > concurrency + ahead / 2;
  }

  /** The queue whose first job is the next one of a slot. */
  #queueOf(slot: Slot): JobQueue | undefined {
    if (slot.own.size === 0) return this.#queue.size === 0 ? undefined : this.#queue;
    if (this.#queue.size === 0) return slot.own;
    const own = slot.own.peek()!;
    const any = this.#queue.peek()!;
    const difference = own.terms.priority - any.terms.priority || any.sequence - own.sequence;
    return difference > 0 ? slot.own : this.#queue;
  }

  /** Ends a worker that is to leave and has no job. The supervisor of the slot sees its end. */
  #depart(slot: Slot): void {
    const { child } = slot;
    if (child === undefined || slot.running.size > 0) return;
    if (!slot.leaving && slot.jobs < this.#options.maxJobs) return;
    slot.child = undefined;
    child.link.close();
  }

  #unlist(slot: Slot): void {
    const at = this.#idle.indexOf(slot);
    if (at >= 0) this.#idle.splice(at, 1);
  }

  // Taking back

  /** Takes a job back from its worker if it was sent ahead and has not begun. It waits then, in no queue yet. */
  #recall(job: Job): boolean {
    const { call, slot, ticket } = job;
    if (!job.ahead || ticket === 0 || slot === undefined || call === undefined) return false;
    if (slot.tickets?.recall(ticket) !== true) return false;
    call.forget();
    slot.running.delete(job);
    slot.jobs--;
    this.#running.delete(job);
    this.#unmark(job);
    job.state = "waiting";
    job.slot = undefined;
    job.call = undefined;
    // Its link may still tell of the request.
    job.attempt++;
    return true;
  }

  /** Takes back those jobs that have not begun, and lets them wait before all others of their priority. */
  #requeue(jobs: ReadonlyArray<Job>): boolean {
    const recalled = jobs.filter((job) => this.#recall(job));
    for (const job of recalled.reverse()) {
      (this.#homeOf(job)?.own ?? this.#queue).push(job, true);
      this.#waiting++;
    }
    return recalled.length > 0;
  }

  /** Takes back jobs of a smaller priority, so that a job of this one begins before them. */
  #makeWay(priority: number): void {
    const jobs = [...this.#ahead];
    this.#requeue(jobs.filter((job) => job.terms.priority < priority));
    this.#floor = Infinity;
    for (const job of this.#ahead) this.#floor = Math.min(this.#floor, job.terms.priority);
  }

  /** Takes back a job for an idle worker. */
  #steal(slot: Slot): boolean {
    for (const job of this.#ahead) {
      if (job.slot !== slot && this.#homeOf(job) === undefined && this.#requeue([job])) return true;
    }
    return false;
  }

  /** Takes back the jobs of a worker that is late, because other workers would begin later jobs before them. */
  #relieve(slot: Slot, now: number): void {
    const oldest = this.#oldestFree();
    if (oldest === undefined) return;
    const late = oldest.slot!;
    if (late === slot || now - late.running.first!.since < LATE) return;
    this.#requeue([...late.running].filter((job) => this.#homeOf(job) === undefined));
  }

  /** The first job that was sent ahead and that any worker may run. */
  #oldestFree(): Job | undefined {
    const { first } = this.#ahead;
    // To look at all takes longer, and it is mostly the first.
    if (first === undefined || this.#homeOf(first) === undefined) return first;
    for (const job of this.#ahead) if (this.#homeOf(job) === undefined) return job;
    return undefined;
  }

  /** The only slot that may run a job. */
  #homeOf(job: Job): Slot | undefined {
    return job.pinned ?? this.#home(job.terms.affinity);
  }

  /** A job does not wait at its worker any more. */
  #unmark(job: Job): void {
    job.ahead = false;
    if (this.#ahead.delete(job) && this.#ahead.size === 0) this.#floor = Infinity;
  }

  // Running

  #run(slot: Slot, job: Job, now: number): void {
    const child = slot.child!;
    this.#unlist(slot);
    job.state = "running";
    job.slot = slot;
    job.condemned = false;
    job.overrun = undefined;
    slot.jobs++;
    const { running, tickets } = slot;
    running.add(job);
    if (running.size === 1) slot.busySince = now;
    this.#running.add(job);
    const { ahead: most, concurrency, measured } = this.#options;
    const ahead = running.size > concurrency;
    job.placed = job.work.queueable && (tickets !== undefined || most > 0 && !measured);
    job.ticket = job.placed && tickets !== undefined ? tickets.issue() : 0;
    if (ahead) {
      job.ahead = true;
      this.#ahead.add(job);
      this.#floor = Math.min(this.#floor, job.terms.priority);
    } else slot.task = job.work.task;
    if (job.work.module !== undefined) this.modules.add(job.work.module);
    if (!ahead || job.ticket === 0) this.#clearPatience(job);
    const place = job.placed ? new Placed(job, tickets) : undefined;
    const attempt = ++job.attempt;
    let isSync = true;
    const call = job.work.begin(child, (reply) => {
      // A link that ends tells also of a request that is taken back meanwhile.
      if (job.attempt !== attempt) return;
      const end = job.call?.report?.decodedAt ?? performance.now();
      running.delete(job);
      if (running.size === 0 && slot.running === running) slot.busyTime += end - slot.busySince;
      this.#finish(slot, child, job, job.overrun === undefined ? reply : Exit.failCause(job.overrun), end);
      // An answer may arrive while the worker is being killed: a job that is sent to it now would die with it.
      if (isSync || child.link.closed !== undefined) return;
      this.#settleSlot(slot);
      this.#feed(slot, end);
    }, place);
    isSync = false;
    if (job.attempt !== attempt || job.state !== "running") return;
    job.call = call;
    if (ahead) this.#options.onWaiting();
    else this.#takeUp(slot, job, now);
    if (slot.jobs === this.#options.maxJobs) this.#options.onLast(slot);
  }

  #clearPatience(job: Job): void {
    job.patience?.();
    job.patience = undefined;
  }

  /** A worker takes up a job now. */
  #takeUp(slot: Slot, job: Job, now: number): void {
    const { timeout } = job.terms;
    this.#unmark(job);
    this.#clearPatience(job);
    slot.task = job.work.task;
    if (job.past === undefined) this.#options.observations.takenUp(job, now - job.since);
    job.since = now;
    if (timeout !== Infinity) job.limit = this.#options.after(timeout, () => this.#overrun(job, "Timeout", timeout));
    if (job.cancelled || job.overrun !== undefined) this.hurry(job);
  }

  /** Asks the worker of a running job to stop it. */
  #stop(job: Job): void {
    job.call?.cancel();
    this.hurry(job);
  }

  /** A job has exceeded a limit. */
  #overrun(job: Job, reason: "Timeout" | "QueueTimeout" | "Deadline", millis: number): void {
    const cause = Cause.fail(this.#options.overrun(reason, millis));
    this.#recall(job);
    if (job.state === "waiting" || job.state === "resting") {
      this.#withdraw(job);
      this.#settle(job, Exit.failCause(cause));
    } else if (job.state === "running" && job.overrun === undefined && reason !== "QueueTimeout") {
      job.overrun = cause;
      if (!job.cancelled) this.#stop(job);
    }
  }

  /** A job has not stopped in time. Other jobs of its worker have one more grace period to end. */
  #condemn(job: Job): void {
    const { slot } = job;
    if (slot?.child === undefined || !slot.running.has(job)) return;
    job.condemned = true;
    slot.draining = true;
    this.#requeue([...slot.running]);
    job.grace = this.#options.after(this.#grace, () => this.#kill(slot));
    this.#settleSlot(slot);
  }

  /** Kills a worker when all its jobs are condemned; lets it go on when none is. */
  #settleSlot(slot: Slot): void {
    if (!slot.draining || slot.killing) return;
    const condemned = Array.from(slot.running, (job) => job.condemned || job.ahead);
    if (condemned.every((is) => is) && condemned.length > 0) this.#kill(slot);
    else if (!condemned.includes(true)) slot.draining = false;
  }

  #kill(slot: Slot): void {
    if (slot.child === undefined || slot.killing) return;
    slot.killing = true;
    this.#options.kill(slot, slot.child);
  }

  /** A worker has finished a job. */
  #finish(slot: Slot, child: Child, job: Job, reply: Reply, end: number): void {
    this.#running.delete(job);
    const { ahead, since } = job;
    const { name } = slot;
    const report = job.call?.report;
    this.#unmark(job);
    if (report?.work !== undefined) this.#measure(job, report.work);
    if (!ahead) this.#options.observations.ran(slot, job, end - since, report);
    job.slot = undefined;
    job.call = undefined;
    job.grace?.();
    job.limit?.();
    job.grace = job.limit = undefined;
    // The end of a batch takes the others back before they begin.
    if (report?.failed === true) this.#requeue([...slot.running]);
    // A worker that has died goes on with nothing. A job that was sent ahead and taken back has held up none.
    if (!ahead && slot.child !== undefined && slot.child.link.closed === undefined) this.#takeUpNext(slot, end);
    const conclude = (exit: JobExit): void => {
      const { timeline } = this.#options.observations;
      const failed = Exit.isFailure(exit);
      if (!ahead) timeline?.add({ worker: name, task: job.work.task, start: since, end, failed });
      // Its successor has its first job at once.
      if (slot.child === child) this.#options.onFinished(slot, end);
      this.#conclude(job, exit, report);
      if (ahead) this.onRoom?.();
    };
    if (Exit.isExit(reply)) return conclude(reply);
    this.#decoding++;
    this.#options.run(reply, (exit) => {
      this.#decoding--;
      // The deadline may have passed meanwhile.
      conclude(job.overrun === undefined || Exit.isSuccess(exit) ? exit : Exit.failCause(job.overrun));
    });
  }

  #measure({ work: { task } }: Job, millis: number): void {
    const known = this.#times.get(task);
    if (known === undefined) this.#times.set(task, { mean: millis, count: 1 });
    else {
      known.count++;
      known.mean += (millis - known.mean) / 8;
    }
  }

  /** The worker of a slot goes on with the first job that was sent ahead. */
  #takeUpNext(slot: Slot, now: number): void {
    if (this.#options.ahead === 0) return;
    const { running } = slot;
    let next = running.first;
    if (next !== undefined && !next.ahead) next = [...running].find(({ ahead }) => ahead);
    if (next === undefined) return;
    this.#takeUp(slot, next, now);
    this.onRoom?.();
  }

  // Settling

  /** An attempt has ended: its job settles, or is tried again. */
  #conclude(job: Job, exit: JobExit, report: Report | undefined): void {
    if (Exit.isSuccess(exit) || job.cancelled || this.#refusal !== undefined) return this.#settle(job, exit, report);
    const verdict = judge(job, exit);
    if (verdict._tag === "Settle") return this.#settle(job, verdict.exit, report);
    if (verdict._tag === "Again") return this.#retry(job);
    job.state = "resting";
    this.#resting.add(job);
    job.rest = this.#options.rest(verdict.until, (succeeded) => {
      if (job.state !== "resting") return;
      job.rest = undefined;
      this.#resting.delete(job);
      if (succeeded) this.#retry(job);
      else this.#settle(job, exit);
    });
  }

  #retry(job: Job): void {
    this.retried++;
    this.#options.observations.retried();
    this.#place(job, performance.now(), true);
  }

  /** Takes a job out of its queue or its rest. */
  #withdraw(job: Job): void {
    if (job.queue !== undefined) {
      job.queue.remove(job);
      this.#waiting--;
    }
    this.onRoom?.();
    this.#resting.delete(job);
    const stop = job.rest;
    job.rest = undefined;
    stop?.();
  }

  #settle(job: Job, exit: JobExit, report?: Report): void {
    this.#resting.delete(job);
    job.rest?.();
    this.#release(job);
    if (Exit.isSuccess(exit)) this.completed++;
    else this.failed++;
    this.#options.observations.settled(Exit.isSuccess(exit));
    job.settle(exit, report);
    this.#checkDrained();
  }

  /** A job ends here. */
  #release(job: Job): void {
    job.state = "settled";
    job.patience?.();
    job.deadline?.();
    job.grace?.();
  }

  #checkDrained(): void {
    if (this.#drained.length === 0 || this.busy + this.waiting + this.resting + this.#decoding > 0) return;
    for (const done of this.#drained.splice(0)) done();
  }
}
