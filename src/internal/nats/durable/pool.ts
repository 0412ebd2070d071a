/**
 * A durable pool: the calls of a pool, whose tasks are stored in the server and run by agents.
 *
 * @module
 */
import * as Deferred from "effect/Deferred";
import * as Duration from "effect/Duration";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as FiberId from "effect/FiberId";
import * as Option from "effect/Option";
import * as Runtime from "effect/Runtime";
import type * as Scope from "effect/Scope";
import * as Stream from "effect/Stream";
import type * as Public from "../../../NatsPool.ts";
import type * as Pool from "../../../Pool.ts";
import type * as Task from "../../../Task.ts";
import * as Call from "../../child/call.ts";
import { isLibrary } from "../../child/modules.ts";
import { environment, permissions } from "../../child/options.ts";
import { CALL } from "../../child/request.ts";
import { modules as definingModules } from "../../child/tasks.ts";
import * as Codec from "../../codec/codec.ts";
import type { EncodeError } from "../../codec/errors.ts";
import { type Incoming, MAX_MESSAGE_SIZE, MessageTooLarge } from "../../codec/message.ts";
import { NatsError } from "../../network/errors.ts";
import { foreign } from "../../objects/handles.ts";
import * as Arguments from "../../os/arguments.ts";
import { positiveDuration } from "../../os/durations.ts";
import { inspectable } from "../../os/inspect.ts";
import { after } from "../../os/timer.ts";
import * as Checks from "../../pool/checks.ts";
import { PoolError } from "../../pool/errors.ts";
import type { Begin, Terms } from "../../pool/job.ts";
import { type Submit, workOf } from "../../pool/jobs.ts";
import { RunningPool, type Settings as PoolSettings, start } from "../../pool/pool.ts";
import type { Submissions } from "../../pool/submissions.ts";
import { terms } from "../../pool/terms.ts";
import type { Workers } from "../../pool/workers.ts";
import type { Link } from "../../rpc/link.ts";
import { Closed, JetStream, Unanswered } from "../jetstream.ts";
import { type Bid, decodeRecord, encode, randomName } from "../protocol.ts";
import { connect, type Server, serverChecks } from "../server.ts";
import { Client, type Failed, type Listener } from "./client.ts";
import type { Message, Outcome, Task as TaskHead } from "./messages.ts";
import { laneOf, namesOf, shared } from "./names.ts";
import { deathsOf, decodeOutcome, refusal } from "./outcomes.ts";
import { detached, places } from "./places.ts";
import { Programs } from "./programs.ts";
import { establishPool, infoOf, isMissing } from "./streams.ts";

/** Number of calls of a program that are in the server at a time. Further ones wait here. */
const WINDOW = 1024;

/** How long the interruption of a call waits for its task to stop, in milliseconds. */
const CANCEL = 5000;

/** How long the tasks of a pool that is closed may take to stop, in milliseconds. */
const GRACE = 2 * CANCEL;

/** How long agents may take to say how many places they have, in milliseconds; and the others after the first one. */
const FIRST = 300;
const OTHERS = 20;

/** The pause before the server is asked again whether it has JetStream, in milliseconds. */
const AGAIN = 100;

/** The number of runs after the first one. */
const RETRIES = 2;

const { count, finite, must, optional, positive, texts } = Arguments;

const poolName = must(
  (value) => typeof value === "string" && /^[A-Za-z0-9_-]{1,100}$/.test(value),
  "a name of letters, digits, - and _",
);

const checks: Arguments.Checks = {
  ...serverChecks,
  name: poolName,
  size: optional(positive),
  replicas: optional(Arguments.range(1, 5)),
  maxQueued: optional(positive),
  whenFull: optional(Arguments.oneOf("wait", "refuse")),
  ackWait: optional(positiveDuration),
  retries: optional(count),
  priority: optional(finite),
  timeout: optional(positiveDuration),
  keepResults: optional(positiveDuration),
  keepDead: optional(positiveDuration),
  labels: optional(texts),
  permissions: optional(permissions),
  env: optional(environment),
  v8Flags: optional(texts),
  include: optional(texts),
};

const ID = "a text of 1 to 100 letters, digits, - and _";
const isId = (value: unknown): boolean => typeof value === "string" && /^[A-Za-z0-9_-]{1,100}$/.test(value);

const wrongId = (method: string, id: unknown): PoolError | undefined =>
  isId(id) ? undefined : new PoolError({
    reason: "InvalidArgument",
    message: Arguments.invalidArgument(`pool.${method}`, `id must be ${ID}, received ${Arguments.show(id)}`),
  });

const unsupported = (what: string, instead: string): PoolError =>
  new PoolError({ reason: "Unsupported", message: `Cannot use ${what} with a NatsPool: ${instead}` });

const noQueueTimeout = (): PoolError =>
  unsupported("queueTimeout", "the server does not tell how long a task has waited; use deadline");

const noAffinity = (): PoolError => unsupported("affinity", "a task runs on the next agent with a free place");

/** URLs of the user's modules that have defined tasks by now. */
const modules = (): ReadonlyArray<string> => definingModules().filter((url) => !isLibrary(url));

/** The request of a call, as a child gets it. */
const requestOf = (prepared: Call.Prepared): Incoming => {
  const writer = new Codec.Writer(prepared.encoded.bytes.length + 256);
  const extras = Call.fill(prepared, 0, 0)(writer);
  return { bytes: writer.buffer.subarray(0, writer.position), attachments: extras?.attachments ?? [] };
};

/** What a pool does with its tasks. */
interface Settings {
  readonly client: Client;
  readonly programs: Programs;
  readonly retries: number;
  readonly refuses: boolean;
  readonly runtime: Runtime.Runtime<never>;
}

/** A task on its way. */
interface Flight {
  /** Resolves when the server has the task, or has refused it. */
  readonly stored: Promise<unknown>;
  readonly cancel: () => Promise<void>;
}

/** Stores tasks and waits for them. */
class Dispatch {
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
    const size = Call.sizeOf(body);
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
    return { stored, cancel };
  }
}

const isFailed = (outcome: Message<Outcome> | Failed): outcome is Failed => "error" in outcome;

/** Begins the tasks of calls. */
const begins =
  (dispatch: Dispatch, client: Client, link: Link) =>
  (prepared: Call.Prepared, terms: Terms): Begin =>
  (_child, done) => {
    const wrong = terms.queueTimeout !== Infinity
      ? noQueueTimeout()
      : terms.affinity !== undefined
      ? noAffinity()
      : undefined;
    if (wrong !== undefined) {
      done(Exit.fail(wrong));
      return { begun: false, report: undefined, cancel: () => {} };
    }
    const call = { begun: true, report: undefined as Call.Report | undefined, cancel: (): void => {} };
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
      const bytes = Call.sizeOf(prepared.encoded) + Call.sizeOf(outcome);
      call.report = { work: undefined, decoding: 0, bytes, maxBytes: MAX_MESSAGE_SIZE, before: undefined };
      const reply = decodeOutcome(link, prepared, outcome, call.report);
      call.report.decoding = performance.now() - begun;
      finish(reply);
    });
    call.cancel = () => {
      // The task is also taken back if that takes longer, when there is a server again.
      const cancelled = flight.cancel();
      cancelled.catch(() => {});
      void Promise.race([cancelled, client.js.pause(CANCEL)]).catch(() => {}).then(() =>
        finish(Exit.interrupt(FiberId.none))
      );
    };
    return call;
  };

/** A pool whose tasks are in the server. */
class DurablePool extends RunningPool implements Public.NatsPool {
  readonly name: string;
  readonly #terms: Terms;
  readonly #dispatch: Dispatch;
  readonly #submissions: Submissions;
  readonly #settings: Settings;
  readonly #link: Link;

  constructor(workers: Workers, settings: PoolSettings, own: Settings) {
    const link = detached();
    const dispatch = new Dispatch(own);
    const begin = begins(dispatch, own.client, link);
    const submit: Submit = (prepared, settle, terms, ...rest) =>
      workers.dispatcher.submit(
        workOf(prepared, begin(prepared, terms)),
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
      const submission = this.#pending<A, E>(id, Call.expected(task), {});
      const leave = client.watch(id, false, submission.settle);
      try {
        const known = await client.find(id);
        if (known !== undefined) submission.settle(known);
        // Its result may have been stored between the two questions.
        else if (!await client.has(id)) {
          const late = await client.find(id);
          if (late === undefined) throw unknown(id);
          submission.settle(late);
        }
      } catch (error) {
        leave();
        throw error;
      }
      if (submission.isSettled()) leave();
      return submission.submission;
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
        const refused = this.#submissions.concluded<A, E>(task.name, exit, options);
        return Effect.succeed({ ...refused, id: id ?? this.#dispatch.fresh });
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
          flight?.cancel().catch(() => {});
        });
      });
    });
  }

  /** A submission whose outcome is to come. */
  #pending<A, E>(id: string, prepared: Call.Prepared, options: Public.SubmitOptions<A, E>) {
    const result = Deferred.unsafeMake<A, E | Pool.PoolFailure>(FiberId.none);
    let exit: Exit.Exit<A, E | Pool.PoolFailure> | undefined;
    let begun = false;
    const settle: Listener = (outcome) => {
      if (begun) return;
      begun = true;
      const reply = isFailed(outcome)
        ? Exit.fail(refusal(prepared.task.name, outcome.error))
        : decodeOutcome(this.#link, prepared, outcome) as Effect.Effect<A, E | Pool.PoolFailure>;
      Runtime.runCallback(this.#settings.runtime)(reply, {
        onExit: (settled) => {
          exit = settled;
          Deferred.unsafeDone(result, settled);
          this.#submissions.concluded(prepared.task.name, settled, options);
        },
      });
    };
    const { client } = this.#settings;
    const submission: Public.Submission<A, E | Pool.PoolFailure> = {
      id,
      await: Deferred.await(result),
      poll: Effect.sync(() => Option.fromNullable(exit)),
      cancel: Effect.suspend(() =>
        begun ? Effect.void : Effect.zipRight(
          Effect.promise(() =>
            client.cancel(id).catch((error) => {
              // The submission has settled with it.
              if (!(error instanceof Closed)) throw error;
            })
          ),
          Effect.asVoid(Effect.exit(Deferred.await(result))),
        )
      ),
    };
    return { submission, settle, isSettled: () => begun };
  }
}
inspectable(DurablePool);

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

/** Number of places of the agents that answer soon. */
const countPlaces = async (
  server: Server,
  space: string,
  inbox: string,
  labels: ReadonlyArray<string>,
): Promise<number> => {
  let slots = 0;
  const ended = Promise.withResolvers<void>();
  let stop = after(FIRST, ended.resolve);
  const leave = server.subscribe(`${inbox}.bids`, (_subject, data) => {
    const bid = decodeRecord<Bid>(data);
    if (!labels.every((label) => bid.labels.includes(label))) return;
    slots += bid.slots;
    stop();
    stop = after(OTHERS, ended.resolve);
  });
  server.publish(`mp.${space}.bid`, encode(null), `${inbox}.bids`);
  await ended.promise;
  leave();
  return Math.max(1, slots);
};

/** Fails if the server has no JetStream. */
const demandJetStream = async (js: JetStream, millis: number): Promise<void> => {
  const limit = performance.now() + millis;
  while (true) {
    try {
      await js.api("INFO");
      return;
    } catch (error) {
      const passes = error instanceof Unanswered && performance.now() < limit;
      if (isMissing(error) || error instanceof Unanswered && !passes) {
        throw new NatsError(
          "Unsupported",
          "Cannot make a NatsPool: the server has no JetStream; start nats-server with -js",
          error,
        );
      }
      if (!passes) throw error;
      await js.pause(AGAIN);
    }
  }
};

const millisOf = (duration: Duration.DurationInput | undefined): number | undefined =>
  duration === undefined ? undefined : Duration.toMillis(duration);

/** Makes a pool; see `NatsPool.make`. */
export const make = (options: Public.Options): Effect.Effect<Public.NatsPool, NatsError, Scope.Scope> =>
  Effect.gen(function* () {
    const wrong = Arguments.wrongOptions(options, checks);
    if (wrong !== undefined) {
      return yield* Effect.fail(new NatsError("InvalidOption", Arguments.invalidOption("NatsPool", wrong)));
    }
    const { labels, maxQueued, name, replicas, retries = RETRIES, space = "default" } = options;
    const caller = randomName();
    const inbox = `mp.${space}.r.${caller}`;
    const server = yield* connect(options, `multiprocessing pool ${name} ${caller}`, inbox);
    const js = yield* Effect.acquireRelease(
      Effect.sync(() => new JetStream(server, inbox)),
      (js) => Effect.sync(() => js.close()),
    );
    const names = namesOf(space, name);
    const asked = <A>(ask: () => Promise<A>): Effect.Effect<A, NatsError> =>
      Effect.tryPromise({
        try: ask,
        catch: (error) =>
          error instanceof NatsError ? error : new NatsError(
            "Refused",
            `Cannot make the pool ${name}: the server refuses it: ${(error as Error).message}`,
            error,
          ),
      });
    yield* asked(() => demandJetStream(js, millisOf(options.connectTimeout) ?? 4000));
    yield* asked(() =>
      establishPool(js, space, names, {
        replicas,
        maxQueued,
        labels,
        ackWait: millisOf(options.ackWait),
        keepResults: millisOf(options.keepResults),
        keepDead: millisOf(options.keepDead),
      })
    );
    js.tell(shared(space).pools, encode({ name }));
    const client = yield* Effect.acquireRelease(
      Effect.sync(() => new Client(js, names, caller)),
      (client) => Effect.sync(() => client.close()),
    );
    const programs = new Programs(js, space, {
      permissions: options.permissions,
      env: options.env ?? {},
      v8Flags: options.v8Flags ?? [],
      include: options.include ?? [],
    });
    const size = options.size ?? (yield* asked(() => countPlaces(server, space, inbox, labels ?? [])));
    const settings: Settings = {
      client,
      programs,
      retries,
      refuses: options.whenFull === "refuse",
      runtime: yield* Effect.runtime<never>(),
    };
    return yield* Effect.orDie(start(places, {
      size,
      concurrency: Math.max(1, Math.ceil(WINDOW / size)),
      gracePeriod: GRACE,
      priority: options.priority,
      timeout: options.timeout,
    }, (workers, poolSettings) => new DurablePool(workers, poolSettings, settings)));
  });
