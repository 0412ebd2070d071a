/**
 * The clients of managed locks, semaphores and conditions.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Scope from "effect/Scope";
import { waitThenCommit } from "../objects/interruption.ts";
import { varints } from "../codec/varint.ts";
import { countOrInfinite, effect as isEffect } from "../os/arguments.ts";
import { ask, checked, type ManagerFailure, type ObjectRef } from "./calls.ts";
import { SyncError } from "../sync/errors.ts";
import type { Hold } from "../sync/reentrancy.ts";
import { addGrant, findGrant, type Grant, type Lost, releaseGrant, removeGrant, requestGrant } from "./lock_grants.ts";
import * as P from "./protocol.ts";
import { RecursiveGrant } from "./recursive_grants.ts";
import { type Proxy, Remote, TypeId } from "./remote.ts";

const notHeld = (operation: string): SyncError =>
  new SyncError("NotOwner", `Cannot ${operation}: it is not held here; take it first, or use withLock`);

/** A lock that was taken, and the Effect that gives it back. */
interface Taken {
  readonly grant: Grant;
  readonly giveBack: Effect.Effect<void>;
}

/** Takes a lock for this process, and passes the grant to `commit`; `undefined` if another process holds the lock. */
const takeGrant = <A>(
  lock: ObjectRef,
  waits: boolean,
  commit: (grant: Grant | undefined) => Effect.Effect<A>,
): Effect.Effect<A, ManagerFailure> =>
  waitThenCommit<Grant | undefined, unknown, A, never>((answer) => {
    let granted: Grant | undefined;
    const cancel = requestGrant(lock, waits, (outcome) => {
      if (outcome === "busy") return answer(Effect.succeed(undefined));
      if (!("line" in outcome)) return answer(outcome.lost);
      granted = outcome;
      answer(Effect.succeed(outcome));
    });
    return () => {
      if (granted === undefined) cancel();
      else granted.line.cancel();
    };
  }, (grant) => {
    if (grant !== undefined) addGrant(lock, grant);
    return commit(grant);
  }) as Effect.Effect<A, ManagerFailure>;

/** Fails if the lock was lost while it was held. */
const stillHeld = ({ lost }: Grant): Effect.Effect<void, ManagerFailure> =>
  lost === undefined ? Effect.void : lost as Effect.Effect<never, ManagerFailure>;

/**
 * The operations of locks. A lock that is taken and not released is given back when the process ends, however it ends;
 * `acquire` gives it back when the scope closes, and `withLock` when its Effect has ended.
 *
 * @since 0.1.0
 * @category models
 */
export interface Acquirable extends Proxy {
  /** Waits for the lock, and takes it. Requests are served in order. *Interruption:* takes nothing. */
  readonly take: Effect.Effect<void, ManagerFailure>;
  /** Takes the lock if it is free. Returns whether it was taken. */
  readonly tryTake: Effect.Effect<boolean, ManagerFailure>;
  /** Gives the lock back, without waiting. The next process gets it before any later request of this process. */
  readonly release: Effect.Effect<void, SyncError | ManagerFailure>;
  /** Waits for the lock, and takes it for the scope. *Interruption:* takes nothing. *Release:* gives it back. */
  readonly acquire: Effect.Effect<void, ManagerFailure, Scope.Scope>;
  /** Runs an Effect while the lock is held. *Interruption:* takes nothing, or interrupts the Effect and gives the lock back. */
  readonly withLock: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | ManagerFailure, R>;
  /** Whether the lock cannot be taken now. */
  readonly isLocked: Effect.Effect<boolean, ManagerFailure>;
  /** The numbers of permits, holders and waiters. */
  readonly statistics: Effect.Effect<LockStatistics, ManagerFailure>;
}

/** The state of a lock. @since 0.1.0 @category models */
export interface LockStatistics {
  /** Permits that can be taken now. */
  readonly free: number;
  /** Permits that are held. */
  readonly held: number;
  /** Requests that wait. */
  readonly waiting: number;
}

/**
 * A lock at the server. One process at a time holds it, and any fiber of that process may release it. Python's `Lock` of a
 * manager.
 *
 * @since 0.1.0
 * @category models
 */
export interface Lock extends Acquirable {}

/**
 * A recursive lock: the fiber that holds it can take it again, and must release it as often. It belongs to fibers in the same way
 * as an `RLock` in shared memory: under `Effect.timeout` or `Effect.race` it belongs to the caller, and fibers that are forked
 * inside exclude each other. Python's `RLock` of a manager.
 *
 * @since 0.1.0
 * @category models
 */
export interface RLock extends Acquirable {}

/**
 * A semaphore at the server, with a number of permits. If a process that holds no permit releases the semaphore, a permit is
 * added, unless the semaphore is bounded. Python's `Semaphore` and `BoundedSemaphore` of a manager.
 *
 * @since 0.1.0
 * @category models
 */
export interface Semaphore extends Acquirable {
  /** Permits that can be taken now. Python's `get_value`. */
  readonly available: Effect.Effect<number, ManagerFailure>;
}

/** The base of all locks. */
abstract class AcquirableProxy extends Remote implements Acquirable {
  /** The lock that is taken: this object itself, or the lock of a condition. */
  protected get lock(): ObjectRef {
    return this[TypeId];
  }

  /** Whether the lock belongs to fibers. */
  protected get recursive(): boolean {
    return false;
  }

  #take<A>(waits: boolean, commit: (taken: Taken | undefined) => Effect.Effect<A>): Effect.Effect<A, ManagerFailure> {
    return this.recursive ? this.#takeRecursive(waits, commit) : this.#takePlain(waits, commit);
  }

  #takePlain<A>(
    waits: boolean,
    commit: (taken: Taken | undefined) => Effect.Effect<A>,
  ): Effect.Effect<A, ManagerFailure> {
    const { lock } = this;
    return takeGrant(
      lock,
      waits,
      (grant) => commit(grant && { grant, giveBack: Effect.sync(() => releaseGrant(lock, grant)) }),
    );
  }

  #takeRecursive<A>(
    waits: boolean,
    commit: (taken: Taken | undefined) => Effect.Effect<A>,
  ): Effect.Effect<A, ManagerFailure> {
    return Effect.withFiberRuntime<A, ManagerFailure>((fiber) => {
      const own = RecursiveGrant.of(this.lock);
      const taken = (hold: Hold<Lost>): Taken => ({
        grant: own.grant!,
        giveBack: Effect.withFiberRuntime((fiber) => {
          own.holds.end(fiber, hold);
          return Effect.void;
        }),
      });
      const again = own.holds.enter(fiber, () => false);
      if (again !== undefined) return commit(taken(again));
      if (!waits && own.holds.held) return commit(undefined);
      return waitThenCommit<Hold<Lost> | undefined, unknown, A, never>(
        (answer) => waits ? own.wait(fiber, answer) : own.attempt(fiber, answer),
        (hold) => {
          if (hold === undefined) return commit(undefined);
          own.holds.settle(fiber, hold);
          return commit(taken(hold));
        },
      ) as Effect.Effect<A, ManagerFailure>;
    });
  }

  get take(): Effect.Effect<void, ManagerFailure> {
    return this.#take(true, () => Effect.void);
  }

  get tryTake(): Effect.Effect<boolean, ManagerFailure> {
    return this.#take(false, (taken) => Effect.succeed(taken !== undefined));
  }

  get release(): Effect.Effect<void, SyncError | ManagerFailure> {
    return Effect.withFiberRuntime<void, SyncError | ManagerFailure>((fiber) => {
      if (this.recursive) {
        const own = RecursiveGrant.of(this.lock);
        const { grant } = own;
        return own.holds.leave(fiber) === undefined ? this.releaseUnheld() : stillHeld(grant!);
      }
      const grant = findGrant(this.lock);
      if (grant === undefined) return this.releaseUnheld();
      releaseGrant(this.lock, grant);
      return stillHeld(grant);
    });
  }

  /** Handles a release by a process that does not hold the lock. */
  protected releaseUnheld(): Effect.Effect<void, SyncError | ManagerFailure> {
    return Effect.fail(notHeld(`release the ${this[TypeId].type}`));
  }

  get acquire(): Effect.Effect<void, ManagerFailure, Scope.Scope> {
    return Effect.asVoid(this.#acquire);
  }

  get #acquire(): Effect.Effect<Grant, ManagerFailure, Scope.Scope> {
    return Effect.flatMap(
      Effect.scope,
      (scope) => this.#take(true, (taken) => Effect.as(Scope.addFinalizer(scope, taken!.giveBack), taken!.grant)),
    );
  }

  readonly withLock = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | ManagerFailure, R> =>
    checked("lock.withLock", { effect }, { effect: isEffect }, () =>
      Effect.flatMap(
        Scope.make(),
        (scope) =>
          Effect.onExit(
            Effect.flatMap(
              Scope.extend(this.#acquire, scope),
              (grant) => Effect.flatMap(effect, (value) => Effect.as(stillHeld(grant), value)),
            ),
            (exit) => Scope.close(scope, exit),
          ),
      ));

  get isLocked(): Effect.Effect<boolean, ManagerFailure> {
    return ask(this.lock, "isLocked");
  }

  get statistics(): Effect.Effect<LockStatistics, ManagerFailure> {
    return ask(this.lock, "statistics");
  }
}

/** The proxy of a lock. */
export class LockProxy extends AcquirableProxy implements Lock {}

/** The proxy of a recursive lock. */
export class RLockProxy extends AcquirableProxy implements RLock {
  protected override get recursive(): boolean {
    return true;
  }
}

/** The proxy of a semaphore. */
export class SemaphoreProxy extends AcquirableProxy implements Semaphore {
  get available(): Effect.Effect<number, ManagerFailure> {
    return ask(this[TypeId], "value");
  }

  protected override releaseUnheld(): Effect.Effect<void, SyncError | ManagerFailure> {
    return this[TypeId].type === "Semaphore" ? ask(this[TypeId], "release") : super.releaseUnheld();
  }
}

/**
 * A condition of a lock at the server. To take and release it is to take and release its lock. Python's `Condition` of a manager.
 *
 * @since 0.1.0
 * @category models
 */
export interface Condition extends Acquirable {
  /**
   * Releases the lock, waits for a notification, and takes the lock again. The lock must be held. *Interruption:* takes the lock
   * again before it ends, so that the caller still holds it; a notification goes to the next waiter.
   */
  readonly wait: Effect.Effect<void, SyncError | ManagerFailure>;
  /** Waits until the predicate gives `true`. It is evaluated first, and after each notification. */
  readonly waitFor: <E, R>(
    predicate: Effect.Effect<boolean, E, R>,
  ) => Effect.Effect<void, E | SyncError | ManagerFailure, R>;
  /** Wakes `count` waiters, by default one. The lock must be held. */
  readonly notify: (count?: number) => Effect.Effect<void, SyncError | ManagerFailure>;
  /** Wakes all waiters. The lock must be held. */
  readonly notifyAll: Effect.Effect<void, SyncError | ManagerFailure>;
  /** The number of waiters. */
  readonly waiting: Effect.Effect<number, ManagerFailure>;
}

/** Data of a condition's handle. */
export interface ConditionShape {
  /** The number of the condition's lock; of its own lock, the number of the condition. */
  readonly lock: number;
  /** Whether the lock is recursive. */
  readonly recursive: boolean;
}

/** The proxy of a condition. */
export class ConditionProxy extends AcquirableProxy implements Condition {
  readonly #shape: ConditionShape;

  constructor(ref: ObjectRef, shape: ConditionShape) {
    super(ref);
    this.#shape = shape;
  }

  protected override get lock(): ObjectRef {
    return { ...this[TypeId], number: this.#shape.lock };
  }

  protected override get recursive(): boolean {
    return this.#shape.recursive;
  }

  /** Uses the grant of the lock. Fails if the lock is not held. */
  #withGrant<A>(
    operation: string,
    use: (grant: Grant) => Effect.Effect<A, ManagerFailure>,
  ): Effect.Effect<A, SyncError | ManagerFailure> {
    return Effect.withFiberRuntime<A, SyncError | ManagerFailure>((fiber) => {
      const grant = this.recursive ? RecursiveGrant.of(this.lock).grantOf(fiber) : findGrant(this.lock);
      return grant === undefined ? Effect.fail(notHeld(operation)) : Effect.zipRight(stillHeld(grant), use(grant));
    });
  }

  get wait(): Effect.Effect<void, SyncError | ManagerFailure> {
    return this.#withGrant("wait for the Condition", (grant) =>
      Effect.uninterruptibleMask((restore) => {
        let back = false;
        let wake: (() => void) | undefined;
        grant.onChange = () => {
          back = true;
          grant.onChange = () => {};
          takeBack();
          wake?.();
        };
        const takeBack = this.#giveUp(grant);
        grant.line.data(varints(P.WAIT, this[TypeId].number));
        const returned = Effect.async<void>((resume) => {
          if (back) return resume(Effect.void);
          wake = () => resume(Effect.void);
        });
        return Effect.matchCauseEffect(restore(returned), {
          onSuccess: () => stillHeld(grant),
          onFailure: (interruption) => {
            if (grant.lost === undefined) grant.line.data(varints(P.UNWAIT));
            return Effect.zipRight(returned, Effect.failCause(interruption));
          },
        });
      }));
  }

  /** Records that this process does not hold the lock, until the returned function is called. */
  #giveUp(grant: Grant): () => void {
    if (this.recursive) return RecursiveGrant.of(this.lock).park();
    removeGrant(this.lock, grant);
    return () => addGrant(this.lock, grant);
  }

  readonly waitFor = <E, R>(
    predicate: Effect.Effect<boolean, E, R>,
  ): Effect.Effect<void, E | SyncError | ManagerFailure, R> =>
    checked(
      "condition.waitFor",
      { predicate },
      { predicate: isEffect },
      () =>
        Effect.flatMap(predicate, (holds) => holds ? Effect.void : Effect.zipRight(this.wait, this.waitFor(predicate))),
    );

  readonly notify = (count: number = 1): Effect.Effect<void, SyncError | ManagerFailure> =>
    checked(
      "condition.notify",
      { count },
      { count: countOrInfinite },
      () =>
        this.#withGrant(
          "notify the Condition",
          (grant) =>
            Effect.sync(() => {
              if (count > 0) grant.line.data(varints(P.NOTIFY, this[TypeId].number, Math.min(count, 2 ** 40)));
            }),
        ),
    );

  get notifyAll(): Effect.Effect<void, SyncError | ManagerFailure> {
    return this.notify(Infinity);
  }

  get waiting(): Effect.Effect<number, ManagerFailure> {
    return ask(this[TypeId], "waiting");
  }
}
