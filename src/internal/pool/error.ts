/**
 * How a pool refuses.
 *
 * @module
 */

/**
 * The pool was used as it cannot be, or cannot go on.
 *
 * - `InvalidOption`: an option has a value that it cannot have.
 * - `InvalidArgument`: an argument is of the wrong kind: a plain function in place of a task, or items that are not iterable.
 * - `Closed`: it takes no more tasks, since it was closed or its scope has.
 * - `Open`: it cannot be joined before it was closed.
 * - `Terminated`: the task was given up because the pool was terminated.
 * - `Timeout`: the task ran longer than it may. It was stopped, if need be with its worker.
 * - `InitializerFailed`: a worker's initializer failed; `cause` is its failure.
 * - `Broken`: workers cannot be started any more, or die again and again before they have had any task. The message says why, and
 *   `cause` is the failure of the last start, if there is one.
 *
 * @since 0.1.0
 * @category errors
 */
export class PoolError extends Error {
  /** Tells the errors apart: for `Effect.catchTag`. */
  readonly _tag = "PoolError";
  /** How the error is printed. */
  override readonly name = "PoolError";
  /** What was wrong; see above. */
  readonly reason:
    | "InvalidOption"
    | "InvalidArgument"
    | "Closed"
    | "Open"
    | "Terminated"
    | "Timeout"
    | "InitializerFailed"
    | "Broken";
  /** Made by the library. */
  constructor(options: { readonly reason: PoolError["reason"]; readonly message: string; readonly cause?: unknown }) {
    super(options.message, options.cause === undefined ? undefined : { cause: options.cause });
    this.reason = options.reason;
  }
}
