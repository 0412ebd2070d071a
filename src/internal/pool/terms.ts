/**
 * The conditions of jobs, from the options of a pool and of one call.
 *
 * @module
 */
import * as Clock from "effect/Clock";
import * as Context from "effect/Context";
import * as DefaultServices from "effect/DefaultServices";
import * as Duration from "effect/Duration";
import * as Runtime from "effect/Runtime";
import * as Effect from "effect/Effect";
import type * as Schedule from "effect/Schedule";
import type * as Pool from "../../Pool.ts";
import { isSchedule } from "../os/arguments.ts";
import { after } from "../os/timer.ts";
import type { Terms } from "./job.ts";
import type { Retry } from "./retry.ts";

/** Number of killed workers after which a job is set aside. */
const KILLS = 3;

/** Number of attempts that may follow after a worker ran out of memory. */
const OUT_OF_MEMORY = 1;

const millis = (duration: Duration.DurationInput | undefined, otherwise: number): number =>
  duration === undefined ? otherwise : Duration.toMillis(duration);

const retries = (option: Pool.CallOptions["retry"], otherwise: Retry | undefined): Retry | undefined => {
  if (option === undefined) return otherwise;
  if (option === false) return undefined;
  const { kills = KILLS, outOfMemory = OUT_OF_MEMORY, schedule } = isSchedule(option)
    ? { schedule: option }
    : option as Pool.Retry;
  return { schedule: schedule as Schedule.Schedule<unknown, unknown>, kills, outOfMemory };
};

/** The conditions of a call, whose options precede those of the pool. */
export const terms = (options: Pool.CallOptions, pool: Terms): Terms => ({
  timeout: millis(options.timeout, pool.timeout),
  queueTimeout: millis(options.queueTimeout, pool.queueTimeout),
  deadline: millis(options.deadline, pool.deadline),
  priority: options.priority ?? pool.priority,
  affinity: options.affinity ?? pool.affinity,
  retry: retries(options.retry, pool.retry),
});

const live = Context.get(DefaultServices.liveServices, Clock.Clock);

/** A timer of the clock that the maker of a pool has: a test that moves its clock moves the pool's limits as well. */
export const timer = (clock: Clock.Clock, runtime: Runtime.Runtime<never>): typeof after =>
  clock === live ? after : (millis, run) => {
    if (millis === Infinity) return () => {};
    return Runtime.runCallback(runtime)(Effect.zipRight(clock.sleep(Duration.millis(millis)), Effect.sync(run)));
  };
