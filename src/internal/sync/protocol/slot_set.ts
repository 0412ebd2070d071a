/**
 * A set of slots in eight words: who waits, who has a row. Free of Effect.
 *
 * @module
 */
import { SET } from "./participants.ts";
import type { Words } from "../../os/atomics.ts";

/** The word of a slot, from the first of a set on. */
export const wordOf = (slot: number): number => slot >>> 5 & SET - 1;

/** Its bit there. */
export const bitOf = (slot: number): number => 1 << (slot & 31);

/** See above. Each change is one step. */
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

  /** Takes it out. */
  delete(participant: number): void {
    this.#words.and(this.#at + wordOf(participant), ~bitOf(participant));
  }

  /** How many there are. */
  get size(): number {
    let count = 0;
    this.find(0, () => {
      count++;
      return false;
    });
    return count;
  }

  /** The first slot of which this holds, from one on, round and round; `undefined` if there is none. */
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
