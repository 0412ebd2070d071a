/**
 * The workers of a pool: started together, replaced one by one, ended together.
 *
 * - A worker is lost when its link closes. Its replacement starts at once, while the lost worker is ended and released.
 * - With `spare`, one more worker is kept ready to replace a lost one. It starts when each slot has a worker and no job waits, so
 *   that its start never competes with that of a worker that is needed. A slot that needs a worker meanwhile takes the spare
 *   that is starting.
 *
 * @module
 */
import * as Cause from "effect/Cause";
import * as Deferred from "effect/Deferred";
import type * as Duration from "effect/Duration";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Fiber from "effect/Fiber";
import * as FiberId from "effect/FiberId";
import * as Runtime from "effect/Runtime";
import * as Scope from "effect/Scope";
import type { Backend, Child, KillPolicy, SpawnError } from "../../Backend.ts";
import * as Call from "../child/call.ts";
import { stop } from "../child/stop.ts";
import { after } from "../os/timer.ts";
import { Dispatcher, type Slot } from "./dispatcher.ts";
import { PoolError } from "./errors.ts";
import { Submissions } from "./submissions.ts";

/** Options of {@link Workers}. */
export interface Options {
  readonly size: number;
  /** Each worker is named after it, with a number. */
  readonly prefix: string;
  readonly policy: KillPolicy & { readonly gracePeriod: Duration.DurationInput };
  /** Number of jobs after which a worker is replaced. */
  readonly maxJobs: number;
  /** Whether to keep a spare worker. */
  readonly spare: boolean;
  /** The task that each worker runs before its first job. */
  readonly initializer: Call.Prepared | undefined;
  /** URLs of the modules that a worker is started with. Called at each start. */
  readonly modules: () => ReadonlyArray<string>;
}

/** The pool gives up after this many failures in a row for each worker: a worker that dies before it has run any job. */
const MAX_FAILURES = 3;

/** How long no job must have waited before a spare is started, in milliseconds: its start takes a core and this thread for a while. */
const SETTLE = 20;

interface Worker {
  readonly child: Child;
  readonly scope: Scope.CloseableScope;
}

/** A worker that waits to replace another one. */
interface Spare {
  readonly fiber: Fiber.RuntimeFiber<Worker, StartError>;
  /** Set when the worker has started. */
  worker: Worker | undefined;
}

type StartError = SpawnError | PoolError;

const broken = (how: string, cause: unknown): PoolError =>
  new PoolError({ reason: "Broken", message: `Cannot run the task: the workers of the pool ${how}`, cause });

const overrun = (timeout: number): Cause.Cause<PoolError> =>
  Cause.fail(
    new PoolError({ reason: "Timeout", message: `Cannot finish the task: it has run for more than ${timeout} ms` }),
  );

/** Describes a worker for the warning that it had to be killed. `task` is the last one that it had. */
const describe = (task: string | undefined) => (): string =>
  task === undefined ? "a worker of a pool without a task" : `a worker of a pool whose last task was "${task}"`;

/** Closes the scopes of workers that were started. */
const dismiss = (starts: ReadonlyArray<Exit.Exit<Worker, unknown>>, exit: Exit.Exit<unknown, unknown>) =>
  Effect.forEach(
    starts.flatMap((start) => Exit.isSuccess(start) ? [start.value] : []),
    ({ scope }) => Scope.close(scope, exit),
    { concurrency: "unbounded", discard: true },
  );

/** The workers, and the dispatcher that gives them jobs. */
export class Workers {
  readonly dispatcher: Dispatcher;
  readonly submissions: Submissions;
  /** Number of living workers. */
  alive = 0;
  /** Number of workers that were replaced because they had died. */
  replaced = 0;
  /** Number of workers that were replaced after {@link Options.maxJobs} jobs. */
  recycled = 0;
  readonly #backend: Backend;
  readonly #options: Options;
  /** Succeeds when each slot has had a worker that serves its link. */
  readonly #open = Deferred.unsafeMake<void, StartError>(FiberId.none);
  readonly #served = new Set<Slot>();
  readonly #runtime: Runtime.Runtime<never>;
  /** Lost workers that are being ended and released. */
  readonly #releasing = new Set<Fiber.Fiber<void>>();
  /** Number of slots whose workers can run jobs. */
  #working = 0;
  #spare: Spare | undefined;
  /** Number of spares in a row that failed, or died before they were used. */
  #spareFailures = 0;
  /** Stops the timer of {@link SETTLE}. */
  #settling: (() => void) | undefined;
  /** Whether no more workers are needed. */
  #ending = false;
  #supervisors: ReadonlyArray<Fiber.Fiber<void>> = [];
  #started = 0;
  #failures = 0;

  constructor(backend: Backend, options: Options, runtime: Runtime.Runtime<never>) {
    this.#backend = backend;
    this.#options = options;
    this.#runtime = runtime;
    this.dispatcher = new Dispatcher({
      gracePeriod: options.policy.gracePeriod,
      maxJobs: options.maxJobs,
      kill: (slot, child) =>
        void Runtime.runFork(runtime)(stop({
          child,
          interruptible: () => false,
          ask: Effect.void,
          policy: options.policy,
          doing: describe(slot.task),
          wanted: true,
        })),
      run: (reply, onExit) => void Runtime.runCallback(runtime)(reply, { onExit }),
      overrun,
      onIdle: () => this.#keepSpare(),
    });
    this.submissions = new Submissions(this.dispatcher, runtime);
  }

  /**
   * Starts all workers at once and initializes them. If one fails, or on interruption, the others are ended. `release` becomes a
   * finalizer in the step in which the last worker is ready, so that no interruption falls between the two.
   */
  start(
    release: (exit: Exit.Exit<unknown, unknown>) => Effect.Effect<void>,
  ): Effect.Effect<void, StartError, Scope.Scope> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.gen(this, function* () {
        const workers = yield* this.#startAll(restore);
        this.#supervisors = yield* Effect.forEach(workers, (worker) => {
          this.alive++;
          return Effect.forkDaemon(this.#supervise({ child: undefined, jobs: 0, task: undefined }, worker));
        });
        yield* Effect.onError(restore(Deferred.await(this.#open)), () => this.end);
        yield* Effect.addFinalizer(release);
      })
    );
  }

  /** Number of spare workers that can run jobs: 0 or 1. */
  get spare(): number {
    return this.#spare?.worker?.child.serving() === true ? 1 : 0;
  }

  /** Ends all workers: in good order, or by the kill policy. */
  readonly end: Effect.Effect<void> = Effect.suspend(() => {
    this.#ending = true;
    this.#settling?.();
    const spare = this.#spare;
    this.#spare = undefined;
    const all = [Fiber.interruptAll(this.#supervisors), ...spare === undefined ? [] : [this.#dismiss(spare)]];
    return Effect.zipRight(
      Effect.all(all, { concurrency: "unbounded", discard: true }),
      Effect.suspend(() => Fiber.interruptAll([...this.#releasing])),
    );
  });

  #startAll(
    restore: <A, E>(effect: Effect.Effect<A, E>) => Effect.Effect<A, E>,
  ): Effect.Effect<ReadonlyArray<Worker>, StartError> {
    const { size } = this.#options;
    return Effect.gen(this, function* () {
      // Not `Effect.raceAll`: interrupted between making its fibers and starting them, it waits for ever.
      const complete = yield* Deferred.make<void, StartError>();
      let missing = size;
      const attempt = Effect.onExit(this.#startOne, (exit) => {
        if (Exit.isFailure(exit)) return Deferred.failCause(complete, exit.cause);
        return --missing === 0 ? Deferred.succeed(complete, undefined) : Effect.void;
      });
      const attempts = yield* Effect.all(Array.from({ length: size }, () => Effect.forkDaemon(attempt)));
      const endAll = (cause: Cause.Cause<unknown>): Effect.Effect<void> =>
        Effect.zipRight(
          Fiber.interruptAll(attempts),
          Effect.flatMap(Effect.forEach(attempts, Fiber.await), (exits) => dismiss(exits, Exit.failCause(cause))),
        );
      yield* Effect.onError(restore(Deferred.await(complete)), endAll);
      return yield* Effect.forEach(attempts, Fiber.join);
    });
  }

  /** Starts and initializes one worker. Interruptible while it waits, and only there, so that no worker is lost. */
  readonly #startOne: Effect.Effect<Worker, StartError> = Effect.uninterruptible(
    Effect.flatMap(Scope.make(), (scope) => {
      const { modules, prefix } = this.#options;
      const command = { name: `${prefix}:${++this.#started}`, daemon: true, modules: modules() };
      const started = Effect.interruptible(
        Effect.tap(Scope.extend(this.#backend.spawn(command), scope), (child) => this.#initialize(child)),
      );
      const failed = Effect.onError(started, (cause) => Scope.close(scope, Exit.failCause(cause)));
      return Effect.map(failed, (child) => ({ child, scope }));
    }),
  );

  #initialize(child: Child): Effect.Effect<void, StartError> {
    const { initializer } = this.#options;
    if (initializer === undefined) return Effect.void;
    const ran = Effect.async<unknown, unknown>((resume) => void Call.start(child, initializer, false, resume));
    const failed = (cause: Cause.Cause<unknown>): PoolError =>
      new PoolError({
        reason: "InitializerFailed",
        message: `Cannot start the pool: the initializer "${initializer.task.name}" failed in ${child.name}`,
        cause: Cause.squash(cause),
      });
    return Effect.zipRight(
      child.serves,
      Effect.asVoid(Effect.catchAllCause(ran, (cause) => Effect.fail(failed(cause)))),
    );
  }

  /** Runs one worker after another in a slot, until this is interrupted or the pool gives up. */
  #supervise(slot: Slot, first: Worker): Effect.Effect<void> {
    const { maxJobs, size } = this.#options;
    return Effect.gen(this, function* () {
      let worker = first;
      while (true) {
        slot.jobs = 0;
        const unserved = yield* this.#watch(slot, worker);
        const recycled = slot.jobs >= maxJobs;
        // A worker that dies while it runs a job may have died of the job.
        this.#failures = worker.child.serving() && slot.jobs > 0 ? 0 : this.#failures + 1;
        let next = yield* Effect.either(this.#replacement);
        while (next._tag === "Left" && this.#failures++ < MAX_FAILURES * size) {
          next = yield* Effect.either(this.#startOne);
        }
        if (next._tag === "Left") {
          return this.#giveUp(broken(`cannot be started any more: ${next.left.message}`, next.left));
        }
        if (this.#failures > MAX_FAILURES * size) {
          yield* Scope.close(next.right.scope, Exit.void);
          return this.#giveUp(
            unserved === undefined
              ? broken("die before they can run anything", undefined)
              : broken(`cannot be started any more: ${unserved.message}`, unserved),
          );
        }
        worker = next.right;
        this.alive++;
        if (recycled) this.recycled++;
        else this.replaced++;
      }
    });
  }

  /**
   * Puts a worker to work and waits until it is lost, or until this is interrupted: then the worker is ended. Gives the reason if the
   * worker ended before it served its link.
   */
  #watch(slot: Slot, worker: Worker): Effect.Effect<SpawnError | undefined> {
    const lost = Effect.async<void>((resume) => Effect.sync(worker.child.link.onClosed(() => resume(Effect.void))));
    const worked = Effect.zipLeft(this.#employ(slot, worker.child), lost);
    return Effect.onExit(Effect.interruptible(worked), (exit) => {
      this.alive--;
      const ended = this.#release(worker, slot.task);
      if (Exit.isFailure(exit)) return ended;
      // It ends by itself, or is ended by its backend. A signal from here would hide the way in which it has died.
      const died = Effect.zipRight(Effect.interruptible(worker.child.exited), Scope.close(worker.scope, Exit.void));
      return Effect.sync(() => this.#inBackground(Effect.onInterrupt(died, () => ended)));
    });
  }

  /** Ends a worker in good order, or by the kill policy, and releases its resources. */
  #release({ child, scope }: Worker, task: string | undefined): Effect.Effect<void> {
    // The end of its link tells an idle worker to end in good order; a worker that is still starting has nothing to release.
    const ended = stop({
      child,
      interruptible: child.serving,
      ask: Effect.sync(() => child.link.close()),
      policy: this.#options.policy,
      doing: describe(task),
    });
    return Effect.ensuring(ended, Scope.close(scope, Exit.void));
  }

  /** Runs an Effect that {@link end} interrupts and waits for. */
  #inBackground(effect: Effect.Effect<void>): void {
    const fiber = Runtime.runFork(this.#runtime)(Effect.uninterruptible(effect));
    this.#releasing.add(fiber);
    fiber.addObserver(() => this.#releasing.delete(fiber));
  }

  /** The next worker of a slot: the spare, even if it is still starting, or a new one. */
  readonly #replacement: Effect.Effect<Worker, StartError> = Effect.suspend(() => {
    const spare = this.#spare;
    if (spare === undefined) return this.#startOne;
    this.#spare = undefined;
    this.#spareFailures = 0;
    return Effect.onInterrupt(Effect.interruptible(Fiber.join(spare.fiber)), () => this.#dismiss(spare));
  });

  /** Whether a spare is to be started: each slot has a worker, and no job waits. */
  get #needsSpare(): boolean {
    const { size, spare } = this.#options;
    return spare && this.#spare === undefined && !this.#ending && this.#spareFailures < MAX_FAILURES &&
      this.#working === size && this.dispatcher.waiting === 0;
  }

  /** Starts a spare soon, if it is still needed then. */
  #keepSpare(): void {
    if (this.#settling !== undefined || !this.#needsSpare) return;
    this.#settling = after(SETTLE, () => {
      this.#settling = undefined;
      if (this.#needsSpare) this.#startSpare();
    });
  }

  #startSpare(): void {
    const spare: Spare = { fiber: Runtime.runFork(this.#runtime)(this.#startOne), worker: undefined };
    this.#spare = spare;
    spare.fiber.addObserver((exit) => {
      if (Exit.isFailure(exit)) return this.#loseSpare(spare, exit.cause);
      spare.worker = exit.value;
      exit.value.child.link.onClosed(() => this.#loseSpare(spare, undefined));
    });
  }

  /** A spare has failed to start, or has died. */
  #loseSpare(spare: Spare, cause: Cause.Cause<StartError> | undefined): void {
    // A slot has taken it, or the pool is ending.
    if (this.#spare !== spare) return;
    this.#spare = undefined;
    this.#spareFailures++;
    const warned = cause === undefined
      ? Effect.logWarning("A spare worker of the pool died before it was used")
      : Effect.logWarning("A spare worker of the pool cannot be started", cause);
    const released = spare.worker === undefined ? Effect.void : this.#release(spare.worker, undefined);
    this.#inBackground(Effect.zipRight(warned, released));
    this.#keepSpare();
  }

  /** Ends a spare that no slot needs any more. */
  #dismiss({ fiber }: Spare): Effect.Effect<void> {
    return Effect.flatMap(
      Fiber.interrupt(fiber),
      (exit) => Exit.isSuccess(exit) ? this.#release(exit.value, undefined) : Effect.void,
    );
  }

  /** Gives a worker to the dispatcher as soon as it serves its link: a worker that never does has had no job. */
  #employ(slot: Slot, child: Child): Effect.Effect<SpawnError | undefined> {
    return Effect.match(child.serves, {
      onFailure: (error) => {
        Deferred.unsafeDone(this.#open, Effect.fail(error));
        return error;
      },
      onSuccess: (serves) => {
        if (!serves || child.link.closed !== undefined) return undefined;
        this.#working++;
        child.link.onClosed(() => this.#working--);
        this.dispatcher.add(slot, child);
        if (this.#served.add(slot).size === this.#options.size) Deferred.unsafeDone(this.#open, Effect.void);
        return undefined;
      },
    });
  }

  #giveUp(error: PoolError): void {
    this.#ending = true;
    this.dispatcher.close(Cause.fail(error));
    Deferred.unsafeDone(this.#open, Effect.fail(error));
  }
}
