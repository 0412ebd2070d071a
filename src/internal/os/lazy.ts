/**
 * Loads an implementation with the first Effect that needs it, so that importing the library stays cheap.
 *
 * The address is a literal, so Deno reads the module at the start of the program, caches and compiles it together with the
 * rest, and needs no permission to load it later. Only the evaluation of the module is deferred.
 *
 * @module
 */
import "./runtime.ts";
import * as Effect from "effect/Effect";
import { refusingEffect4 } from "./effect4.ts";

/** Passes a module to an Effect. The first use waits for the module; later uses are synchronous. */
export type Lazy<M> = <A, E, R>(use: (module: M) => Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>;

/**
 * Defers the loading of a module until its first use. A module that cannot be loaded is a defect; the next use tries again.
 * *Interruption:* stops waiting for the module.
 */
export const lazily = <M>(load: () => Promise<M>): Lazy<M> => {
  let loaded: M | undefined;
  const loading = Effect.promise(async () => loaded = await load());
  return (use) =>
    refusingEffect4(Effect.suspend(() => loaded === undefined ? Effect.flatMap(loading, use) : use(loaded)));
};
