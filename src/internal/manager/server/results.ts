/**
 * Results of the user's tasks, constructors and methods. A result is a plain value, or an Effect if it takes time or fails
 * by its own type. Errors that end a call are thrown by plain code, and failures of Effects.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import type * as Scope from "effect/Scope";
import * as Stream from "effect/Stream";
import type { Backend } from "../../../Backend.ts";
import { library } from "../../child/modules.ts";
import { has, isInstance, messageOf, trimStack } from "../../codec/foreign.ts";
import { isEffect, isPromise, isStream } from "../../codec/programs.ts";
import { ManagerError } from "../errors.ts";

/** The object of a call does not exist any more. */
export class Freed {
  readonly _tag = "Freed";
}

/** The arguments contain handles of kinds that are being loaded. */
export class HandlesLoading {
  constructor(readonly done: Promise<void>) {}
}

/** A plain function of the user has thrown: the caller gets a `RemoteError`. */
export class Thrown {
  readonly error: unknown;

  constructor(readonly method: string, error: unknown) {
    // Stack frames of the library do not help to find the error. A worker shows the path of a file as it is, with its spaces.
    trimStack(error, (line) => line.includes(library) || line.includes(decodeURI(library)));
    this.error = error;
  }
}

/** Whether an error determines by itself how the call ends. */
export const isReply = (error: unknown): boolean =>
  isInstance(error, ManagerError) || isInstance(error, Freed) || isInstance(error, Thrown);

/** Runs a plain function of the user; an exception becomes {@link Thrown}. */
export const runUserCode = <A>(method: string, run: () => A): A => {
  try {
    return run();
  } catch (error) {
    throw isInstance(error, ManagerError) ? error : new Thrown(method, error);
  }
};

/** Runs a method of the library's own types; an exception means that the arguments are invalid. */
export const runLibraryCode = (operation: string, run: () => unknown): unknown => {
  try {
    return run();
  } catch (error) {
    if (isReply(error)) throw error;
    throw new ManagerError("InvalidArguments", `Cannot ${operation} with these arguments: ${messageOf(error)}`);
  }
};

/** Runs a function, constructor or method of the user, and converts a Promise to an Effect. */
export const evaluate = (method: string, run: () => unknown): unknown => {
  const value = runUserCode(method, run);
  if (typeof value !== "object" || value === null || isEffect(value) || !isPromise(value)) return value;
  const promise = value;
  return Effect.tryPromise({ try: () => promise, catch: (error) => new Thrown(method, error) });
};

/** Whether a result is an Effect. */
export const isPending = (value: unknown): value is Effect.Effect<unknown, unknown, Backend | Scope.Scope> =>
  typeof value === "object" && value !== null && isEffect(value);

/** Passes a result to `next`: in the same step if it is a plain value. */
export const andThen = (value: unknown, next: (value: unknown) => unknown): unknown =>
  isPending(value) ? Effect.flatMap(value, (value) => toEffect(() => next(value))) : next(value);

/** Computes a result as an Effect. An error that ends a call becomes its failure, any other exception a defect. */
export const toEffect = (compute: () => unknown): Effect.Effect<unknown, unknown, Backend | Scope.Scope> =>
  Effect.suspend(() => {
    try {
      const value = compute();
      return isPending(value) ? value : Effect.succeed(value);
    } catch (error) {
      return isReply(error) ? Effect.fail(error) : Effect.die(error);
    }
  });

/** A result as a Stream, if it is a Stream or an AsyncIterable. */
export const asStream = (value: unknown): Stream.Stream<unknown, unknown, Backend | Scope.Scope> | undefined => {
  if (typeof value !== "object" || value === null) return undefined;
  if (isStream(value)) return value;
  return has(value, Symbol.asyncIterator)
    ? Stream.fromAsyncIterable(value as AsyncIterable<unknown>, (error) => error)
    : undefined;
};

/** Like {@link asStream}, and also for generators and other iterables. */
export const asStreamOrIterable = (
  value: unknown,
): Stream.Stream<unknown, unknown, Backend | Scope.Scope> | undefined => {
  const stream = asStream(value);
  if (stream !== undefined || typeof value !== "object" || value === null) return stream;
  return has(value, Symbol.iterator)
    ? Stream.fromAsyncIterable(iterate(value as Iterable<unknown>), (error) => error)
    : undefined;
};

/** Asynchronous, so that other calls run between the elements of a long iterable. */
async function* iterate(values: Iterable<unknown>): AsyncGenerator<unknown> {
  yield* values;
}

/** The error of a Stream is its own failure; an exception of an iteration becomes {@link Thrown}. */
export const streamError = (method: string, value: unknown, error: unknown): unknown =>
  isStream(value as object) ? error : new Thrown(method, error);

/** The error for a method that returned a Stream unexpectedly. */
export const unexpectedStream = (type: string, method: string): ManagerError =>
  new ManagerError(
    "InvalidResult",
    `Cannot call ${type}.${method}: it returned a Stream; name it in the \`streams\` of its type`,
  );
