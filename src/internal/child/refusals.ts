/**
 * The answers of a child that could not begin a task, or cannot send its result. Free of Effect.
 *
 * @module
 */
import { isMissingModule, isUnreadableModule } from "../os/deno_workarounds.ts";
import { EncodeError } from "../codec/errors.ts";
import type { ExitData, Refusal } from "../codec/exits.ts";
import * as Foreign from "../codec/foreign.ts";
import type { MessageTooLarge } from "../codec/message.ts";
import { namesIn } from "./tasks.ts";
import type { TaskRef } from "./request.ts";

/** The task could not be begun. */
export class Refused extends Error {
  constructor(readonly reason: Refusal, message: string, cause?: unknown) {
    super(message, { cause });
  }
}

/** The answer to a request that was cancelled before a plain function could be run. */
export const interrupted: ExitData = { _tag: "Failure", cause: { _tag: "Interrupt" } };

/** The answer for a task that could not be begun. */
export const refusal = (error: unknown): ExitData =>
  Foreign.isInstance(error, Refused)
    ? { _tag: "Refused", reason: error.reason, message: error.message, cause: error.cause }
    : { _tag: "Refused", reason: "LoadFailed", message: Foreign.explain(error), cause: error };

/** The answer in place of one that cannot be sent. */
export const unsendable = (error: EncodeError | MessageTooLarge): ExitData =>
  error instanceof EncodeError
    ? { _tag: "Unencodable", path: error.path, reason: error.reason }
    : { _tag: "TooLarge", size: error.size, limit: error.limit };

/** Removes the frames of the module at `url` from a stack: they say nothing about the error. */
export const withoutFrames = (error: unknown, url: string): void =>
  Foreign.trimStack(error, (line) => line.includes(url) || line.includes("at async data:"));

/** Whether a module is code that Deno has read from its standard input or its command line. */
const hasNoFile = (url: string): boolean => /\/\$deno\$(stdin|eval)\.\w+$/.test(url);

/** The task's module could not be loaded. */
export const loadError = (task: TaskRef, error: unknown): Refused => {
  const message = Foreign.messageOf(error);
  const unreadable = isUnreadableModule(message);
  if (unreadable || isMissingModule(message)) {
    const remedy = hasNoFile(task.url)
      ? "; define the task in a file: only workers can load the code of `deno run -` and `deno eval`"
      : unreadable
      ? "; name the module when the process or pool is made, or allow the child to read it"
      : "";
    return new Refused(
      "ModuleNotFound",
      `Cannot run task "${task.name}": ${task.url} cannot be loaded: ${message}${remedy}`,
      error,
    );
  }
  return new Refused("LoadFailed", `Cannot run task "${task.name}": ${task.url} failed to load: ${message}`, error);
};

/** The task's module has defined no such task. */
export const notDefined = (task: TaskRef): Refused => {
  const names = namesIn(task.url);
  const found = names.length === 0 ? "no task" : `only ${names.map((name) => `"${name}"`).join(", ")}`;
  return new Refused(
    "NotDefined",
    `Cannot run task "${task.name}": ${task.url} defined ${found} when it was loaded; call Task.make at the top level of the module, not in a function or under import.meta.main`,
  );
};
