/**
 * FiberRefs whose values travel with tasks.
 *
 * A request carries the values that differ from the initial ones, each encoded by its Schema, under the name of its declaration. A
 * process that has not loaded a declaration passes its value on to its own children.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import type * as Fiber from "effect/Fiber";
import * as FiberRef from "effect/FiberRef";
import * as FiberRefs from "effect/FiberRefs";
import type { EncodeError } from "../codec/errors.ts";
import { own } from "./modules.ts";
import { Refused } from "./refusals.ts";
import { type Portable, portables } from "./tasks.ts";

/** Encoded values, by the names of their declarations. */
export type Carried = ReadonlyArray<readonly [key: string, value: unknown]>;

/** Values of declarations that this process has not loaded. */
const passing: FiberRef.FiberRef<Carried> = FiberRef.unsafeMake<Carried>([]);

const none = FiberRefs.empty();

const schemas = Effect.promise((): Promise<typeof import("./schemas.ts")> => import(own("./schemas.ts", import.meta)));

/** Encodes the values of a fiber for a request; `undefined` if there are none. */
export const collect = (
  fiber: Fiber.RuntimeFiber<unknown, unknown>,
): Effect.Effect<Carried, EncodeError> | undefined => {
  const passed = fiber.getFiberRef(passing);
  if (portables.size === 0) return passed.length === 0 ? undefined : Effect.succeed(passed);
  const changed = [...portables].flatMap(([key, { ref, schema }]) => {
    const value = fiber.getFiberRef(ref);
    return value === FiberRefs.getOrDefault(none, ref) ? [] : [{ key, schema, value }];
  });
  if (changed.length === 0) return passed.length === 0 ? undefined : Effect.succeed(passed);
  return Effect.flatMap(schemas, ({ encodePortable }) =>
    Effect.map(
      Effect.forEach(changed, ({ key, schema, value }) =>
        Effect.map(encodePortable(key, schema, value), (encoded) => [key, encoded] as const)),
      (entries) => [...passed, ...entries],
    ));
};

const restore = <A, E, R>(
  { ref, schema }: Portable,
  [key, value]: Carried[number],
  task: string,
  effect: Effect.Effect<A, E, R>,
): Effect.Effect<A, E | Refused, R> =>
  Effect.flatMap(schemas, ({ decodePortable }) =>
    Effect.matchEffect(decodePortable(schema, value), {
      onFailure: ({ message }) =>
        Effect.fail(
          new Refused(
            "InvalidPayload",
            `Cannot run task "${task}": the Schema of the portable FiberRef ${key} refuses its value: ${message}`,
          ),
        ),
      onSuccess: (value) => Effect.locally(effect, ref, value),
    }));

/** Runs the Effect of a task with the values that its request carries. */
export const provide = <A, E, R>(
  carried: Carried,
  task: string,
  effect: Effect.Effect<A, E, R>,
): Effect.Effect<A, E | Refused, R> => {
  let provided: Effect.Effect<A, E | Refused, R> = effect;
  const unknown: Array<Carried[number]> = [];
  for (const entry of carried) {
    const declared = portables.get(entry[0]);
    if (declared === undefined) unknown.push(entry);
    else provided = restore(declared, entry, task, provided);
  }
  return unknown.length === 0 ? provided : Effect.locally(provided, passing, unknown);
};
