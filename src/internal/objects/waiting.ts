/**
 * A line of those who wait, in the order in which they came: anybody can leave it, wherever he stands, at no cost to the others.
 *
 * @module
 */

/** A place in the line. */
export interface Place<A> {
  readonly value: A;
  /** @internal */
  before: Place<A> | undefined;
  /** @internal */
  after: Place<A> | undefined;
  /** Whether it is still in the line. */
  waiting: boolean;
}

/** The line. */
export class Waiting<A> {
  #first: Place<A> | undefined;
  #last: Place<A> | undefined;
  /** How many wait. */
  length = 0;

  /** Who has waited longest. */
  get first(): A | undefined {
    return this.#first?.value;
  }

  /** Takes a place at the end. */
  push(value: A): Place<A> {
    const place: Place<A> = { value, before: this.#last, after: undefined, waiting: true };
    if (this.#last === undefined) this.#first = place;
    else this.#last.after = place;
    this.#last = place;
    this.length++;
    return place;
  }

  /** Lets the first one go. */
  shift(): A | undefined {
    const place = this.#first;
    if (place !== undefined) this.remove(place);
    return place?.value;
  }

  /** Leaves the line; `false` if it had been left before. */
  remove(place: Place<A>): boolean {
    if (!place.waiting) return false;
    place.waiting = false;
    if (place.before === undefined) this.#first = place.after;
    else place.before.after = place.after;
    if (place.after === undefined) this.#last = place.before;
    else place.after.before = place.before;
    this.length--;
    return true;
  }

  /** Lets those go for whom this holds. */
  drop(which: (value: A) => boolean): ReadonlyArray<A> {
    const dropped: Array<A> = [];
    for (let place = this.#first; place !== undefined;) {
      const { after, value } = place;
      if (which(value)) {
        this.remove(place);
        dropped.push(value);
      }
      place = after;
    }
    return dropped;
  }

  /** Lets all go. */
  clear(): ReadonlyArray<A> {
    const all: Array<A> = [];
    for (let value = this.shift(); value !== undefined; value = this.shift()) all.push(value);
    return all;
  }
}
