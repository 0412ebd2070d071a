/**
 * `Event` for its users.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import type * as Scope from "effect/Scope";
import type { CarrierOptions } from "../../Lock.ts";
import type { Event, MemoryEvent, Statistics } from "../../Event.ts";
import { register } from "../objects/handles.ts";
import { WaitId } from "../objects/waitable.ts";
import type { Event as Protocol } from "./protocol/event.ts";
import { Defect, isWaitFailure, type Participants, type WaitFailure } from "./protocol/participants.ts";
import type { Words } from "../os/atomics.ts";
import { isSyncFailure, type SyncFailure, wrongOption } from "./errors.ts";
import { eventKind, EventMessages, statistics, TypeId } from "./messages/event.ts";
import { allocateObject, byMessages, carrierOption, type Descriptor, Shared } from "./object.ts";
import { LATER, step, waitExactly } from "./waiting.ts";

/** The implementation of {@link MemoryEvent}. */
export class EventClient extends Shared<Protocol> implements MemoryEvent {
  readonly [TypeId]: typeof TypeId = TypeId;

  constructor(descriptor: Descriptor, sent?: Descriptor) {
    super("event", descriptor, sent);
  }

  protected override make(words: Words, at: number, participants: Participants): Protocol {
    return eventKind.make(words, at, participants, undefined);
  }

  get [WaitId](): Event[typeof WaitId] {
    // An event that has ended is ready: its use fails at once.
    const reached = <A>(use: (event: Protocol) => A, otherwise: () => A): A => {
      try {
        return use(this.object);
      } catch (error) {
        if (isSyncFailure(error)) return otherwise();
        throw error;
      }
    };
    return {
      look: (answer) => answer(reached((event) => event.isSet, () => true)),
      watch: (ready, fail) => {
        const now = (): () => void => {
          ready();
          return () => {};
        };
        const told = (outcome: "set" | WaitFailure): void => outcome instanceof Defect ? fail(outcome.error) : ready();
        return reached((event): () => void => event.isSet ? now() : event.wait(told), now);
      },
    };
  }

  readonly isSet: Effect.Effect<boolean, SyncFailure> = step(() => this.object.isSet);
  readonly set: Effect.Effect<void, SyncFailure> = step(() => this.object.set());
  readonly clear: Effect.Effect<void, SyncFailure> = step(() => this.object.clear());

  readonly wait: Effect.Effect<void, SyncFailure> = step<void, SyncFailure>(
    () => this.object.isSet ? undefined : LATER,
    waitExactly<void, SyncFailure>((done) => {
      const leave = this.object.wait((outcome) => done(isWaitFailure(outcome) ? this.over(outcome) : Effect.void));
      return () => void leave();
    }),
  );

  readonly statistics: Effect.Effect<Statistics, SyncFailure> = step(() => statistics(this.object));

  unsafeIsSet(): boolean {
    return this.object.isSet;
  }

  unsafeSet(): void {
    this.object.set();
  }

  unsafeClear(): void {
    this.object.clear();
  }
}

register("event", (data) => {
  const descriptor = data as Descriptor;
  return byMessages(descriptor) ? new EventMessages(descriptor) : new EventClient(descriptor);
});

/** Makes an event. */
export const make = (options: CarrierOptions = {}): Effect.Effect<MemoryEvent, SyncFailure, Scope.Scope> => {
  const wrong = wrongOption("event", options, carrierOption);
  return wrong !== undefined ? Effect.fail(wrong) : Effect.map(
    allocateObject(eventKind, undefined, options.carrier),
    ({ own, sent }) => new EventClient(own, sent),
  );
};
