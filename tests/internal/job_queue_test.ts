/** The queue of a pool's jobs: by priority, in the order of submission, whatever leaves it. */
import { JobQueue } from "../../src/internal/pool/job_queue.ts";
import type { Job } from "../../src/internal/pool/job.ts";
import { assertEquals } from "../support/assert.ts";
import { testFunction } from "../support/tier.ts";

/** The part of a job that a queue uses. */
const job = (priority: number): Job => ({ terms: { priority }, queue: undefined }) as Job;

testFunction("a list of a priority that has become empty does not hide the jobs of the next ones", () => {
  const queue = new JobQueue();
  const jobs = [1, 0, -1, 1].map(job);
  for (const one of jobs) queue.push(one);
  // The jobs of the largest priority leave from the middle: their list is emptied by the next look.
  queue.remove(jobs[0]);
  queue.remove(jobs[3]);
  assertEquals(queue.peek() === jobs[1], true);
  assertEquals([queue.shift(), queue.shift(), queue.shift()].map((one) => one && jobs.indexOf(one)), [1, 2, undefined]);
  assertEquals(queue.size, 0);
});

testFunction(
  "jobs of one priority leave in the order of their submission, and one that is tried again comes first",
  () => {
    const queue = new JobQueue();
    const jobs = [0, 5, 0, 5].map(job);
    for (const one of jobs) queue.push(one);
    const first = queue.shift()!;
    assertEquals(jobs.indexOf(first), 1);
    queue.push(first, true);
    assertEquals(queue.clear().map((one) => jobs.indexOf(one)), [1, 3, 0, 2]);
  },
);
