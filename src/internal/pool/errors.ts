/**
 * The error of a pool.
 *
 * @module
 */
import { ReasonedError } from "../os/typed_error.ts";

/**
 * The pool was misused, or cannot run the task.
 *
 * - `InvalidOption`: an option has an invalid value.
 * - `InvalidArgument`: an argument is of the wrong kind: a plain function instead of a task, or items that are not iterable.
 * - `Closed`: the pool takes no more tasks, because it or its scope was closed.
 * - `Open`: the pool cannot be joined, because it was not closed.
 * - `Terminated`: the pool was terminated before the task was done.
 * - `Timeout`: the task ran longer than its timeout. It was stopped, if necessary by killing its worker.
 * - `InitializerFailed`: the initializer failed in a worker; `cause` is its failure.
 * - `Broken`: workers cannot be started any more, or die repeatedly before they have run any task. The message says why, and
 *   `cause` is the failure of the last start, if there is one.
 *
 * @since 0.1.0
 * @category errors
 */
export class PoolError extends ReasonedError<
  | "InvalidOption"
  | "InvalidArgument"
  | "Closed"
  | "Open"
  | "Terminated"
  | "Timeout"
  | "InitializerFailed"
  | "Broken"
> {
  /** The tag, for `Effect.catchTag`. */
  readonly _tag = "PoolError";

  /** Created by the library. */
  constructor(options: { readonly reason: PoolError["reason"]; readonly message: string; readonly cause?: unknown }) {
    super(options.reason, options.message, options.cause);
  }
}
