/**
 * Making the objects of a server: of the library's types, and of types that the user has defined.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Scope from "effect/Scope";
import { pretty } from "../../codec/cause.ts";
import { ManagerError } from "../errors.ts";
import * as P from "../protocol.ts";
import * as Types from "../types.ts";
import { type KindContext, kinds, type NewObject } from "./kinds.ts";
import type { ManagedObject, ObjectTable } from "./object_table.ts";
import { andThen, evaluate, isPending, runLibraryCode, runUserCode, toEffect } from "./results.ts";
import type { Reference, Tasks } from "./tasks.ts";

/** Makes objects. Methods return a {@link ManagedObject} or an Effect of one; see `results.ts`. */
export class ObjectFactory {
  readonly #context: KindContext;
  readonly #tasks: Tasks;
  readonly #objects: ObjectTable;
  /** Types that other programs may name, though they know the modules by other URLs. */
  readonly #named: ReadonlyMap<string, Reference>;

  constructor(context: KindContext, named: ReadonlyArray<Reference> = []) {
    this.#context = context;
    this.#tasks = context.tasks;
    this.#objects = context.objects;
    this.#named = new Map(named.map((type) => [type[1], type]));
  }

  /** Makes an object of the type that is named by the URL of a module and a name. */
  make(url: string, name: string, args: ReadonlyArray<unknown>, isForeign: boolean): unknown {
    return url === P.BUILTIN ? this.#makeBuiltin(name, args, isForeign) : this.#makeCustom(url, name, args);
  }

  /** Makes an object of a value that a method has returned. */
  adoptResult(type: { readonly url: string; readonly name: string }, value: unknown): ManagedObject {
    const definition = Types.lookup(type.url, type.name);
    if (definition === undefined) {
      throw new ManagerError("UnknownType", `Cannot keep a ${type.name}: the type is not defined`);
    }
    return this.#adopt(definition, value, undefined);
  }

  #makeBuiltin(name: string, args: ReadonlyArray<unknown>, isForeign: boolean): unknown {
    const kind = Object.hasOwn(kinds, name) ? kinds[name] : undefined;
    if (kind === undefined) throw new ManagerError("UnknownType", `Cannot make a ${name}: there is no such type`);
    if (isForeign && kind.familyOnly === true) {
      throw new ManagerError("NotExposed", `Cannot make a ${name} for another program`);
    }
    const number = this.#objects.nextNumber();
    const make = (): unknown => runLibraryCode(`make a ${name}`, () => kind.make(this.#context, number, args));
    return andThen(make(), (made) => {
      const { close, handle, shape, target } = made as NewObject;
      return this.#objects.add({
        number,
        type: name,
        target,
        shape,
        exposed: kind.exposed,
        returns: {},
        custom: false,
        handle,
        close: () => close ?? Effect.void,
      });
    });
  }

  #makeCustom(url: string, name: string, args: ReadonlyArray<unknown>): unknown {
    const found = this.#tasks.knows(url) ? [url, name] as const : this.#named.get(name);
    const [module, type] = found ?? [url, name];
    const loading = found && this.#tasks.import(module);
    const definition = loading && Types.lookup(module, type);
    if (definition !== undefined) return this.#construct(definition, args);
    const unknown = new ManagerError(
      "UnknownType",
      `Cannot make a ${name} in the manager's server: ${
        loading === undefined
          ? `it was not told of ${url}; name the module in the options of the manager`
          : `${url} defines no such type at its top level`
      }`,
    );
    if (loading === undefined) throw unknown;
    return andThen(loading, () => {
      const definition = Types.lookup(module, type);
      if (definition === undefined) throw unknown;
      return this.#construct(definition, args);
    });
  }

  #construct(definition: Types.TypeDefinition, args: ReadonlyArray<unknown>): unknown {
    const { isClass, make, name } = definition;
    const value = evaluate(
      isClass ? `new ${name}` : name,
      () => isClass ? Reflect.construct(make, args) : Reflect.apply(make, undefined, args),
    );
    if (!isPending(value)) return this.#adopt(definition, value, undefined);
    // The scope that the Effect uses stays open for as long as the object lives.
    return Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(Scope.make(), (scope) =>
        Effect.onError(
          Effect.flatMap(
            restore(Effect.provideService(value, Scope.Scope, scope)),
            (value) => toEffect(() => this.#adopt(definition, value, scope)),
          ),
          (cause) => Scope.close(scope, Exit.failCause(cause)),
        ))
    );
  }

  #adopt(definition: Types.TypeDefinition, value: unknown, scope: Scope.CloseableScope | undefined): ManagedObject {
    const { exposed, name, returns, streams } = definition;
    if (typeof value !== "object" || value === null) {
      throw new ManagerError("InvalidResult", `Cannot keep a ${name}: it must be an object, received ${typeof value}`);
    }
    const known = this.#objects.findTarget(value, name);
    if (known !== undefined) return known;
    const methods = runUserCode(
      name,
      () =>
        (exposed ?? Types.publicMethods(value)).filter((method) => typeof Reflect.get(value, method) === "function"),
    );
    return this.#objects.add({
      number: this.#objects.nextNumber(),
      type: name,
      target: value,
      shape: { methods, streams, kept: Object.keys(returns) },
      exposed: new Set(methods),
      returns,
      custom: true,
      handle: undefined,
      close: () =>
        Effect.zipRight(dispose(name, value), scope === undefined ? Effect.void : Scope.close(scope, Exit.void)),
    });
  }
}

const dispose = (name: string, value: object): Effect.Effect<unknown> =>
  Effect.catchAllCause(
    Effect.suspend(() => {
      const method: unknown = Reflect.get(value, Symbol.asyncDispose) ?? Reflect.get(value, Symbol.dispose);
      return typeof method === "function" ? Effect.promise(async () => void await method.call(value)) : Effect.void;
    }),
    (cause) => Effect.logError(`The manager could not dispose of a ${name}: ${pretty(cause)}`),
  );
