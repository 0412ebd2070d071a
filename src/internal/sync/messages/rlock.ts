/**
 * The lock of a process for its recursive use, by messages.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import type { Statistics } from "../../../Lock.ts";
import type { SyncFailure } from "../errors.ts";
import { notOwner } from "../guard.ts";
import type { Descriptor } from "../object.ts";
import { type Hold, HoldStack } from "../reentrancy.ts";
import type { ProcessLock, Reentrant } from "../rlock.ts";
import type { RunningFiber } from "../waiting.ts";
import { MessageClient } from "./client.ts";
import { RELEASE, STATISTICS, TAKE, toldStatistics, TRY_TAKE } from "./lock.ts";
import type { Answer, Session } from "./session.ts";

/** An answer that is no grant. */
type Lost = Exclude<Answer, { readonly _tag: "Result" }>;

/** The holds of this process in one session. */
class State implements Reentrant<Lost> {
  readonly holds: HoldStack<Lost>;
  readonly session: Session;
  abandoned = false;

  constructor(session: Session) {
    this.session = session;
    this.holds = new HoldStack<Lost>({
      request: (done) =>
        session.requestGrant(TAKE, [], (answer) => {
          if (answer._tag !== "Result") return done(answer);
          this.abandoned = answer.value as boolean;
          done("held");
        }),
      release: () => session.tell(RELEASE),
      lost: () => session.lost,
      onHeld: () => {},
    });
  }
}

/** A lock of a process, by messages. */
export class RLockSession extends MessageClient implements ProcessLock<Lost> {
  #last: State | undefined;

  constructor(descriptor: Descriptor) {
    super("rlock", descriptor);
  }

  get reentrant(): State {
    const { session } = this;
    return this.#last = (session.state ??= new State(session)) as State;
  }

  get last(): State {
    return this.#last ?? this.reentrant;
  }

  /** A request takes more than a step. */
  readonly takeNow = (): boolean => false;

  readonly tryTake = (fiber: RunningFiber, taken: (hold: Hold<Lost>) => void): Effect.Effect<boolean, SyncFailure> => {
    let hold: Hold<Lost> | undefined;
    let state: State;
    return this.grant(TRY_TAKE, [], (granted) => {
      if (granted !== true) return false;
      state = this.reentrant;
      state.abandoned = false;
      hold = state.holds.grant(fiber);
      return true;
    }, () => {
      if (hold !== undefined) state.holds.release(hold);
    }, () => {
      if (hold !== undefined) taken(hold);
    });
  };

  readonly left = (had: boolean): Effect.Effect<void, SyncFailure> =>
    Effect.suspend(() => {
      if (!had) return Effect.zipRight(this.statistics, Effect.fail(notOwner("rlock")));
      const { lost } = this.last.session;
      return lost === undefined ? this.confirmed : this.over(lost);
    });

  override get confirmedSoon(): Effect.Effect<void> {
    return super.confirmedSoon;
  }

  get statistics(): Effect.Effect<Statistics, SyncFailure> {
    return this.ask(STATISTICS, [], toldStatistics);
  }

  readonly over = (lost: Lost): Effect.Effect<never, SyncFailure> =>
    this.outcome(lost, () => undefined) as Effect.Effect<never, SyncFailure>;
}
