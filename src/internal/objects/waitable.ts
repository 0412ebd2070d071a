/**
 * Objects for which `wait` can wait. Free of Effect: waiting for a thousand objects must not take a thousand fibers.
 *
 * @module
 */

/** Key of the property by which `wait` waits for an object. */
export const WaitId = "~multiprocessing/Waitable";

/** An object for which `wait` can wait. An object that is gone is ready, since using it fails at once. */
export interface Waitable {
  /** How `wait` inspects and watches the object. */
  readonly [WaitId]: {
    /** Calls `answer` once, with whether the object is ready now. It does so before it returns if this process knows the answer. */
    readonly look: (answer: (ready: boolean) => void) => void;
    /**
     * Calls `ready` at most once, when the object is ready, and takes nothing from it; or calls `fail` with the error that has ended the
     * wait. Returns a function that stops the wait.
     */
    readonly watch: (ready: () => void, fail: (error: unknown) => void) => () => void;
  };
}
