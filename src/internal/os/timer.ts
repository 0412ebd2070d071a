/**
 * The timer for durations that users choose: `setTimeout` keeps its delay in 31 bits and fires at once after a longer one. Free of
 * Effect.
 *
 * @module
 */

/** The longest delay that `setTimeout` keeps, in milliseconds: 24.8 days. */
export const LONGEST = 2 ** 31 - 1;

const nothing = (): void => {};

/**
 * Calls `run` after this many milliseconds, however many they are; never after an infinite number of them, and then nothing keeps the
 * process alive. Returns a function that stops the timer; stopping it again, or late, does nothing.
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
