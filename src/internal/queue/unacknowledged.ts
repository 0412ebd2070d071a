/**
 * What this process has taken of queues that redeliver, and has not reported done. Free of Effect.
 *
 * @module
 */
import type { Target } from "../rpc/router.ts";

/** An item that was taken. */
export interface Entry {
  /** The fiber that has taken it. */
  readonly fiber: number;
  /** Says that it is done; `handed` is called when that outlives this process. */
  readonly report: (handed: () => void) => void;
}

/** The items of one queue. */
export class Ledger {
  readonly #entries = new Set<Entry>();
  readonly #key: string;

  constructor(key: string) {
    this.#key = key;
  }

  /** Items are entered in the order in which they are taken. */
  enter(entry: Entry): void {
    ledgers.set(this.#key, this);
    this.#entries.add(entry);
  }

  /** It was reported, or is not this process's any more. */
  strike(entry: Entry): void {
    this.#entries.delete(entry);
    if (this.#entries.size === 0 && ledgers.get(this.#key) === this) ledgers.delete(this.#key);
  }

  /** Strikes out so many: the oldest of this fiber, then the oldest of all. `undefined`, and none, if there are not so many. */
  pick(fiber: number, count: number): ReadonlyArray<Entry> | undefined {
    if (this.#entries.size < count) return undefined;
    const picked: Array<Entry> = [];
    for (const entry of this.#entries) {
      if (picked.length === count) break;
      if (entry.fiber === fiber) picked.push(entry);
    }
    if (picked.length < count) {
      const own = new Set(picked);
      for (const entry of this.#entries) {
        if (picked.length === count) break;
        if (!own.has(entry)) picked.push(entry);
      }
    }
    for (const entry of picked) this.strike(entry);
    return picked;
  }
}

const ledgers = new Map<string, Ledger>();

/** The ledger for a queue. All handles of one queue share it. */
export const ledgerOf = ({ address, object }: Target): Ledger => {
  const key = `${address}/${object}`;
  return ledgers.get(key) ?? new Ledger(key);
};
