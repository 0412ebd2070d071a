/**
 * Jobs that wait: those of the largest priority first, in the order of their submission.
 *
 * A job that leaves from the middle stays in its list until its turn comes, so every operation costs constant time per job.
 *
 * @module
 */
import type { Job } from "./job.ts";

/** The jobs of one priority. */
interface Lane {
  readonly priority: number;
  jobs: Array<Job | undefined>;
  /** Index of the first job. */
  head: number;
}

/** A queue of jobs. */
export class JobQueue {
  /** The largest priority first. */
  readonly #lanes: Array<Lane> = [];
  /** Number of jobs. */
  size = 0;

  /** Adds a job behind those of its priority; with `first`, before those that were submitted later. */
  push(job: Job, first: boolean = false): void {
    const lane = this.#lane(job.terms.priority);
    let at = first ? lane.head : lane.jobs.length;
    while (at < lane.jobs.length && lane.jobs[at]!.sequence < job.sequence) at++;
    if (at === lane.jobs.length) lane.jobs.push(job);
    else if (at > 0 && at === lane.head) lane.jobs[--lane.head] = job;
    else lane.jobs.splice(at, 0, job);
    job.queue = this;
    this.size++;
  }

  /** Takes a job out, wherever it stands. */
  remove(job: Job): void {
    job.queue = undefined;
    this.size--;
  }

  /** The first job. */
  peek(): Job | undefined {
    if (this.size === 0) return undefined;
    for (let at = 0; at < this.#lanes.length;) {
      const lane = this.#lanes[at];
      while (lane.head < lane.jobs.length) {
        const job = lane.jobs[lane.head]!;
        if (job.queue === this) return job;
        this.#drop(lane);
      }
      // A lane that was emptied may have been removed, and the next one has its index.
      if (this.#lanes[at] === lane) at++;
    }
    return undefined;
  }

  /** Takes the first job. */
  shift(): Job | undefined {
    const job = this.peek();
    if (job === undefined) return undefined;
    this.#drop(this.#lane(job.terms.priority));
    this.remove(job);
    return job;
  }

  /** Takes all jobs, in their order. */
  clear(): ReadonlyArray<Job> {
    const jobs: Array<Job> = [];
    for (let job = this.shift(); job !== undefined; job = this.shift()) jobs.push(job);
    return jobs;
  }

  #drop(lane: Lane): void {
    lane.jobs[lane.head++] = undefined;
    // Dropping one half at a time keeps the cost in proportion to what was taken.
    if (lane.head > 1024 && lane.head * 2 > lane.jobs.length) {
      lane.jobs = lane.jobs.slice(lane.head);
      lane.head = 0;
    }
    // Programs may use any number of priorities.
    if (lane.head === lane.jobs.length && lane.priority !== 0) this.#lanes.splice(this.#lanes.indexOf(lane), 1);
  }

  #lane(priority: number): Lane {
    const { length } = this.#lanes;
    let at = 0;
    while (at < length && this.#lanes[at].priority > priority) at++;
    if (this.#lanes[at]?.priority === priority) return this.#lanes[at];
    const lane: Lane = { priority, jobs: [], head: 0 };
    this.#lanes.splice(at, 0, lane);
    return lane;
  }
}
