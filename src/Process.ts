/**
 * One running child with a lifetime.
 *
 * - A process is a scoped resource. When its scope closes with success it is joined, if it is a daemon or the scope closes
 *   with failure or interruption it is terminated. Either way it has ended when the scope has closed.
 * - `terminate` asks first: the task is interrupted, so that its finalizers run. After `gracePeriod` follows SIGTERM, after
 *   `forceKillAfter` SIGKILL, and the end is always awaited.
 * - `join` gives the task's own result and failures. A child that ends without an answer, however it does, is a
 *   {@link ProcessDied} that says how; nobody waits for ever.
 *
 * @module
 */
import * as Cause from "effect/Cause";
import * as Deferred from "effect/Deferred";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Option from "effect/Option";
import * as Runtime from "effect/Runtime";
import type * as Scope from "effect/Scope";
import * as Stream from "effect/Stream";
import {
  Backend,
  type CallError,
  type Child,
  type ExitStatus,
  type KillPolicy,
  type Permissions,
  ProcessDied,
  type Signal,
  type SpawnError,
  type Unsupported,
} from "./Backend.ts";
import * as Call from "./backend/call.ts";
import { processChecks, wrongOptions, wrongTask } from "./backend/checks.ts";
import { CALL } from "./backend/request.ts";
import { self } from "./link/self.ts";
import { stop } from "./backend/stop.ts";
import { HandleId } from "./hosted/handles.ts";
import { Local } from "./hosted/process_handle.ts";
import type { ServiceError } from "./hosted/service.ts";
import { type Waitable, WaitId } from "./hosted/waitable.ts";
import { exitCode } from "./process/status.ts";
import type { StreamTask, Task } from "./Task.ts";
import { EncodeError } from "./wire/errors.ts";

export { type KillPolicy, ProcessDied, SpawnError } from "./Backend.ts";
export { Unreachable } from "./hosted/errors.ts";
export type { ServiceError } from "./hosted/service.ts";
export { authKey, cpuCount, current, InvalidAuthKey, parent, type Self, setAuthKey } from "./process/accessors.ts";

/** Marks every process. @since 0.1.0 @category type ids */
export const TypeId: TypeId = "~multiprocessing/Process";
/** Type of the mark of every process. @since 0.1.0 @category type ids */
export type TypeId = "~multiprocessing/Process";

/**
 * How a process ended, as data.
 *
 * - `Success`: the task returned this value.
 * - `Failure`: the task failed, died or was interrupted; the Cause is the remote one.
 * - `Died`: it ended without an answer: by itself (`Deno.exit` in the task), by a signal, by a crash.
 * - `Rejected`: it could not run the task, or its answer could not be read.
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
 * A running process and what becomes of its task. Python's `Process`, started.
 *
 * @since 0.1.0
 * @category models
 */
export interface Process<out A, out E = never> extends Waitable {
  /** Marks it as a process. */
  readonly [TypeId]: TypeId;
  /** Its label: `Process-1` and so on, unless it was given another. */
  readonly name: string;
  /** Whether it is terminated, not joined, when its scope closes. */
  readonly daemon: boolean;
  /** Process id; on the worker backend that of the process which hosts it. */
  readonly pid: number;
  /**
   * Waits until the process has ended, and gives its task's result, or fails as its task failed. May be used any number of
   * times. *Interruption:* stops the waiting, not the process.
   */
  readonly join: Effect.Effect<A, E | CallError>;
  /** Waits until the process has ended, and tells how, as data. *Interruption:* stops the waiting, not the process. */
  readonly exit: Effect.Effect<Outcome<A, E>>;
  /**
   * Waits until the process has ended, and gives its exit code or signal: what Python's `sentinel` is waited on for.
   * *Interruption:* stops the waiting.
   */
  readonly status: Effect.Effect<ExitStatus>;
  /**
   * Waits until the process has ended, and gives its exit code as Python does: 0 if the task succeeded, 1 if it did not, `n`
   * after `Deno.exit(n)`, `-n` if signal `n` ended it. *Interruption:* stops the waiting.
   */
  readonly exitCode: Effect.Effect<number>;
  /** Its exit code or signal if it has ended, without waiting. */
  readonly poll: Effect.Effect<Option.Option<ExitStatus>>;
  /** Whether it has not ended yet. */
  readonly isAlive: Effect.Effect<boolean>;
  /** Asks the task to stop, and returns at once: an Effect is interrupted, its finalizers run. */
  readonly interrupt: Effect.Effect<void>;
  /** Ends the process by its kill policy and waits for its end. Does nothing if it has ended. */
  readonly terminate: Effect.Effect<void>;
  /** Ends the process without asking (SIGKILL), and waits for its end. Does nothing if it has ended. */
  readonly kill: Effect.Effect<void>;
  /** Sends a signal; `false` if it has ended. Fails where the backend has no signals. */
  readonly signal: (signal: Signal) => Effect.Effect<boolean, Unsupported>;
  /** What other processes can be given of it: as an argument, in a queue, anywhere in a message. */
  readonly handle: Handle<A, E>;
  /** What it writes, if the backend pipes stdout; empty otherwise. To be run once. */
  readonly stdout: Stream.Stream<Uint8Array>;
  /** What it writes, if the backend pipes stderr; empty otherwise. To be run once. */
  readonly stderr: Stream.Stream<Uint8Array>;
}

/**
 * A process, for those who have not started it: its operations are asked of the process that has. They fail with
 * `Unreachable` when the scope of the process has closed, or the process that hosts it has ended. A failure of `join` has
 * crossed once more: its `_tag` and fields are those of the original, its class need not be.
 *
 * @since 0.1.0
 * @category models
 */
export interface Handle<out A, out E = never> extends Waitable {
  /** Its label. */
  readonly name: string;
  /** Whether it is terminated, not joined, when its scope closes. */
  readonly daemon: boolean;
  /** Process id; on the worker backend that of the process which hosts it. */
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
  /** Terminated, not joined, when its scope closes. @default false */
  readonly daemon?: boolean | undefined;
  /** Its permissions, instead of the backend's. Where the backend has none to give, a `SpawnError`. */
  readonly permissions?: Permissions | undefined;
}

/** Children of this process that have not ended. */
const active = new Map<Child, Process<unknown, unknown>>();

let count = 0;

const nextName = (): string => {
  const { name, parent } = self();
  return parent === undefined ? `Process-${++count}` : `${name}:${++count}`;
};

/** Why a process itself is in no message. */
const unsendable = {
  [HandleId]: {
    kind: "process",
    encode: (): never => {
      throw new EncodeError("a Process stays with whoever has started it: send its `handle`");
    },
  },
};

/** Sends the request, and keeps what becomes of it for whoever asks. */
/** What a child is there for. */
const running = ({ name }: { readonly name: string }): string => `running task "${name}"`;

const request = (
  child: Child,
  prepared: Call.Prepared,
): Effect.Effect<{ readonly done: Effect.Effect<Exit.Exit<unknown, unknown>>; readonly job: Call.Job }> =>
  Effect.map(Deferred.make<Exit.Exit<unknown, unknown>>(), (done) => {
    const job = Call.start(child, prepared, true, (reply) => {
      if (Exit.isExit(reply)) Deferred.unsafeDone(done, Effect.succeed(reply));
      else Effect.runFork(Deferred.complete(done, Effect.exit(reply)));
    });
    return { done: Effect.zipLeft(Deferred.await(done), child.exited), job };
  });

const outcome = (exit: Exit.Exit<unknown, unknown>): Outcome<unknown, unknown> => {
  if (Exit.isSuccess(exit)) return { _tag: "Success", value: exit.value };
  const error = Option.getOrUndefined(Cause.failureOption(exit.cause));
  if (error instanceof ProcessDied) return { _tag: "Died", error };
  if (Call.isCallError(error)) return { _tag: "Rejected", error };
  return { _tag: "Failure", cause: exit.cause };
};

type Started = Effect.Effect<Process<unknown, unknown>, EncodeError | SpawnError, Backend | Scope.Scope>;

const checked = (
  operation: string,
  task: Task<never, unknown, unknown>,
  args: ReadonlyArray<unknown>,
  options: Options,
): Started => {
  const wrong = wrongTask(operation, task) ?? wrongOptions("process", options, processChecks);
  return wrong === undefined ? start(task, args, options) : Effect.fail(wrong);
};

const start = (
  task: Task<never, unknown, unknown>,
  args: ReadonlyArray<unknown>,
  options: Options,
  modules: ReadonlyArray<string> = [task.url],
): Started =>
  Effect.gen(function* () {
    const backend = yield* Backend;
    // Before anything is started: what makes no sense or cannot be sent is the caller's mistake, and starts nothing.
    const prepared = yield* Call.prepare(task, CALL, args);
    const name = options.name ?? nextName();
    const child = yield* backend.spawn({
      name,
      daemon: options.daemon === true,
      modules,
      permissions: options.permissions,
    });
    const { done, job } = yield* request(child, prepared);
    let observed = false;
    const watched = Effect.suspend(() => {
      observed = true;
      return done;
    });
    const interrupt = Effect.sync(job.cancel);
    const expected = Effect.sync(() => {
      observed = true;
    });
    const terminate = Effect.zipRight(
      expected,
      stop({
        child,
        interruptible: () => job.begun,
        ask: interrupt,
        policy: options,
        doing: running(task),
      }),
    );
    const kill = Effect.zipRight(expected, Effect.zipRight(Effect.orDie(child.kill("SIGKILL")), child.exited));
    const finish = Effect.flatMap(
      done,
      (exit) =>
        observed || Exit.isSuccess(exit) || Exit.isInterrupted(exit) ? Effect.void : Effect.logError(
          `${name} (pid ${child.pid}) failed, and nobody joined it`,
          exit.cause,
        ),
    );
    // Registered before what waits for the end, so that it comes after it: who joins by a handle is answered first.
    const hand = { release: (): void => {} };
    yield* Effect.addFinalizer(() => Effect.sync(() => hand.release()));
    yield* Effect.addFinalizer((exit) =>
      Exit.isSuccess(exit) && options.daemon !== true
        ? Effect.onInterrupt(Effect.interruptible(finish), () => terminate)
        : terminate
    );
    /** They wait for its end. */
    const watchers = new Set<() => void>();
    const process: Process<unknown, unknown> = Object.setPrototypeOf({
      get handle() {
        return handle;
      },
      [WaitId]: {
        look: (answer: (ready: boolean) => void): void => answer(child.status() !== undefined),
        watch: (ready: () => void): () => void => {
          watchers.add(ready);
          return () => watchers.delete(ready);
        },
      },
      [TypeId]: TypeId,
      name,
      daemon: options.daemon === true,
      pid: child.pid,
      join: Effect.flatten(watched),
      exit: Effect.map(watched, outcome),
      status: child.exited,
      exitCode: Effect.map(child.exited, exitCode),
      poll: Effect.sync(() => Option.fromNullable(child.status())),
      isAlive: Effect.sync(() => child.status() === undefined),
      interrupt,
      terminate,
      kill: Effect.asVoid(kill),
      signal: child.kill,
      stdout: child.stdout,
      stderr: child.stderr,
    }, unsendable);
    const handle = new Local(process, self().name);
    hand.release = () => handle.release();
    active.set(child, process);
    const ended = Effect.sync(() => {
      active.delete(child);
      for (const ready of watchers) ready();
      watchers.clear();
    });
    yield* Effect.forkDaemon(Effect.zipRight(child.exited, ended));
    return process;
  }).pipe(Effect.withSpan("Process.spawn", { attributes: { "task.name": task.name, "task.url": task.url } }));

/**
 * Starts a process that runs a task, and returns as soon as the system has accepted it.
 *
 * Fails with an `EncodeError` if an argument cannot be sent, before anything is started, and with a `SpawnError` if the
 * process cannot be started, or the task is a plain function. If the process ends before it could run anything, for a flag that Deno does not know for instance,
 * `join` fails with a `SpawnError` that has what Deno said. A task that cannot be found or loaded is a failure of `join`.
 *
 * *Interruption:* a process that was started meanwhile is killed.
 * *Release:* joins the process if the scope closes with success, else terminates it; see {@link Options}.
 *
 * ```ts
 * import { Process, runMain, SubprocessBackend, Task } from "@effect-deno/multiprocessing";
 * import { Effect } from "effect";
 *
 * const greet = Task.make(import.meta, "greet", (name: string) => `hello, ${name}, from ${Deno.pid}`);
 *
 * const program = Effect.gen(function* () {
 *   const child = yield* Process.spawn(greet, "world");
 *   console.log(yield* child.join);
 * }).pipe(Effect.scoped, Effect.provide(SubprocessBackend.layer()));
 *
 * if (import.meta.main) runMain(program);
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const spawn = <Args extends ReadonlyArray<unknown>, A, E>(
  task: Task<Args, A, E>,
  ...args: Args
): Effect.Effect<Process<A, E>, EncodeError | SpawnError, Backend | Scope.Scope> =>
  checked("Process.spawn", task, args, {}) as Effect.Effect<
    Process<A, E>,
    EncodeError | SpawnError,
    Backend | Scope.Scope
  >;

/**
 * {@link spawn} with options.
 *
 * ```ts
 * import { Process, Task } from "@effect-deno/multiprocessing";
 *
 * const greet = Task.make(import.meta, "greet with a name", (name: string) => `hello, ${name}`);
 *
 * export const child = Process.spawnWith({ name: "greeter", gracePeriod: "1 second" })(greet, "world");
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const spawnWith = (
  options: Options,
): <Args extends ReadonlyArray<unknown>, A, E>(
  task: Task<Args, A, E>,
  ...args: Args
) => Effect.Effect<Process<A, E>, EncodeError | SpawnError, Backend | Scope.Scope> =>
<Args extends ReadonlyArray<unknown>, A, E>(task: Task<Args, A, E>, ...args: Args) =>
  checked("Process.spawnWith", task, args, options) as Effect.Effect<
    Process<A, E>,
    EncodeError | SpawnError,
    Backend | Scope.Scope
  >;

/** {@link spawn} for a task of the library's own, which works for these modules. @internal */
export const spawnFor = <Args extends ReadonlyArray<unknown>, A, E>(
  modules: ReadonlyArray<string>,
  options: Options,
  task: Task<Args, A, E>,
  ...args: Args
): Effect.Effect<Process<A, E>, EncodeError | SpawnError, Backend | Scope.Scope> =>
  start(task, args, options, [...modules, task.url]) as Effect.Effect<
    Process<A, E>,
    EncodeError | SpawnError,
    Backend | Scope.Scope
  >;

/**
 * Runs a task in a process of its own and gives its result: a process for one call.
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
  Effect.scoped(
    Effect.flatMap(
      checked("Process.run", task, args, {}),
      (process) => process.join as Effect.Effect<A, E | CallError>,
    ),
  );

/**
 * Runs a task that is a Stream in a process of its own, and gives its elements. The process starts when the stream is run
 * and ends with it. It runs ahead of its reader by a few messages of about 64 KB, no further.
 *
 * *Interruption:* stopping early terminates the process, and waits for its end.
 *
 * ```ts
 * import { Process, Task } from "@effect-deno/multiprocessing";
 * import { Stream } from "effect";
 *
 * const countTo = Task.make(import.meta, "countTo", (n: number) => Stream.range(1, n));
 *
 * export const program = Process.stream(countTo, 1_000_000).pipe(Stream.take(10), Stream.runCollect);
 * ```
 *
 * @since 0.1.0
 * @category running
 */
export const stream = <Args extends ReadonlyArray<unknown>, A, E>(
  task: StreamTask<Args, A, E>,
  ...args: Args
): Stream.Stream<A, E | CallError | SpawnError, Backend> =>
  Stream.unwrapScoped(Effect.gen(function* () {
    const wrong = wrongTask("Process.stream", task);
    if (wrong !== undefined) return yield* Effect.fail(wrong);
    const backend = yield* Backend;
    const prepared = yield* Call.prepare(task, CALL, args);
    const child = yield* backend.spawn({ name: nextName(), daemon: true, modules: [task.url] });
    // Its task ends the process; one that does not, though it was asked to, is ended by the kill policy.
    const end = stop({
      child,
      interruptible: () => true,
      ask: Effect.void,
      policy: {},
      doing: running(task),
    });
    yield* Effect.addFinalizer(() => end);
    const runtime = yield* Effect.runtime();
    const hurry = (): void => void Runtime.runFork(runtime)(end);
    return Call.stream(child, prepared, true, { stopping: hurry }) as Stream.Stream<A, E | CallError>;
  }));

/**
 * The processes that this one has started and that have not ended: in the order in which they were started. Workers of
 * pools are not among them. Python's `active_children()`.
 *
 * @since 0.1.0
 * @category accessors
 */
export const activeChildren: Effect.Effect<ReadonlyArray<Process<unknown, unknown>>> = Effect.sync(() =>
  [...active].flatMap(([child, process]) => child.status() === undefined ? [process] : [])
);
