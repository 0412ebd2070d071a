/**
 * `Condition` for its users by messages, and what the host does for them.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import type { Statistics } from "../../../Condition.ts";
import type { Carrier, Lock } from "../../../Lock.ts";
import type { RLock } from "../../../RLock.ts";
import type { HandleId } from "../../objects/handles.ts";
import { countOrInfinite } from "../../os/arguments.ts";
import { ProtocolError } from "../../transport/frames.ts";
import type { Restore } from "../../objects/interruption.ts";
import type { SyncFailure } from "../errors.ts";
import type { Descriptor, Kind } from "../object.ts";
import { Condition as Protocol, sizeFor } from "../protocol/condition.ts";
import { isWaitFailure } from "../protocol/participants.ts";
import { now } from "../waiting.ts";
import { MessageClient } from "./client.ts";

const WAIT = 1;
const NOTIFY = 2;
const STATISTICS = 3;
/** Does nothing: its answer says that the host has run the operations before it. */
const REACHED = 4;

/** The data of a handle. */
export interface ConditionDescriptor extends Descriptor {
  readonly lock: Lock | RLock;
}

/** Receives the end of a wait: a notification, or its failure. After a failure that is not `gone`, the lock still exists. */
export type NotificationWaiter = (
  ended: "notified" | { readonly over: Effect.Effect<never, SyncFailure>; readonly gone: boolean },
) => void;

/** The notifications of a condition, as this process sends and receives them. */
export interface Notices {
  readonly [HandleId]: { readonly kind: string; readonly encode: () => ConditionDescriptor };
  readonly host: string;
  readonly carrier: Carrier;
  /**
   * Begins to wait, in an uninterruptible region whose interruptible parts `restore` marks. Returns a function that ends the wait; it
   * returns `false` if the waiter was called already. *Interruption:* does not begin.
   */
  readonly begin: (waiter: NotificationWaiter, restore: Restore) => Effect.Effect<() => boolean, SyncFailure>;
  /** Passes on a notification that a waiter has received. */
  readonly passOn: () => void;
  readonly notify: (count: number) => Effect.Effect<number, SyncFailure>;
  readonly statistics: Effect.Effect<Statistics, SyncFailure>;
}

/** The state of a condition in memory. */
export const statistics = ({ sleeping, waiting }: Protocol): Statistics => ({
  waiting: sleeping,
  waitingHere: waiting,
});

/** Conditions, in memory and by messages. */
export const conditionKind: Kind<Protocol, undefined> = {
  name: "condition",
  size: sizeFor(),
  make: (words, at, participants) => new Protocol(words, at, participants),
  operations: {
    // The caller gives its lock up once the host has run this operation, so the operation must not be put off.
    [WAIT]: (condition, _, reply) => {
      const passOn = (): void => condition.notify(1, () => {});
      const leave = now(() =>
        condition.wait((outcome) => isWaitFailure(outcome) ? reply.failed(outcome) : reply.result(undefined, passOn))
      );
      return () => void leave();
    },
    [NOTIFY]: (condition, [count], reply) => {
      if (countOrInfinite(count) !== undefined) {
        throw new ProtocolError("Cannot read from the peer: a number of notifications is not valid");
      }
      condition.notify(count as number, reply.result);
    },
    [STATISTICS]: (condition, _, reply) => reply.result(statistics(condition)),
    [REACHED]: (_, __, reply) => reply.result(undefined),
  },
};

/** The notifications of a condition by messages. */
export class ConditionSession extends MessageClient<ConditionDescriptor> implements Notices {
  constructor(descriptor: ConditionDescriptor) {
    super("condition", descriptor);
  }

  begin(waiter: NotificationWaiter, restore: Restore): Effect.Effect<() => boolean, SyncFailure> {
    return Effect.suspend(() => {
      const { session } = this;
      let ended = false;
      const withdraw = session.requestGrant(WAIT, [], (answer) => {
        ended = true;
        waiter(
          answer._tag === "Result"
            ? "notified"
            : { over: this.outcome<never>(answer, () => undefined as never), gone: answer._tag === "Ended" },
        );
      });
      const leave = (): boolean => {
        if (ended) return false;
        ended = true;
        withdraw();
        return true;
      };
      return Effect.matchCauseEffect(restore(this.ask(REACHED)), {
        onFailure: (cause) => {
          if (!leave()) this.passOn();
          return Effect.failCause(cause);
        },
        onSuccess: () => Effect.succeed(leave),
      });
    });
  }

  passOn(): void {
    this.session.tell(NOTIFY, 1);
  }

  notify(count: number): Effect.Effect<number, SyncFailure> {
    return this.ask(NOTIFY, [count]);
  }

  readonly statistics: Effect.Effect<Statistics, SyncFailure> = this.ask(STATISTICS);
}
