/**
 * The sizes of chunks, by the time that the items of the earlier ones have taken: about a millisecond of work each, and up to ten
 * milliseconds while so much remains that the workers stay evenly busy nevertheless. Items that are large rather than slow count as the
 * time that their bytes take.
 *
 * @module
 */

import type { Report } from "../child/call.ts";

/** How long the work of one chunk should take, in milliseconds. */
const TARGET = 1;

/** The same while much work remains. */
const LONGEST = 10;

/** A chunk of more than {@link TARGET} is at most this part of one worker's share of the remaining items. */
const PART = 1 / 8;

/** Number of bytes that take a millisecond to be sent. */
const BYTES = 1024 * 1024;

/** A chunk takes at most this part of the largest message, since items may be larger than those before. */
const ROOM = 1 / 4;

/** The items of a chunk take at most this part of the largest message, if their size is known. */
const HALF = 1 / 2;

/** A chunk has at most this many times the items of the largest one that was measured. */
const GROWTH = 8;

/** A chunk whose items have Exits of their own has at most this many, because all share the fate of their worker. */
const MOST_SETTLED = 64;

/** Items that are encoded together are at most this part of one worker's share, so that the shares stay even. */
const GRANULES = 64;

/** Number of items that are encoded together at most. */
const LARGEST_GRANULE = 64;

/** Number of items of a call that are encoded together. */
export const granularity = (length: number, workers: number): number =>
  Math.max(1, Math.min(LARGEST_GRANULE, Math.floor(length / (workers * GRANULES))));

/** Chooses the sizes of the chunks of one call. */
export class ChunkSizes {
  /** Number of workers among which the items are shared. */
  readonly #workers: number;
  /** Time for one item, in milliseconds. Recent chunks count more. */
  #each: number | undefined;
  #limit = 1;
  /** Number of items for which a message has room. */
  #room = Infinity;
  /** Number of bytes that a message may have. */
  #maxBytes = Infinity;

  /** With `settled`, each item of a chunk has an Exit of its own. */
  constructor(workers: number, settled: boolean = false) {
    this.#workers = workers;
    if (settled) this.#room = MOST_SETTLED;
  }

  /**
   * Size of the next chunk if so many items remain: at least 1, and no more than one worker's share of them. Without a number, as if just
   * so many items remained that no chunk should be longer than the others.
   */
  next(remaining: number | undefined): number {
    const each = this.#each;
    if (each === undefined) return 1;
    const share = remaining === undefined ? Infinity : Math.ceil(remaining / this.#workers);
    const wanted = remaining === undefined
      ? TARGET / each
      : Math.max(TARGET / each, Math.min(LONGEST / each, share * PART));
    return Math.max(1, Math.floor(Math.min(wanted, share, this.#limit, this.#room)));
  }

  /** A worker has answered a chunk of `count` items. */
  answered(count: number, { bytes, maxBytes, work }: Report): void {
    this.#maxBytes = maxBytes;
    if (work === undefined) return;
    this.#room = Math.min(this.#room, maxBytes * ROOM * count / bytes);
    const each = Math.max(work, bytes / BYTES) / count;
    this.#each = this.#each === undefined ? each : (this.#each + each) / 2;
    this.#limit = Math.max(this.#limit, GROWTH * count);
  }

  /** Whether items of so many bytes may be in one chunk. */
  fits(bytes: number): boolean {
    return bytes <= this.#maxBytes * HALF;
  }

  /** All chunks that follow have one item: a chunk has failed as a whole, and another item may do the same to its neighbours. */
  single(): void {
    this.#room = 1;
  }
}
