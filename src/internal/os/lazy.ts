/**
 * Implementations that are loaded by the first Effect that needs them, so that importing the library stays cheap.
 *
 * The address is a literal: Deno then reads the module at the start of the program, caches and compiles it together with the rest,
 * and needs no permission to load it later. Only its evaluation is put off.
 *
 * @module
 */
import * as Effect from "effect/Effect";

/** Gives a module to an Effect. Waits for the module the first time; later uses are synchronous. */
export type Lazy<M> = <A, E, R>(use: (module: M) => Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>;

/**
 * Puts off loading a module until its first use. A module that cannot be loaded is a defect, and is tried again by the next use.
 * *Interruption:* stops waiting for the module.
 */
export const lazily = <M>(load: () => Promise<M>): Lazy<M> => {
  let loaded: M | undefined;
  const loading = Effect.promise(async () => loaded = await load());
  return (use) => Effect.suspend(() => loaded === undefined ? Effect.flatMap(loading, use) : use(loaded));
};
