/**
 * `Semaphore` for its users.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import type * as Scope from "effect/Scope";
import { register } from "../objects/handles.ts";
import { isWaitFailure, type Participants } from "./protocol/participants.ts";
import { MAX, Semaphore as Protocol, type SemaphoreShape, sizeFor } from "./protocol/semaphore.ts";
import type { Words } from "../os/atomics.ts";
import type { Options, Semaphore, Statistics } from "../../Semaphore.ts";
import { boolean, type Checks, effect as isEffect, optional, positive, range } from "../os/arguments.ts";
import { SyncError, type SyncFailure, wrongArgument, wrongOption } from "./errors.ts";
import { scoped } from "./guard.ts";
import { allocateMemory, type Descriptor, Shared } from "./object.ts";
import { LATER, now, step, waitExactly } from "./waiting.ts";

const counts = { permits: positive };

export const TypeId = "~multiprocessing/Semaphore";

/** The data of a handle. */
export interface SemaphoreDescriptor extends Descriptor, SemaphoreShape {}

/** The implementation of {@link Semaphore}. */
export class SemaphoreClient extends Shared<Protocol, SemaphoreDescriptor> implements Semaphore {
  readonly [TypeId]: typeof TypeId = TypeId;

  constructor(descriptor: SemaphoreDescriptor) {
    super("semaphore", descriptor);
  }

  protected override make(words: Words, at: number, participants: Participants): Protocol {
    return new Protocol(words, at, participants, this.descriptor);
  }

  /** Sets the first permits. Called by the maker. */
  begin(permits: number): void {
    this.object.begin(permits);
  }

  get bound(): number | undefined {
    const { bound } = this.descriptor;
    return bound === MAX ? undefined : bound;
  }

  readonly take = (permits: number = 1): Effect.Effect<void, SyncFailure> => {
    const refused = this.#refused(permits, "take");
    if (refused !== undefined) return Effect.fail(refused);
    return step<void, SyncFailure>(
      () => {
        const taken = this.object.takeIfFree(permits);
        return taken === true ? undefined : taken === false ? LATER : taken;
      },
      waitExactly<void, SyncFailure>((done) => {
        const semaphore = this.object;
        const leave = semaphore.wait(
          permits,
          (outcome) => done(isWaitFailure(outcome) ? this.over(outcome) : Effect.void),
        );
        return () => leave() || this.#giveBack(permits);
      }),
    );
  };

  readonly tryTake = (permits: number = 1): Effect.Effect<boolean, SyncFailure> => {
    const refused = this.#refused(permits, "take");
    return refused !== undefined ? Effect.fail(refused) : step(() => this.object.tryTake(permits));
  };

  readonly release = (permits: number = 1): Effect.Effect<void, SyncFailure> => {
    const refused = this.#refused(permits, "release");
    return refused !== undefined ? Effect.fail(refused) : step(() => {
      const released = this.object.release(permits);
      if (released === false) throw this.#tooMany(permits);
      return released === true ? undefined : released;
    });
  };

  readonly acquire = (permits: number = 1): Effect.Effect<void, SyncFailure, Scope.Scope> =>
    scoped(this.take(permits), () => this.release(permits));

  readonly withPermits = <A, E, R>(
    effect: Effect.Effect<A, E, R>,
    permits: number = 1,
  ): Effect.Effect<A, E | SyncFailure, R> => {
    const wrong = wrongArgument("semaphore.withPermits", { effect, permits }, { effect: isEffect, ...counts });
    return wrong !== undefined ? Effect.fail(wrong) : Effect.uninterruptibleMask((restore) =>
      Effect.zipRight(
        restore(this.take(permits)),
        Effect.ensuring(restore(effect), Effect.ignore(this.release(permits))),
      )
    );
  };

  readonly available: Effect.Effect<number, SyncFailure> = step(() => this.object.free);

  readonly statistics: Effect.Effect<Statistics, SyncFailure> = step(() => {
    const { asking, free, held, waiting } = this.object;
    return { available: free, held, waiting, waitingProcesses: asking };
  });

  unsafeTryTake(permits: number = 1): boolean {
    const refused = this.#refused(permits, "take");
    if (refused !== undefined) throw refused;
    return now(() => this.object.tryTake(permits));
  }

  unsafeRelease(permits: number = 1): void {
    const refused = this.#refused(permits, "release");
    if (refused !== undefined) throw refused;
    if (!now(() => this.object.release(permits))) throw this.#tooMany(permits);
  }

  /** Releases permits that were granted to a fiber which was interrupted. */
  #giveBack(permits: number): void {
    Effect.runFork(Effect.ignore(this.release(permits)));
  }

  #refused(permits: number, what: string): SyncError | undefined {
    const wrong = wrongArgument(`semaphore.${what}`, { permits }, counts);
    if (wrong !== undefined) return wrong;
    const { bound } = this.descriptor;
    if (permits <= bound) return undefined;
    return what === "release" ? this.#tooMany(permits) : new SyncError(
      "InvalidArgument",
      `Invalid argument of semaphore.${what}: permits must be at most ${bound}, received ${permits}`,
    );
  }

  #tooMany(permits: number): SyncError {
    return new SyncError(
      "OverRelease",
      `Cannot release ${permits} permits: the semaphore would have more than ${this.descriptor.bound}`,
    );
  }
}

register("semaphore", (data) => new SemaphoreClient(data as SemaphoreDescriptor));

const checks: Checks = { permits: optional(range(0, MAX)), reclaim: optional(boolean) };

/** Makes a semaphore. */
export const make = (options: Options, bounded: boolean): Effect.Effect<Semaphore, SyncFailure, Scope.Scope> => {
  const wrong = wrongOption("semaphore", options, checks);
  if (wrong !== undefined) return Effect.fail(wrong);
  const { permits = 1, reclaim = true } = options;
  return Effect.map(allocateMemory("semaphore", sizeFor()), (descriptor) => {
    const semaphore = new SemaphoreClient({ ...descriptor, bound: bounded ? permits : MAX, reclaim });
    semaphore.begin(permits);
    return semaphore;
  });
};
