/**
 * The types of managed classes at compile time.
 *
 * @module
 */
import type * as Effect from "effect/Effect";
import type * as Equal from "effect/Equal";
import type * as Scope from "effect/Scope";
import type * as Stream from "effect/Stream";
import type * as Task from "../../Task.ts";
import type { ManagerFailure, ObjectRef } from "./calls.ts";
import type { RemoteError } from "./errors.ts";

/** The mark of proxies. */
export const TypeId = "~multiprocessing/Proxy";

/** The typed client of a managed object. */
export interface Proxy extends Equal.Equal {
  /** Marks it as a proxy, and refers to its object. @internal */
  readonly [TypeId]: ObjectRef;
}

/**
 * A lock or another object of this library that is used like one made in memory, and is a proxy as well.
 *
 * @since 0.1.0
 * @category models
 */
export type Managed<A> = A & Proxy;

/** The mark of managed types. */
export const TypeTypeId = "~multiprocessing/ManagedType";

/**
 * A managed type: its objects are made at a server from arguments `Args`, and used through a proxy `A`.
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
  /** The name of the type, unique in that module. */
  readonly name: string;
}

/** Any managed type. @since 0.1.0 @category models */
export type AnyType = Type<never, Proxy, unknown>;

/** The names of an object's methods. @since 0.1.0 @category type-level */
export type MethodName<T> = {
  [K in keyof T]: K extends string ? T[K] extends (...args: never) => unknown ? K : never : never;
}[keyof T];

/** The names of the methods that are exposed by default. @since 0.1.0 @category type-level */
export type PublicName<T> = Exclude<
  MethodName<T>,
  `_${string}` | Exclude<keyof object, never> | keyof typeof Object.prototype
>;

/** Options of a managed type. @since 0.1.0 @category models */
export interface TypeOptions<T> {
  /** The methods that other processes can call. @default all methods whose names do not begin with `_` */
  readonly exposed?: ReadonlyArray<MethodName<T>> | undefined;
  /** Methods whose result is a Stream or an AsyncIterable. */
  readonly streams?: ReadonlyArray<MethodName<T>> | undefined;
  /** Methods whose results stay at the server, as objects of these types. Python's `method_to_typeid`. */
  readonly returns?: { readonly [K in MethodName<T>]?: AnyType } | undefined;
}

/** The names of the methods that the options expose. @since 0.1.0 @category type-level */
export type Exposed<T, O> = O extends { readonly exposed: ReadonlyArray<infer K> } ? Extract<K, MethodName<T>>
  : PublicName<T>;

/** The result of a method that is called through a proxy. @since 0.1.0 @category type-level */
export type Result<R, O, K> = O extends
  { readonly returns: { readonly [P in K & string]: Type<infer _Args, infer A, infer _E> } }
  ? Effect.Effect<A, Task.Failure<R, never> | RemoteError | ManagerFailure, Scope.Scope>
  : O extends { readonly streams: ReadonlyArray<infer S> } ? K extends S ? StreamResult<R> : SingleResult<R>
  : SingleResult<R>;

/** The result of a method whose result is a Stream. @since 0.1.0 @category type-level */
export type StreamResult<R> = R extends Iterable<infer A> ? Stream.Stream<A, RemoteError | ManagerFailure>
  : R extends AsyncIterable<infer A> ? Stream.Stream<A, RemoteError | ManagerFailure>
  : R extends Stream.Stream<infer A, infer E, infer _R> ? Stream.Stream<A, E | RemoteError | ManagerFailure>
  : never;

/** The result of a method with a single result. A method whose result is a Stream gives `never`: name it in `streams`. @since 0.1.0 @category type-level */
export type SingleResult<R> = [R] extends [never] ? Effect.Effect<never, RemoteError | ManagerFailure>
  : R extends AsyncIterable<unknown> ? never
  : [Task.Of<[], R, never>] extends [Task.Task<[], infer A, infer E>]
    ? Effect.Effect<A, E | RemoteError | ManagerFailure>
  : never;

/**
 * The type of the proxies of a managed type: `Manager.ProxyOf<typeof account>`.
 *
 * @since 0.1.0
 * @category type-level
 */
export type ProxyOf<T extends AnyType> = T extends Type<infer _Args, infer A, infer _E> ? A : never;

/** The proxy of an object of a class `T` with options `O`. @since 0.1.0 @category type-level */
export type ClassProxy<T, O> =
  & Proxy
  & {
    readonly [K in Exposed<T, O>]: T[K] extends (...args: infer Args) => infer R ? (...args: Args) => Result<R, O, K>
      : never;
  };
