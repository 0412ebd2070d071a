/**
 * Checks of the arguments and options of a pool.
 *
 * @module
 */
import { isInitializer, killPolicy } from "../child/options.ts";
import * as Arguments from "../os/arguments.ts";
import { duration, positiveDuration } from "../os/durations.ts";
import { PoolError } from "./errors.ts";

const { boolean, count, countOrInfinite, finite, func, iterable, list, oneOf, optional, positive, positiveOrInfinite } =
  Arguments;

const key = Arguments.must(
  (value) => typeof value === "string" || typeof value === "number",
  "a string or a number",
);

const retryChecks: Arguments.Checks = {
  schedule: Arguments.schedule,
  kills: optional(positiveOrInfinite),
  outOfMemory: optional(countOrInfinite),
};

const retry: Arguments.Check = (value) => {
  if (value === false || Arguments.isSchedule(value)) return undefined;
  return Arguments.must(
    (value) => Arguments.record(value) === undefined,
    "a Schedule, an object with one, or false",
  )(value) ?? Arguments.options(retryChecks)(value);
};

const termChecks: Arguments.Checks = {
  timeout: optional(positiveDuration),
  queueTimeout: optional(positiveDuration),
  deadline: optional(positiveDuration),
  priority: optional(finite),
  retry: optional(retry),
};

const callChecks: Arguments.Checks = { ...termChecks, affinity: optional(key) };

const sizeChecks: Arguments.Checks = {
  min: count,
  max: positive,
  idleTimeToLive: optional(positiveDuration),
  growAfter: optional(duration),
};

const size: Arguments.Check = (value) => {
  if (typeof value !== "object" || value === null) return positive(value);
  const wrong = Arguments.options(sizeChecks)(value);
  if (wrong !== undefined) return wrong;
  const { max, min } = value as { readonly min: number; readonly max: number };
  return min <= max ? undefined : `must have a min of at most max, received ${min} and ${max}`;
};

const optionChecks: Arguments.Checks = {
  ...killPolicy,
  ...termChecks,
  size: optional(size),
  concurrency: optional(positive),
  prefetch: optional(count),
  queueCapacity: optional(positiveOrInfinite),
  whenFull: optional(oneOf("wait", "refuse")),
  maxTasksPerChild: optional(positiveOrInfinite),
  maxAge: optional(positiveDuration),
  maxMemory: optional(positiveOrInfinite),
  initializer: optional(isInitializer),
  spare: optional(boolean),
  timeline: optional(Arguments.marked("~multiprocessing/Timeline", "made by Timeline.make")),
};

const mapChecks: Arguments.Checks = {
  ...callChecks,
  chunkSize: optional(positive),
  progress: optional(Arguments.marked("~multiprocessing/Progress", "made by Pool.progress")),
};

const mapStreamChecks: Arguments.Checks = { ...mapChecks, unordered: optional(boolean), lookAhead: optional(positive) };

const submitChecks: Arguments.Checks = { ...callChecks, onSuccess: optional(func), onFailure: optional(func) };

const argumentLists = Arguments.arrayOf(list, "arrays of arguments");

const invalidOption = (complaint: string): PoolError =>
  new PoolError({ reason: "InvalidOption", message: Arguments.invalidOption("pool", complaint) });

const named = (operation: string, complaint: string): PoolError =>
  new PoolError({ reason: "InvalidArgument", message: Arguments.invalidArgument(operation, complaint) });

const invalidArgument = (method: string, complaint: string): PoolError => named(`pool.${method}`, complaint);

const wrongOption = (options: unknown, checks: Arguments.Checks): PoolError | undefined => {
  const wrong = Arguments.wrongOptions(options, checks);
  return wrong === undefined ? undefined : invalidOption(wrong);
};

const wrongValue = (method: string, values: object, checks: Arguments.Checks): PoolError | undefined => {
  const wrong = Arguments.wrong(values, checks);
  return wrong === undefined ? undefined : invalidArgument(method, wrong);
};

/** The error for invalid options of a pool, if they are invalid. */
export const wrongPool = (options: unknown): PoolError | undefined => {
  const wrong = wrongOption(options, optionChecks);
  if (wrong !== undefined) return wrong;
  const { concurrency = 1, prefetch = 0 } = options as { readonly concurrency?: number; readonly prefetch?: number };
  return concurrency > 1 && prefetch > 0
    ? invalidOption(`prefetch must be 0 if concurrency is more than 1, received ${prefetch}`)
    : undefined;
};

/** The error for a call of a method with something that is no task. */
export const wrongTask = (method: string, task: unknown): PoolError | undefined => {
  const wrong = Arguments.task(task);
  return wrong === undefined ? undefined : invalidArgument(method, `the task ${wrong}`);
};

/** The error for invalid arguments of `map`, `starmap` or `mapUnordered`. */
export const wrongMap = (method: string, task: unknown, items: unknown, options: unknown): PoolError | undefined =>
  wrongTask(method, task) ?? wrongValue(method, { items }, { items: iterable }) ?? wrongOption(options, mapChecks);

/** The error for items of `starmap` that are no lists of arguments. */
export const wrongArgumentLists = (items: ReadonlyArray<unknown>): PoolError | undefined => {
  const wrong = argumentLists(items);
  return wrong === undefined ? undefined : invalidArgument("starmap", `items ${wrong}`);
};

/** The error for invalid arguments of `mapStream` or `mapStreamSettled`. */
export const wrongMapStream = (
  method: string,
  task: unknown,
  options: unknown,
  stream: unknown,
): PoolError | undefined =>
  wrongTask(method, task) ?? wrongOption(options, mapStreamChecks) ??
    wrongValue(method, { stream }, { stream: Arguments.stream });

const waitChecks: Arguments.Checks = {
  returnWhen: optional(oneOf("allCompleted", "firstCompleted", "firstFailure")),
  timeout: optional(duration),
};

const submissions = Arguments.arrayOf(
  Arguments.marked("~multiprocessing/Submission", "a submission"),
  "submissions, which submit and submitWith return",
);

/** The error for invalid arguments of `wait` or `asCompleted`. */
export const wrongSubmissions = (method: string, items: unknown, options: unknown): PoolError | undefined => {
  const wrong = Arguments.wrong({ submissions: items, options }, {
    submissions: iterable,
    options: Arguments.options(waitChecks),
  });
  if (wrong !== undefined) return named(`Pool.${method}`, wrong);
  const wrongItem = submissions([...items as Iterable<unknown>]);
  return wrongItem === undefined ? undefined : named(`Pool.${method}`, `submissions ${wrongItem}`);
};

/** The error for an invalid interval of `watch`. */
export const wrongInterval = (interval: unknown): PoolError | undefined =>
  wrongValue("watch", { interval }, { interval: positiveDuration });

const wrongCall = (method: string, task: unknown, args: unknown): PoolError | undefined =>
  wrongTask(method, task) ?? wrongValue(method, { args }, { args: list });

/** The error for invalid arguments of `applyWith`. */
export const wrongApply = (task: unknown, args: unknown, options: unknown): PoolError | undefined =>
  wrongCall("applyWith", task, args) ?? wrongOption(options, callChecks);

/** The error for invalid arguments of `submitWith`. */
export const wrongSubmit = (task: unknown, args: unknown, options: unknown): PoolError | undefined =>
  wrongCall("submitWith", task, args) ?? wrongOption(options, submitChecks);
