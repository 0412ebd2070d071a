/**
 * The words of a doorbell, which is the shared memory by which an isolate is woken. `sync/protocol/doorbell.ts` waits on
 * these words, and explains why no ring is lost. The host of a worker declares the worker dead in them.
 *
 * ```text
 *  word 0      RINGS: counts the rings
 *  word 1      PARKED: 1 while the isolate is parked, or about to be
 *  word 2      RUNG: the buckets that were rung since the last check of the isolate, one bit each
 *  word 3      ENDED: 1 once the isolate was declared dead, such as a worker that cannot be stopped
 *  word 4      PIPE: descriptor of the writer of the isolate's wake-up pipe
 *  words 5, 6  INODE: inode of that pipe (low, high)
 * ```
 *
 * This module does not import Effect.
 *
 * @module
 */
import * as Os from "./linux.ts";
import { words } from "./atomics.ts";
import { doorbellOf } from "./worker_mappings.ts";

export const RINGS = 0;
export const PARKED = 1;
export const RUNG = 2;
export const ENDED = 3;
export const PIPE = 4;
export const INODE = 5;

/** Size of a doorbell in bytes, which is one page. */
export const SIZE = 4096;

const PREFIX = "bell ";

/** The name of a thread's doorbell among the shared buffers of this process. */
export const bufferName = (owner: number): string => PREFIX + owner;

/** The thread that owns a doorbell; `undefined` if the shared buffer is not a doorbell. */
export const ownerOf = (buffer: string): number | undefined =>
  buffer.startsWith(PREFIX) ? Number(buffer.slice(PREFIX.length)) : undefined;

/** Declares a worker dead, given the table of its mappings. Its thread may still run to the end of its turn. */
export const declareEnded = (mappings: SharedArrayBuffer): void => {
  const pointer = doorbellOf(mappings);
  if (pointer !== null) words(Os.view(pointer, SIZE)).store(ENDED, 1);
};
