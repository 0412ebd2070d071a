/**
 * The words of a doorbell: the block of shared memory by which an isolate is woken. `sync/protocol/doorbell.ts` waits on them;
 * the host of a worker declares the worker dead in them. Free of Effect.
 *
 * @module
 */
import * as Os from "./linux.ts";
import { words } from "./atomics.ts";
import { doorbellOf } from "./worker_mappings.ts";

/** Counts the rings. */
export const RINGS = 0;
/** 1 while the isolate is parked. */
export const PARKED = 1;
/** Bit set of the buckets that were rung. */
export const RUNG = 2;
/** 1 if the isolate was declared dead, such as a worker whose thread cannot be stopped. */
export const ENDED = 3;

/** Size of a doorbell, in bytes. */
export const SIZE = 4096;

const PREFIX = "bell ";

/** The name of the doorbell of a thread among the shared buffers of this process. */
export const bufferName = (owner: number): string => PREFIX + owner;

/** The owner of a shared buffer, if the buffer is a doorbell. */
export const ownerOf = (buffer: string): number | undefined =>
  buffer.startsWith(PREFIX) ? Number(buffer.slice(PREFIX.length)) : undefined;

/** Declares a worker dead, even if its thread goes on. */
export const declareEnded = (mappings: SharedArrayBuffer): void => {
  const pointer = doorbellOf(mappings);
  if (pointer === null) return;
  const doorbell = words(Os.view(pointer, SIZE));
  doorbell.store(ENDED, 1);
  // A parked thread ends when it is woken.
  doorbell.add(RINGS, 1);
  Os.futexWake(pointer);
};
