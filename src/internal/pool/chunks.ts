/**
 * The sizes of chunks, by the time that the items of the earlier ones have taken: about a millisecond of work each.
 *
 * @module
 */

/** How long the work of one chunk should take, in milliseconds. */
const TARGET = 1;

/** A chunk has at most this many times the items of the largest one that was measured. */
const GROWTH = 8;

/** Chooses the sizes of the chunks of one call. */
export class ChunkSizes {
  /** Number of workers among which the items are shared. */
  readonly #workers: number;
  /** Time for one item, in milliseconds. Recent chunks count more. */
  #each: number | undefined;
  #limit = 1;

  constructor(workers: number) {
    this.#workers = workers;
  }

  /** Size of the next chunk if so many items remain: at least 1, and no more than one worker's share of them. */
  next(remaining: number): number {
    const share = Math.ceil(remaining / this.#workers);
    const wanted = this.#each === undefined ? 1 : this.#each === 0 ? Infinity : Math.floor(TARGET / this.#each);
    return Math.max(1, Math.min(wanted, share, this.#limit));
  }

  /** A chunk of `count` items has taken a worker so long. */
  measured(count: number, millis: number): void {
    const each = Math.max(0, millis) / count;
    this.#each = this.#each === undefined ? each : (this.#each + each) / 2;
    this.#limit = Math.max(this.#limit, GROWTH * count);
  }
}
