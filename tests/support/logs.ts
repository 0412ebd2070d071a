/**
 * Captures the log of a program.
 *
 * @module
 */
import * as Cause from "effect/Cause";
import * as Effect from "effect/Effect";
import * as Logger from "effect/Logger";

/** Runs a program with access to the lines that it has logged so far: level, message and cause. */
export const logging = <A, E, R>(
  program: (lines: ReadonlyArray<string>) => Effect.Effect<A, E, R>,
): Effect.Effect<A, E, R> =>
  Effect.suspend(() => {
    const lines: Array<string> = [];
    const logger = Logger.make(({ cause, logLevel, message }) => {
      const words = [message].flat().map((part) => part instanceof Error ? part.message : String(part)).join(" ");
      lines.push(`${logLevel.label} ${words}${Cause.isEmpty(cause) ? "" : ` ${Cause.pretty(cause)}`}`);
    });
    return Effect.provide(program(lines), Logger.add(logger));
  });
