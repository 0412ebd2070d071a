/**
 * Tasks that read a FiberRef that travels.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as FiberRef from "effect/FiberRef";
import * as Stream from "effect/Stream";
import * as Task from "../../src/Task.ts";
import { user } from "./portable_refs.ts";

const text = Effect.map(FiberRef.get(user), ({ id, since }) => `${id} since ${since.getUTCFullYear()}`);

export const current = Task.make(import.meta, "current", () => text);
export const currentOf = Task.make(import.meta, "currentOf", (_: number) => text);
export const currentStream = Task.make(import.meta, "currentStream", () => Stream.fromEffect(text));
export const changed = Task.make(
  import.meta,
  "changed",
  () => Effect.zipRight(FiberRef.set(user, { id: 8, since: new Date(0) }), text),
);
