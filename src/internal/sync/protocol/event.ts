/**
 * A flag that can be waited for. Free of Effect.
 *
 * ```text
 *  word 0        how often it was set << 1 | whether it is
 *  words 1-8     marks: the slots of those who wait
 * ```
 *
 * Who waits notes how often it was set, marks its slot, and looks again. It is done when the flag is set, or was since: a flag that is
 * cleared at once has been seen by all who waited. Nobody waits for those who are to see it.
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

/** An event, as one process sees it. */
export class Event {
  readonly #words: Words;
  readonly #at: number;
  readonly #participants: Participants;
  readonly #waiting: SlotSet;
  readonly #waiters = new Set<Waiter>();
  #stop: (() => void) | undefined;

  constructor(words: Words, at: number, participants: Participants) {
    this.#words = words;
    this.#at = at;
    this.#participants = participants;
    this.#waiting = new SlotSet(words, at + 1);
  }

  get isSet(): boolean {
    return (this.#words.load(this.#at) & 1) !== 0;
  }

  /** Sets it, and wakes all who wait. */
  set(): void {
    const words = this.#words;
    for (let word = words.load(this.#at); (word & 1) === 0;) {
      const seen = words.swap(this.#at, word, (word >>> 1) + 1 << 1 | 1);
      if (seen === word) return this.#ring();
      word = seen;
    }
  }

  /** Clears it. */
  clear(): void {
    this.#words.and(this.#at, ~1);
  }

  /** Waits until it is set. The answer leaves; it gives `false` if the waiter knows already. */
  wait(done: (outcome: "set" | WaitFailure) => void): () => boolean {
    const waiter: Waiter = { since: this.#words.load(this.#at) >>> 1, done };
    const line = this.#waiters;
    line.add(waiter);
    if (line.size === 1) this.#waiting.add(this.#participants.self);
    if (this.#stop === undefined) {
      let over = false;
      const stop = this.#participants.watch(() => over = this.#check(), (error) => {
        over = true;
        this.#fail(error);
      });
      if (!over) this.#stop = stop;
    } else if ((this.#words.load(this.#at) & 1) !== 0 && line.delete(waiter)) {
      // The others hear it when this process is rung.
      done("set");
    }
    return () => {
      if (!line.delete(waiter)) return false;
      if (line.size === 0) {
        if (this.#participants.exists()) this.#waiting.delete(this.#participants.self);
        this.#stop?.();
        this.#stop = undefined;
      }
      return true;
    };
  }

  /** Those of this process who wait. */
  get waiting(): number {
    return this.#waiters.size;
  }

  /** Processes that wait. */
  get waitingParticipants(): number {
    return this.#waiting.size;
  }

  /** Nobody looks any more: those who wait are told. */
  #fail(error: unknown): void {
    this.#stop = undefined;
    const all = [...this.#waiters];
    this.#waiters.clear();
    for (const { done } of all) done(new Defect(error));
  }

  #ring(): void {
    this.#waiting.find(0, (slot) => {
      this.#participants.ring(this.#participants.at(slot));
      return false;
    });
  }

  #check(): boolean {
    const line = this.#waiters;
    if (line.size > 0) {
      const gone = !this.#participants.exists();
      const word = gone ? 0 : this.#words.load(this.#at);
      for (const waiter of line) {
        if (!gone && (word & 1) === 0 && word >>> 1 === waiter.since) continue;
        line.delete(waiter);
        waiter.done(gone ? "gone" : "set");
      }
      if (line.size === 0 && !gone) this.#waiting.delete(this.#participants.self);
    }
    const over = line.size === 0;
    if (over) this.#stop = undefined;
    return over;
  }
}
