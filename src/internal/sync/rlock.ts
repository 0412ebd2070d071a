/**
 * `RLock` for its users: a lock that the process holds, in memory or by messages, and the holds of its fibers; see `reentrancy.ts`.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Option from "effect/Option";
import type { Pipeable } from "effect/Pipeable";
import type * as Scope from "effect/Scope";
import { HandleId, register } from "../objects/handles.ts";
import type { Carrier, CarrierOptions, Held, Statistics } from "../../Lock.ts";
import type { MemoryRLock, RLock } from "../../RLock.ts";
import type { Words } from "../os/atomics.ts";
import { inspectable } from "../os/inspect.ts";
import type { ObjectAddress } from "./protocol/arena.ts";
import { Defect, isWaitFailure, type Participants, type WaitFailure } from "./protocol/participants.ts";
import { Lock as Protocol } from "./protocol/lock.ts";
import { SyncError, type SyncFailure, wrongOption } from "./errors.ts";
import { type Guard, type Guarded, GuardId, heldAs, hold, notOwner } from "./guard.ts";
import { lockKind, statistics } from "./messages/lock.ts";
import { RLockSession } from "./messages/rlock.ts";
import { allocateObject, byMessages, carrierOption, type Descriptor, type Owner, Shared } from "./object.ts";
import { type Hold, HoldStack } from "./reentrancy.ts";
import { currentFiber, ifDiscarded, LATER, type RunningFiber, step, waitExactly } from "./waiting.ts";

export const RTypeId = "~multiprocessing/RLock";

/** The holds of this process, and what it knows of the lock under them. */
export interface Reentrant<L> {
  readonly holds: HoldStack<L>;
  /** Whether the last holder has died with the lock, which this process holds. */
  readonly abandoned: boolean;
}

/** The lock of a process, which its fibers take recursively. It may be lost for a reason `L`. */
export interface ProcessLock<L> {
  readonly [HandleId]: { readonly kind: string; readonly encode: () => Descriptor };
  readonly host: string;
  readonly carrier: Carrier;
  /** The holds. Throws a {@link SyncFailure} if the lock has ended. */
  readonly reentrant: Reentrant<L>;
  /** The holds, also of a lock that has ended, for fibers that are inside. */
  readonly last: Reentrant<L>;
  /** Takes the lock, if that takes one step. */
  readonly takeNow: () => boolean;
  /** Takes the lock if it is free, for a fiber that is not inside. *Interruption:* exact. */
  readonly tryTake: (fiber: RunningFiber, taken: (hold: Hold<L>) => void) => Effect.Effect<boolean, SyncFailure>;
  /** Completes a release by a fiber; `had` says whether the fiber had a hold. */
  readonly left: (had: boolean) => Effect.Effect<void, SyncFailure>;
  /** Completes a release in a finalizer. */
  readonly confirmedSoon: Effect.Effect<void>;
  /** The state, as far as it does not concern fibers of this process. */
  readonly statistics: Effect.Effect<Statistics, SyncFailure>;
  /** The failure of a wait. */
  readonly over: (lost: L) => Effect.Effect<never, SyncFailure>;
}

const noFiber = (): SyncError =>
  new SyncError("NotOwner", "Cannot take the lock: an RLock belongs to a fiber, and no fiber runs here");

const running = (): RunningFiber => {
  const fiber = currentFiber();
  if (fiber === undefined) throw noFiber();
  return fiber;
};

/** The implementation of {@link RLock}. */
export class RLockClient<L> implements RLock, Guarded {
  declare readonly pipe: Pipeable["pipe"];
  readonly [RTypeId]: typeof RTypeId = RTypeId;
  protected readonly lock: ProcessLock<L>;

  constructor(lock: ProcessLock<L>) {
    this.lock = lock;
  }

  get [HandleId](): { readonly kind: string; readonly encode: () => Descriptor } {
    return this.lock[HandleId];
  }

  get host(): string {
    return this.lock.host;
  }

  get carrier(): Carrier {
    return this.lock.carrier;
  }

  toString(): string {
    return this.lock.toString();
  }

  readonly take: Effect.Effect<Held, SyncFailure> = step(
    () => this.#takeNow() ? heldAs(this.lock.last.abandoned) : LATER,
    this.#wait(undefined),
  );

  readonly tryTake: Effect.Effect<boolean, SyncFailure> = step<boolean, SyncFailure>(
    () => this.#takeNow() || (this.lock.last.holds.held ? false : LATER),
    Effect.suspend(() => {
      const fiber = running();
      return this.lock.tryTake(fiber, (hold) => this.lock.last.holds.settle(fiber, hold));
    }),
  );

  readonly release: Effect.Effect<void, SyncFailure> = Effect.flatMap(
    step(() => this.leave()),
    (left) => this.lock.left(left),
  );

  readonly acquire: Effect.Effect<Held, SyncFailure, Scope.Scope> = Effect.uninterruptibleMask((restore) =>
    Effect.tap(restore(this.take), () => Effect.addFinalizer(this.#ending()))
  );

  readonly withLock: RLock["withLock"] = (effect, options) => hold(this.take, () => this.#ending(), effect, options);

  readonly isMine: Effect.Effect<boolean, SyncFailure> = step(() =>
    this.lock.reentrant.holds.of(currentFiber()) !== undefined
  );

  readonly depth: Effect.Effect<number, SyncFailure> = step(() => this.lock.reentrant.holds.depth(currentFiber()));

  readonly statistics: Effect.Effect<Statistics, SyncFailure> = Effect.suspend(() =>
    Effect.map(this.lock.statistics, (told) => ({ ...told, waiting: this.lock.last.holds.waiting }))
  );

  readonly owner: Effect.Effect<Option.Option<Owner>, SyncFailure> = Effect.map(this.statistics, ({ owner }) => owner);

  readonly isLocked: Effect.Effect<boolean, SyncFailure> = Effect.map(this.owner, Option.isSome);

  get [GuardId](): Guard {
    return {
      mine: () => this.lock.reentrant.holds.isTop(currentFiber()),
      giveUp: () => this.lock.reentrant.holds.parkAndRelease(),
      takeBack: (parked) => Effect.asVoid(this.#wait(parked as ReadonlyArray<Hold<L>>)),
    };
  }

  /** Takes the lock for the running fiber, if `take` takes it for this process or the fiber is inside. */
  protected enter(take: () => boolean): Hold<L> | undefined {
    return this.lock.reentrant.holds.enter(running(), take);
  }

  /** Ends the innermost hold of the running fiber. Returns whether there was one. */
  protected leave(): boolean {
    return this.lock.last.holds.leave(currentFiber()) !== undefined;
  }

  #takeNow(): boolean {
    const hold = this.enter(this.lock.takeNow);
    if (hold === undefined) return false;
    const { holds } = this.lock.last;
    ifDiscarded(() => holds.release(hold));
    return true;
  }

  /** Returns a function that ends the innermost hold of this fiber, in any fiber. */
  #ending(): () => Effect.Effect<void> {
    const { holds } = this.lock.last;
    const hold = holds.of(currentFiber())!;
    return () =>
      Effect.zipRight(
        Effect.sync(() => holds.end(currentFiber(), hold)),
        Effect.suspend(() => this.lock.confirmedSoon),
      );
  }

  /** Waits in the queue of this process, for a new hold or to restore parked ones. */
  #wait(parked: ReadonlyArray<Hold<L>> | undefined): Effect.Effect<Held, SyncFailure> {
    return Effect.suspend(() => {
      const fiber = running();
      let taken: Hold<L> | undefined;
      return waitExactly<Held, SyncFailure>((done) => {
        const reentrant = this.lock.reentrant;
        const { holds } = reentrant;
        const leave = holds.wait(fiber, parked, (entered) => {
          if ("lost" in entered) return done(this.lock.over(entered.lost));
          taken = entered.hold;
          done(Effect.succeed(heldAs(reentrant.abandoned)));
        });
        return () => {
          if (!leave() && taken !== undefined) holds.release(taken);
        };
      }, () => {
        if (parked === undefined) this.lock.last.holds.settle(fiber, taken!);
      });
    });
  }
}
inspectable(RLockClient);

/** The lock in memory, and the holds of this process. */
interface Resolved extends Reentrant<WaitFailure> {
  readonly lock: Protocol;
}

/** The lock of a process in memory. */
class MemoryProcessLock extends Shared<Resolved> implements ProcessLock<WaitFailure> {
  /** The state that was used last. Its holds end like others when the object has ended, for fibers that wait inside them. */
  #last: Resolved | undefined;

  constructor(descriptor: Descriptor, sent?: Descriptor) {
    super("rlock", descriptor, sent);
  }

  protected override make(words: Words, at: number, participants: Participants): Resolved {
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
    return {
      lock,
      holds,
      get abandoned() {
        return lock.abandoned;
      },
    };
  }

  get reentrant(): Resolved {
    return this.#last = this.object;
  }

  get last(): Resolved {
    return this.#last ?? this.reentrant;
  }

  readonly takeNow = (): boolean => this.reentrant.lock.takeIfFree();

  readonly tryTake = (fiber: RunningFiber): Effect.Effect<boolean, SyncFailure> =>
    step(() => {
      const { holds, lock } = this.reentrant;
      const hold = holds.enter(fiber, () => lock.tryTake());
      if (hold !== undefined) ifDiscarded(() => holds.release(hold));
      return hold !== undefined;
    });

  readonly left = (had: boolean): Effect.Effect<void, SyncFailure> =>
    step(() => {
      void this.reentrant;
      if (!had) throw notOwner("rlock");
    });

  readonly confirmedSoon: Effect.Effect<void> = Effect.void;

  readonly statistics: Effect.Effect<Statistics, SyncFailure> = step(() => {
    const { lock } = this.reentrant;
    return statistics(lock, this.ownerOf(lock.owner));
  });
}

/** The implementation of {@link MemoryRLock}. */
export class MemoryRLockClient extends RLockClient<WaitFailure> implements MemoryRLock {
  declare protected readonly lock: MemoryProcessLock;

  constructor(descriptor: Descriptor, sent?: Descriptor) {
    super(new MemoryProcessLock(descriptor, sent));
  }

  /** Address of the lock. */
  get address(): ObjectAddress {
    return this.lock.address;
  }

  unsafeTryTake(): boolean {
    return this.enter(() => this.lock.reentrant.lock.tryTake()) !== undefined;
  }

  unsafeRelease(): void {
    const had = this.leave();
    void this.lock.reentrant;
    if (!had) throw notOwner("rlock");
  }
}

/** The lock of a handle. */
export const rlockOf = (descriptor: Descriptor): RLock =>
  byMessages(descriptor) ? new RLockClient(new RLockSession(descriptor)) : new MemoryRLockClient(descriptor);

register("rlock", (data) => rlockOf(data as Descriptor));

/** Makes a recursive lock. */
export const make = (options: CarrierOptions = {}): Effect.Effect<MemoryRLock, SyncFailure, Scope.Scope> => {
  const wrong = wrongOption("rlock", options, carrierOption);
  return wrong !== undefined ? Effect.fail(wrong) : Effect.map(
    allocateObject(lockKind, undefined, options.carrier),
    ({ own, sent }) => new MemoryRLockClient(own, sent),
  );
};
