/**
 * `Lock` and `RLock` for their users: the same protocol, without and with knowledge of the fiber that holds the lock.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Option from "effect/Option";
import type * as Scope from "effect/Scope";
import { register } from "../objects/handles.ts";
import type { Held, Lock, Statistics, WithOptions } from "../../Lock.ts";
import * as Arguments from "../os/arguments.ts";
import { Defect, isWaitFailure, type Participants, type WaitFailure } from "./protocol/participants.ts";
import { Lock as Protocol, SIZE } from "./protocol/lock.ts";
import type { Words } from "../os/atomics.ts";
import type { RLock } from "../../RLock.ts";
import { SyncError, type SyncFailure, wrongArgument, wrongOption } from "./errors.ts";
import { type Hold, HoldStack } from "./reentrancy.ts";
import { allocateObject, type Descriptor, type Owner, Shared } from "./object.ts";
import { currentFiber, LATER, type RunningFiber, step, waitExactly } from "./waiting.ts";

export const TypeId = "~multiprocessing/Lock";
export const RTypeId = "~multiprocessing/RLock";

const CLEAN: Held = { abandoned: false };
const ABANDONED: Held = { abandoned: true };

/** The result of taking a lock. */
export const heldAs = (abandoned: boolean): Held => abandoned ? ABANDONED : CLEAN;

const notOwner = (what: string): SyncError =>
  new SyncError(
    "NotOwner",
    `Cannot release the ${what}: it is not held by ${what === "lock" ? "this process" : "this fiber"}`,
  );

/** What a condition needs of its lock. */
export interface Guard {
  /** Whether the running fiber may wait with the lock. Throws a {@link SyncFailure}. */
  readonly mine: () => boolean;
  /** Releases the lock, however often it was taken, and returns what {@link takeBack} needs. */
  readonly giveUp: () => unknown;
  /** Takes the lock again, as often as it was taken before. */
  readonly takeBack: (saved: unknown) => Effect.Effect<void, SyncFailure>;
}

/** Marks locks that a condition can use. */
export const GuardId = "~multiprocessing/Guard";

/** The guard of a lock that {@link isLock} accepts. */
export const guardOf = (lock: Lock | RLock): Guard => (lock as LockClient | RLockClient)[GuardId];

/** The address of a lock that {@link isLock} accepts. */
export const addressOf = (lock: Lock | RLock): Descriptor["address"] => (lock as LockClient | RLockClient).address;

/** Runs `onAbandoned` before an effect if the last holder has died. */
const first = <A, E, R, E2, R2>(
  { abandoned }: Held,
  effect: Effect.Effect<A, E, R>,
  onAbandoned: Effect.Effect<unknown, E2, R2> | undefined,
): Effect.Effect<A, E | E2, R | R2> =>
  abandoned && onAbandoned !== undefined ? Effect.zipRight(onAbandoned, effect) : effect;

/** Checks that a value is a lock of this library. */
export const isLock: Arguments.Check = Arguments.marked(GuardId, "made by Lock.make or RLock.make");

const withOptions: Arguments.Checks = { onAbandoned: Arguments.optional(Arguments.effect) };

/** Checks the arguments of `withLock`. */
const wrongBody = (effect: unknown, options: unknown): SyncError | undefined =>
  wrongArgument("withLock", { effect }, { effect: Arguments.effect }) ?? wrongOption("withLock", options, withOptions);

/** Runs an effect while something is held. `taken` makes a function that releases it, in the fiber that has taken it. */
const hold = <A, E, R, E2, E3, R3>(
  take: Effect.Effect<Held, E2>,
  taken: () => () => Effect.Effect<void>,
  effect: Effect.Effect<A, E, R>,
  options: WithOptions<E3, R3> = {},
): Effect.Effect<A, E | E2 | E3 | SyncError, R | R3> => {
  const wrong = wrongBody(effect, options);
  if (wrong !== undefined) return Effect.fail(wrong);
  return Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(restore(take), (held) => {
      const release = taken();
      return Effect.matchCauseEffect(restore(first(held, effect, options.onAbandoned)), {
        onFailure: (cause) => Effect.zipRight(release(), Effect.failCause(cause)),
        onSuccess: (value) => Effect.as(release(), value),
      });
    })
  );
};

/** Runs an effect between `take` and `release`. */
export const around = <A, E, R, E2, E3, R3>(
  take: Effect.Effect<Held, E2>,
  release: Effect.Effect<void, unknown>,
  effect: Effect.Effect<A, E, R>,
  options?: WithOptions<E3, R3>,
): Effect.Effect<A, E | E2 | E3 | SyncError, R | R3> => {
  // An effect may have released the lock itself, and its object may have ended: neither concerns the result.
  const ignored = Effect.ignore(release);
  return hold(take, () => () => ignored, effect, options);
};

/** Holds something while the scope is open. */
export const scoped = <A, E>(
  take: Effect.Effect<A, E>,
  release: () => Effect.Effect<void, unknown>,
): Effect.Effect<A, E, Scope.Scope> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.tap(restore(take), () => Effect.addFinalizer(() => Effect.ignore(release())))
  );

/** The implementation of {@link Lock}. */
export class LockClient extends Shared<Protocol> implements Lock {
  readonly [TypeId]: typeof TypeId = TypeId;

  constructor(descriptor: Descriptor) {
    super("lock", descriptor);
  }

  protected override make(words: Words, at: number, participants: Participants): Protocol {
    return new Protocol(words, at, participants);
  }

  readonly take: Effect.Effect<Held, SyncFailure> = step(
    () => {
      const lock = this.object;
      return lock.takeIfFree() ? heldAs(lock.abandoned) : LATER;
    },
    waitExactly((done) => {
      const lock = this.object;
      const leave = lock.wait((outcome) =>
        done(isWaitFailure(outcome) ? this.over(outcome) : Effect.succeed(heldAs(outcome === "abandoned")))
      );
      return () => leave() || void this.there?.release();
    }),
  );

  readonly tryTake: Effect.Effect<boolean, SyncFailure> = step(() => this.object.tryTake());

  readonly release: Effect.Effect<void, SyncFailure> = step(() => this.unsafeRelease());

  readonly acquire: Effect.Effect<Held, SyncFailure, Scope.Scope> = scoped(this.take, () => this.release);

  readonly withLock: Lock["withLock"] = (effect, options) => around(this.take, this.release, effect, options);

  readonly isLocked: Effect.Effect<boolean, SyncFailure> = step(() => this.object.owner !== 0);

  readonly isMine: Effect.Effect<boolean, SyncFailure> = step(() => this.object.mine);

  readonly owner: Effect.Effect<Option.Option<Owner>, SyncFailure> = step(() =>
    Option.fromNullable(this.ownerOf(this.object.owner))
  );

  readonly statistics: Effect.Effect<Statistics, SyncFailure> = step(() =>
    statistics(this.object, this.ownerOf(this.object.owner))
  );

  unsafeTryTake(): boolean {
    return this.object.tryTake();
  }

  unsafeRelease(): void {
    if (!this.object.release()) throw notOwner("lock");
  }

  get [GuardId](): Guard {
    return {
      mine: () => this.object.mine,
      giveUp: () => this.unsafeRelease(),
      takeBack: () => Effect.asVoid(this.take),
    };
  }
}

const statistics = (lock: Protocol, owner: Owner | undefined): Statistics => ({
  owner: Option.fromNullable(owner),
  abandoned: lock.abandoned,
  waiting: lock.waiting,
  waitingProcesses: lock.waitingParticipants,
});

/** The lock, and the holds of this process. */
interface Reentrant {
  readonly lock: Protocol;
  readonly holds: HoldStack<WaitFailure>;
}

const noFiber = (): SyncError =>
  new SyncError("NotOwner", "Cannot take the lock: an RLock belongs to a fiber, and no fiber runs here");

const running = (): RunningFiber => {
  const fiber = currentFiber();
  if (fiber === undefined) throw noFiber();
  return fiber;
};

/** The implementation of {@link RLock}. */
export class RLockClient extends Shared<Reentrant> implements RLock {
  readonly [RTypeId]: typeof RTypeId = RTypeId;
  /** The state that was used last. Its holds end like others when the object has ended, for fibers that wait inside them. */
  #last: Reentrant | undefined;

  constructor(descriptor: Descriptor) {
    super("rlock", descriptor);
  }

  protected override make(words: Words, at: number, participants: Participants): Reentrant {
    const lock = new Protocol(words, at, participants);
    const holds = new HoldStack<WaitFailure>({
      request: (done) => {
        let failed = false;
        let leave = (): boolean => false;
        leave = lock.wait((outcome) => {
          failed = outcome instanceof Defect;
          if (failed) leave();
          done(isWaitFailure(outcome) ? outcome : "held");
        });
        if (failed) leave();
        return leave;
      },
      release: () => {
        if (participants.exists()) lock.release();
      },
      lost: () => participants.exists() ? undefined : "gone",
      onHeld: (held) => this.pin(held),
    });
    return { lock, holds };
  }

  readonly take: Effect.Effect<Held, SyncFailure> = step(
    () => {
      const { lock } = this.#reentrant;
      return this.#enter(() => lock.takeIfFree()) === undefined ? LATER : heldAs(lock.abandoned);
    },
    this.#wait(undefined),
  );

  readonly tryTake: Effect.Effect<boolean, SyncFailure> = step(() => this.unsafeTryTake());

  readonly release: Effect.Effect<void, SyncFailure> = step(() => this.unsafeRelease());

  readonly acquire: Effect.Effect<Held, SyncFailure, Scope.Scope> = Effect.uninterruptibleMask((restore) =>
    Effect.tap(restore(this.take), () => Effect.addFinalizer(this.#ending()))
  );

  readonly withLock: RLock["withLock"] = (effect, options) => hold(this.take, () => this.#ending(), effect, options);

  readonly isLocked: Effect.Effect<boolean, SyncFailure> = step(() => this.#reentrant.lock.owner !== 0);

  readonly isMine: Effect.Effect<boolean, SyncFailure> = step(() =>
    this.#reentrant.holds.of(currentFiber()) !== undefined
  );

  readonly depth: Effect.Effect<number, SyncFailure> = step(() => this.#reentrant.holds.depth(currentFiber()));

  readonly owner: Effect.Effect<Option.Option<Owner>, SyncFailure> = step(() =>
    Option.fromNullable(this.ownerOf(this.#reentrant.lock.owner))
  );

  readonly statistics: Effect.Effect<Statistics, SyncFailure> = step(() => {
    const { lock, holds } = this.#reentrant;
    return { ...statistics(lock, this.ownerOf(lock.owner)), waiting: holds.waiting };
  });

  unsafeTryTake(): boolean {
    return this.#enter(() => this.#reentrant.lock.tryTake()) !== undefined;
  }

  unsafeRelease(): void {
    const left = (this.#last ?? this.#reentrant).holds.leave(currentFiber());
    void this.#reentrant;
    if (left === undefined) throw notOwner("rlock");
  }

  get [GuardId](): Guard {
    return {
      mine: () => this.#reentrant.holds.isTop(currentFiber()),
      giveUp: () => {
        const { lock, holds } = this.#reentrant;
        const parked = holds.park();
        lock.release();
        return parked;
      },
      takeBack: (parked) => Effect.asVoid(this.#wait(parked as ReadonlyArray<Hold<WaitFailure>>)),
    };
  }

  get #reentrant(): Reentrant {
    return this.#last = this.object;
  }

  #enter(take: () => boolean): Hold<WaitFailure> | undefined {
    return this.#reentrant.holds.enter(running(), take);
  }

  /** Returns a function that ends the innermost hold of this fiber, in any fiber. */
  #ending(): () => Effect.Effect<void> {
    const { holds } = this.#last!;
    const hold = holds.of(currentFiber())!;
    return () => Effect.sync(() => holds.end(currentFiber(), hold));
  }

  /** Waits in the queue of this process, for a new hold or to restore parked ones. */
  #wait(parked: ReadonlyArray<Hold<WaitFailure>> | undefined): Effect.Effect<Held, SyncFailure> {
    return Effect.suspend(() => {
      const fiber = running();
      let taken: Hold<WaitFailure> | undefined;
      return waitExactly<Held, SyncFailure>((done) => {
        const { lock, holds } = this.#reentrant;
        const leave = holds.wait(fiber, parked, (entered) => {
          if ("lost" in entered) return done(this.over(entered.lost));
          taken = entered.hold;
          done(Effect.succeed(heldAs(lock.abandoned)));
        });
        return () => {
          if (!leave() && taken !== undefined) holds.release(taken);
        };
      }, () => {
        if (parked === undefined) this.#last!.holds.settle(fiber, taken!);
      });
    });
  }
}

register("lock", (data) => new LockClient(data as Descriptor));
register("rlock", (data) => new RLockClient(data as Descriptor));

/** Makes a lock. */
export const make: Effect.Effect<Lock, SyncFailure, Scope.Scope> = Effect.map(
  allocateObject("lock", SIZE),
  (descriptor) => new LockClient(descriptor),
);

/** Makes a recursive lock. */
export const makeR: Effect.Effect<RLock, SyncFailure, Scope.Scope> = Effect.map(
  allocateObject("rlock", SIZE),
  (descriptor) => new RLockClient(descriptor),
);
