/**
 * A set of participants' slots in eight words, one bit for each slot. Each change is one atomic operation. Free of Effect.
 *
 * @module
 */
import { SET } from "./participants.ts";
import type { Words } from "../../os/atomics.ts";

/** Index of the word of a slot within a set. */
export const wordOf = (slot: number): number => slot >>> 5 & SET - 1;

/** The bit of a slot in its word. */
export const bitOf = (slot: number): number => 1 << (slot & 31);

/** A set of slots. */
export class SlotSet {
  readonly #words: Words;
  readonly #at: number;

  constructor(words: Words, at: number) {
    this.#words = words;
    this.#at = at;
  }

  /** Adds the slot of a participant. */
  add(participant: number): void {
    this.#words.or(this.#at + wordOf(participant), bitOf(participant));
  }

  /** Removes the slot of a participant. */
  delete(participant: number): void {
    this.#words.and(this.#at + wordOf(participant), ~bitOf(participant));
  }

  /** Number of slots in the set. */
  get size(): number {
    let count = 0;
    this.find(0, () => {
      count++;
      return false;
    });
    return count;
  }

  /** The first slot that satisfies a predicate, beginning with `from` and wrapping around; `undefined` if there is none. */
  find(from: number, holds: (slot: number) => boolean): number | undefined {
    const ahead = -1 << (from & 31);
    for (let i = 0; i <= SET; i++) {
      const index = wordOf(from) + i & SET - 1;
      let bits = this.#words.load(this.#at + index);
      if (i === 0) bits &= ahead;
      else if (i === SET) bits &= ~ahead;
      for (; bits !== 0; bits &= bits - 1) {
        const slot = index << 5 | 31 - Math.clz32(bits & -bits);
        if (holds(slot)) return slot;
      }
    }
    return undefined;
  }
}
