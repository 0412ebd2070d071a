/**
 * The calls and submissions of a durable pool on their way: they become tasks in the server, and their outcomes come back.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as FiberId from "effect/FiberId";
import * as Runtime from "effect/Runtime";
import * as Call from "../../child/call.ts";
import { isLibrary } from "../../child/modules.ts";
import { modules as definingModules } from "../../child/tasks.ts";
import * as Codec from "../../codec/codec.ts";
import { type Incoming, MAX_MESSAGE_SIZE, MessageTooLarge, sizeOf } from "../../codec/message.ts";
import { PoolError } from "../../pool/errors.ts";
import { after } from "../../os/timer.ts";
import type { Begin, Terms } from "../../pool/job.ts";
import type { Link } from "../../rpc/link.ts";
import { Closed } from "../jetstream.ts";
import type { Client, Failed, Listener } from "./client.ts";
import type { Message } from "../packing.ts";
import type { Outcome, Task as TaskHead } from "./messages.ts";
import { laneOf } from "./names.ts";
import { decodeOutcome, refusal } from "./outcomes.ts";
import type { Programs } from "./programs.ts";

/** How long the interruption of a call waits for its task to stop, in milliseconds. */
export const CANCEL = 5000;

/** The error for what a durable pool cannot do. */
export const unsupported = (what: string, instead: string): PoolError =>
  new PoolError({ reason: "Unsupported", message: `Cannot use ${what} with a NatsPool: ${instead}` });

export const noQueueTimeout = (): PoolError =>
  unsupported("queueTimeout", "the server does not tell how long a task has waited; use deadline");

export const noAffinity = (): PoolError => unsupported("affinity", "a task runs on the next agent with a free place");

/** URLs of the user's modules that have defined tasks by now. */
const modules = (): ReadonlyArray<string> => definingModules().filter((url) => !isLibrary(url));

/** The request of a call, as a child gets it. */
const requestOf = (prepared: Call.Prepared): Incoming => {
  const writer = new Codec.Writer(prepared.encoded.bytes.length + 256);
  const extras = Call.fill(prepared, 0, 0)(writer);
  return { bytes: writer.buffer.subarray(0, writer.position), attachments: extras?.attachments ?? [] };
};

/** What a pool does with its tasks. */
export interface Settings {
  readonly client: Client;
  readonly programs: Programs;
  readonly retries: number;
  readonly refuses: boolean;
  readonly runtime: Runtime.Runtime<never>;
}

/** A task on its way. */
export interface Flight {
  /** Resolves when the server has the task, or has refused it. */
  readonly stored: Promise<unknown>;
  /** Ends its wait for room in the queue. */
  readonly leave: () => void;
  /** Takes it back, or has it stopped. */
  readonly cancel: () => Promise<void>;
}

/** Stores tasks and waits for them. */
export class Dispatch {
  readonly #settings: Settings;
  #count = 0;

  constructor(settings: Settings) {
    this.#settings = settings;
  }

  /** An id that no other task has. */
  get fresh(): string {
    return `${this.#settings.client.caller}-${(++this.#count).toString(36)}`;
  }

  /** Stores a task, whose id is `own` if this program has made it, and calls back once with its outcome, or with the reason why it is not stored. */
  send(
    prepared: Call.Prepared,
    terms: Pick<Terms, "priority" | "timeout">,
    name: string,
    own: boolean,
    done: Listener,
  ): Flight {
    const { client, programs, refuses, retries } = this.#settings;
    const aborting = new AbortController();
    let isOver = false;
    const finish: Listener = (outcome) => {
      if (isOver) return;
      isOver = true;
      leave();
      done(outcome);
    };
    const leave = client.watch(name, own, finish);
    const { task } = prepared;
    const body = requestOf(prepared);
    const size = sizeOf(body);
    const stored = (async () => {
      if (size > MAX_MESSAGE_SIZE) throw new MessageTooLarge(size, MAX_MESSAGE_SIZE, "the pool");
      const head: TaskHead = {
        id: name,
        caller: client.caller,
        program: await programs.of(modules()),
        url: task.url,
        name: task.name,
        retries,
        ...(terms.timeout === Infinity ? {} : { timeout: terms.timeout }),
        ...(own ? {} : { check: true }),
      };
      await client.submit({ head, lane: laneOf(terms.priority), body, refuses, signal: aborting.signal });
    })();
    stored.catch((error) => finish({ error }));
    const cancel = async (): Promise<void> => {
      aborting.abort();
      try {
        await stored;
      } catch {
        // It has settled with the error.
        return;
      }
      await client.cancel(name);
    };
    return { stored, leave: () => aborting.abort(), cancel };
  }

  /** Cancels a task whose caller does not wait for that. A failure is logged. */
  async takeBack(flight: Flight): Promise<void> {
    try {
      await flight.cancel();
    } catch (error) {
      // The task stays in the server, as submissions do.
      if (error instanceof Closed) return;
      Runtime.runFork(this.#settings.runtime)(
        Effect.logWarning("A task of an interrupted call cannot be taken back", error),
      );
    }
  }
}

/** Whether the outcome of a task is not known. */
export const isFailed = (outcome: Message<Outcome> | Failed): outcome is Failed => "error" in outcome;

/** Begins the tasks of calls. */
export const begins =
  (dispatch: Dispatch, link: Link) => (prepared: Call.Prepared, terms: Terms): Begin => (_child, done) => {
    const wrong = terms.queueTimeout !== Infinity
      ? noQueueTimeout()
      : terms.affinity !== undefined
      ? noAffinity()
      : undefined;
    if (wrong !== undefined) {
      done(Exit.fail(wrong));
      return { interruptible: false, report: undefined, cancel: () => {}, forget: () => {} };
    }
    const call = {
      interruptible: true,
      report: undefined as Call.Report | undefined,
      cancel: (): void => {},
      forget: (): void => {},
    };
    let isOver = false;
    const finish = (reply: Effect.Effect<unknown, unknown>): void => {
      if (isOver) return;
      isOver = true;
      done(reply);
    };
    const flight = dispatch.send(prepared, terms, dispatch.fresh, true, (outcome) => {
      if (isFailed(outcome)) {
        const { error } = outcome;
        return finish(Exit.fail(error instanceof MessageTooLarge ? error : refusal(prepared.task.name, error)));
      }
      if (isOver) return;
      const begun = performance.now();
      const report = call.report = new Call.Report(sizeOf(prepared.encoded) + sizeOf(outcome), MAX_MESSAGE_SIZE);
      report.failed = false;
      const reply = decodeOutcome(link, prepared, outcome, report);
      const end = report.decodedAt = performance.now();
      report.decoding = end - begun;
      finish(reply);
    });
    call.cancel = () => {
      // The task is also taken back if that takes longer, when there is a server again.
      const end = (): void => {
        stop();
        finish(Exit.interrupt(FiberId.none));
      };
      const stop = after(CANCEL, end);
      void dispatch.takeBack(flight).then(end);
    };
    return call;
  };
