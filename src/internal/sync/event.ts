/**
 * `Event` for its users.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import type * as Scope from "effect/Scope";
import type { Event, Statistics } from "../../Event.ts";
import { register } from "../objects/handles.ts";
import { WaitId } from "../objects/waitable.ts";
import { Event as Protocol, SIZE } from "./protocol/event.ts";
import { Defect, isWaitFailure, type Participants, type WaitFailure } from "./protocol/participants.ts";
import type { Words } from "../os/atomics.ts";
import type { SyncFailure } from "./errors.ts";
import { allocateMemory, type Descriptor, Shared } from "./object.ts";
import { isSyncFailure } from "./errors.ts";
import { LATER, step, waitExactly } from "./waiting.ts";

export const TypeId = "~multiprocessing/Event";

/** The implementation of {@link Event}. */
export class EventClient extends Shared<Protocol> implements Event {
  readonly [TypeId]: typeof TypeId = TypeId;

  constructor(descriptor: Descriptor) {
    super("event", descriptor);
  }

  protected override make(words: Words, at: number, participants: Participants): Protocol {
    return new Protocol(words, at, participants);
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

  readonly statistics: Effect.Effect<Statistics, SyncFailure> = step(() => {
    const { isSet, waiting, waitingParticipants } = this.object;
    return { isSet, waiting, waitingProcesses: waitingParticipants };
  });

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

register("event", (data) => new EventClient(data as Descriptor));

/** Makes an event. */
export const make: Effect.Effect<Event, SyncFailure, Scope.Scope> = Effect.map(
  allocateMemory("event", SIZE),
  (descriptor) => new EventClient(descriptor),
);
