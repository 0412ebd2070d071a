/**
 * The registry of managed types. A type is found by the URL of its module and its name, as a task is, so that messages contain only
 * data.
 *
 * @module
 */
import * as Arguments from "../os/arguments.ts";
import { originalUrl } from "../os/place.ts";

/** The definition of a type in this process. */
export interface TypeDefinition {
  readonly url: string;
  readonly name: string;
  /** A class, or a function that makes an object. */
  readonly make: (...args: ReadonlyArray<never>) => unknown;
  readonly isClass: boolean;
  /** Methods that other processes may call; `undefined` means all that do not begin with `_`. */
  readonly exposed: ReadonlyArray<string> | undefined;
  /** Methods whose result is a Stream. */
  readonly streams: ReadonlyArray<string>;
  /** Types of the methods' results that stay at the server. */
  readonly returns: Readonly<Record<string, { readonly url: string; readonly name: string }>>;
}

const key = Symbol.for("~multiprocessing/types");
const shared = globalThis as { [key]?: Map<string, Map<string, TypeDefinition>> };
const registry: Map<string, Map<string, TypeDefinition>> = shared[key] ??= new Map();

/** Methods of every object, which no other process may call. */
const FORBIDDEN = new Set(Object.getOwnPropertyNames(Object.prototype));

/** Whether a method of this name can be exposed. */
export const isReachable = (name: string): boolean => !FORBIDDEN.has(name);

/** Whether a function is a class: the `prototype` of a class is not writable. */
const isClass = (make: object): boolean => Object.getOwnPropertyDescriptor(make, "prototype")?.writable === false;

const optionChecks: Arguments.Checks = {
  exposed: Arguments.optional(Arguments.texts),
  streams: Arguments.optional(Arguments.texts),
  returns: Arguments.optional(Arguments.record),
};

/** Registers a type. Throws a `TypeError` if an argument is invalid. */
export const define = (
  meta: ImportMeta,
  name: string,
  make: TypeDefinition["make"],
  options: Partial<Pick<TypeDefinition, "exposed" | "streams" | "returns">>,
): TypeDefinition => {
  const url = meta?.url === undefined ? undefined : originalUrl(meta.url);
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
    if (!isReachable(method)) fail(`"${method}" cannot be exposed: it is a method of every object`);
  }
  let types = registry.get(url);
  if (types === undefined) registry.set(url, types = new Map());
  if (types.has(name)) fail("the name is taken; define each type once, at the top level of its module");
  const definition: TypeDefinition = { url, name, make, isClass: isClass(make), exposed, streams, returns };
  types.set(name, definition);
  return definition;
};

/** Finds a type in this process. */
export const lookup = (url: string, name: string): TypeDefinition | undefined => registry.get(url)?.get(name);

/** The names of the types that a module has defined in this process. */
export const namesIn = (url: string): ReadonlyArray<string> => [...registry.get(url)?.keys() ?? []];

/** The URLs of the modules that have defined types in this process. */
export const modules = (): ReadonlyArray<string> => [...registry.keys()];

/** The public methods of an object and of its prototypes, except `Object.prototype`. Python's public callables. */
export const publicMethods = (instance: object): ReadonlyArray<string> => {
  const names = new Set<string>();
  for (let at: object | null = instance; at !== null && at !== Object.prototype; at = Object.getPrototypeOf(at)) {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(at))) {
      if (typeof value === "function" && !name.startsWith("_") && isReachable(name)) names.add(name);
    }
  }
  return [...names];
};
