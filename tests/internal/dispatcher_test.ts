/** The dispatcher of a pool, with workers and timers that the test controls. */
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import type { Child } from "../../src/Backend.ts";
import { ProcessDied } from "../../src/internal/child/errors.ts";
import { Dispatcher, type Options } from "../../src/internal/pool/dispatcher.ts";
import { PoolError } from "../../src/internal/pool/errors.ts";
import { Observations } from "../../src/internal/pool/insights.ts";
import { type JobExit, makeSlot, type Reply, unlimited } from "../../src/internal/pool/job.ts";
import { assertEquals } from "../support/assert.ts";
import { testFunction } from "../support/tier.ts";

const child = { name: "worker", link: { closed: undefined, onClosed: () => () => {} } } as unknown as Child;

testFunction("a deadline that passes while the death of the worker is examined ends the job", () => {
  const timers: Array<() => void> = [];
  let examined: ((exit: JobExit) => void) | undefined;
  const late = new PoolError({ reason: "Deadline", message: "too late" });
  const dispatcher = new Dispatcher(
    {
      gracePeriod: "1 hour",
      concurrency: 1,
      ahead: 1,
      measured: false,
      maxJobs: Infinity,
      kill: () => {},
      run: (_reply, done) => examined = done,
      rest: () => () => {},
      after: (_millis, run) => {
        timers.push(run);
        return () => {};
      },
      overrun: () => late,
      onIdle: () => {},
      onWaiting: () => {},
      onAhead: () => {},
      onLast: () => {},
      onFinished: () => {},
      observations: new Observations(undefined, () => {}),
    } satisfies Options,
  );
  const slot = makeSlot(1);
  dispatcher.open(slot);
  dispatcher.add(slot, child, 0);
  let attempts = 0;
  let reply: (reply: Reply) => void = () => {};
  let settled: JobExit | undefined;
  dispatcher.submit(
    {
      task: "task",
      idempotent: false,
      queueable: true,
      long: false,
      encoding: 0,
      begin: (_child, done) => {
        attempts++;
        reply = done;
        return { interruptible: true, report: undefined, cancel: () => {}, forget: () => {} };
      },
    },
    (exit) => settled = exit,
    { ...unlimited, deadline: 20 },
  );
  assertEquals([attempts, timers.length], [1, 1]);
  // The worker has died, and it takes a while until it is known how.
  reply(Effect.never);
  timers[0]();
  examined!(Exit.fail(
    new ProcessDied({ process: "worker", pid: 1, task: "task", started: "no", status: { _tag: "Exited", code: 1 } }),
  ));
  assertEquals(attempts, 1);
  assertEquals(settled, Exit.fail(late));
});
