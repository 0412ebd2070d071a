/**
 * The workers of a pool: started together, replaced one by one, ended together.
 *
 * @module
 */
import * as Cause from "effect/Cause";
import * as Deferred from "effect/Deferred";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Fiber from "effect/Fiber";
import * as Runtime from "effect/Runtime";
import * as Scope from "effect/Scope";
import type { Backend, Child, KillPolicy, SpawnError } from "../../Backend.ts";
import * as Call from "../child/call.ts";
import { stop } from "../child/stop.ts";
import { Dispatcher, type Slot } from "./dispatcher.ts";
import { PoolError } from "./error.ts";
import { Submissions } from "./submissions.ts";

/** Options of a crew. */
export interface Options {
  readonly size: number;
  /** Workers are named after it, with a number. */
  readonly prefix: string;
  readonly policy: KillPolicy & { readonly gracePeriod: NonNullable<KillPolicy["gracePeriod"]> };
  /** Jobs after which a worker is replaced. */
  readonly maxJobs: number;
  /** What each worker runs before its first job. */
  readonly initializer: Call.Prepared | undefined;
  /** Where a worker's modules are, at the time when it is started. */
  readonly modules: () => ReadonlyArray<string>;
}

/** Workers, and the dispatcher that gives them work. */
export interface Crew {
  readonly dispatcher: Dispatcher;
  readonly submissions: Submissions;
  readonly counts: { alive: number; replaced: number; recycled: number };
  /** Ends the workers: in good order, or by the kill policy. */
  readonly end: Effect.Effect<void>;
}

/** So often in a row may a worker die before it has come up and had work, for each that the pool is to have, until the pool gives up. */
const MAX_FAILURES = 3;

interface Worker {
  readonly child: Child;
  readonly scope: Scope.CloseableScope;
}

const broken = (how: string, cause: unknown): PoolError =>
  new PoolError({ reason: "Broken", message: `Cannot run the task: the workers of the pool ${how}`, cause });

/**
 * Starts the workers and initializes them; if one fails, or on interruption, the others are ended. `release` becomes a
 * finalizer in the same step that makes the crew complete, so that no interruption can fall between the two.
 */
export const assemble = (
  backend: Backend,
  options: Options,
  release: (crew: Crew, exit: Exit.Exit<unknown, unknown>) => Effect.Effect<void>,
): Effect.Effect<Crew, SpawnError | PoolError, Scope.Scope> =>
  Effect.gen(function* () {
    const { initializer, modules, policy, prefix, size } = options;
    const runtime = yield* Effect.runtime<never>();
    const counts = { alive: 0, replaced: 0, recycled: 0 };
    const dispatcher = new Dispatcher({
      gracePeriod: policy.gracePeriod,
      maxJobs: options.maxJobs,
      kill: (child) =>
        void Runtime.runFork(runtime)(stop({
          child,
          interruptible: () => false,
          ask: Effect.void,
          policy,
          doing: "a worker of a pool",
          wanted: true,
        })),
      run: (reply, onExit) => void Runtime.runCallback(runtime)(reply, { onExit }),
      overrun: (timeout) =>
        Cause.fail(
          new PoolError({
            reason: "Timeout",
            message: `Cannot finish the task: it has run for more than ${timeout} ms`,
          }),
        ),
    });
    const submissions = new Submissions(dispatcher, runtime);
    /** Every slot has had a worker that serves its link, or one will not. */
    const opened = yield* Deferred.make<void, SpawnError | PoolError>();
    const served = new Set<Slot>();
    let named = 0;
    let failures = 0;

    const initialize = (child: Child, initializer: Call.Prepared): Effect.Effect<void, PoolError> =>
      Effect.asVoid(Effect.catchAllCause(
        Effect.async<unknown, unknown>((resume) => void Call.start(child, initializer, false, resume)),
        (cause) =>
          Effect.fail(
            new PoolError({
              reason: "InitializerFailed",
              message: `Cannot start the pool: the initializer "${initializer.task.name}" failed in ${child.name}`,
              cause: Cause.squash(cause),
            }),
          ),
      ));

    /** Interruptible while it waits, and only there: a worker that has come is never lost on the way to whoever asked. */
    const spawn: Effect.Effect<Worker, SpawnError | PoolError> = Effect.uninterruptible(
      Effect.flatMap(Scope.make(), (scope) => {
        const command = { name: `${prefix}:${++named}`, daemon: true, modules: modules() };
        const prepare = (child: Child): Effect.Effect<void, SpawnError | PoolError> =>
          initializer === undefined ? Effect.void : Effect.zipRight(child.serves, initialize(child, initializer));
        const spawned = Effect.interruptible(Effect.tap(Scope.extend(backend.spawn(command), scope), prepare));
        const failed = Effect.onError(spawned, (cause) => Scope.close(scope, Exit.failCause(cause)));
        return Effect.map(failed, (child) => ({ child, scope }));
      }),
    );

    /** Lends a worker to the dispatcher as soon as it serves its link: one that never does has had no task. */
    const employ = (slot: Slot, child: Child): Effect.Effect<SpawnError | undefined> =>
      Effect.match(child.serves, {
        onFailure: (error) => {
          Deferred.unsafeDone(opened, Effect.fail(error));
          return error;
        },
        onSuccess: (serves) => {
          if (!serves) return undefined;
          dispatcher.ready(slot, child);
          if (served.add(slot).size === size) Deferred.unsafeDone(opened, Effect.void);
          return undefined;
        },
      });

    /**
     * Employs a worker and waits until it has ended, or until this is interrupted: then it is ended. Gives the reason why it
     * never came up, if it did not.
     */
    const watch = (slot: Slot, { child, scope }: Worker): Effect.Effect<SpawnError | undefined> =>
      Effect.onExit(Effect.interruptible(Effect.zipLeft(employ(slot, child), child.exited)), () => {
        counts.alive--;
        // The end of its link tells an idle worker to end in good order; one that is still coming up has nothing to put in order.
        const end = stop({
          child,
          interruptible: child.serving,
          ask: Effect.sync(() => child.link.close()),
          policy,
          doing: "a worker of a pool",
        });
        return Effect.ensuring(end, Scope.close(scope, Exit.void));
      });

    const giveUp = (error: PoolError): void => {
      dispatcher.close(Cause.fail(error));
      Deferred.unsafeDone(opened, Effect.fail(error));
    };

    /** The life of a slot: one worker after another. */
    const supervise = (slot: Slot, first: Worker): Effect.Effect<void> =>
      Effect.gen(function* () {
        let worker = first;
        while (true) {
          slot.jobs = 0;
          const unserved = yield* watch(slot, worker);
          const recycled = slot.jobs >= options.maxJobs;
          // One that dies with a task in hand may have died of it.
          failures = worker.child.serving() && slot.jobs > 0 ? 0 : failures + 1;
          let next = yield* Effect.either(spawn);
          while (next._tag === "Left" && failures++ < MAX_FAILURES * size) next = yield* Effect.either(spawn);
          if (next._tag === "Left") {
            return giveUp(broken(`cannot be started any more: ${next.left.message}`, next.left));
          }
          if (failures > MAX_FAILURES * size) {
            yield* Scope.close(next.right.scope, Exit.void);
            return giveUp(
              unserved === undefined
                ? broken("die before they have come up", undefined)
                : broken(`cannot be started any more: ${unserved.message}`, unserved),
            );
          }
          worker = next.right;
          counts.alive++;
          if (recycled) counts.recycled++;
          else counts.replaced++;
        }
      });

    const dismiss = (
      exits: ReadonlyArray<Exit.Exit<Worker, unknown>>,
      why: Exit.Exit<unknown, unknown>,
    ): Effect.Effect<void> =>
      Effect.forEach(
        exits.flatMap((exit) => Exit.isSuccess(exit) ? [exit.value] : []),
        ({ scope }) => Scope.close(scope, why),
        { concurrency: "unbounded", discard: true },
      );

    return yield* Effect.uninterruptibleMask((restore) =>
      Effect.gen(function* () {
        // No race: one whose fiber is interrupted between making its two fibers and starting them waits for ever.
        const complete = yield* Deferred.make<void, SpawnError | PoolError>();
        let coming = size;
        const attempt = Effect.onExit(spawn, (exit) => {
          if (Exit.isFailure(exit)) return Deferred.failCause(complete, exit.cause);
          return --coming === 0 ? Deferred.succeed(complete, undefined) : Effect.void;
        });
        const attempts = yield* Effect.all(Array.from({ length: size }, () => Effect.forkDaemon(attempt)));
        // The first failure, or interruption, makes an end of all of them.
        yield* Effect.onError(
          restore(Deferred.await(complete)),
          (cause) =>
            Effect.zipRight(
              Fiber.interruptAll(attempts),
              Effect.flatMap(
                Effect.forEach(attempts, Fiber.await),
                (exits) => dismiss(exits, Exit.failCause(cause)),
              ),
            ),
        );
        const workers = yield* Effect.forEach(attempts, Fiber.join);
        const fibers = yield* Effect.forEach(workers, (worker) => {
          const slot: Slot = { child: undefined, jobs: 0 };
          counts.alive++;
          return Effect.forkDaemon(supervise(slot, worker));
        });
        const end = Effect.asVoid(Fiber.interruptAll(fibers));
        yield* Effect.onError(restore(Deferred.await(opened)), () => end);
        const crew: Crew = { dispatcher, submissions, counts, end };
        yield* Effect.addFinalizer((exit) => release(crew, exit));
        return crew;
      })
    );
  });
