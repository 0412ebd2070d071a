/**
 * State of several words that changes as one, even if a participant dies in the middle of a change, and waiting for such changes. Free
 * of Effect.
 *
 * ```text
 *  word 0        guard: the participant that changes the state, or 0
 *  word 1        length of the journal
 *  words 2-65    journal: pairs of a word's offset and its value before the change
 *  word 66       fields of the object
 *  ...           slots that have a row
 *  ...           a row for each slot: its participant, then the cells of the object
 * ```
 *
 * | guard, length | state |
 * | --- | --- |
 * | 0, 0 | at rest |
 * | participant, n | a change is in progress, and has changed n words |
 * | dead participant, n | the next participant undoes n entries, last to first, and makes its own change |
 *
 * - A change is made under the guard. The value of a word goes into the journal before the word is changed. The store of 0 to the
 *   length is the linearisation point. A participant that finds the guard with a dead one takes the guard over and undoes the journal,
 *   so a change happens as a whole or not at all.
 * - A read without the guard is a hint: the change may be undone.
 * - Changes take less than a microsecond, so a participant spins for the guard, and goes on in later turns of the event loop if that
 *   takes long.
 * - A row says what one participant holds, waits for, and was granted. When the participant has died, the next one that notices, or
 *   that has its slot next, takes that back.
 * - Doorbells are rung after the change.
 *
 * @module
 */
import { Defect, type Participants, SET, SLOTS, type WaitFailure } from "./participants.ts";
import { bitOf, SlotSet, wordOf } from "./slot_set.ts";
import type { Words } from "../../os/atomics.ts";

const LENGTH = 1;
const JOURNAL = 2;
/** Words that one change may write. */
const CHANGES = 32;
const OWN = JOURNAL + 2 * CHANGES;

/** The result of an attempt while another participant is in the middle of a change. */
export const BUSY: unique symbol = Symbol("busy");
/** Type of {@link BUSY}. */
export type Busy = typeof BUSY;

/** Milliseconds until a deferred change is tried again. */
const SOON = 1;

/** Words of an object with this number of fields, and of cells in each row. */
export const size = (own: number, cells: number, slots: number = SLOTS): number =>
  OWN + own + SET + slots * (1 + cells);

/** The state of one object, as one process uses it. */
export abstract class Monitor {
  readonly #words: Words;
  readonly #at: number;
  readonly #participants: Participants;
  readonly #set: number;
  readonly #inUse: SlotSet;
  readonly #rows: number;
  readonly #stride: number;
  readonly #deferred: Array<() => void> = [];
  readonly #toRing: Array<number> = [];
  #journal = 0;
  #stop: (() => void) | undefined;

  constructor(words: Words, at: number, participants: Participants, own: number, cells: number) {
    this.#words = words;
    this.#at = at;
    this.#participants = participants;
    this.#set = at + OWN + own;
    this.#rows = this.#set + SET;
    this.#inUse = new SlotSet(words, this.#set);
    this.#stride = 1 + cells;
  }

  /** Takes back what the row of a dead participant holds. Part of a change. */
  protected abstract reclaim(row: number): void;

  /** Grants what is available to the participants that wait for it, in changes of its own. Any participant may do so. */
  protected abstract advance(): void;

  /** Serves waiters of this process what they were granted. Not called while changes are deferred. */
  protected abstract deliver(): void;

  /** Fails all waiters of this process. They leave the queue themselves if the object still exists. */
  protected abstract abandon(over: WaitFailure): void;

  /** Waiters of this process. */
  abstract get waiting(): number;

  /** This participant. */
  protected get self(): number {
    return this.#participants.self;
  }

  /** Whether the object has not ended. */
  protected exists(): boolean {
    return this.#participants.exists();
  }

  /** The word of a field. */
  protected own(index: number): number {
    return this.#at + OWN + index;
  }

  protected load(word: number): number {
    return this.#words.load(word);
  }

  /** Writes a word. Part of a change. */
  protected set(word: number, value: number): void {
    const words = this.#words;
    if (this.#journal === CHANGES) {
      throw new Error(`Cannot change the shared object: a change may touch ${CHANGES} words`);
    }
    const entry = this.#at + JOURNAL + 2 * this.#journal;
    words.store(entry, word - this.#at);
    words.store(entry + 1, words.load(word));
    words.store(this.#at + LENGTH, ++this.#journal);
    words.store(word, value);
  }

  protected add(word: number, value: number): void {
    this.set(word, this.#words.load(word) + value);
  }

  /** Makes a change, or returns `BUSY` if another participant stays in the middle of one. */
  protected attempt<A>(change: () => A): A | Busy {
    if (!this.#enter()) return BUSY;
    let result: A;
    try {
      result = change();
    } catch (error) {
      this.#undo();
      this.#leave();
      this.#toRing.length = 0;
      throw error;
    }
    this.#leave();
    if (this.#toRing.length > 0) {
      for (const participant of this.#toRing.splice(0)) this.#participants.ring(participant);
    }
    return result;
  }

  /** Makes a change now, or as soon as it can be made, after the changes that were deferred before. */
  protected perform(change: () => void, then: () => void = nothing): void {
    const attempt = (): boolean => {
      if (!this.exists()) return true;
      if (this.attempt(change) === BUSY) return false;
      then();
      return true;
    };
    if (this.#deferred.length === 0 && attempt()) return;
    const late = this.#deferred;
    const retry = (): void => {
      while (late.length > 0) {
        const first = late[0];
        first();
        if (late[0] === first) {
          setTimeout(retry, SOON);
          return;
        }
      }
      // The state now says which of the granted waiters have left.
      if (this.waiting > 0 && this.exists()) this.deliver();
    };
    late.push(() => {
      if (attempt()) late.shift();
    });
    if (late.length === 1) setTimeout(retry, SOON);
  }

  /** Whether changes are deferred. */
  protected get hasDeferred(): boolean {
    return this.#deferred.length > 0;
  }

  /** Rings the doorbell of a participant after the change. */
  protected ring(participant: number): void {
    this.#toRing.push(participant);
  }

  /** The row of this participant, which is created if need be. Part of a change. */
  protected row(): number {
    const slot = this.#participants.self & 0xff;
    const row = this.#row(slot);
    const had = this.#words.load(row);
    if (had === this.#participants.self) return row;
    if (had !== 0) this.#clear(row);
    this.set(row, this.#participants.self);
    const word = this.#set + wordOf(slot);
    this.set(word, this.#words.load(word) | bitOf(slot));
    return row;
  }

  /** The row of this participant, for reading; `undefined` if it has none. */
  protected ownRow(): number | undefined {
    const row = this.#row(this.#participants.self & 0xff);
    return this.#words.load(row) === this.#participants.self ? row : undefined;
  }

  /** The participant of a row. */
  protected of(row: number): number {
    return this.#words.load(row);
  }

  /** The first row in use that satisfies a predicate, beginning with that of slot `from` and wrapping around; `undefined` if there is none. */
  protected find(from: number, holds: (row: number) => boolean): number | undefined {
    const slot = this.#inUse.find(from, (slot) => holds(this.#row(slot)));
    return slot === undefined ? undefined : this.#row(slot);
  }

  /** Visits all rows that are in use. */
  protected rows(visit: (row: number) => void): void {
    this.find(0, (row) => {
      visit(row);
      return false;
    });
  }

  /** Whether the participant of a row lives. It asks the system, so it must not be part of a change. */
  protected alive(row: number): boolean {
    return this.#participants.alive(this.#words.load(row));
  }

  /** Takes back what dead participants hold. Returns whether there were any. */
  protected reclaimDead(): boolean {
    const dead: Array<readonly [row: number, participant: number]> = [];
    this.rows((row) => {
      const participant = this.#words.load(row);
      if (participant !== 0 && participant !== this.#participants.self && !this.#participants.alive(participant)) {
        dead.push([row, participant]);
      }
    });
    for (const [row, participant] of dead) {
      this.attempt(() => {
        if (this.#words.load(row) !== participant) return;
        this.#clear(row);
        this.set(row, 0);
        const slot = participant & 0xff;
        const word = this.#set + wordOf(slot);
        this.set(word, this.#words.load(word) & ~bitOf(slot));
      });
    }
    return dead.length > 0;
  }

  /** Begins to check for grants, unless this process does so already. */
  protected watch(): void {
    if (this.#stop !== undefined) return;
    let over = false;
    const stop = this.#participants.watch((patrol) => over = this.#check(patrol), (error) => {
      over = true;
      this.#stop = undefined;
      this.abandon(new Defect(error));
    });
    if (!over) this.#stop = stop;
  }

  /** Stops to check for grants if no waiter is left. */
  protected settle(): void {
    if (this.waiting > 0 || this.#stop === undefined) return;
    this.#stop();
    this.#stop = undefined;
  }

  #check(patrol: boolean): boolean {
    if (this.waiting > 0) {
      if (!this.exists()) this.abandon("gone");
      else {
        if (patrol) {
          this.reclaimDead();
          // The participant that was about to do so may have died.
          this.advance();
        }
        // The state does not say yet which waiters have come or left.
        if (!this.hasDeferred) this.deliver();
      }
    }
    const over = this.waiting === 0;
    if (over) this.#stop = undefined;
    return over;
  }

  #row(slot: number): number {
    return this.#rows + slot * this.#stride;
  }

  #clear(row: number): void {
    this.reclaim(row);
    for (let cell = row + 1; cell < row + this.#stride; cell++) if (this.#words.load(cell) !== 0) this.set(cell, 0);
  }

  #enter(): boolean {
    const words = this.#words;
    const { self } = this.#participants;
    for (let turn = 0;; turn++) {
      const holder = words.swap(this.#at, 0, self);
      if (holder === 0) break;
      const verdict = this.#participants.hold(this.#at, holder, turn);
      if (verdict === "busy") return false;
      if (verdict === "dead" && words.swap(this.#at, holder, self) === holder) {
        this.#undo();
        break;
      }
    }
    // A worker that was ended must change nothing, although its thread still runs: nobody would give back what it takes.
    if (this.#participants.ended?.() === true) {
      words.store(this.#at, 0);
      return false;
    }
    this.#journal = 0;
    return true;
  }

  #undo(): void {
    const words = this.#words;
    for (let entry = words.load(this.#at + LENGTH) - 1; entry >= 0; entry--) {
      const at = this.#at + JOURNAL + 2 * entry;
      words.store(this.#at + words.load(at), words.load(at + 1));
    }
    words.store(this.#at + LENGTH, 0);
  }

  #leave(): void {
    if (this.#journal > 0) this.#words.store(this.#at + LENGTH, 0);
    this.#words.store(this.#at, 0);
  }
}

const nothing = (): void => {};
