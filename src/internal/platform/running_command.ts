/**
 * One running command of `@effect/platform`: its input, its outputs, and its end.
 *
 * @module
 */
import type * as Command from "@effect/platform/Command";
import * as CommandExecutor from "@effect/platform/CommandExecutor";
import { type PlatformError, SystemError } from "@effect/platform/Error";
import * as Cause from "effect/Cause";
import * as Deferred from "effect/Deferred";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Fiber from "effect/Fiber";
import * as FiberId from "effect/FiberId";
import * as Inspectable from "effect/Inspectable";
import * as Option from "effect/Option";
import * as Scope from "effect/Scope";
import * as Sink from "effect/Sink";
import * as Stream from "effect/Stream";
import { failure, isPlatformError, type Method, show } from "./errors.ts";
import { type CommandGuard, SHELL } from "./guard.ts";
import { Output } from "./output.ts";
import { type CommandSettings, end, type ProcessGroup, spawn, stdio } from "./process_group.ts";

type Writer = WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;

/** Deno gives `SIGNALS + n` as the exit code of a process that signal `n` has ended. */
const SIGNALS = 128;

/** A process of the platform with these members. */
export const makeProcess = (members: Omit<CommandExecutor.Process, keyof typeof proto>): CommandExecutor.Process =>
  Object.assign(Object.create(proto), members);

const proto = {
  [CommandExecutor.ProcessTypeId]: CommandExecutor.ProcessTypeId,
  ...Inspectable.BaseProto,
  toJSON(this: CommandExecutor.Process) {
    return { _id: "@effect/platform/CommandExecutor/Process", pid: this.pid };
  },
};

const startGuard = (command: Command.StandardCommand, guard: CommandGuard): void => {
  try {
    guard.start();
  } catch (cause) {
    const said = cause instanceof Error ? cause.message : String(cause);
    throw failure(command, "spawn", cause, `${said}; the guard of commands is ${SHELL}, guard: false does without it`);
  }
};

/** A command that was started. */
export class RunningCommand {
  readonly stdout: Output | undefined;
  readonly stderr: Output | undefined;
  readonly #command: Command.StandardCommand;
  readonly #group: ProcessGroup;
  /** Ends the command, once. */
  readonly #end: Effect.Effect<void>;
  readonly #hasInput: boolean;
  /** Fails if the input of the command does. */
  readonly #broken: Deferred.Deferred<never, PlatformError> = Deferred.unsafeMake(FiberId.none);
  #hasWriter = false;

  private constructor(
    command: Command.StandardCommand,
    group: ProcessGroup,
    end: Effect.Effect<void>,
    maxBuffer: number,
    hasInput: boolean,
  ) {
    this.#command = command;
    this.#group = group;
    this.#end = end;
    this.#hasInput = hasInput;
    this.stdout = this.#output("stdout", maxBuffer);
    this.stderr = this.#output("stderr", maxBuffer);
  }

  /** Starts a command. The stdin of a `silent` one is empty, because nothing can write to it. */
  static start(
    command: Command.StandardCommand,
    settings: CommandSettings,
    silent: boolean,
  ): Effect.Effect<RunningCommand, PlatformError, Scope.Scope> {
    const { guard, maxBuffer } = settings;
    const hasInput = stdio(command.stdin) === "piped" && !(silent && command.stdin === "pipe");
    const spawned = Effect.try({
      try: () => {
        if (guard !== undefined) startGuard(command, guard);
        return spawn(command, settings, silent);
      },
      catch: (cause) => isPlatformError(cause) ? cause : failure(command, "spawn", cause),
    });
    const started = Effect.flatMap(spawned, (group) =>
      Effect.map(
        Effect.cached(end(group, command, settings)),
        (end) => new RunningCommand(command, group, end, maxBuffer, hasInput),
      ));
    return Effect.gen(function* () {
      // Closed after the end of the command, which would otherwise take an interrupted input for a complete one.
      const feeding = yield* Effect.acquireRelease(Scope.make(), (scope, exit) => Scope.close(scope, exit));
      const running = yield* Effect.acquireRelease(started, (running) => running.#release);
      const { stdin: input } = command;
      if (typeof input !== "string") yield* Effect.forkIn(Effect.interruptible(running.#feed(input)), feeding);
      return running;
    });
  }

  /** The process, as the platform sees it. */
  get process(): CommandExecutor.Process {
    const { stderr, stdout } = this;
    const command = this.#command;
    const group = this.#group;
    return makeProcess({
      pid: CommandExecutor.ProcessId(group.leader.pid),
      exitCode: Effect.raceFirst(Deferred.await(group.ended), this.#trouble(stdout, stderr)).pipe(
        Effect.zipLeft(this.#sound),
        Effect.map(({ code, signal }) => CommandExecutor.ExitCode(signal === null ? code : SIGNALS - code)),
      ),
      isRunning: Effect.sync(() => group.running),
      kill: (signal = "SIGTERM") =>
        Effect.zipRight(
          Effect.try({ try: () => group.signal(signal as Deno.Signal), catch: this.#failed("kill") }),
          Effect.asVoid(Deferred.await(group.ended)),
        ),
      stdin: this.#hasInput
        ? Sink.unwrapScoped(
          Effect.map(this.#writer, (writer) => Sink.forEach((bytes: Uint8Array) => this.#write(writer, bytes))),
        )
        : Sink.drain,
      stdout: this.#read(stdout, stderr, command.stdout),
      stderr: this.#read(stderr, stdout, command.stderr),
    });
  }

  #failed(method: Method): (cause: unknown) => PlatformError {
    return (cause) => isPlatformError(cause) ? cause : failure(this.#command, method, cause);
  }

  #output(name: "stdout" | "stderr", maxBuffer: number): Output | undefined {
    const command = this.#command;
    return stdio(command[name]) === "inherit" ? undefined : new Output({
      readable: this.#group.leader[name],
      limit: maxBuffer,
      failed: this.#failed("fromReadable"),
      overflow: () =>
        new SystemError({
          module: "Command",
          method: "fromReadable",
          reason: "WouldBlock",
          pathOrDescriptor: show(command),
          description: `more than ${maxBuffer} bytes of its ${name} have no reader; run the Stream ${name} at the ` +
            "same time, or raise maxBuffer",
        }),
    });
  }

  /** Fails if the input does, or if one of the outputs without a reader exceeds its buffer. */
  #trouble(...unread: ReadonlyArray<Output | undefined>): Effect.Effect<never, PlatformError> {
    const ahead = (output: Output | undefined): Effect.Effect<never, PlatformError> =>
      output === undefined ? Effect.never : Effect.zipRight(output.ahead, Effect.never);
    return unread.reduce((first, output) => Effect.raceFirst(first, ahead(output)), Deferred.await(this.#broken));
  }

  /** Fails if the command was ended because of its input. */
  get #sound(): Effect.Effect<void, PlatformError> {
    return Effect.flatMap(Deferred.poll(this.#broken), Option.getOrElse(() => Effect.void));
  }

  /** The bytes of an output. Fails if the other output exceeds its buffer meanwhile. */
  #read(
    output: Output | undefined,
    other: Output | undefined,
    sink: Command.Command.Output,
  ): Stream.Stream<Uint8Array, PlatformError> {
    if (output === undefined) return Stream.empty;
    const bytes = Stream.concat(output.stream(this.#trouble(other)), Stream.execute(this.#sound));
    return typeof sink === "string" ? bytes : Stream.transduce(bytes, sink);
  }

  /** The one writer of stdin, which closes it if its use succeeds. */
  get #writer(): Effect.Effect<Writer, PlatformError, Scope.Scope> {
    return Effect.acquireRelease(
      Effect.suspend(() => {
        if (this.#hasWriter) {
          return Effect.fail(
            new SystemError({
              module: "Command",
              method: "toWritable",
              reason: "Busy",
              pathOrDescriptor: show(this.#command),
              description: "its stdin has a writer, or had one",
            }),
          );
        }
        this.#hasWriter = true;
        return Effect.sync((): Writer => this.#group.leader.stdin.getWriter());
      }),
      (writer, exit) =>
        Effect.promise(async () => {
          if (Exit.isSuccess(exit)) await writer.close().catch(() => {});
          // A pending write ends with the process.
          else writer.abort().catch(() => {});
        }),
    );
  }

  #write(writer: Writer, bytes: Uint8Array): Effect.Effect<void, PlatformError> {
    return Effect.tryPromise({
      try: () => writer.write(bytes as Uint8Array<ArrayBuffer>),
      catch: this.#failed("toWritable"),
    });
  }

  /** Writes a Stream to stdin. If the Stream fails, the command is ended, because it must not take a part for the whole. */
  #feed(input: Stream.Stream<Uint8Array, PlatformError>): Effect.Effect<void> {
    const feed = (writer: Writer): Effect.Effect<void> =>
      Stream.runForEachWhile(input, (bytes) =>
        this.#write(writer, bytes).pipe(
          Effect.as(true),
          // The command has closed its stdin.
          Effect.catchIf(({ cause }) => cause instanceof Deno.errors.BrokenPipe, () => Effect.succeed(false)),
        )).pipe(
          Effect.catchAllCause((cause) => {
            if (Cause.isInterruptedOnly(cause)) return Effect.void;
            const error = Option.getOrElse(
              Cause.failureOption(cause),
              () => failure(this.#command, "toWritable", Cause.squash(cause)),
            );
            return Effect.zipRight(Deferred.fail(this.#broken, error), this.#end);
          }),
        );
    return Effect.ignore(Effect.scoped(Effect.flatMap(this.#writer, feed)));
  }

  /** Ends the command, and closes its input and outputs. */
  get #release(): Effect.Effect<void> {
    const { stderr, stdout } = this;
    return Effect.gen(this, function* () {
      // Output that is written meanwhile must not block the end.
      const outputs = [stdout, stderr].filter((output) => output !== undefined);
      const drains = yield* Effect.forEach(
        outputs,
        ({ drain }) => Effect.fork(Effect.interruptible(Effect.ignore(drain))),
      );
      yield* this.#end;
      yield* Fiber.interruptAll(drains);
      for (const output of outputs) output.close();
      yield* Effect.promise(async () => {
        const { leader } = this.#group;
        // Fails if the command has closed its stdin.
        if (this.#hasInput && !leader.stdin.locked) await leader.stdin.close().catch(() => {});
        await this.#group.release();
      });
    });
  }
}
