/**
 * Running commands of `@effect/platform` with `Deno.Command`.
 *
 * @module
 */
import * as Command from "@effect/platform/Command";
import * as CommandExecutor from "@effect/platform/CommandExecutor";
import { BadArgument, type PlatformError, SystemError } from "@effect/platform/Error";
import * as Cause from "effect/Cause";
import * as Chunk from "effect/Chunk";
import * as Deferred from "effect/Deferred";
import * as Duration from "effect/Duration";
import * as Effect from "effect/Effect";
import * as ExecutionStrategy from "effect/ExecutionStrategy";
import * as Exit from "effect/Exit";
import * as Fiber from "effect/Fiber";
import * as FiberId from "effect/FiberId";
import * as Inspectable from "effect/Inspectable";
import * as Option from "effect/Option";
import * as Scope from "effect/Scope";
import * as Sink from "effect/Sink";
import * as Stream from "effect/Stream";
import { within } from "../child/stop.ts";
import { type Guard, SHELL } from "./guard.ts";
import { Output } from "./output.ts";

/** How commands are run. */
export interface Settings {
  readonly killSignal: Deno.Signal;
  readonly forceKillAfter: Duration.DurationInput;
  readonly maxBuffer: number;
  /** `undefined` if nothing guards. */
  readonly guard: Guard | undefined;
}

/** The longest pause between two looks at a group whose leader has ended, in milliseconds. */
const LOOK = 100;

/** The exit code of a process whose real one cannot be known. */
const LOST = 255;

/** How long a killed group may take to vanish, in milliseconds. */
const VANISH = 1000;

type Method = "spawn" | "kill" | "exitCode" | "toWritable" | "fromReadable" | "string" | "lines" | "streamLines";

const reasons: ReadonlyArray<readonly [new (message?: string) => Error, SystemError["reason"]]> = [
  [Deno.errors.NotFound, "NotFound"],
  [Deno.errors.PermissionDenied, "PermissionDenied"],
  [Deno.errors.NotCapable, "PermissionDenied"],
  [Deno.errors.AlreadyExists, "AlreadyExists"],
  [Deno.errors.BadResource, "BadResource"],
  [Deno.errors.BrokenPipe, "BadResource"],
  [Deno.errors.NotADirectory, "BadResource"],
  [Deno.errors.IsADirectory, "BadResource"],
  [Deno.errors.FilesystemLoop, "BadResource"],
  [Deno.errors.Busy, "Busy"],
  [Deno.errors.InvalidData, "InvalidData"],
  [Deno.errors.TimedOut, "TimedOut"],
  [Deno.errors.UnexpectedEof, "UnexpectedEof"],
  [Deno.errors.WouldBlock, "WouldBlock"],
  [Deno.errors.WriteZero, "WriteZero"],
];

/** Error codes of the system for unusable arguments: a NUL byte, or too many bytes. */
const BAD = new Set<unknown>(["EINVAL", "E2BIG"]);

const show = ({ args, command }: Command.StandardCommand): string => [command, ...args].join(" ");

/** The failure of a command. */
export const failure = (
  command: Command.StandardCommand,
  method: Method,
  cause: unknown,
  description: string = cause instanceof Error ? cause.message : String(cause),
): PlatformError =>
  cause instanceof TypeError || BAD.has((cause as { readonly code?: unknown } | undefined)?.code)
    ? new BadArgument({ module: "Command", method, description: `${description} (${show(command)})`, cause })
    : new SystemError({
      module: "Command",
      method,
      reason: reasons.find(([type]) => cause instanceof type)?.[1] ?? "Unknown",
      pathOrDescriptor: show(command),
      description,
      cause,
    });

const proto = {
  [CommandExecutor.ProcessTypeId]: CommandExecutor.ProcessTypeId,
  ...Inspectable.BaseProto,
  toJSON(this: CommandExecutor.Process) {
    return { _id: "@effect/platform/CommandExecutor/Process", pid: this.pid };
  },
};

const stdio = (value: Command.Command.Input | Command.Command.Output): "inherit" | "piped" =>
  value === "inherit" ? "inherit" : "piped";

/** The program and its arguments, by way of the shell if the command asks for one. */
const words = ({ args, command, shell }: Command.StandardCommand): readonly [string, ReadonlyArray<string>] => {
  if (shell === false) return [command, args];
  const line = [command, ...args].join(" ");
  return Deno.build.os === "windows"
    ? [typeof shell === "string" ? shell : "cmd.exe", ["/d", "/s", "/c", line]]
    : [typeof shell === "string" ? shell : "/bin/sh", ["-c", line]];
};

/** Whether a process of a group, as `/proc` lists it, still runs. */
const runsIn = (group: number, pid: string): boolean => {
  try {
    const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
    // The name before it may hold anything, spaces and brackets included.
    const [state, _parent, its] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return Number(its) === group && state !== "Z" && state !== "X";
  } catch (error) {
    // The process has ended since.
    if (error instanceof Deno.errors.NotFound || /No such process/.test(String(error))) return false;
    throw error;
  }
};

/** Whether a group has running members. Needs the permission to run anything. */
const hasMembers = (group: number): boolean => {
  try {
    Deno.kill(-group, 0 as unknown as Deno.Signal);
  } catch (error) {
    // A member may belong to another user.
    if (error instanceof Deno.errors.NotFound) return false;
  }
  if (Deno.build.os !== "linux") return true;
  try {
    // `kill` counts zombies as members, and some containers never reap them.
    return [...Deno.readDirSync("/proc")].some(({ name }) => /^\d+$/.test(name) && runsIn(group, name));
  } catch {
    // This program may not read `/proc`.
    return true;
  }
};

/**
 * A started process. It leads a group, so that the programs that it starts end with it, unless it inherits stdin: only the
 * group of this program may read the terminal.
 */
class Child {
  readonly child: Deno.ChildProcess;
  readonly ended: Deferred.Deferred<Deno.CommandStatus> = Deferred.unsafeMake(FiberId.none);
  readonly #guard: Guard | undefined;
  readonly #target: number;
  /** Whether this program may signal the group. */
  readonly #grouped: boolean;
  #running = true;
  /** Whether the group had members when its leader ended. Otherwise the system may have reused its number. */
  #left = false;

  constructor(child: Deno.ChildProcess, leads: boolean, guard: Guard | undefined) {
    this.child = child;
    this.#guard = guard;
    this.#target = leads ? -child.pid : child.pid;
    this.#grouped = leads && Deno.permissions.querySync({ name: "run" }).state === "granted";
    guard?.hold();
    guard?.add(this.#target);
    // Without a status another part of this program has awaited the process.
    child.status.catch((): Deno.CommandStatus => ({ success: false, code: LOST, signal: null })).then((status) => {
      this.#running = false;
      this.#left = this.#grouped && hasMembers(child.pid);
      if (!this.#left) guard?.remove(this.#target);
      Deferred.unsafeDone(this.ended, Effect.succeed(status));
    });
  }

  /** Whether the process has not ended. */
  get running(): boolean {
    return this.#running;
  }

  /** Whether the process or a member of its group has not ended. */
  get alive(): boolean {
    return this.#running || (this.#left &&= hasMembers(this.child.pid));
  }

  /** Sends a signal to the group, or to the process. Throws the errors of Deno. */
  signal(name: Deno.Signal): void {
    if (!this.alive) return;
    try {
      if (this.#grouped) Deno.kill(-this.child.pid, name);
      else this.child.kill(name);
    } catch (error) {
      // It has ended, but its status has not arrived.
      if (error instanceof Deno.errors.NotFound || /already terminated/.test(String(error))) return;
      throw error;
    }
  }

  /** Waits until the process and its group have ended. */
  readonly gone: Effect.Effect<void> = Effect.suspend(() =>
    Effect.zipRight(Deferred.await(this.ended), this.#vanished(1))
  );

  /** Polls the group, at growing intervals. */
  #vanished(pause: number): Effect.Effect<void> {
    return Effect.suspend(() =>
      this.alive ? Effect.zipRight(Effect.sleep(pause), this.#vanished(Math.min(2 * pause, LOOK))) : Effect.void
    );
  }

  /** Kills the members of the group that this program may not signal. */
  sweep(): void {
    if (!this.#grouped && this.#target < 0) this.#guard?.kill(this.#target);
  }

  /** Releases the guard, after the end. */
  async release(): Promise<void> {
    this.#guard?.remove(this.#target);
    await this.#guard?.release();
  }
}

/** Ends a process and its group by the kill policy. */
const end = (child: Child, command: Command.StandardCommand, settings: Settings): Effect.Effect<void> =>
  Effect.uninterruptible(Effect.gen(function* () {
    if (!child.alive) return;
    const { pid } = child.child;
    const send = (name: Deno.Signal): Effect.Effect<boolean> =>
      Effect.try(() => child.signal(name)).pipe(
        Effect.as(true),
        Effect.catchAll(({ error }) =>
          Effect.as(Effect.logWarning(`"${show(command)}" (pid ${pid}) cannot be ended: ${String(error)}`), false)
        ),
      );
    if (!(yield* send(settings.killSignal))) return;
    if (Option.isNone(yield* within(child.gone, settings.forceKillAfter))) {
      const waited = Duration.format(Duration.decode(settings.forceKillAfter));
      yield* Effect.logWarning(
        `"${show(command)}" (pid ${pid}) had to be killed: it had not ended ${waited} after ${settings.killSignal}; ` +
          "a larger forceKillAfter gives it more time",
      );
      if (!(yield* send("SIGKILL"))) return;
      yield* Deferred.await(child.ended);
      // The system takes a moment to kill the members.
      yield* within(child.gone, VANISH);
    }
    child.sweep();
  }));

/** A running command. */
interface Running {
  readonly process: CommandExecutor.Process;
  readonly stdout: Output | undefined;
  readonly stderr: Output | undefined;
}

const spawn = (command: Command.StandardCommand, { guard }: Settings, silent: boolean): Child => {
  const [program, args] = words(command);
  const env = Object.fromEntries(command.env);
  const leads = command.stdin !== "inherit" && Deno.build.os !== "windows";
  const child = new Deno.Command(program, {
    args: [...args],
    ...(Option.isNone(command.cwd) ? {} : { cwd: command.cwd.value }),
    ...(Object.keys(env).length === 0 ? {} : { env }),
    ...(Option.isNone(command.uid) ? {} : { uid: command.uid.value }),
    ...(Option.isNone(command.gid) ? {} : { gid: command.gid.value }),
    clearEnv: !command.extendEnv,
    detached: leads,
    stdin: silent && command.stdin === "pipe" ? "null" : stdio(command.stdin),
    stdout: stdio(command.stdout),
    stderr: stdio(command.stderr),
  }).spawn();
  return new Child(child, leads, guard);
};

const startGuard = (command: Command.StandardCommand, guard: Guard): void => {
  try {
    guard.start();
  } catch (cause) {
    const said = cause instanceof Error ? cause.message : String(cause);
    throw failure(command, "spawn", cause, `${said}; the guard of commands is ${SHELL}, guard: false does without it`);
  }
};

const isPlatformError = (error: unknown): error is PlatformError =>
  error instanceof SystemError || error instanceof BadArgument;

/** Starts one command. The stdin of a `silent` one is empty, because nothing can write to it. */
const single = (
  command: Command.StandardCommand,
  settings: Settings,
  silent: boolean,
): Effect.Effect<Running, PlatformError, Scope.Scope> =>
  Effect.gen(function* () {
    const { guard, maxBuffer } = settings;
    const hasInput = stdio(command.stdin) === "piped" && !(silent && command.stdin === "pipe");
    const fail = (method: Method) => (cause: unknown): PlatformError =>
      isPlatformError(cause) ? cause : failure(command, method, cause);
    /** Fails if the input of the command does. */
    const broken = yield* Deferred.make<never, PlatformError>();
    // Closed after the end of the command, which would otherwise take an interrupted input for a complete one.
    const feeding = yield* Effect.acquireRelease(Scope.make(), (scope, exit) => Scope.close(scope, exit));

    const output = (child: Child, name: "stdout" | "stderr"): Output | undefined =>
      stdio(command[name]) === "inherit" ? undefined : new Output({
        readable: child.child[name],
        limit: maxBuffer,
        failed: fail("fromReadable"),
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

    const { child, ending, stderr, stdout } = yield* Effect.acquireRelease(
      Effect.flatMap(
        Effect.try({
          try: () => {
            if (guard !== undefined) startGuard(command, guard);
            return spawn(command, settings, silent);
          },
          catch: fail("spawn"),
        }),
        (child) =>
          Effect.map(Effect.cached(end(child, command, settings)), (ending) => ({
            child,
            ending,
            stdout: output(child, "stdout"),
            stderr: output(child, "stderr"),
          })),
      ),
      ({ child, ending, stderr, stdout }) =>
        Effect.gen(function* () {
          // Output that is written meanwhile must not block the end.
          const outputs = [stdout, stderr].filter((output) => output !== undefined);
          const drains = yield* Effect.forEach(
            outputs,
            ({ drain }) => Effect.fork(Effect.interruptible(Effect.ignore(drain))),
          );
          yield* ending;
          yield* Fiber.interruptAll(drains);
          for (const output of outputs) output.close();
          yield* Effect.promise(async () => {
            const { child: process } = child;
            // Fails if the command has closed its stdin.
            if (hasInput && !process.stdin.locked) await process.stdin.close().catch(() => {});
            await child.release();
          });
        }),
    );
    const { child: process } = child;

    const ahead = (output: Output | undefined): Effect.Effect<never, PlatformError> =>
      output === undefined ? Effect.never : Effect.zipRight(output.ahead, Effect.never);
    const trouble = (...unread: ReadonlyArray<Output | undefined>): Effect.Effect<never, PlatformError> =>
      unread.reduce((first, output) => Effect.raceFirst(first, ahead(output)), Deferred.await(broken));
    /** Fails if the command was ended because of its input. */
    const sound: Effect.Effect<void, PlatformError> = Effect.flatMap(
      Deferred.poll(broken),
      Option.getOrElse(() => Effect.void),
    );
    const read = (
      output: Output | undefined,
      other: Output | undefined,
      sink: Command.Command.Output,
    ): Stream.Stream<Uint8Array, PlatformError> => {
      if (output === undefined) return Stream.empty;
      const bytes = Stream.concat(output.stream(trouble(other)), Stream.execute(sound));
      return typeof sink === "string" ? bytes : Stream.transduce(bytes, sink);
    };

    let writes = false;
    const writer = Effect.acquireRelease(
      Effect.suspend(() => {
        if (writes) {
          return Effect.fail(
            new SystemError({
              module: "Command",
              method: "toWritable",
              reason: "Busy",
              pathOrDescriptor: show(command),
              description: "its stdin has a writer, or had one",
            }),
          );
        }
        writes = true;
        return Effect.sync(() => process.stdin.getWriter() as Writer);
      }),
      (writer, exit) =>
        Effect.promise(async () => {
          if (Exit.isSuccess(exit)) await writer.close().catch(() => {});
          // A pending write ends with the process.
          else writer.abort().catch(() => {});
        }),
    );
    const write = (writer: Writer, bytes: Uint8Array): Effect.Effect<void, PlatformError> =>
      Effect.tryPromise({ try: () => writer.write(bytes as Uint8Array<ArrayBuffer>), catch: fail("toWritable") });
    const stdin: CommandExecutor.Process["stdin"] = hasInput
      ? Sink.unwrapScoped(Effect.map(writer, (writer) => Sink.forEach((bytes: Uint8Array) => write(writer, bytes))))
      : Sink.drain;

    const input = command.stdin;
    if (typeof input !== "string") {
      const feed = (writer: Writer): Effect.Effect<void> =>
        Stream.runForEachWhile(input, (bytes) =>
          write(writer, bytes).pipe(
            Effect.as(true),
            // The command has closed its stdin.
            Effect.catchIf(({ cause }) => cause instanceof Deno.errors.BrokenPipe, () => Effect.succeed(false)),
          )).pipe(
            Effect.catchAllCause((cause) => {
              if (Cause.isInterruptedOnly(cause)) return Effect.void;
              const error = Option.getOrElse(
                Cause.failureOption(cause),
                () => failure(command, "toWritable", Cause.squash(cause)),
              );
              // The command ends before its input does: it must not take a part for the whole.
              return Effect.zipRight(Deferred.fail(broken, error), ending);
            }),
          );
      yield* Effect.forkIn(Effect.interruptible(Effect.ignore(Effect.scoped(Effect.flatMap(writer, feed)))), feeding);
    }

    const members: Omit<CommandExecutor.Process, keyof typeof proto> = {
      pid: CommandExecutor.ProcessId(process.pid),
      exitCode: Effect.raceFirst(Deferred.await(child.ended), trouble(stdout, stderr)).pipe(
        Effect.zipLeft(sound),
        Effect.map(({ code, signal }) => CommandExecutor.ExitCode(signal === null ? code : SIGNALS - code)),
      ),
      isRunning: Effect.sync(() => child.running),
      kill: (signal = "SIGTERM") =>
        Effect.zipRight(
          Effect.try({ try: () => child.signal(signal as Deno.Signal), catch: fail("kill") }),
          Effect.asVoid(Deferred.await(child.ended)),
        ),
      stdin,
      stdout: read(stdout, stderr, command.stdout),
      stderr: read(stderr, stdout, command.stderr),
    };
    return { process: makeProcess(members), stdout, stderr };
  });

type Writer = WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;

/** Deno gives `SIGNALS + n` as the exit code of a process that signal `n` has ended. */
const SIGNALS = 128;

const makeProcess = (members: Omit<CommandExecutor.Process, keyof typeof proto>): CommandExecutor.Process =>
  Object.assign(Object.create(proto), members);

/** Drains an output that nothing can read. */
const forget = (output: Output | undefined): Effect.Effect<void, never, Scope.Scope> =>
  output === undefined ? Effect.void : Effect.asVoid(Effect.forkScoped(Effect.ignore(output.drain)));

/** Starts a command, or each of a chain. The process of a chain has the input of the first and the outputs of the last. */
const run = (
  command: Command.Command,
  settings: Settings,
  silent: boolean,
): Effect.Effect<Running, PlatformError, Scope.Scope> => {
  const [first, ...rest] = Command.flatten(command);
  if (rest.length === 0) return single(first, settings, silent);
  return Effect.gen(function* () {
    // The commands end in parallel.
    const chain = yield* Effect.acquireRelease(
      Scope.make(ExecutionStrategy.parallel),
      (scope, exit) => Scope.close(scope, exit),
    );
    const start = (command: Command.StandardCommand): Effect.Effect<Running, PlatformError> =>
      Effect.flatMap(
        Scope.fork(chain, ExecutionStrategy.sequential),
        (scope) => Effect.provideService(single(command, settings, silent), Scope.Scope, scope),
      );
    let last = yield* start(first);
    const { stdin } = last.process;
    for (const next of rest) {
      yield* forget(last.stderr);
      last = yield* start(Command.stdin(next, last.process.stdout) as Command.StandardCommand);
    }
    return { ...last, process: makeProcess({ ...last.process, stdin }) };
  });
};

/** The decoder of an encoding. */
const decoder = (method: Method, encoding: string): Effect.Effect<TextDecoder, PlatformError> =>
  Effect.try({
    try: () => new TextDecoder(encoding),
    catch: (cause) =>
      new BadArgument({ module: "Command", method, description: `there is no encoding "${encoding}"`, cause }),
  });

/** Starts a command. The stdin of a `silent` one is empty. */
type Run = (command: Command.Command, silent: boolean) => Effect.Effect<Running, PlatformError, Scope.Scope>;

const executor = (run: Run): CommandExecutor.CommandExecutor => {
  const stream = (command: Command.Command): Stream.Stream<Uint8Array, PlatformError> =>
    Stream.unwrapScoped(
      Effect.flatMap(run(command, true), ({ process, stderr }) => Effect.as(forget(stderr), process.stdout)),
    );

  const text = (command: Command.Command, method: Method, encoding: string): Stream.Stream<string, PlatformError> =>
    Stream.unwrap(Effect.map(decoder(method, encoding), (decoder) =>
      Stream.concat(
        Stream.map(stream(command), (bytes) => decoder.decode(bytes, { stream: true })),
        // The replacement of an incomplete character.
        Stream.suspend(() => Stream.make(decoder.decode())),
      ).pipe(Stream.filter((part) => part !== ""))));

  const lines = (command: Command.Command, method: Method, encoding: string): Stream.Stream<string, PlatformError> =>
    Stream.splitLines(text(command, method, encoding));

  return {
    [CommandExecutor.TypeId]: CommandExecutor.TypeId,
    start: (command) => Effect.map(run(command, false), ({ process }) => process),
    exitCode: (command) =>
      Effect.scoped(Effect.flatMap(
        run(command, true),
        ({ process, stderr, stdout }) =>
          Effect.zipRight(Effect.zipRight(forget(stdout), forget(stderr)), process.exitCode),
      )),
    stream,
    string: (command, encoding = "utf-8") => Stream.mkString(text(command, "string", encoding)),
    lines: (command, encoding = "utf-8") =>
      Effect.map(Stream.runCollect(lines(command, "lines", encoding)), Chunk.toArray),
    streamLines: (command, encoding = "utf-8") => lines(command, "streamLines", encoding),
  };
};

/** The executor with these settings. */
export const makeExecutor = (settings: Settings): CommandExecutor.CommandExecutor =>
  executor((command, silent) => run(command, settings, silent));

/** An executor with an invalid option, whose commands all fail. */
export const unusable = (description: string): CommandExecutor.CommandExecutor =>
  executor(() => Effect.fail(new BadArgument({ module: "Command", method: "spawn", description })));
