/**
 * The pipe between a worker of `@effect/platform` and the process that started it.
 *
 * @module
 */
import type { Connection } from "../../Pipe.ts";

/** One end of the pipe. */
export type Port = Connection<unknown>;

/**
 * Detaches transferred buffers, as `postMessage` does. A message holds copies, so nothing else has to be transferred.
 */
export const detach = (transfers: ReadonlyArray<unknown>): void => {
  for (const buffer of transfers) {
    if (buffer instanceof ArrayBuffer && !buffer.detached) structuredClone(buffer, { transfer: [buffer] });
  }
};
