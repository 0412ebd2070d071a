/**
 * What can be waited for together with others. Free of Effect: waiting for a thousand objects must not take a thousand fibers.
 *
 * @module
 */

/** Marks what can be waited for. */
export const WaitId = "~multiprocessing/Waitable";

/** The mark says how. Neither fails: an object that is gone is ready, since using it fails at once. */
export interface Waitable {
  /** How `wait` looks at the object and watches it. */
  readonly [WaitId]: {
    /** Calls back once with whether it is ready now; before it returns, if that is known in this process. */
    readonly look: (answer: (ready: boolean) => void) => void;
    /**
     * Calls back at most once, when it is ready, and takes nothing; or with what has made the waiting fail. Returns a function that
     * stops the waiting.
     */
    readonly watch: (ready: () => void, fail: (error: unknown) => void) => () => void;
  };
}
