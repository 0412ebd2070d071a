/**
 * In which order a queue gives out what it holds.
 *
 * An item that was lent and comes back goes where it had been: each has the number of its arrival.
 *
 * @module
 */
import type { Packet } from "../objects/packets.ts";

/** What a queue holds. */
export interface Item extends Packet {
  /** The number of its arrival. */
  readonly arrival: number;
  /** In bytes. */
  readonly size: number;
  /** By what it is ordered, if it is. */
  readonly key: unknown;
  /** Lets go of what moves with it. */
  readonly kept?: (() => void) | undefined;
}

/** Items in their order. */
export interface Store {
  readonly length: number;
  /** Takes a new item. */
  readonly push: (item: Item) => void;
  /** Gives out the next. */
  readonly shift: () => Item | undefined;
  /** Takes back one that was given out. */
  readonly restore: (item: Item) => void;
  /** Forgets all. */
  readonly clear: () => void;
}

/** First in, first out. */
export class FifoStore implements Store {
  #items: Array<Item | undefined> = [];
  #head = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }

  push(item: Item): void {
    this.#items.push(item);
  }

  shift(): Item | undefined {
    if (this.#head === this.#items.length) return undefined;
    const item = this.#items[this.#head];
    this.#items[this.#head++] = undefined;
    // Halving keeps the cost of forgetting in proportion to what was given out.
    if (this.#head > 1024 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }

  restore(item: Item): void {
    let at = this.#head;
    while (at < this.#items.length && this.#items[at]!.arrival < item.arrival) at++;
    if (at === this.#head && at > 0) this.#items[--this.#head] = item;
    else this.#items.splice(at, 0, item);
  }

  clear(): void {
    this.#items = [];
    this.#head = 0;
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

/** The smallest first; of equal ones, the one that came first. */
export class PriorityStore implements Store {
  #heap: Array<Item> = [];
  readonly #compare: (a: unknown, b: unknown) => number;

  constructor(compare: (a: unknown, b: unknown) => number) {
    this.#compare = compare;
  }

  get length(): number {
    return this.#heap.length;
  }

  readonly #before = (a: Item, b: Item): boolean => {
    const order = this.#compare(a.key, b.key);
    return order < 0 || (order === 0 && a.arrival < b.arrival);
  };

  /** A new item is compared with a few only: those whose comparison throws may meet later. They come in the order of their arrival. */
  readonly #settled = (a: Item, b: Item): boolean => {
    try {
      return this.#before(a, b);
    } catch {
      return a.arrival < b.arrival;
    }
  };

  push(item: Item): void {
    this.#insert(item, this.#before);
  }

  #insert(item: Item, before: (a: Item, b: Item) => boolean): void {
    const heap = this.#heap;
    let at = heap.length;
    // Compared before anything is moved: a comparison that throws has changed nothing.
    const path: Array<number> = [];
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (!before(item, heap[above])) break;
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
      if (below + 1 < heap.length && this.#settled(heap[below + 1], heap[below])) below++;
      if (!this.#settled(heap[below], last)) break;
      heap[at] = heap[below];
      at = below;
    }
    heap[at] = last;
    return first;
  }

  restore(item: Item): void {
    this.#insert(item, this.#settled);
  }

  clear(): void {
    this.#heap = [];
  }
}
