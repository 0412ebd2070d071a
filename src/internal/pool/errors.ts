/**
 * The errors of a pool.
 *
 * @module
 */
import type { ProcessDied } from "../../Backend.ts";
import { ReasonedError, TypedError } from "../os/typed_error.ts";

/**
 * The pool was misused, or cannot run the task.
 *
 * - `InvalidOption`: an option has an invalid value.
 * - `InvalidArgument`: an argument is of the wrong kind: a plain function instead of a task, or items that are not iterable.
 * - `Closed`: the pool takes no more tasks, because it or its scope was closed.
 * - `Open`: the pool cannot be joined, because it was not closed.
 * - `Terminated`: the pool was terminated before the task was done.
 * - `Timeout`: the task ran longer than its timeout. It was stopped, if necessary by killing its worker.
 * - `QueueTimeout`: the task waited for a worker longer than its `queueTimeout`. It has not begun.
 * - `Deadline`: the task was not done at its deadline. If it had begun, it was stopped, if necessary by killing its worker.
 * - `QueueFull`: `queueCapacity` tasks wait, and the pool refuses more. The task has not begun.
 * - `Unsupported`: the task is marked as `killable`, and the backend cannot kill a busy worker.
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
  | "QueueTimeout"
  | "Deadline"
  | "QueueFull"
  | "Unsupported"
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

/**
 * A task that is retried was set aside, because it has killed as many workers as the option `kills` of its retries allows.
 *
 * @since 0.1.0
 * @category errors
 */
export class Poisoned extends TypedError {
  /** The tag, for `Effect.catchTag`. */
  readonly _tag = "Poisoned";
  /** Name of the task. */
  readonly task: string;
  /** The deaths of the workers that ran it, in their order. */
  readonly deaths: ReadonlyArray<ProcessDied>;
  /** Created by the library. */
  constructor(task: string, deaths: ReadonlyArray<ProcessDied>) {
    const last = deaths.at(-1);
    super(
      `Cannot finish task "${task}": it was set aside after it had killed ${deaths.length} workers; the last one: ${last?.message}`,
      { cause: last },
    );
    this.task = task;
    this.deaths = [...deaths];
  }
}
