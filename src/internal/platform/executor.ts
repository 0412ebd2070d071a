/**
 * The executor of commands: chains of commands, and the operations that the platform derives from a running command.
 *
 * @module
 */
import * as Command from "@effect/platform/Command";
import * as CommandExecutor from "@effect/platform/CommandExecutor";
import { BadArgument, type PlatformError } from "@effect/platform/Error";
import * as Chunk from "effect/Chunk";
import * as Effect from "effect/Effect";
import * as ExecutionStrategy from "effect/ExecutionStrategy";
import * as Scope from "effect/Scope";
import * as Stream from "effect/Stream";
import type { Method } from "./errors.ts";
import type { Output } from "./output.ts";
import type { CommandSettings } from "./process_group.ts";
import { makeProcess, RunningCommand } from "./running_command.ts";

/** A running command, or a chain of commands. */
type Running = Pick<RunningCommand, "process" | "stdout" | "stderr">;

/** Drains an output that nothing can read. */
const forget = (output: Output | undefined): Effect.Effect<void, never, Scope.Scope> =>
  output === undefined ? Effect.void : Effect.asVoid(Effect.forkScoped(Effect.ignore(output.drain)));

/** Starts a command, or each of a chain. The process of a chain has the input of the first and the outputs of the last. */
const run = (
  command: Command.Command,
  settings: CommandSettings,
  silent: boolean,
): Effect.Effect<Running, PlatformError, Scope.Scope> => {
  const [first, ...rest] = Command.flatten(command);
  if (rest.length === 0) return RunningCommand.start(first, settings, silent);
  return Effect.gen(function* () {
    // The commands end in parallel.
    const chain = yield* Effect.acquireRelease(
      Scope.make(ExecutionStrategy.parallel),
      (scope, exit) => Scope.close(scope, exit),
    );
    const start = (command: Command.StandardCommand): Effect.Effect<Running, PlatformError> =>
      Effect.flatMap(
        Scope.fork(chain, ExecutionStrategy.sequential),
        (scope) => Effect.provideService(RunningCommand.start(command, settings, silent), Scope.Scope, scope),
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
export const makeExecutor = (settings: CommandSettings): CommandExecutor.CommandExecutor =>
  executor((command, silent) => run(command, settings, silent));

/** An executor with an invalid option, whose commands all fail. */
export const unusable = (description: string): CommandExecutor.CommandExecutor =>
  executor(() => Effect.fail(new BadArgument({ module: "Command", method: "spawn", description })));
