/**
 * What tasks, constructors and methods give, made into plain values and Effects; and running tasks on values of the server.
 *
 * @module
 */
import * as Cause from "effect/Cause";
import * as Effect from "effect/Effect";
import * as Layer from "effect/Layer";
import type * as Runtime from "effect/Runtime";
import * as Scope from "effect/Scope";
import type { Backend } from "../../../Backend.ts";
import { library, load } from "../../child/modules.ts";
import type { Task } from "../../../Task.ts";
import { type Definition, lookup, TypeId } from "../../child/tasks.ts";
import { isInstance, trimStack } from "../../codec/foreign.ts";
import { isEffect, isPromise } from "../../codec/programs.ts";
import { ManagerError } from "../errors.ts";

/** What a plain function threw: the caller is given a `RemoteError`. */
export class Thrown {
  readonly error: unknown;

  constructor(readonly method: string, error: unknown) {
    // The library's own part of the stack says nothing about the error.
    trimStack(error, (line) => line.includes(library));
    this.error = error;
  }
}

/** Where a task is defined. */
export type Reference = readonly [url: string, name: string];

/** A result is a value, or an Effect for what takes its time or fails as its own type says. */
export const settled = (method: string, evaluate: () => unknown): unknown => {
  let value: unknown;
  try {
    value = evaluate();
  } catch (error) {
    throw isInstance(error, ManagerError) ? error : new Thrown(method, error);
  }
  if (typeof value !== "object" || value === null) return value;
  if (isEffect(value)) return value;
  if (!isPromise(value)) return value;
  const promise = value;
  return Effect.tryPromise({ try: () => promise, catch: (error) => new Thrown(method, error) });
};

/** Whether a result of {@link settled} is an Effect. */
export const isPending = (value: unknown): value is Effect.Effect<unknown, unknown, Backend | Scope.Scope> =>
  typeof value === "object" && value !== null && isEffect(value);

/** What follows a result, in the same turn if it is there. */
export const then = (value: unknown, next: (value: unknown) => unknown): unknown =>
  isPending(value) ? Effect.flatMap(value, (value) => lifted(() => next(value))) : next(value);

/** As an Effect: what is thrown for the caller is its failure. */
export const lifted = (evaluate: () => unknown): Effect.Effect<unknown, unknown, Backend | Scope.Scope> =>
  Effect.suspend(() => {
    try {
      const value = evaluate();
      return isPending(value) ? value : Effect.succeed(value);
    } catch (error) {
      return isInstance(error, ManagerError) || isInstance(error, Thrown) ? Effect.fail(error) : Effect.die(error);
    }
  });

const isReference = (value: unknown): value is Reference =>
  Array.isArray(value) && typeof value[0] === "string" && typeof value[1] === "string";

/** Runs tasks of the modules that this server was told of. */
export class Tasks {
  readonly #modules: ReadonlySet<string>;
  readonly #named: ReadonlyMap<string, Reference>;
  readonly #scope: Scope.Scope;
  readonly #memo = Effect.runSync(Layer.makeMemoMap);

  constructor(modules: ReadonlySet<string>, scope: Scope.Scope, named: ReadonlyArray<Reference> = []) {
    this.#modules = modules;
    this.#scope = scope;
    this.#named = new Map(named.map((task) => [task[1], task]));
  }

  /** Whether this server was told of a module. */
  knows(url: string): boolean {
    return this.#modules.has(url);
  }

  /** Loads a module. */
  import(url: string): Effect.Effect<unknown, unknown> {
    return Effect.tryPromise({ try: () => load(url), catch: (error) => new Thrown(`import ${url}`, error) });
  }

  /** Loads all modules; those that cannot be loaded are left to whoever asks for them. */
  get loadAll(): Effect.Effect<void> {
    return Effect.forEach(this.#modules, (url) => Effect.ignore(this.import(url)), { discard: true });
  }

  /** Finds a task, for somebody who runs it elsewhere. */
  find(reference: unknown): Effect.Effect<Task<ReadonlyArray<unknown>, unknown, unknown>, unknown> {
    return lifted(() => this.#with(reference, ([url, name]) => ({ [TypeId]: {}, url, name }))) as Effect.Effect<
      never,
      unknown
    >;
  }

  /** Runs a task. */
  run(reference: unknown, ...args: ReadonlyArray<unknown>): unknown {
    return this.#with(reference, ([, name], definition) => this.#perform(name, definition, args));
  }

  #with(reference: unknown, use: (reference: Reference, definition: Definition) => unknown): unknown {
    if (!isReference(reference)) throw new ManagerError("InvalidArguments", "Cannot run a task: it is none");
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
    return then(loading, () => {
      const definition = lookup(url, name);
      if (definition === undefined) throw unknown;
      return use(found, definition);
    });
  }

  #perform(name: string, { handler, options }: Definition, args: ReadonlyArray<unknown>): unknown {
    if (options.payload !== undefined || options.success !== undefined || options.error !== undefined) {
      throw new ManagerError(
        "InvalidArguments",
        `Cannot run task "${name}" in the manager's server: it has Schemas, and what the server holds is data`,
      );
    }
    const call = (): unknown => settled(name, () => (handler as (...args: ReadonlyArray<unknown>) => unknown)(...args));
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
    return Effect.flatMap(services, (services) => Effect.provide(Effect.scoped(lifted(call)), services));
  }
}
