/**
 * Errors of the system and of mapped memory, as users are told of them.
 *
 * @module
 */
import { OsError } from "../os/linux.ts";
import { RegionError } from "../os/mapping.ts";
import { MemoryError } from "./errors.ts";

/** What went wrong below, as users are told of it. */
export const memoryError = (error: unknown): MemoryError => {
  if (error instanceof MemoryError) return error;
  if (error instanceof RegionError) return new MemoryError(error.reason, error.message, error.cause);
  if (error instanceof OsError) return new MemoryError("Failed", error.message, error);
  throw error;
};

/** Runs what may fail below. */
export const orMemoryError = <A>(run: () => A): A => {
  try {
    return run();
  } catch (error) {
    throw memoryError(error);
  }
};
