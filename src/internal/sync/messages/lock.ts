/**
 * `Lock` for its users by messages, and what the host does for them.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Option from "effect/Option";
import type * as Scope from "effect/Scope";
import type { Held, Lock, Statistics } from "../../../Lock.ts";
import type { SyncFailure } from "../errors.ts";
import { around, type Guard, type Guarded, GuardId, heldAs, notOwner, scoped } from "../guard.ts";
import type { Descriptor, Kind, Owner } from "../object.ts";
import { isWaitFailure } from "../protocol/participants.ts";
import { Lock as Protocol, SIZE } from "../protocol/lock.ts";
import { MessageClient } from "./client.ts";
import type { MessageOperations } from "./gateway.ts";
import type { Session } from "./session.ts";

export const TypeId = "~multiprocessing/Lock";

/** The operations of a lock. */
export const TAKE = 1;
export const TRY_TAKE = 2;
export const RELEASE = 3;
export const STATISTICS = 4;

/** The state of a lock in memory, which `owner` holds. */
export const statistics = (lock: Protocol, owner: Owner | undefined): Statistics => ({
  owner: Option.fromNullable(owner),
  abandoned: lock.abandoned,
  waiting: lock.waiting,
  waitingProcesses: lock.waitingParticipants,
});

/** The state of a lock, as its host tells it. */
interface Told extends Omit<Statistics, "owner"> {
  readonly owner: Owner | undefined;
}

const operations: MessageOperations<Protocol> = {
  [TAKE]: (lock, _, reply) => {
    const giveBack = (): void => void lock.release();
    if (lock.takeIfFree()) return reply.result(false, giveBack);
    return lock.wait((outcome) =>
      isWaitFailure(outcome) ? reply.failed(outcome) : reply.result(outcome === "abandoned", giveBack)
    );
  },
  [TRY_TAKE]: (lock, _, reply) => {
    if (lock.tryTake()) reply.result(true, () => lock.release());
    else reply.result(false);
  },
  [RELEASE]: (lock, _, reply) => reply.result(lock.release()),
  [STATISTICS]: (lock, _, reply, who) => {
    const told: Told = { ...statistics(lock, undefined), owner: who(lock.owner) };
    reply.result(told);
  },
};

/** Locks, in memory and by messages. A recursive lock is the same there: which fiber holds it is the holder's affair. */
export const lockKind: Kind<Protocol, undefined> = {
  name: "lock",
  size: SIZE,
  make: (words, at, participants) => new Protocol(words, at, participants),
  operations,
};

/** Converts the state of a lock that its host has told. */
export const toldStatistics = (told: unknown): Statistics => {
  const { owner, ...rest } = told as Told;
  return { ...rest, owner: Option.fromNullable(owner) };
};

/** The implementation of {@link Lock}. */
export class LockMessages extends MessageClient implements Lock, Guarded {
  readonly [TypeId]: typeof TypeId = TypeId;

  constructor(descriptor: Descriptor) {
    super("lock", descriptor);
  }

  readonly take: Effect.Effect<Held, SyncFailure> = this.grant(TAKE, [], (abandoned, session) => {
    session.state = HELD;
    return heldAs(abandoned as boolean);
  }, (_, session) => void giveUp(session));

  readonly tryTake: Effect.Effect<boolean, SyncFailure> = this.grant(TRY_TAKE, [], (taken, session) => {
    if (taken === true) session.state = HELD;
    return taken as boolean;
  }, (taken, session) => void (taken && giveUp(session)));

  readonly release: Effect.Effect<void, SyncFailure> = Effect.suspend(() =>
    giveUp(this.session) ? this.confirmed : this.#notHeld
  );

  readonly acquire: Effect.Effect<Held, SyncFailure, Scope.Scope> = scoped(this.take, () => this.#end);

  readonly withLock: Lock["withLock"] = (effect, options) => around(this.take, this.#end, effect, options);

  readonly isMine: Effect.Effect<boolean, SyncFailure> = Effect.map(
    this.statistics,
    ({ owner }) => Option.isSome(owner) && owner.value.here,
  );

  get statistics(): Effect.Effect<Statistics, SyncFailure> {
    return this.ask(STATISTICS, [], toldStatistics);
  }

  get owner(): Effect.Effect<Option.Option<Owner>, SyncFailure> {
    return Effect.map(this.statistics, ({ owner }) => owner);
  }

  get isLocked(): Effect.Effect<boolean, SyncFailure> {
    return Effect.map(this.owner, Option.isSome);
  }

  get [GuardId](): Guard {
    return {
      mine: () => this.session.state === HELD,
      giveUp: () => {
        if (!giveUp(this.session)) throw notOwner("lock");
      },
      takeBack: () => Effect.asVoid(this.take),
    };
  }

  /** Releases the lock in a finalizer. */
  get #end(): Effect.Effect<void> {
    return Effect.suspend(() => giveUp(this.session) ? this.confirmedSoon : Effect.void);
  }

  /** The failure of a release by a process that does not hold the lock, unless the lock is gone. */
  get #notHeld(): Effect.Effect<never, SyncFailure> {
    return Effect.zipRight(this.statistics, Effect.fail(notOwner("lock")));
  }
}

/** The state of a session while this process holds the lock. */
const HELD = "held";

/** Releases a lock that this process holds. Returns whether it did. */
const giveUp = (session: Session): boolean => {
  if (session.state !== HELD) return false;
  session.state = undefined;
  session.tell(RELEASE);
  return true;
};
