/**
 * How a queue and a stream agree on the items that the stream has taken of those that were sent ahead: by a word of shared memory,
 * or by a file where they share none (`lease_file.ts`).
 *
 * Both count items modulo 2 ** 16: those that the stream has taken, and the limit, up to which it may take. The stream raises the
 * first, and hands an item on only after that. The queue raises the limit when it lends items, and lowers it to revoke the rest. At
 * every instant an item is therefore either taken or not, even if either side dies.
 *
 * ```text
 *  bits 0-15    number of items that the stream has taken
 *  bits 16-31   limit
 * ```
 *
 * Both sides change the word of memory with a compare-and-swap. The linearisation point is the successful swap. Free of Effect.
 *
 * @module
 */
import type { Words } from "../os/atomics.ts";

/** The queue's side of a lease. In the numbers of a method, `before` is a number of items that the stream had taken earlier. */
export interface Lender {
  /** The number of items that the stream has taken since. */
  readonly takenSince: (before: number) => number;
  /** Lends `count` more items. Called before they leave. */
  readonly lend: (count: number) => void;
  /** Revokes items that were lent since, except the first `keep` of them and those that were taken. */
  readonly revoke: (before: number, keep: number) => void;
  /**
   * The number of items, counted like those of {@link takenSince}, up to which it is not known whether the stream has taken them or
   * learnt in time that they are revoked; 0 if all is known. A message of the stream tells.
   */
  readonly inDoubt: (before: number) => number;
  /** The stream was at this word when it sent a message; without a word, it takes nothing until it is lent more. */
  readonly heard: (word?: number) => void;
  /** The stream takes nothing more. */
  readonly close: () => void;
  /** The call of the stream has ended by itself: the stream might still write. */
  readonly abandon: () => void;
}

/** The stream's side of a lease. */
export interface Borrower {
  /** The word to tell the queue of; `undefined` if the queue need not be told. */
  readonly word: number | undefined;
  /** Takes up to `most` items. Returns the number of items taken. */
  readonly claim: (most: number) => number;
  readonly close: () => void;
}

const MASK = 0xffff;

const taken = (word: number): number => word & MASK;
const limit = (word: number): number => word >>> 16;
const joined = (taken: number, limit: number): number => (limit & MASK) << 16 | taken & MASK;

/** The queue's side of the word `words[at]`, which `free` gives back. */
export const memoryLender = (words: Words, at: number, free: () => void): Lender => ({
  takenSince: (before) => taken(words.load(at)) - before & MASK,
  lend: (count) => void words.add(at, count << 16),
  revoke: (before, keep) => {
    for (let word = words.load(at);;) {
      const kept = Math.max(keep, taken(word) - before & MASK);
      if ((limit(word) - before & MASK) <= kept) return;
      const seen = words.swap(at, word, joined(taken(word), before + kept));
      if (seen === word) return;
      word = seen;
    }
  },
  inDoubt: () => 0,
  heard: () => {},
  close: free,
  // The stream might write to the word, which is therefore not used again.
  abandon: () => {},
});

/** The stream's side of the word `words[at]`. */
export const memoryBorrower = (words: Words, at: number): Borrower => ({
  word: undefined,
  claim: (most) => {
    for (let word = words.load(at);;) {
      const count = Math.min(most, limit(word) - taken(word) & MASK);
      if (count === 0) return 0;
      const seen = words.swap(at, word, joined(taken(word) + count, limit(word)));
      if (seen === word) return count;
      word = seen;
    }
  },
  close: () => {},
});
