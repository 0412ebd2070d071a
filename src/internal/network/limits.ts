/**
 * What failures to prove the key cost, by the address from which they come: those that fail often are answered later.
 *
 * Nobody else pays: a client that proves the key is let in whatever others have done, from the same address too.
 *
 * @module
 */

/** The time in which failures are counted. */
const WINDOW = 60_000;

/** So many addresses are remembered; of more the one that has failed first is forgotten. */
const REMEMBERED = 4096;

/** Failures of an address in a minute that are answered at once: of somebody who has mistaken the key. */
const FREE = 10;

/** What each further one adds to the time until it is answered, and how long that is at most, in milliseconds. */
const STEP = 50;
const LONGEST = 2000;

/** Addresses of which the log hears in a minute. */
const LINES = 10;

/** Counts failures by address. */
export class Failures {
  readonly #now: () => number;
  readonly #counts = new Map<string, { count: number; readonly since: number }>();
  #lines = 0;
  #linesSince = -Infinity;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Addresses that are remembered. */
  get size(): number {
    return this.#counts.size;
  }

  /** Milliseconds until a further failure of an address is answered. */
  delay(address: string): number {
    const entry = this.#current(address);
    return entry === undefined ? 0 : Math.min(LONGEST, Math.max(0, entry.count - FREE) * STEP);
  }

  /** Counts a failure. Returns whether the log should hear of it: of the first of an address in a minute, and of few addresses. */
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
    const now = this.#now();
    this.#counts.set(address, { count: 1, since: now });
    if (now - this.#linesSince >= WINDOW) {
      this.#linesSince = now;
      this.#lines = 0;
    }
    return ++this.#lines <= LINES;
  }

  #current(address: string): { count: number } | undefined {
    const entry = this.#counts.get(address);
    if (entry === undefined || this.#now() - entry.since < WINDOW) return entry;
    this.#counts.delete(address);
    return undefined;
  }
}
