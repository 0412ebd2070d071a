/**
 * Distinguishes programs from data, without loading Effect.
 *
 * In Effect 3, every Effect has the mark of a Stream, and Option and Either have the mark of an Effect. Here, an Effect is
 * not a Stream, and Option and Either are data. An Exit cannot be distinguished from a completed Effect, nor a yieldable
 * error from an Effect that fails, so both count as Effects. A value that throws when it is touched counts as data, which
 * the codec refuses.
 *
 * @module
 */

import type * as Effect from "effect/Effect";
import type * as Stream from "effect/Stream";
import { has, read } from "./foreign.ts";

const EffectTypeId = Symbol.for("effect/Effect");
const StreamTypeId = Symbol.for("effect/Stream");
const dataTypeIds = [Symbol.for("effect/Option"), Symbol.for("effect/Either")];

/** Whether a value is a Stream, and not an Effect. */
export const isStream = (value: object): value is Stream.Stream<unknown, unknown> =>
  has(value, StreamTypeId) && !has(value, EffectTypeId);

/** Whether a value is an Effect to run, and not data that Effect can also run. */
export const isEffect = (value: object): value is Effect.Effect<unknown, unknown> =>
  has(value, EffectTypeId) && !dataTypeIds.some((id) => has(value, id));

/** Whether a value is a Promise of any realm, or another thenable. */
export const isPromise = (value: object): value is PromiseLike<unknown> => typeof read(value, "then") === "function";
