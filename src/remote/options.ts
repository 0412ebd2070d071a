/**
 * Options that both sides of a connection have.
 *
 * @module
 */
import * as Duration from "effect/Duration";

/** Milliseconds, or nothing if it is no duration above zero. */
export const toMillis = (duration: Duration.DurationInput): number | undefined => {
  try {
    const millis = Duration.toMillis(duration);
    return millis > 0 ? millis : undefined;
  } catch {
    return undefined;
  }
};

/** What is wrong with numbers that have to be positive integers, or without limit. */
export const wrongCount = (counts: Readonly<Record<string, number>>): string | undefined => {
  for (const [name, value] of Object.entries(counts)) {
    if (value !== Infinity && !(Number.isSafeInteger(value) && value > 0)) {
      return `${name} must be a positive integer or Infinity, received ${value}`;
    }
  }
  return undefined;
};

export const MAX_MESSAGE_SIZE: number = 64 * 1024 * 1024;
export const MAX_BYTES: number = 8 * 1024 * 1024;
