/**
 * The hosts of managed locks, semaphores and conditions.
 *
 * A process that wants the lock has a call open. The end of the call, even by the death of the process, gives the lock back.
 * States of a call:
 *
 * ```text
 *             granted            WAIT
 *   waiting ───────────▶ held ───────────▶ parked
 *      ▲                                     │
 *      └──────── notified, or UNWAIT ────────┘
 *   any state ── end of the call ──▶ left
 * ```
 *
 * A notification of a process that has given up or died in the meantime goes to the next one.
 *
 * Free of Effect.
 *
 * @module
 */
import { Fifo, type FifoEntry } from "../../objects/fifo.ts";
import { VarintReader, varints } from "../../codec/varint.ts";
import { LAST, type Receiver } from "../../rpc/link.ts";
import { CANCELLED, GONE, type Line } from "../../rpc/router.ts";
import type { Incoming } from "../../codec/message.ts";
import { ProtocolError } from "../../transport/frames.ts";
import { ManagerError } from "../errors.ts";
import * as P from "../protocol.ts";

/** An open call. */
interface Holder {
  readonly line: Line;
  state: "waiting" | "held" | "parked" | "left";
  /** Its entry in the queue of the lock, or of the condition. */
  entry: FifoEntry<Holder> | undefined;
  /** The condition in which it is parked, or which has woken it. */
  condition: Fifo<Holder> | undefined;
}

/** A lock that a limited number of processes may hold at the same time. */
export class LockHost {
  #free: number;
  readonly #maximum: number;
  readonly #waiting = new Fifo<Holder>();
  readonly #holders = new Set<Holder>();
  readonly #conditions = new Map<number, Fifo<Holder>>();

  /** `maximum` is the number of permits that a release by a process without a permit may not exceed. */
  constructor(permits = 1, maximum = 1) {
    if (!Number.isSafeInteger(permits) || permits < 0) {
      throw new ManagerError(
        "InvalidOption",
        `Cannot make a semaphore: its value must be 0 or more, received ${permits}`,
      );
    }
    this.#free = permits;
    this.#maximum = maximum;
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

  /** Adds a permit, for a process that holds none. */
  release(): void {
    if (this.#free >= this.#maximum) throw new ManagerError("InvalidArguments", "Cannot release: it was not acquired");
    this.#free++;
    this.#grant();
  }

  /** Adds a condition under a number. */
  addCondition(number: number): Fifo<Holder> {
    const parked = new Fifo<Holder>();
    this.#conditions.set(number, parked);
    return parked;
  }

  /** Removes a condition. Processes that are parked in it wait for the lock. */
  removeCondition(number: number): void {
    const parked = this.#conditions.get(number);
    this.#conditions.delete(number);
    if (parked !== undefined) this.#notify(parked, Infinity);
    this.#grant();
  }

  attach(line: Line, numbers: VarintReader): Receiver {
    const waits = numbers.next() === 1;
    const holder: Holder = { line, state: "waiting", entry: undefined, condition: undefined };
    if (!waits && (this.#free === 0 || this.#waiting.length > 0)) {
      line.exit(varints(P.BUSY));
      return { closed: () => {} };
    }
    this.#holders.add(holder);
    this.#enqueue(holder);
    return {
      data: (message) => this.#receive(holder, message),
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

  /** Ends all calls: the lock was freed. */
  close(): void {
    for (const { line } of this.#holders) line.exit(varints(GONE));
    this.#holders.clear();
    this.#waiting.drain();
    this.#conditions.clear();
  }

  #enqueue(holder: Holder): void {
    holder.state = "waiting";
    holder.entry = this.#waiting.push(holder);
    this.#grant();
  }

  #grant(): void {
    while (this.#free > 0) {
      const holder = this.#waiting.shift();
      if (holder === undefined) return;
      this.#free--;
      holder.state = "held";
      holder.entry = undefined;
      holder.line.data(varints(P.GRANTED));
    }
  }

  #leave(holder: Holder): void {
    this.#holders.delete(holder);
    const { condition, entry, state } = holder;
    holder.state = "left";
    if (state === "left") return;
    if (state === "held") this.#free++;
    else if (state === "parked") condition!.remove(entry!);
    else {
      this.#waiting.remove(entry!);
      if (condition !== undefined) this.#notify(condition, 1);
    }
    this.#grant();
  }

  #receive(holder: Holder, { bytes }: Incoming): void {
    const numbers = new VarintReader(bytes, 1);
    switch (bytes[0]) {
      case P.WAIT: {
        const condition = this.#conditions.get(numbers.next());
        if (holder.state !== "held" || condition === undefined) break;
        holder.state = "parked";
        holder.condition = condition;
        holder.entry = condition.push(holder);
        this.#free++;
        return this.#grant();
      }
      case P.UNWAIT: {
        const { condition, entry, state } = holder;
        if (condition === undefined) break;
        holder.condition = undefined;
        if (state !== "parked") return this.#notify(condition, 1);
        condition.remove(entry!);
        return this.#enqueue(holder);
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
      holder.entry = this.#waiting.push(holder);
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
    this.#parked = lock.addCondition(number);
  }

  /** The number of processes that wait for a notification. */
  waiting(): number {
    return this.#parked.length;
  }

  isLocked(): boolean {
    return this.lock.isLocked();
  }

  statistics(): unknown {
    return this.lock.statistics();
  }

  /** To acquire the condition is to acquire its lock. */
  attach(line: Line, numbers: VarintReader): Receiver {
    return this.lock.attach(line, numbers);
  }

  close(): void {
    this.lock.removeCondition(this.number);
  }
}
