/**
 * Errors of shared memory.
 *
 * @module
 */
import { ReasonedError } from "../os/typed_error.ts";
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
 * Why shared memory cannot be used.
 *
 * - `Unsupported`: this system, or the permissions of this process, do not allow it; the message says what works instead.
 * - `Full`: there is not enough memory, a limit of the system is reached, or a value is larger than a message may be.
 * - `Exists`: a block of that name exists.
 * - `NotFound`: no block of that name exists.
 * - `Gone`: the scope that made it has closed, or its process has ended.
 * - `Denied`: the block belongs to another user.
 * - `InvalidArgument`: a size, a name or another argument is not valid.
 * - `Failed`: another error of the system; see `cause`.
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
 * Shared memory cannot be used, or cannot be used any more. Nothing was changed, and nothing is left behind.
 *
 * @since 0.1.0
 * @category errors
 */
export class MemoryError extends ReasonedError<MemoryErrorReason> {
  /** The tag, for `Effect.catchTag`. */
  readonly _tag = "MemoryError";
}

/**
 * Reasons of an {@link OutOfRange}.
 *
 * - `Index`: there is no such element or field.
 * - `Value`: the type does not include the value.
 * - `TooLong`: a string or bytes exceed the capacity that was reserved for them.
 * - `Type`: a value of this kind cannot be stored there.
 *
 * @since 0.1.0
 * @category errors
 */
export type OutOfRangeReason = "Index" | "Value" | "TooLong" | "Type";

/**
 * An index or a value is out of range. Nothing was changed: neither numbers nor strings are truncated.
 *
 * @since 0.1.0
 * @category errors
 */
export class OutOfRange extends ReasonedError<OutOfRangeReason> {
  /** The tag, for `Effect.catchTag`. */
  readonly _tag = "OutOfRange";
}

/**
 * Why an object in shared memory could not be read or changed. The object is unchanged.
 *
 * @since 0.1.0
 * @category errors
 */
export type MemoryFailure = MemoryError | OutOfRange;

/** Checks options. Throws a `MemoryError`. */
export const demandOptions = (subject: string, options: unknown, checks: Checks): void => {
  const complaint = wrongOptions(options, checks);
  if (complaint !== undefined) throw new MemoryError("InvalidArgument", invalidOption(subject, complaint));
};

/** Checks the arguments of an operation. Throws a `MemoryError`. */
export const demand = (operation: string, values: object, checks: Checks): void => {
  const complaint = wrong(values, checks);
  if (complaint !== undefined) throw new MemoryError("InvalidArgument", invalidArgument(operation, complaint));
};

/** Checks the argument of `update` and `modify`. Throws an `OutOfRange`. */
export const demandChange = (change: unknown): void => {
  const complaint = func(change);
  if (complaint !== undefined) throw new OutOfRange("Type", `Cannot change the value: the change ${complaint}`);
};

/** Checks the result of the function of `modify`. Throws an `OutOfRange`. */
export const pair = <A, B>(given: readonly [A, B]): readonly [A, B] => {
  if (Array.isArray(given) && given.length === 2) return given;
  throw new OutOfRange("Type", `Cannot modify: the function must return [answer, value], received ${show(given)}`);
};

/** Checks the size of a block. Throws a `MemoryError`. */
export const checkSize = (size: number): void => demandOptions("shared memory", { size }, { size: positive });
