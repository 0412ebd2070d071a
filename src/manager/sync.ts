/**
 * Locks, semaphores, conditions, events and barriers, for those who use them.
 *
 * What is acquired belongs to this process: a call that stays open until it is released, and ends with the process.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Scope from "effect/Scope";
import { exactly } from "../hosted/exactly.ts";
import { Numbers } from "../hosted/queue_protocol.ts";
import type { Fill } from "../link/link.ts";
import { call, type Line } from "../link/router.ts";
import { answer, ask, type Failure, type Place, target } from "./calls.ts";
import { BrokenBarrier, SyncError } from "../shared/errors.ts";
import * as P from "./protocol.ts";
import { type Proxy, Remote, TypeId } from "./remote.ts";

const notHeld = (what: string): SyncError =>
  new SyncError("NotOwner", `Cannot ${what}: it is not held here; take it first, or use withLock`);

/** What somebody of this process has acquired. */
interface Held {
  line: Line;
  /** Whose it is, if it is nobody else's: of a recursive lock. */
  readonly owner: unknown;
  depth: number;
  /** Why it is not held any more, though nobody released it. */
  lost: Effect.Effect<unknown, unknown> | undefined;
  /** It was granted, or lost. */
  news: () => void;
}

const held = new Map<string, Array<Held>>();

const keyOf = ({ address, gate, number }: Place): string => `${address}/${gate}/${number}`;

const find = (place: Place, owner: unknown): Held | undefined =>
  held.get(keyOf(place))?.findLast((one) => one.owner === owner);

const add = (place: Place, one: Held): void => {
  const key = keyOf(place);
  const all = held.get(key);
  if (all === undefined) held.set(key, [one]);
  else all.push(one);
};

/** Whether it was there. */
const drop = (place: Place, one: Held): boolean => {
  const key = keyOf(place);
  const all = held.get(key);
  const index = all?.indexOf(one) ?? -1;
  if (index < 0) return false;
  if (all!.length === 1) held.delete(key);
  else all!.splice(index, 1);
  return true;
};

const say = (...numbers: ReadonlyArray<number>): Fill => (writer) => {
  for (const number of numbers) writer.varint(number);
  return undefined;
};

/** Waits for what the lock gives, if `waits`, and keeps it for this process. */
const grab = <A>(
  place: Place,
  waits: boolean,
  owner: unknown,
  then: (one: Held | undefined) => Effect.Effect<A>,
): Effect.Effect<A, Failure> =>
  exactly<Held | undefined, unknown, A, never>((done) => {
    const one: Held = { line: undefined as never, owner, depth: 1, lost: undefined, news: () => {} };
    let granted = false;
    one.line = call(target(place), P.ATTACH, say(place.number, waits ? 1 : 0), {
      data: () => {
        if (granted) return one.news();
        granted = true;
        done(Effect.succeed(one));
      },
      exit: (incoming) => {
        if (incoming.bytes[0] === P.BUSY) return done(Effect.succeed(undefined));
        one.lost = answer(place, incoming);
        if (granted) one.news();
        else done(one.lost as Effect.Effect<never, unknown>);
      },
    });
    return () => one.line.cancel();
  }, (one) => {
    if (one !== undefined) add(place, one);
    return then(one);
  }) as Effect.Effect<A, Failure>;

const release = (place: Place, one: Held): void => {
  if (drop(place, one)) one.line.finish();
};

/** Fails if it was lost. */
const still = (one: Held): Effect.Effect<void, Failure> =>
  one.lost === undefined ? Effect.void : Effect.asVoid(one.lost as Effect.Effect<unknown, Failure>);

/**
 * What can be taken and released. What is taken and not released is given back when the process ends, however it does; with
 * `acquire` and `withLock` when the scope closes.
 *
 * @since 0.1.0
 * @category models
 */
export interface Acquirable extends Proxy {
  /** Waits for it, and takes it. Who waits is served in the order in which he came. *Interruption:* takes nothing. */
  readonly take: Effect.Effect<void, Failure>;
  /** Takes it if nobody else has it; whether it did. */
  readonly tryTake: Effect.Effect<boolean, Failure>;
  /** Gives it back. Returns at once; whoever is next has it before anything that this process asks for later. */
  readonly release: Effect.Effect<void, SyncError | Failure>;
  /** Waits for it, and takes it for the scope. *Interruption:* takes nothing. *Release:* gives it back. */
  readonly acquire: Effect.Effect<void, Failure, Scope.Scope>;
  /** Runs an Effect while it is held. *Interruption:* takes nothing, or interrupts the Effect and gives it back. */
  readonly withLock: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | Failure, R>;
  /** Whether it cannot be taken now. */
  readonly isLocked: Effect.Effect<boolean, Failure>;
  /** Who has it, and who waits for it, in numbers. */
  readonly statistics: Effect.Effect<LockStatistics, Failure>;
}

/** What a lock is doing. @since 0.1.0 @category models */
export interface LockStatistics {
  /** How many may take it now. */
  readonly free: number;
  /** How many hold it. */
  readonly held: number;
  /** How many wait for it. */
  readonly waiting: number;
}

/**
 * A lock that lives at the server: one at a time holds it. Any fiber of the process that holds it may release it. Python's
 * `Lock`, of a manager.
 *
 * @since 0.1.0
 * @category models
 */
export interface Lock extends Acquirable {}

/**
 * A lock that the fiber which holds it can take again, and releases as often. It is given back when that fiber ends. Python's
 * `RLock`, of a manager.
 *
 * @since 0.1.0
 * @category models
 */
export interface RLock extends Acquirable {}

/**
 * A semaphore that lives at the server: so many at a time hold it. A process that releases it and holds nothing of it adds one
 * more, unless it is bounded. Python's `Semaphore` and `BoundedSemaphore`, of a manager.
 *
 * @since 0.1.0
 * @category models
 */
export interface Semaphore extends Acquirable {
  /** How many may take it now. Python's `get_value`. */
  readonly available: Effect.Effect<number, Failure>;
}

/** How a kind of lock differs from others. */
abstract class AcquirableProxy extends Remote implements Acquirable {
  /** Where it is acquired. */
  protected get lock(): Place {
    return this[TypeId];
  }

  /** Whether it belongs to the fiber. */
  protected get recursive(): boolean {
    return false;
  }

  protected owner(fiber: unknown): unknown {
    return this.recursive ? fiber : undefined;
  }

  #take<A>(waits: boolean, then: (one: Held | undefined) => Effect.Effect<A>): Effect.Effect<A, Failure> {
    return Effect.withFiberRuntime<A, Failure>((fiber) => {
      const owner = this.owner(fiber);
      const before = owner === undefined ? undefined : find(this.lock, owner);
      if (before !== undefined) {
        before.depth++;
        return then(before);
      }
      return grab(this.lock, waits, owner, (one) => {
        if (one !== undefined && owner !== undefined) fiber.addObserver(() => release(this.lock, one));
        return then(one);
      });
    });
  }

  #give(one: Held): void {
    if (--one.depth === 0) release(this.lock, one);
  }

  get take(): Effect.Effect<void, Failure> {
    return this.#take(true, () => Effect.void);
  }

  get tryTake(): Effect.Effect<boolean, Failure> {
    return this.#take(false, (one) => Effect.succeed(one !== undefined));
  }

  get release(): Effect.Effect<void, SyncError | Failure> {
    return Effect.withFiberRuntime<void, SyncError | Failure>((fiber) => {
      const one = find(this.lock, this.owner(fiber));
      if (one === undefined) return this.unheld();
      this.#give(one);
      return still(one);
    });
  }

  /** Somebody releases who holds nothing. */
  protected unheld(): Effect.Effect<void, SyncError | Failure> {
    return Effect.fail(notHeld(`release the ${this[TypeId].type}`));
  }

  get acquire(): Effect.Effect<void, Failure, Scope.Scope> {
    return Effect.asVoid(this.#acquire);
  }

  get #acquire(): Effect.Effect<Held, Failure, Scope.Scope> {
    return Effect.flatMap(
      Effect.scope,
      (scope) =>
        this.#take(
          true,
          (one) => Effect.as(Scope.addFinalizer(scope, Effect.sync(() => this.#give(one!))), one!),
        ),
    );
  }

  readonly withLock = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | Failure, R> =>
    Effect.flatMap(
      Scope.make(),
      (scope) =>
        Effect.onExit(
          Effect.flatMap(
            Scope.extend(this.#acquire, scope),
            (one) => Effect.flatMap(effect, (value) => Effect.as(still(one), value)),
          ),
          (exit) => Scope.close(scope, exit),
        ),
    );

  get isLocked(): Effect.Effect<boolean, Failure> {
    return ask(this.lock, "isLocked");
  }

  get statistics(): Effect.Effect<LockStatistics, Failure> {
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
  get available(): Effect.Effect<number, Failure> {
    return ask(this[TypeId], "value");
  }

  protected override unheld(): Effect.Effect<void, SyncError | Failure> {
    return this[TypeId].type === "Semaphore" ? ask(this[TypeId], "release") : super.unheld();
  }
}

/**
 * A condition of a lock that lives at the server. It is taken and released as its lock is. Python's `Condition`, of a manager.
 *
 * @since 0.1.0
 * @category models
 */
export interface Condition extends Acquirable {
  /**
   * Releases the lock, waits until it is notified, and acquires the lock again. It must be held. *Interruption:* acquires the
   * lock again before it ends, so that whoever releases it then still can; a notification goes on to the next.
   */
  readonly wait: Effect.Effect<void, SyncError | Failure>;
  /** Waits until this gives `true`, looking after each notification. */
  readonly waitFor: <E, R>(predicate: Effect.Effect<boolean, E, R>) => Effect.Effect<void, E | SyncError | Failure, R>;
  /** Wakes up so many of those that wait, one unless a number is given. The lock must be held. */
  readonly notify: (count?: number) => Effect.Effect<void, SyncError | Failure>;
  /** Wakes up all that wait. The lock must be held. */
  readonly notifyAll: Effect.Effect<void, SyncError | Failure>;
  /** How many wait to be notified. */
  readonly waiting: Effect.Effect<number, Failure>;
}

/** What a handle of a condition says besides. */
export interface ConditionShape {
  /** The number of its lock: its own, or that of the one which it was made with. */
  readonly lock: number;
  /** Whether its lock is a recursive one. */
  readonly recursive: boolean;
}

/** The proxy of a condition. */
export class ConditionProxy extends AcquirableProxy implements Condition {
  readonly #shape: ConditionShape;

  constructor(place: Place & { readonly shape: ConditionShape }) {
    super(place);
    this.#shape = place.shape;
  }

  protected override get lock(): Place {
    return { ...this[TypeId], number: this.#shape.lock };
  }

  protected override get recursive(): boolean {
    return this.#shape.recursive;
  }

  #held<A>(what: string, use: (one: Held) => Effect.Effect<A, Failure>): Effect.Effect<A, SyncError | Failure> {
    return Effect.withFiberRuntime<A, SyncError | Failure>((fiber) => {
      const one = find(this.lock, this.owner(fiber));
      return one === undefined ? Effect.fail(notHeld(what)) : Effect.zipRight(still(one), use(one));
    });
  }

  get wait(): Effect.Effect<void, SyncError | Failure> {
    return this.#held("wait for the Condition", (one) =>
      Effect.uninterruptibleMask((restore) => {
        const { lock } = this;
        let back = false;
        let wake: (() => void) | undefined;
        one.news = () => {
          back = true;
          add(lock, one);
          one.news = () => {};
          wake?.();
        };
        // Meanwhile it is held by nobody of this process.
        drop(lock, one);
        one.line.data(say(P.WAIT, this[TypeId].number));
        const returned = Effect.async<void>((resume) => {
          if (back) return resume(Effect.void);
          wake = () => resume(Effect.void);
        });
        return Effect.matchCauseEffect(restore(returned), {
          onSuccess: () => still(one),
          onFailure: (interruption) => {
            if (one.lost === undefined) one.line.data(say(P.UNWAIT));
            return Effect.zipRight(returned, Effect.failCause(interruption));
          },
        });
      }));
  }

  readonly waitFor = <E, R>(predicate: Effect.Effect<boolean, E, R>): Effect.Effect<void, E | SyncError | Failure, R> =>
    Effect.flatMap(predicate, (holds) => holds ? Effect.void : Effect.zipRight(this.wait, this.waitFor(predicate)));

  readonly notify = (count: number = 1): Effect.Effect<void, SyncError | Failure> =>
    this.#held("notify the Condition", (one) =>
      Effect.sync(() => {
        if (count > 0) one.line.data(say(P.NOTIFY, this[TypeId].number, Math.min(Math.floor(count), 2 ** 40)));
      }));

  get notifyAll(): Effect.Effect<void, SyncError | Failure> {
    return this.notify(Infinity);
  }

  get waiting(): Effect.Effect<number, Failure> {
    return ask(this[TypeId], "waiting");
  }
}

/**
 * A flag that lives at the server, to wait for. Python's `Event`, of a manager.
 *
 * @since 0.1.0
 * @category models
 */
export interface Event extends Proxy {
  /** Sets it: whoever waits goes on, also if it is cleared at once. */
  readonly set: Effect.Effect<void, Failure>;
  /** Clears it. */
  readonly clear: Effect.Effect<void, Failure>;
  /** Whether it is set. */
  readonly isSet: Effect.Effect<boolean, Failure>;
  /** Waits until it is set. *Interruption:* stops waiting. */
  readonly wait: Effect.Effect<void, Failure>;
  /** How many wait. */
  readonly waiting: Effect.Effect<number, Failure>;
}

/** The proxy of an event. */
export class EventProxy extends Remote implements Event {
  get set() {
    return ask<void>(this[TypeId], "set");
  }
  get clear() {
    return ask<void>(this[TypeId], "clear");
  }
  get isSet() {
    return ask<boolean>(this[TypeId], "isSet");
  }
  get wait() {
    return ask<void>(this[TypeId], "wait");
  }
  get waiting() {
    return ask<number>(this[TypeId], "waiting");
  }
}

/** How a barrier stands. @since 0.1.0 @category models */
export interface BarrierStatistics {
  /** How many it lets pass together. */
  readonly parties: number;
  /** How many wait. Python's `n_waiting`. */
  readonly waiting: number;
  /** Whether it is broken. */
  readonly broken: boolean;
}

/**
 * A barrier that lives at the server: so many wait for each other, as often as they like. Python's `Barrier`, of a manager.
 *
 * @since 0.1.0
 * @category models
 */
export interface Barrier extends Proxy {
  /**
   * Waits until all are here, and gives each another index from 0 on; the last one to come has the highest. Fails with
   * `BrokenBarrier` if somebody gives up or dies meanwhile, since the others would wait for ever. *Interruption:* breaks it.
   */
  readonly wait: Effect.Effect<number, BrokenBarrier | Failure>;
  /** Breaks it: whoever waits fails, and whoever comes. */
  readonly abort: Effect.Effect<void, Failure>;
  /** Mends it: whoever waits fails, and who comes then begins a new round. */
  readonly reset: Effect.Effect<void, Failure>;
  /** How it stands. */
  readonly statistics: Effect.Effect<BarrierStatistics, Failure>;
}

/** The proxy of a barrier. */
export class BarrierProxy extends Remote implements Barrier {
  get wait(): Effect.Effect<number, BrokenBarrier | Failure> {
    const place = this[TypeId];
    return exactly<unknown, unknown, number, never>((done) => {
      const line = call(target(place), P.ATTACH, say(place.number), {
        exit: (incoming) => {
          switch (incoming.bytes[0]) {
            case P.VALUE:
              return done(Exit.succeed(new Numbers(incoming.bytes, 1).next()));
            case P.BROKEN:
              return done(Effect.fail(new BrokenBarrier(P.REASONS[incoming.bytes[1]])));
            default:
              return done(answer(place, incoming));
          }
        },
      });
      return () => line.cancel();
    }, (index) => Effect.succeed(index as number)) as Effect.Effect<number, BrokenBarrier | Failure>;
  }

  get abort() {
    return ask<void>(this[TypeId], "abort");
  }
  get reset() {
    return ask<void>(this[TypeId], "reset");
  }
  get statistics() {
    return ask<BarrierStatistics>(this[TypeId], "value");
  }
}
