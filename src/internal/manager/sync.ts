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
import { waitThenCommit } from "../objects/interruption.ts";
import { VarintReader, varints } from "../codec/varint.ts";
import { call, type Line } from "../rpc/router.ts";
import { countOrInfinite, effect as isEffect } from "../os/arguments.ts";
import { answer, ask, checked, type Failure, type Place, target } from "./calls.ts";
import { BrokenBarrier, SyncError } from "../sync/errors.ts";
import { type Hold, HoldStack } from "../sync/reentrancy.ts";
import type { RunningFiber } from "../sync/waiting.ts";
import * as P from "./protocol.ts";
import { type Proxy, Remote, TypeId } from "./remote.ts";

const notHeld = (what: string): SyncError =>
  new SyncError("NotOwner", `Cannot ${what}: it is not held here; take it first, or use withLock`);

/** What this process has acquired: a call that stays open. */
interface Held {
  line: Line;
  /** Why it is not held any more, though nobody released it. */
  lost: Effect.Effect<unknown, unknown> | undefined;
  /** It was granted, or lost. */
  news: () => void;
}

const held = new Map<string, Array<Held>>();

const keyOf = ({ address, gate, number }: Place): string => `${address}/${gate}/${number}`;

const find = (place: Place): Held | undefined => held.get(keyOf(place))?.at(-1);

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

type Lost = Effect.Effect<never, unknown>;

/** Asks for the lock; if not `waits`, the answer may be that another has it. Returns a function that takes the request back. */
const request = (
  place: Place,
  waits: boolean,
  done: (outcome: Held | "busy" | { readonly lost: Lost }) => void,
): () => void => {
  const one: Held = { line: undefined as never, lost: undefined, news: () => {} };
  let state: "asked" | "granted" | "over" = "asked";
  one.line = call(target(place), P.ATTACH, varints(place.number, waits ? 1 : 0), {
    data: () => {
      if (state === "granted") return one.news();
      if (state === "over") return;
      state = "granted";
      done(one);
    },
    exit: (incoming) => {
      if (state === "over") return;
      if (state === "asked" && incoming.bytes[0] === P.BUSY) {
        state = "over";
        return done("busy");
      }
      one.lost = answer(place, incoming);
      if (state === "granted") return one.news();
      state = "over";
      done({ lost: one.lost as Lost });
    },
  });
  return () => {
    if (state !== "asked") return;
    state = "over";
    one.line.cancel();
  };
};

/** A recursive lock in this process: see `shared/holds.ts`. */
class Recursive {
  readonly holds: HoldStack<Lost>;
  readonly #place: Place;
  /** The call by which this process has the lock. */
  #one: Held | undefined;
  /** Those who will come back to it. */
  #users = 0;

  constructor(place: Place) {
    this.#place = place;
    this.holds = new HoldStack<Lost>({
      request: (done) =>
        request(place, true, (outcome) => {
          if (outcome === "busy") return;
          if (!("line" in outcome)) return done(outcome.lost);
          this.#one = outcome;
          done("held");
        }),
      release: () => {
        const one = this.#one!;
        this.#one = undefined;
        one.line.finish();
        this.#forget();
      },
      lost: () => this.#one?.lost as Lost | undefined,
      onHeld: () => {},
    });
  }

  /** That of a place. */
  static of(place: Place): Recursive {
    const key = keyOf(place);
    const known = recursive.get(key);
    if (known !== undefined) return known;
    const fresh = new Recursive(place);
    recursive.set(key, fresh);
    return fresh;
  }

  /** What this process has, while a fiber is inside, and no sibling of it further inside. */
  oneOf(fiber: RunningFiber): Held | undefined {
    return this.holds.isTop(fiber) ? this.#one : undefined;
  }

  get one(): Held | undefined {
    return this.#one;
  }

  wait(fiber: RunningFiber, done: (result: Effect.Effect<Hold<Lost>, unknown>) => void): () => void {
    let taken: Hold<Lost> | undefined;
    const leave = this.holds.wait(fiber, undefined, (entered) => {
      if ("lost" in entered) return done(entered.lost);
      taken = entered.hold;
      done(Effect.succeed(taken));
    });
    return () => {
      if (!leave() && taken !== undefined) this.holds.release(taken);
    };
  }

  attempt(fiber: RunningFiber, done: (result: Effect.Effect<Hold<Lost> | undefined, unknown>) => void): () => void {
    let taken: Hold<Lost> | undefined;
    this.#users++;
    const withdraw = request(this.#place, false, (outcome) => {
      this.#users--;
      if (outcome !== "busy" && "line" in outcome) {
        this.#one = outcome;
        taken = this.holds.grant(fiber);
        return done(Effect.succeed(taken));
      }
      this.#forget();
      done(outcome === "busy" ? Effect.succeed(undefined) : outcome.lost);
    });
    return () => {
      withdraw();
      if (taken !== undefined) this.holds.release(taken);
    };
  }

  /** Gives the lock up, until what is returned is called: then this process has it again. */
  park(): () => void {
    const one = this.#one!;
    const parked = this.holds.park();
    this.#one = undefined;
    this.#users++;
    return () => {
      this.#users--;
      if (this.holds.held) { for (const hold of parked) this.holds.release(hold); }
      else {
        this.#one = one;
        this.holds.restore(parked);
      }
    };
  }

  #forget(): void {
    if (this.#users > 0 || this.holds.held || this.holds.waiting > 0) return;
    const key = keyOf(this.#place);
    if (recursive.get(key) === this) recursive.delete(key);
  }
}

const recursive = new Map<string, Recursive>();

/** Waits for what the lock gives, if `waits`, and keeps it for this process. */
const grab = <A>(
  place: Place,
  waits: boolean,
  then: (one: Held | undefined) => Effect.Effect<A>,
): Effect.Effect<A, Failure> =>
  waitThenCommit<Held | undefined, unknown, A, never>((done) => {
    let granted: Held | undefined;
    const withdraw = request(place, waits, (outcome) => {
      if (outcome === "busy") return done(Effect.succeed(undefined));
      if (!("line" in outcome)) return done(outcome.lost);
      granted = outcome;
      done(Effect.succeed(outcome));
    });
    return () => {
      if (granted === undefined) withdraw();
      else granted.line.cancel();
    };
  }, (one) => {
    if (one !== undefined) add(place, one);
    return then(one);
  }) as Effect.Effect<A, Failure>;

const release = (place: Place, one: Held): void => {
  if (drop(place, one)) one.line.finish();
};

/** What somebody has taken, and what gives it back. */
interface Taken {
  readonly one: Held;
  readonly end: Effect.Effect<void>;
}

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
 * A lock that the fiber which holds it can take again, and releases as often. It belongs to fibers as an `RLock` in shared memory does:
 * under `Effect.timeout` or `Effect.race` it is the caller's, and fibers that are forked inside exclude each other. Python's `RLock`, of
 * a manager.
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

  /** `then` is given what gives back what was taken. */
  #take<A>(waits: boolean, then: (taken: Taken | undefined) => Effect.Effect<A>): Effect.Effect<A, Failure> {
    const { lock } = this;
    if (!this.recursive) {
      return grab(lock, waits, (one) => then(one && { one, end: Effect.sync(() => release(lock, one)) }));
    }
    return Effect.withFiberRuntime<A, Failure>((fiber) => {
      const own = Recursive.of(lock);
      const taken = (hold: Hold<Lost>): Taken => ({
        one: own.one!,
        end: Effect.withFiberRuntime((fiber) => {
          own.holds.end(fiber, hold);
          return Effect.void;
        }),
      });
      const again = own.holds.enter(fiber, () => false);
      if (again !== undefined) return then(taken(again));
      if (!waits && own.holds.held) return then(undefined);
      return waitThenCommit<Hold<Lost> | undefined, unknown, A, never>(
        (done) => waits ? own.wait(fiber, done) : own.attempt(fiber, done),
        (hold) => {
          if (hold === undefined) return then(undefined);
          own.holds.settle(fiber, hold);
          return then(taken(hold));
        },
      ) as Effect.Effect<A, Failure>;
    });
  }

  get take(): Effect.Effect<void, Failure> {
    return this.#take(true, () => Effect.void);
  }

  get tryTake(): Effect.Effect<boolean, Failure> {
    return this.#take(false, (one) => Effect.succeed(one !== undefined));
  }

  get release(): Effect.Effect<void, SyncError | Failure> {
    return Effect.withFiberRuntime<void, SyncError | Failure>((fiber) => {
      if (this.recursive) {
        const own = Recursive.of(this.lock);
        const { one } = own;
        return own.holds.leave(fiber) === undefined ? this.unheld() : still(one!);
      }
      const one = find(this.lock);
      if (one === undefined) return this.unheld();
      release(this.lock, one);
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

  get #acquire(): Effect.Effect<Taken, Failure, Scope.Scope> {
    return Effect.flatMap(
      Effect.scope,
      (scope) =>
        this.#take(
          true,
          (taken) => Effect.as(Scope.addFinalizer(scope, taken!.end), taken!),
        ),
    );
  }

  readonly withLock = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | Failure, R> =>
    checked("lock.withLock", { effect }, { effect: isEffect }, () =>
      Effect.flatMap(
        Scope.make(),
        (scope) =>
          Effect.onExit(
            Effect.flatMap(
              Scope.extend(this.#acquire, scope),
              ({ one }) => Effect.flatMap(effect, (value) => Effect.as(still(one), value)),
            ),
            (exit) => Scope.close(scope, exit),
          ),
      ));

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
      const one = this.recursive ? Recursive.of(this.lock).oneOf(fiber) : find(this.lock);
      return one === undefined ? Effect.fail(notHeld(what)) : Effect.zipRight(still(one), use(one));
    });
  }

  get wait(): Effect.Effect<void, SyncError | Failure> {
    return this.#held("wait for the Condition", (one) =>
      Effect.uninterruptibleMask((restore) => {
        let back = false;
        let wake: (() => void) | undefined;
        one.news = () => {
          back = true;
          one.news = () => {};
          takeBack();
          wake?.();
        };
        // Meanwhile it is held by nobody of this process.
        const takeBack = this.#giveUp(one);
        one.line.data(varints(P.WAIT, this[TypeId].number));
        const returned = Effect.async<void>((resume) => {
          if (back) return resume(Effect.void);
          wake = () => resume(Effect.void);
        });
        return Effect.matchCauseEffect(restore(returned), {
          onSuccess: () => still(one),
          onFailure: (interruption) => {
            if (one.lost === undefined) one.line.data(varints(P.UNWAIT));
            return Effect.zipRight(returned, Effect.failCause(interruption));
          },
        });
      }));
  }

  /** Gives up what is held, until what is returned is called. */
  #giveUp(one: Held): () => void {
    if (this.recursive) return Recursive.of(this.lock).park();
    drop(this.lock, one);
    return () => add(this.lock, one);
  }

  readonly waitFor = <E, R>(predicate: Effect.Effect<boolean, E, R>): Effect.Effect<void, E | SyncError | Failure, R> =>
    checked(
      "condition.waitFor",
      { predicate },
      { predicate: isEffect },
      () =>
        Effect.flatMap(predicate, (holds) => holds ? Effect.void : Effect.zipRight(this.wait, this.waitFor(predicate))),
    );

  readonly notify = (count: number = 1): Effect.Effect<void, SyncError | Failure> =>
    checked(
      "condition.notify",
      { count },
      { count: countOrInfinite },
      () =>
        this.#held(
          "notify the Condition",
          (one) =>
            Effect.sync(() => {
              if (count > 0) one.line.data(varints(P.NOTIFY, this[TypeId].number, Math.min(count, 2 ** 40)));
            }),
        ),
    );

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
    return waitThenCommit<unknown, unknown, number, never>((done) => {
      const line = call(target(place), P.ATTACH, varints(place.number), {
        exit: (incoming) => {
          switch (incoming.bytes[0]) {
            case P.VALUE:
              return done(Exit.succeed(new VarintReader(incoming.bytes, 1).next()));
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
