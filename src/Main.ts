/**
 * Runs a program as a script.
 *
 * {@link runMain} runs an Effect to its end and exits the process with its result. A failure is printed with the stack
 * of the child that it comes from, and the exit code is 1.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Console, Effect } from "effect";
 *
 * const shout = Mp.Task.make(import.meta, "shout", (text: string) => text.toUpperCase());
 *
 * const program = Mp.Process.run(shout, "hello").pipe(
 *   Effect.flatMap(Console.log),
 *   Effect.provide(Mp.SubprocessBackend.layer()),
 * );
 *
 * if (import.meta.main) Mp.runMain(program);
 * ```
 *
 * ```text
 * HELLO
 * ```
 *
 * ## Options
 *
 * `teardown`, `disableErrorReporting` and `disablePrettyLogger` are those of `runMain` of `@effect/platform`. With `layer`, the
 * program gets its services, and its loggers, which then also get the report of a failure:
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect, Exit } from "effect";
 *
 * const fail = Mp.Task.make(import.meta, "fail", () => Effect.fail("no licence"));
 *
 * if (import.meta.main) {
 *   Mp.runMain(Mp.Process.run(fail), {
 *     layer: Mp.SubprocessBackend.layer(),
 *     disableErrorReporting: true,
 *     teardown: (exit, onExit) => {
 *       console.log(Exit.isFailure(exit) ? "failed, which is no error here" : "done");
 *       onExit(0);
 *     },
 *   });
 * }
 * ```
 *
 * ```text
 * failed, which is no error here
 * ```
 *
 * ## Ctrl-C
 *
 * - Ctrl-C once, SIGTERM or SIGHUP: the program is interrupted. Its scopes close, its children are terminated and
 *   finalizers run. The exit code is 128 plus the number of the signal.
 * - Twice: the program exits at once, and its children are killed.
 * - Children leave Ctrl-C to their parent, and print nothing.
 *
 * `deno test -A tests/api/Main_test.ts` tests this.
 *
 * ## From Python
 *
 * | Python | here |
 * | --- | --- |
 * | `if __name__ == "__main__": main()` | `if (import.meta.main) runMain(program)` |
 * | `KeyboardInterrupt` | the interruption of the program |
 * | `freeze_support` | not needed: a child never runs the main module as the main one |
 *
 * @module
 */
import "./internal/os/runtime.ts";
import * as Cause from "effect/Cause";
import * as Effect from "effect/Effect";
import * as Equal from "effect/Equal";
import * as Exit from "effect/Exit";
import * as FiberId from "effect/FiberId";
import * as FiberRef from "effect/FiberRef";
import * as FiberRefs from "effect/FiberRefs";
import type * as Layer from "effect/Layer";
import { self } from "./internal/rpc/identity.ts";
import * as Arguments from "./internal/os/arguments.ts";
import { pretty } from "./internal/codec/cause.ts";

/** Signals that end a program in good order, with the exit codes that shells expect. */
const signals = { SIGINT: 130, SIGTERM: 143, ...(Deno.build.os === "windows" ? {} : { SIGHUP: 129 }) } as const;

/**
 * Decides how a program exits: it is called with the result, and calls `onExit` with the exit code. The type is that of
 * `@effect/platform`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Teardown {
  /** `onExit` ends the process, so it is the last call. */
  <A, E>(exit: Exit.Exit<A, E>, onExit: (code: number) => void): void;
}

/**
 * Options of {@link runMain}. Those of `runMain` of `@effect/platform` have the same names here.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options<in R = never, out E = unknown> {
  /** Provides services to the program, and its loggers to the report of a failure as well. */
  readonly layer?: Layer.Layer<R, E> | undefined;
  /** Decides the exit code, after the program has ended. @default the rules of {@link runMain} */
  readonly teardown?: Teardown | undefined;
  /** Whether a failure is not reported. @default false */
  readonly disableErrorReporting?: boolean | undefined;
  /**
   * Whether a failure is reported as an entry of Effect's own logger, instead of being printed to stderr in readable form.
   * With another logger in `layer`, such as `Logger.json`, it is always an entry. @default false
   */
  readonly disablePrettyLogger?: boolean | undefined;
  /** Makes the text that is printed to stderr for a failure. @default the readable cause, with the remote stacks */
  readonly report?: ((cause: Cause.Cause<unknown>) => string) | undefined;
}

const checks: Arguments.Checks = {
  program: Arguments.effect,
  options: Arguments.options({
    layer: Arguments.optional(Arguments.layer),
    teardown: Arguments.optional(Arguments.func),
    disableErrorReporting: Arguments.optional(Arguments.boolean),
    disablePrettyLogger: Arguments.optional(Arguments.boolean),
    report: Arguments.optional(Arguments.func),
  }),
};

/** Reports a failure to the loggers of the fiber; a program that has not chosen any gets readable text. */
const reportFailure = (
  cause: Cause.Cause<unknown>,
  { disablePrettyLogger = false, report = pretty }: Options<never>,
): Effect.Effect<void> =>
  Effect.flatMap(FiberRef.get(FiberRef.currentLoggers), (loggers) => {
    const isDefault = Equal.equals(loggers, FiberRefs.getOrDefault(FiberRefs.empty(), FiberRef.currentLoggers));
    return isDefault && !disablePrettyLogger ? Effect.sync(() => console.error(report(cause))) : Effect.logError(cause);
  });

/**
 * Runs a program to its end and exits the process with its result.
 *
 * - Success exits with code 0, or with `Deno.exitCode` if that was set. A failure is printed to stderr in readable form, and the
 *   exit code is 1.
 * - SIGINT (Ctrl-C), SIGTERM and SIGHUP interrupt the program: its scopes close, its children end, and it exits with 128
 *   plus the signal's number. A second signal exits at once.
 * - The program keeps the process alive while it waits, and the process ends with it, even if a worker's thread cannot be
 *   stopped.
 *
 * Throws a `TypeError` if the program is not an Effect, for example a plain function.
 *
 * Python calls it `if __name__ == "__main__"`; here the guard is `import.meta.main`.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect, Logger } from "effect";
 *
 * const program = Effect.log("hello");
 *
 * // Everything that is logged is JSON, and so is the report of a failure.
 * if (import.meta.main) Mp.runMain(program, { layer: Logger.json });
 * ```
 *
 * @since 0.1.0
 * @category running
 */
export const runMain = <A, E, R = never, E2 = never>(
  program: Effect.Effect<A, E, R>,
  ...options: [R] extends [never] ? [options?: Options<R, E2>]
    : [options: Options<R, E2> & { readonly layer: Layer.Layer<R, E2> }]
): void => {
  const chosen: Options<R, E2> = options[0] === undefined ? {} : options[0];
  const wrong = Arguments.wrong({ program, options: chosen }, checks);
  if (wrong !== undefined) throw new TypeError(Arguments.invalidArgument("runMain", wrong));
  if (self().parent !== undefined) {
    // Otherwise each child would start children of its own, without end.
    throw new Error(
      "Cannot run a program in a child process, which has loaded this module for its tasks: write `if (import.meta.main) runMain(...)`",
    );
  }
  // A suspended fiber alone does not keep the process alive.
  const alive = setInterval(() => {}, 2 ** 30);
  /** The exit code of the signal that has interrupted the program. */
  let signalled: number | undefined;
  let stop = (): void => {};
  // Before the program runs: as soon as it prints anything, another program may send a signal.
  for (const [signal, number] of Object.entries(signals)) {
    Deno.addSignalListener(signal as Deno.Signal, () => {
      if (signalled !== undefined) Deno.exit(signalled);
      signalled = number;
      stop();
    });
  }
  const isStopped = (cause: Cause.Cause<unknown>): boolean => signalled !== undefined && Cause.isInterruptedOnly(cause);
  let isReported = chosen.disableErrorReporting === true;
  const reported = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.onError(effect, (cause) => {
      if (isReported || isStopped(cause)) return Effect.void;
      isReported = true;
      return reportFailure(cause, chosen);
    });
  const { layer, teardown } = chosen;
  // Reported inside, where the loggers of the layer are, and outside, for a failure of the layer.
  const provided = layer === undefined ? program : Effect.provide(reported(program), layer);
  const fiber = Effect.runFork(reported(provided as Effect.Effect<A, E | E2>));
  stop = () => fiber.unsafeInterruptAsFork(FiberId.none);
  fiber.addObserver((exit) => {
    clearInterval(alive);
    if (teardown !== undefined) return teardown(exit, Deno.exit);
    if (Exit.isSuccess(exit)) Deno.exit(signalled);
    Deno.exit(signalled ?? 1);
  });
};
