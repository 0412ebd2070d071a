/**
 * `Condition` for its users.
 *
 * @module
 */
import * as Duration from "effect/Duration";
import * as Effect from "effect/Effect";
import type * as Scope from "effect/Scope";
import type { Condition, Options, Statistics } from "../../Condition.ts";
import { register } from "../objects/handles.ts";
import type { Lock } from "../../Lock.ts";
import { Condition as Protocol, sizeFor } from "./protocol/condition.ts";
import { isWaitFailure, type Participants, type WaitFailure } from "./protocol/participants.ts";
import { after } from "../os/timer.ts";
import { BUSY } from "./protocol/monitor.ts";
import type { Words } from "../os/atomics.ts";
import type { RLock } from "../../RLock.ts";
import { countOrInfinite, must, optional } from "../os/arguments.ts";
import { duration as time } from "../os/durations.ts";
import { SyncError, type SyncFailure, wrongArgument, wrongOption } from "./errors.ts";
import { type Guard, guardOf, isLock } from "./guard.ts";
import { make as makeLock } from "./rlock.ts";
import { allocateMemory, type Descriptor, Shared } from "./object.ts";
import { step, whenDone } from "./waiting.ts";

export const TypeId = "~multiprocessing/Condition";

/** The data of a handle. */
export interface ConditionDescriptor extends Descriptor {
  readonly lock: Lock | RLock;
}

const isPredicate = must(
  (value) => Effect.isEffect(value) || typeof value === "function",
  "a function or an Effect that returns true or false",
);

const notHeld = (what: string): SyncError =>
  new SyncError("NotOwner", `Cannot ${what} the condition: its lock is not held here`);

/** The outcome of a wait. */
type Ended = "notified" | "late" | WaitFailure;

/** The implementation of {@link Condition}. */
export class ConditionClient extends Shared<Protocol, ConditionDescriptor> implements Condition {
  readonly [TypeId]: typeof TypeId = TypeId;

  constructor(descriptor: ConditionDescriptor) {
    super("condition", descriptor);
  }

  protected override make(words: Words, at: number, participants: Participants): Protocol {
    return new Protocol(words, at, participants);
  }

  get lock(): Lock | RLock {
    return this.descriptor.lock;
  }

  get #guard(): Guard {
    return guardOf(this.lock);
  }

  readonly withLock: Condition["withLock"] = (effect, options) => this.lock.withLock(effect, options);

  readonly wait: Effect.Effect<void, SyncFailure> = Effect.suspend(() => Effect.asVoid(this.#wait(Infinity)));

  readonly waitWithin = (duration: Duration.DurationInput): Effect.Effect<boolean, SyncFailure> => {
    const wrong = wrongArgument("condition.waitWithin", { duration }, { duration: time });
    return wrong === undefined ? this.#wait(Duration.toMillis(duration)) : Effect.fail(wrong);
  };

  readonly waitFor = <E, R>(
    predicate: Effect.Effect<boolean, E, R> | (() => boolean),
  ): Effect.Effect<void, E | SyncFailure, R> => {
    const wrong = wrongArgument("condition.waitFor", { predicate }, { predicate: isPredicate });
    if (wrong !== undefined) return Effect.fail(wrong);
    const holds = Effect.isEffect(predicate) ? predicate : Effect.sync(predicate);
    const look: Effect.Effect<void, E | SyncFailure, R> = Effect.flatMap(
      holds,
      (held) => held ? Effect.void : Effect.zipRight(this.wait, look),
    );
    return Effect.zipRight(this.#check("wait with"), look);
  };

  readonly notify = (count: number = 1): Effect.Effect<number, SyncFailure> => {
    const wrong = wrongArgument("condition.notify", { count }, { count: countOrInfinite });
    return wrong !== undefined ? Effect.fail(wrong) : Effect.zipRight(
      this.#check("notify"),
      whenDone<number>((done) => this.object.notify(count, done)),
    );
  };

  readonly notifyAll: Effect.Effect<number, SyncFailure> = Effect.suspend(() => this.notify(Infinity));

  readonly statistics: Effect.Effect<Statistics, SyncFailure> = step(() => {
    const { sleeping, waiting } = this.object;
    return { waiting: sleeping, waitingHere: waiting };
  });

  #check(what: string): Effect.Effect<void, SyncFailure> {
    return step(() => {
      if (!this.#guard.mine()) throw notHeld(what);
    });
  }

  /** Waits for a notification; false if the time is over. Holds the lock again whenever it ends. */
  #wait(millis: number): Effect.Effect<boolean, SyncFailure> {
    return Effect.uninterruptibleMask((restore) => {
      let done: (ended: Ended) => void = () => {};
      let ended: Ended | undefined;
      let leave: () => boolean = () => false;
      let saved: unknown;
      const begin = step(() => {
        if (!this.#guard.mine()) throw notHeld("wait with");
        const waiting = this.object.wait((outcome) => {
          ended = outcome;
          done(outcome);
        });
        if (waiting === BUSY) return BUSY;
        leave = waiting;
        saved = this.#guard.giveUp();
        return undefined;
      });
      const sleep = Effect.async<Ended>((resume) => {
        done = (outcome) => {
          stop();
          resume(Effect.succeed(outcome));
        };
        const stop = after(millis, () => {
          if (leave()) done("late");
        });
        if (ended !== undefined) done(ended);
        return Effect.sync(stop);
      });
      const back = Effect.suspend(() => this.#guard.takeBack(saved));
      const wait = Effect.matchCauseEffect(restore(sleep), {
        onFailure: (cause) => {
          // A waiter that was notified and was interrupted passes the notification on.
          if (!leave() && ended === "notified") this.there?.notify(1, () => {});
          return Effect.zipRight(back, Effect.failCause(cause));
        },
        onSuccess: (outcome): Effect.Effect<boolean, SyncFailure> => {
          if (!isWaitFailure(outcome)) return Effect.as(back, outcome === "notified");
          if (outcome === "gone") return this.over(outcome);
          leave();
          return Effect.zipRight(back, this.over(outcome));
        },
      });
      return Effect.zipRight(begin, wait);
    });
  }
}

register("condition", (data) => new ConditionClient(data as ConditionDescriptor));

/** Makes a condition. */
export const make = (options: Options): Effect.Effect<Condition, SyncFailure, Scope.Scope> => {
  const wrong = wrongOption("condition", options, { lock: optional(isLock) });
  return wrong !== undefined ? Effect.fail(wrong) : Effect.flatMap(
    options.lock === undefined ? makeLock() : Effect.succeed(options.lock),
    (lock) =>
      Effect.map(allocateMemory("condition", sizeFor()), (descriptor) => new ConditionClient({ ...descriptor, lock })),
  );
};
