/**
 * Checks of the options of backends and processes.
 *
 * @module
 */
import type { ObservedKinds } from "../rpc/identity.ts";
import * as Arguments from "../os/arguments.ts";
import { duration } from "../os/durations.ts";
import { Unsupported } from "../objects/errors.ts";
import { SpawnError } from "./errors.ts";

const { boolean, must, name, oneOf, optional, positiveOrInfinite, text, texts } = Arguments;

/** Checks of a kill policy. */
export const killPolicy: Arguments.Checks = {
  gracePeriod: optional(duration),
  forceKillAfter: optional(duration),
};

const grant: Arguments.Check = (value) =>
  value === undefined || typeof value === "boolean" || texts(value) === undefined
    ? undefined
    : `must be true, false or an array of strings, received ${Arguments.show(value)}`;

export const permissions: Arguments.Check = Arguments.options(
  Object.fromEntries(["read", "write", "net", "env", "run", "ffi", "sys", "import"].map((kind) => [kind, grant])),
);

export const environment: Arguments.Check = (value) => {
  const complaint = Arguments.record(value);
  if (complaint !== undefined) return complaint;
  const wrong = Object.entries(value as object).find(([_, value]) => typeof value !== "string");
  return wrong === undefined ? undefined : `must have strings, received ${Arguments.show(wrong[1])} for ${wrong[0]}`;
};

/** Checks of the options of a process. */
export const processChecks: Arguments.Checks = {
  ...killPolicy,
  name: optional(name),
  daemon: optional(boolean),
  permissions: optional(permissions),
};

const sources: Arguments.Check = Arguments.options({
  folders: Arguments.arrayOf(Arguments.options({ original: text, local: text }), "folders with `original` and `local`"),
  library: text,
  main: text,
});

/** Checks of a command. */
const command: Arguments.Checks = {
  name,
  daemon: optional(boolean),
  modules: texts,
  permissions: optional(permissions),
  preload: optional(boolean),
  sources: optional(sources),
};

const standby = must(
  (value) => value === false || value === "auto" || (Number.isSafeInteger(value) && value as number >= 0),
  'a non-negative integer, "auto" or false',
);

const kinds = Arguments.options({ logs: optional(boolean), spans: optional(boolean), metrics: optional(boolean) });

const observe: Arguments.Check = (value) => typeof value === "boolean" ? undefined : kinds(value);

/** The telemetry that an option of a backend asks for. */
export const telemetry = (
  option: boolean | { readonly [K in keyof ObservedKinds]?: boolean | undefined } | undefined,
): { readonly observe?: ObservedKinds } => {
  if (option === undefined || option === false) return {};
  const { logs = false, metrics = false, spans = false } = option === true
    ? { logs: true, metrics: true, spans: true }
    : option;
  return { observe: { logs, metrics, spans } };
};

export const commonChecks: Arguments.Checks = {
  maxMessageSize: optional(positiveOrInfinite),
  standby: optional(standby),
  preload: optional(texts),
  observe: optional(observe),
};

/** Checks of the options of `WorkerBackend`. */
export const workerChecks: Arguments.Checks = { ...commonChecks, maxQuarantined: optional(positiveOrInfinite) };

const stdio = oneOf("inherit", "null", "pipe");

/** Checks of the options of `SubprocessBackend`. */
export const subprocessChecks: Arguments.Checks = {
  ...commonChecks,
  permissions: optional(permissions),
  cwd: optional(name),
  env: optional(environment),
  clearEnv: optional(boolean),
  v8Flags: optional(texts),
  denoFlags: optional(texts),
  stdin: optional(oneOf("inherit", "null")),
  stdout: optional(stdio),
  stderr: optional(stdio),
  detached: optional(boolean),
};

/** Checks a result of `Pool.initializer`. */
export const isInitializer: Arguments.Check = (value) =>
  Arguments.must(
    (value) => typeof value === "object" && value !== null && "task" in value && "args" in value,
    "made by Pool.initializer(task, ...args)",
  )(value) ?? Arguments.options({ task: Arguments.task, args: Arguments.list })(value);

const refused = (message: string): SpawnError => new SpawnError({ reason: "InvalidArgument", message });

/** The error for invalid options, if they are invalid. */
export const wrongOptions = (subject: string, options: unknown, checks: Arguments.Checks): SpawnError | undefined => {
  const wrong = Arguments.wrongOptions(options, checks);
  return wrong === undefined ? undefined : refused(Arguments.invalidOption(subject, wrong));
};

/** The error for a value that is not a task. */
export const wrongTask = (operation: string, task: unknown): SpawnError | undefined => {
  const wrong = Arguments.task(task);
  return wrong === undefined ? undefined : refused(Arguments.invalidArgument(operation, `the task ${wrong}`));
};

/** The error for arguments of a task that are not an array. */
export const wrongArguments = (operation: string, args: unknown): SpawnError | undefined => {
  const wrong = Arguments.list(args);
  return wrong === undefined ? undefined : refused(Arguments.invalidArgument(operation, `args ${wrong}`));
};

/** The error for an invalid command, if it is invalid. */
export const wrongCommand = (value: unknown): SpawnError | undefined => {
  const wrong = Arguments.wrongOptions(value, command);
  return wrong === undefined ? undefined : refused(Arguments.invalidArgument("backend.spawn", wrong));
};

const signals = oneOf(
  "SIGTERM",
  "SIGKILL",
  "SIGINT",
  "SIGHUP",
  "SIGQUIT",
  "SIGUSR1",
  "SIGUSR2",
  "SIGSTOP",
  "SIGCONT",
);

/** The error for an unknown signal. */
export const wrongSignal = (signal: unknown): Unsupported | undefined => {
  const wrong = signals(signal);
  return wrong === undefined ? undefined : new Unsupported(Arguments.invalidArgument("signal", `the signal ${wrong}`));
};
