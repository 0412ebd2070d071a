/**
 * Sets and maps that are mostly empty, or have one element: what a process waits for, mostly one thing at a time.
 *
 * A `Set` or `Map` of the language makes itself a smaller table each time it becomes empty. That takes longer than the rest of what is
 * done here, and each table refers to the next one: a first one that has become old garbage keeps all later ones, until a full
 * collection. Here the first element stands in a field.
 *
 * @module
 */

/** A map that costs little while it has at most one entry. It keeps the order in which entries were added, like a `Map`. */
export class SmallMap<K, V> {
  #has = false;
  #key: K | undefined;
  #value: V | undefined;
  /** Entries that were added while there was one. */
  #others: Map<K, V> | undefined;

  get size(): number {
    return (this.#has ? 1 : 0) + (this.#others?.size ?? 0);
  }

  has(key: K): boolean {
    return this.#has && this.#key === key || this.#others?.has(key) === true;
  }

  get(key: K): V | undefined {
    return this.#has && this.#key === key ? this.#value : this.#others?.get(key);
  }

  set(key: K, value: V): void {
    const others = this.#others;
    if (this.#has ? this.#key === key : others === undefined || others.size === 0) {
      this.#has = true;
      this.#key = key;
      this.#value = value;
    } else (this.#others ??= new Map()).set(key, value);
  }

  delete(key: K): boolean {
    if (!this.#has || this.#key !== key) return this.#others?.delete(key) === true;
    this.#has = false;
    this.#key = this.#value = undefined;
    return true;
  }

  clear(): void {
    this.#has = false;
    this.#key = this.#value = undefined;
    this.#others?.clear();
  }

  /** The values, in the order in which they were added. */
  values(): ReadonlyArray<V> {
    const others = this.#others === undefined ? [] : [...this.#others.values()];
    return this.#has ? [this.#value!, ...others] : others;
  }
}

const none: ReadonlyArray<never> = [];

/** A set that costs little while it has at most one element. It keeps the order in which elements were added, like a `Set`. */
export class SmallSet<A extends object> {
  #first: A | undefined;
  /** Elements that were added while there was one. */
  #others: Set<A> | undefined;

  get size(): number {
    return (this.#first === undefined ? 0 : 1) + (this.#others?.size ?? 0);
  }

  has(element: A): boolean {
    return this.#first === element || this.#others?.has(element) === true;
  }

  add(element: A): void {
    const others = this.#others;
    if (this.#first === element) return;
    if (this.#first === undefined && (others === undefined || others.size === 0)) this.#first = element;
    else (this.#others ??= new Set()).add(element);
  }

  delete(element: A): boolean {
    if (this.#first !== element) return this.#others?.delete(element) === true;
    this.#first = undefined;
    return true;
  }

  clear(): void {
    this.#first = undefined;
    this.#others?.clear();
  }

  /** The element that was added before all others. */
  get first(): A | undefined {
    const others = this.#others;
    return this.#first ?? (others === undefined || others.size === 0 ? undefined : others.values().next().value);
  }

  /** The elements. Those that are deleted meanwhile are left out; those that are added may be. */
  [Symbol.iterator](): IterableIterator<A> {
    const first = this.#first;
    const others = this.#others;
    if (first === undefined) return others === undefined ? none[Symbol.iterator]() : others.values();
    // A generator takes longer than these.
    return others === undefined || others.size === 0 ? [first].values() : this.#both(first, others);
  }

  *#both(first: A, others: Set<A>): IterableIterator<A> {
    yield first;
    yield* others;
  }
}
