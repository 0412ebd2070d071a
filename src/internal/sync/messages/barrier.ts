/**
 * `Barrier` for its users by messages, and what the host does for them.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import type { Statistics } from "../../../Barrier.ts";
import { ProtocolError } from "../../transport/frames.ts";
import type { SyncFailure } from "../errors.ts";
import type { Descriptor, Kind } from "../object.ts";
import { Barrier as Protocol, type BarrierOutcome, type Reason, sizeFor } from "../protocol/barrier.ts";
import { MessageClient } from "./client.ts";

const COME = 1;
const FINISH = 2;
const ABORT = 3;
const RESET = 4;
const STATISTICS = 5;

/** How an action has ended. */
export type Ended = "Passed" | "ActionFailed" | "Interrupted";

const endings: ReadonlyArray<unknown> = ["Passed", "ActionFailed", "Interrupted"] satisfies ReadonlyArray<Ended>;

/** The data of a handle. */
export interface BarrierDescriptor extends Descriptor {
  readonly parties: number;
}

/** The state of a barrier, as its host tells it. */
export interface Told extends Omit<Statistics, "broken"> {
  readonly broken: Reason | undefined;
}

/** Barriers, in memory and by messages. */
export const barrierKind: Kind<Protocol, number> = {
  name: "barrier",
  size: sizeFor(),
  make: (words, at, participants, parties) => new Protocol(words, at, participants, parties),
  operations: {
    [COME]: (barrier, [runs], reply) => {
      const leave = barrier.wait(runs === true, (outcome) => {
        if (outcome._tag === "WaitFailure") return reply.failed(outcome.over);
        const abandon = (): void => barrier.finish("Interrupted", () => {});
        reply.result(outcome, outcome._tag === "Run" ? abandon : undefined);
      });
      return (died) => void leave(died ? "PartyDied" : "Interrupted");
    },
    [FINISH]: (barrier, [as], reply) => {
      if (!endings.includes(as)) throw new ProtocolError("Cannot read from the peer: no end of an action");
      barrier.finish(as as Ended, reply.result);
    },
    [ABORT]: (barrier, _, reply) => barrier.abort(() => reply.result(undefined)),
    [RESET]: (barrier, _, reply) => barrier.reset(() => reply.result(undefined)),
    [STATISTICS]: (barrier, _, reply) => {
      const { broken, count, parties, waiting } = barrier;
      const told: Told = { parties, waiting: count, waitingHere: waiting, broken };
      reply.result(told);
    },
  },
};

/**
 * Barriers with an action that the host runs when all parties have arrived. It calls back with whether the action has succeeded. A party
 * with an action of its own runs that one after it.
 */
export const barrierWithAction = (run: (done: (succeeded: boolean) => void) => void): Kind<Protocol, number> => ({
  ...barrierKind,
  operations: {
    ...barrierKind.operations,
    [COME]: (barrier, [runs], reply) => {
      let running = false;
      const finish = (as: Ended): void => {
        running = false;
        barrier.finish(as, (ended) => reply.result(ended === "Passed" ? passed : { _tag: "Broken", reason: ended }));
      };
      let passed: BarrierOutcome | undefined;
      const leave = barrier.wait(true, (outcome) => {
        if (outcome._tag === "WaitFailure") return reply.failed(outcome.over);
        if (outcome._tag !== "Run") return reply.result(outcome);
        running = true;
        passed = { _tag: "Passed", index: outcome.index };
        run((succeeded) => {
          if (!running) return;
          if (!succeeded) return finish("ActionFailed");
          if (runs !== true) return finish("Passed");
          running = false;
          reply.result(outcome, () => barrier.finish("Interrupted", () => {}));
        });
      });
      return (died) => {
        if (!leave(died ? "PartyDied" : "Interrupted") && running) finish("Interrupted");
      };
    },
  },
});

/** The use of a barrier by messages. */
export class BarrierSession extends MessageClient<BarrierDescriptor> {
  constructor(descriptor: BarrierDescriptor) {
    super("barrier", descriptor);
  }

  /** Arrives. *Interruption:* breaks the barrier. */
  come(runs: boolean): Effect.Effect<BarrierOutcome, SyncFailure> {
    return this.grant<BarrierOutcome>(COME, [runs], (outcome) => outcome as BarrierOutcome, (outcome, session) => {
      if (outcome._tag === "Run") session.tell(FINISH, "Interrupted");
    });
  }

  /** Ends the round after its action. */
  finish(as: Ended): Effect.Effect<"Passed" | Reason, SyncFailure> {
    return this.ask(FINISH, [as]);
  }

  readonly abort: Effect.Effect<void, SyncFailure> = this.ask(ABORT);
  readonly reset: Effect.Effect<void, SyncFailure> = this.ask(RESET);
  readonly told: Effect.Effect<Told, SyncFailure> = this.ask(STATISTICS);

  /** The failure of a wait, which is part of its answer here. */
  over(): Effect.Effect<never, SyncFailure> {
    return Effect.fail(this.ended("gone"));
  }
}
