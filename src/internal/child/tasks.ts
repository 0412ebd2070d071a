/**
 * The definitions of tasks in this process. Free of Effect.
 *
 * @module
 */
import type { FiberRef } from "effect/FiberRef";
import type { Schema } from "effect/Schema";
import type { Any, Options, TypeId as TaskTypeId } from "../../Task.ts";
import * as Arguments from "../os/arguments.ts";
import { originalUrl } from "../os/place.ts";

/** Marks every task. */
export const TypeId: TaskTypeId = "~multiprocessing/Task";

/** A definition, as the registry of a process holds it. */
export interface Definition {
  /** The function that runs. */
  readonly handler: (...args: ReadonlyArray<never>) => unknown;
  /** The options as the user gave them. */
  readonly options: Options<ReadonlyArray<unknown>, unknown, unknown, never>;
  /** Turns an argument into the data that travels, for tasks whose arguments are more than data. */
  readonly dehydrate?: (argument: unknown) => unknown;
}

/** Carries types only. */
const variance = {} as Any[TaskTypeId];

/**
 * Every definition of this process, by module and name. It is a property of the global object, so that two copies of this library
 * in one process (one from a cache, one from a checkout) share the tasks.
 */
const key = Symbol.for("~multiprocessing/tasks");
const shared = globalThis as { [key]?: Map<string, Map<string, Definition>> };
const registry: Map<string, Map<string, Definition>> = shared[key] ??= new Map();

/** Finds a definition in this process. */
export const lookup = (url: string, name: string): Definition | undefined => registry.get(url)?.get(name);

/** Names of the tasks that a module has defined in this process. */
export const namesIn = (url: string): ReadonlyArray<string> => [...registry.get(url)?.keys() ?? []];

/** URLs of the modules that have defined tasks in this process. */
export const modules = (): ReadonlyArray<string> => [...registry.keys()];

/** A FiberRef whose value travels with tasks. */
export interface Portable {
  readonly ref: FiberRef<unknown>;
  readonly schema: Schema<unknown>;
}

const portableKey = Symbol.for("~multiprocessing/portables");
const carriers = globalThis as { [portableKey]?: Map<string, Portable> };

/** Every declaration of a portable FiberRef in this process, by module and name. */
export const portables: Map<string, Portable> = carriers[portableKey] ??= new Map();

const { boolean, layer, optional, schema } = Arguments;

const optionChecks: Arguments.Checks = {
  payload: optional(Arguments.arrayOf(schema, "Schemas, one for each argument")),
  success: optional(schema),
  error: optional(schema),
  layer: optional(layer),
  idempotent: optional(boolean),
  killable: optional(boolean),
};

/** Declares a portable FiberRef. Throws a `TypeError` if it cannot. */
export const declarePortable = (meta: ImportMeta, name: string, ref: unknown, schema: unknown): void => {
  const wrong = Arguments.wrong({ url: meta?.url, name, ref, schema }, {
    url: Arguments.must((value) => typeof value === "string", "that of the module's import.meta"),
    name: Arguments.name,
    ref: Arguments.fiberRef,
    schema: Arguments.schema,
  });
  if (wrong !== undefined) throw new TypeError(Arguments.invalidArgument("Task.portable", wrong));
  const key = `"${name}" of ${originalUrl(meta.url)}`;
  if (portables.has(key)) {
    throw new TypeError(
      Arguments.invalidArgument(
        "Task.portable",
        `name must be unique in its module, received ${Arguments.show(name)} again`,
      ),
    );
  }
  portables.set(key, { ref, schema } as Portable);
};

/** Defines a task. Throws a `TypeError` if it cannot. */
export const define = (meta: ImportMeta, name: string, definition: Definition): Any => {
  const url = meta?.url === undefined ? undefined : originalUrl(meta.url);
  if (typeof url !== "string") {
    throw new TypeError(
      `Cannot define a task: the first argument must be the module's import.meta, received ${Arguments.show(meta)}`,
    );
  }
  if (typeof name !== "string" || name === "") {
    throw new TypeError(
      `Cannot define a task in ${url}: its name must be a non-empty string, received ${Arguments.show(name)}`,
    );
  }
  const { handler } = definition;
  if (typeof handler !== "function") {
    throw new TypeError(
      `Cannot define task "${name}" in ${url}: the handler must be a function, received ${Arguments.show(handler)}`,
    );
  }
  const wrong = Arguments.wrongOptions(definition.options, optionChecks);
  if (wrong !== undefined) throw new TypeError(`Cannot define task "${name}" in ${url}: ${wrong}`);
  let tasks = registry.get(url);
  if (tasks === undefined) registry.set(url, tasks = new Map());
  if (tasks.has(name)) {
    throw new TypeError(
      `Cannot define task "${name}" in ${url}: the name is taken; give each task of a module its own name, and define it at the top level, where it is defined once`,
    );
  }
  tasks.set(name, definition);
  return { [TypeId]: variance, url, name } as Any;
};
