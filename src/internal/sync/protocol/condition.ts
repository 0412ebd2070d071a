/**
 * Waiting for a notification, none of which is lost when participants die. Free of Effect.
 *
 * ```text
 *  fields         TURN: slot that is served next · BACK: notifications that came back
 *  cells of a row WAITING: waiters · GRANTED: notifications that the participant has not seen yet
 * ```
 *
 * Each change is a change of a monitor, which says where it is linearised.
 *
 * - A notification moves one waiter from WAITING to GRANTED, in turns, beginning with TURN. A notification without a waiter does
 *   nothing. `notify` waits for no participant.
 * - A waiter that leaves is subtracted from WAITING if that is not 0. Otherwise all waiters of its participant were notified, and the
 *   notification goes to BACK, from where another waiter gets it. So do the notifications of a dead participant.
 *
 * @module
 */
import type { Participants, WaitFailure } from "./participants.ts";
import { BUSY, type Busy, Monitor, size } from "./monitor.ts";
import type { Words } from "../../os/atomics.ts";

const TURN = 0;
const BACK = 1;
const OWN = 2;

const WAITING = 1;
const GRANTED = 2;
const CELLS = 2;

/** Words of a condition. */
export const sizeFor = (slots?: number): number => size(OWN, CELLS, slots);

type Waiter = (outcome: "notified" | WaitFailure) => void;

/** A condition, as one process uses it. */
export class Condition extends Monitor {
  readonly #waiters = new Set<Waiter>();

  constructor(words: Words, at: number, participants: Participants) {
    super(words, at, participants, OWN, CELLS);
  }

  /** Begins to wait for a notification. Returns a function that ends the wait; it returns `false` if the waiter was notified already. */
  wait(waiter: Waiter): (() => boolean) | Busy {
    if (this.hasDeferred) return BUSY;
    if (this.attempt(() => this.add(this.row() + WAITING, 1)) === BUSY) return BUSY;
    this.#waiters.add(waiter);
    this.watch();
    return () => {
      if (!this.#waiters.delete(waiter)) return false;
      this.perform(() => this.#withdraw(), () => this.advance());
      this.settle();
      return true;
    };
  }

  /** Notifies at most `count` waiters; `done` receives their number. */
  notify(count: number, done: (notified: number) => void): void {
    let notified = 0;
    const go = (): void => {
      while (notified < count) {
        const one = this.attempt(() => this.#notify());
        if (one === BUSY) return this.perform(() => {}, go);
        if (!one) break;
        notified++;
      }
      done(notified);
    };
    go();
  }

  /** Waiters of all processes that were not notified yet. */
  get sleeping(): number {
    let count = 0;
    this.rows((row) => void (count += this.load(row + WAITING)));
    return count;
  }

  override get waiting(): number {
    return this.#waiters.size;
  }

  #notify(): boolean {
    const row = this.find(this.load(this.own(TURN)), (row) => this.load(row + WAITING) > 0);
    if (row === undefined) return false;
    const participant = this.of(row);
    this.add(row + WAITING, -1);
    this.add(row + GRANTED, 1);
    this.set(this.own(TURN), (participant & 0xff) + 1 & 0xff);
    this.ring(participant);
    return true;
  }

  #withdraw(): void {
    const row = this.row();
    if (this.load(row + WAITING) > 0) return this.add(row + WAITING, -1);
    if (this.load(row + GRANTED) === 0) return;
    this.add(row + GRANTED, -1);
    this.add(this.own(BACK), 1);
  }

  protected override reclaim(row: number): void {
    const granted = this.load(row + GRANTED);
    if (granted > 0) this.add(this.own(BACK), granted);
  }

  protected override advance(): void {
    while (this.load(this.own(BACK)) > 0) {
      const passed = this.attempt(() => {
        const back = this.load(this.own(BACK));
        if (back > 0) this.set(this.own(BACK), this.#notify() ? back - 1 : 0);
      });
      if (passed === BUSY) return this.perform(() => {}, () => this.advance());
    }
  }

  protected override deliver(): void {
    const row = this.ownRow();
    if (row === undefined || this.load(row + GRANTED) === 0) return;
    let count = 0;
    const taken = this.attempt(() => {
      count = this.load(row + GRANTED);
      if (count > 0) this.set(row + GRANTED, 0);
    });
    if (taken === BUSY) return this.perform(() => {});
    for (const waiter of this.#waiters) {
      if (count-- === 0) break;
      this.#waiters.delete(waiter);
      waiter("notified");
    }
    this.settle();
  }

  protected override abandon(over: WaitFailure): void {
    const all = [...this.#waiters];
    if (over === "gone") this.#waiters.clear();
    for (const waiter of all) waiter(over);
  }
}
