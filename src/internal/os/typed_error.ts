/**
 * The base class of all errors of the library.
 *
 * An error is also an Effect that fails with this error, so `yield* error` fails in `Effect.gen`, as with `Data.TaggedError`.
 * This module implements the protocol of Effect by its registered symbols, because a child that runs only plain functions
 * must not load Effect.
 *
 * @module
 */
import type * as Cause from "effect/Cause";

/** The methods of an Effect. */
interface Protocol {
  readonly pipe: (...functions: ReadonlyArray<(value: unknown) => unknown>) => unknown;
}

const EffectTypeId = Symbol.for("effect/Effect");
const YieldWrapTypeId = Symbol.for("effect/Utils/YieldWrap");
const CURRENT_FIBER = "effect/FiberCurrent";

const identity = (value: never): never => value;

/** The variance of an Effect. Its version is that of the running fiber, so every copy of Effect accepts it. */
const variance = {
  _R: identity,
  _E: identity,
  _A: identity,
  get _V(): unknown {
    const fiber =
      (globalThis as { [CURRENT_FIBER]?: { readonly [EffectTypeId]?: { readonly _V: unknown } } })[CURRENT_FIBER];
    return fiber?.[EffectTypeId]?._V;
  },
};

class Base extends Error implements Protocol {
  constructor(message: string, options?: { readonly cause?: unknown }) {
    super(message, options?.cause === undefined ? undefined : { cause: options.cause });
  }

  /** Runs the functions from left to right. */
  pipe(...functions: ReadonlyArray<(value: unknown) => unknown>): unknown {
    return functions.reduce<unknown>((value, apply) => apply(value), this);
  }

  /** Returns the fields, the message, and the cause if there is one. */
  toJSON(): unknown {
    const { cause, message } = this;
    return { ...this, message, ...(cause === undefined ? {} : { cause }) };
  }

  /** The failing Effect, in the form of a `Left` of Either, which Effect can run as well. */
  commit(): unknown {
    return { [EffectTypeId]: variance, _op: "Left", left: this };
  }

  *[Symbol.iterator](): Generator<unknown, void> {
    yield { [YieldWrapTypeId]: () => this };
  }
}

Object.defineProperty(Base.prototype, "name", {
  get(this: { readonly _tag?: string }): string {
    return this._tag ?? this.constructor.name;
  },
  set(this: object, value: string): void {
    Object.defineProperty(this, "name", { value, writable: true, configurable: true });
  },
  configurable: true,
});

Object.assign(Base.prototype, { _op: "Commit", [EffectTypeId]: variance });
for (const name of ["Stream", "Sink", "Channel"]) {
  Object.defineProperty(Base.prototype, Symbol.for(`effect/${name}`), { value: variance, configurable: true });
}

/**
 * Base class of all errors of the library. A `cause` that is `undefined` counts as none.
 *
 * @since 0.1.0
 * @category errors
 */
export const TypedError: abstract new (
  message: string,
  options?: { readonly cause?: unknown },
) => Cause.YieldableError = Base as never;

/**
 * Base class of the errors with a `reason`.
 *
 * @since 0.1.0
 * @category errors
 */
export abstract class ReasonedError<Reason extends string> extends TypedError {
  /** Why it failed: one of the reasons that the class lists. */
  readonly reason: Reason;

  /** Created by the library. */
  constructor(reason: Reason, message: string, cause?: unknown) {
    super(message, { cause });
    this.reason = reason;
  }
}
