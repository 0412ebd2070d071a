/**
 * From Effects to Promises: runs an Effect, throws its failure, and turns its scope into a disposal.
 *
 * @module
 */
import * as Cause from "effect/Cause";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as FiberId from "effect/FiberId";
import * as Option from "effect/Option";
import * as Scope from "effect/Scope";
import * as Stream from "effect/Stream";
import * as Arguments from "../os/arguments.ts";

/** Options of every operation that may wait. */
export interface Waiting {
  readonly signal?: AbortSignal | undefined;
}

const checks: Arguments.Checks = {
  signal: Arguments.optional(Arguments.must((value) => value instanceof AbortSignal, "an AbortSignal")),
};

/** Throws a `TypeError` for a value of the wrong type. */
export const demand = (operation: string, values: object, checks: Arguments.Checks): void => {
  const wrong = Arguments.wrong(values, checks);
  if (wrong !== undefined) throw new TypeError(Arguments.invalidArgument(operation, wrong));
};

/** Returns the signal of the options. Throws a `TypeError` if they are not an object. */
const signalOf = (options: Waiting): AbortSignal | undefined => {
  const wrong = Arguments.wrongOptions(options, checks);
  if (wrong !== undefined) throw new TypeError(Arguments.invalidOption("call", wrong));
  return options.signal;
};

/**
 * Returns the value of an exit. Throws its failure, or the reason of the signal if the signal interrupted the Effect.
 */
const valueOf = <A, E>(exit: Exit.Exit<A, E>, signal: AbortSignal | undefined): A => {
  if (Exit.isSuccess(exit)) return exit.value;
  if (signal?.aborted === true && Cause.isInterrupted(exit.cause)) throw signal.reason;
  throw Cause.squash(exit.cause);
};

/** Runs an Effect and returns its exit. The signal interrupts the Effect, which may take some time to stop. */
const run = <A, E>(effect: Effect.Effect<A, E>, signal: AbortSignal | undefined): Promise<Exit.Exit<A, E>> =>
  new Promise((resolve) => {
    const fiber = Effect.runFork(effect);
    const interrupt = (): void => fiber.unsafeInterruptAsFork(FiberId.none);
    signal?.addEventListener("abort", interrupt, { once: true });
    fiber.addObserver((exit) => {
      signal?.removeEventListener("abort", interrupt);
      resolve(exit);
    });
  });

/** Runs an Effect as a Promise of its value. The Promise rejects with the failure itself. */
export const settle = async <A, E>(effect: Effect.Effect<A, E>, options: Waiting = {}): Promise<A> => {
  const signal = signalOf(options);
  signal?.throwIfAborted();
  return valueOf(await run(effect, signal), signal);
};

/** Iterates over a Stream. A reader that stops early closes the Stream, and waits until it has closed. */
export async function* iterate<A, E>(stream: Stream.Stream<A, E>, options: Waiting = {}): AsyncGenerator<A, void> {
  const signal = signalOf(options);
  signal?.throwIfAborted();
  const scope = Effect.runSync(Scope.make());
  try {
    const pull = await settle(Scope.extend(Stream.toPull(stream), scope));
    // A pull fails with `None` at the end of the Stream.
    const next = Effect.catchAll(
      pull,
      Option.match({ onNone: () => Effect.succeed(undefined), onSome: (error: E) => Effect.fail(error) }),
    );
    for (let chunk = await settle(next, options); chunk !== undefined; chunk = await settle(next, options)) {
      yield* chunk;
    }
  } finally {
    await settle(Scope.close(scope, Exit.void));
  }
}

/** A resource with an open scope, and the function that closes the scope. */
export interface Acquired<A> {
  readonly value: A;
  /** Closes the scope with success. A second call waits for the first. */
  readonly close: () => Promise<void>;
}

/** Acquires a resource in a new scope. */
export const acquire = async <A, E>(
  resource: Effect.Effect<A, E, Scope.Scope>,
  options: Waiting = {},
): Promise<Acquired<A>> => {
  const scope = Effect.runSync(Scope.make());
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => closing ??= settle(Scope.close(scope, Exit.void));
  try {
    return { value: await settle(Scope.extend(resource, scope), options), close };
  } catch (error) {
    await settle(Scope.close(scope, Exit.fail(error)));
    throw error;
  }
};
