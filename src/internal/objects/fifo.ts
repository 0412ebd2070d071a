/**
 * A first-in, first-out queue as a doubly linked list: an entry can be removed from any position in constant time.
 *
 * @module
 */

/**
 * One entry of a {@link Fifo}. Keep it to remove the value later.
 *
 * A class and not an object literal: V8 may find that the objects of a literal live long, and allocates later ones, with all that is
 * stored in them, among the old objects. Entries live for a moment, and then keep young garbage alive until a full collection.
 */
export class FifoEntry<A> {
  readonly value: A;
  /** Whether the entry is still in its queue. */
  queued = true;
  /** @internal */
  previous: FifoEntry<A> | undefined;
  /** @internal */
  next: FifoEntry<A> | undefined;

  constructor(value: A, previous: FifoEntry<A> | undefined, next: FifoEntry<A> | undefined) {
    this.value = value;
    this.previous = previous;
    this.next = next;
  }
}

/** A first-in, first-out queue. */
export class Fifo<A> {
  #first: FifoEntry<A> | undefined;
  #last: FifoEntry<A> | undefined;
  /** Number of entries. */
  length = 0;

  /** The oldest value. */
  get first(): A | undefined {
    return this.#first?.value;
  }

  /** The value after the oldest one. */
  get second(): A | undefined {
    return this.#first?.next?.value;
  }

  /** Appends a value. */
  push(value: A): FifoEntry<A> {
    return this.#insert(value, this.#last, undefined);
  }

  /** Removes and returns the oldest value. */
  shift(): A | undefined {
    const entry = this.#first;
    if (entry !== undefined) this.remove(entry);
    return entry?.value;
  }

  /** Inserts a value before the first one for which `isBehind` is true. Takes time in proportion to the values that it passes. */
  insertBefore(value: A, isBehind: (other: A) => boolean): FifoEntry<A> {
    let next = this.#first;
    while (next !== undefined && !isBehind(next.value)) next = next.next;
    return this.#insert(value, next === undefined ? this.#last : next.previous, next);
  }

  /** Removes an entry. Returns `false` if the entry had been removed before. */
  remove(entry: FifoEntry<A>): boolean {
    if (!entry.queued) return false;
    const { next, previous } = entry;
    entry.queued = false;
    if (previous === undefined) this.#first = next;
    else previous.next = next;
    if (next === undefined) this.#last = previous;
    else next.previous = previous;
    // A removed entry that is kept must not keep its former neighbours.
    entry.next = entry.previous = undefined;
    this.length--;
    return true;
  }

  /** Removes and returns all values that satisfy `predicate`, in order. */
  removeWhere(predicate: (value: A) => boolean): ReadonlyArray<A> {
    const removed: Array<A> = [];
    for (let entry = this.#first; entry !== undefined;) {
      const { next, value } = entry;
      if (predicate(value)) {
        this.remove(entry);
        removed.push(value);
      }
      entry = next;
    }
    return removed;
  }

  /** Removes and returns all values, in order. */
  drain(): ReadonlyArray<A> {
    const all: Array<A> = [];
    for (let value = this.shift(); value !== undefined; value = this.shift()) all.push(value);
    return all;
  }

  /** The values in order. The value that was just returned may be removed meanwhile, the next one may not. */
  *[Symbol.iterator](): IterableIterator<A> {
    for (let entry = this.#first; entry !== undefined;) {
      const { next, value } = entry;
      yield value;
      entry = next;
    }
  }

  #insert(value: A, previous: FifoEntry<A> | undefined, next: FifoEntry<A> | undefined): FifoEntry<A> {
    const entry = new FifoEntry(value, previous, next);
    if (previous === undefined) this.#first = entry;
    else previous.next = entry;
    if (next === undefined) this.#last = entry;
    else next.previous = entry;
    this.length++;
    return entry;
  }
}
