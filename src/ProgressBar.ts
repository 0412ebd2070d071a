/**
 * Shows the progress of a pool as a bar on the terminal.
 *
 * The bar is drawn on standard error, and only if that is a terminal: in a pipe, a log file or a test nothing is printed, and the package
 * that draws it is not loaded.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import * as ProgressBar from "@effect-deno/multiprocessing/ProgressBar";
 * import { Effect } from "effect";
 *
 * const square = Mp.Task.make(import.meta, "square", (n: number) => n * n);
 *
 * const program = Effect.gen(function* () {
 *   const pool = yield* Mp.Pool.make({ size: 2 });
 *   const progress = yield* Mp.Pool.progress;
 *   yield* ProgressBar.show(progress, { label: "squares" }); // squares  ███░░░  1/3  5.0/s  0:01 left
 *   console.log(yield* pool.map(square, [1, 2, 3], { progress }));
 * }).pipe(Effect.scoped, Effect.provide(Mp.SubprocessBackend.layer()));
 *
 * if (import.meta.main) Mp.runMain(program);
 * ```
 *
 * ```text
 * [ 1, 4, 9 ]
 * ```
 *
 * @module
 */
import * as Effect from "effect/Effect";
import type * as Scope from "effect/Scope";
import * as Arguments from "./internal/os/arguments.ts";
import { lazily } from "./internal/os/lazy.ts";
import { PoolError } from "./internal/pool/errors.ts";
import type { Progress } from "./Pool.ts";

const implementation = lazily(() => import("./internal/progress_bar/bar.ts"));

/** Options of a bar. @since 0.1.0 @category models */
export interface Options {
  /** Text before the bar. @default none */
  readonly label?: string | undefined;
}

const checks: Arguments.Checks = {
  progress: Arguments.marked("~multiprocessing/Progress", "made by Pool.progress"),
  options: Arguments.options({ label: Arguments.optional(Arguments.text) }),
};

/**
 * Draws a progress while the scope is open. Fails with the `PoolError` `InvalidArgument` if an argument is of the wrong kind.
 *
 * *Interruption:* draws nothing.
 * *Release:* draws the last state, and leaves it on the terminal.
 *
 * @since 0.1.0
 * @category constructors
 */
export const show = (progress: Progress, options: Options = {}): Effect.Effect<void, PoolError, Scope.Scope> =>
  Effect.suspend((): Effect.Effect<void, PoolError, Scope.Scope> => {
    const wrong = Arguments.wrong({ progress, options }, checks);
    if (wrong !== undefined) {
      const message = Arguments.invalidArgument("ProgressBar.show", wrong);
      return Effect.fail(new PoolError({ reason: "InvalidArgument", message }));
    }
    return Deno.stderr.isTerminal() ? implementation(({ draw }) => draw(progress, options.label ?? "")) : Effect.void;
  });
