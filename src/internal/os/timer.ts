/**
 * The timer for durations that users choose. `setTimeout` stores its delay in 31 bits, and fires at once if the delay is
 * longer. This module does not import Effect.
 *
 * @module
 */

/** The longest delay that `setTimeout` supports, in milliseconds: 24.8 days. */
export const LONGEST = 2 ** 31 - 1;

const nothing = (): void => {};

/**
 * Calls `run` after a delay of any length. An infinite delay never ends, and does not keep the process alive. Returns a
 * function that stops the timer; it does nothing if the timer was stopped before, or has fired.
 */
export const after = (millis: number, run: () => void): () => void => {
  if (millis === Infinity) return nothing;
  let left = millis;
  let timer: ReturnType<typeof setTimeout>;
  const go = (): void => {
    const leg = Math.min(left, LONGEST);
    left -= leg;
    timer = setTimeout(left > 0 ? go : run, leg);
  };
  go();
  return () => clearTimeout(timer);
};
