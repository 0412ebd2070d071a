/**
 * `Event` for its users by messages, and what the host does for them.
 *
 * @module
 */
import type * as Effect from "effect/Effect";
import type { Event, Statistics } from "../../../Event.ts";
import { WaitId } from "../../objects/waitable.ts";
import type { SyncFailure } from "../errors.ts";
import type { Descriptor, Kind } from "../object.ts";
import { Event as Protocol, SIZE } from "../protocol/event.ts";
import { isWaitFailure } from "../protocol/participants.ts";
import { MessageClient } from "./client.ts";

export const TypeId = "~multiprocessing/Event";

const SET = 1;
const CLEAR = 2;
const WAIT = 3;
const STATISTICS = 4;

/** The state of an event in memory. */
export const statistics = ({ isSet, waiting, waitingParticipants }: Protocol): Statistics => ({
  isSet,
  waiting,
  waitingProcesses: waitingParticipants,
});

/** Events, in memory and by messages. */
export const eventKind: Kind<Protocol, undefined> = {
  name: "event",
  size: SIZE,
  make: (words, at, participants) => new Protocol(words, at, participants),
  operations: {
    [SET]: (event, _, reply) => reply.result(event.set()),
    [CLEAR]: (event, _, reply) => reply.result(event.clear()),
    [WAIT]: (event, _, reply) => {
      if (event.isSet) return reply.result(undefined);
      return event.wait((outcome) => isWaitFailure(outcome) ? reply.failed(outcome) : reply.result(undefined));
    },
    [STATISTICS]: (event, _, reply) => reply.result(statistics(event)),
  },
};

/** The implementation of {@link Event}. */
export class EventMessages extends MessageClient implements Event {
  readonly [TypeId]: typeof TypeId = TypeId;

  constructor(descriptor: Descriptor) {
    super("event", descriptor);
  }

  get [WaitId](): Event[typeof WaitId] {
    const { session } = this;
    return {
      look: (answer) =>
        void session.request(STATISTICS, [], (told) =>
          // An event that has ended is ready: its use fails at once.
          answer(told._tag !== "Result" || (told.value as Statistics).isSet)),
      watch: (ready, fail) =>
        session.request(WAIT, [], (told) => told._tag === "Defect" ? fail(new Error(told.message)) : ready()),
    };
  }

  readonly isSet: Effect.Effect<boolean, SyncFailure> = this.ask(
    STATISTICS,
    [],
    (told) => (told as Statistics).isSet,
  );
  readonly set: Effect.Effect<void, SyncFailure> = this.ask(SET);
  readonly clear: Effect.Effect<void, SyncFailure> = this.ask(CLEAR);
  readonly wait: Effect.Effect<void, SyncFailure> = this.ask(WAIT);
  readonly statistics: Effect.Effect<Statistics, SyncFailure> = this.ask(STATISTICS);
}
