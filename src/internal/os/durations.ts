/**
 * Durations that users hand in.
 *
 * @module
 */
import * as Duration from "effect/Duration";
import { type Check, must } from "./arguments.ts";

/** What Effect reads as no time at all: it is no duration that anybody means. */
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

/** A time of zero or more, or without end. */
export const duration: Check = must((value) => parse(value) !== undefined, `a duration, ${EXAMPLE}`);

/** A time above zero, or without end. */
export const positiveDuration: Check = must((value) => {
  const parsed = parse(value);
  return parsed !== undefined && Duration.toMillis(parsed) > 0;
}, `a duration above zero, ${EXAMPLE}`);
