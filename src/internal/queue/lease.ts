/**
 * The word by which a queue and a stream agree on what the stream has taken of the items that were sent ahead to it.
 *
 * ```text
 *  bits 0-15    items that the stream has taken
 *  bits 16-31   items that it may have taken at most
 * ```
 *
 * Both count on and on, modulo 2 ** 16. The stream raises the first, by a compare and swap, and hands on an item only after that. The
 * queue raises the second when it lends, and lowers it, by a compare and swap, to take back what is left. Each item is therefore
 * either taken or not at every instant, whichever side dies, and the queue can always tell. Free of Effect.
 *
 * @module
 */
import type { Words } from "../os/atomics.ts";

const MASK = 0xffff;

const taken = (word: number): number => word & MASK;
const limit = (word: number): number => word >>> 16;
const joined = (taken: number, limit: number): number => (limit & MASK) << 16 | taken & MASK;

/** Of the stream: takes so many at most, and answers how many. */
export const claim = (words: Words, at: number, most: number): number => {
  for (let word = words.load(at);;) {
    const count = Math.min(most, limit(word) - taken(word) & MASK);
    if (count === 0) return 0;
    const seen = words.swap(at, word, joined(taken(word) + count, limit(word)));
    if (seen === word) return count;
    word = seen;
  }
};

/** Of the queue: how many were taken since it was so many. */
export const takenSince = (words: Words, at: number, before: number): number => taken(words.load(at)) - before & MASK;

/** Of the queue: lends so many more. */
export const lend = (words: Words, at: number, count: number): void => void words.add(at, count << 16);

/** Of the queue: takes back all but so many of those that were lent since it was so many, and were not taken. */
export const revoke = (words: Words, at: number, before: number, keep: number): void => {
  for (let word = words.load(at);;) {
    const kept = Math.max(keep, taken(word) - before & MASK);
    if ((limit(word) - before & MASK) <= kept) return;
    const seen = words.swap(at, word, joined(taken(word), before + kept));
    if (seen === word) return;
    word = seen;
  }
};
