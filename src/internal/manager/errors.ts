/**
 * Errors of managers.
 *
 * @module
 */

import { ReasonedError, TypedError } from "../os/typed_error.ts";
import { summary } from "../codec/foreign.ts";

/**
 * Why a {@link ManagerError} occurred.
 *
 * - `UnknownType`: the server was not told of the type's module, or the module does not define the type.
 * - `UnknownTask`: the same for a task.
 * - `NotExposed`: the object has no such method, or does not expose it.
 * - `InvalidArguments`: an argument is invalid, for example an index out of range or a task with Schemas.
 * - `InvalidResult`: the method returned a Stream and is not named in `streams`, or the reverse.
 * - `InvalidOption`: an option is invalid.
 * - `Overloaded`: the program has more open calls than the server of another program allows (10000).
 * - `InitializerFailed`: the initializer of the manager failed; `cause` is its failure or exception.
 * - `Failed`: another failure; see `cause`.
 *
 * @since 0.1.0
 * @category errors
 */
export type ManagerErrorReason =
  | "UnknownType"
  | "UnknownTask"
  | "NotExposed"
  | "InvalidArguments"
  | "InvalidResult"
  | "InvalidOption"
  | "Overloaded"
  | "InitializerFailed"
  | "Failed";

/**
 * A call that a manager does not accept. Nothing was changed.
 *
 * @since 0.1.0
 * @category errors
 */
export class ManagerError extends ReasonedError<ManagerErrorReason> {
  /** The tag, for `Effect.catchTag`. */
  readonly _tag = "ManagerError";
}

/**
 * A constructor, or a method that is not an Effect, has thrown at the server. `cause` is the exception, with its stack there.
 * Python's `RemoteError`, and the exception itself.
 *
 * @since 0.1.0
 * @category errors
 */
export class RemoteError extends TypedError {
  /** The tag, for `Effect.catchTag`. */
  readonly _tag = "RemoteError";
  /** The method or constructor: `Maths.divide`, `new Maths`. */
  readonly method: string;

  /** Created by the library. */
  constructor(method: string, cause: unknown) {
    super(`${method} failed: ${summary(cause)}`, { cause });
    this.method = method;
    // The stack of the reader does not help; the cause has the stack of the exception.
    this.stack = `${this.name}: ${this.message}`;
  }
}

/**
 * The connection to the program of a manager broke. The next call connects again. Objects that were made over the broken
 * connection are freed, unless another process holds them or they were published.
 *
 * @since 0.1.0
 * @category errors
 */
export class Disconnected extends TypedError {
  /** The tag, for `Effect.catchTag`. */
  readonly _tag = "Disconnected";
  /** Whether the call was executed: `"no"`, so that it can be repeated, or `"unknown"`. */
  readonly executed: "no" | "unknown";

  /** Created by the library. */
  constructor(host: string, executed: "no" | "unknown") {
    super(
      executed === "no"
        ? `Cannot call ${host}: there is no connection, and a new one could not be made`
        : `The connection to ${host} broke during the call: it may have been executed`,
    );
    this.executed = executed;
  }
}
