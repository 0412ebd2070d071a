/**
 * The error of a supervisor.
 *
 * @module
 */
import { ReasonedError } from "../os/typed_error.ts";

/**
 * A supervisor was misused, or has given up.
 *
 * - `InvalidOption`: an option or a child is invalid.
 * - `TooManyRestarts`: children had to be restarted more often than `intensity` allows; `cause` is the Cause of the last one's end.
 * - `NoMoreRestarts`: the schedule of `backoff` has ended; `cause` is the Cause of the last child's end.
 * - `UnknownChild`: the supervisor has no child of this name.
 * - `Stopped`: the supervisor has ended.
 *
 * @since 0.1.0
 * @category errors
 */
export class SupervisorError extends ReasonedError<
  "InvalidOption" | "TooManyRestarts" | "NoMoreRestarts" | "UnknownChild" | "Stopped"
> {
  /** The tag, for `Effect.catchTag`. */
  readonly _tag = "SupervisorError";

  /** Created by the library. */
  constructor(
    options: { readonly reason: SupervisorError["reason"]; readonly message: string; readonly cause?: unknown },
  ) {
    super(options.reason, options.message, options.cause);
  }
}
