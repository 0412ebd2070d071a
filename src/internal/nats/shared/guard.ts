/**
 * Taking permits exactly, and using them until they are released or lost.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import type * as Scope from "effect/Scope";
import { waitThenCommit } from "../../objects/interruption.ts";
import type { SyncFailure } from "../../sync/errors.ts";
import { giveUpIfDiscarded } from "../../sync/waiting.ts";
import type { Grant, Seat } from "./lease.ts";

/** Asks for permits. *Interruption:* exact; waits until the server has heard that nothing is held. */
export const ask = (seat: Seat, permits: number, waits: boolean): Effect.Effect<Grant | undefined, SyncFailure> =>
  Effect.withFiberRuntime<Grant | undefined, SyncFailure>((fiber) => {
    let giveUp: () => Effect.Effect<void> = () => Effect.void;
    return waitThenCommit(
      (answer) => giveUp = seat.request(permits, waits, answer),
      (grant: Grant | undefined) =>
        Effect.sync(() => {
          giveUpIfDiscarded({ fiber, giveUp: () => void giveUp() });
          return grant;
        }),
    );
  });

/** Takes permits, waiting for them. */
export const take = (seat: Seat, permits: number): Effect.Effect<Grant, SyncFailure> =>
  Effect.map(ask(seat, permits, true), (grant) => grant!);

/** Waits until a grant is lost, and fails. */
export const lost = (grant: Grant): Effect.Effect<never, SyncFailure> =>
  Effect.async<never, SyncFailure>((resume) => {
    if (grant.lost !== undefined) return resume(Effect.fail(grant.lost));
    const told = (failure: SyncFailure): void => resume(Effect.fail(failure));
    grant.listeners.add(told);
    return Effect.sync(() => grant.listeners.delete(told));
  });

/** Runs an effect while permits are held. The effect is interrupted when they are lost. */
export const during = <A, E, R>(
  seat: Seat,
  permits: number,
  effect: (grant: Grant) => Effect.Effect<A, E, R>,
): Effect.Effect<A, E | SyncFailure, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(
      restore(take(seat, permits)),
      (grant) =>
        Effect.matchCauseEffect(restore(Effect.raceFirst(effect(grant), lost(grant))), {
          onFailure: (cause) => Effect.zipRight(seat.giveUp(grant), Effect.failCause(cause)),
          // A holder that was stopped or busy may learn only now that its lease is lost.
          onSuccess: (value) => Effect.as(restore(seat.release(grant.permits, grant)), value),
        }),
    )
  );

/** Holds permits until the scope closes. */
export const scoped = (seat: Seat, permits: number): Effect.Effect<Grant, SyncFailure, Scope.Scope> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.tap(
      restore(take(seat, permits)),
      (grant) => Effect.addFinalizer(() => seat.giveUp(grant)),
    )
  );
