/**
 * A semaphore that takes back the permits of dead participants. Free of Effect.
 *
 * ```text
 *  fields         FREE permits · ASKING: participants that wait · TURN: slot that is served next
 *  cells of a row HELD permits · WANTED by the first waiter of the participant · GRANTED to it, and not seen yet
 * ```
 *
 * Each change is a change of a monitor, which says where it is linearised.
 *
 * - The waiters of a process queue in that process, and the participant asks for the first of them. The states of a row: WANTED and
 *   GRANTED are 0 (no wait), WANTED is set (asking), GRANTED is set (served, not seen yet).
 * - Requests are granted in turns, beginning with TURN. Requests are served in strict order, even if a later one could be satisfied
 *   first, so no request starves.
 * - Granted permits count as held: if the participant dies before it has seen them, they come back as well.
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

/** The largest number of permits. */
export const MAX = 2 ** 31 - 1;

/** The options of a semaphore, which are the same in all processes. */
export interface SemaphoreShape {
  /** The largest number of permits that may be free. */
  readonly bound: number;
  /** Whether the permits of a dead participant come back. */
  readonly reclaim: boolean;
}

/** A waiter of this process. */
interface Waiter {
  readonly permits: number;
  readonly done: (outcome: "held" | WaitFailure) => void;
}

/** A semaphore, as one process uses it. */
export class Semaphore extends Monitor {
  readonly #shape: SemaphoreShape;
  readonly #waiters = new Set<Waiter>();
  /** Number of releases by this process. */
  releases = 0;

  constructor(words: Words, at: number, participants: Participants, shape: SemaphoreShape) {
    super(words, at, participants, OWN, CELLS);
    this.#shape = shape;
  }

  /** Sets the first permits. Called by the maker, before any other process has the semaphore. */
  begin(permits: number): void {
    this.attempt(() => this.set(this.own(FREE), permits));
  }

  /** Takes permits if they are free and no participant waits. */
  takeIfFree(permits: number): boolean | Busy {
    return this.attempt(() => {
      const free = this.load(this.own(FREE));
      if (free < permits || this.load(this.own(ASKING)) > 0) return false;
      this.set(this.own(FREE), free - permits);
      if (this.#shape.reclaim) this.add(this.row() + HELD, permits);
      return true;
    });
  }

  /** Like {@link takeIfFree}, after taking back the permits of dead participants if need be. That takes microseconds. */
  tryTake(permits: number): boolean | Busy {
    const taken = this.takeIfFree(permits);
    return taken === false && this.reclaimDead() ? this.takeIfFree(permits) : taken;
  }

  /** Gives permits back. Returns `false`, and changes nothing, if that would exceed the bound. */
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
    if (released === true) this.releases++;
    if (released === true && this.load(this.own(ASKING)) > 0) this.advance();
    return released;
  }

  /** Waits for permits. Returns a function that leaves the queue; it returns `false` if the waiter was served already. */
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

  /** Free permits. */
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

  /** Asks for the permits of the first waiter, in place of what this participant asked for before. */
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
    // HELD includes GRANTED.
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
      // The read above was a hint: the change that it has seen may be undone.
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
