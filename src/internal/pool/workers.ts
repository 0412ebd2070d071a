/**
 * The workers of a pool: started together, replaced one by one, ended together.
 *
 * - A pool whose size may change starts a worker when a job has waited for some time, and ends a worker that was idle for some time.
 * - A worker that is due to be replaced, because of its jobs, its age or its memory, works on until its successor has started.
 * - A worker is lost when its link closes. Its replacement starts at once, while the lost worker is ended and released.
 * - With `spare`, one more worker is kept ready to replace a lost one, with the modules of the tasks so far loaded. It starts when each slot has a worker and no job waits, so
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
import { PLACES } from "../child/request.ts";
import type { Notice } from "../rpc/identity.ts";
import { Dispatcher } from "./dispatcher.ts";
import { PoolError } from "./errors.ts";
import { Observations } from "./insights.ts";
import { makeSlot, type Slot } from "./job.ts";
import { memoryOf } from "./memory.ts";
import { offerRing } from "./ring.ts";
import type { Timeline } from "./timeline.ts";
import { Submissions } from "./submissions.ts";

/** Options of {@link Workers}. Times are in milliseconds. */
export interface Options {
  /** Number of workers that the pool starts with and always keeps. */
  readonly min: number;
  readonly max: number;
  /** How long a worker may be idle before it is ended, if there are more than `min`. */
  readonly idleTimeToLive: number;
  /** How long a job waits before another worker is started, if there are fewer than `max`. */
  readonly growAfter: number;
  /** Number of jobs that a worker runs at a time. */
  readonly concurrency: number;
  /** Number of jobs that are sent to a worker before it can run them. */
  readonly ahead: number;
  /** Whether that is done only behind short jobs. */
  readonly measured: boolean;
  /** Each worker is named after it, with a number. */
  readonly prefix: string;
  readonly policy: KillPolicy & { readonly gracePeriod: Duration.DurationInput };
  /** Number of jobs after which a worker is replaced. */
  readonly maxJobs: number;
  /** Age at which a worker is replaced. */
  readonly maxAge: number;
  /** Memory, in bytes, above which a worker is replaced. */
  readonly maxMemory: number;
  /** Whether to keep a spare worker. */
  readonly spare: boolean;
  /** The task that each worker runs before its first job. */
  readonly initializer: Call.Prepared | undefined;
  /** URLs of the modules that a worker is started with. Called at each start. */
  readonly modules: () => ReadonlyArray<string>;
  /** Records the jobs, if there is one. */
  readonly timeline: Timeline | undefined;
  /** Runs a function after a number of milliseconds. Returns a function that stops the timer. */
  readonly after: (millis: number, run: () => void) => () => void;
}

/** The pool gives up after this many failures in a row for each worker: a worker that dies before it has run any job. */
const MAX_FAILURES = 3;

/** How long no job must have waited before a spare is started, in milliseconds: its start takes a core and this thread for a while. */
const SETTLE = 20;

/** How long the memory of a worker is not asked for again, in milliseconds, if it is limited. */
const PROBE_INTERVAL = 100;

/** The same if it is only observed. */
const OBSERVE_INTERVAL = 1000;

/** Interval between attempts to start a worker for which no machine has a place, in milliseconds. */
const CROWDED = 500;

interface Worker {
  readonly child: Child;
  readonly scope: Scope.CloseableScope;
  /** When its start began; see `performance.now`. */
  readonly began: number;
  /** When it could run jobs, if it can. */
  served: number | undefined;
}

/** A worker that waits to replace another one. */
interface Reserve {
  readonly fiber: Fiber.RuntimeFiber<Worker, StartError>;
  /** Set when the worker has started. */
  worker: Worker | undefined;
}

type StartError = SpawnError | PoolError;

const broken = (how: string, cause: unknown): PoolError =>
  new PoolError({ reason: "Broken", message: `Cannot run the task: the workers of the pool ${how}`, cause });

const overrun = (reason: "Timeout" | "QueueTimeout" | "Deadline", millis: number): PoolError => {
  switch (reason) {
    case "Timeout":
      return new PoolError({ reason, message: `Cannot finish the task: it has run for more than ${millis} ms` });
    case "QueueTimeout":
      return new PoolError({
        reason,
        message: `Cannot run the task: it has waited for a worker for more than ${millis} ms`,
      });
    case "Deadline":
      return new PoolError({
        reason,
        message: `Cannot finish the task: its deadline has passed, ${millis} ms after its submission`,
      });
  }
};

/** Whether a worker cannot be started only because no machine has a place for it now. */
const isFull = (error: StartError): boolean =>
  error._tag === "SpawnError" && (error.reason === "Full" || error.reason === "NoAgent");

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
  readonly observations: Observations;
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
  /** Timers that the end of the pool stops. */
  readonly #timers = new Set<() => void>();
  /** Workers that are to replace that of a slot. */
  readonly #successors = new Map<Slot, Reserve>();
  /** When the memory of a worker was asked for last; see `performance.now`. */
  readonly #probed = new WeakMap<Child, number>();
  /** Workers that have been offered memory for tickets. */
  readonly #ticketed = new WeakSet<Child>();
  /** Number of slots whose workers can run jobs. */
  #working = 0;
  #spare: Reserve | undefined;
  /** Number of spares in a row that failed, or died before they were used. */
  #spareFailures = 0;
  /** Slots with a timer that may end their workers. */
  readonly #shrinking = new Set<Slot>();
  /** Stops the timer of {@link SETTLE}. */
  #settling: (() => void) | undefined;
  /** Whether no more workers are needed. */
  #ending = false;
  readonly #supervisors = new Set<Fiber.Fiber<void>>();
  #started = 0;
  #slots = 0;
  /** Whether a timer to start one more worker runs. */
  #growing = false;
  #failures = 0;
  /** Whether a worker was not started because no machine had a place for it. */
  #crowded = false;

  constructor(backend: Backend, options: Options, runtime: Runtime.Runtime<never>) {
    this.#backend = backend;
    this.#options = options;
    this.#runtime = runtime;
    this.observations = new Observations(options.timeline, (hint) => this.#inBackground(Effect.logDebug(hint)));
    this.dispatcher = new Dispatcher({
      gracePeriod: options.policy.gracePeriod,
      concurrency: options.concurrency,
      ahead: options.ahead,
      measured: options.measured,
      maxJobs: options.maxJobs,
      after: options.after,
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
      rest: (until, done) => {
        const fiber = Runtime.runFork(runtime)(until);
        fiber.addObserver((exit) => done(Exit.isSuccess(exit)));
        return () => void Runtime.runFork(runtime)(Fiber.interrupt(fiber));
      },
      onIdle: (slot) => {
        this.#keepSpare();
        this.#shrink(slot, options.idleTimeToLive);
      },
      onWaiting: () => this.#grow(),
      onAhead: (slot, child) => this.#giveTickets(slot, child),
      onLast: (slot) => this.#succeed(slot, () => {}),
      onFinished: (slot, end) => this.#probe(slot, end),
      observations: this.observations,
    });
    this.submissions = new Submissions(runtime);
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
        for (const worker of workers) {
          this.alive++;
          const slot = this.#openSlot();
          this.#supervised(yield* Effect.forkDaemon(this.#supervise(slot, worker)));
        }
        if (this.#options.min === 0) Deferred.unsafeDone(this.#open, Effect.void);
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
    for (const stop of this.#timers) stop();
    this.#timers.clear();
    const reserves = [...this.#successors.values(), ...this.#spare === undefined ? [] : [this.#spare]];
    this.#spare = undefined;
    this.#successors.clear();
    const all = [Fiber.interruptAll([...this.#supervisors]), ...reserves.map((reserve) => this.#dismiss(reserve))];
    return Effect.zipRight(
      Effect.all(all, { concurrency: "unbounded", discard: true }),
      Effect.suspend(() => Fiber.interruptAll([...this.#releasing])),
    );
  });

  #startAll(
    restore: <A, E>(effect: Effect.Effect<A, E>) => Effect.Effect<A, E>,
  ): Effect.Effect<ReadonlyArray<Worker>, StartError> {
    const { min: size } = this.#options;
    if (size === 0) return Effect.succeed([]);
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
      const began = performance.now();
      const started = Effect.interruptible(
        Effect.tap(Scope.extend(this.#backend.spawn(command), scope), (child) => this.#initialize(child)),
      );
      const failed = Effect.onError(started, (cause) => Scope.close(scope, Exit.failCause(cause)));
      return Effect.map(failed, (child) => {
        const worker: Worker = { child, scope, began, served: undefined };
        Runtime.runCallback(this.#runtime)(child.serves, { onExit: () => worker.served = performance.now() });
        return worker;
      });
    }),
  );

  #initialize(child: Child): Effect.Effect<void, StartError> {
    const { initializer } = this.#options;
    if (initializer === undefined) return Effect.void;
    const ran = Effect.async<unknown, unknown>((resume) => void Call.start(child, initializer, false, false, resume));
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

  /** Waits before the next attempt to start a worker for which there is no place. The first such wait is logged. */
  #awaitPlace(error: StartError): Effect.Effect<void> {
    const warned = this.#crowded ? Effect.void : Effect.logWarning(
      "A worker of the pool cannot be replaced yet: it is started as soon as there is a place",
      error,
    );
    this.#crowded = true;
    const pause = Effect.async<void>((resume) => Effect.sync(this.#later(CROWDED, () => resume(Effect.void))));
    return Effect.zipRight(warned, Effect.interruptible(pause));
  }

  #openSlot(): Slot {
    const slot = makeSlot(this.#slots++);
    this.dispatcher.open(slot);
    return slot;
  }

  #supervised(fiber: Fiber.RuntimeFiber<void>): void {
    this.#supervisors.add(fiber);
    fiber.addObserver(() => this.#supervisors.delete(fiber));
  }

  /** Number of failures in a row after which the pool gives up. */
  get #patience(): number {
    return MAX_FAILURES * Math.max(1, this.dispatcher.slots.length);
  }

  /** Runs one worker after another in a slot, until this is interrupted, the slot is not needed any more, or the pool gives up. */
  #supervise(slot: Slot, first: Worker): Effect.Effect<void> {
    const { maxJobs } = this.#options;
    return Effect.gen(this, function* () {
      let worker = first;
      while (true) {
        slot.jobs = 0;
        slot.leaving = false;
        const unserved = yield* this.#watch(slot, worker);
        if (slot.surplus) return this.dispatcher.close(slot);
        const recycled = slot.leaving || slot.jobs >= maxJobs;
        // A worker that dies while it runs a job may have died of the job.
        const innocent = worker.child.status()?._tag === "Lost" ||
          (slot.jobs > 0 || recycled) && worker.child.serving();
        this.#failures = innocent ? 0 : this.#failures + 1;
        let next = yield* Effect.either(this.#replacement(slot));
        while (next._tag === "Left" && (isFull(next.left) || this.#failures++ < this.#patience)) {
          if (isFull(next.left)) yield* this.#awaitPlace(next.left);
          next = yield* Effect.either(this.#startOne);
        }
        if (next._tag === "Left") {
          return this.#giveUp(broken(`cannot be started any more: ${next.left.message}`, next.left));
        }
        if (this.#failures > this.#patience) {
          yield* Scope.close(next.right.scope, Exit.void);
          return this.#giveUp(
            unserved === undefined
              ? broken("die before they can run anything", undefined)
              : broken(`cannot be started any more: ${unserved.message}`, unserved),
          );
        }
        worker = next.right;
        this.#crowded = false;
        this.alive++;
        if (recycled) this.recycled++;
        else {
          this.replaced++;
          this.observations.lost();
        }
      }
    });
  }

  /**
   * Puts a worker to work and waits until it is lost, or until this is interrupted: then the worker is ended. Gives the reason if the
   * worker ended before it served its link.
   */
  #watch(slot: Slot, worker: Worker): Effect.Effect<SpawnError | undefined> {
    const lost = Effect.async<void>((resume) => Effect.sync(worker.child.link.onClosed(() => resume(Effect.void))));
    const worked = Effect.zipLeft(this.#employ(slot, worker), lost);
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

  /** The next worker of a slot: its successor or the spare, even if it is still starting, or a new one. */
  #replacement(slot: Slot): Effect.Effect<Worker, StartError> {
    return Effect.suspend(() => {
      const successor = this.#successors.get(slot);
      this.#successors.delete(slot);
      const reserve = successor ?? this.#spare;
      if (reserve === undefined) return this.#startOne;
      if (reserve === this.#spare) {
        this.#spare = undefined;
        this.#spareFailures = 0;
      }
      return Effect.onInterrupt(Effect.interruptible(Fiber.join(reserve.fiber)), () => this.#dismiss(reserve));
    });
  }

  /** Runs a function after a while, unless the pool ends before. */
  #later(millis: number, run: () => void): () => void {
    if (millis === Infinity || this.#ending) return () => {};
    const timer = this.#options.after(millis, () => {
      this.#timers.delete(stop);
      run();
    });
    const stop = (): void => {
      this.#timers.delete(stop);
      timer();
    };
    this.#timers.add(stop);
    return stop;
  }

  // Growing and shrinking

  /** Whether more jobs wait than the workers that are starting will take. */
  get #needsMore(): boolean {
    const { slots, waiting } = this.dispatcher;
    const starting = slots.filter(({ child }) => child === undefined).length;
    return !this.#ending && slots.length < this.#options.max && waiting > starting;
  }

  /** Starts one more worker soon, if it is still needed then. */
  #grow(): void {
    if (this.#growing || !this.#needsMore) return;
    this.#growing = true;
    this.#later(this.dispatcher.slots.length === 0 ? 0 : this.#options.growAfter, () => {
      this.#growing = false;
      if (!this.#needsMore) return;
      this.#supervised(Runtime.runFork(this.#runtime)(Effect.uninterruptible(this.#superviseNew(this.#openSlot()))));
      this.#grow();
    });
  }

  /** Starts the first worker of a slot, and supervises the slot. */
  #superviseNew(slot: Slot): Effect.Effect<void> {
    return Effect.matchCauseEffect(this.#startOne, {
      onSuccess: (worker) => {
        this.alive++;
        return this.#supervise(slot, worker);
      },
      onFailure: (cause) => {
        this.dispatcher.close(slot);
        if (Cause.isInterruptedOnly(cause)) return Effect.void;
        const error = Cause.squash(cause) as StartError;
        if (isFull(error)) {
          this.#later(CROWDED, () => this.#grow());
          return Effect.logWarning("One more worker of the pool cannot be started yet: it is tried again", cause);
        }
        if (this.dispatcher.slots.length === 0 && ++this.#failures > MAX_FAILURES) {
          return Effect.sync(() => this.#giveUp(broken(`cannot be started any more: ${error.message}`, error)));
        }
        this.#grow();
        return Effect.logWarning("One more worker of the pool cannot be started", cause);
      },
    });
  }

  /** Ends the worker of a slot if it stays idle for a while and is not needed. */
  #shrink(slot: Slot, millis: number): void {
    const { idleTimeToLive, min } = this.#options;
    if (idleTimeToLive === Infinity || this.dispatcher.slots.length <= min || this.#shrinking.has(slot)) return;
    this.#shrinking.add(slot);
    this.#later(millis, () => {
      this.#shrinking.delete(slot);
      if (slot.child === undefined || slot.running.size > 0 || slot.own.size > 0 || slot.leaving) return;
      const left = idleTimeToLive - (performance.now() - slot.idleSince);
      if (left > 1) return this.#shrink(slot, left);
      if (this.dispatcher.slots.filter(({ surplus }) => !surplus).length <= min) return;
      slot.surplus = true;
      this.dispatcher.retire(slot);
    });
  }

  // Successors

  /** Starts the successor of a slot's worker, if it has none, and calls back when it has started. */
  #succeed(slot: Slot, started: () => void): void {
    if (this.#ending || this.#options.spare || this.#successors.has(slot)) {
      if (this.#options.spare) started();
      return;
    }
    const successor: Reserve = { fiber: Runtime.runFork(this.#runtime)(this.#startOne), worker: undefined };
    this.#successors.set(slot, successor);
    successor.fiber.addObserver((exit) => {
      if (this.#successors.get(slot) !== successor) return;
      if (Exit.isSuccess(exit)) {
        successor.worker = exit.value;
        return started();
      }
      this.#successors.delete(slot);
      this.#inBackground(Effect.logWarning("The successor of a worker of the pool cannot be started", exit.cause));
    });
  }

  /** Replaces a worker that may go on until its successor has started. */
  #renew(slot: Slot, child: Child): void {
    if (slot.child !== child || slot.leaving || slot.surplus) return;
    this.#succeed(slot, () => slot.child === child && this.dispatcher.retire(slot));
  }

  /** Asks a worker for its memory, and replaces it if that is too much. */
  #probe(slot: Slot, now: number): void {
    const { child } = slot;
    const { maxMemory } = this.#options;
    if (child === undefined || child.link.closed !== undefined) return;
    const interval = maxMemory === Infinity ? OBSERVE_INTERVAL : PROBE_INTERVAL;
    if (now - (this.#probed.get(child) ?? -Infinity) < interval) return;
    this.#probed.set(child, now);
    memoryOf(child.link, (bytes) => {
      if (slot.child === child) slot.memory = bytes;
      if (bytes > maxMemory) this.#renew(slot, child);
    });
  }

  /** Gives a slot tickets, if its worker can share memory with this process. */
  #giveTickets(slot: Slot, child: Child): void {
    if (this.#ticketed.has(child) || child.host !== undefined || this.#options.ahead >= PLACES) return;
    this.#ticketed.add(child);
    const { name } = this.#backend;
    if (name !== "worker" && name !== "subprocess") return;
    void offerRing(child.link, name, (tickets) => {
      if (slot.child === child) slot.tickets = tickets;
    });
  }

  /** Whether a spare is to be started: each slot has a worker, and no job waits. */
  get #needsSpare(): boolean {
    return this.#options.spare && this.#spare === undefined && !this.#ending && this.#spareFailures < MAX_FAILURES &&
      this.#working === this.dispatcher.slots.length && this.dispatcher.waiting === 0;
  }

  /** Starts a spare soon, if it is still needed then. */
  #keepSpare(): void {
    if (this.#settling !== undefined || !this.#needsSpare) return;
    this.#settling = this.#later(SETTLE, () => {
      this.#settling = undefined;
      if (this.#needsSpare) this.#startSpare();
    });
  }

  #startSpare(): void {
    const spare: Reserve = { fiber: Runtime.runFork(this.#runtime)(this.#startOne), worker: undefined };
    this.#spare = spare;
    spare.fiber.addObserver((exit) => {
      if (Exit.isFailure(exit)) return this.#loseSpare(spare, exit.cause);
      spare.worker = exit.value;
      // What cannot be loaded fails again when it is needed, and is reported then.
      exit.value.child.link.notify({ preload: [...this.dispatcher.modules] } satisfies Notice);
      exit.value.child.link.onClosed(() => this.#loseSpare(spare, undefined));
    });
  }

  /** A spare has failed to start, or has died. */
  #loseSpare(spare: Reserve, cause: Cause.Cause<StartError> | undefined): void {
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

  /** Ends a worker that no slot needs any more. */
  #dismiss({ fiber }: Reserve): Effect.Effect<void> {
    return Effect.flatMap(
      Fiber.interrupt(fiber),
      (exit) => Exit.isSuccess(exit) ? this.#release(exit.value, undefined) : Effect.void,
    );
  }

  /** Gives a worker to the dispatcher as soon as it serves its link: a worker that never does has had no job. */
  #employ(slot: Slot, worker: Worker): Effect.Effect<SpawnError | undefined> {
    const { began, child } = worker;
    return Effect.match(child.serves, {
      onFailure: (error) => {
        Deferred.unsafeDone(this.#open, Effect.fail(error));
        return error;
      },
      onSuccess: (serves) => {
        if (!serves || child.link.closed !== undefined) return undefined;
        this.#working++;
        child.link.onClosed(() => this.#working--);
        this.dispatcher.add(slot, child, (worker.served ?? performance.now()) - began);
        const stop = this.#later(this.#options.maxAge, () => this.#renew(slot, child));
        child.link.onClosed(stop);
        if (this.#served.add(slot).size === this.#options.min) Deferred.unsafeDone(this.#open, Effect.void);
        return undefined;
      },
    });
  }

  #giveUp(error: PoolError): void {
    this.#ending = true;
    this.dispatcher.refuse(Cause.fail(error));
    Deferred.unsafeDone(this.#open, Effect.fail(error));
  }
}
