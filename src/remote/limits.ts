/**
 * How often an address may fail.
 *
 * @module
 */

/** The time in which failures are counted. */
const WINDOW = 60_000;

/** So many addresses are remembered; of more the one that has failed first is forgotten. */
const REMEMBERED = 4096;

/** Counts failures by address. */
export class Failures {
  readonly #most: number;
  readonly #now: () => number;
  readonly #counts = new Map<string, { count: number; readonly since: number }>();

  /** `most` failures in a minute are too many. */
  constructor(most: number, now: () => number = () => performance.now()) {
    this.#most = most;
    this.#now = now;
  }

  /** Addresses that are remembered. */
  get size(): number {
    return this.#counts.size;
  }

  /** Whether an address has failed too often. */
  exceeded(address: string): boolean {
    return (this.#current(address)?.count ?? 0) >= this.#most;
  }

  /** Counts a failure. Gives whether it is the first in a minute. */
  add(address: string): boolean {
    const entry = this.#current(address);
    if (entry !== undefined) {
      entry.count++;
      return false;
    }
    if (this.#counts.size >= REMEMBERED) {
      for (const [first] of this.#counts) {
        this.#counts.delete(first);
        break;
      }
    }
    this.#counts.set(address, { count: 1, since: this.#now() });
    return true;
  }

  #current(address: string): { count: number } | undefined {
    const entry = this.#counts.get(address);
    if (entry === undefined || this.#now() - entry.since < WINDOW) return entry;
    this.#counts.delete(address);
    return undefined;
  }
}
