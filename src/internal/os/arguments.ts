/**
 * What users hand in, checked before anything is done with it. Programs run without type checks, so any value may come.
 *
 * A {@link Check} says what is wrong as the end of a sentence; each subject puts it into an error of its own:
 * `Invalid pool option: size must be a positive integer, received -1`. Free of Effect, whose values are known by their marks.
 *
 * @module
 */

/** What is wrong with a value: "must be ..., received ..."; `undefined` if nothing is. */
export type Check = (value: unknown) => string | undefined;

/** Checks by the names of what they are for. */
export type Checks = Readonly<Record<string, Check>>;

const EFFECT: symbol = Symbol.for("effect/Effect");
const STREAM: symbol = Symbol.for("effect/Stream");
const SCHEMA: symbol = Symbol.for("effect/Schema");
const LAYER: symbol = Symbol.for("effect/Layer");
const TASK = "~multiprocessing/Task";

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null;

const has = (value: unknown, mark: PropertyKey): boolean =>
  (isObject(value) || typeof value === "function") && mark in value;

const isPlain = (value: object): boolean => {
  const prototype = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
};

/** Characters of a text that a message repeats. */
const LONG = 60;

const article = (name: string): string => `${/^[AEIOU]/.test(name) ? "an" : "a"} ${name}`;

const nameOf = (value: object): string => {
  if (Array.isArray(value)) return "an array";
  if (has(value, TASK)) return "a task";
  if (has(value, STREAM) && !has(value, EFFECT)) return "a Stream";
  if (has(value, EFFECT)) return "an Effect";
  const { constructor } = value as { constructor?: unknown };
  const name = isPlain(value) || typeof constructor !== "function" ? "" : constructor.name;
  return name === "" ? "an object" : article(name);
};

/** A value as messages name it. */
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

/** A check of what satisfies a predicate. */
export const must =
  (holds: (value: unknown) => boolean, what: string | ((value: unknown) => string), hint: string = ""): Check =>
  (value) =>
    holds(value)
      ? undefined
      : `must be ${typeof what === "string" ? what : what(value)}, received ${show(value)}${hint && `; ${hint}`}`;

/** Also `undefined`. */
export const optional = (check: Check): Check => (value) => value === undefined ? undefined : check(value);

const within = (value: unknown, low: number, high: number): boolean =>
  Number.isSafeInteger(value) && (value as number) >= low && (value as number) <= high;

/** An integer, of any sign. */
export const integer: Check = must(Number.isSafeInteger, "an integer");

/** An integer, or Infinity: the end of a part. */
export const end: Check = must((value) => value === Infinity || Number.isSafeInteger(value), "an integer");

/** An integer from 1 on. */
export const positive: Check = must((value) => within(value, 1, Infinity), "a positive integer");

/** An integer from 0 on. */
export const count: Check = must((value) => within(value, 0, Infinity), "a non-negative integer");

/** An integer from 1 on, or Infinity. */
export const positiveOrInfinite: Check = must(
  (value) => value === Infinity || within(value, 1, Infinity),
  "a positive integer or Infinity",
);

/** An integer from 0 on, or Infinity. */
export const countOrInfinite: Check = must(
  (value) => value === Infinity || within(value, 0, Infinity),
  "a non-negative integer or Infinity",
);

/** An integer in a range. */
export const range = (low: number, high: number): Check =>
  must((value) => within(value, low, high), `an integer from ${low} to ${high}`);

/** `true` or `false`. */
export const boolean: Check = must((value) => typeof value === "boolean", "true or false");

/** A text, which may be empty. */
export const text: Check = must((value) => typeof value === "string", "a string");

/** A text that names something. */
export const name: Check = must((value) => typeof value === "string" && value !== "", "a non-empty string");

/** One of some values. */
export const oneOf = (...values: ReadonlyArray<unknown>): Check =>
  must((value) => values.includes(value), `one of ${values.map(show).join(", ")}`);

/** A function. */
export const func: Check = must((value) => typeof value === "function", "a function");

/** An object with named parts, not a list or a function. */
export const record: Check = must((value) => isObject(value) && !Array.isArray(value), "an object");

/** What can be iterated over. */
export const iterable: Check = must(
  (value) =>
    typeof value === "string" ||
    isObject(value) && typeof (value as Partial<Iterable<unknown>>)[Symbol.iterator] === "function",
  "iterable, such as an array",
);

/** An array whose elements satisfy a check. */
export const arrayOf = (check: Check, what: string): Check => (value) => {
  if (!Array.isArray(value)) return `must be an array of ${what}, received ${show(value)}`;
  const wrong = value.find((element) => check(element) !== undefined);
  const there = value.some((element) => check(element) !== undefined);
  return there ? `must be an array of ${what}, received one with ${show(wrong)}` : undefined;
};

/** Texts in an array. */
export const texts: Check = arrayOf(text, "strings");

/** A list of arguments. */
export const list: Check = must(Array.isArray, "an array");

/** Bytes. */
export const bytes: Check = must((value) => value instanceof Uint8Array, "a Uint8Array");

/** An Effect. */
export const effect: Check = must(
  (value) => has(value, EFFECT),
  "an Effect",
  "a plain function becomes one by Effect.sync(fn), one that gives a Promise by Effect.promise(fn)",
);

/** A Stream. */
export const stream: Check = must(
  (value) => has(value, STREAM),
  "a Stream",
  "an array becomes one by Stream.fromIterable(items)",
);

/** A Schema. */
export const schema: Check = must((value) => has(value, SCHEMA), "a Schema");

/** A Layer. */
export const layer: Check = must((value) => has(value, LAYER), "a Layer");

/** A task. A plain function in its place is the commonest mistake of all. */
export const task: Check = must(
  (value) => has(value, TASK) && typeof (value as { url?: unknown }).url === "string",
  "made by Task.make(import.meta, name, fn)",
);

/** What bears a mark of this library; `how` says how it is made. */
export const marked = (mark: PropertyKey, how: string): Check => must((value) => isObject(value) && mark in value, how);

/** Any value is right. */
export const anything: Check = () => undefined;

/** What is wrong with the first of several values, by its name. */
export const wrong = (values: object, checks: Checks): string | undefined => {
  for (const [name, check] of Object.entries(checks)) {
    const complaint = check((values as Readonly<Record<string, unknown>>)[name]);
    if (complaint !== undefined) return `${name} ${complaint}`;
  }
  return undefined;
};

/** What is wrong with options. */
export const wrongOptions = (options: unknown, checks: Checks): string | undefined => {
  const complaint = record(options);
  return complaint === undefined ? wrong(options as object, checks) : `the options ${complaint}`;
};

/** Options with these checks, where they are one of several arguments. */
export const options = (checks: Checks): Check => (value) => {
  const complaint = record(value);
  if (complaint !== undefined) return complaint;
  const part = wrong(value as object, checks);
  return part === undefined ? undefined : `is wrong: ${part}`;
};

/** The message for an option of something. */
export const invalidOption = (subject: string, complaint: string): string => `Invalid ${subject} option: ${complaint}`;

/** The message for an argument of an operation. */
export const invalidArgument = (operation: string, complaint: string): string =>
  `Invalid argument of ${operation}: ${complaint}`;
