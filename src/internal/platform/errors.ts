/**
 * Failures of commands, as errors of `@effect/platform`.
 *
 * @module
 */
import type * as Command from "@effect/platform/Command";
import { BadArgument, type PlatformError, SystemError } from "@effect/platform/Error";

/** The operation that failed. */
export type Method = "spawn" | "kill" | "exitCode" | "toWritable" | "fromReadable" | "string" | "lines" | "streamLines";

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

/** The command line of a command, for messages. */
export const show = ({ args, command }: Command.StandardCommand): string => [command, ...args].join(" ");

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

/** Whether an error is one of the platform already. */
export const isPlatformError = (error: unknown): error is PlatformError =>
  error instanceof SystemError || error instanceof BadArgument;
