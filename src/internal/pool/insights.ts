/**
 * What a pool has observed of its jobs and workers.
 *
 * @module
 */
import * as Metric from "effect/Metric";
import * as MetricBoundaries from "effect/MetricBoundaries";
import * as Option from "effect/Option";
import type { Insights, SlowTask, WorkerInsight } from "../../Pool.ts";
import type { Report } from "../child/call.ts";
import { Histogram } from "./histogram.ts";
import type { Job, Slot } from "./job.ts";
import type { Timeline } from "./timeline.ts";

/** Number of the slowest jobs that are remembered. */
const SLOWEST = 10;

const boundaries = MetricBoundaries.exponential({ start: 0.1, factor: 4, count: 12 });

const waits = Metric.histogram(
  "multiprocessing_pool_queue_wait_millis",
  boundaries,
  "Time that tasks of pools have waited for a worker, in milliseconds",
);

const runs = Metric.histogram(
  "multiprocessing_pool_run_millis",
  boundaries,
  "Time that tasks of pools have run, from their start to their answer, in milliseconds",
);

const completed = Metric.counter("multiprocessing_pool_tasks_completed", {
  description: "Number of tasks of pools that succeeded",
  incremental: true,
});

const failed = Metric.counter("multiprocessing_pool_tasks_failed", {
  description: "Number of tasks of pools that failed or were stopped",
  incremental: true,
});

const retried = Metric.counter("multiprocessing_pool_tasks_retried", {
  description: "Number of attempts of tasks of pools that failed and were repeated",
  incremental: true,
});

const lost = Metric.counter("multiprocessing_pool_workers_lost", {
  description: "Number of workers of pools that died, or were killed because of a task that did not stop",
  incremental: true,
});

/** Number of jobs after which a pool judges whether they are worth their transfer. */
const ENOUGH = 1000;

/** Mean work of a job, in milliseconds, above which no hint is given: a busy machine also makes answers late. */
const WORTHWHILE = 0.5;

/** The hint for tasks that take less time than their transfer. Times are in milliseconds. */
const hint = (work: number, overhead: number): string => {
  const micros = (millis: number): number => Math.round(millis * 1000);
  return `Tasks of the pool take ${micros(work)} µs on average, and ${micros(overhead)} µs to be sent and answered: ` +
    "give a call with a timeout or a retry a larger chunkSize, or call map instead of apply and submit";
};

/** Observes the jobs of one pool. */
export class Observations {
  /** Records the jobs, if there is one. */
  readonly timeline: Timeline | undefined;
  readonly #encoded = new Histogram();
  readonly #waited = new Histogram();
  readonly #ran = new Histogram();
  readonly #worked = new Histogram();
  readonly #decoded = new Histogram();
  /** The slowest first. */
  readonly #slowest: Array<SlowTask> = [];
  /** Receives advice, once. */
  readonly #advise: (hint: string) => void;
  /** Number of jobs whose workers have reported the time of their work. */
  #reported = 0;
  /** How long these have run, transfer included, in milliseconds. */
  #running = 0;
  /** How long the workers have worked on them, in milliseconds. */
  #working = 0;

  constructor(timeline: Timeline | undefined, advise: (hint: string) => void) {
    this.timeline = timeline;
    this.#advise = advise;
  }

  /** A worker has taken up a job that has waited for so long. */
  takenUp(job: Job, millis: number): void {
    this.#encoded.record(job.work.encoding);
    this.#waited.record(millis);
    waits.unsafeUpdate(millis, []);
  }

  /** A job has settled. */
  settled(success: boolean): void {
    (success ? completed : failed).unsafeUpdate(1, []);
  }

  /** A failed attempt is repeated. */
  retried(): void {
    retried.unsafeUpdate(1, []);
  }

  /** A worker has died. */
  lost(): void {
    lost.unsafeUpdate(1, []);
  }

  /** A worker has finished a job that has run for so long. */
  ran(slot: Slot, job: Job, millis: number, report: Report | undefined): void {
    if (report !== undefined) this.#decoded.record(report.decoding);
    if (report?.work !== undefined) {
      this.#worked.record(report.work);
      if (this.#reported < ENOUGH) this.#judge(millis, report.work);
    }
    this.#ran.record(millis);
    runs.unsafeUpdate(millis, []);
    const slowest = this.#slowest;
    if (slowest.length === SLOWEST && slowest[SLOWEST - 1].millis >= millis) return;
    let at = slowest.length;
    while (at > 0 && slowest[at - 1].millis < millis) at--;
    slowest.splice(at, 0, { task: job.work.task, worker: slot.name, millis });
    if (slowest.length > SLOWEST) slowest.pop();
  }

  #judge(millis: number, work: number): void {
    this.#running += millis;
    this.#working += work;
    if (++this.#reported < ENOUGH) return;
    const overhead = this.#running - this.#working;
    const isSmall = this.#working / ENOUGH < WORTHWHILE;
    if (isSmall && overhead > this.#working) this.#advise(hint(this.#working / ENOUGH, overhead / ENOUGH));
  }

  /** What was observed so far. */
  insights(slots: ReadonlyArray<Slot>): Insights {
    const now = performance.now();
    return {
      encode: this.#encoded.summary(),
      queueWait: this.#waited.summary(),
      run: this.#ran.summary(),
      work: this.#worked.summary(),
      decode: this.#decoded.summary(),
      slowest: [...this.#slowest],
      workers: slots.flatMap((slot): ReadonlyArray<WorkerInsight> => {
        const { busySince, busyTime, child, jobs, memory, running, startedAt, starting } = slot;
        if (child === undefined) return [];
        const busy = busyTime + (running.size > 0 ? now - busySince : 0);
        return [{
          name: child.name,
          pid: child.pid,
          start: starting,
          tasks: jobs,
          busy,
          idle: Math.max(0, now - startedAt - busy),
          memory: Option.fromNullable(memory),
        }];
      }),
    };
  }
}
