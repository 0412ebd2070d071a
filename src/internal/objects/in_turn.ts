/**
 * What is done when one's turn has come: see `turns.ts`.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import type { Turns } from "./turns.ts";

/** Waits for a turn, to be interrupted meanwhile, and then acts in one go: `act` has acted when it returns. */
export const inTurn = <A, E>(turns: Turns, size: number, act: () => Effect.Effect<A, E>): Effect.Effect<A, E> =>
  Effect.uninterruptibleMask((restore) => {
    if (turns.free(size)) return act();
    const place = turns.enter(size);
    const turn = Effect.async<void>((resume) => turns.await(place, () => resume(Effect.void)));
    // Not left to the canceller of `async`: between it and `restore` an interruption would go unnoticed.
    return Effect.matchCauseEffect(restore(turn), {
      onFailure: (cause) => {
        turns.leave(place);
        return Effect.failCause(cause);
      },
      onSuccess: () => {
        const acted = act();
        turns.leave(place);
        return acted;
      },
    });
  });
