/**
 * Items that were taken from a queue that redelivers, and that were not reported done, by the processes that have them.
 *
 * Free of Effect.
 *
 * @module
 */
import type { Item } from "./store.ts";

/** Handles a reported item; see `QueueHost`. */
export type OnReported = (item: Item) => void;

/** All unreported items of a queue. */
export class Redelivery {
  /** Number of unreported items. */
  total = 0;
  readonly onReported: OnReported;
  /** Called before a report is looked up, to register the items that streams have taken. */
  readonly refresh: () => void;
  readonly #byConsumer = new Map<number, number>();

  constructor(refresh: () => void, onReported: OnReported) {
    this.refresh = refresh;
    this.onReported = onReported;
  }

  /** Number of unreported items of one process. */
  of(consumer: number): number {
    return this.#byConsumer.get(consumer) ?? 0;
  }

  /** Counts a change of the unreported items of a process. */
  count(consumer: number, change: number): void {
    this.total += change;
    const count = this.of(consumer) + change;
    if (count === 0) this.#byConsumer.delete(consumer);
    else this.#byConsumer.set(consumer, count);
  }
}

/** The unreported items of one call, or of one take in the process of the queue, numbered from 0. */
export class UnreportedGroup {
  readonly #redelivery: Redelivery;
  readonly #consumer: number;
  readonly #items = new Map<number, Item>();
  #next = 0;

  constructor(redelivery: Redelivery, consumer: number) {
    this.#redelivery = redelivery;
    this.#consumer = consumer;
  }

  /** Number of items. */
  get size(): number {
    return this.#items.size;
  }

  /** Adds items that were taken. */
  add(items: ReadonlyArray<Item>): void {
    for (const item of items) this.#items.set(this.#next++, item);
    this.#redelivery.count(this.#consumer, items.length);
  }

  /** Reports one item done. Does nothing if that item has been reported or given back. */
  report(number: number): void {
    this.#redelivery.refresh();
    const item = this.#items.get(number);
    if (item === undefined) return;
    this.#items.delete(number);
    this.#redelivery.count(this.#consumer, -1);
    this.#redelivery.onReported(item);
  }

  /** Removes and returns all items, which are to be given to other consumers. */
  release(): ReadonlyArray<Item> {
    const items = [...this.#items.values()];
    this.#items.clear();
    this.#redelivery.count(this.#consumer, -items.length);
    return items;
  }
}
