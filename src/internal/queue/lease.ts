/**
 * The shared word by which a queue and a stream agree on the items that the stream has taken of those that were sent ahead.
 *
 * ```text
 *  bits 0-15    number of items that the stream has taken
 *  bits 16-31   number of items that it may take at most
 * ```
 *
 * Both numbers count up modulo 2 ** 16. The stream raises the first with a compare-and-swap, and hands an item on only after that.
 * The queue raises the second when it lends items, and lowers it with a compare-and-swap to revoke the rest. At every instant an
 * item is therefore either taken or not, and the queue can tell which, even if either side dies. The linearisation point is the
 * successful swap. Free of Effect.
 *
 * @module
 */
import type { Words } from "../os/atomics.ts";

const MASK = 0xffff;

const taken = (word: number): number => word & MASK;
const limit = (word: number): number => word >>> 16;
const joined = (taken: number, limit: number): number => (limit & MASK) << 16 | taken & MASK;

/** Stream side: takes up to `most` items. Returns the number of items taken. */
export const claim = (words: Words, at: number, most: number): number => {
  for (let word = words.load(at);;) {
    const count = Math.min(most, limit(word) - taken(word) & MASK);
    if (count === 0) return 0;
    const seen = words.swap(at, word, joined(taken(word) + count, limit(word)));
    if (seen === word) return count;
    word = seen;
  }
};

/** Queue side: the number of items that were taken since the first number was `before`. */
export const takenSince = (words: Words, at: number, before: number): number => taken(words.load(at)) - before & MASK;

/** Queue side: lends `count` more items. */
export const lend = (words: Words, at: number, count: number): void => void words.add(at, count << 16);

/**
 * Queue side: revokes items that were lent since the first number was `before`, except the first `keep` of them and those that
 * were taken.
 */
export const revoke = (words: Words, at: number, before: number, keep: number): void => {
  for (let word = words.load(at);;) {
    const kept = Math.max(keep, taken(word) - before & MASK);
    if ((limit(word) - before & MASK) <= kept) return;
    const seen = words.swap(at, word, joined(taken(word), before + kept));
    if (seen === word) return;
    word = seen;
  }
};
