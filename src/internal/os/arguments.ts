/**
 * Checks of the arguments and options of public functions. Programs may run without type checks, so any value may be passed.
 *
 * A {@link Check} describes a fault as the end of a sentence, and each subject puts it into its own error:
 * `Invalid pool option: size must be a positive integer, received -1`. This module does not import Effect; it detects values
 * of Effect by their marks.
 *
 * @module
 */

/** Describes the fault of a value, as in "must be ..., received ..."; `undefined` if the value is valid. */
export type Check = (value: unknown) => string | undefined;

/** Checks by the names of the values that they apply to. */
export type Checks = Readonly<Record<string, Check>>;

const EFFECT: symbol = Symbol.for("effect/Effect");
const STREAM: symbol = Symbol.for("effect/Stream");
const SCHEMA: symbol = Symbol.for("effect/Schema");
const LAYER: symbol = Symbol.for("effect/Layer");
const FIBER_REF: symbol = Symbol.for("effect/FiberRef");
const SCHEDULE: symbol = Symbol.for("effect/Schedule");
const TASK = "~multiprocessing/Task";

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null;

const has = (value: unknown, mark: PropertyKey): boolean =>
  (isObject(value) || typeof value === "function") && mark in value;

const isPlain = (value: object): boolean => {
  const prototype = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
};

/** Longest string that a message quotes, in UTF-16 units. */
const LONG = 60;

const article = (name: string): string => `${/^[AEIOU]/.test(name) ? "an" : "a"} ${name}`;

/** Marks of an Effect, Stream, Layer and Schema of Effect 4. */
const newer: ReadonlyArray<string> = ["~effect/Effect", "~effect/Stream", "~effect/Layer", "~effect/Schema/Schema"];

/** Whether a value was made by Effect 4. */
export const isEffect4 = (value: unknown): boolean => newer.some((mark) => has(value, mark));

/** The advice for values of Effect 4. */
export const INSTEAD_OF_EFFECT_4 =
  "this library needs effect 3: run `deno add npm:effect@^3.22`, so that the program's `effect` is that version";

const nameOf = (value: object): string => {
  if (isEffect4(value)) return "a value of effect 4";
  if (Array.isArray(value)) return "an array";
  if (has(value, TASK)) return "a task";
  if (has(value, STREAM) && !has(value, EFFECT)) return "a Stream";
  if (has(value, EFFECT)) return "an Effect";
  const { constructor } = value as { constructor?: unknown };
  const name = isPlain(value) || typeof constructor !== "function" ? "" : constructor.name;
  return name === "" ? "an object" : article(name);
};

/** Formats a value for an error message. */
export const show = (value: unknown): string => {
  switch (typeof value) {
    case "string":
      return value.length > LONG ? `a text of ${value.length} characters` : JSON.stringify(value);
    case "bigint":
      return `${value}n`;
    case "function":
      return Object.getOwnPropertyDescriptor(value, "prototype")?.writable === false ? "a class" : "a function";
    case "symbol":
      return "a symbol";
    case "object":
      return value === null ? "null" : nameOf(value);
    default:
      return Object.is(value, -0) ? "-0" : String(value);
  }
};

const advice = (value: unknown, hint: string): string => {
  const text = isEffect4(value) ? INSTEAD_OF_EFFECT_4 : hint;
  return text && `; ${text}`;
};

/** Makes a check from a predicate. */
export const must =
  (holds: (value: unknown) => boolean, what: string | ((value: unknown) => string), hint: string = ""): Check =>
  (value) =>
    holds(value)
      ? undefined
      : `must be ${typeof what === "string" ? what : what(value)}, received ${show(value)}${advice(value, hint)}`;

/** Makes a check that also accepts `undefined`. */
export const optional = (check: Check): Check => (value) => value === undefined ? undefined : check(value);

const within = (value: unknown, low: number, high: number): boolean =>
  Number.isSafeInteger(value) && (value as number) >= low && (value as number) <= high;

export const integer: Check = must(Number.isSafeInteger, "an integer");

/** The end of a range: an integer or Infinity. */
export const end: Check = must((value) => value === Infinity || Number.isSafeInteger(value), "an integer");

export const positive: Check = must((value) => within(value, 1, Infinity), "a positive integer");

export const count: Check = must((value) => within(value, 0, Infinity), "a non-negative integer");

export const positiveOrInfinite: Check = must(
  (value) => value === Infinity || within(value, 1, Infinity),
  "a positive integer or Infinity",
);

export const countOrInfinite: Check = must(
  (value) => value === Infinity || within(value, 0, Infinity),
  "a non-negative integer or Infinity",
);

/** Makes a check for an integer; both bounds are inclusive. */
export const range = (low: number, high: number): Check =>
  must((value) => within(value, low, high), `an integer from ${low} to ${high}`);

/** A number that can be ordered: not NaN. */
export const finite: Check = must(Number.isFinite, "a finite number");

export const boolean: Check = must((value) => typeof value === "boolean", "true or false");

/** A string, which may be empty. */
export const text: Check = must((value) => typeof value === "string", "a string");

export const name: Check = must((value) => typeof value === "string" && value !== "", "a non-empty string");

export const oneOf = (...values: ReadonlyArray<unknown>): Check =>
  must((value) => values.includes(value), `one of ${values.map(show).join(", ")}`);

export const func: Check = must((value) => typeof value === "function", "a function");

/** An object, but not an array or a function. */
export const record: Check = must((value) => isObject(value) && !Array.isArray(value), "an object");

export const iterable: Check = must(
  (value) =>
    typeof value === "string" ||
    isObject(value) && typeof (value as Partial<Iterable<unknown>>)[Symbol.iterator] === "function",
  "iterable, such as an array",
);

/** Makes a check of an array from the check of an element. */
export const arrayOf = (check: Check, what: string): Check => (value) => {
  if (!Array.isArray(value)) return `must be an array of ${what}, received ${show(value)}`;
  const wrong = value.find((element) => check(element) !== undefined);
  const there = value.some((element) => check(element) !== undefined);
  return there ? `must be an array of ${what}, received one with ${show(wrong)}` : undefined;
};

export const texts: Check = arrayOf(text, "strings");

export const list: Check = must(Array.isArray, "an array");

export const bytes: Check = must((value) => value instanceof Uint8Array, "a Uint8Array");

export const effect: Check = must(
  (value) => has(value, EFFECT),
  "an Effect",
  "a plain function becomes one by Effect.sync(fn), one that gives a Promise by Effect.promise(fn)",
);

export const stream: Check = must(
  (value) => has(value, STREAM),
  "a Stream",
  "an array becomes one by Stream.fromIterable(items)",
);

export const schema: Check = must((value) => has(value, SCHEMA), "a Schema");

export const fiberRef: Check = must((value) => has(value, FIBER_REF), "a FiberRef");

export const layer: Check = must((value) => has(value, LAYER), "a Layer");

/** Whether a value is a Schedule. */
export const isSchedule = (value: unknown): boolean => has(value, SCHEDULE);

export const schedule: Check = must(isSchedule, "a Schedule");

/** A task. The most common mistake is to pass a plain function instead. */
export const task: Check = must(
  (value) => has(value, TASK) && typeof (value as { url?: unknown }).url === "string",
  "made by Task.make(import.meta, name, fn)",
);

/** An object with a mark of this library; `how` says how it is made. */
export const marked = (mark: PropertyKey, how: string): Check => must((value) => isObject(value) && mark in value, how);

/** Accepts any value. */
export const anything: Check = () => undefined;

/** Describes the fault of the first invalid value, after its name. */
export const wrong = (values: object, checks: Checks): string | undefined => {
  for (const [name, check] of Object.entries(checks)) {
    const complaint = check((values as Readonly<Record<string, unknown>>)[name]);
    if (complaint !== undefined) return `${name} ${complaint}`;
  }
  return undefined;
};

/** Describes the first fault of options. */
export const wrongOptions = (options: unknown, checks: Checks): string | undefined => {
  const complaint = record(options);
  return complaint === undefined ? wrong(options as object, checks) : `the options ${complaint}`;
};

/** Makes a check of options that are one of several arguments. */
export const options = (checks: Checks): Check => (value) => {
  const complaint = record(value);
  if (complaint !== undefined) return complaint;
  const part = wrong(value as object, checks);
  return part === undefined ? undefined : `is wrong: ${part}`;
};

/** The error message for an invalid option. */
export const invalidOption = (subject: string, complaint: string): string => `Invalid ${subject} option: ${complaint}`;

/** The error message for an invalid argument. */
export const invalidArgument = (operation: string, complaint: string): string =>
  `Invalid argument of ${operation}: ${complaint}`;
