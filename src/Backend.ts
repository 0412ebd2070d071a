/**
 * The service that starts children, and the guide to backends, to the failures of the library and to the permissions
 * that it needs.
 *
 * A program defines the tasks; the layer that it is provided with decides where they run. {@link Backend} is one small
 * interface. `SubprocessBackend` and `WorkerBackend` implement it on this machine, `NatsBackend` on others, and the same
 * program runs on each. An operation that a
 * backend cannot perform fails with a typed error; `backend.capabilities` tells which operations those are.
 *
 * | | `SubprocessBackend` | `WorkerBackend` |
 * | --- | --- | --- |
 * | a child is | a Deno process | a Web Worker, a thread |
 * | `killBusy`: a busy child can be killed | yes | no |
 * | `signals`: process id, exit code and signals | yes | no |
 * | `permissions`: a child can have fewer than its parent | yes | no |
 * | `stdio`: streams, environment, directory of its own | yes | no |
 * | this program needs | `--allow-run` (of Deno's executable), `--allow-env` | `--allow-read` of its modules |
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect } from "effect";
 *
 * const whereAmI = Mp.Task.make(
 *   import.meta,
 *   "whereAmI",
 *   (mainPid: number) => Deno.pid === mainPid ? "a thread of the same process" : "a process of its own",
 * );
 *
 * const program = Effect.gen(function* () {
 *   const { capabilities, name } = yield* Mp.Backend.Backend;
 *   console.log(name, capabilities.killBusy, yield* Mp.Process.run(whereAmI, Deno.pid));
 * });
 *
 * if (import.meta.main) {
 *   Mp.runMain(Effect.all([
 *     Effect.provide(program, Mp.SubprocessBackend.layer()),
 *     Effect.provide(program, Mp.WorkerBackend.layer()),
 *   ]));
 * }
 * ```
 *
 * ```text
 * subprocess true a process of its own
 * worker false a thread of the same process
 * ```
 *
 * ## Failures
 *
 * A task's own failures arrive unchanged; parts that cannot be sent are replaced by descriptions, as the documentation of
 * `Task` says. All other failures come from the library. Each has a `_tag` and a message that says what to do. Every caller
 * that waits for a child gets an answer: that of the task, or one of these.
 *
 * | class | when | what to do |
 * | --- | --- | --- |
 * | `EncodeError` | an argument or a result cannot be sent; `path` says which part | send data, or give the task a Schema |
 * | `DecodeError` | an answer cannot be read, or the Schema of the result refuses it | run the same version of the code on both sides |
 * | `MessageTooLarge` | a message is larger than `maxMessageSize` (1 GiB) | send it in parts, as a Stream, or raise the limit of the backend |
 * | `SpawnError` | a process cannot be started, or ended before it could run anything; see `reason` | grant the permission that the message names, or correct the option |
 * | `TaskError` | the child cannot begin the task: its module, its definition, its payload, its layer; see `reason` | correct the module; `cause` has the child's error and stack |
 * | `ProcessDied` | a process ended before it answered; `status` says how | try again if the task may run twice |
 * | `PoolError` | the pool was closed, terminated, misused, or timed out, or cannot start workers; see `reason` | depends on the reason |
 * | `Unsupported` | this backend cannot do it, such as sending a signal to a worker | use the other backend, or look at `capabilities` first |
 * | `QueueClosed` | a queue takes no more, or has no more to give; `reason` says whether it was closed or shut down | treat it as the end |
 * | `QueueError` | a queue cannot do that; see `reason` | correct the option, the item, or the count |
 * | `EndOfFile` | a connection has nothing more to receive: the other end is gone | treat it as the end |
 * | `BrokenPipe` | the message would never be received: the other end is gone | treat it as the end |
 * | `PipeError` | a connection cannot do that, or not here; see `reason` | depends on the reason |
 * | `SyncError` | a lock or one of its kind cannot do that; see `reason` | correct the argument, or release only what the caller holds |
 * | `BrokenBarrier` | not all parties will come to the barrier; `reason` says why | reset it, or give up |
 * | `ListenError` | a listener cannot be made there; see `reason` | another address, or correct the option |
 * | `ListenerClosed` | a listener accepts no more connections | treat it as the end |
 * | `ConnectError` | a listener cannot be reached, or takes no client now; see `reason` | try again later, or correct the option |
 * | `AuthenticationError` | the two sides of a connection do not have the same key; see `reason` | give both the same `authKey` |
 * | `Unreachable` | the scope that made a queue, pipe or process has closed, or its host has ended | make it in a process and a scope that last long enough |
 * | `MemoryError` | shared memory cannot be had: too little, a name that is taken or unknown, gone; see `reason` | depends on the reason |
 * | `OutOfRange` | shared memory has no such element, or the value does not fit; nothing was changed | correct the index, the value, the type or the capacity |
 * | `ManagerError` | a manager does not have or cannot do that; see `reason` | correct the argument, or name the module for the server |
 * | `RemoteError` | a constructor or method at a manager's server threw; `cause` is the exception | depends on the cause |
 * | `Disconnected` | the connection to the manager of another program broke | call again; the next call connects again |
 * | `NatsError` | a NATS server cannot be reached, or refuses this program; see `reason` | start the server, or correct the option |
 * | `InvalidArgument` | `wait` was given an object that cannot be waited for, or a timeout that is not a duration | correct the
 * argument |
 *
 * Arguments are checked when the program runs, with or without types. A wrong argument is a typed failure before
 * anything is sent, started or changed, and its message says what was expected and what was received:
 *
 * ```text
 * Invalid argument of Process.run: the task must be made by Task.make(import.meta, name, fn), received a function
 * Invalid pool option: size must be a positive integer, received -1
 * ```
 *
 * Functions that return no Effect, such as `Task.make`, `runMain` and the `raw` and `unsafe` operations, throw such an
 * error.
 *
 * ## Permissions that the library needs
 *
 * `DENO` stands for the output of `deno eval "console.log(Deno.execPath())"`.
 *
 * | feature | flags of this program |
 * | --- | --- |
 * | `Task`, `runMain`, `Queue`, `Pipe`, `wait`, `Process.current`, `cpuCount`, `authKey` | none |
 * | listeners and clients with a port, and managers of other programs | `--allow-net=127.0.0.1` |
 * | listeners with a Unix socket, and their clients | `--allow-net --allow-read --allow-write` |
 * | subprocesses, pools of them, managers, queues and pipes to them, `standby`, `cwd`, `env`, signals | `--allow-run=DENO --allow-env` |
 * | `detached` | `--allow-run --allow-env` |
 * | subprocesses that start subprocesses | `--allow-run --allow-env` |
 * | the same, with `permissions: { env: true, run: [Deno.execPath()] }` | `--allow-run=DENO --allow-env` |
 * | workers, pools of them, and managers; memory that they share | `--allow-read` |
 * | shared memory by name | `--allow-ffi` |
 * | memory that is shared with subprocesses | `--allow-ffi --allow-run=DENO --allow-env` |
 * | workers that start subprocesses | `--allow-read --allow-run=DENO --allow-env` |
 *
 * `deno test -A tests/docs/docs_test.ts` runs each line with exactly its flags, and with fewer flags, which fails. Workers
 * need `--allow-read` for their modules only: those of the library, and those of the program.
 *
 * ## From Python
 *
 * | Python | here |
 * | --- | --- |
 * | `set_start_method("spawn")`, `get_context("spawn")` | `Effect.provide(SubprocessBackend.layer())`; each part of a program can have its own |
 * | `"forkserver"`, `set_forkserver_preload` | `SubprocessBackend.layer({ standby: 2, preload: [url] })` |
 * | `"fork"` | none: a process starts empty, and nothing is copied by accident |
 * | `get_start_method`, `get_all_start_methods` | `(yield* Backend.Backend).name`, `"subprocess"`, `"worker"` or `"nats"` |
 * | `multiprocessing.dummy`, `ThreadPool` | `WorkerBackend.layer()` |
 * | `set_executable` | none: a child runs the Deno of this program; `denoFlags` and `v8Flags` add to it |
 * | the resource tracker | not needed: only blocks that a program names have names, and those are found |
 *
 * @module
 */
import "./internal/os/runtime.ts";
import "./internal/kinds.ts";
import type * as Context from "effect/Context";
import type * as Duration from "effect/Duration";
import type * as Effect from "effect/Effect";
import type * as Scope from "effect/Scope";
import type * as Stream from "effect/Stream";
import type { Readiness } from "./internal/rpc/identity.ts";
import type { Sources } from "./internal/os/place.ts";
import type { Link } from "./internal/rpc/link.ts";
import * as Implementation from "./internal/child/backend.ts";
import type { ProcessDied, SpawnError, TaskError } from "./internal/child/errors.ts";
import type { Unsupported } from "./internal/objects/errors.ts";
import type { DecodeError, EncodeError } from "./internal/codec/errors.ts";
import type { MessageTooLarge } from "./internal/codec/message.ts";

export { ProcessDied, SpawnError } from "./internal/child/errors.ts";
export { Unsupported } from "./internal/objects/errors.ts";
export { DecodeError, EncodeError } from "./internal/codec/errors.ts";
export { MessageTooLarge } from "./internal/codec/message.ts";
export type { Sources } from "./internal/os/place.ts";
export type { Link } from "./internal/rpc/link.ts";
export type { Readiness } from "./internal/rpc/identity.ts";

/** Marks every backend. @since 0.1.0 @category type ids */
export const TypeId: TypeId = Implementation.TypeId;
/** Type of the mark of every backend. @since 0.1.0 @category type ids */
export type TypeId = "~multiprocessing/Backend";

/**
 * The capabilities of a backend.
 *
 * @since 0.1.0
 * @category models
 */
export interface Capabilities {
  /** `kill` ends a child that is busy and never turns its event loop. */
  readonly killBusy: boolean;
  /** A child has a process id, an exit code and signals of its own. */
  readonly signals: boolean;
  /** A child can be given fewer permissions than its parent. */
  readonly permissions: boolean;
  /** A child has standard streams, an environment and a working directory of its own. */
  readonly stdio: boolean;
}

/** The kinds of permission. @since 0.1.0 @category models */
export type PermissionName = "read" | "write" | "net" | "env" | "run" | "ffi" | "sys" | "import";

/**
 * Permissions of a child: of each kind everything (`true`), nothing, or a list of paths, hosts, variables, programs or kinds. A
 * kind that is not named is denied.
 *
 * @since 0.1.0
 * @category models
 */
export type Permissions = { readonly [K in PermissionName]?: boolean | ReadonlyArray<string> | undefined };

/**
 * How a child ended.
 *
 * - `Exited`: by itself, with this exit code.
 * - `Signaled`: by this signal, such as `SIGKILL`. A worker that was terminated counts as killed.
 * - `Crashed`: by an uncaught error, for example in a timer.
 * - `Lost`: its machine, or the agent there, was not heard any more, for the reason in the message. It is ended there as well,
 *   but not yet perhaps.
 *
 * @since 0.1.0
 * @category models
 */
export type ExitStatus =
  | { readonly _tag: "Exited"; readonly code: number }
  | { readonly _tag: "Signaled"; readonly signal: string }
  | { readonly _tag: "Crashed"; readonly message: string }
  | { readonly _tag: "Lost"; readonly host: string; readonly message: string };

/**
 * The description of a child to start.
 *
 * @since 0.1.0
 * @category models
 */
export interface Command {
  /** A label for logs and error messages. */
  readonly name: string;
  /** Whether the child is terminated, not joined, when its scope closes. The child is told. @default false */
  readonly daemon?: boolean | undefined;
  /** URLs of the modules whose tasks the child may run. */
  readonly modules: ReadonlyArray<string>;
  /** Permissions of this child instead of the backend's. */
  readonly permissions?: Permissions | undefined;
  /** Load the modules at once, in this order, and report when that is done. @default false */
  readonly preload?: boolean | undefined;
  /** Where the modules lie, if not at their URLs: those that an agent runs for a program on another machine. */
  readonly sources?: Sources | undefined;
}

/**
 * The signals that can be sent to a child. SIGUSR1 belongs to Deno: a running program opens its debugger on a local port, and a
 * program that is still starting ends.
 *
 * @since 0.1.0
 * @category models
 */
export type Signal =
  | "SIGTERM"
  | "SIGKILL"
  | "SIGINT"
  | "SIGHUP"
  | "SIGQUIT"
  | "SIGUSR1"
  | "SIGUSR2"
  | "SIGSTOP"
  | "SIGCONT";

/**
 * How a process is ended.
 *
 * A task that is an Effect is interrupted first, and its finalizers have `gracePeriod` to run. A plain function cannot be
 * interrupted, and gets no grace period. Then SIGTERM is sent, and SIGKILL `forceKillAfter` later. The end is always awaited.
 *
 * @since 0.1.0
 * @category models
 */
export interface KillPolicy {
  /** How long finalizers may take after the interruption. @default 5 seconds */
  readonly gracePeriod?: Duration.DurationInput | undefined;
  /** How long after SIGTERM SIGKILL is sent. @default 500 millis */
  readonly forceKillAfter?: Duration.DurationInput | undefined;
}

/**
 * One running child.
 *
 * @since 0.1.0
 * @category models
 */
export interface Child {
  /** Its label. */
  readonly name: string;
  /** Process id. A worker has that of the process that hosts it. */
  readonly pid: number;
  /** Name of the machine on which it runs, if it is not this one. */
  readonly host?: string | undefined;
  /** The channel to it. */
  readonly link: Link;
  /** Waits until it has ended, and returns its status. Never fails. */
  readonly exited: Effect.Effect<ExitStatus>;
  /** Waits until it has preloaded its modules, and returns those that it could not load; `undefined` if it died before. */
  readonly ready: Effect.Effect<Readiness | undefined>;
  /**
   * Waits until it serves its link. The result is `false` if a signal ended it before. Fails if it ended by itself before; the
   * message has Deno's output.
   */
  readonly serves: Effect.Effect<boolean, SpawnError>;
  /** Whether it has begun to serve its link, without waiting. */
  readonly serving: () => boolean;
  /** Returns its status if it has ended, without waiting. */
  readonly status: () => ExitStatus | undefined;
  /** Sends a signal. The result is `false` if it had ended. */
  readonly kill: (signal: Signal) => Effect.Effect<boolean, Unsupported>;
  /** Its output, if stdout is `"pipe"`; empty otherwise. Can be run once. */
  readonly stdout: Stream.Stream<Uint8Array>;
  /** Its error output, if stderr is `"pipe"`; empty otherwise. Can be run once. */
  readonly stderr: Stream.Stream<Uint8Array>;
}

/**
 * The service that starts children.
 *
 * @since 0.1.0
 * @category models
 */
export interface Backend {
  /** Marks the value as a backend. */
  readonly [TypeId]: TypeId;
  /** `"subprocess"`, `"worker"` or `"nats"`. */
  readonly name: string;
  /** Its capabilities. */
  readonly capabilities: Capabilities;
  /**
   * Starts a child, and returns when the system has started it. Its link can be used at once. In a child, only tasks can start
   * processes: a module that does so while it is being loaded gets a `SpawnError` with the reason `Loading`.
   *
   * *Release:* a child that is still alive is killed, its end awaited and its descriptors closed.
   */
  readonly spawn: (command: Command) => Effect.Effect<Child, SpawnError, Scope.Scope>;
  /**
   * Number of children that it runs well at a time: the default size of a pool.
   * @default the number of cores of this machine
   */
  readonly capacity?: Effect.Effect<number> | undefined;
}

/**
 * The tag of the backend service.
 *
 * @since 0.1.0
 * @category tags
 */
export const Backend: Context.Tag<Backend, Backend> = Implementation.Tag;

/**
 * The failures of a call of a task, apart from those of the task.
 *
 * @since 0.1.0
 * @category errors
 */
export type CallError = EncodeError | DecodeError | MessageTooLarge | TaskError | SpawnError | ProcessDied;
