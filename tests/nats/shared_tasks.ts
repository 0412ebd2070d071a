/** Tasks that change values of a dict. */
import * as Effect from "effect/Effect";
import { Task } from "../../mod.ts";

export const addTo = Task.make(import.meta, "addTo", (value: number | undefined, n: number) => (value ?? 0) + n);

export const fails = Task.make(
  import.meta,
  "fails",
  (_value: unknown): Effect.Effect<unknown, "failed"> => Effect.fail("failed" as const),
);

export const throws = Task.make(import.meta, "throws", (_value: unknown): unknown => {
  throw new Error("thrown");
});
