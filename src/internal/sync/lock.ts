/**
 * A lock as its users have it, with and without memory of which fiber has it.
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
import { Lock as Protocol, type Outcome, SIZE } from "./protocol/lock.ts";
import type { Words } from "../os/atomics.ts";
import type { RLock } from "../../RLock.ts";
import { SyncError, wrongArgument, wrongOption } from "./errors.ts";
import { type Hold, HoldStack, type RunningFiber } from "./reentrancy.ts";
import { allocateObject, type Descriptor, type Failure, type Owner, Shared } from "./object.ts";
import { currentFiber, LATER, step, waitExactly } from "./waiting.ts";

export const TypeId = "~multiprocessing/Lock";
export const RTypeId = "~multiprocessing/RLock";

const CLEAN: Held = { abandoned: false };
const LOST: Held = { abandoned: true };

const notOwner = (what: string): SyncError =>
  new SyncError(
    "NotOwner",
    `Cannot release the ${what}: it is not held by ${what === "lock" ? "this process" : "this fiber"}`,
  );

/** What a condition needs of its lock. */
export interface Guard {
  /** Whether this fiber may wait with it. Throws a {@link Failure}. */
  readonly mine: () => boolean;
  /** Gives it up, however often it was taken. */
  readonly giveUp: () => unknown;
  /** Takes it again as it was. */
  readonly takeBack: (saved: unknown) => Effect.Effect<void, Failure>;
}

/** SlotSet locks that a condition can have. */
export const GuardId = "~multiprocessing/Guard";

/** Runs an effect of the holder, after the repair that it needs if the last holder has died. */
const first = <A, E, R, E2, R2>(
  { abandoned }: Held,
  effect: Effect.Effect<A, E, R>,
  onAbandoned: Effect.Effect<unknown, E2, R2> | undefined,
): Effect.Effect<A, E | E2, R | R2> =>
  abandoned && onAbandoned !== undefined ? Effect.zipRight(onAbandoned, effect) : effect;

/** What takes the place of an object's own lock: it serves no purpose if it is anything else. */
export const isLock: Arguments.Check = Arguments.marked(GuardId, "made by Lock.make or RLock.make");

const withOptions: Arguments.Checks = { onAbandoned: Arguments.optional(Arguments.effect) };

/** What is wrong with an effect that is to be run while something is held, or with the options of that. */
const wrongBody = (effect: unknown, options: unknown): SyncError | undefined =>
  wrongArgument("withLock", { effect }, { effect: Arguments.effect }) ?? wrongOption("withLock", options, withOptions);

/** Holds something while an effect runs. */
export const around = <A, E, R, E2, E3, R3>(
  take: Effect.Effect<Held, E2>,
  release: Effect.Effect<void, unknown>,
  effect: Effect.Effect<A, E, R>,
  options: WithOptions<E3, R3> = {},
): Effect.Effect<A, E | E2 | E3 | SyncError, R | R3> => {
  const wrong = wrongBody(effect, options);
  if (wrong !== undefined) return Effect.fail(wrong);
  return Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(restore(take), (held) => {
      // A body that has released it itself, and one whose object is gone, has nothing to hear of that.
      return Effect.ensuring(restore(first(held, effect, options.onAbandoned)), Effect.ignore(release));
    })
  );
};

/** Holds something as long as the scope is open. */
export const scoped = <A, E>(
  take: Effect.Effect<A, E>,
  release: () => Effect.Effect<void, unknown>,
): Effect.Effect<A, E, Scope.Scope> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.tap(restore(take), () => Effect.addFinalizer(() => Effect.ignore(release())))
  );

const receive = (outcome: Exclude<Outcome, WaitFailure>): Held => outcome === "abandoned" ? LOST : CLEAN;

/** The implementation of {@link Lock}. */
export class LockClient extends Shared<Protocol> implements Lock {
  readonly [TypeId]: typeof TypeId = TypeId;

  constructor(descriptor: Descriptor) {
    super("lock", descriptor);
  }

  protected override make(words: Words, at: number, participants: Participants): Protocol {
    return new Protocol(words, at, participants);
  }

  readonly take: Effect.Effect<Held, Failure> = step(
    () => {
      const lock = this.object;
      return lock.tryTake() ? heldOf(lock) : LATER;
    },
    waitExactly((done) => {
      const lock = this.object;
      const leave = lock.wait((outcome) =>
        done(isWaitFailure(outcome) ? this.over(outcome) : Effect.succeed(receive(outcome)))
      );
      return () => leave() || void this.there?.release();
    }),
  );

  readonly tryTake: Effect.Effect<boolean, Failure> = step(() => this.object.tryTake());

  readonly release: Effect.Effect<void, Failure> = step(() => this.unsafeRelease());

  readonly acquire: Effect.Effect<Held, Failure, Scope.Scope> = scoped(this.take, () => this.release);

  readonly withLock: Lock["withLock"] = (effect, options) => around(this.take, this.release, effect, options);

  readonly isLocked: Effect.Effect<boolean, Failure> = step(() => this.object.owner !== 0);

  readonly isMine: Effect.Effect<boolean, Failure> = step(() => this.object.mine);

  readonly owner: Effect.Effect<Option.Option<Owner>, Failure> = step(() =>
    Option.fromNullable(this.ownerOf(this.object.owner))
  );

  readonly statistics: Effect.Effect<Statistics, Failure> = step(() =>
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

const heldOf = (lock: Protocol): Held => lock.abandoned ? LOST : CLEAN;

const statistics = (lock: Protocol, owner: Owner | undefined): Statistics => ({
  owner: Option.fromNullable(owner),
  abandoned: lock.abandoned,
  waiting: lock.waiting,
  waitingProcesses: lock.waitingParticipants,
});

/** The lock, and the fibers of this process that are inside. */
interface Reentrant {
  readonly lock: Protocol;
  readonly holds: HoldStack<WaitFailure>;
}

const notIn = (): SyncError =>
  new SyncError("NotOwner", "Cannot take the lock: an RLock belongs to a fiber, and no fiber runs here");

const running = (): RunningFiber => {
  const fiber = currentFiber();
  if (fiber === undefined) throw notIn();
  return fiber;
};

/** The implementation of {@link RLock}. */
export class RLockClient extends Shared<Reentrant> implements RLock {
  readonly [RTypeId]: typeof RTypeId = RTypeId;
  /** As it was used last: holds of an object that is gone end like others, for those who wait inside. */
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
      onHeld: (held) => this.keep(held),
    });
    return { lock, holds };
  }

  readonly take: Effect.Effect<Held, Failure> = step(
    () => {
      const { lock } = this.#reentrant;
      return this.#enter() === undefined ? LATER : heldOf(lock);
    },
    this.#wait(undefined),
  );

  readonly tryTake: Effect.Effect<boolean, Failure> = step(() => this.unsafeTryTake());

  readonly release: Effect.Effect<void, Failure> = step(() => this.unsafeRelease());

  readonly acquire: Effect.Effect<Held, Failure, Scope.Scope> = Effect.uninterruptibleMask((restore) =>
    Effect.tap(restore(this.take), () => Effect.addFinalizer(this.#ending()))
  );

  readonly withLock: RLock["withLock"] = (effect, options = {}) => {
    const wrong = wrongBody(effect, options);
    return wrong !== undefined
      ? Effect.fail(wrong)
      : Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(restore(this.take), (held) => {
          const end = this.#ending();
          return Effect.ensuring(restore(first(held, effect, options.onAbandoned)), Effect.suspend(end));
        })
      );
  };

  readonly isLocked: Effect.Effect<boolean, Failure> = step(() => this.#reentrant.lock.owner !== 0);

  readonly isMine: Effect.Effect<boolean, Failure> = step(() => this.#reentrant.holds.of(currentFiber()) !== undefined);

  readonly depth: Effect.Effect<number, Failure> = step(() => this.#reentrant.holds.depth(currentFiber()));

  readonly owner: Effect.Effect<Option.Option<Owner>, Failure> = step(() =>
    Option.fromNullable(this.ownerOf(this.#reentrant.lock.owner))
  );

  readonly statistics: Effect.Effect<Statistics, Failure> = step(() => {
    const { lock, holds } = this.#reentrant;
    return { ...statistics(lock, this.ownerOf(lock.owner)), waiting: holds.waiting };
  });

  unsafeTryTake(): boolean {
    return this.#enter() !== undefined;
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

  #enter(): Hold<WaitFailure> | undefined {
    const { lock, holds } = this.#reentrant;
    return holds.enter(running(), () => lock.tryTake());
  }

  /** What ends the innermost hold of this fiber, in whichever fiber that is done. */
  #ending(): () => Effect.Effect<void> {
    const { holds } = this.#last!;
    const hold = holds.of(currentFiber())!;
    return () => Effect.sync(() => holds.end(currentFiber(), hold));
  }

  /** Waits in the line of this process, for a new hold or for parked ones. */
  #wait(parked: ReadonlyArray<Hold<WaitFailure>> | undefined): Effect.Effect<Held, Failure> {
    return Effect.suspend(() => {
      const fiber = running();
      let taken: Hold<WaitFailure> | undefined;
      return waitExactly<Held, Failure>((done) => {
        const { lock, holds } = this.#reentrant;
        const leave = holds.wait(fiber, parked, (entered) => {
          if ("lost" in entered) return done(this.over(entered.lost));
          taken = entered.hold;
          done(Effect.succeed(heldOf(lock)));
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
export const make: Effect.Effect<Lock, Failure, Scope.Scope> = Effect.map(
  allocateObject("lock", SIZE),
  (described) => new LockClient(described),
);

/** Makes a recursive lock. */
export const makeR: Effect.Effect<RLock, Failure, Scope.Scope> = Effect.map(
  allocateObject("rlock", SIZE),
  (described) => new RLockClient(described),
);
