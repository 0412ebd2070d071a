/**
 * How the use of shared memory fails.
 *
 * @module
 */
import {
  type Checks,
  func,
  invalidArgument,
  invalidOption,
  positive,
  show,
  wrong,
  wrongOptions,
} from "../os/arguments.ts";

/**
 * Why memory cannot be had.
 *
 * - `Unsupported`: not on this system, or not with these permissions; the message says why, and what works instead.
 * - `Full`: there is not so much memory, or a limit of the system is reached.
 * - `Exists`: there is a block of that name.
 * - `NotFound`: there is no block of that name.
 * - `Gone`: the scope that made it has closed, or its process has ended.
 * - `Denied`: it is another user's.
 * - `InvalidArgument`: a size or a name that cannot be.
 * - `Failed`: something else the system said; see `cause`.
 *
 * @since 0.1.0
 * @category errors
 */
export type MemoryErrorReason =
  | "Unsupported"
  | "Full"
  | "Exists"
  | "NotFound"
  | "Gone"
  | "Denied"
  | "InvalidArgument"
  | "Failed";

/**
 * Shared memory cannot be had, or not any more. Nothing was changed, and nothing is left behind.
 *
 * @since 0.1.0
 * @category errors
 */
export class MemoryError extends Error {
  /** Tells the errors apart: for `Effect.catchTag`. */
  readonly _tag = "MemoryError";
  /** How the error is printed. */
  override readonly name = "MemoryError";
  /** What was wrong. */
  readonly reason: MemoryErrorReason;

  /** Allocated by the library. */
  constructor(reason: MemoryErrorReason, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.reason = reason;
  }
}

/**
 * What an {@link OutOfRange} complains of.
 *
 * - `Index`: there is no such element, or no such part.
 * - `Value`: the number does not fit the type, or is none of its values.
 * - `TooLong`: a text or bytes do not fit into what was reserved for them.
 * - `Type`: a value of a kind that cannot be kept there.
 *
 * @since 0.1.0
 * @category errors
 */
export type OutOfRangeReason = "Index" | "Value" | "TooLong" | "Type";

/**
 * Shared memory was asked for an element that it does not have, or given a value that does not fit. Nothing was changed: no
 * number is cut off, and no text.
 *
 * @since 0.1.0
 * @category errors
 */
export class OutOfRange extends Error {
  /** Tells the errors apart: for `Effect.catchTag`. */
  readonly _tag = "OutOfRange";
  /** How the error is printed. */
  override readonly name = "OutOfRange";
  /** What was wrong. */
  readonly reason: OutOfRangeReason;

  /** Allocated by the library. */
  constructor(reason: OutOfRangeReason, message: string) {
    super(message);
    this.reason = reason;
  }
}

/** Throws a `MemoryError` if the options of something in memory make no sense. */
export const demandOptions = (subject: string, options: unknown, checks: Checks): void => {
  const complaint = wrongOptions(options, checks);
  if (complaint !== undefined) throw new MemoryError("InvalidArgument", invalidOption(subject, complaint));
};

/** Throws a `MemoryError` if the arguments of an operation make no sense. */
export const demand = (operation: string, values: object, checks: Checks): void => {
  const complaint = wrong(values, checks);
  if (complaint !== undefined) throw new MemoryError("InvalidArgument", invalidArgument(operation, complaint));
};

/** Throws an `OutOfRange` if that is no function that makes a value of another. */
export const demandChange = (change: unknown): void => {
  const complaint = func(change);
  if (complaint !== undefined) throw new OutOfRange("Type", `Cannot change the value: the change ${complaint}`);
};

/** An answer and a value. Throws an `OutOfRange` if a function has not given these two. */
export const pair = <A, B>(given: readonly [A, B]): readonly [A, B] => {
  if (Array.isArray(given) && given.length === 2) return given;
  throw new OutOfRange("Type", `Cannot modify: the function must return [answer, value], received ${show(given)}`);
};

/** Throws a `MemoryError` if memory cannot have so many bytes. */
export const checkSize = (size: number): void => demandOptions("shared memory", { size }, { size: positive });
