/**
 * A durable pool: the calls of a pool, whose tasks are stored in the server and run by agents.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Runtime from "effect/Runtime";
import * as Stream from "effect/Stream";
import type * as Public from "../../../NatsPool.ts";
import type * as Pool from "../../../Pool.ts";
import type * as Task from "../../../Task.ts";
import * as Call from "../../child/call.ts";
import { CALL } from "../../child/request.ts";
import type { EncodeError } from "../../codec/errors.ts";
import { foreign } from "../../objects/handles.ts";
import * as Arguments from "../../os/arguments.ts";
import { inspectable } from "../../os/inspect.ts";
import * as Checks from "../../pool/checks.ts";
import { PoolError } from "../../pool/errors.ts";
import type { Begin, Terms } from "../../pool/job.ts";
import { CallWork, type Submit } from "../../pool/jobs.ts";
import { RunningPool, type Settings as PoolSettings } from "../../pool/pool.ts";
import { type Submissions, Submitted } from "../../pool/submissions.ts";
import { terms } from "../../pool/terms.ts";
import type { Workers } from "../../pool/workers.ts";
import type { Link } from "../../rpc/link.ts";
import { Closed } from "../jetstream.ts";
import type { Client, Listener } from "./client.ts";
import { laneOf } from "./names.ts";
import { deathsOf, decodeOutcome, refusal } from "./outcomes.ts";
import {
  begins,
  Dispatch,
  type Flight,
  isFailed,
  noAffinity,
  noQueueTimeout,
  type Settings,
  unsupported,
} from "./dispatch.ts";
import { detached } from "./places.ts";
import { infoOf } from "../streams.ts";

const ID = "a text of 1 to 100 letters, digits, - and _";
const isId = (value: unknown): boolean => typeof value === "string" && /^[A-Za-z0-9_-]{1,100}$/.test(value);

const wrongId = (method: string, id: unknown): PoolError | undefined =>
  isId(id) ? undefined : new PoolError({
    reason: "InvalidArgument",
    message: Arguments.invalidArgument(`pool.${method}`, `id must be ${ID}, received ${Arguments.show(id)}`),
  });

/** A call that an agent runs. */
class AgentCall extends CallWork {
  readonly #begin: Begin;

  constructor(prepared: Call.Prepared, begin: Begin) {
    super(prepared, false);
    this.#begin = begin;
  }

  begin(...args: Parameters<Begin>): Call.OpenCall {
    return this.#begin(...args);
  }
}

/** A pool whose tasks are in the server. */
export class DurablePool extends RunningPool implements Public.NatsPool {
  readonly name: string;
  readonly #terms: Terms;
  readonly #dispatch: Dispatch;
  readonly #submissions: Submissions;
  readonly #settings: Settings;
  readonly #link: Link;

  constructor(workers: Workers, settings: PoolSettings, own: Settings) {
    const link = detached();
    const dispatch = new Dispatch(own);
    const begin = begins(dispatch, link);
    const submit: Submit = (prepared, settle, terms, ...rest) =>
      workers.dispatcher.submit(
        new AgentCall(prepared, begin(prepared, terms)),
        settle,
        // Agents keep the first of these; the others are refused.
        { ...terms, timeout: Infinity, queueTimeout: Infinity, affinity: undefined },
        ...rest,
      );
    super(workers, { ...settings, submit, hooks: foreign, window: 4 * settings.size });
    this.name = own.client.names.pool;
    this.#terms = settings.terms;
    this.#dispatch = dispatch;
    this.#submissions = workers.submissions;
    this.#settings = own;
    this.#link = link;
  }

  override readonly broadcast = (): Effect.Effect<never, PoolError> =>
    Effect.fail(unsupported("broadcast", "it does not know the processes of its agents"));

  override readonly stream = (): Stream.Stream<never, PoolError> =>
    Stream.fail(unsupported("stream", "a task has one result; use NatsBackend, or several tasks"));

  override readonly submit = <Args extends ReadonlyArray<unknown>, A, E>(
    task: Task.Task<Args, A, E>,
    ...args: Args
  ): Effect.Effect<Public.Submission<A, E | Pool.PoolFailure>, EncodeError | PoolError> => {
    const wrong = Checks.wrongTask("submit", task);
    return wrong === undefined ? this.#submit<A, E>(task, args, {}) : Effect.fail(wrong);
  };

  override readonly submitWith = <Args extends ReadonlyArray<unknown>, A, E>(
    task: Task.Task<Args, A, E>,
    args: Args,
    options: Public.SubmitOptions<A, E>,
  ): Effect.Effect<Public.Submission<A, E | Pool.PoolFailure>, EncodeError | PoolError> => {
    const isRecord = Arguments.record(options) === undefined;
    const { id, ...others } = isRecord ? options : {};
    const wrong = Checks.wrongSubmit(task, args, isRecord ? others : options) ??
      (id === undefined ? undefined : wrongId("submitWith", id)) ?? unsupportedOption(others);
    return wrong === undefined ? this.#submit<A, E>(task, args, options) : Effect.fail(wrong);
  };

  readonly attach = <Args extends ReadonlyArray<unknown>, A, E>(
    id: string,
    task: Task.Task<Args, A, E>,
  ): Effect.Effect<Public.Submission<A, E | Pool.PoolFailure>, PoolError> => {
    const wrong = wrongId("attach", id) ?? Checks.wrongTask("attach", task);
    if (wrong !== undefined) return Effect.fail(wrong);
    const { client } = this.#settings;
    return this.#asking("attach", async () => {
      const { settle, submission } = this.#pending<A, E>(id, Call.expected(task), {});
      const leave = client.watch(id, false, settle);
      try {
        const known = await client.find(id);
        if (known !== undefined) settle(known);
        // Its result may have been stored between the two questions.
        else if (!await client.has(id)) {
          const late = await client.find(id);
          if (late === undefined) throw unknown(id);
          settle(late);
        }
      } catch (error) {
        leave();
        throw error;
      }
      if (submission.isOver) leave();
      return submission;
    });
  };

  readonly deadLetters: Effect.Effect<ReadonlyArray<Public.DeadLetter>, PoolError> = Effect.suspend(() =>
    this.#asking("deadLetters", async () => {
      const letters = await this.#settings.client.deadLetters();
      return letters.map(({ letter, task, time }): Public.DeadLetter => ({
        id: letter.id,
        task: task.name,
        module: task.url,
        time: new Date(time),
        attempts: letter.deliveries ?? 0,
        message: letter.message ?? "",
        deaths: deathsOf(task.name, letter.deaths),
      }));
    })
  );

  readonly retryDead = (id: string): Effect.Effect<void, PoolError> => {
    const wrong = wrongId("retryDead", id);
    if (wrong !== undefined) return Effect.fail(wrong);
    return this.#asking("retryDead", async () => {
      if (!await this.#settings.client.retryDead(id, laneOf(this.#terms.priority))) throw unknown(id);
    });
  };

  readonly contents: Effect.Effect<Public.Contents, PoolError> = Effect.suspend(() =>
    this.#asking("contents", async () => {
      const { js, names } = this.#settings.client;
      const count = async (stream: string): Promise<number> => (await infoOf(js, stream))?.state.messages ?? 0;
      const [tasks, deadLetters, parts] = await Promise.all([names.tasks, names.dead, names.parts].map(count));
      return { tasks, deadLetters, parts };
    })
  );

  /** Asks the server. */
  #asking<A>(method: string, ask: () => Promise<A>): Effect.Effect<A, PoolError> {
    return Effect.tryPromise({
      try: ask,
      catch: (error) => error instanceof PoolError ? error : refusal(method, error),
    });
  }

  #submit<A, E>(
    task: Task.Any,
    args: ReadonlyArray<unknown>,
    options: Public.SubmitOptions<A, E>,
  ): Effect.Effect<Public.Submission<A, E | Pool.PoolFailure>, EncodeError | PoolError> {
    const { client } = this.#settings;
    const { id } = options;
    const given = terms(options as Pool.CallOptions, this.#terms);
    return Effect.flatMap(Call.prepare(task, CALL, args, 0, false, foreign), (prepared) => {
      if (!this.isOpen) {
        const exit = Exit.fail(
          new PoolError({
            reason: "Closed",
            message: "Cannot run the task: the pool was closed and takes no more tasks",
          }),
        );
        this.#submissions.concluded<A, E>(task.name, exit, options);
        const refused = new DurableSubmission<A, E | Pool.PoolFailure>(id ?? this.#dispatch.fresh, client);
        refused.settle(exit);
        return Effect.succeed(refused);
      }
      return Effect.async<Public.Submission<A, E | Pool.PoolFailure>, PoolError>((resume) => {
        let flight: Flight | undefined;
        let isGone = false;
        let isStored = false;
        const submit = async (): Promise<void> => {
          const known = id === undefined ? undefined : await client.find(id);
          if (isGone) return;
          const name = id ?? this.#dispatch.fresh;
          const pending = this.#pending<A, E>(name, prepared, options);
          if (known === undefined) {
            flight = this.#dispatch.send(prepared, given, name, id === undefined, (outcome) => {
              if (isFailed(outcome) && !isStored) resume(Effect.fail(refusal(task.name, outcome.error)));
              else pending.settle(outcome);
            });
            await flight.stored;
            isStored = true;
          } else pending.settle(known);
          resume(Effect.succeed(pending.submission));
        };
        submit().catch((error) => resume(Effect.fail(refusal(task.name, error))));
        return Effect.sync(() => {
          isGone = true;
          if (flight === undefined) return;
          // A task with this id may be that of another program.
          if (id !== undefined) flight.leave();
          else void this.#dispatch.takeBack(flight);
        });
      });
    });
  }

  /** A submission whose outcome is to come. */
  #pending<A, E>(id: string, prepared: Call.Prepared, options: Public.SubmitOptions<A, E>) {
    const submission = new DurableSubmission<A, E | Pool.PoolFailure>(id, this.#settings.client);
    const settle: Listener = (outcome) => {
      if (submission.isOver) return;
      submission.isOver = true;
      const reply = isFailed(outcome)
        ? Exit.fail(refusal(prepared.task.name, outcome.error))
        : decodeOutcome(this.#link, prepared, outcome) as Effect.Effect<A, E | Pool.PoolFailure>;
      Runtime.runCallback(this.#settings.runtime)(reply, {
        onExit: (settled) => {
          submission.settle(settled);
          this.#submissions.concluded(prepared.task.name, settled, options);
        },
      });
    };
    return { submission, settle };
  }
}
inspectable(DurablePool);

/** A submission that the server keeps. */
class DurableSubmission<A, E> extends Submitted<A, E> implements Public.Submission<A, E> {
  readonly id: string;
  /** Whether its outcome has come. */
  isOver = false;
  readonly #client: Client;

  constructor(id: string, client: Client) {
    super();
    this.id = id;
    this.#client = client;
  }

  override get cancel(): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.isOver) return Effect.void;
      const cancelled = this.#client.cancel(this.id).catch((error) => {
        // The submission has settled with it.
        if (!(error instanceof Closed)) throw error;
      });
      return Effect.zipRight(Effect.promise(() => cancelled), Effect.asVoid(Effect.exit(this.await)));
    });
  }
}
inspectable(DurableSubmission);

const unsupportedOption = (options: Pool.CallOptions<never>): PoolError | undefined =>
  options.queueTimeout !== undefined
    ? noQueueTimeout()
    : options.affinity !== undefined
    ? noAffinity()
    : options.deadline !== undefined || options.retry !== undefined
    ? unsupported("deadline or retry of a submission", "it outlives this program; use timeout, and the option retries")
    : undefined;

const unknown = (id: string): PoolError =>
  new PoolError({
    reason: "InvalidArgument",
    message: `Cannot find the task "${id}": it was not submitted, or its result is older than keepResults`,
  });
