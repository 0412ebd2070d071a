/**
 * Access to values of the user. Any of them may throw when it is touched: a Proxy with a trap that throws, a revoked Proxy,
 * an error whose `stack` is a getter that throws. The functions of this module do not throw.
 *
 * @module
 */

/** Like `instanceof`, but `false` if a trap of a Proxy throws. */
export const isInstance = <A>(value: unknown, Class: abstract new (...args: never) => A): value is A => {
  try {
    return value instanceof Class;
  } catch {
    return false;
  }
};

/** Whether an object has a property, inherited ones included. */
export const has = (value: object, key: PropertyKey): boolean => {
  try {
    return key in value;
  } catch {
    return false;
  }
};

/** Reads a property; `undefined` if that throws. */
export const read = (value: object, key: PropertyKey): unknown => {
  try {
    return Reflect.get(value, key);
  } catch {
    return undefined;
  }
};

/** `String(value)`, or a note that the value cannot be printed. */
export const explain = (value: unknown): string => {
  try {
    return String(value);
  } catch {
    return "a value that cannot be printed";
  }
};

/** The message of an error, or any other exception as a string. */
export const messageOf = (thrown: unknown): string => {
  if (!isInstance(thrown, Error)) return explain(thrown);
  const message = read(thrown, "message");
  return typeof message === "string" ? message : explain(message);
};

/** The name and message of an error, or any other exception as a string. */
export const summary = (thrown: unknown): string => {
  if (!isInstance(thrown, Error)) return explain(thrown);
  const name = read(thrown, "name");
  return `${typeof name === "string" ? name : "Error"}: ${messageOf(thrown)}`;
};

/** Drops lines from the stack of an error. An error that does not allow the change keeps its stack. */
export const trimStack = (error: unknown, drop: (line: string) => boolean): void => {
  if (!isInstance(error, Error)) return;
  const stack = read(error, "stack");
  if (typeof stack !== "string") return;
  try {
    error.stack = stack.split("\n").filter((line) => !drop(line)).join("\n");
  } catch {
    // A frozen error, or one whose `stack` has no setter.
  }
};

/** Prints an exception to stderr, or its summary if the console cannot inspect it. */
export const report = (text: string, thrown: unknown): void => {
  try {
    console.error(text, thrown);
  } catch {
    console.error(text, summary(thrown));
  }
};
