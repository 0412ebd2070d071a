/**
 * The random numbers of a test run, and the length of its storms.
 *
 * A storm is a test that repeats one scenario at random moments or at sampled steps. Its name ends with "(storm)".
 * `deno task test` runs a few rounds, enough to show the behaviour, of each storm without "(full)" in its name, and
 * `deno task test:faults` runs all storms at full length.
 * `tests/run.ts` passes the seed and the number of rounds on as environment variables, which child processes inherit.
 *
 * @module
 */
import { storming, variable } from "./tier.ts";

/** The seed of this process. The message of a failure that depends on chance names it. */
export const seed: number = Number(variable("MP_TEST_SEED") ?? crypto.getRandomValues(new Uint32Array(1))[0]);

let state = seed;

/** Starts the sequence of random numbers again, for a process that cannot read the seed from its environment. */
export const restart = (seed: number): void => {
  state = seed;
};

/** A random number from 0 up to, but not including, 1. */
export const random = (): number => {
  state = state + 0x6d2b79f5 | 0;
  let mixed = Math.imul(state ^ state >>> 15, 1 | state);
  mixed ^= mixed + Math.imul(mixed ^ mixed >>> 7, 61 | mixed);
  return ((mixed ^ mixed >>> 14) >>> 0) / 2 ** 32;
};

/** A random integer from 0 up to, but not including, `limit`. */
export const below = (limit: number): number => Math.floor(random() * limit);

/** The number of rounds of a storm: `quick` in a quick run; else the value of `--rounds`, or `full`. */
export const rounds = (quick: number, full: number): number =>
  storming ? Number(variable("MP_TEST_ROUNDS") ?? full) : Math.min(quick, full);
