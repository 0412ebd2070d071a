/**
 * Waiting that is either given up or followed by what it was for, whenever an interruption comes.
 *
 * @module
 */
import * as Effect from "effect/Effect";

/**
 * `begin` starts to wait for what `done` will be called with, and gives what gives it up: for an interruption, or a failure.
 * `commit` follows uninterruptibly, in the same breath.
 *
 * This is not left to the canceller of `Effect.async`: when the fiber gives way after that has resumed and before it is
 * uninterruptible again, an interruption that comes then runs no canceller.
 */
export const exactly = <A, E, B, E2>(
  begin: (done: (result: Effect.Effect<A, E>) => void) => () => void,
  commit: (value: A) => Effect.Effect<B, E2>,
): Effect.Effect<B, E | E2> =>
  Effect.uninterruptibleMask((restore) => {
    let giveUp = (): void => {};
    const wait = Effect.async<A, E>((resume) => {
      giveUp = begin(resume);
    });
    return Effect.matchCauseEffect(restore(wait), {
      onFailure: (cause) => {
        giveUp();
        return Effect.failCause(cause);
      },
      onSuccess: commit,
    });
  });
