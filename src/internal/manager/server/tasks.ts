/**
 * Running tasks in the server. Only tasks of modules that the server was told of can be run.
 *
 * @module
 */
import * as Cause from "effect/Cause";
import * as Effect from "effect/Effect";
import * as Layer from "effect/Layer";
import type * as Runtime from "effect/Runtime";
import * as Scope from "effect/Scope";
import { load } from "../../child/modules.ts";
import type { Task } from "../../../Task.ts";
import { type Definition, lookup, TypeId } from "../../child/tasks.ts";
import { ManagerError } from "../errors.ts";
import { andThen, evaluate, isPending, Thrown, toEffect } from "./results.ts";

/** URL of a module, and the name of a task or type that the module defines. */
export type Reference = readonly [url: string, name: string];

const isReference = (value: unknown): value is Reference =>
  Array.isArray(value) && typeof value[0] === "string" && typeof value[1] === "string";

/** The tasks that a server may run. */
export class Tasks {
  readonly #modules: ReadonlySet<string>;
  /** Tasks that other programs may name, though they know the modules by other URLs. */
  readonly #named: ReadonlyMap<string, Reference>;
  readonly #scope: Scope.Scope;
  readonly #memo = Effect.runSync(Layer.makeMemoMap);

  constructor(modules: ReadonlySet<string>, scope: Scope.Scope, named: ReadonlyArray<Reference> = []) {
    this.#modules = modules;
    this.#scope = scope;
    this.#named = new Map(named.map((task) => [task[1], task]));
  }

  /** Whether the server was told of a module. */
  knows(url: string): boolean {
    return this.#modules.has(url);
  }

  /** Loads a module. */
  import(url: string): Effect.Effect<unknown, unknown> {
    return Effect.tryPromise({ try: () => load(url), catch: (error) => new Thrown(`import ${url}`, error) });
  }

  /** Loads all modules. A module that fails to load is reported to the first call that needs it. */
  get loadAll(): Effect.Effect<void> {
    return Effect.forEach(this.#modules, (url) => Effect.ignore(this.import(url)), { discard: true });
  }

  /** Finds a task that is to run in another process. */
  find(reference: unknown): Effect.Effect<Task<ReadonlyArray<unknown>, unknown, unknown>, unknown> {
    return toEffect(() => this.#with(reference, ([url, name]) => ({ [TypeId]: {}, url, name }))) as Effect.Effect<
      never,
      unknown
    >;
  }

  /** Runs a task. Returns its result; see `results.ts`. */
  run(reference: unknown, ...args: ReadonlyArray<unknown>): unknown {
    return this.#with(reference, ([, name], definition) => this.#perform(name, definition, args));
  }

  /** Passes the definition of a task to `use`, once its module is loaded. */
  #with(reference: unknown, use: (reference: Reference, definition: Definition) => unknown): unknown {
    if (!isReference(reference)) {
      throw new ManagerError("InvalidArguments", "Cannot run a task: the argument does not name a task");
    }
    const known = this.knows(reference[0]);
    const found = known ? reference : this.#named.get(reference[1]) ?? reference;
    const [url, name] = found;
    const loading = known || found !== reference ? this.import(url) : undefined;
    const definition = loading && lookup(url, name);
    if (definition !== undefined) return use(found, definition);
    const unknown = new ManagerError(
      "UnknownTask",
      `Cannot run task "${name}" in the manager's server: ${
        loading === undefined
          ? `it was not told of ${url}; name the module in the options of the manager`
          : `${url} defines no such task at its top level`
      }`,
    );
    if (loading === undefined) throw unknown;
    return andThen(loading, () => {
      const definition = lookup(url, name);
      if (definition === undefined) throw unknown;
      return use(found, definition);
    });
  }

  #perform(name: string, { handler, options }: Definition, args: ReadonlyArray<unknown>): unknown {
    if (options.payload !== undefined || options.success !== undefined || options.error !== undefined) {
      throw new ManagerError(
        "InvalidArguments",
        `Cannot run task "${name}" in the manager's server: tasks with Schemas are not supported there`,
      );
    }
    const call = (): unknown =>
      evaluate(name, () => (handler as (...args: ReadonlyArray<unknown>) => unknown)(...args));
    const { layer } = options;
    if (layer === undefined) {
      const value = call();
      return isPending(value) ? Effect.scoped(value) : value;
    }
    const built = Scope.extend(Layer.toRuntimeWithMemoMap(layer, this.#memo), this.#scope);
    const services = Effect.catchAllCause(
      built as Effect.Effect<Runtime.Runtime<never>, unknown>,
      (cause) => Effect.fail(new Thrown(`the layer of task "${name}"`, Cause.squash(cause))),
    );
    return Effect.flatMap(services, (services) => Effect.provide(Effect.scoped(toEffect(call)), services));
  }
}
