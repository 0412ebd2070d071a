/**
 * What the outcome of a task means for the caller.
 *
 * @module
 */
import type * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as FiberId from "effect/FiberId";
import * as Call from "../../child/call.ts";
import { ProcessDied, SpawnError } from "../../child/errors.ts";
import { Poisoned, PoolError } from "../../pool/errors.ts";
import type { Link } from "../../rpc/link.ts";
import { Closed } from "../jetstream.ts";
import { QueueFull } from "./client.ts";
import type { Message } from "../packing.ts";
import type { Death, Outcome } from "./messages.ts";

/** The deaths of a dead letter. */
export const deathsOf = (task: string, deaths: ReadonlyArray<Death> = []): ReadonlyArray<ProcessDied> =>
  deaths.map(({ host, pid, process, started, status }) =>
    new ProcessDied({ process, pid, host, task, status, started })
  );

/** Decodes an outcome. */
export const decodeOutcome = (
  link: Link,
  prepared: Call.Prepared,
  { attachments, bytes, head }: Message<Outcome>,
  report?: Call.Report,
): Effect.Effect<unknown, unknown> => {
  const { task } = prepared;
  switch (head.kind) {
    case "exit": {
      const sender = { name: head.process ?? "a process", pid: head.pid ?? 0, host: head.host, link };
      return Call.readReply(sender, prepared, { attachments, bytes }, report);
    }
    case "cancelled":
      return Exit.interrupt(FiberId.none);
    case "timeout":
      return Exit.fail(
        new PoolError({
          reason: "Timeout",
          message: `Cannot finish the task: it has run for more than ${head.message} ms`,
        }),
      );
    case "failed":
      return Exit.fail(
        new SpawnError({
          reason: "Failed",
          message: `Cannot run task "${task.name}" on ${head.host}: ${head.message}`,
        }),
      );
    case "dead":
      return Exit.fail(new Poisoned(task.name, deathsOf(task.name, head.deaths)));
  }
};

/** The failure of a task that could not be stored. */
export const refusal = (task: string, error: unknown): PoolError => {
  if (error instanceof QueueFull) {
    return new PoolError({
      reason: "QueueFull",
      message: `Cannot run task "${task}": the queue has maxQueued tasks; raise it, or wait with whenFull: "wait"`,
      cause: error,
    });
  }
  if (error instanceof Closed) {
    return new PoolError({
      reason: "Terminated",
      message: `Cannot run task "${task}": the pool was closed`,
      cause: error,
    });
  }
  const { message } = error as Error;
  return new PoolError({
    reason: "Broken",
    message: `Cannot run task "${task}": ${
      error instanceof SpawnError ? "" : "the server does not take it: "
    }${message}`,
    cause: error,
  });
};
