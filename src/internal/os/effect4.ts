/**
 * Makes Effects of this library say so when Effect 4 runs them. `deno add npm:effect` installs version 4, so a program with both
 * versions is a common first mistake, and the errors of Effect do not say that there are two.
 *
 * @module
 */
import type * as Effect from "effect/Effect";
import type * as Layer from "effect/Layer";
import { INSTEAD_OF_EFFECT_4 } from "./arguments.ts";

/** The method by which Effect 4 runs an Effect. */
const EVALUATE = "~effect/Effect/evaluate";

const refusal: PropertyDescriptor = {
  value: () => {
    throw new TypeError(`Cannot run this library in a program of effect 4: ${INSTEAD_OF_EFFECT_4}`);
  },
};

/** Wraps the value that `yield*` passes to the runner of the generator, which may be that of Effect 4. */
function* iterate(this: object): Generator<object, unknown, unknown> {
  const iterator: Iterator<object, unknown, unknown> = Object.getPrototypeOf(this)[Symbol.iterator].call(this);
  const { done, value } = iterator.next();
  if (done === true) return value;
  return yield Object.defineProperty(value as object, EVALUATE, refusal);
}

/** Makes an Effect say so when Effect 4 runs it. */
export const refusingEffect4 = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Object.defineProperties(effect, { [EVALUATE]: refusal, [Symbol.iterator]: { value: iterate } });

/** Makes a layer say so when Effect 4 builds it. */
export const layerRefusingEffect4 = <A, E, R>(layer: Layer.Layer<A, E, R>): Layer.Layer<A, E, R> =>
  Object.defineProperty(layer, "build", refusal);
