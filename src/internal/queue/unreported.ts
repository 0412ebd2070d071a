/**
 * The items that this process has taken from queues that redeliver, and has not reported done. Free of Effect.
 *
 * @module
 */
import { SmallSet } from "../os/small.ts";
import type { Target } from "../rpc/router.ts";

/** One item that was taken. */
export interface UnreportedItem {
  /** Id of the fiber that has taken it. */
  readonly fiber: number;
  /** Reports the item done. `onSent` is called when the report will outlive this process. */
  readonly report: (onSent: () => void) => void;
}

/** The unreported items of one queue, in the order in which they were taken. */
export class UnreportedItems<Item extends Pick<UnreportedItem, "fiber"> = UnreportedItem> {
  readonly #items = new SmallSet<Item>();
  /** Called when there are items, and when there are none any more. */
  readonly #changed: (hasItems: boolean) => void;

  constructor(changed: (hasItems: boolean) => void = () => {}) {
    this.#changed = changed;
  }

  add(item: Item): void {
    this.#items.add(item);
    if (this.#items.size === 1) this.#changed(true);
  }

  /** Removes an item that was reported, or that the queue has taken back. */
  remove(item: Item): void {
    if (this.#items.delete(item) && this.#items.size === 0) this.#changed(false);
  }

  /**
   * Removes and returns `count` items: first the oldest that this fiber has taken, then the oldest of all. `undefined` if there
   * are fewer, with none removed.
   */
  pick(fiber: number, count: number): ReadonlyArray<Item> | undefined {
    if (this.#items.size < count) return undefined;
    const picked = new Set<Item>();
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
  const known = byQueue.get(key);
  if (known !== undefined) return known;
  const items: UnreportedItems = new UnreportedItems((hasItems) => {
    if (hasItems) byQueue.set(key, items);
    else if (byQueue.get(key) === items) byQueue.delete(key);
  });
  return items;
};
