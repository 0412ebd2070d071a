/**
 * Checks of the arguments and options of a pool.
 *
 * @module
 */
import { isInitializer, killPolicy } from "../child/options.ts";
import * as Arguments from "../os/arguments.ts";
import { positiveDuration } from "../os/durations.ts";
import { PoolError } from "./errors.ts";

const { boolean, func, iterable, list, optional, positive, positiveOrInfinite } = Arguments;

const optionChecks: Arguments.Checks = {
  ...killPolicy,
  size: optional(positive),
  maxTasksPerChild: optional(positiveOrInfinite),
  initializer: optional(isInitializer),
  timeout: optional(positiveDuration),
  spare: optional(boolean),
};

const mapChecks: Arguments.Checks = { chunkSize: optional(positive) };

const mapStreamChecks: Arguments.Checks = { ...mapChecks, unordered: optional(boolean), lookAhead: optional(positive) };

const applyChecks: Arguments.Checks = { timeout: optional(positiveDuration) };

const submitChecks: Arguments.Checks = {
  ...applyChecks,
  onSuccess: optional(func),
  onFailure: optional(func),
};

const argumentLists = Arguments.arrayOf(list, "arrays of arguments");

const invalidOption = (complaint: string): PoolError =>
  new PoolError({ reason: "InvalidOption", message: Arguments.invalidOption("pool", complaint) });

const invalidArgument = (method: string, complaint: string): PoolError =>
  new PoolError({ reason: "InvalidArgument", message: Arguments.invalidArgument(`pool.${method}`, complaint) });

const wrongOption = (options: unknown, checks: Arguments.Checks): PoolError | undefined => {
  const wrong = Arguments.wrongOptions(options, checks);
  return wrong === undefined ? undefined : invalidOption(wrong);
};

const wrongValue = (method: string, values: object, checks: Arguments.Checks): PoolError | undefined => {
  const wrong = Arguments.wrong(values, checks);
  return wrong === undefined ? undefined : invalidArgument(method, wrong);
};

/** The error for invalid options of a pool, if they are invalid. */
export const wrongPool = (options: unknown): PoolError | undefined => wrongOption(options, optionChecks);

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

/** The error for invalid arguments of `mapStream`. */
export const wrongMapStream = (task: unknown, options: unknown, stream: unknown): PoolError | undefined =>
  wrongTask("mapStream", task) ?? wrongOption(options, mapStreamChecks) ??
    wrongValue("mapStream", { stream }, { stream: Arguments.stream });

const wrongCall = (method: string, task: unknown, args: unknown): PoolError | undefined =>
  wrongTask(method, task) ?? wrongValue(method, { args }, { args: list });

/** The error for invalid arguments of `applyWith`. */
export const wrongApply = (task: unknown, args: unknown, options: unknown): PoolError | undefined =>
  wrongCall("applyWith", task, args) ?? wrongOption(options, applyChecks);

/** The error for invalid arguments of `submitWith`. */
export const wrongSubmit = (task: unknown, args: unknown, options: unknown): PoolError | undefined =>
  wrongCall("submitWith", task, args) ?? wrongOption(options, submitChecks);
