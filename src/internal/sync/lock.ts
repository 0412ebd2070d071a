/**
 * `Lock` for its users in memory, and the constructor.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Option from "effect/Option";
import type * as Scope from "effect/Scope";
import { register } from "../objects/handles.ts";
import type { CarrierOptions, Held, Lock, MemoryLock, Statistics } from "../../Lock.ts";
import { isWaitFailure, type Participants } from "./protocol/participants.ts";
import { Lock as Protocol } from "./protocol/lock.ts";
import type { Words } from "../os/atomics.ts";
import { type SyncFailure, wrongOption } from "./errors.ts";
import { aroundNow, type Guard, type Guarded, GuardId, heldAs, type Immediate, notOwner, scoped } from "./guard.ts";
import { lockKind, LockMessages, statistics, TypeId } from "./messages/lock.ts";
import { allocateObject, byMessages, carrierOption, type Descriptor, type Owner, Shared } from "./object.ts";
import { ifDiscarded, LATER, step, waitExactly } from "./waiting.ts";

/** The implementation of {@link MemoryLock}. */
export class LockClient extends Shared<Protocol> implements MemoryLock, Guarded {
  readonly [TypeId]: typeof TypeId = TypeId;

  constructor(descriptor: Descriptor, sent?: Descriptor) {
    super("lock", descriptor, sent);
  }

  protected override make(words: Words, at: number, participants: Participants): Protocol {
    return new Protocol(words, at, participants);
  }

  /** An object that has ended, or cannot be reached, is reported by `take`. An effect may have released the lock itself. */
  readonly #immediate: Immediate = {
    take: () => {
      const lock = this.there;
      return lock?.takeIfFree() === true ? heldAs(lock.abandoned) : undefined;
    },
    release: () => void this.there?.release(),
  };

  readonly take: Effect.Effect<Held, SyncFailure> = step(
    () => {
      const lock = this.object;
      if (!lock.takeIfFree()) return LATER;
      ifDiscarded(this.#giveUp());
      return heldAs(lock.abandoned);
    },
    waitExactly((done) => {
      let giveUp = (): void => {};
      const leave = this.object.wait((outcome) => {
        if (isWaitFailure(outcome)) return done(this.over(outcome));
        giveUp = this.#giveUp();
        done(Effect.succeed(heldAs(outcome === "abandoned")));
      });
      return () => leave() || giveUp();
    }),
  );

  readonly tryTake: Effect.Effect<boolean, SyncFailure> = step(() => {
    const taken = this.object.tryTake();
    if (taken) ifDiscarded(this.#giveUp());
    return taken;
  });

  readonly release: Effect.Effect<void, SyncFailure> = step(() => this.unsafeRelease());

  readonly acquire: Effect.Effect<Held, SyncFailure, Scope.Scope> = scoped(this.take, () => this.release);

  readonly withLock: Lock["withLock"] = (effect, options) => aroundNow(this.take, this.#immediate, effect, options);

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

  /** Returns a function that gives the lock back, unless this process has released it since. */
  #giveUp(): () => void {
    const since = this.object.releases;
    return () => {
      const lock = this.there;
      if (lock?.releases === since) lock.release();
    };
  }

  get [GuardId](): Guard {
    return {
      mine: () => this.object.mine,
      giveUp: () => this.unsafeRelease(),
      takeBack: () => Effect.asVoid(this.take),
    };
  }
}

/** The lock of a handle. */
export const lockOf = (descriptor: Descriptor): Lock =>
  byMessages(descriptor) ? new LockMessages(descriptor) : new LockClient(descriptor);

register("lock", (data) => lockOf(data as Descriptor));

/** Makes a lock. */
export const make = (options: CarrierOptions = {}): Effect.Effect<MemoryLock, SyncFailure, Scope.Scope> => {
  const wrong = wrongOption("lock", options, carrierOption);
  return wrong !== undefined ? Effect.fail(wrong) : Effect.map(
    allocateObject(lockKind, undefined, options.carrier),
    ({ own, sent }) => new LockClient(own, sent),
  );
};
