/**
 * The items that this process has taken from queues that redeliver, and has not reported done. Free of Effect.
 *
 * @module
 */
import type { Target } from "../rpc/router.ts";

/** One item that was taken. */
export interface UnreportedItem {
  /** Id of the fiber that has taken it. */
  readonly fiber: number;
  /** Reports the item done. `onSent` is called when the report will outlive this process. */
  readonly report: (onSent: () => void) => void;
}

/** The unreported items of one queue, in the order in which they were taken. */
export class UnreportedItems {
  readonly #items = new Set<UnreportedItem>();
  readonly #key: string;

  constructor(key: string) {
    this.#key = key;
  }

  add(item: UnreportedItem): void {
    byQueue.set(this.#key, this);
    this.#items.add(item);
  }

  /** Removes an item that was reported, or that the queue has taken back. */
  remove(item: UnreportedItem): void {
    this.#items.delete(item);
    if (this.#items.size === 0 && byQueue.get(this.#key) === this) byQueue.delete(this.#key);
  }

  /**
   * Removes and returns `count` items: first the oldest that this fiber has taken, then the oldest of all. `undefined` if there
   * are fewer, with none removed.
   */
  pick(fiber: number, count: number): ReadonlyArray<UnreportedItem> | undefined {
    if (this.#items.size < count) return undefined;
    const picked = new Set<UnreportedItem>();
    for (const item of this.#items) {
      if (picked.size === count) break;
      if (item.fiber === fiber) picked.add(item);
    }
    for (const item of this.#items) {
      if (picked.size === count) break;
      picked.add(item);
    }
    for (const item of picked) this.remove(item);
    return [...picked];
  }
}

const byQueue = new Map<string, UnreportedItems>();

/** The unreported items of a queue. All handles of the queue in this process share them. */
export const unreportedOf = ({ address, object }: Target): UnreportedItems => {
  const key = `${address}/${object}`;
  return byQueue.get(key) ?? new UnreportedItems(key);
};
