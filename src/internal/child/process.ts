/**
 * The implementation of a process: one child that runs one task.
 *
 * @module
 */
import * as Cause from "effect/Cause";
import * as Deferred from "effect/Deferred";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as FiberId from "effect/FiberId";
import * as Option from "effect/Option";
import type { Pipeable } from "effect/Pipeable";
import * as Runtime from "effect/Runtime";
import type * as Scope from "effect/Scope";
import type * as Stream from "effect/Stream";
import type { Backend, CallError, Child, ExitStatus, Signal, Unsupported } from "../../Backend.ts";
import type * as Process from "../../Process.ts";
import type { Any, StreamTask, Task } from "../../Task.ts";
import { EncodeError } from "../codec/errors.ts";
import { HandleId } from "../objects/handles.ts";
import { lateStream } from "../os/late_stream.ts";
import { inspectable } from "../os/inspect.ts";
import { WaitId } from "../objects/waitable.ts";
import { self } from "../rpc/identity.ts";
import { active } from "./accessors.ts";
import { Tag } from "./backend.ts";
import * as Call from "./call.ts";
import { ProcessDied, type SpawnError } from "./errors.ts";
import { processChecks, wrongArguments, wrongOptions, wrongTask } from "./options.ts";
import { LocalHandle } from "./process_handle.ts";
import { CALL } from "./request.ts";
import { exitCode } from "./status.ts";
import { stop } from "./stop.ts";

const TypeId: Process.TypeId = "~multiprocessing/Process";

/** Number of names that were given by {@link nextName}. */
let named = 0;

const nextName = (): string => {
  const { name, parent } = self();
  return parent === undefined ? `Process-${++named}` : `${name}:${++named}`;
};

/** Describes a process for the warning that it had to be killed. */
const running = ({ name }: Any) => (): string => `running task "${name}"`;

const outcomeOf = <A, E>(exit: Exit.Exit<A, E | CallError>): Process.Outcome<A, E> => {
  if (Exit.isSuccess(exit)) return { _tag: "Success", value: exit.value };
  const error = Option.getOrUndefined(Cause.failureOption(exit.cause));
  if (error instanceof ProcessDied) return { _tag: "Died", error };
  if (Call.isCallError(error)) return { _tag: "Rejected", error };
  return { _tag: "Failure", cause: exit.cause as Cause.Cause<E> };
};

/** A child whose task was sent. */
class RunningProcess<A, E> implements Process.Process<A, E> {
  declare readonly pipe: Pipeable["pipe"];
  readonly [TypeId]: Process.TypeId = TypeId;
  readonly name: string;
  readonly daemon: boolean;
  readonly pid: number;
  readonly handle: LocalHandle<A, E>;
  readonly stdout: Stream.Stream<Uint8Array>;
  readonly stderr: Stream.Stream<Uint8Array>;
  readonly join: Effect.Effect<A, E | CallError>;
  readonly exit: Effect.Effect<Process.Outcome<A, E>>;
  readonly status: Effect.Effect<ExitStatus>;
  readonly exitCode: Effect.Effect<number>;
  readonly poll: Effect.Effect<Option.Option<ExitStatus>>;
  readonly isAlive: Effect.Effect<boolean>;
  readonly interrupt: Effect.Effect<void>;
  readonly terminate: Effect.Effect<void>;
  readonly kill: Effect.Effect<void>;
  readonly signal: (signal: Signal) => Effect.Effect<boolean, Unsupported>;
  readonly #child: Child;
  readonly #exit: Effect.Effect<Exit.Exit<A, E | CallError>>;
  /** Called when the process has ended. */
  readonly #watchers = new Set<() => void>();
  /** Whether the program has asked for the result, or for the end of the process: a failure is then not logged. */
  #observed = false;

  constructor(child: Child, prepared: Call.Prepared, options: Process.Options) {
    const answer = Deferred.unsafeMake<Exit.Exit<A, E | CallError>>(FiberId.none);
    const call = Call.start(child, prepared, true, true, (reply) => {
      if (Exit.isExit(reply)) Deferred.unsafeDone(answer, Effect.succeed(reply as Exit.Exit<A, E | CallError>));
      else Effect.runFork(Deferred.complete(answer, Effect.exit(reply as Effect.Effect<A, E | CallError>)));
    });
    this.#child = child;
    this.#exit = Effect.zipLeft(Deferred.await(answer), child.exited);
    const observed = Effect.sync(() => {
      this.#observed = true;
    });
    const exit = Effect.zipRight(observed, this.#exit);
    const interrupt = Effect.sync(() => call.cancel());
    const ended = stop({
      child,
      interruptible: () => call.interruptible,
      ask: interrupt,
      policy: options,
      doing: running(prepared.task),
    });
    this.name = child.name;
    this.daemon = options.daemon === true;
    this.pid = child.pid;
    this.stdout = child.stdout;
    this.stderr = child.stderr;
    this.join = Effect.flatten(exit);
    this.exit = Effect.map(exit, outcomeOf);
    this.status = child.exited;
    this.exitCode = Effect.map(child.exited, exitCode);
    this.poll = Effect.sync(() => Option.fromNullable(child.status()));
    this.isAlive = Effect.sync(() => child.status() === undefined);
    this.interrupt = interrupt;
    this.terminate = Effect.zipRight(observed, ended);
    this.kill = Effect.asVoid(
      Effect.zipRight(observed, Effect.zipRight(Effect.orDie(child.kill("SIGKILL")), child.exited)),
    );
    this.signal = child.kill;
    this.handle = new LocalHandle(this, self().name);
  }

  /** A process is not part of a message; its handle is. */
  get [HandleId]() {
    return {
      kind: "process",
      encode: (): never => {
        throw new EncodeError("a Process stays in the process that has started it: send its `handle`");
      },
    };
  }

  get [WaitId]() {
    return {
      look: (answer: (ready: boolean) => void): void => answer(this.#child.status() !== undefined),
      watch: (ready: () => void): () => void => {
        this.#watchers.add(ready);
        return () => this.#watchers.delete(ready);
      },
    };
  }

  /** The finalizer: joins the process, or terminates it. */
  release(exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> {
    if (Exit.isFailure(exit) || this.daemon) return this.terminate;
    return Effect.onInterrupt(Effect.interruptible(this.#logged), () => this.terminate);
  }

  /** Keeps the process among the active ones until it has ended. */
  readonly track: Effect.Effect<void> = Effect.suspend(() => {
    active.set(this, () => this.#child.status() === undefined);
    const ended = Effect.sync(() => {
      active.delete(this);
      for (const ready of this.#watchers) ready();
      this.#watchers.clear();
    });
    return Effect.asVoid(Effect.forkDaemon(Effect.zipRight(this.#child.exited, ended)));
  });

  /** Waits for the end, and logs a failure that the program did not ask for. */
  get #logged(): Effect.Effect<void> {
    return Effect.flatMap(
      this.#exit,
      (exit) =>
        this.#observed || Exit.isSuccess(exit) || Exit.isInterrupted(exit)
          ? Effect.void
          : Effect.logError(`${this.name} (pid ${this.pid}) failed, and was never joined`, exit.cause),
    );
  }
}
inspectable(RunningProcess);

type Spawned<A, E> = Effect.Effect<Process.Process<A, E>, EncodeError | SpawnError, Backend | Scope.Scope>;

const start = <A, E>(
  modules: ReadonlyArray<string>,
  options: Process.Options,
  task: Any,
  args: ReadonlyArray<unknown>,
): Spawned<A, E> =>
  Effect.gen(function* () {
    const backend = yield* Tag;
    // Encoded before the start: an argument that cannot be sent fails the caller, and no process is started.
    const prepared = yield* Call.prepare(task, CALL, args);
    const child = yield* backend.spawn({
      name: options.name ?? nextName(),
      daemon: options.daemon === true,
      modules: [...modules, task.url],
      permissions: options.permissions,
    });
    const process = new RunningProcess<A, E>(child, prepared, options);
    // Released after the process has ended, so that a process that joins by the handle is answered first.
    yield* Effect.addFinalizer(() => Effect.sync(() => process.handle.release()));
    yield* Effect.addFinalizer((exit) => process.release(exit));
    yield* process.track;
    return process;
  }).pipe(Effect.withSpan("Process.spawn", { attributes: { "task.name": task.name, "task.url": task.url } }));

const wrongCall = (operation: string, task: unknown, args: unknown, options: unknown): SpawnError | undefined =>
  wrongTask(operation, task) ?? wrongArguments(operation, args) ?? wrongOptions("process", options, processChecks);

/** Starts a process; see `Process.spawn`. */
export const spawn = <Args extends ReadonlyArray<unknown>, A, E>(
  operation: string,
  task: Task<Args, A, E>,
  args: Args,
  options: Process.Options,
): Spawned<A, E> => {
  const wrong = wrongCall(operation, task, args, options);
  return wrong === undefined ? start<A, E>([], options, task, args) : Effect.fail(wrong);
};

/** Runs a task in a process; see `Process.run`. */
export const run = <Args extends ReadonlyArray<unknown>, A, E>(
  operation: string,
  task: Task<Args, A, E>,
  args: Args,
  options: Process.Options,
): Effect.Effect<A, E | CallError, Backend> =>
  Effect.scoped(Effect.flatMap(spawn(operation, task, args, options), (process) => process.join));

/** Starts a process with a task of the library, which needs these modules as well. Options are not checked. */
export const spawnFor = <Args extends ReadonlyArray<unknown>, A, E>(
  modules: ReadonlyArray<string>,
  options: Process.Options,
  task: Task<Args, A, E>,
  ...args: Args
): Spawned<A, E> => start<A, E>(modules, options, task, args);

/** Runs a task that is a Stream in a process of its own; see `Process.stream`. */
export const stream = <Args extends ReadonlyArray<unknown>, A, E>(
  operation: string,
  task: StreamTask<Args, A, E>,
  args: Args,
  options: Omit<Process.Options, "daemon">,
): Stream.Stream<A, E | CallError, Backend> =>
  lateStream(({ unwrapScoped }) =>
    unwrapScoped(Effect.gen(function* () {
      const wrong = wrongCall(operation, task, args, options);
      if (wrong !== undefined) return yield* Effect.fail(wrong);
      const backend = yield* Tag;
      const prepared = yield* Call.prepare(task, CALL, args);
      const child = yield* backend.spawn({
        name: options.name ?? nextName(),
        daemon: true,
        modules: [task.url],
        permissions: options.permissions,
      });
      // The task ends its process. If it does not do so after it was asked to, the kill policy does.
      const ended = stop({
        child,
        interruptible: () => true,
        ask: Effect.void,
        policy: options,
        doing: running(task),
      });
      yield* Effect.addFinalizer(() => ended);
      const runtime = yield* Effect.runtime();
      const stopping = (): void => void Runtime.runFork(runtime)(ended);
      return Call.stream(child, prepared, true, { stopping }) as Stream.Stream<A, E | CallError>;
    }))
  );
