/**
 * What can be waited for together with others.
 *
 * @module
 */
import type * as Effect from "effect/Effect";

/** Marks what can be waited for. */
export const WaitId = "~multiprocessing/Waitable";

/** The mark says how. Neither fails: what is no more is ready, since using it fails at once. */
export interface Waitable {
  readonly [WaitId]: {
    /** Whether it is ready now. */
    readonly now: Effect.Effect<boolean>;
    /** Waits until it is, and takes nothing. */
    readonly until: Effect.Effect<void>;
  };
}
