/**
 * Synchronous operations on shared memory as Effects, and what they make as resources.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Scope from "effect/Scope";
import { MemoryError, OutOfRange } from "./errors.ts";

/** What became of an operation that throws no other errors than these, and bugs. */
export const outcome = <A>(run: () => A): Effect.Effect<A, MemoryError | OutOfRange> => {
  try {
    return Effect.succeed(run());
  } catch (error) {
    return error instanceof MemoryError || error instanceof OutOfRange ? Effect.fail(error) : Effect.die(error);
  }
};

/** Runs such an operation. */
export const attempt = <A>(run: () => A): Effect.Effect<A, MemoryError | OutOfRange> =>
  Effect.suspend(() => outcome(run));

/** The same for one that only asks for memory. */
export const attemptMemory = attempt as <A>(run: () => A) => Effect.Effect<A, MemoryError>;

/** What `acquire` makes is given back when the scope closes. */
export const owned = <A>(
  acquire: () => A,
  release: (made: A) => void,
): Effect.Effect<A, MemoryError | OutOfRange, Scope.Scope> =>
  Effect.uninterruptible(
    Effect.flatMap(Scope.Scope, (scope) =>
      Effect.flatMap(
        attempt(acquire),
        (made) => Effect.as(Scope.addFinalizer(scope, Effect.sync(() => release(made))), made),
      )),
  );

/** The same for what only takes memory. */
export const ownedMemory = owned as <A>(
  acquire: () => A,
  release: (made: A) => void,
) => Effect.Effect<A, MemoryError, Scope.Scope>;
