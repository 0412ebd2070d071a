/**
 * A lock that no death leaves taken. Free of Effect.
 *
 * ```text
 *  word 0        owner << 8 | WAITERS | ABANDONED | state
 *  words 1-8     marks: the slots of those who wait
 * ```
 *
 * | state | |
 * | --- | --- |
 * | 0 | free; then the whole word is 0 |
 * | HELD | by its owner |
 * | GRANTED | handed to its owner, who waits for it and has not seen it yet |
 *
 * - Each step from one state to the next is one swap of word 0. Without rivals it takes one to take it, and one to release it.
 * - Who waits marks its slot, and then WAITERS in word 0. Who releases takes WAITERS away, and then looks at the marks: if one
 *   comes after that, so does WAITERS, and the swap that was to free the lock fails. So no mark is overlooked.
 * - A release hands the lock to the next mark after the own slot, round and round: nobody starves. Fibers of one process stand in
 *   a line of their own, and have one mark together.
 * - Who leaves takes its mark away, and then changes word 0, if it was not handed to it: who is about to hand it over must look
 *   again.
 * - If its owner has died, whoever finds out has it: the first swap wins. ABANDONED tells him if it was HELD.
 *
 * @module
 */
import { Defect, type Participants, SET, type WaitFailure } from "./participants.ts";
import { SlotSet } from "./slot_set.ts";
import type { Words } from "../../os/atomics.ts";

const FREE = 0;
const HELD = 1;
const GRANTED = 2;
const STATE = 3;
const WAITERS = 4;
const ABANDONED = 8;

/** Words of a lock. */
export const SIZE = 1 + SET;

/** What a waiter hears: that it has the lock, that it has it from somebody who died, or that the waiting is over. */
export type Outcome = "held" | "abandoned" | WaitFailure;

/** Somebody of this process who waits. */
export type Waiter = (outcome: Outcome) => void;

/** A lock, as one process sees it. */
export class Lock {
  readonly #words: Words;
  readonly #at: number;
  readonly #participants: Participants;
  readonly #waiting: SlotSet;
  /** Word 0 when this process holds it, and nobody waits. */
  readonly #held: number;
  readonly #waiters = new Set<Waiter>();
  #stop: (() => void) | undefined;

  constructor(words: Words, at: number, participants: Participants) {
    this.#words = words;
    this.#at = at;
    this.#participants = participants;
    this.#waiting = new SlotSet(words, at + 1);
    this.#held = participants.self << 8 | HELD;
  }

  /** Takes it if it is free, or if its holder is dead. */
  tryTake(): boolean {
    const found = this.#words.swap(this.#at, FREE, this.#held);
    return found === FREE || this.#inherit(found);
  }

  /** Gives it back, or to the next; `false`, and nothing done, if this process does not hold it. */
  release(): boolean {
    const found = this.#words.swap(this.#at, this.#held, FREE);
    return found === this.#held || this.#pass(found, HELD);
  }

  /** Waits for it. The answer leaves the line; it gives `false` if the waiter has it already. */
  wait(waiter: Waiter): () => boolean {
    const line = this.#waiters;
    line.add(waiter);
    if (line.size === 1) this.#waiting.add(this.#participants.self);
    if (this.#stop === undefined) {
      let over = false;
      const stop = this.#participants.watch((patrol) => over = this.#check(patrol), (error) => {
        over = true;
        this.#fail(error);
      });
      if (!over) this.#stop = stop;
    } else if (line.size === 1) {
      // It waits again in the very step in which it was given the lock: nobody has said yet that there is a waiter.
      this.#check(false);
    }
    return () => {
      if (!line.delete(waiter)) return false;
      if (line.size === 0 && this.#participants.exists()) this.#leave();
      this.#settle();
      return true;
    };
  }

  /** Whether this process holds it. */
  get mine(): boolean {
    const word = this.#words.load(this.#at);
    return (word & STATE) === HELD && word >>> 8 === this.#participants.self;
  }

  /** Whether whoever holds it has it from somebody who died. */
  get abandoned(): boolean {
    return (this.#words.load(this.#at) & ABANDONED) !== 0;
  }

  /** Who has it, or is about to; 0 if it is free. */
  get owner(): number {
    return this.#words.load(this.#at) >>> 8;
  }

  /** Those of this process who wait. */
  get waiting(): number {
    return this.#waiters.size;
  }

  /** Processes that wait. */
  get waitingParticipants(): number {
    return this.#waiting.size;
  }

  /** Takes it from a dead owner. */
  #inherit(found: number): boolean {
    const owner = found >>> 8;
    if (owner === this.#participants.self || this.#participants.alive(owner)) return false;
    const lost = (found & STATE) === HELD ? ABANDONED : found & ABANDONED;
    if (this.#words.swap(this.#at, found, this.#held | WAITERS | lost) !== found) return false;
    // What the dead one waited for. If a new one has its slot by now and waits, it marks it again with its next patrol.
    this.#waiting.delete(owner);
    return true;
  }

  /** Hands it over, from the state in which this process has it. */
  #pass(found: number, state: number): boolean {
    const { self } = this.#participants;
    const words = this.#words;
    for (let word = found;;) {
      if ((word & STATE) !== state || word >>> 8 !== self) return false;
      if ((word & WAITERS) !== 0) {
        const less = word & ~WAITERS;
        const seen = words.swap(this.#at, word, less);
        word = seen === word ? less : seen;
        if (seen !== (less | WAITERS)) continue;
      }
      const next = this.#next();
      const then = next === 0
        ? FREE
        : next === self
        ? this.#held | (this.#waiters.size > 1 ? WAITERS : 0)
        : next << 8 | WAITERS | GRANTED;
      const seen = words.swap(this.#at, word, then);
      if (seen === word) {
        if (next === self) this.#deliver("held");
        else if (next !== 0) this.#participants.ring(next);
        this.#settle();
        return true;
      }
      word = seen;
    }
  }

  /** Whose turn it is: others first, from the own slot on. */
  #next(): number {
    const { self } = this.#participants;
    const own = self & 0xff;
    const next = this.#waiting.find(own, (slot) => slot !== own);
    if (next !== undefined) return this.#participants.at(next);
    return this.#waiters.size > 0 ? self : 0;
  }

  /** Nobody of this process waits any more. */
  #leave(): void {
    const words = this.#words;
    this.#waiting.delete(this.#participants.self);
    for (let word = words.load(this.#at);;) {
      if ((word & STATE) === GRANTED && word >>> 8 === this.#participants.self) {
        if (this.#pass(word, GRANTED)) return;
        word = words.load(this.#at);
        continue;
      }
      // Whoever is about to hand it over, also one to whom it was handed and who leaves, looks at the marks again.
      if ((word & STATE) === FREE || (word & WAITERS) !== 0) return;
      const seen = words.swap(this.#at, word, word | WAITERS);
      if (seen === word) return;
      word = seen;
    }
  }

  /** Takes it for the first in the line, if it is there to be taken. Whether nobody waits any more. */
  #check(patrol: boolean): boolean {
    const words = this.#words;
    const { self } = this.#participants;
    const line = this.#waiters;
    if (line.size === 0) return true;
    if (!this.#participants.exists()) {
      this.#stop = undefined;
      const all = [...line];
      line.clear();
      for (const waiter of all) waiter("gone");
      return true;
    }
    // Somebody may have taken it for that of a dead one.
    if (patrol) this.#waiting.add(this.#participants.self);
    for (let word = words.load(this.#at);;) {
      let next: number;
      const owner = word >>> 8;
      const state = word & STATE;
      if (state === FREE) next = this.#held | (line.size > 1 ? WAITERS : 0);
      else if (state === GRANTED && owner === self) next = this.#held | WAITERS;
      else if (patrol && owner !== self && this.#inherit(word)) {
        this.#deliver((words.load(this.#at) & ABANDONED) !== 0 ? "abandoned" : "held");
        break;
      } else if ((word & WAITERS) === 0) next = word | WAITERS;
      else break;
      const seen = words.swap(this.#at, word, next);
      if (seen !== word) {
        word = seen;
      } else if (next >>> 8 === self && state !== HELD) {
        this.#deliver("held");
        break;
      } else break;
    }
    const over = line.size === 0;
    if (over) this.#stop = undefined;
    return over;
  }

  /** Nobody looks any more. Those who wait are told, and leave the line. */
  #fail(error: unknown): void {
    this.#stop = undefined;
    for (const waiter of [...this.#waiters]) waiter(new Defect(error));
  }

  /** The first in the line has it. */
  #deliver(outcome: Outcome): void {
    const line = this.#waiters;
    for (const first of line) {
      line.delete(first);
      if (line.size === 0) this.#waiting.delete(this.#participants.self);
      return first(outcome);
    }
  }

  #settle(): void {
    if (this.#waiters.size > 0 || this.#stop === undefined) return;
    this.#stop();
    this.#stop = undefined;
  }
}
