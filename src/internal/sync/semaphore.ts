/**
 * `Semaphore` for its users.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import type * as Scope from "effect/Scope";
import { register } from "../objects/handles.ts";
import { isWaitFailure, type Participants } from "./protocol/participants.ts";
import { MAX, Semaphore as Protocol, type SemaphoreShape } from "./protocol/semaphore.ts";
import type { Words } from "../os/atomics.ts";
import type { MemorySemaphore, Options, Semaphore, Statistics } from "../../Semaphore.ts";
import { boolean, type Checks, optional, range } from "../os/arguments.ts";
import { type SyncFailure, wrongOption } from "./errors.ts";
import { scoped, withPermits } from "./guard.ts";
import {
  refused,
  type SemaphoreDescriptor,
  semaphoreKind,
  SemaphoreMessages,
  statistics,
  tooMany,
  TypeId,
} from "./messages/semaphore.ts";
import { allocateObject, byMessages, carrierOption, Shared } from "./object.ts";
import { ifDiscarded, LATER, now, step, waitExactly } from "./waiting.ts";

/** The implementation of {@link MemorySemaphore}. */
export class SemaphoreClient extends Shared<Protocol, SemaphoreDescriptor> implements MemorySemaphore {
  readonly [TypeId]: typeof TypeId = TypeId;

  constructor(descriptor: SemaphoreDescriptor, sent?: SemaphoreDescriptor) {
    super("semaphore", descriptor, sent);
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
    const wrong = refused(permits, "take", this.descriptor);
    if (wrong !== undefined) return Effect.fail(wrong);
    return step<void, SyncFailure>(
      () => {
        const taken = this.object.takeIfFree(permits);
        if (taken !== true) return taken === false ? LATER : taken;
        ifDiscarded(this.#giveUp(permits));
      },
      waitExactly<void, SyncFailure>((done) => {
        let giveUp = (): void => {};
        const leave = this.object.wait(permits, (outcome) => {
          if (isWaitFailure(outcome)) return done(this.over(outcome));
          giveUp = this.#giveUp(permits);
          done(Effect.void);
        });
        return () => leave() || giveUp();
      }),
    );
  };

  readonly tryTake = (permits: number = 1): Effect.Effect<boolean, SyncFailure> => {
    const wrong = refused(permits, "take", this.descriptor);
    return wrong !== undefined ? Effect.fail(wrong) : step(() => {
      const taken = this.object.tryTake(permits);
      if (taken === true) ifDiscarded(this.#giveUp(permits));
      return taken;
    });
  };

  readonly release = (permits: number = 1): Effect.Effect<void, SyncFailure> => {
    const wrong = refused(permits, "release", this.descriptor);
    return wrong !== undefined ? Effect.fail(wrong) : step(() => {
      const released = this.object.release(permits);
      if (released === false) throw tooMany(permits, this.descriptor.bound);
      return released === true ? undefined : released;
    });
  };

  readonly acquire = (permits: number = 1): Effect.Effect<void, SyncFailure, Scope.Scope> =>
    scoped(this.take(permits), () => this.release(permits));

  readonly withPermits: Semaphore["withPermits"] = (effect, permits = 1) =>
    withPermits(effect, permits, this.take, this.release);

  readonly available: Effect.Effect<number, SyncFailure> = step(() => this.object.free);

  readonly statistics: Effect.Effect<Statistics, SyncFailure> = step(() => statistics(this.object));

  unsafeTryTake(permits: number = 1): boolean {
    const wrong = refused(permits, "take", this.descriptor);
    if (wrong !== undefined) throw wrong;
    return now(() => this.object.tryTake(permits));
  }

  unsafeRelease(permits: number = 1): void {
    const wrong = refused(permits, "release", this.descriptor);
    if (wrong !== undefined) throw wrong;
    if (!now(() => this.object.release(permits))) throw tooMany(permits, this.descriptor.bound);
  }

  /** Returns a function that gives permits back, unless this process has released any since. */
  #giveUp(permits: number): () => void {
    const since = this.object.releases;
    return () => {
      if (this.there?.releases === since) Effect.runFork(Effect.ignore(this.release(permits)));
    };
  }
}

register("semaphore", (data) => {
  const descriptor = data as SemaphoreDescriptor;
  return byMessages(descriptor) ? new SemaphoreMessages(descriptor) : new SemaphoreClient(descriptor);
});

const checks: Checks = { permits: optional(range(0, MAX)), reclaim: optional(boolean), ...carrierOption };

/** Makes a semaphore. */
export const make = (options: Options, bounded: boolean): Effect.Effect<MemorySemaphore, SyncFailure, Scope.Scope> => {
  const wrong = wrongOption("semaphore", options, checks);
  if (wrong !== undefined) return Effect.fail(wrong);
  const { carrier, permits = 1, reclaim = true } = options;
  const shape: SemaphoreShape = { bound: bounded ? permits : MAX, reclaim };
  return Effect.map(allocateObject(semaphoreKind, shape, carrier), ({ own, sent }) => {
    const semaphore = new SemaphoreClient({ ...own, ...shape }, { ...sent, ...shape });
    semaphore.begin(permits);
    return semaphore;
  });
};
