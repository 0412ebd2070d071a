/**
 * Checks of durations that users pass.
 *
 * @module
 */
import * as Duration from "effect/Duration";
import { type Check, must } from "./arguments.ts";

/** Whether a value is negative or NaN. Effect would read it as a duration of zero, which is never intended. */
const isNegative = (value: unknown): boolean => {
  switch (typeof value) {
    case "number":
      return !(value >= 0);
    case "bigint":
      return value < 0n;
    case "string":
      return value.startsWith("-");
    default:
      return Array.isArray(value) && value.some((part) => !(part >= 0));
  }
};

const parse = (value: unknown): Duration.Duration | undefined => {
  if (isNegative(value)) return undefined;
  const parsed = Duration.decodeUnknown(value);
  return parsed._tag === "Some" ? parsed.value : undefined;
};

const EXAMPLE = 'a number of milliseconds or a text such as "5 seconds"';

/** A duration of zero or more, possibly infinite. */
export const duration: Check = must((value) => parse(value) !== undefined, `a duration, ${EXAMPLE}`);

/** A duration above zero, possibly infinite. */
export const positiveDuration: Check = must((value) => {
  const parsed = parse(value);
  return parsed !== undefined && Duration.toMillis(parsed) > 0;
}, `a duration above zero, ${EXAMPLE}`);
