/**
 * `Barrier` for its users.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Option from "effect/Option";
import type * as Scope from "effect/Scope";
import type { Barrier, Options, Statistics } from "../../Barrier.ts";
import { register } from "../objects/handles.ts";
import { Barrier as Protocol, type Outcome, type Reason, sizeFor } from "./protocol/barrier.ts";
import type { Participants } from "./protocol/participants.ts";
import type { Words } from "../os/atomics.ts";
import { type Checks, effect as isEffect, range } from "../os/arguments.ts";
import { BrokenBarrier, type SyncFailure, wrongArgument, wrongOption } from "./errors.ts";
import { allocateMemory, type Descriptor, Shared } from "./object.ts";
import { step, waitExactly, whenDone } from "./waiting.ts";

export const TypeId = "~multiprocessing/Barrier";

/** The data of a handle. */
export interface BarrierDescriptor extends Descriptor {
  readonly parties: number;
}

/** The implementation of {@link Barrier}. */
export class BarrierClient extends Shared<Protocol, BarrierDescriptor> implements Barrier {
  readonly [TypeId]: typeof TypeId = TypeId;

  constructor(descriptor: BarrierDescriptor) {
    super("barrier", descriptor);
  }

  protected override make(words: Words, at: number, participants: Participants): Protocol {
    return new Protocol(words, at, participants, this.descriptor.parties);
  }

  get parties(): number {
    return this.descriptor.parties;
  }

  readonly wait: Effect.Effect<number, BrokenBarrier | SyncFailure> = Effect.suspend(() =>
    Effect.flatMap(this.#come(false), (outcome) => this.#passed(outcome))
  );

  readonly waitWith = <A, E, R>(
    action: Effect.Effect<A, E, R>,
  ): Effect.Effect<number, E | BrokenBarrier | SyncFailure, R> => {
    const wrong = wrongArgument("barrier.waitWith", { action }, { action: isEffect });
    return wrong !== undefined
      ? Effect.fail(wrong)
      : Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(restore(this.#come(true)), (outcome) => {
          if (outcome._tag !== "Run") return this.#passed(outcome);
          return Effect.flatMap(Effect.exit(restore(action)), (exit) => {
            const ended = Exit.isSuccess(exit) ? "Passed" : Exit.isInterrupted(exit) ? "Interrupted" : "ActionFailed";
            return Effect.flatMap(this.#finish(ended), (how): Effect.Effect<number, E | BrokenBarrier> => {
              if (Exit.isFailure(exit)) return Effect.failCause(exit.cause);
              return how === "Passed" ? Effect.succeed(outcome.index) : Effect.fail(new BrokenBarrier(how));
            });
          });
        })
      );
  };

  readonly abort: Effect.Effect<void, SyncFailure> = whenDone<void>((done) => this.object.abort(() => done()));

  readonly reset: Effect.Effect<void, SyncFailure> = whenDone<void>((done) => this.object.reset(() => done()));

  readonly waiting: Effect.Effect<number, SyncFailure> = step(() => this.object.count);

  readonly broken: Effect.Effect<Option.Option<Reason>, SyncFailure> = step(() =>
    Option.fromNullable(this.object.broken)
  );

  readonly statistics: Effect.Effect<Statistics, SyncFailure> = step(() => {
    const { broken, count, waiting } = this.object;
    return { parties: this.parties, waiting: count, waitingHere: waiting, broken: Option.fromNullable(broken) };
  });

  #come(runs: boolean): Effect.Effect<Outcome, SyncFailure> {
    return waitExactly<Outcome, SyncFailure>((done) => {
      const barrier = this.object;
      let known: Outcome | undefined;
      const leave = barrier.wait(runs, (outcome) => {
        known = outcome;
        done(Effect.succeed(outcome));
      });
      return () => {
        if (!leave() && known?._tag === "Run") this.there?.finish("Interrupted", () => {});
      };
    });
  }

  #passed(outcome: Outcome): Effect.Effect<number, BrokenBarrier | SyncFailure> {
    switch (outcome._tag) {
      case "Passed":
      case "Run":
        return Effect.succeed(outcome.index);
      case "Broken":
        return Effect.fail(new BrokenBarrier(outcome.reason));
      case "WaitFailure":
        return this.over(outcome.over);
    }
  }

  #finish(as: "Passed" | "ActionFailed" | "Interrupted"): Effect.Effect<"Passed" | Reason, SyncFailure> {
    return whenDone((done) => this.object.finish(as, done));
  }
}

register("barrier", (data) => new BarrierClient(data as BarrierDescriptor));

const checks: Checks = { parties: range(1, 2 ** 31 - 1) };

/** Makes a barrier. */
export const make = (options: Options): Effect.Effect<Barrier, SyncFailure, Scope.Scope> => {
  const wrong = wrongOption("barrier", options, checks);
  if (wrong !== undefined) return Effect.fail(wrong);
  const { parties } = options;
  return Effect.map(
    allocateMemory("barrier", sizeFor()),
    (descriptor) => new BarrierClient({ ...descriptor, parties }),
  );
};
