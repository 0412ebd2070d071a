/**
 * Locks and semaphores, where they live, and the conditions of locks.
 *
 * What is acquired is held by a call that stays open: its end, also the one that comes with the death of the holder, gives it back.
 * So a holder is in one of these states, and his call ends in any of them:
 *
 * - waiting: in line for the lock
 * - held: he has it
 * - parked: he has given it up until the condition is notified, and then waits for it again
 *
 * A notification that reaches somebody who has meanwhile given up, or died, goes on to the next.
 *
 * Free of Effect.
 *
 * @module
 */
import { LAST, type Receiver } from "../../rpc/link.ts";
import { CANCELLED, GONE, type Line } from "../../rpc/router.ts";
import { VarintReader, varints } from "../../codec/varint.ts";
import { Fifo, type FifoEntry } from "../../objects/fifo.ts";
import { ProtocolError } from "../../transport/frames.ts";
import type { Incoming } from "../../codec/message.ts";
import { ManagerError } from "../errors.ts";
import * as P from "../protocol.ts";

interface Holder {
  readonly line: Line;
  state: "waiting" | "held" | "parked" | "left";
  place: FifoEntry<Holder> | undefined;
  /** The condition in which he is parked, or by which he was woken up. */
  condition: Fifo<Holder> | undefined;
}

/** So many may hold it at once. */
export class LockHost {
  #free: number;
  readonly #most: number;
  readonly #waiting = new Fifo<Holder>();
  readonly #holders = new Set<Holder>();
  readonly #conditions = new Map<number, Fifo<Holder>>();

  /** `most` is what a release by somebody who holds nothing may raise it to. */
  constructor(permits = 1, most = 1) {
    if (!Number.isSafeInteger(permits) || permits < 0) {
      throw new ManagerError(
        "InvalidOption",
        `Cannot make a semaphore: its value must be 0 or more, received ${permits}`,
      );
    }
    this.#free = permits;
    this.#most = most;
  }

  value(): number {
    return this.#free;
  }

  isLocked(): boolean {
    return this.#free === 0;
  }

  statistics(): { readonly free: number; readonly held: number; readonly waiting: number } {
    let held = 0;
    for (const { state } of this.#holders) if (state === "held") held++;
    return { free: this.#free, held, waiting: this.#waiting.length };
  }

  /** By somebody who holds nothing: one more may hold it. */
  release(): void {
    if (this.#free >= this.#most) throw new ManagerError("InvalidArguments", "Cannot release: it was not acquired");
    this.#free++;
    this.#grant();
  }

  /** Makes a condition known by a number. */
  condition(number: number): Fifo<Holder> {
    const parked = new Fifo<Holder>();
    this.#conditions.set(number, parked);
    return parked;
  }

  /** Forgets a condition: whoever is parked in it waits for the lock. */
  forget(number: number): void {
    const parked = this.#conditions.get(number);
    this.#conditions.delete(number);
    if (parked !== undefined) this.#notify(parked, Infinity);
    this.#grant();
  }

  attach(line: Line, numbers: VarintReader): Receiver {
    const waits = numbers.next() === 1;
    const holder: Holder = { line, state: "waiting", place: undefined, condition: undefined };
    if (!waits && (this.#free === 0 || this.#waiting.length > 0)) {
      line.exit(varints(P.BUSY));
      return { closed: () => {} };
    }
    this.#holders.add(holder);
    this.#line(holder);
    return {
      data: (message) => this.#hear(holder, message),
      credit: (count) => {
        if (count === LAST) this.#leave(holder);
      },
      cancel: () => {
        this.#leave(holder);
        line.exit(varints(CANCELLED));
      },
      closed: () => this.#leave(holder),
    };
  }

  /** The lock is no more. */
  close(): void {
    for (const { line } of this.#holders) line.exit(varints(GONE));
    this.#holders.clear();
    this.#waiting.drain();
    this.#conditions.clear();
  }

  #line(holder: Holder): void {
    holder.state = "waiting";
    holder.place = this.#waiting.push(holder);
    this.#grant();
  }

  #grant(): void {
    while (this.#free > 0) {
      const holder = this.#waiting.shift();
      if (holder === undefined) return;
      this.#free--;
      holder.state = "held";
      holder.place = undefined;
      holder.line.data(varints(P.GRANTED));
    }
  }

  #leave(holder: Holder): void {
    this.#holders.delete(holder);
    const { condition, place, state } = holder;
    holder.state = "left";
    if (state === "left") return;
    if (state === "held") this.#free++;
    else if (state === "parked") condition!.remove(place!);
    else {
      this.#waiting.remove(place!);
      if (condition !== undefined) this.#notify(condition, 1);
    }
    this.#grant();
  }

  #hear(holder: Holder, { bytes }: Incoming): void {
    const numbers = new VarintReader(bytes, 1);
    switch (bytes[0]) {
      case P.WAIT: {
        const condition = this.#conditions.get(numbers.next());
        if (holder.state !== "held" || condition === undefined) break;
        holder.state = "parked";
        holder.condition = condition;
        holder.place = condition.push(holder);
        this.#free++;
        return this.#grant();
      }
      case P.UNWAIT: {
        const { condition, place, state } = holder;
        if (condition === undefined) break;
        holder.condition = undefined;
        if (state !== "parked") return this.#notify(condition, 1);
        condition.remove(place!);
        return this.#line(holder);
      }
      case P.NOTIFY: {
        const condition = this.#conditions.get(numbers.next());
        const count = numbers.next();
        if (holder.state !== "held" || condition === undefined || !(count > 0)) break;
        return this.#notify(condition, count);
      }
    }
    throw new ProtocolError("Cannot read from the peer: malformed message to a lock");
  }

  #notify(condition: Fifo<Holder>, count: number): void {
    for (; count > 0; count--) {
      const holder = condition.shift();
      if (holder === undefined) return;
      holder.state = "waiting";
      holder.place = this.#waiting.push(holder);
    }
  }
}

/** A condition of a lock. */
export class ConditionHost {
  readonly lock: LockHost;
  readonly number: number;
  readonly #parked: Fifo<unknown>;

  constructor(lock: LockHost, number: number) {
    this.lock = lock;
    this.number = number;
    this.#parked = lock.condition(number);
  }

  /** How many wait to be notified. */
  waiting(): number {
    return this.#parked.length;
  }

  isLocked(): boolean {
    return this.lock.isLocked();
  }

  statistics(): unknown {
    return this.lock.statistics();
  }

  /** Who acquires the condition acquires its lock. */
  attach(line: Line, numbers: VarintReader): Receiver {
    return this.lock.attach(line, numbers);
  }

  close(): void {
    this.lock.forget(this.number);
  }
}
