/**
 * Jobs that somebody has handed in and not waited for: they belong to the pool.
 *
 * A submission is a promise for an exit, not a fiber, so that tens of thousands at once cost little.
 *
 * @module
 */
import type * as Cause from "effect/Cause";
import * as Deferred from "effect/Deferred";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Fiber from "effect/Fiber";
import * as FiberId from "effect/FiberId";
import * as FiberRef from "effect/FiberRef";
import * as Option from "effect/Option";
import * as Runtime from "effect/Runtime";
import * as Call from "../child/call.ts";
import type { Begin, Dispatcher } from "./dispatcher.ts";

/** What is told of the end of a submission, and to whom. */
export interface Callbacks {
  readonly onSuccess?: ((value: unknown) => Effect.Effect<unknown, unknown>) | undefined;
  readonly onFailure?: ((cause: Cause.Cause<unknown>) => Effect.Effect<unknown, unknown>) | undefined;
}

/** One submission. */
export interface Submitted {
  readonly await: Effect.Effect<unknown, unknown>;
  readonly poll: Effect.Effect<Option.Option<Exit.Exit<unknown, unknown>>>;
  readonly cancel: Effect.Effect<void>;
}

/** The callback that a fiber runs for, itself or for one above it: it may end its own pool, and cannot wait for itself. */
const running: FiberRef.FiberRef<object | undefined> = FiberRef.unsafeMake<object | undefined>(undefined);

/** The submissions of one pool. */
export class Submissions {
  readonly #dispatcher: Dispatcher;
  readonly #runtime: Runtime.Runtime<never>;
  readonly #callbacks = new Map<object, Fiber.Fiber<unknown, unknown>>();
  #open = 0;
  #waiting: Array<() => void> = [];

  constructor(dispatcher: Dispatcher, runtime: Runtime.Runtime<never>) {
    this.#dispatcher = dispatcher;
    this.#runtime = runtime;
  }

  /** Hands in a job, or what is to be said in its place. */
  submit(
    prepared: Call.Prepared,
    timeout: number | undefined,
    callbacks: Callbacks,
    refusal: Exit.Exit<never, unknown> | undefined,
  ): Submitted {
    const result = Deferred.unsafeMake<unknown, unknown>(FiberId.none);
    let exit: Exit.Exit<unknown, unknown> | undefined;
    let cancelled = false;
    const settle = (settled: Exit.Exit<unknown, unknown>): void => {
      exit = cancelled ? Exit.interrupt(FiberId.none) : settled;
      Deferred.unsafeDone(result, exit);
      this.#tell(prepared.task.name, exit, callbacks);
      this.#open--;
      if (this.#open === 0) { for (const resume of this.#waiting.splice(0)) resume(); }
    };
    this.#open++;
    const begin: Begin = (child, done) => Call.start(child, prepared, false, done);
    const job = refusal === undefined ? this.#dispatcher.submit(begin, settle, timeout) : undefined;
    if (refusal !== undefined) settle(refusal);
    return {
      await: Deferred.await(result),
      poll: Effect.sync(() => Option.fromNullable(exit)),
      cancel: Effect.suspend(() => {
        if (exit !== undefined || job === undefined) return Effect.void;
        cancelled = true;
        if (this.#dispatcher.cancel(job)) settle(Exit.interrupt(FiberId.none));
        return Effect.asVoid(Effect.exit(Deferred.await(result)));
      }),
    };
  }

  /** Waits until all have settled. */
  readonly settled: Effect.Effect<void> = Effect.async((resume) => {
    if (this.#open === 0) resume(Effect.void);
    else this.#waiting.push(() => resume(Effect.void));
  });

  /** Waits until all callbacks have run, but for the one that asks. */
  readonly told: Effect.Effect<void> = Effect.flatMap(
    FiberRef.get(running),
    (own) => Fiber.awaitAll(this.#others(own)),
  );

  /** Stops the callbacks that run, but for the one that asks. */
  readonly silence: Effect.Effect<void> = Effect.flatMap(
    FiberRef.get(running),
    (own) => Fiber.interruptAll(this.#others(own)),
  );

  #others(own: object | undefined): ReadonlyArray<Fiber.Fiber<unknown, unknown>> {
    return [...this.#callbacks].flatMap(([callback, fiber]) => callback === own ? [] : [fiber]);
  }

  #tell(task: string, exit: Exit.Exit<unknown, unknown>, { onFailure, onSuccess }: Callbacks): void {
    const callback = Exit.isSuccess(exit)
      ? onSuccess && Effect.suspend(() => onSuccess(exit.value))
      : onFailure && Effect.suspend(() => onFailure(exit.cause));
    if (callback === undefined) return;
    const reported = Effect.catchAllCause(
      callback,
      (cause) => Effect.logError(`A callback of task "${task}" failed`, cause),
    );
    const own = {};
    const fiber = Runtime.runFork(this.#runtime)(Effect.locally(reported, running, own));
    this.#callbacks.set(own, fiber);
    fiber.addObserver(() => this.#callbacks.delete(own));
  }
}
