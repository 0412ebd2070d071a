/**
 * A flag that many processes set, clear and wait for. Free of Effect.
 *
 * ```text
 *  word 0        number of times the flag was set << 1 | 1 if it is set
 *  words 1-8     slots of the participants that wait
 * ```
 *
 * - `set` is one compare-and-swap of word 0, and `clear` one `and`: the linearisation points. `set` then rings all slots of the set.
 * - A waiter reads the count, adds its slot to the set, and reads word 0 again. Its wait is over when the flag is set, or was set since:
 *   a flag that is cleared at once has been seen by all waiters. `set` waits for no participant.
 *
 * @module
 */
import { Defect, type Participants, SET, type WaitFailure } from "./participants.ts";
import { SlotSet } from "./slot_set.ts";
import type { Words } from "../../os/atomics.ts";

/** Words of an event. */
export const SIZE: number = 1 + SET;

interface Waiter {
  readonly since: number;
  readonly done: (outcome: "set" | WaitFailure) => void;
}

/** An event, as one process uses it. */
export class Event {
  readonly #words: Words;
  readonly #at: number;
  readonly #participants: Participants;
  readonly #slots: SlotSet;
  readonly #waiters = new Set<Waiter>();
  #stop: (() => void) | undefined;

  constructor(words: Words, at: number, participants: Participants) {
    this.#words = words;
    this.#at = at;
    this.#participants = participants;
    this.#slots = new SlotSet(words, at + 1);
  }

  get isSet(): boolean {
    return (this.#words.load(this.#at) & 1) !== 0;
  }

  /** Sets the flag, and wakes all waiters. */
  set(): void {
    const words = this.#words;
    for (let word = words.load(this.#at); (word & 1) === 0;) {
      const seen = words.swap(this.#at, word, (word >>> 1) + 1 << 1 | 1);
      if (seen === word) return this.#ring();
      word = seen;
    }
  }

  /** Clears the flag. */
  clear(): void {
    this.#words.and(this.#at, ~1);
  }

  /** Waits until the flag is set. Returns a function that ends the wait; it returns `false` if `done` was called already. */
  wait(done: (outcome: "set" | WaitFailure) => void): () => boolean {
    const waiter: Waiter = { since: this.#words.load(this.#at) >>> 1, done };
    const waiters = this.#waiters;
    waiters.add(waiter);
    if (waiters.size === 1) this.#slots.add(this.#participants.self);
    if (this.#stop === undefined) {
      let over = false;
      const stop = this.#participants.watch(() => over = this.#check(), (error) => {
        over = true;
        this.#fail(error);
      });
      if (!over) this.#stop = stop;
    } else if ((this.#words.load(this.#at) & 1) !== 0 && waiters.delete(waiter)) {
      // Other waiters of this process hear of it when the doorbell rings.
      done("set");
    }
    return () => {
      if (!waiters.delete(waiter)) return false;
      if (waiters.size === 0) {
        if (this.#participants.exists()) this.#slots.delete(this.#participants.self);
        this.#stop?.();
        this.#stop = undefined;
      }
      return true;
    };
  }

  /** Waiters of this process. */
  get waiting(): number {
    return this.#waiters.size;
  }

  /** Participants that wait. */
  get waitingParticipants(): number {
    return this.#slots.size;
  }

  /** The check has failed, and does not run again: fails all waiters. */
  #fail(error: unknown): void {
    this.#stop = undefined;
    const all = [...this.#waiters];
    this.#waiters.clear();
    for (const { done } of all) done(new Defect(error));
  }

  #ring(): void {
    this.#slots.find(0, (slot) => {
      this.#participants.ring(this.#participants.at(slot));
      return false;
    });
  }

  #check(): boolean {
    const waiters = this.#waiters;
    if (waiters.size > 0) {
      const gone = !this.#participants.exists();
      const word = gone ? 0 : this.#words.load(this.#at);
      for (const waiter of waiters) {
        if (!gone && (word & 1) === 0 && word >>> 1 === waiter.since) continue;
        waiters.delete(waiter);
        waiter.done(gone ? "gone" : "set");
      }
      if (waiters.size === 0 && !gone) this.#slots.delete(this.#participants.self);
    }
    const over = waiters.size === 0;
    if (over) this.#stop = undefined;
    return over;
  }
}
