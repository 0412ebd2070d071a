/**
 * What a pool has observed of its jobs and workers.
 *
 * @module
 */
import * as Metric from "effect/Metric";
import * as MetricBoundaries from "effect/MetricBoundaries";
import type { Insights, SlowTask, WorkerInsight } from "../../Pool.ts";
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

/** Observes the jobs of one pool. */
export class Observations {
  /** Records the jobs, if there is one. */
  readonly timeline: Timeline | undefined;
  readonly #waited = new Histogram();
  readonly #ran = new Histogram();
  /** The slowest first. */
  readonly #slowest: Array<SlowTask> = [];

  constructor(timeline: Timeline | undefined) {
    this.timeline = timeline;
  }

  /** A worker has taken up a job that has waited for so long. */
  waited(millis: number): void {
    this.#waited.record(millis);
    waits.unsafeUpdate(millis, []);
  }

  /** A worker has finished a job that has run for so long. */
  ran(slot: Slot, job: Job, millis: number): void {
    this.#ran.record(millis);
    runs.unsafeUpdate(millis, []);
    const slowest = this.#slowest;
    if (slowest.length === SLOWEST && slowest[SLOWEST - 1].millis >= millis) return;
    let at = slowest.length;
    while (at > 0 && slowest[at - 1].millis < millis) at--;
    slowest.splice(at, 0, { task: job.work.task, worker: slot.name, millis });
    if (slowest.length > SLOWEST) slowest.pop();
  }

  /** What was observed so far. */
  insights(slots: ReadonlyArray<Slot>): Insights {
    const now = performance.now();
    return {
      queueWait: this.#waited.summary(),
      run: this.#ran.summary(),
      slowest: [...this.#slowest],
      workers: slots.flatMap((slot): ReadonlyArray<WorkerInsight> => {
        const { busySince, busyTime, child, jobs, running, startedAt } = slot;
        if (child === undefined) return [];
        const busy = busyTime + (running.size > 0 ? now - busySince : 0);
        return [{ name: child.name, pid: child.pid, tasks: jobs, busy, idle: Math.max(0, now - startedAt - busy) }];
      }),
    };
  }
}
