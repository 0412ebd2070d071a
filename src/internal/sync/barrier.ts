/**
 * `Barrier` for its users.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Option from "effect/Option";
import type { Pipeable } from "effect/Pipeable";
import type * as Scope from "effect/Scope";
import type { Barrier, Options, Statistics } from "../../Barrier.ts";
import type { Carrier } from "../../Lock.ts";
import { HandleId, register } from "../objects/handles.ts";
import type { Barrier as Protocol, BarrierOutcome, Reason } from "./protocol/barrier.ts";
import type { Participants, WaitFailure } from "./protocol/participants.ts";
import type { Words } from "../os/atomics.ts";
import { inspectable } from "../os/inspect.ts";
import { type Checks, effect as isEffect, range } from "../os/arguments.ts";
import { BrokenBarrier, type SyncFailure, wrongArgument, wrongOption } from "./errors.ts";
import { type BarrierDescriptor, barrierKind, BarrierSession, type Ended, type Told } from "./messages/barrier.ts";
import { allocateObject, byMessages, carrierOption, Shared } from "./object.ts";
import { step, waitExactly, whenDone } from "./waiting.ts";

export const TypeId = "~multiprocessing/Barrier";

/** The rounds of a barrier, as this process takes part in them. */
interface Rounds {
  readonly [HandleId]: { readonly kind: string; readonly encode: () => BarrierDescriptor };
  readonly host: string;
  readonly carrier: Carrier;
  /** Arrives. *Interruption:* breaks the barrier. */
  readonly come: (runs: boolean) => Effect.Effect<BarrierOutcome, SyncFailure>;
  /** Ends the round after its action. */
  readonly finish: (as: Ended) => Effect.Effect<"Passed" | Reason, SyncFailure>;
  readonly abort: Effect.Effect<void, SyncFailure>;
  readonly reset: Effect.Effect<void, SyncFailure>;
  readonly told: Effect.Effect<Told, SyncFailure>;
  /** The failure of a wait. */
  readonly over: (over: WaitFailure) => Effect.Effect<never, SyncFailure>;
}

/** The rounds of a barrier in memory. */
class MemoryRounds extends Shared<Protocol, BarrierDescriptor> implements Rounds {
  constructor(descriptor: BarrierDescriptor, sent?: BarrierDescriptor) {
    super("barrier", descriptor, sent);
  }

  protected override make(words: Words, at: number, participants: Participants): Protocol {
    return barrierKind.make(words, at, participants, this.descriptor.parties);
  }

  come(runs: boolean): Effect.Effect<BarrierOutcome, SyncFailure> {
    return waitExactly<BarrierOutcome, SyncFailure>((done) => {
      const barrier = this.object;
      let known: BarrierOutcome | undefined;
      const leave = barrier.wait(runs, (outcome) => {
        known = outcome;
        done(Effect.succeed(outcome));
      });
      return () => {
        if (!leave() && known?._tag === "Run") this.there?.finish("Interrupted", () => {});
      };
    });
  }

  finish(as: Ended): Effect.Effect<"Passed" | Reason, SyncFailure> {
    return whenDone((done) => this.object.finish(as, done));
  }

  readonly abort: Effect.Effect<void, SyncFailure> = whenDone<void>((done) => this.object.abort(() => done()));

  readonly reset: Effect.Effect<void, SyncFailure> = whenDone<void>((done) => this.object.reset(() => done()));

  readonly told: Effect.Effect<Told, SyncFailure> = step(() => {
    const { broken, count, waiting } = this.object;
    return { parties: this.descriptor.parties, waiting: count, waitingHere: waiting, broken };
  });
}

/** The implementation of {@link Barrier}. */
export class BarrierClient implements Barrier {
  declare readonly pipe: Pipeable["pipe"];
  readonly [TypeId]: typeof TypeId = TypeId;
  readonly #rounds: Rounds;
  readonly parties: number;

  constructor(rounds: Rounds, parties: number) {
    this.#rounds = rounds;
    this.parties = parties;
  }

  get [HandleId](): Rounds[typeof HandleId] {
    return this.#rounds[HandleId];
  }

  get host(): string {
    return this.#rounds.host;
  }

  get carrier(): Carrier {
    return this.#rounds.carrier;
  }

  readonly wait: Effect.Effect<number, BrokenBarrier | SyncFailure> = Effect.suspend(() =>
    Effect.flatMap(this.#rounds.come(false), (outcome) => this.#passed(outcome))
  );

  readonly waitWith = <A, E, R>(
    action: Effect.Effect<A, E, R>,
  ): Effect.Effect<number, E | BrokenBarrier | SyncFailure, R> => {
    const wrong = wrongArgument("barrier.waitWith", { action }, { action: isEffect });
    return wrong !== undefined
      ? Effect.fail(wrong)
      : Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(restore(this.#rounds.come(true)), (outcome) => {
          if (outcome._tag !== "Run") return this.#passed(outcome);
          return Effect.flatMap(Effect.exit(restore(action)), (exit) => {
            const ended = Exit.isSuccess(exit) ? "Passed" : Exit.isInterrupted(exit) ? "Interrupted" : "ActionFailed";
            return Effect.flatMap(this.#rounds.finish(ended), (how): Effect.Effect<number, E | BrokenBarrier> => {
              if (Exit.isFailure(exit)) return Effect.failCause(exit.cause);
              return how === "Passed" ? Effect.succeed(outcome.index) : Effect.fail(new BrokenBarrier(how));
            });
          });
        })
      );
  };

  get abort(): Effect.Effect<void, SyncFailure> {
    return this.#rounds.abort;
  }

  get reset(): Effect.Effect<void, SyncFailure> {
    return this.#rounds.reset;
  }

  readonly statistics: Effect.Effect<Statistics, SyncFailure> = Effect.suspend(() =>
    Effect.map(this.#rounds.told, ({ broken, ...rest }) => ({ ...rest, broken: Option.fromNullable(broken) }))
  );

  readonly waiting: Effect.Effect<number, SyncFailure> = Effect.map(this.statistics, ({ waiting }) => waiting);

  readonly broken: Effect.Effect<Option.Option<Reason>, SyncFailure> = Effect.map(
    this.statistics,
    ({ broken }) => broken,
  );

  #passed(outcome: BarrierOutcome): Effect.Effect<number, BrokenBarrier | SyncFailure> {
    switch (outcome._tag) {
      case "Passed":
      case "Run":
        return Effect.succeed(outcome.index);
      case "Broken":
        return Effect.fail(new BrokenBarrier(outcome.reason));
      case "WaitFailure":
        return this.#rounds.over(outcome.over);
    }
  }
}

inspectable(BarrierClient);

register("barrier", (data) => {
  const descriptor = data as BarrierDescriptor;
  const rounds = byMessages(descriptor) ? new BarrierSession(descriptor) : new MemoryRounds(descriptor);
  return new BarrierClient(rounds, descriptor.parties);
});

const checks: Checks = { parties: range(1, 2 ** 31 - 1), ...carrierOption };

/** Makes a barrier. */
export const make = (options: Options): Effect.Effect<Barrier, SyncFailure, Scope.Scope> => {
  const wrong = wrongOption("barrier", options, checks);
  if (wrong !== undefined) return Effect.fail(wrong);
  const { carrier, parties } = options;
  return Effect.map(
    allocateObject(barrierKind, parties, carrier),
    ({ own, sent }) => new BarrierClient(new MemoryRounds({ ...own, parties }, { ...sent, parties }), parties),
  );
};
