/**
 * Conversion of errors of the system and of mapped memory.
 *
 * @module
 */
import { OsError } from "../os/linux.ts";
import { RegionError } from "../os/mapping.ts";
import { MemoryError } from "./errors.ts";

/** Converts an error of a lower level to a `MemoryError`, and throws other errors. */
export const memoryError = (error: unknown): MemoryError => {
  if (error instanceof MemoryError) return error;
  if (error instanceof RegionError) return new MemoryError(error.reason, error.message, error.cause);
  if (error instanceof OsError) return new MemoryError("Failed", error.message, error);
  throw error;
};

/** Runs an operation of a lower level, and throws a `MemoryError` if it fails. */
export const orMemoryError = <A>(run: () => A): A => {
  try {
    return run();
  } catch (error) {
    throw memoryError(error);
  }
};
