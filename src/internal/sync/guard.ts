/**
 * The common part of all locks, in memory and by messages: releasing them in any case, and lending them to conditions.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import type * as Scope from "effect/Scope";
import type { Held, Lock, WithOptions } from "../../Lock.ts";
import type { RLock } from "../../RLock.ts";
import { endingWith } from "../objects/interruption.ts";
import * as Arguments from "../os/arguments.ts";
import { SyncError, type SyncFailure, wrongArgument, wrongOption } from "./errors.ts";

const CLEAN: Held = { abandoned: false };
const ABANDONED: Held = { abandoned: true };

/** The result of taking a lock. */
export const heldAs = (abandoned: boolean): Held => abandoned ? ABANDONED : CLEAN;

/** The failure of a release by a process or fiber that does not hold the lock. */
export const notOwner = (what: string): SyncError =>
  new SyncError(
    "NotOwner",
    `Cannot release the ${what}: it is not held by ${what === "lock" ? "this process" : "this fiber"}`,
  );

/** The operations of a lock that a condition needs. */
export interface Guard {
  /** Whether the running fiber may wait with the lock. Throws a {@link SyncFailure}. */
  readonly mine: () => boolean;
  /**
   * Releases the lock, however often it was taken, and returns what {@link takeBack} needs. Does not wait for the host of a lock that is
   * used by messages. Throws a {@link SyncFailure}.
   */
  readonly giveUp: () => unknown;
  /** Takes the lock again, as often as it was taken before. */
  readonly takeBack: (saved: unknown) => Effect.Effect<void, SyncFailure>;
}

/** Marks locks that a condition can use. */
export const GuardId = "~multiprocessing/Guard";

/** A lock that a condition can use. */
export interface Guarded {
  readonly [GuardId]: Guard;
}

/** The guard of a lock that {@link isLock} accepts. */
export const guardOf = (lock: Lock | RLock): Guard => (lock as (Lock | RLock) & Guarded)[GuardId];

/** Runs `onAbandoned` before an effect if the last holder has died. */
const first = <A, E, R, E2, R2>(
  { abandoned }: Held,
  effect: Effect.Effect<A, E, R>,
  onAbandoned: Effect.Effect<unknown, E2, R2> | undefined,
): Effect.Effect<A, E | E2, R | R2> =>
  abandoned && onAbandoned !== undefined ? Effect.zipRight(onAbandoned, effect) : effect;

/** Checks that a value is a lock of this library. */
export const isLock: Arguments.Check = Arguments.marked(GuardId, "made by Lock.make or RLock.make");

const withOptions: Arguments.Checks = { onAbandoned: Arguments.optional(Arguments.effect) };

/** Checks the arguments of `withLock`. */
export const wrongBody = (effect: unknown, options: unknown): SyncError | undefined =>
  wrongArgument("withLock", { effect }, { effect: Arguments.effect }) ?? wrongOption("withLock", options, withOptions);

/** Runs an effect while something is held. `taken` makes a function that releases it, in the fiber that has taken it. */
export const hold = <A, E, R, E2, E3, R3>(
  take: Effect.Effect<Held, E2>,
  taken: () => () => Effect.Effect<void>,
  effect: Effect.Effect<A, E, R>,
  options: WithOptions<E3, R3> = {},
): Effect.Effect<A, E | E2 | E3 | SyncError, R | R3> => {
  const wrong = wrongBody(effect, options);
  if (wrong !== undefined) return Effect.fail(wrong);
  return Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(restore(take), (held) => {
      const release = taken();
      return Effect.matchCauseEffect(restore(first(held, effect, options.onAbandoned)), {
        onFailure: (cause) => Effect.zipRight(release(), Effect.failCause(cause)),
        onSuccess: (value) => Effect.as(release(), value),
      });
    })
  );
};

/** What a lock in memory does in one step. Neither function throws. */
export interface Immediate {
  /** Takes the lock if it is free. */
  readonly take: () => Held | undefined;
  /** Releases the lock if this process holds it. */
  readonly release: () => void;
}

/** {@link around} for a lock that need not wait to be released, nor to be taken if it is free. */
export const aroundNow = <A, E, R, E2, E3, R3>(
  take: Effect.Effect<Held, E2>,
  now: Immediate,
  effect: Effect.Effect<A, E, R>,
  options: WithOptions<E3, R3> = {},
): Effect.Effect<A, E | E2 | E3 | SyncError, R | R3> => {
  const wrong = wrongBody(effect, options);
  if (wrong !== undefined) return Effect.fail(wrong);
  return Effect.uninterruptibleMask((restore) => {
    const body = (held: Held): Effect.Effect<A, E | E3, R | R3> =>
      endingWith(restore(first(held, effect, options.onAbandoned)), now.release);
    const held = now.take();
    return held === undefined ? Effect.flatMap(restore(take), body) : body(held);
  });
};

/** Runs an effect between `take` and `release`. */
export const around = <A, E, R, E2, E3, R3>(
  take: Effect.Effect<Held, E2>,
  release: Effect.Effect<void, unknown>,
  effect: Effect.Effect<A, E, R>,
  options?: WithOptions<E3, R3>,
): Effect.Effect<A, E | E2 | E3 | SyncError, R | R3> => {
  // An effect may have released the lock itself, and its object may have ended: neither concerns the result.
  const ignored = Effect.ignore(release);
  return hold(take, () => () => ignored, effect, options);
};

/** Holds something while the scope is open. */
export const scoped = <A, E>(
  take: Effect.Effect<A, E>,
  release: () => Effect.Effect<void, unknown>,
): Effect.Effect<A, E, Scope.Scope> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.tap(restore(take), () => Effect.addFinalizer(() => Effect.ignore(release())))
  );

/** Runs an effect while permits are held. */
export const withPermits = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  permits: number,
  take: (permits: number) => Effect.Effect<void, SyncFailure>,
  release: (permits: number) => Effect.Effect<void, SyncFailure>,
): Effect.Effect<A, E | SyncFailure, R> => {
  const wrong = wrongArgument(
    "semaphore.withPermits",
    { effect, permits },
    { effect: Arguments.effect, permits: Arguments.positive },
  );
  return wrong !== undefined
    ? Effect.fail(wrong)
    : Effect.uninterruptibleMask((restore) =>
      Effect.zipRight(restore(take(permits)), Effect.ensuring(restore(effect), Effect.ignore(release(permits))))
    );
};
