/**
 * What is known at compile time of the types that modules define for managers.
 *
 * @module
 */
import type * as Effect from "effect/Effect";
import type * as Equal from "effect/Equal";
import type * as Scope from "effect/Scope";
import type * as Stream from "effect/Stream";
import type * as Task from "../../Task.ts";
import type { Failure, Place } from "./calls.ts";
import type { RemoteError } from "./errors.ts";

/** Marks every proxy. */
export const TypeId = "~multiprocessing/Proxy";

/** The object of a managed type, for those who use it. */
export interface Proxy extends Equal.Equal {
  /** Marks it as a proxy, and says where its object is. @internal */
  readonly [TypeId]: Place;
}

/** Marks every type. */
export const TypeTypeId = "~multiprocessing/ManagedType";

/**
 * A type whose objects live at a server: made by its constructor from these arguments, used by this proxy.
 *
 * @since 0.1.0
 * @category models
 */
export interface Type<in Args extends ReadonlyArray<unknown>, out A extends Proxy, out E = never> {
  /** Marks it as a type. */
  readonly [TypeTypeId]: {
    readonly _Args: (_: Args) => void;
    readonly _A: () => A;
    readonly _E: () => E;
  };
  /** URL of the module that defines it. */
  readonly url: string;
  /** Its name, unique in that module. */
  readonly name: string;
}

/** Any type. @since 0.1.0 @category models */
export type AnyType = Type<never, Proxy, unknown>;

/** The names of an object's methods. @since 0.1.0 @category type-level */
export type MethodName<T> = {
  [K in keyof T]: K extends string ? T[K] extends (...args: never) => unknown ? K : never : never;
}[keyof T];

/** The names of those that are exposed if nothing is said of it. @since 0.1.0 @category type-level */
export type PublicName<T> = Exclude<
  MethodName<T>,
  `_${string}` | Exclude<keyof object, never> | keyof typeof Object.prototype
>;

/** Options of a type. @since 0.1.0 @category models */
export interface TypeOptions<T> {
  /** The methods that others can call. @default all whose names do not begin with `_` */
  readonly exposed?: ReadonlyArray<MethodName<T>> | undefined;
  /** The methods whose result is a Stream or an AsyncIterable. */
  readonly streams?: ReadonlyArray<MethodName<T>> | undefined;
  /** The methods whose results stay at the server, as objects of these types. Python's `method_to_typeid`. */
  readonly returns?: { readonly [K in MethodName<T>]?: AnyType } | undefined;
}

/** The names that the options expose. @since 0.1.0 @category type-level */
export type Exposed<T, O> = O extends { readonly exposed: ReadonlyArray<infer K> } ? Extract<K, MethodName<T>>
  : PublicName<T>;

/** What a method gives to those who call it by a proxy. @since 0.1.0 @category type-level */
export type Result<R, O, K> = O extends
  { readonly returns: { readonly [P in K & string]: Type<infer _Args, infer A, infer _E> } }
  ? Effect.Effect<A, Task.Failure<R, never> | RemoteError | Failure, Scope.Scope>
  : O extends { readonly streams: ReadonlyArray<infer S> } ? K extends S ? StreamResult<R> : SingleResult<R>
  : SingleResult<R>;

/** What a method that is a Stream gives. @since 0.1.0 @category type-level */
export type StreamResult<R> = R extends Iterable<infer A> ? Stream.Stream<A, RemoteError | Failure>
  : R extends AsyncIterable<infer A> ? Stream.Stream<A, RemoteError | Failure>
  : R extends Stream.Stream<infer A, infer E, infer _R> ? Stream.Stream<A, E | RemoteError | Failure>
  : never;

/** What a method with one result gives; of one whose result is a Stream, `never`: it has to be named in `streams`. @since 0.1.0 @category type-level */
export type SingleResult<R> = [R] extends [never] ? Effect.Effect<never, RemoteError | Failure>
  : R extends AsyncIterable<unknown> ? never
  : [Task.Of<[], R, never>] extends [Task.Task<[], infer A, infer E>] ? Effect.Effect<A, E | RemoteError | Failure>
  : never;

/** The proxy of an object with these methods. @since 0.1.0 @category type-level */
export type ProxyOf<T, O> =
  & Proxy
  & {
    readonly [K in Exposed<T, O>]: T[K] extends (...args: infer Args) => infer R ? (...args: Args) => Result<R, O, K>
      : never;
  };
