/**
 * The reasons why values cannot be sent, and the paths that locate these values.
 *
 * @module
 */
import { INSTEAD_OF_EFFECT_4, isEffect4 } from "../os/arguments.ts";
import { isInstance, messageOf } from "./foreign.ts";

export { explain } from "./foreign.ts";

const identifier = /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u;

/** Formats a property as a step of a path. */
export const property = (key: string): string => {
  if (identifier.test(key)) return `.${key}`;
  return `[${JSON.stringify(key.length > 40 ? `${key.slice(0, 40)}…` : key)}]`;
};

/** Formats the value of a `Map` entry as a step of a path. */
export const entry = (key: unknown): string => {
  if (typeof key === "string") {
    return `.get(${JSON.stringify(key.length > 40 ? `${key.slice(0, 40)}…` : key)})`;
  }
  return typeof key === "object" || typeof key === "function" ? ".get(…)" : `.get(${String(key)})`;
};

/** Joins the steps of a path, which were collected from the inside out. Omits the middle of a long path. */
export const join = (root: string, steps: ReadonlyArray<string>): string => {
  const kept = steps.length > 24 ? [...steps.slice(0, 6), "…", ...steps.slice(-12)] : steps;
  return root + kept.toReversed().join("");
};

/** V8 reports a stack overflow as a RangeError, but as a SyntaxError while it compiles a regular expression. */
export const isStackOverflow = (error: unknown): boolean =>
  (isInstance(error, RangeError) && messageOf(error).includes("call stack")) ||
  (isInstance(error, SyntaxError) && messageOf(error).endsWith("Stack overflow"));

const has = (object: object, ids: ReadonlyArray<string>): boolean =>
  ids.some((id) => Symbol.for(`effect/${id}`) in object);

const secrets = ["Redacted", "Secret"];

const sorted = ["SortedMap", "SortedSet", "RedBlackTree"];

/** Marks that only programs have. The mark of an Effect is not one of them: data such as Option has it as well. */
const programs = [
  "Layer",
  "Fiber",
  "Deferred",
  "Ref",
  "QueueDequeue",
  "QueueEnqueue",
  "Scope",
  "Schedule",
];

const data = [
  "Option",
  "Either",
  "Chunk",
  "Duration",
  "Cause",
  "FiberId",
  "HashMap",
  "HashSet",
  "List",
  "BigDecimal",
  "DateTime",
  "DateTime/TimeZone",
];

const isExit = (object: object): boolean =>
  has(object, ["Effect"]) && "_op" in object &&
  (object._op === "Success" || object._op === "Failure");

const hookMissing = "data of Effect crosses only where the hook for it is installed";

/** Why a value of Effect cannot be sent. Detects such values by registered symbols, without loading Effect. */
export const effectRefusal = (object: object): string | undefined => {
  if (has(object, secrets)) {
    return "a secret crosses only where you say so; send Redacted.value of it";
  }
  if (has(object, sorted)) {
    return "it carries a function, its order; send its entries and sort them there";
  }
  if (has(object, data) || isExit(object)) return hookMissing;
  if (has(object, ["Stream", "Effect", ...programs])) {
    return "programs do not cross a process boundary, their results do; define a Task that runs it there";
  }
};

/** The name of the class that a prototype belongs to. */
export const named = (prototype: object | null): string | undefined => {
  try {
    const name = (prototype as
      | { readonly constructor?: { readonly name?: unknown } }
      | null)?.constructor?.name;
    return typeof name === "string" && name !== "" ? name : undefined;
  } catch {
    return undefined;
  }
};

const weak = "weak references mean nothing in another process; send the values themselves";
const stream = "streams do not cross a process boundary; send the data, or define a Task that returns a Stream";

const advice: ReadonlyArray<readonly [owner: object, text: string]> = [
  [Promise.prototype, "a Promise does not cross a process boundary; await it and send its result"],
  [WeakMap.prototype, weak],
  [WeakSet.prototype, weak],
  [WeakRef.prototype, weak],
  [SharedArrayBuffer.prototype, "a SharedArrayBuffer reaches no other process; use SharedMemory"],
  [URL.prototype, "a URL has no structured form; send its href"],
  [ReadableStream.prototype, stream],
  [WritableStream.prototype, stream],
  [Iterator.prototype, "an iterator does not cross a process boundary; collect it into an array"],
];

/** Why a value that neither the codec nor a hook supports cannot be sent. */
export const refusal = (value: unknown): string => {
  if (typeof value === "function") {
    return "functions do not cross a process boundary; define a Task and send its arguments";
  }
  if (typeof value === "symbol") {
    return "a symbol has no identity in another process; send a string";
  }
  const object = value as object;
  for (const [owner, text] of advice) {
    if (Object.prototype.isPrototypeOf.call(owner, object)) return text;
  }
  if (isEffect4(object)) return `a value of effect 4; ${INSTEAD_OF_EFFECT_4}`;
  const effect = effectRefusal(object);
  if (effect !== undefined) return effect;
  const prototype: object | null = Object.getPrototypeOf(object);
  // The prototypes of Data.struct and Data.array belong to no class.
  if (
    prototype !== null &&
    Object.hasOwn(prototype, Symbol.for("effect/Equal")) &&
    !Object.hasOwn(prototype, "constructor")
  ) {
    return hookMissing;
  }
  const name = named(prototype);
  return `an instance of ${name === undefined ? "a class" : `class ${name}`} would lose its class; ` +
    "send a plain object, describe it with a Schema, or install a hook for it";
};
