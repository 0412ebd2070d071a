/**
 * Results of methods that are Streams.
 *
 * @module
 */
import type * as Scope from "effect/Scope";
import * as Stream from "effect/Stream";
import type { Backend } from "../../../Backend.ts";
import { has } from "../../codec/foreign.ts";
import { isStream } from "../../codec/programs.ts";
import { ManagerError } from "../errors.ts";
import { Thrown } from "./tasks.ts";

/** A Stream, or what can be made into one as it comes. */
export const asStream = (value: unknown): Stream.Stream<unknown, unknown, Backend | Scope.Scope> | undefined => {
  if (typeof value !== "object" || value === null) return undefined;
  if (isStream(value)) return value as unknown as Stream.Stream<unknown, unknown, Backend | Scope.Scope>;
  return has(value, Symbol.asyncIterator)
    ? Stream.fromAsyncIterable(value as AsyncIterable<unknown>, (error) => error)
    : undefined;
};

/** A generator, or what else is gone through step by step. */
export const asSteps = (value: unknown): Stream.Stream<unknown, unknown> | undefined =>
  typeof value === "object" && value !== null && has(value, Symbol.iterator)
    ? Stream.fromAsyncIterable(steps(value as Iterable<unknown>), (error) => error)
    : undefined;

async function* steps(values: Iterable<unknown>): AsyncGenerator<unknown> {
  yield* values;
}

/** What an iteration throws is thrown; a Stream fails by its own type. */
export const wrapped = (type: string, method: string, value: unknown, error: unknown): unknown =>
  isStream(value as object) ? error : new Thrown(`${type}.${method}`, error);

/** A Stream where there can be none. */
export const unnamed = (type: string, method: string): ManagerError =>
  new ManagerError(
    "InvalidResult",
    `Cannot call ${type}.${method}: it returned a Stream; name it in the \`streams\` of its type`,
  );
