/**
 * Synchronous operations on shared memory as Effects, and objects in shared memory as resources.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Scope from "effect/Scope";
import { MemoryError, type MemoryFailure, OutOfRange } from "./errors.ts";

/** The outcome of an operation that throws a {@link MemoryFailure}. Other errors are defects. */
export const outcome = <A>(run: () => A): Effect.Effect<A, MemoryFailure> => {
  try {
    return Effect.succeed(run());
  } catch (error) {
    return error instanceof MemoryError || error instanceof OutOfRange ? Effect.fail(error) : Effect.die(error);
  }
};

/** Runs an operation that throws a {@link MemoryFailure}. */
export const attempt = <A>(run: () => A): Effect.Effect<A, MemoryFailure> => Effect.suspend(() => outcome(run));

/** Runs an operation that throws only a `MemoryError`. */
export const attemptMemory = attempt as <A>(run: () => A) => Effect.Effect<A, MemoryError>;

/** Acquires a resource by a synchronous function that throws a {@link MemoryFailure}, and releases it with the scope. */
export const owned = <A>(acquire: () => A, release: (made: A) => void): Effect.Effect<A, MemoryFailure, Scope.Scope> =>
  Effect.uninterruptible(
    Effect.flatMap(Scope.Scope, (scope) =>
      Effect.flatMap(
        attempt(acquire),
        (made) => Effect.as(Scope.addFinalizer(scope, Effect.sync(() => release(made))), made),
      )),
  );

/** Like {@link owned}, for a function that throws only a `MemoryError`. */
export const ownedMemory = owned as <A>(
  acquire: () => A,
  release: (made: A) => void,
) => Effect.Effect<A, MemoryError, Scope.Scope>;

/**
 * Builds an object of several parts. `make` passes the function that frees a part to `onFree`. Returns the object and a function that
 * frees all parts, last to first; they are also freed if `make` throws.
 */
export const assemble = <A>(make: (onFree: (free: () => void) => void) => A): [object: A, free: () => void] => {
  const frees: Array<() => void> = [];
  const free = (): void => frees.toReversed().forEach((one) => one());
  try {
    return [make((one) => void frees.push(one)), free];
  } catch (error) {
    free();
    throw error;
  }
};
