/**
 * The commands of `@effect/platform`, run by this program: one layer provides `CommandExecutor`.
 *
 * `Command` of `@effect/platform` describes a program to run: its arguments, environment, directory, input, and the
 * commands that it is piped to. {@link layer} runs it with `Deno.Command`.
 *
 * ```ts
 * import * as Command from "@effect/platform/Command";
 * import * as CommandExecutor from "@effect-deno/multiprocessing/CommandExecutor";
 * import { Effect, Stream } from "effect";
 * import { runMain } from "@effect-deno/multiprocessing";
 *
 * const program = Effect.gen(function* () {
 *   console.log(yield* Command.make("echo", "hello").pipe(Command.string));
 *
 *   const sorted = Command.make("sort").pipe(Command.feed("pear\napple\n"), Command.pipeTo(Command.make("tr", "a-z", "A-Z")));
 *   console.log(yield* Command.lines(sorted));
 *
 *   const killed = yield* Command.make("sh", "-c", "kill -9 $$").pipe(Command.exitCode);
 *   console.log(killed, CommandExecutor.signalOf(killed));
 *
 *   const missing = yield* Command.make("no-such-program").pipe(Command.string, Effect.flip);
 *   console.log(missing._tag, missing.message.split(":")[0]);
 *
 *   const count = yield* Command.make("yes").pipe(Command.streamLines, Stream.take(1000), Stream.runCount);
 *   console.log(count, "times yes");
 * }).pipe(Effect.provide(CommandExecutor.layer()));
 *
 * if (import.meta.main) runMain(program);
 * ```
 *
 * ```text
 * hello
 *
 * [ "APPLE", "PEAR" ]
 * -9 SIGKILL
 * SystemError NotFound
 * 1000 times yes
 * ```
 *
 * ## Guarantees
 *
 * - A command has ended when its scope has closed, and so have the programs that it has started: all get `killSignal`,
 *   and those still running after `forceKillAfter` get SIGKILL. Such a kill is logged as a warning.
 * - A command does not outlive this program, by whatever means the program ends: see [No orphan](#no-orphan).
 * - `Command.string`, `lines`, `stream`, `streamLines` and `exitCode` drain the outputs that they do not return, so a
 *   command never blocks on a full pipe. Its stdin is empty, unless the command has one.
 * - While a program awaits the exit code or one output of a started process, its unread outputs are buffered, up to
 *   `maxBuffer` bytes each. Beyond that the wait fails with a `SystemError` that names the output.
 * - All commands of a chain are started at once, and end together. The chain fails if one of them cannot be started. Its
 *   process has the stdin of the first command, and the outputs and the exit code of the last.
 * - If the Stream of its stdin fails, the command is ended before its input ends, and its outputs and its exit code fail
 *   with that failure. If the command closes its stdin early, the Stream is interrupted, which is no failure.
 * - The end by a signal is data: the exit code is `-n` after signal `n`, as that of a `Process`.
 *   {@link signalOf} gives its name.
 *
 * ## Failures
 *
 * | failure | when |
 * | --- | --- |
 * | `SystemError`, `NotFound` | there is no such program, or no such directory |
 * | `SystemError`, `PermissionDenied` | it is not executable, or this program lacks `--allow-run` for it or for the guard |
 * | `SystemError`, `WouldBlock` | more than `maxBuffer` bytes of an output have no reader |
 * | `SystemError`, `Busy` | stdin has a writer already |
 * | `SystemError`, `BadResource` | the command has closed its stdin, and the Sink of its process writes to it |
 * | `BadArgument` | an argument or variable with a NUL byte, too many of them, an unknown signal or encoding |
 *
 * ## No orphan
 *
 * With its first command the layer starts a guard, a shell in a session of its own that reads from a pipe of this program.
 * When the program ends, in whatever way, so does the pipe, and the guard kills the commands and the programs that they
 * have started. The guard ends with the layer.
 *
 * A command leads a process group of its own, so that signals reach the programs that it has started. A command
 * with `Command.stdin("inherit")` does not, because only the group of this program may read the terminal: signals reach
 * that command alone.
 *
 * | flags | what they allow |
 * | --- | --- |
 * | `--allow-run` | everything |
 * | `--allow-run=git,/bin/sh` | the command `git`; signals reach it alone, and the programs that it has started get SIGKILL |
 * | `--allow-run=git` | with `guard: false`: the same, but `git` survives this program if that is killed |
 *
 * On Windows there is no guard, and a command leads no group.
 *
 * @module
 */
import "./internal/os/runtime.ts";
import type * as Platform from "@effect/platform/CommandExecutor";
import { CommandExecutor } from "@effect/platform/CommandExecutor";
import type * as Duration from "effect/Duration";
import * as Effect from "effect/Effect";
import * as Layer from "effect/Layer";
import { constants } from "node:os";
import { makeExecutor, unusable } from "./internal/platform/executor.ts";
import { CommandGuard } from "./internal/platform/guard.ts";
import * as Arguments from "./internal/os/arguments.ts";
import { duration } from "./internal/os/durations.ts";

/**
 * Options of the executor, for all its commands.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The signal that asks a command to end when its scope closes. @default "SIGTERM" */
  readonly killSignal?: Deno.Signal | undefined;
  /** The time from `killSignal` to SIGKILL. @default 5 seconds */
  readonly forceKillAfter?: Duration.DurationInput | undefined;
  /** Bytes of an unread output that are buffered. @default 16777216 */
  readonly maxBuffer?: number | undefined;
  /** Kill the commands when this program has ended in any way. Needs `--allow-run=/bin/sh`. @default true */
  readonly guard?: boolean | undefined;
}

const MAX_BUFFER = 16 * 1024 * 1024;

const checks: Arguments.Checks = {
  killSignal: Arguments.optional(
    Arguments.must((value) => typeof value === "string" && /^SIG[A-Z0-9]+$/.test(value), 'a signal, such as "SIGTERM"'),
  ),
  forceKillAfter: Arguments.optional(duration),
  maxBuffer: Arguments.optional(Arguments.countOrInfinite),
  guard: Arguments.optional(Arguments.boolean),
};

/**
 * Provides the `CommandExecutor` of `@effect/platform`.
 *
 * If an option is invalid, each command fails with a `BadArgument`.
 *
 * *Interruption:* an interrupted command is ended by the kill policy. *Release:* the guard ends when the layer is
 * released and the last command has ended.
 *
 * ```ts
 * import * as Command from "@effect/platform/Command";
 * import * as CommandExecutor from "@effect-deno/multiprocessing/CommandExecutor";
 * import { Effect } from "effect";
 *
 * export const status = Command.make("git", "status", "--short").pipe(
 *   Command.lines,
 *   Effect.provide(CommandExecutor.layer({ forceKillAfter: "1 second" })),
 * );
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options = {}): Layer.Layer<Platform.CommandExecutor> => {
  const wrong = Arguments.wrongOptions(options, checks);
  if (wrong !== undefined) {
    return Layer.succeed(CommandExecutor, unusable(Arguments.invalidOption("CommandExecutor", wrong)));
  }
  const { forceKillAfter = "5 seconds", guard = true, killSignal = "SIGTERM", maxBuffer = MAX_BUFFER } = options;
  return Layer.scoped(
    CommandExecutor,
    Effect.map(
      guard && Deno.build.os !== "windows"
        ? Effect.acquireRelease(
          Effect.sync(() => {
            const guard = new CommandGuard();
            guard.hold();
            return guard;
          }),
          (guard) => Effect.promise(() => guard.release()),
        )
        : Effect.succeed(undefined),
      (guard) => makeExecutor({ killSignal, forceKillAfter, maxBuffer, guard }),
    ),
  );
};

/**
 * The signal that ended a command, from its exit code; `undefined` if no signal did.
 *
 * ```ts
 * import { signalOf } from "@effect-deno/multiprocessing/CommandExecutor";
 *
 * console.log(signalOf(-15), signalOf(1));
 * ```
 *
 * ```text
 * SIGTERM undefined
 * ```
 *
 * @since 0.1.0
 * @category accessors
 */
export const signalOf = (exitCode: number): Deno.Signal | undefined => signals.get(-exitCode);

const signals: ReadonlyMap<number, Deno.Signal> = new Map(
  Object.entries(constants.signals).map(([name, number]) => [number, name as Deno.Signal]),
);
