/**
 * The base class of all errors of the library.
 *
 * An error is also an Effect that fails with it, so `yield* error` fails in `Effect.gen`, as with `Data.TaggedError`. The
 * protocol of Effect is implemented here by its registered symbols, because a child that runs only plain functions must not load
 * Effect.
 *
 * @module
 */
import type * as Cause from "effect/Cause";

/** The methods by which Effect runs a value that is its own failure, and by which errors are printed. */
interface Protocol {
  readonly pipe: (...functions: ReadonlyArray<(value: unknown) => unknown>) => unknown;
}

const EffectTypeId = Symbol.for("effect/Effect");
const YieldWrapTypeId = Symbol.for("effect/Utils/YieldWrap");
const CURRENT_FIBER = "effect/FiberCurrent";

const identity = (value: never): never => value;

/** The variance of an Effect; its version is that of the fiber that runs it, whichever copy of Effect that is. */
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

  /** The fields, with the message, and the cause if there is one. */
  toJSON(): unknown {
    const { cause, message } = this;
    return { ...this, message, ...(cause === undefined ? {} : { cause }) };
  }

  /** The failing Effect, in the form of the `Left` of Either, which Effect runs as well. */
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
