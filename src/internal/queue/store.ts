/**
 * The orders in which a queue gives out its items.
 *
 * An item that was given out and comes back returns to its place, which follows from its arrival number.
 *
 * @module
 */
import { Fifo } from "../objects/fifo.ts";
import type { Packet } from "../objects/packets.ts";

/** One item of a queue. It is a class for the reason that `FifoEntry` in `../objects/fifo.ts` is one. */
export class Item implements Packet {
  readonly bytes: Uint8Array;
  readonly attachments: ReadonlyArray<Uint8Array>;
  readonly moves: boolean | undefined;
  /** Size in bytes. */
  readonly size: number;
  /** Number of its arrival: a later item has a larger number. */
  readonly arrival: number;
  /** The key by which a priority queue orders it. */
  readonly key: unknown;
  /** Releases the handles that move with the item; see `pipe/in_transit.ts`. */
  readonly release: (() => void) | undefined;

  constructor(
    { attachments, bytes, moves }: Packet,
    size: number,
    arrival: number,
    key?: unknown,
    release?: () => void,
  ) {
    this.bytes = bytes;
    this.attachments = attachments;
    this.moves = moves;
    this.size = size;
    this.arrival = arrival;
    this.key = key;
    this.release = release;
  }
}

/** Items in the order of one queue. */
export interface Store {
  readonly length: number;
  /** Adds a new item. May throw if the item has no place in the order, with nothing changed. */
  readonly push: (item: Item) => void;
  /** Removes and returns the next item. */
  readonly shift: () => Item | undefined;
  /** Puts an item that was given out back into its place. */
  readonly restore: (item: Item) => void;
  /** Removes all items. */
  readonly clear: () => void;
}

/** First in, first out. */
export class FifoStore implements Store {
  #items = new Fifo<Item>();

  get length(): number {
    return this.#items.length;
  }

  push(item: Item): void {
    this.#items.push(item);
  }

  shift(): Item | undefined {
    return this.#items.shift();
  }

  restore(item: Item): void {
    this.#items.insertBefore(item, (other) => other.arrival > item.arrival);
  }

  clear(): void {
    this.#items = new Fifo();
  }
}

/** Last in, first out. */
export class LifoStore implements Store {
  #items: Array<Item> = [];

  get length(): number {
    return this.#items.length;
  }

  push(item: Item): void {
    this.#items.push(item);
  }

  shift(): Item | undefined {
    return this.#items.pop();
  }

  restore(item: Item): void {
    let at = this.#items.length;
    while (at > 0 && this.#items[at - 1].arrival > item.arrival) at--;
    this.#items.splice(at, 0, item);
  }

  clear(): void {
    this.#items = [];
  }
}

/** The smallest key first; of equal keys, the earliest arrival. A binary heap. */
export class PriorityStore implements Store {
  #heap: Array<Item> = [];
  readonly #compare: (a: unknown, b: unknown) => number;

  constructor(compare: (a: unknown, b: unknown) => number) {
    this.#compare = compare;
  }

  get length(): number {
    return this.#heap.length;
  }

  readonly #isBefore = (a: Item, b: Item): boolean => {
    const order = this.#compare(a.key, b.key);
    return order < 0 || (order === 0 && a.arrival < b.arrival);
  };

  /**
   * Never throws. A new item is compared only with the items on its path, so two items that cannot be compared may meet later;
   * then the earlier arrival comes first.
   */
  readonly #isBeforeOrOlder = (a: Item, b: Item): boolean => {
    try {
      return this.#isBefore(a, b);
    } catch {
      return a.arrival < b.arrival;
    }
  };

  push(item: Item): void {
    this.#insert(item, this.#isBefore);
  }

  #insert(item: Item, isBefore: (a: Item, b: Item) => boolean): void {
    const heap = this.#heap;
    let at = heap.length;
    // All comparisons come before the first move, so that one that throws has changed nothing.
    const path: Array<number> = [];
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (!isBefore(item, heap[above])) break;
      path.push(above);
      at = above;
    }
    let hole = heap.length;
    for (const above of path) {
      heap[hole] = heap[above];
      hole = above;
    }
    heap[hole] = item;
  }

  shift(): Item | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      if (below >= heap.length) break;
      if (below + 1 < heap.length && this.#isBeforeOrOlder(heap[below + 1], heap[below])) below++;
      if (!this.#isBeforeOrOlder(heap[below], last)) break;
      heap[at] = heap[below];
      at = below;
    }
    heap[at] = last;
    return first;
  }

  restore(item: Item): void {
    this.#insert(item, this.#isBeforeOrOlder);
  }

  clear(): void {
    this.#heap = [];
  }
}
