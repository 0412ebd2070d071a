/**
 * How the use of managed objects fails.
 *
 * @module
 */

import { TypedError } from "../os/typed_error.ts";
import { summary } from "../codec/foreign.ts";

/**
 * What a {@link ManagerError} complains of.
 *
 * - `UnknownType`: the server was not told of the type's module, or the module defines no such type.
 * - `UnknownTask`: the same of a task that was to run there.
 * - `NotExposed`: the object has no such method, or not for others.
 * - `InvalidArguments`: an argument that makes no sense: an index that is none, a number that is no whole one, a task with Schemas.
 * - `InvalidResult`: the method returned a Stream and is not named in `streams`, or the other way round.
 * - `InvalidOption`: an option that makes no sense.
 * - `Overloaded`: another program has more calls under way than the server allows (10000): it has to wait for some.
 * - `InitializerFailed`: the initializer of the manager failed; `cause` is its failure, or what it threw.
 * - `Failed`: the server could not do it for another reason; see `cause`.
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
 * A manager was asked for what it does not have or cannot do. Nothing was changed.
 *
 * @since 0.1.0
 * @category errors
 */
export class ManagerError extends TypedError {
  /** The tag, for `Effect.catchTag`. */
  readonly _tag = "ManagerError";
  /** What was wrong. */
  readonly reason: ManagerErrorReason;

  /** Created by the library. */
  constructor(reason: ManagerErrorReason, message: string, cause?: unknown) {
    super(message, { cause });
    this.reason = reason;
  }
}

/**
 * A constructor, or a method that is no Effect, has thrown in the server. `cause` is what it threw, with the stack that it had
 * there. Python's `RemoteError`, and the exception itself.
 *
 * @since 0.1.0
 * @category errors
 */
export class RemoteError extends TypedError {
  /** The tag, for `Effect.catchTag`. */
  readonly _tag = "RemoteError";
  /** What has failed: `Maths.divide`, `new Maths`. */
  readonly method: string;

  /** Created by the library. */
  constructor(method: string, cause: unknown) {
    super(`${method} failed: ${summary(cause)}`, { cause });
    this.method = method;
    // Where it was read says nothing; where it was thrown stands with the cause.
    this.stack = `${this.name}: ${this.message}`;
  }
}

/**
 * The connection to the program of a manager is broken. The next call connects again; what was made over the broken one is gone,
 * unless somebody else holds it, or it was published.
 *
 * @since 0.1.0
 * @category errors
 */
export class Disconnected extends TypedError {
  /** The tag, for `Effect.catchTag`. */
  readonly _tag = "Disconnected";
  /** Whether the call was done: `"no"`, and then it can be made again, or `"unknown"`. */
  readonly executed: "no" | "unknown";

  /** Created by the library. */
  constructor(host: string, executed: "no" | "unknown") {
    super(
      executed === "no"
        ? `Cannot call ${host}: there is no connection, and none can be made now`
        : `The connection to ${host} broke while the call was under way: it may have been done`,
    );
    this.executed = executed;
  }
}
