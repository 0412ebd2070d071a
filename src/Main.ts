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
import * as Cause from "effect/Cause";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as FiberId from "effect/FiberId";
import { self } from "./internal/rpc/identity.ts";
import * as Arguments from "./internal/os/arguments.ts";
import { pretty } from "./internal/codec/cause.ts";

/** Signals that end a program in good order, with the exit codes that shells expect. */
const signals = { SIGINT: 130, SIGTERM: 143, ...(Deno.build.os === "windows" ? {} : { SIGHUP: 129 }) } as const;

/**
 * Options of {@link runMain}.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Makes the text that is printed for a failure. @default the readable cause, with the remote stacks */
  readonly report?: ((cause: Cause.Cause<unknown>) => string) | undefined;
}

const checks: Arguments.Checks = {
  program: Arguments.effect,
  options: Arguments.options({ report: Arguments.optional(Arguments.func) }),
};

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
 * import { Console } from "effect";
 *
 * if (import.meta.main) Mp.runMain(Console.log("hello"));
 * ```
 *
 * @since 0.1.0
 * @category running
 */
export const runMain = <A, E>(program: Effect.Effect<A, E>, options: Options = {}): void => {
  const wrong = Arguments.wrong({ program, options }, checks);
  if (wrong !== undefined) throw new TypeError(Arguments.invalidArgument("runMain", wrong));
  if (self().parent !== undefined) {
    // Otherwise each child would start children of its own, without end.
    throw new Error(
      "Cannot run a program in a child process, which has loaded this module for its tasks: write `if (import.meta.main) runMain(...)`",
    );
  }
  // A suspended fiber alone does not keep the process alive.
  const alive = setInterval(() => {}, 2 ** 30);
  let code: number | undefined;
  let stop = (): void => {};
  // Before the program runs: as soon as it prints anything, another program may send a signal.
  for (const [signal, number] of Object.entries(signals)) {
    Deno.addSignalListener(signal as Deno.Signal, () => {
      if (code !== undefined) Deno.exit(code);
      code = number;
      stop();
    });
  }
  const fiber = Effect.runFork(program);
  stop = () => fiber.unsafeInterruptAsFork(FiberId.none);
  fiber.addObserver((exit) => {
    clearInterval(alive);
    if (Exit.isSuccess(exit)) Deno.exit(code);
    if (code !== undefined && Cause.isInterruptedOnly(exit.cause)) Deno.exit(code);
    console.error(options.report === undefined ? pretty(exit.cause) : options.report(exit.cause));
    Deno.exit(code ?? 1);
  });
};
