/**
 * A lock that many participants share to read, or one has to write, and that no death leaves taken. Free of Effect.
 *
 * ```text
 *  fields         WRITER: participant or 0 · READERS: number · ASKING: participants that wait to write · PHASE: 1 while waiting readers
 *                 go first · TURN: slot that writes next · ABANDONED: 1 after the death of a writer
 *  cells of a row READING: number · WANT_READ: number · GOT_READ: number, not seen yet · WANT_WRITE: 0 or 1 · GOT_WRITE: 0 or 1, not
 *                 seen yet
 * ```
 *
 * | WRITER | READERS | state |
 * | --- | --- | --- |
 * | 0 | 0 | free |
 * | 0 | n | n readers |
 * | participant | 0 | one writer, which has not seen it yet if its GOT_WRITE is 1 |
 *
 * Each change is a change of a monitor, which says where it is linearised. A reader waits while a writer waits. After a writer, all
 * readers that wait by then go first (PHASE), and then the next participant that waits to write: neither side starves the other.
 *
 * @module
 */
import type { Participants, WaitFailure } from "./participants.ts";
import { BUSY, type Busy, Monitor, size } from "./monitor.ts";
import type { Words } from "../../os/atomics.ts";

const WRITER = 0;
const READERS = 1;
const ASKING = 2;
const PHASE = 3;
const TURN = 4;
const ABANDONED = 5;
const OWN = 6;

const READING = 1;
const WANT_READ = 2;
const GOT_READ = 3;
const WANT_WRITE = 4;
const GOT_WRITE = 5;
const CELLS = 5;

/** Words of a lock. */
export const sizeFor = (slots?: number): number => size(OWN, CELLS, slots);

/** A side of the lock. */
export type Side = "read" | "write";

type Waiter = (outcome: "held" | WaitFailure) => void;

/** A lock, as one process uses it. */
export class ReadWriteLock extends Monitor {
  readonly #readers = new Set<Waiter>();
  readonly #writers = new Set<Waiter>();

  /** Number of releases by this process. */
  releases = 0;

  constructor(words: Words, at: number, participants: Participants) {
    super(words, at, participants, OWN, CELLS);
  }

  /** Takes a side if it can be had, and no participant waits that would be served first. */
  takeIfFree(side: Side): boolean | Busy {
    return this.attempt(() => {
      if (this.load(this.own(WRITER)) !== 0 || this.load(this.own(ASKING)) !== 0 || this.load(this.own(PHASE)) !== 0) {
        return false;
      }
      if (side === "read") {
        this.add(this.row() + READING, 1);
        this.add(this.own(READERS), 1);
        return true;
      }
      if (this.load(this.own(READERS)) !== 0) return false;
      this.row();
      this.set(this.own(WRITER), this.self);
      return true;
    });
  }

  /** Like {@link takeIfFree}, after taking back what dead participants hold if need be. That takes microseconds. */
  tryTake(side: Side): boolean | Busy {
    const taken = this.takeIfFree(side);
    return taken === false && this.reclaimDead() ? this.takeIfFree(side) : taken;
  }

  /** Releases a side. Returns `false`, and changes nothing, if this process does not hold it. */
  release(side: Side): boolean | Busy {
    const released = this.attempt(() => {
      const row = this.ownRow();
      if (row === undefined) return false;
      if (side === "read") {
        if (this.load(row + READING) - this.load(row + GOT_READ) === 0) return false;
        this.add(row + READING, -1);
        this.add(this.own(READERS), -1);
        return true;
      }
      if (this.load(this.own(WRITER)) !== this.self || this.load(row + GOT_WRITE) !== 0) return false;
      this.set(this.own(WRITER), 0);
      if (this.load(this.own(ABANDONED)) !== 0) this.set(this.own(ABANDONED), 0);
      this.#turn();
      return true;
    });
    if (released === true) {
      this.releases++;
      this.advance();
    }
    return released;
  }

  /** Waits for a side. Returns a function that leaves the queue; it returns `false` if the waiter was served already. */
  wait(side: Side, waiter: Waiter): () => boolean {
    const waiters = side === "read" ? this.#readers : this.#writers;
    waiters.add(waiter);
    let asked = false;
    this.perform(() => {
      if (!waiters.has(waiter)) return;
      asked = true;
      const row = this.row();
      if (side === "read") this.add(row + WANT_READ, 1);
      else this.#want(row);
    }, () => this.advance());
    if (this.waiting > 0) this.watch();
    return () => {
      if (!waiters.delete(waiter)) return false;
      if (asked) this.perform(() => this.#withdraw(side), () => this.advance());
      this.settle();
      return true;
    };
  }

  /** The participant that writes or was granted it; 0 if there is none. */
  get writer(): number {
    return this.load(this.own(WRITER));
  }

  /** Number of readers. */
  get readers(): number {
    return this.load(this.own(READERS));
  }

  /** Whether a writer has died, and no other has finished since. */
  get abandoned(): boolean {
    return this.load(this.own(ABANDONED)) !== 0;
  }

  /** Waiting readers, and participants that wait to write. */
  get asking(): readonly [readers: number, writers: number] {
    let readers = 0;
    this.rows((row) => void (readers += this.load(row + WANT_READ)));
    return [readers, this.load(this.own(ASKING))];
  }

  override get waiting(): number {
    return this.#readers.size + this.#writers.size;
  }

  /** Asks to write, if a writer of this process waits. */
  #want(row: number): void {
    if (this.#writers.size === 0 || this.load(row + WANT_WRITE) !== 0 || this.load(row + GOT_WRITE) !== 0) return;
    this.set(row + WANT_WRITE, 1);
    this.add(this.own(ASKING), 1);
  }

  /** Lets the readers that wait now go first. */
  #turn(): void {
    if (this.find(0, (row) => this.load(row + WANT_READ) > 0) !== undefined) this.set(this.own(PHASE), 1);
  }

  #withdraw(side: Side): void {
    const row = this.row();
    if (side === "read") {
      if (this.load(row + WANT_READ) > 0) return this.add(row + WANT_READ, -1);
      if (this.load(row + GOT_READ) === 0) return;
      this.add(row + GOT_READ, -1);
      this.add(row + READING, -1);
      return this.add(this.own(READERS), -1);
    }
    if (this.#writers.size > 0) return;
    if (this.load(row + WANT_WRITE) !== 0) {
      this.set(row + WANT_WRITE, 0);
      this.add(this.own(ASKING), -1);
    } else if (this.load(row + GOT_WRITE) !== 0) {
      this.set(row + GOT_WRITE, 0);
      this.set(this.own(WRITER), 0);
      this.#turn();
    }
  }

  protected override reclaim(row: number): void {
    const reading = this.load(row + READING);
    if (reading > 0) this.add(this.own(READERS), -reading);
    if (this.load(row + WANT_WRITE) !== 0) this.add(this.own(ASKING), -1);
    if (this.load(this.own(WRITER)) !== this.of(row)) return;
    this.set(this.own(WRITER), 0);
    // A writer that has not seen its grant has written nothing.
    if (this.load(row + GOT_WRITE) === 0) this.set(this.own(ABANDONED), 1);
    this.#turn();
  }

  protected override advance(): void {
    for (;;) {
      const more = this.attempt(() => this.#grant());
      if (more === BUSY) return this.perform(() => {}, () => this.advance());
      if (!more) return;
    }
  }

  #grant(): boolean {
    if (this.load(this.own(WRITER)) !== 0) return false;
    const phase = this.load(this.own(PHASE));
    const asking = this.load(this.own(ASKING));
    if (phase !== 0 || asking === 0) {
      const row = this.find(0, (row) => this.load(row + WANT_READ) > 0);
      if (row !== undefined) {
        const count = this.load(row + WANT_READ);
        this.set(row + WANT_READ, 0);
        this.add(row + GOT_READ, count);
        this.add(row + READING, count);
        this.add(this.own(READERS), count);
        this.ring(this.of(row));
        return true;
      }
      if (phase !== 0) this.set(this.own(PHASE), 0);
    }
    if (asking === 0 || this.load(this.own(READERS)) !== 0) return false;
    const row = this.find(this.load(this.own(TURN)), (row) => this.load(row + WANT_WRITE) !== 0);
    if (row === undefined) return false;
    const participant = this.of(row);
    this.set(this.own(WRITER), participant);
    this.set(row + WANT_WRITE, 0);
    this.set(row + GOT_WRITE, 1);
    this.add(this.own(ASKING), -1);
    this.set(this.own(TURN), (participant & 0xff) + 1 & 0xff);
    this.ring(participant);
    return true;
  }

  protected override deliver(): void {
    const row = this.ownRow();
    if (row === undefined) return;
    if (this.load(row + GOT_READ) === 0 && this.load(row + GOT_WRITE) === 0) return;
    let reads = 0;
    let writes = false;
    const seen = this.attempt(() => {
      reads = this.load(row + GOT_READ);
      if (reads > 0) this.set(row + GOT_READ, 0);
      writes = this.load(row + GOT_WRITE) !== 0;
      if (!writes) return;
      this.set(row + GOT_WRITE, 0);
      if (this.#writers.size > 1) this.#want(row);
    });
    if (seen === BUSY) return this.perform(() => {});
    for (const reader of this.#readers) {
      if (reads-- === 0) break;
      this.#readers.delete(reader);
      reader("held");
    }
    if (writes) {
      for (const writer of this.#writers) {
        this.#writers.delete(writer);
        writer("held");
        break;
      }
    }
    this.settle();
  }

  protected override abandon(over: WaitFailure): void {
    const all = [...this.#readers, ...this.#writers];
    if (over === "gone") {
      this.#readers.clear();
      this.#writers.clear();
    }
    for (const waiter of all) waiter(over);
  }
}
