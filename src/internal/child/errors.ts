/**
 * Errors of starting children, of calling them and of their deaths. Free of Effect.
 *
 * @module
 */
import { ReasonedError, TypedError } from "../os/typed_error.ts";
import type { ExitStatus } from "../../Backend.ts";
import type { Refusal } from "../codec/exits.ts";

/**
 * A child could not be started.
 *
 * - `PermissionDenied`: this program may not start it; the message names the flags.
 * - `PermissionExceeded`: the child was to have a permission that this program is not known to have.
 * - `NotFound`: the executable or the working directory does not exist.
 * - `Unsupported`: not possible in this environment, such as a compiled program.
 * - `InvalidArgument`: an option is invalid, or the value to run is no task.
 * - `Loading`: a module started a process while a child was loading it. Each child would start children of its own, without
 *   end: start the process under `if (import.meta.main)` or in a task. Python raises a `RuntimeError`.
 * - `Quarantine`: `maxQuarantined` threads of this program were terminated and still run.
 * - `NoAgent`: no machine offers to run processes; see `NatsBackend`.
 * - `Full`: all machines run as many processes as they offer. A pool that replaces a worker waits for a place instead.
 * - `Incompatible`: a machine runs another version of the library's agent.
 * - `Failed`: any other failure. `cause` is the error of the system. If Deno ended before the child could run anything, the message
 *   has the output of Deno.
 *
 * @since 0.1.0
 * @category errors
 */
export class SpawnError extends ReasonedError<
  | "PermissionDenied"
  | "PermissionExceeded"
  | "NotFound"
  | "Unsupported"
  | "InvalidArgument"
  | "Loading"
  | "Quarantine"
  | "NoAgent"
  | "Full"
  | "Incompatible"
  | "Failed"
> {
  /** The tag, for `Effect.catchTag`. */
  readonly _tag = "SpawnError";

  /** Created by the library. */
  constructor(options: { readonly reason: SpawnError["reason"]; readonly message: string; readonly cause?: unknown }) {
    super(options.reason, options.message, options.cause);
  }
}

/**
 * A child or its link ended before the child answered. Every caller that waits for an answer fails with it.
 *
 * @since 0.1.0
 * @category errors
 */
export class ProcessDied extends TypedError {
  /** The tag, for `Effect.catchTag`. */
  readonly _tag = "ProcessDied";
  /** Name of the child. */
  readonly process: string;
  /** Process id of the child. */
  readonly pid: number;
  /** Name of the machine on which the child ran, if it is not this one. */
  readonly host: string | undefined;
  /** Name of the task that the child did not finish. */
  readonly task: string;
  /** How the child ended. */
  readonly status: ExitStatus;
  /**
   * Whether the child had begun the task. Only tasks that are Effects or Streams report that they begin. `no` is certain: the task was
   * still behind another one.
   */
  readonly started: "yes" | "no" | "unknown";
  /** Whether V8 gave up because its heap was full. (A process that the system kills for memory dies of a SIGKILL.) */
  readonly outOfMemory: boolean;
  /** Created by the library. */
  constructor(options: {
    readonly process: string;
    readonly pid: number;
    readonly host?: string | undefined;
    readonly task: string;
    readonly status: ExitStatus;
    readonly started: "yes" | "no" | "unknown";
    readonly cause?: unknown;
  }) {
    super(
      `${options.process} (pid ${options.pid}${options.host === undefined ? "" : ` on ${options.host}`}) ${
        describe(options.status)
      } before task "${options.task}" was done`,
      { cause: options.cause },
    );
    this.process = options.process;
    this.pid = options.pid;
    this.host = options.host;
    this.task = options.task;
    this.status = options.status;
    this.started = options.started;
    this.outOfMemory = isOutOfMemory(options.status);
  }
}

/** V8 ends a process with one of these signals when it is out of memory, and only then. */
const isOutOfMemory = (status: ExitStatus): boolean =>
  status._tag === "Signaled" && (status.signal === "SIGTRAP" || status.signal === "SIGILL");

const describe = (status: ExitStatus): string => {
  switch (status._tag) {
    case "Exited":
      return `exited with code ${status.code}`;
    case "Signaled":
      return isOutOfMemory(status)
        ? `ran out of memory (${status.signal}; raise --max-old-space-size in v8Flags)`
        : `was killed by ${status.signal}`;
    case "Crashed":
      return `crashed (${status.message})`;
    case "Lost":
      return `was lost: ${status.message}`;
  }
};

/**
 * The child could not begin the task.
 *
 * - `ModuleNotFound`: the child cannot find or read the task's module, or one that it imports.
 * - `LoadFailed`: the module threw, or did not compile; `cause` is its error with its stack.
 * - `NotDefined`: the module has loaded and defined no such task at its top level.
 * - `InvalidPayload`: the `payload` Schema refused the arguments in the child.
 * - `LayerFailed`: the task's layer could not be built.
 *
 * @since 0.1.0
 * @category errors
 */
export class TaskError extends ReasonedError<Refusal> {
  /** The tag, for `Effect.catchTag`. */
  readonly _tag = "TaskError";
  /** Name of the task. */
  readonly task: string;
  /** Created by the library. */
  constructor(
    options: { readonly reason: Refusal; readonly task: string; readonly message: string; readonly cause?: unknown },
  ) {
    super(options.reason, options.message, options.cause);
    this.task = options.task;
  }
}

/**
 * The new secret is empty, or is not a `Uint8Array`.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidAuthKey extends TypedError {
  /** The tag, for `Effect.catchTag`. */
  readonly _tag = "InvalidAuthKey";
}
