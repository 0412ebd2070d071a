/**
 * Submissions: jobs that belong to the pool instead of to a call that waits for them.
 *
 * A submission is a promise for an Exit, not a fiber, so that tens of thousands at once cost little.
 *
 * @module
 */
import * as Deferred from "effect/Deferred";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Fiber from "effect/Fiber";
import * as FiberId from "effect/FiberId";
import * as FiberRef from "effect/FiberRef";
import * as Option from "effect/Option";
import * as Runtime from "effect/Runtime";
import type { PoolFailure, Submission, SubmissionTypeId, SubmitOptions } from "../../Pool.ts";
import type * as Call from "../child/call.ts";
import { oneStep, Otherwise } from "../objects/interruption.ts";
import { WaitId } from "../objects/waitable.ts";
import { inspectable } from "../os/inspect.ts";
import type { Dispatcher } from "./dispatcher.ts";
import type { Job, Terms } from "./job.ts";
import type { Gate } from "./jobs.ts";

/**
 * The callback that a fiber runs in, itself or through its parents. A callback may end its own pool, which must then not wait
 * for the callback.
 */
const currentCallback: FiberRef.FiberRef<object | undefined> = FiberRef.unsafeMake<object | undefined>(undefined);

const TypeId: SubmissionTypeId = "~multiprocessing/Submission";

/** A submitted task, which the pool settles once. */
export class Submitted<A, E> implements Submission<A, E> {
  readonly [TypeId]: SubmissionTypeId = TypeId;
  /** Made for the first that waits: most submissions have settled by then. */
  #result: Deferred.Deferred<A, E> | undefined;
  #listeners: Set<() => void> | undefined;
  /** Set when it has settled. */
  exit: Exit.Exit<A, E> | undefined;

  get await(): Effect.Effect<A, E> {
    return this.exit ?? Deferred.await(this.#pending);
  }

  get #pending(): Deferred.Deferred<A, E> {
    return this.#result ??= Deferred.unsafeMake<A, E>(FiberId.none);
  }

  get poll(): Effect.Effect<Option.Option<Exit.Exit<A, E>>> {
    return Effect.sync(() => Option.fromNullable(this.exit));
  }

  get cancel(): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.exit !== undefined) return Effect.void;
      this.stop();
      return Effect.asVoid(Effect.exit(this.await));
    });
  }

  get [WaitId](): Submission<A, E>[typeof WaitId] {
    return {
      look: (answer) => answer(this.exit !== undefined),
      watch: (ready) => this.onSettled(ready),
    };
  }

  /** Calls `listener` once, when it has settled. Returns a function that stops that. */
  onSettled(listener: () => void): () => void {
    if (this.exit !== undefined) {
      listener();
      return () => {};
    }
    // Two waits may have the same listener.
    const own = (): void => listener();
    const listeners = this.#listeners ??= new Set();
    listeners.add(own);
    return () => void listeners.delete(own);
  }

  /** Takes the task back, or stops it. */
  protected stop(): void {}

  settle(exit: Exit.Exit<A, E>): void {
    this.exit = exit;
    if (this.#result !== undefined) Deferred.unsafeDone(this.#result, exit);
    const listeners = this.#listeners;
    this.#listeners = undefined;
    if (listeners !== undefined) { for (const listener of listeners) listener(); }
  }
}
inspectable(Submitted);

/** Receives the name of the task of a submission that has settled, its Exit, and its callbacks. */
type Ended = <A, E>(task: string, exit: Exit.Exit<A, E | PoolFailure>, callbacks: SubmitOptions<A, E>) => void;

/** A submission whose task is a job. One object holds all that it needs: tens of thousands may be open. */
class SubmittedJob<A, E> extends Submitted<A, E | PoolFailure> {
  readonly #dispatcher: Dispatcher;
  readonly #task: string;
  readonly #callbacks: SubmitOptions<A, E>;
  readonly #ended: Ended;
  readonly #job: Job;
  #isCancelled = false;

  constructor(
    { dispatcher, submit }: Gate,
    prepared: Call.Prepared,
    terms: Terms,
    callbacks: SubmitOptions<A, E>,
    ended: Ended,
  ) {
    super();
    this.#dispatcher = dispatcher;
    this.#task = prepared.task.name;
    this.#callbacks = callbacks;
    this.#ended = ended;
    this.#job = submit(prepared, (exit) => this.#end(exit as Exit.Exit<A, E | PoolFailure>), terms);
  }

  protected override stop(): void {
    this.#isCancelled = true;
    if (this.#dispatcher.cancel(this.#job)) this.#end(Exit.interrupt(FiberId.none));
  }

  #end(settled: Exit.Exit<A, E | PoolFailure>): void {
    const exit = this.#isCancelled ? Exit.interrupt(FiberId.none) : settled;
    this.settle(exit);
    this.#ended(this.#task, exit, this.#callbacks);
  }
}

/** The submissions of one pool. */
export class Submissions {
  readonly #runtime: Runtime.Runtime<never>;
  readonly #callbacks = new Map<object, Fiber.Fiber<unknown, unknown>>();
  #open = 0;
  #waiters: Array<() => void> = [];

  constructor(runtime: Runtime.Runtime<never>) {
    this.#runtime = runtime;
  }

  /** Submits a job as soon as there is room for it. Call it in the fiber. *Interruption:* submits nothing. */
  submit<A, E>(
    gate: Gate,
    prepared: Call.Prepared,
    terms: Terms,
    callbacks: SubmitOptions<A, E>,
  ): Effect.Effect<Submission<A, E | PoolFailure>> {
    const { admission } = gate;
    const begin = (): Submission<A, E | PoolFailure> => {
      this.#open++;
      return new SubmittedJob<A, E>(gate, prepared, terms, callbacks, this.#ended);
    };
    const wait = () =>
      Effect.async<Submission<A, E | PoolFailure>>((resume) => {
        const leave = admission.enter(() => resume(Effect.succeed(begin())));
        return Effect.sync(leave);
      });
    return admission.open ? oneStep(() => admission.open ? begin() : new Otherwise(wait())) : wait();
  }

  /** A submission that has settled. */
  concluded<A, E>(
    task: string,
    exit: Exit.Exit<A, E | PoolFailure>,
    callbacks: SubmitOptions<A, E>,
  ): Submission<A, E | PoolFailure> {
    this.#call(task, exit, callbacks);
    const submission = new Submitted<A, E | PoolFailure>();
    submission.settle(exit);
    return submission;
  }

  readonly #ended: Ended = (task, exit, callbacks) => {
    this.#call(task, exit, callbacks);
    this.#open--;
    if (this.#open === 0) { for (const resume of this.#waiters.splice(0)) resume(); }
  };

  /** Waits until all submissions have settled. */
  readonly settled: Effect.Effect<void> = Effect.async((resume) => {
    if (this.#open === 0) resume(Effect.void);
    else this.#waiters.push(() => resume(Effect.void));
  });

  /** Waits until all callbacks have ended, except the one that the calling fiber runs in. */
  readonly callbacksEnded: Effect.Effect<void> = Effect.flatMap(
    FiberRef.get(currentCallback),
    (own) => Fiber.awaitAll(this.#others(own)),
  );

  /** Interrupts all callbacks, except the one that the calling fiber runs in. */
  readonly interruptCallbacks: Effect.Effect<void> = Effect.flatMap(
    FiberRef.get(currentCallback),
    (own) => Fiber.interruptAll(this.#others(own)),
  );

  #others(own: object | undefined): ReadonlyArray<Fiber.Fiber<unknown, unknown>> {
    return [...this.#callbacks].flatMap(([callback, fiber]) => callback === own ? [] : [fiber]);
  }

  #call<A, E>(task: string, exit: Exit.Exit<A, E | PoolFailure>, { onFailure, onSuccess }: SubmitOptions<A, E>): void {
    const callback = Exit.isSuccess(exit)
      ? onSuccess && Effect.suspend(() => onSuccess(exit.value))
      : onFailure && Effect.suspend(() => onFailure(exit.cause));
    if (callback === undefined) return;
    const reported = Effect.catchAllCause(
      callback,
      (cause) => Effect.logError(`A callback of task "${task}" failed`, cause),
    );
    const own = {};
    const fiber = Runtime.runFork(this.#runtime)(Effect.locally(reported, currentCallback, own));
    this.#callbacks.set(own, fiber);
    fiber.addObserver(() => this.#callbacks.delete(own));
  }
}
