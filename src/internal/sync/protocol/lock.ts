/**
 * A lock that no death leaves taken. Free of Effect.
 *
 * ```text
 *  word 0        owner << 8 | ABANDONED | WAITERS | state
 *  words 1-8     slots of the participants that wait
 * ```
 *
 * | state | meaning |
 * | --- | --- |
 * | FREE | nobody holds the lock; the whole word is 0 |
 * | HELD | the owner holds the lock |
 * | GRANTED | the lock was handed to the owner, which waits for it and has not seen it yet |
 *
 * - Each transition is one compare-and-swap of word 0, which is its linearisation point. Without contention, `take` and `release` are
 *   one swap each.
 * - A waiter adds its slot to the set, and then sets WAITERS. A release clears WAITERS, and then reads the set. If a slot is added
 *   after that, WAITERS is set again and the swap that was to free the lock fails. So no slot is overlooked.
 * - A release rings the next slot of the set after its own, wrapping around. In its turn of {@link TURN} it frees the lock, and may
 *   take it again before the other participant has woken up; that one then sets WAITERS. After its turn it hands the lock over. So no
 *   participant starves, and processes that use a lock often do not wait for each other's awakening each time. The fibers of one process
 *   queue in that process, and have one slot together. If some wait, the lock is handed over, since its process is in no hurry.
 * - WAITERS may be clear while participants wait: one of them was rung then. It takes the lock or sets WAITERS, or, if it leaves, rings
 *   the next one.
 * - A participant whose last waiter leaves removes its slot, and then changes word 0 unless the lock was granted to it: a participant
 *   that is about to grant the lock must read the set again.
 * - If the owner has died, the first participant whose swap succeeds inherits the lock. ABANDONED tells it that the state was HELD.
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

/** Milliseconds for which a process may free the lock, and take it again, while others wait. */
const TURN = 0.2;

/** Words of a lock. */
export const SIZE = 1 + SET;

/** The outcome of a wait: the lock is held, or held after the death of its last owner, or the wait has failed. */
export type LockOutcome = "held" | "abandoned" | WaitFailure;

/** A waiter of this process. */
export type Waiter = (outcome: LockOutcome) => void;

/** A lock, as one process uses it. */
export class Lock {
  readonly #words: Words;
  readonly #at: number;
  readonly #participants: Participants;
  readonly #slots: SlotSet;
  /** Word 0 while this process holds the lock and no participant waits. */
  readonly #held: number;
  readonly #waiters = new Set<Waiter>();
  /** Number of releases by this process. */
  releases = 0;
  #stop: (() => void) | undefined;
  /** When this process first freed the lock in its turn; `undefined` before that. */
  #turn: number | undefined = 0;

  constructor(words: Words, at: number, participants: Participants) {
    this.#words = words;
    this.#at = at;
    this.#participants = participants;
    this.#slots = new SlotSet(words, at + 1);
    this.#held = participants.self << 8 | HELD;
  }

  /** Takes the lock if it is free. */
  takeIfFree(): boolean {
    return this.#waiters.size === 0 && this.#words.swap(this.#at, FREE, this.#held) === FREE;
  }

  /** Takes the lock if it is free, or if its owner is dead, which takes microseconds to find out. */
  tryTake(): boolean {
    const found = this.#words.swap(this.#at, FREE, this.#held);
    return found === FREE || this.#inherit(found);
  }

  /** Frees the lock, or hands it to the next waiter. Returns `false`, and changes nothing, if this process does not hold the lock. */
  release(): boolean {
    // Before the lock is handed on, which may be to a waiter of this process.
    this.releases++;
    const found = this.#words.swap(this.#at, this.#held, FREE);
    if (found === this.#held || this.#pass(found, HELD)) return true;
    this.releases--;
    return false;
  }

  /** Waits for the lock. Returns a function that leaves the queue; it returns `false` if the waiter was served already. */
  wait(waiter: Waiter): () => boolean {
    const waiters = this.#waiters;
    waiters.add(waiter);
    if (waiters.size === 1) this.#slots.add(this.#participants.self);
    if (this.#stop === undefined) {
      let over = false;
      const stop = this.#participants.watch((patrol) => over = this.#check(patrol), (error) => {
        over = true;
        this.#fail(error);
      });
      if (!over) this.#stop = stop;
    } else if (waiters.size === 1) {
      // The last waiter was served in this very call, so WAITERS is not set for the new one.
      this.#check(false);
    }
    return () => {
      if (!waiters.delete(waiter)) return false;
      if (waiters.size === 0 && this.#participants.exists()) this.#leave();
      this.#settle();
      return true;
    };
  }

  /** Whether this process holds the lock. */
  get mine(): boolean {
    const word = this.#words.load(this.#at);
    return (word & STATE) === HELD && word >>> 8 === this.#participants.self;
  }

  /** Whether the owner has inherited the lock from a participant that died. */
  get abandoned(): boolean {
    return (this.#words.load(this.#at) & ABANDONED) !== 0;
  }

  /** The participant that holds the lock or was granted it; 0 if the lock is free. */
  get owner(): number {
    return this.#words.load(this.#at) >>> 8;
  }

  /** Waiters of this process. */
  get waiting(): number {
    return this.#waiters.size;
  }

  /** Participants that wait. */
  get waitingParticipants(): number {
    return this.#slots.size;
  }

  /** Takes the lock from a dead owner. */
  #inherit(found: number): boolean {
    const owner = found >>> 8;
    if (owner === this.#participants.self || this.#participants.alive(owner)) return false;
    const lost = (found & STATE) === HELD ? ABANDONED : found & ABANDONED;
    if (this.#words.swap(this.#at, found, this.#held | WAITERS | lost) !== found) return false;
    // The slot of the dead participant. If a new participant has the slot by now and waits, its next patrol adds it again.
    this.#slots.delete(owner);
    return true;
  }

  /** Frees the lock or hands it over, from the state in which this process has it. */
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
      const then = next === 0 || next !== self && state === HELD && this.#keeps()
        ? FREE
        : next === self
        ? this.#held | (this.#waiters.size > 1 ? WAITERS : 0)
        : next << 8 | WAITERS | GRANTED;
      const seen = words.swap(this.#at, word, then);
      if (seen === word) {
        if (next === self) this.#deliver("held");
        else if (next !== 0) {
          if (then !== FREE) this.#turn = undefined;
          this.#participants.ring(next);
        }
        this.#settle();
        return true;
      }
      word = seen;
    }
  }

  /** Whether this process may take the lock again before another one has woken up. */
  #keeps(): boolean {
    if (this.#waiters.size > 0) return false;
    const now = this.#participants.now();
    return now - (this.#turn ??= now) < TURN;
  }

  /** The participant that is served next: another one after the own slot, else this one. */
  #next(): number {
    const { self } = this.#participants;
    const own = self & 0xff;
    const next = this.#slots.find(own, (slot) => slot !== own);
    if (next !== undefined) return this.#participants.at(next);
    return this.#waiters.size > 0 ? self : 0;
  }

  /** The last waiter of this process has left. */
  #leave(): void {
    const words = this.#words;
    this.#slots.delete(this.#participants.self);
    for (let word = words.load(this.#at);;) {
      if ((word & STATE) === GRANTED && word >>> 8 === this.#participants.self) {
        if (this.#pass(word, GRANTED)) return;
        word = words.load(this.#at);
        continue;
      }
      // A participant that is about to hand the lock over, or is granted it and leaves, reads the set again.
      if ((word & WAITERS) !== 0) return;
      if ((word & STATE) === FREE) {
        const next = this.#next();
        if (next !== 0) this.#participants.ring(next);
        return;
      }
      const seen = words.swap(this.#at, word, word | WAITERS);
      if (seen === word) return;
      word = seen;
    }
  }

  /** Takes the lock for the first waiter, if it can be had. Returns true if no waiter is left. */
  #check(patrol: boolean): boolean {
    const words = this.#words;
    const { self } = this.#participants;
    const waiters = this.#waiters;
    if (waiters.size === 0) return true;
    if (!this.#participants.exists()) {
      this.#stop = undefined;
      const all = [...waiters];
      waiters.clear();
      for (const waiter of all) waiter("gone");
      return true;
    }
    // Another participant may have removed the slot as that of a dead one.
    if (patrol) this.#slots.add(this.#participants.self);
    for (let word = words.load(this.#at);;) {
      let next: number;
      const owner = word >>> 8;
      const state = word & STATE;
      if (state === FREE) next = this.#held | (waiters.size > 1 || this.#next() !== self ? WAITERS : 0);
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
    const over = waiters.size === 0;
    if (over) this.#stop = undefined;
    return over;
  }

  /** The check has failed, and does not run again: fails all waiters, which leave the queue themselves. */
  #fail(error: unknown): void {
    this.#stop = undefined;
    for (const waiter of [...this.#waiters]) waiter(new Defect(error));
  }

  /** Serves the first waiter. */
  #deliver(outcome: LockOutcome): void {
    const waiters = this.#waiters;
    for (const first of waiters) {
      waiters.delete(first);
      if (waiters.size === 0) this.#slots.delete(this.#participants.self);
      this.#turn = undefined;
      return first(outcome);
    }
  }

  #settle(): void {
    if (this.#waiters.size > 0 || this.#stop === undefined) return;
    this.#stop();
    this.#stop = undefined;
  }
}
