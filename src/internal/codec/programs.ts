/**
 * Telling programs from data, without loading Effect. In Effect 3 every Effect is also a Stream by its marks, and Option
 * and Either are also Effects; here a value is what it is first. An Exit cannot be told from an Effect that is done, nor a
 * yieldable error from one that fails: they count as such. A value that throws when it is touched is data, which the codec refuses.
 *
 * @module
 */

import { has, read } from "./foreign.ts";

const EffectTypeId = Symbol.for("effect/Effect");
const StreamTypeId = Symbol.for("effect/Stream");
const dataTypeIds = [Symbol.for("effect/Option"), Symbol.for("effect/Either")];

/** A Stream proper. */
export const isStream = (value: object): boolean => has(value, StreamTypeId) && !has(value, EffectTypeId);

/** An Effect to run, rather than data that Effect can also run. */
export const isEffect = (value: object): boolean =>
  has(value, EffectTypeId) && !dataTypeIds.some((id) => has(value, id));

/** A Promise, of this realm or any. */
export const isPromise = (value: object): value is PromiseLike<unknown> => typeof read(value, "then") === "function";
