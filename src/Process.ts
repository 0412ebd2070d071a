/**
 * One running child with a lifetime.
 *
 * - A process is a scoped resource. It has ended when the scope in which it was started has closed.
 * - If the scope closes with success, the process is joined, or terminated if it is a `daemon`.
 * - If the scope closes with a failure or an interruption, the process is terminated.
 * - `join` returns the task's own result, or fails as the task failed. If the child ends without an answer, `join` fails with a
 *   {@link ProcessDied}, which says how the child ended. No caller waits for ever.
 * - If this program dies, by any means, its children end soon after, busy or not.
 *
 * ## Ending a process
 *
 * `terminate` interrupts the task first, and always waits for the end of the process. A kill that the program did not ask for
 * is logged as one warning, which names the process, its task and the option that gives it more time.
 *
 * | step | after | default |
 * | --- | --- | --- |
 * | the task is interrupted, and its finalizers run | at once | |
 * | SIGTERM | `gracePeriod` after the interruption | 5 seconds |
 * | SIGKILL | `forceKillAfter` after SIGTERM | 500 milliseconds |
 *
 * A plain function cannot be interrupted; it gets SIGTERM at once. Both times are options of `Process.spawnWith` and of
 * `Pool.make`, whose default `gracePeriod` is 1 second.
 *
 * The way in which a process ended is data: `exit` returns an `Outcome`, which is one of `Success`, `Failure`, `Died` and
 * `Rejected`.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Deferred, Effect, Stream } from "effect";
 *
 * const rest = Mp.Task.make(import.meta, "rest", (ready: Stream.Stream<unknown>) =>
 *   Stream.runDrain(ready).pipe(
 *     Effect.zipRight(Effect.never),
 *     Effect.onInterrupt(() => Effect.sync(() => console.log("tidied up"))),
 *   ));
 *
 * const leave = Mp.Task.make(import.meta, "leave", () => Deno.exit(3));
 *
 * const program = Effect.gen(function* () {
 *   const ready = yield* Deferred.make<void>(); // done when the child pulls the stream
 *   const signal = Stream.fromEffect(Deferred.succeed(ready, undefined));
 *   const sleeper = yield* Mp.Process.spawnWith(rest, [signal], { name: "sleeper", gracePeriod: "10 seconds" });
 *   yield* Deferred.await(ready);
 *   console.log(sleeper.name, yield* sleeper.isAlive);
 *   yield* sleeper.terminate;
 *   console.log((yield* sleeper.exit)._tag, yield* sleeper.isAlive);
 *
 *   const leaver = yield* Mp.Process.spawn(leave);
 *   const outcome = yield* leaver.exit;
 *   console.log(outcome._tag, yield* leaver.exitCode);
 * }).pipe(Effect.scoped, Effect.provide(Mp.SubprocessBackend.layer()));
 *
 * if (import.meta.main) Mp.runMain(program);
 * ```
 *
 * ```text
 * sleeper true
 * tidied up
 * Failure false
 * Died 3
 * ```
 *
 * Before a child ends in good order, it writes out its standard streams: asynchronous writes that a task has begun and
 * not awaited are not cut off.
 *
 * ## The rules
 *
 * | question | answer |
 * | --- | --- |
 * | Join twice? | Yes. `join`, `exit`, `exitCode` and `status` return the same answer each time. |
 * | Join oneself? | Not possible: `Process.current` describes this process, and has no `join`. |
 * | Terminate a process that has ended? | `terminate` and `kill` do nothing; `signal` answers `false`. |
 * | A failure that was never joined? | It is logged as an error when the scope closes. |
 * | May a daemon start processes? | Yes, and so may a worker of a pool. They end with it. |
 * | Is a daemon's child a daemon? | No. `daemon` is not inherited: the scope that started a child decides. |
 * | May a module start a process while a child loads it? | No: `SpawnError`, `Loading`. Start it under `if (import.meta.main)` or in a task. |
 * | Change a name? | No. A name is a label, fixed at the start. Two processes may have the same name. |
 * | Which names are the default? | `Process-1` and so on; in a child, its own name with `:1` and so on; `PoolWorker-1:2` is the first pool's second worker. |
 * | Which exit code? | 0 after success, 1 after a failure, the low 8 bits of `n` after `Deno.exit(n)`, `-n` after signal `n`. |
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect } from "effect";
 *
 * const name = Mp.Task.make(import.meta, "name", () => Effect.map(Mp.Process.current, ({ name }) => name));
 *
 * const nest = Mp.Task.make(import.meta, "nest", () => Mp.Process.run(name)); // its child's name
 *
 * const spin = Mp.Task.make(import.meta, "spin", () => {
 *   while (true);
 * });
 *
 * const program = Effect.gen(function* () {
 *   const daemon = yield* Mp.Process.spawnWith(nest, [], { daemon: true, name: "daemon" });
 *   console.log(yield* daemon.join, yield* daemon.join);
 *
 *   const spinner = yield* Mp.Process.spawn(spin);
 *   console.log((yield* Mp.Process.activeChildren).map(({ name }) => name));
 *   yield* spinner.kill;
 *   yield* spinner.terminate; // does nothing
 *   console.log(yield* spinner.exitCode, yield* spinner.signal("SIGTERM"));
 * }).pipe(Effect.scoped, Effect.provide(Mp.SubprocessBackend.layer()));
 *
 * if (import.meta.main) Mp.runMain(program);
 * ```
 *
 * ```text
 * daemon:1 daemon:1
 * [ "Process-1" ]
 * -9 false
 * ```
 *
 * ## The environment of a child
 *
 * | | a subprocess | a worker |
 * | --- | --- | --- |
 * | modules | those of its tasks, imported, never run as the main one | the same |
 * | variables | a copy of this program's with `env` added; with `clearEnv` only `env` and the variables that Deno itself needs | this program's, shared |
 * | working directory | this program's, or `cwd` | this program's, shared |
 * | permissions | see `SubprocessBackend` | this program's |
 * | `Deno.args` | empty | this program's |
 * | stdin | empty, or this program's with `stdin: "inherit"` | this program's |
 * | stdout, stderr | this program's, or streams of the process with `"pipe"`, or nothing | this program's |
 * | name, parent | `Process.current` | the same |
 * | loggers, levels | Effect's defaults, or those of its task's `layer` | the same |
 * | `authKey` | its parent's, over their private link | the same |
 *
 * The `authKey` is 32 random bytes, made in the main program. `Process.setAuthKey` replaces it for this process and for
 * the children that it starts from then on. The key is `Redacted`: it is never on a command line, and it is not
 * printed.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect, Redacted } from "effect";
 *
 * const look = Mp.Task.make(import.meta, "look", () =>
 *   Effect.map(Mp.Process.authKey, (key) => ({
 *     user: Deno.env.get("APP_USER"),
 *     cwd: Deno.cwd(),
 *     args: Deno.args,
 *     key: Redacted.value(key).length,
 *   })));
 *
 * const program = Effect.gen(function* () {
 *   yield* Mp.Process.setAuthKey(new TextEncoder().encode("our secret"));
 *   console.log(yield* Mp.Process.run(look), yield* Mp.Process.authKey);
 * }).pipe(Effect.provide(Mp.SubprocessBackend.layer({ cwd: "/", env: { APP_USER: "ada" } })));
 *
 * if (import.meta.main) Mp.runMain(program);
 * ```
 *
 * ```text
 * { user: "ada", cwd: "/", args: [], key: 10 } <redacted>
 * ```
 *
 * ## From Python
 *
 * | Python | here |
 * | --- | --- |
 * | `Process(target, args)`, `start` | `Process.spawn(task, ...args)`; there is no process that was not started |
 * | `name`, `daemon` | `Process.spawnWith(task, [...args], { name, daemon })`, then `process.name`, `process.daemon`: fixed |
 * | `pid`, `ident` | `process.pid` |
 * | `join()` | `process.join`, which gives the result; `process.exit` gives it as data |
 * | `join(timeout)` | `Effect.timeout(process.join, "1 second")` |
 * | `exitcode` | `process.exitCode` waits, `process.poll` does not |
 * | `is_alive` | `process.isAlive` |
 * | `sentinel` | `process.status`, an Effect; or the process itself, for `wait` |
 * | `terminate`, `kill` | `process.terminate`, `process.kill`; both wait for the end |
 * | `Process.interrupt` (3.14) | `process.interrupt`; `process.signal` for any signal |
 * | `close` | the scope: it closes when the process has ended |
 * | `current_process`, `parent_process` | `Process.current`, `Process.parent` |
 * | `active_children`, `cpu_count` | `Process.activeChildren`, `Process.cpuCount` |
 * | `authkey` | `Process.authKey`, `Process.setAuthKey` |
 * | `ProcessError` | `ProcessDied`, and the other classes in the documentation of `Backend` |
 * | `TimeoutError` | Effect's `TimeoutException` |
 * | `get_logger`, `log_to_stderr` | `Effect.log` and its loggers; in a child each line carries `process=` and its name |
 * | `util.Finalize` | `Effect.addFinalizer`, `Effect.acquireRelease` |
 * | `util.register_after_fork`, `allow_connection_pickling` | not needed: nothing is forked |
 *
 * @module
 */
// More than 400 lines, because most of them are documentation; the implementation stands in `src/internal`.
import type * as Cause from "effect/Cause";
import * as Effect from "effect/Effect";
import type * as Option from "effect/Option";
import type { Pipeable } from "effect/Pipeable";
import type * as Scope from "effect/Scope";
import type * as Stream from "effect/Stream";
import type {
  Backend,
  CallError,
  EncodeError,
  ExitStatus,
  KillPolicy,
  Permissions,
  ProcessDied,
  Signal,
  SpawnError,
  Unsupported,
} from "./Backend.ts";
import { children } from "./internal/child/accessors.ts";
import { late } from "./internal/os/late_stream.ts";
import { lazily } from "./internal/os/lazy.ts";
import type { ServiceError } from "./internal/objects/service.ts";
import type { Waitable } from "./internal/objects/waitable.ts";
import type { StreamTask, Task } from "./Task.ts";

const implementation = lazily(() => import("./internal/child/process.ts"));

export { type KillPolicy, ProcessDied, SpawnError } from "./Backend.ts";
export { Unreachable } from "./internal/objects/errors.ts";
export type { ServiceError } from "./internal/objects/service.ts";
export { authKey, cpuCount, current, parent, type Self, setAuthKey } from "./internal/child/accessors.ts";
export { InvalidAuthKey } from "./internal/child/errors.ts";

/** Marks every process. @since 0.1.0 @category type ids */
export const TypeId: TypeId = "~multiprocessing/Process";
/** Type of the mark of every process. @since 0.1.0 @category type ids */
export type TypeId = "~multiprocessing/Process";

/**
 * How a process ended, as data.
 *
 * - `Success`: the task returned this value.
 * - `Failure`: the task failed, died or was interrupted; the Cause is that of the child.
 * - `Died`: the process ended without an answer: by itself (`Deno.exit` in the task), by a signal, or by a crash.
 * - `Rejected`: the process could not run the task, or its answer could not be read.
 *
 * @since 0.1.0
 * @category models
 */
export type Outcome<A, E> =
  | { readonly _tag: "Success"; readonly value: A }
  | { readonly _tag: "Failure"; readonly cause: Cause.Cause<E> }
  | { readonly _tag: "Died"; readonly error: ProcessDied }
  | { readonly _tag: "Rejected"; readonly error: CallError };

/**
 * A running process with the outcome of its task. Python's `Process`, started.
 *
 * @since 0.1.0
 * @category models
 */
export interface Process<out A, out E = never> extends Waitable, Pipeable {
  /** Marks the value as a process. */
  readonly [TypeId]: TypeId;
  /** Its label; by default `Process-1` and so on. */
  readonly name: string;
  /** Whether it is terminated, not joined, when its scope closes. */
  readonly daemon: boolean;
  /** Process id. A worker has that of the process that hosts it. */
  readonly pid: number;
  /**
   * Waits until the process has ended, and returns the result of its task, or fails as the task failed. Can be used any number
   * of times. *Interruption:* stops the waiting, not the process.
   */
  readonly join: Effect.Effect<A, E | CallError>;
  /** Waits until the process has ended, and returns its outcome as data. *Interruption:* stops the waiting, not the process. */
  readonly exit: Effect.Effect<Outcome<A, E>>;
  /**
   * Waits until the process has ended, and returns its exit code or signal. In Python, a program waits for the `sentinel`.
   * *Interruption:* stops the waiting.
   */
  readonly status: Effect.Effect<ExitStatus>;
  /**
   * Waits until the process has ended, and returns its exit code, as in Python: 0 if the task succeeded, 1 if it did not, `n`
   * after `Deno.exit(n)`, `-n` if signal `n` ended it. *Interruption:* stops the waiting.
   */
  readonly exitCode: Effect.Effect<number>;
  /** Returns its exit code or signal if it has ended, without waiting. */
  readonly poll: Effect.Effect<Option.Option<ExitStatus>>;
  /** Whether it has not ended yet. */
  readonly isAlive: Effect.Effect<boolean>;
  /** Interrupts the task, and returns at once. Finalizers of an Effect run; a plain function is not affected. */
  readonly interrupt: Effect.Effect<void>;
  /** Ends the process by its kill policy and waits for its end. Does nothing if it has ended. */
  readonly terminate: Effect.Effect<void>;
  /** Kills the process (SIGKILL), and waits for its end. Does nothing if it has ended. */
  readonly kill: Effect.Effect<void>;
  /** Sends a signal. The result is `false` if the process has ended. Fails if the backend has no signals. */
  readonly signal: (signal: Signal) => Effect.Effect<boolean, Unsupported>;
  /** The handle by which other processes use it: as an argument, in a queue, anywhere in a message. */
  readonly handle: Handle<A, E>;
  /** Its output, if the backend pipes stdout; empty otherwise. Can be run once. */
  readonly stdout: Stream.Stream<Uint8Array>;
  /** Its error output, if the backend pipes stderr; empty otherwise. Can be run once. */
  readonly stderr: Stream.Stream<Uint8Array>;
}

/**
 * The handle of a process that another process, its host, has started. The host performs the operations. They fail with
 * `Unreachable` when the scope of the process has closed, or the host has ended. A failure of `join` is sent once more: its
 * `_tag` and fields are those of the original, its class may not be.
 *
 * @since 0.1.0
 * @category models
 */
export interface Handle<out A, out E = never> extends Waitable, Pipeable {
  /** Its label. */
  readonly name: string;
  /** Whether it is terminated, not joined, when its scope closes. */
  readonly daemon: boolean;
  /** Process id. A worker has that of the process that hosts it. */
  readonly pid: number;
  /** Name of the process that has started it. */
  readonly host: string;
  /** {@link Process.join}. */
  readonly join: Effect.Effect<A, E | CallError | ServiceError>;
  /** {@link Process.exit}. */
  readonly exit: Effect.Effect<Outcome<A, E>, ServiceError>;
  /** {@link Process.status}. */
  readonly status: Effect.Effect<ExitStatus, ServiceError>;
  /** {@link Process.exitCode}. */
  readonly exitCode: Effect.Effect<number, ServiceError>;
  /** {@link Process.poll}. */
  readonly poll: Effect.Effect<Option.Option<ExitStatus>, ServiceError>;
  /** {@link Process.isAlive}. */
  readonly isAlive: Effect.Effect<boolean, ServiceError>;
  /** {@link Process.interrupt}. */
  readonly interrupt: Effect.Effect<void, ServiceError>;
  /** {@link Process.terminate}. */
  readonly terminate: Effect.Effect<void, ServiceError>;
  /** {@link Process.kill}. */
  readonly kill: Effect.Effect<void, ServiceError>;
  /** {@link Process.signal}. */
  readonly signal: (signal: Signal) => Effect.Effect<boolean, Unsupported | ServiceError>;
}

/**
 * Options of a process.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends KillPolicy {
  /** Its label. @default `Process-1` and so on; in a child its own name with `:1` and so on */
  readonly name?: string | undefined;
  /** Whether the process is terminated, not joined, when its scope closes. @default false */
  readonly daemon?: boolean | undefined;
  /** Its permissions, instead of those of the backend. A `SpawnError` on a backend without permissions. */
  readonly permissions?: Permissions | undefined;
}

/**
 * Starts a process that runs a task, and returns as soon as the system has accepted it.
 *
 * Fails with an `EncodeError` if an argument cannot be sent, before anything is started, and with a `SpawnError` if the
 * process cannot be started or the task is not a task. If the process ends before it could run anything, for example because of
 * an unknown flag, `join` fails with a `SpawnError` that has Deno's output. If the task cannot be found or loaded, `join` fails.
 *
 * *Interruption:* a process that was started meanwhile is killed.
 * *Release:* joins the process if the scope closes with success, and terminates it otherwise; see {@link Options}.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect } from "effect";
 *
 * const greet = Mp.Task.make(import.meta, "greet", (name: string) => `hello, ${name}, from ${Deno.pid}`);
 *
 * const program = Effect.gen(function* () {
 *   const child = yield* Mp.Process.spawn(greet, "world");
 *   console.log(yield* child.join);
 * }).pipe(Effect.scoped, Effect.provide(Mp.SubprocessBackend.layer()));
 *
 * if (import.meta.main) Mp.runMain(program);
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const spawn = <Args extends ReadonlyArray<unknown>, A, E>(
  task: Task<Args, A, E>,
  ...args: Args
): Effect.Effect<Process<A, E>, EncodeError | SpawnError, Backend | Scope.Scope> =>
  implementation(({ spawn }) => spawn("Process.spawn", task, args, {}));

/**
 * {@link spawn} with options. The arguments of the task are an array, as in all functions whose names end with `With`.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 *
 * const greet = Mp.Task.make(import.meta, "greet with a name", (name: string) => `hello, ${name}`);
 *
 * export const child = Mp.Process.spawnWith(greet, ["world"], { name: "greeter", gracePeriod: "1 second" });
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const spawnWith = <Args extends ReadonlyArray<unknown>, A, E>(
  task: Task<Args, A, E>,
  args: Args,
  options: Options,
): Effect.Effect<Process<A, E>, EncodeError | SpawnError, Backend | Scope.Scope> =>
  implementation(({ spawn }) => spawn("Process.spawnWith", task, args, options));

/**
 * Runs a task in a process of its own, and returns its result.
 *
 * *Interruption:* terminates the process, and waits for its end.
 *
 * @since 0.1.0
 * @category running
 */
export const run = <Args extends ReadonlyArray<unknown>, A, E>(
  task: Task<Args, A, E>,
  ...args: Args
): Effect.Effect<A, E | CallError | SpawnError, Backend> =>
  implementation(({ run }) => run("Process.run", task, args, {}));

/**
 * {@link run} with options.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Console, Effect } from "effect";
 *
 * const first = Mp.Task.make(import.meta, "first line", async (path: string) => {
 *   const text = await Deno.readTextFile(path);
 *   return text.split("\n", 1)[0];
 * });
 *
 * // This process may read one file, and nothing else.
 * const path = import.meta.filename!;
 * const program = Mp.Process.runWith(first, [path], { permissions: { read: [path] } }).pipe(
 *   Effect.flatMap(Console.log), // import * as Mp from "@effect-deno/multiprocessing";
 *   Effect.provide(Mp.SubprocessBackend.layer()),
 * );
 *
 * if (import.meta.main) Mp.runMain(program);
 * ```
 *
 * *Interruption:* as with {@link run}.
 *
 * @since 0.1.0
 * @category running
 */
export const runWith = <Args extends ReadonlyArray<unknown>, A, E>(
  task: Task<Args, A, E>,
  args: Args,
  options: Options,
): Effect.Effect<A, E | CallError | SpawnError, Backend> =>
  implementation(({ run }) => run("Process.runWith", task, args, options));

/**
 * Runs a task that is a Stream in a process of its own, and emits its elements. The process starts when the stream is run and
 * ends with it. The process runs ahead of the reader by at most a few messages of about 64 KB.
 *
 * *Interruption:* stopping early terminates the process, and waits for its end.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Stream } from "effect";
 *
 * const countTo = Mp.Task.make(import.meta, "countTo", (n: number) => Stream.range(1, n));
 *
 * export const program = Mp.Process.stream(countTo, 1_000_000).pipe(Stream.take(10), Stream.runCollect);
 * ```
 *
 * @since 0.1.0
 * @category running
 */
export const stream = <Args extends ReadonlyArray<unknown>, A, E>(
  task: StreamTask<Args, A, E>,
  ...args: Args
): Stream.Stream<A, E | CallError | SpawnError, Backend> =>
  late(implementation(({ stream }) => Effect.succeed(stream("Process.stream", task, args, {}))));

/**
 * {@link stream} with options. The process always ends with the stream, so there is no `daemon`.
 *
 * *Interruption:* as with {@link stream}.
 *
 * @since 0.1.0
 * @category running
 */
export const streamWith = <Args extends ReadonlyArray<unknown>, A, E>(
  task: StreamTask<Args, A, E>,
  args: Args,
  options: Omit<Options, "daemon">,
): Stream.Stream<A, E | CallError | SpawnError, Backend> =>
  late(implementation(({ stream }) => Effect.succeed(stream("Process.streamWith", task, args, options))));

/**
 * The processes that this process has started and that have not ended, in the order of their starts. Workers of pools are not
 * among them. Python's `active_children()`.
 *
 * @since 0.1.0
 * @category accessors
 */
export const activeChildren: Effect.Effect<ReadonlyArray<Process<unknown, unknown>>> = Effect.sync(children);
