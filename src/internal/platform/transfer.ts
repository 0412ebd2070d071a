/**
 * The pipe between a worker of `@effect/platform` and the process that started it.
 *
 * @module
 */
import type { Connection } from "../../Pipe.ts";

/** One end of it. */
export type Port = Connection<unknown>;

/**
 * Makes what was transferred unusable here, as `postMessage` does. Messages hold copies: what is no buffer stays as it is.
 */
export const detach = (transfers: ReadonlyArray<unknown>): void => {
  for (const buffer of transfers) {
    if (buffer instanceof ArrayBuffer && !buffer.detached) structuredClone(buffer, { transfer: [buffer] });
  }
};
