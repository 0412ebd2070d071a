/**
 * Rate limit for failed authentications, by IP address: after several failures, further ones are answered later.
 *
 * Clients that prove the key are never delayed, even if other clients at the same address have failed.
 *
 * @module
 */

/** The interval in which failures are counted, in milliseconds. */
const WINDOW = 60_000;

/** The number of addresses kept. When the table is full, the address that failed first is removed. */
const MAX_ADDRESSES = 4096;

/** Failures per address and interval that are answered at once: a user may have mistaken the key. */
const FREE = 10;

/** The delay added by each further failure, and the longest delay, in milliseconds. */
const STEP = 50;
const MAX_DELAY = 2000;

/** The number of addresses whose first failure is logged per interval. */
const MAX_LOGGED = 10;

/** Counts failures by address. */
export class Failures {
  readonly #now: () => number;
  readonly #counts = new Map<string, { count: number; readonly since: number }>();
  #logged = 0;
  #loggedSince = -Infinity;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** The number of addresses in the table. */
  get size(): number {
    return this.#counts.size;
  }

  /** Milliseconds until a further failure of an address is answered. */
  delay(address: string): number {
    const entry = this.#current(address);
    return entry === undefined ? 0 : Math.min(MAX_DELAY, Math.max(0, entry.count - FREE) * STEP);
  }

  /**
   * Counts a failure. Returns whether to log it: `true` for the first failure of an address in an interval, for at most
   * {@link MAX_LOGGED} addresses.
   */
  add(address: string): boolean {
    const entry = this.#current(address);
    if (entry !== undefined) {
      entry.count++;
      return false;
    }
    if (this.#counts.size >= MAX_ADDRESSES) {
      for (const [first] of this.#counts) {
        this.#counts.delete(first);
        break;
      }
    }
    const now = this.#now();
    this.#counts.set(address, { count: 1, since: now });
    if (now - this.#loggedSince >= WINDOW) {
      this.#loggedSince = now;
      this.#logged = 0;
    }
    return ++this.#logged <= MAX_LOGGED;
  }

  #current(address: string): { count: number } | undefined {
    const entry = this.#counts.get(address);
    if (entry === undefined || this.#now() - entry.since < WINDOW) return entry;
    this.#counts.delete(address);
    return undefined;
  }
}
