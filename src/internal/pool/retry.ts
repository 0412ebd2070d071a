/**
 * Which failed attempts of a job are repeated.
 *
 * | the attempt | is repeated |
 * | --- | --- |
 * | had not begun: its worker never received it, or its layer could not be built | with a schedule |
 * | had begun or may have begun, and the task is idempotent | with a schedule |
 * | had begun or may have begun, and the task is not idempotent | never |
 * | was stopped because its caller, its deadline or the end of the pool wants it so | never |
 * | failed in a way that would only repeat itself: by a defect, or because a value cannot be sent | never |
 *
 * @module
 */
import * as Cause from "effect/Cause";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Option from "effect/Option";
import * as Schedule from "effect/Schedule";
import { ProcessDied, TaskError } from "../child/errors.ts";
import { DecodeError, EncodeError } from "../codec/errors.ts";
import { MessageTooLarge } from "../codec/message.ts";
import { Poisoned, PoolError } from "./errors.ts";
import type { Job, JobExit, Past } from "./job.ts";

/** Whether and when failed attempts are repeated. */
export interface Retry {
  readonly schedule: Schedule.Schedule<unknown, unknown>;
  /** Number of killed workers after which a job is set aside. */
  readonly kills: number;
  /** Number of attempts that may follow after a worker ran out of memory. */
  readonly outOfMemory: number;
}

/** What becomes of a failed attempt. */
export type Verdict =
  | { readonly _tag: "Settle"; readonly exit: JobExit }
  /** The next attempt may begin at once. */
  | { readonly _tag: "Again" }
  /** The next attempt may begin when this has succeeded. If it fails, there is none. */
  | { readonly _tag: "Rest"; readonly until: Effect.Effect<unknown, unknown> };

const AGAIN: Verdict = { _tag: "Again" };

const begin = (schedule: Schedule.Schedule<unknown, unknown>): Past => {
  const driver = Effect.runSync(Schedule.driver(schedule));
  return { deaths: [], outOfMemory: 0, next: (failure) => driver.next(failure) };
};

/** Whether the task is known not to have begun. */
const unbegun = (failure: unknown): boolean =>
  failure instanceof ProcessDied
    ? failure.started === "no"
    : failure instanceof TaskError && failure.reason === "LayerFailed";

/** Whether another attempt would fail in the same way. */
const isFinal = (failure: unknown): boolean =>
  failure instanceof EncodeError || failure instanceof DecodeError || failure instanceof MessageTooLarge ||
  failure instanceof TaskError && failure.reason !== "LayerFailed" ||
  failure instanceof PoolError && failure.reason !== "Timeout";

/** Decides what becomes of an attempt that has failed. */
export const judge = (job: Job, exit: Exit.Failure<unknown, unknown>): Verdict => {
  const settle: Verdict = { _tag: "Settle", exit };
  const failure = Option.getOrUndefined(Cause.failureOption(exit.cause));
  // A worker takes up a job that was sent ahead after those before it. Its death then says nothing of this job.
  if (failure instanceof ProcessDied && failure.started === "no") return AGAIN;
  const { retry } = job.terms;
  if (retry === undefined || failure === undefined || isFinal(failure)) return settle;
  if (!job.work.idempotent && !unbegun(failure)) return settle;
  const past = job.past ??= begin(retry.schedule);
  if (failure instanceof ProcessDied) {
    past.deaths.push(failure);
    if (past.deaths.length >= retry.kills) {
      return { _tag: "Settle", exit: Exit.fail(new Poisoned(job.work.task, past.deaths)) };
    }
    if (failure.outOfMemory) return past.outOfMemory++ < retry.outOfMemory ? AGAIN : settle;
  }
  return { _tag: "Rest", until: past.next(failure) };
};
