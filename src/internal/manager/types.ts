/**
 * Types that a module defines for managers: found by name, as tasks are, so that nothing but data crosses.
 *
 * @module
 */
import * as Arguments from "../os/arguments.ts";

/** A definition, as the registry of a process holds it. */
export interface Definition {
  readonly url: string;
  readonly name: string;
  /** A class, or a function that makes one. */
  readonly make: (...args: ReadonlyArray<never>) => unknown;
  readonly isClass: boolean;
  /** Methods that others may call; `undefined` for all that do not begin with `_`. */
  readonly exposed: ReadonlyArray<string> | undefined;
  /** Methods whose result is a Stream. */
  readonly streams: ReadonlyArray<string>;
  /** Methods whose result stays in the server, by the type that it is there. */
  readonly returns: Readonly<Record<string, { readonly url: string; readonly name: string }>>;
}

const key = Symbol.for("~multiprocessing/types");
const shared = globalThis as { [key]?: Map<string, Map<string, Definition>> };
const registry: Map<string, Map<string, Definition>> = shared[key] ??= new Map();

/** What every object has, and no other process is to reach. */
const FORBIDDEN = new Set(Object.getOwnPropertyNames(Object.prototype));

/** Whether a name may be that of a method for others. */
export const isReachable = (name: string): boolean => !FORBIDDEN.has(name);

/** A class cannot be called: its prototype is not to be replaced. */
const isClass = (make: object): boolean => Object.getOwnPropertyDescriptor(make, "prototype")?.writable === false;

const optionChecks: Arguments.Checks = {
  exposed: Arguments.optional(Arguments.texts),
  streams: Arguments.optional(Arguments.texts),
  returns: Arguments.optional(Arguments.record),
};

/** Registers a definition. Throws a `TypeError` for a mistake of the program. */
export const define = (
  meta: ImportMeta,
  name: string,
  make: Definition["make"],
  options: Pick<Definition, "exposed"> & Partial<Pick<Definition, "streams" | "returns">>,
): Definition => {
  const url = meta?.url;
  if (typeof url !== "string") {
    throw new TypeError(
      `Cannot define a type: the first argument must be the module's import.meta, received ${Arguments.show(meta)}`,
    );
  }
  const fail = (why: string): never => {
    throw new TypeError(`Cannot define type ${Arguments.show(name)} in ${url}: ${why}`);
  };
  if (typeof name !== "string" || name === "") {
    fail(`its name must be a non-empty string, received ${Arguments.show(name)}`);
  }
  if (typeof make !== "function") {
    fail(`it must be a class or a function that makes an object, received ${Arguments.show(make)}`);
  }
  const wrong = Arguments.wrongOptions(options, optionChecks);
  if (wrong !== undefined) fail(wrong);
  const { exposed, streams = [], returns = {} } = options;
  for (const method of [...exposed ?? [], ...streams, ...Object.keys(returns)]) {
    if (!isReachable(method)) fail(`"${method}" cannot be exposed: every object has it`);
  }
  let types = registry.get(url);
  if (types === undefined) registry.set(url, types = new Map());
  if (types.has(name)) fail("the name is taken; define it at the top level of the module, where it is defined once");
  const definition: Definition = { url, name, make, isClass: isClass(make), exposed, streams, returns };
  types.set(name, definition);
  return definition;
};

/** Finds a definition in this process. */
export const lookup = (url: string, name: string): Definition | undefined => registry.get(url)?.get(name);

/** Names of the types that a module has defined in this process. */
export const namesIn = (url: string): ReadonlyArray<string> => [...registry.get(url)?.keys() ?? []];

/** URLs of the modules that have defined types in this process. */
export const modules = (): ReadonlyArray<string> => [...registry.keys()];

/** The methods of an object, from its own up to those that every object has: Python's public callables. */
export const publicMethods = (instance: object): ReadonlyArray<string> => {
  const names = new Set<string>();
  for (let at: object | null = instance; at !== null && at !== Object.prototype; at = Object.getPrototypeOf(at)) {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(at))) {
      if (typeof value === "function" && !name.startsWith("_") && isReachable(name)) names.add(name);
    }
  }
  return [...names];
};
