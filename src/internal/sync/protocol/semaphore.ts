/**
 * A semaphore that gets back the permits of the dead. Free of Effect.
 *
 * ```text
 *  words of its own   permits that are there · participants that wait · whose turn it is
 *  cells of a row     HELD permits · WANTED by the first in its line · GRANTED to him, who has not seen it yet
 * ```
 *
 * Each participant has a line, and asks for the first in it. Requests are granted in turns, from the slot on that had the last:
 * one that is too large now holds up the others until it is not, so nobody starves. Who could have what he wants waits behind those
 * who wait. What was granted counts as held: if its participant dies before it has seen it, it comes back as well.
 *
 * @module
 */
import type { Participants, WaitFailure } from "./participants.ts";
import { BUSY, type Busy, Monitor, size } from "./monitor.ts";
import type { Words } from "../../os/atomics.ts";

const FREE = 0;
const ASKING = 1;
const TURN = 2;
const OWN = 3;

const HELD = 1;
const WANTED = 2;
const GRANTED = 3;
const CELLS = 3;

/** Words of a semaphore. */
export const sizeFor = (slots?: number): number => size(OWN, CELLS, slots);

/** As many permits can there be. */
export const MAX = 2 ** 31 - 1;

/** How a semaphore is; the same for all who use it. */
export interface Shape {
  /** No more than this, ever. */
  readonly bound: number;
  /** Whether permits come back from those who die with them. */
  readonly reclaim: boolean;
}

/** Somebody of this process who waits. */
interface Waiter {
  readonly permits: number;
  readonly done: (outcome: "held" | WaitFailure) => void;
}

/** A semaphore, as one process sees it. */
export class Semaphore extends Monitor {
  readonly #shape: Shape;
  readonly #waiters = new Set<Waiter>();

  constructor(words: Words, at: number, participants: Participants, shape: Shape) {
    super(words, at, participants, OWN, CELLS);
    this.#shape = shape;
  }

  /** Called by its maker, before anybody else has it. */
  begin(permits: number): void {
    this.attempt(() => this.set(this.own(FREE), permits));
  }

  /** Takes permits if they are there and nobody waits. */
  tryTake(permits: number): boolean | Busy {
    const taken = this.#tryTake(permits);
    return taken === false && this.reclaimDead() ? this.#tryTake(permits) : taken;
  }

  /** Gives permits back; `false`, and nothing done, if that were more than it can have. */
  release(permits: number): boolean | Busy {
    const released = this.attempt(() => {
      const free = this.load(this.own(FREE));
      if (free + permits > this.#shape.bound) return false;
      this.set(this.own(FREE), free + permits);
      if (this.#shape.reclaim) {
        const row = this.ownRow();
        if (row !== undefined) this.set(row + HELD, Math.max(0, this.load(row + HELD) - permits));
      }
      return true;
    });
    if (released === true && this.load(this.own(ASKING)) > 0) this.advance();
    return released;
  }

  /** Waits for permits. The answer leaves the line; it gives `false` if the waiter has them already. */
  wait(permits: number, done: (outcome: "held" | WaitFailure) => void): () => boolean {
    const waiter: Waiter = { permits, done };
    this.#waiters.add(waiter);
    if (this.#waiters.size === 1) this.#ask();
    this.watch();
    return () => {
      const first = this.#first === waiter;
      if (!this.#waiters.delete(waiter)) return false;
      if (first) this.#ask();
      this.settle();
      return true;
    };
  }

  /** Permits that are there. */
  get free(): number {
    return this.load(this.own(FREE));
  }

  /** Participants that wait. */
  get asking(): number {
    return this.load(this.own(ASKING));
  }

  /** Permits that this process holds. */
  get held(): number {
    const row = this.ownRow();
    return row === undefined ? 0 : this.load(row + HELD);
  }

  override get waiting(): number {
    return this.#waiters.size;
  }

  get #first(): Waiter | undefined {
    for (const waiter of this.#waiters) return waiter;
    return undefined;
  }

  #tryTake(permits: number): boolean | Busy {
    return this.attempt(() => {
      const free = this.load(this.own(FREE));
      if (free < permits || this.load(this.own(ASKING)) > 0) return false;
      this.set(this.own(FREE), free - permits);
      if (this.#shape.reclaim) this.add(this.row() + HELD, permits);
      return true;
    });
  }

  /** Asks for what the first in the line wants, instead of what was asked for before. */
  #ask(): void {
    this.perform(() => {
      const row = this.row();
      this.#withdraw(row);
      const permits = this.#first?.permits;
      if (permits === undefined) return;
      this.set(row + WANTED, permits);
      this.add(this.own(ASKING), 1);
    }, () => this.advance());
  }

  #withdraw(row: number): void {
    const granted = this.load(row + GRANTED);
    if (granted > 0) {
      this.#giveBack(granted);
      this.set(row + HELD, this.load(row + HELD) - granted);
      this.set(row + GRANTED, 0);
    }
    if (this.load(row + WANTED) === 0) return;
    this.set(row + WANTED, 0);
    this.add(this.own(ASKING), -1);
  }

  #giveBack(permits: number): void {
    const free = this.load(this.own(FREE));
    this.set(this.own(FREE), Math.min(free + permits, this.#shape.bound));
  }

  protected override reclaim(row: number): void {
    // What was granted is among what is held.
    const held = this.load(row + HELD);
    if (held > 0) this.#giveBack(held);
    if (this.load(row + WANTED) > 0) this.add(this.own(ASKING), -1);
  }

  protected override advance(): void {
    while (this.load(this.own(ASKING)) > 0) {
      const granted = this.attempt(() => {
        const row = this.find(this.load(this.own(TURN)), (row) => this.load(row + WANTED) > 0);
        if (row === undefined) return false;
        const permits = this.load(row + WANTED);
        const free = this.load(this.own(FREE));
        if (free < permits) return false;
        const participant = this.of(row);
        this.set(this.own(FREE), free - permits);
        this.add(row + HELD, permits);
        this.set(row + WANTED, 0);
        this.set(row + GRANTED, permits);
        this.add(this.own(ASKING), -1);
        this.set(this.own(TURN), (participant & 0xff) + 1 & 0xff);
        this.ring(participant);
        return true;
      });
      if (granted === BUSY) return this.perform(() => {}, () => this.advance());
      if (!granted) return;
    }
  }

  protected override deliver(): void {
    for (;;) {
      const row = this.ownRow();
      if (row === undefined || this.load(row + GRANTED) === 0) return;
      const first = this.#first!;
      // Until here it may have been a change that somebody has died of.
      const taken = this.attempt(() => {
        if (this.load(row + GRANTED) === 0) return false;
        this.set(row + GRANTED, 0);
        if (!this.#shape.reclaim) this.add(row + HELD, -first.permits);
        return true;
      });
      if (taken === BUSY) return this.perform(() => {});
      if (!taken) return;
      this.#waiters.delete(first);
      if (this.#waiters.size > 0) this.#ask();
      first.done("held");
      if (this.#waiters.size === 0) return this.settle();
    }
  }

  protected override abandon(over: WaitFailure): void {
    const all = [...this.#waiters];
    if (over === "gone") this.#waiters.clear();
    for (const { done } of all) done(over);
  }
}
