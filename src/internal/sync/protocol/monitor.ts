/**
 * State of several words that changes as one, whoever dies in between; and those who wait for a change of it. Free of Effect.
 *
 * ```text
 *  word 0        guard: the participant that is changing the state, or 0
 *  word 1        length of the journal
 *  words 2-65    journal: a word's place and what it was before, and so on
 *  word 66       the object's own words
 *  ...           the set of slots that have a row
 *  ...           a row for each slot: its participant, then the object's own cells
 * ```
 *
 * - A change is made under the guard. Before a word is changed, what it was goes into the journal; with the length of the journal
 *   back at 0 it is done. Who finds the guard with a dead participant takes it over, and undoes what the journal says: a change
 *   happens as a whole or not at all.
 * - What is read without the guard is a hint: whoever was about to change it may die, and then it is undone.
 * - Changes take less than a microsecond, so who wants the guard spins for it; when that takes long, in turns of the event loop.
 * - A row says what an object has for one participant: what it holds, waits for, was granted. When a participant has died, whoever
 *   finds out, or has its slot next, gives back what its row says.
 * - Bells are rung when a change is done.
 *
 * @module
 */
import { Defect, type Participants, SET, SLOTS, type WaitFailure } from "./participants.ts";
import { bitOf, SlotSet, wordOf } from "./slot_set.ts";
import type { Words } from "../../os/atomics.ts";

const LENGTH = 1;
const JOURNAL = 2;
/** Words that one change may touch. */
const CHANGES = 32;
const OWN = JOURNAL + 2 * CHANGES;

/** Another participant is in the middle of a change, and takes its time. */
export const BUSY: unique symbol = Symbol("busy");
/** Type of {@link BUSY}. */
export type Busy = typeof BUSY;

/** How soon a change is tried again, in milliseconds. */
const SOON = 1;

/** What an object must have room for, in words: with so many words of its own, and so many cells in the row of each slot. */
export const size = (own: number, cells: number, slots: number = SLOTS): number =>
  OWN + own + SET + slots * (1 + cells);

/** The state of one object, as one process sees it. */
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

  /** Takes back what a row holds: its participant is dead. Part of a change. */
  protected abstract reclaim(row: number): void;

  /** Does what there is to do, by whomever: hands out what is there to those who wait for it. In changes of its own. */
  protected abstract advance(): void;

  /** Gives those of this process who wait what they were granted. Not called while changes of theirs are still to be made. */
  protected abstract deliver(): void;

  /** Tells those of this process who wait that it is over. They leave by themselves if the object is still there. */
  protected abstract abandon(over: WaitFailure): void;

  /** Those of this process who wait. */
  abstract get waiting(): number;

  /** This participant. */
  protected get self(): number {
    return this.#participants.self;
  }

  /** Whether the object is still there. */
  protected exists(): boolean {
    return this.#participants.exists();
  }

  /** One of the object's own words. */
  protected own(index: number): number {
    return this.#at + OWN + index;
  }

  protected load(word: number): number {
    return this.#words.load(word);
  }

  /** Changes a word, as part of a change. */
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

  /** Makes a change, unless somebody else is in the middle of one and takes his time. */
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

  /** Makes a change, now or when it can be made, after those that could not be made before. */
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
      // What was granted meanwhile may have been for one who has left since: now that is known.
      if (this.waiting > 0 && this.exists()) this.deliver();
    };
    late.push(() => {
      if (attempt()) late.shift();
    });
    if (late.length === 1) setTimeout(retry, SOON);
  }

  /** Whether changes are still to be made that could not be made at once. */
  protected get hasDeferred(): boolean {
    return this.#deferred.length > 0;
  }

  /** Has a participant look again when the change is done. */
  protected ring(participant: number): void {
    this.#toRing.push(participant);
  }

  /** The row of this participant, as part of a change. */
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

  /** The row of this participant for who only looks; `undefined` if it has none. */
  protected ownRow(): number | undefined {
    const row = this.#row(this.#participants.self & 0xff);
    return this.#words.load(row) === this.#participants.self ? row : undefined;
  }

  /** The participant of a row. */
  protected of(row: number): number {
    return this.#words.load(row);
  }

  /** The rows that are in use, of which this holds, from that of a slot on, round and round; `undefined` if there is none. */
  protected find(from: number, holds: (row: number) => boolean): number | undefined {
    const slot = this.#inUse.find(from, (slot) => holds(this.#row(slot)));
    return slot === undefined ? undefined : this.#row(slot);
  }

  /** All rows that are in use. */
  protected rows(visit: (row: number) => void): void {
    this.find(0, (row) => {
      visit(row);
      return false;
    });
  }

  /** Whether the participant of a row lives. Not part of a change: it takes its time. */
  protected alive(row: number): boolean {
    return this.#participants.alive(this.#words.load(row));
  }

  /** Takes back what the dead have. Whether there was anything. */
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

  /** Begins to look for what was granted, as long as somebody waits. */
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

  /** Stops to look, if nobody waits any more. */
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
          // Whoever was about to do it may have died.
          this.advance();
        }
        // What was asked for is not known to the others yet.
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
    // Whoever was ended changes nothing any more, though its thread runs to the end of its turn: what it would take is lost.
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
