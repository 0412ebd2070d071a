/**
 * `Condition` for its users.
 *
 * @module
 */
import * as Cause from "effect/Cause";
import * as Duration from "effect/Duration";
import * as Effect from "effect/Effect";
import * as FiberRef from "effect/FiberRef";
import * as RuntimeFlags from "effect/RuntimeFlags";
import type { Pipeable } from "effect/Pipeable";
import type * as Scope from "effect/Scope";
import type { Condition, Options, Statistics } from "../../Condition.ts";
import { HandleId, register } from "../objects/handles.ts";
import type { Carrier, Lock } from "../../Lock.ts";
import type { Condition as Protocol } from "./protocol/condition.ts";
import { isWaitFailure, type Participants } from "./protocol/participants.ts";
import { after } from "../os/timer.ts";
import { BUSY } from "./protocol/monitor.ts";
import type { Words } from "../os/atomics.ts";
import { inspectable } from "../os/inspect.ts";
import type { RLock } from "../../RLock.ts";
import { countOrInfinite, must, optional } from "../os/arguments.ts";
import { duration as time } from "../os/durations.ts";
import { SyncError, type SyncFailure, wrongArgument, wrongOption } from "./errors.ts";
import { type Guard, guardOf, isLock } from "./guard.ts";
import {
  type ConditionDescriptor,
  conditionKind,
  ConditionSession,
  type Notices,
  type NotificationWaiter,
  statistics,
} from "./messages/condition.ts";
import { allocateObject, byMessages, carrierOption, Shared } from "./object.ts";
import { make as makeLock } from "./rlock.ts";
import { ifDiscarded, type RunningFiber, step, whenDone } from "./waiting.ts";

export const TypeId = "~multiprocessing/Condition";

const isPredicate = must(
  (value) => Effect.isEffect(value) || typeof value === "function",
  "a function or an Effect that returns true or false",
);

const notHeld = (what: string): SyncError =>
  new SyncError("NotOwner", `Cannot ${what} the condition: its lock is not held here`);

/** The notifications of a condition in memory. */
class MemoryNotices extends Shared<Protocol, ConditionDescriptor> implements Notices {
  constructor(descriptor: ConditionDescriptor, sent?: ConditionDescriptor) {
    super("condition", descriptor, sent);
  }

  protected override make(words: Words, at: number, participants: Participants): Protocol {
    return conditionKind.make(words, at, participants, undefined);
  }

  begin(waiter: NotificationWaiter): Effect.Effect<() => boolean, SyncFailure> {
    return step(() => {
      let leave = (): boolean => false;
      const waiting = this.object.wait((outcome) => {
        if (!isWaitFailure(outcome)) return waiter("notified");
        if (outcome !== "gone") leave();
        waiter({ over: this.over(outcome), gone: outcome === "gone" });
      });
      return waiting === BUSY ? BUSY : leave = waiting;
    });
  }

  passOn(): void {
    this.there?.notify(1, () => {});
  }

  notify(count: number): Effect.Effect<number, SyncFailure> {
    return whenDone<number>((done) => this.object.notify(count, done));
  }

  readonly statistics: Effect.Effect<Statistics, SyncFailure> = step(() => statistics(this.object));
}

/** The implementation of {@link Condition}. */
export class ConditionClient implements Condition {
  declare readonly pipe: Pipeable["pipe"];
  readonly [TypeId]: typeof TypeId = TypeId;
  readonly #notices: Notices;
  readonly lock: Lock | RLock;

  constructor(notices: Notices, lock: Lock | RLock) {
    this.#notices = notices;
    this.lock = lock;
  }

  get [HandleId](): Notices[typeof HandleId] {
    return this.#notices[HandleId];
  }

  get host(): string {
    return this.#notices.host;
  }

  get carrier(): Carrier {
    return this.#notices.carrier;
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
      Effect.suspend(() => this.#notices.notify(count)),
    );
  };

  readonly notifyAll: Effect.Effect<number, SyncFailure> = Effect.suspend(() => this.notify(Infinity));

  get statistics(): Effect.Effect<Statistics, SyncFailure> {
    return this.#notices.statistics;
  }

  #check(what: string): Effect.Effect<void, SyncFailure> {
    return step(() => {
      if (!this.#guard.mine()) throw notHeld(what);
    });
  }

  /** Waits for a notification; false if the time is over. Holds the lock again whenever it ends. */
  #wait(millis: number): Effect.Effect<boolean, SyncFailure> {
    return Effect.withFiberRuntime((fiber, { runtimeFlags }) =>
      this.#waitIn(fiber, RuntimeFlags.interruptible(runtimeFlags), millis)
    );
  }

  #waitIn(fiber: RunningFiber, interruptible: boolean, millis: number): Effect.Effect<boolean, SyncFailure> {
    return Effect.uninterruptibleMask((restore) => {
      let done: NotificationWaiter = () => {};
      let ended: Parameters<NotificationWaiter>[0] | undefined;
      let saved: unknown;
      const begin = Effect.flatMap(
        Effect.zipRight(
          this.#check("wait with"),
          this.#notices.begin((outcome) => {
            ended = outcome;
            done(outcome);
          }, restore),
        ),
        (leave) =>
          step(() => {
            saved = this.#guard.giveUp();
            return leave;
          }),
      );
      const sleep = (leave: () => boolean): Effect.Effect<Parameters<NotificationWaiter>[0] | "late"> =>
        Effect.async((resume) => {
          done = (outcome) => {
            stop();
            resume(Effect.succeed(outcome));
          };
          const stop = after(millis, () => {
            if (leave()) resume(Effect.succeed("late"));
          });
          if (ended !== undefined) done(ended);
          return Effect.sync(stop);
        });
      const back = Effect.suspend(() => this.#guard.takeBack(saved));
      return Effect.flatMap(begin, (leave) =>
        Effect.matchCauseEffect(restore(sleep(leave)), {
          onFailure: (cause) => {
            // A waiter that was notified and was interrupted passes the notification on.
            if (!leave() && ended === "notified") this.#notices.passOn();
            return Effect.zipRight(back, Effect.failCause(cause));
          },
          onSuccess: (outcome): Effect.Effect<boolean, SyncFailure> => {
            if (typeof outcome === "object") return outcome.gone ? outcome.over : Effect.zipRight(back, outcome.over);
            return Effect.zipRight(
              back,
              Effect.suspend(() => {
                if (outcome === "late") return Effect.succeed(false);
                // An interruption that came while the lock was taken again: the caller would never see the result.
                const pending = interruptible ? fiber.getFiberRef(FiberRef.interruptedCause) : Cause.empty;
                if (!Cause.isEmpty(pending)) {
                  this.#notices.passOn();
                  return Effect.failCause(pending);
                }
                ifDiscarded(() => this.#notices.passOn());
                return Effect.succeed(true);
              }),
            );
          },
        }));
    });
  }
}

inspectable(ConditionClient);

register("condition", (data) => {
  const descriptor = data as ConditionDescriptor;
  const notices = byMessages(descriptor) ? new ConditionSession(descriptor) : new MemoryNotices(descriptor);
  return new ConditionClient(notices, descriptor.lock);
});

/** Makes a condition. */
export const make = (options: Options): Effect.Effect<Condition, SyncFailure, Scope.Scope> => {
  const wrong = wrongOption("condition", options, { lock: optional(isLock), ...carrierOption });
  if (wrong !== undefined) return Effect.fail(wrong);
  const { carrier, lock: given } = options;
  return Effect.flatMap(
    given === undefined ? makeLock({ carrier }) : Effect.succeed(given),
    (lock) =>
      Effect.map(
        allocateObject(conditionKind, undefined, carrier),
        ({ own, sent }) => new ConditionClient(new MemoryNotices({ ...own, lock }, { ...sent, lock }), lock),
      ),
  );
};
