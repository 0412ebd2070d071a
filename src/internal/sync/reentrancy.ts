/**
 * Which fibers of this process are inside a recursive lock.
 *
 * A lock is held by a stack of holds, each taken inside the one below it. A fiber knows its innermost hold by a FiberRef, which forked
 * fibers inherit and joined fibers bring back. A hold that was taken under `Effect.timeout` or `Effect.race` is therefore the caller's.
 *
 * - A fiber takes the lock again if its innermost hold is the top of the stack. If a sibling of the fiber is inside, the fiber waits
 *   for that sibling: concurrent branches exclude each other, inside a hold as well as outside.
 * - A fiber without a hold waits until the stack is empty, in one queue with other such fibers of this process. The queue makes one
 *   request for the lock, so processes take turns.
 * - A hold ends when any fiber releases it. A fiber that goes on after the end of its hold has none.
 * - A condition parks the whole stack while it waits. Meanwhile fibers that know parked holds wait like fibers without a hold, and are
 *   inside again when the stack is restored.
 *
 * @module
 */
import * as FiberRef from "effect/FiberRef";
import { Fifo, type FifoEntry } from "../objects/fifo.ts";
import type { RunningFiber } from "./waiting.ts";

/** One hold of the lock. */
export interface Hold<L> {
  /** The hold inside which this one was taken. */
  readonly outer: Hold<L> | undefined;
  state: "held" | "parked" | "released";
  /** Fibers with this innermost hold that wait for a sibling. */
  readonly waiting: Fifo<Waiter<L>>;
}

/** The outcome of a wait: a hold, or why the lock cannot be had any more. */
export type Entered<L> = { readonly hold: Hold<L> } | { readonly lost: L };

/** A waiting fiber. */
interface Waiter<L> {
  readonly known: Hold<L> | undefined;
  /** The holds to restore, in place of a new hold. */
  readonly parked: ReadonlyArray<Hold<L>> | undefined;
  readonly done: (entered: Entered<L>) => void;
}

/** The position of a waiter. */
interface Position<L> {
  readonly queue: Fifo<Waiter<L>>;
  readonly entry: FifoEntry<Waiter<L>>;
}

/** The lock itself, which this process takes and releases. */
export interface UnderlyingLock<L> {
  /**
   * Asks for the lock, and calls `done` once: with `"held"`, or with the reason why the lock cannot be had. Returns a function that
   * withdraws the request.
   */
  readonly request: (done: (outcome: "held" | L) => void) => () => void;
  /** Releases the lock. */
  readonly release: () => void;
  /** Why the lock has ended, although this process holds it; `undefined` if it has not. */
  readonly lost: () => L | undefined;
  /** Called with true when the stack gets its first hold, and with false when the stack is empty. */
  readonly onHeld: (held: boolean) => void;
}

/** Methods of a fiber for its own FiberRefs, which the types of Effect leave out. */
interface Writable {
  setFiberRef<A>(ref: FiberRef.FiberRef<A>, value: A): void;
  unsafeDeleteFiberRef<A>(ref: FiberRef.FiberRef<A>): void;
}

/** The holds of one lock in this process. The lock may be lost for a reason `L`. */
export class HoldStack<L> {
  readonly #lock: UnderlyingLock<L>;
  readonly #known = FiberRef.unsafeMake<Hold<L> | undefined>(undefined);
  #stack: Array<Hold<L>> = [];
  /** Waiting fibers without a hold. */
  readonly #outside = new Fifo<Waiter<L>>();
  readonly #positions = new Map<Waiter<L>, Position<L>>();
  /** Waiters outside that know parked holds. */
  readonly #parkedOutside = new Set<Waiter<L>>();
  #withdraw: (() => void) | undefined;

  constructor(lock: UnderlyingLock<L>) {
    this.#lock = lock;
  }

  /** Whether this process holds the lock. */
  get held(): boolean {
    return this.#stack.length > 0;
  }

  /** Number of waiting fibers. */
  get waiting(): number {
    return this.#positions.size;
  }

  /** The innermost hold of a fiber. */
  of(fiber: RunningFiber | undefined): Hold<L> | undefined {
    return fiber === undefined ? undefined : innermost(fiber.getFiberRef(this.#known));
  }

  /** Whether a fiber is inside, and no sibling is further inside. */
  isTop(fiber: RunningFiber | undefined): boolean {
    const hold = this.of(fiber);
    return hold !== undefined && hold === this.#stack.at(-1);
  }

  /** Number of holds of a fiber. */
  depth(fiber: RunningFiber | undefined): number {
    let depth = 0;
    for (let hold = this.of(fiber); hold !== undefined; hold = innermost(hold.outer)) depth++;
    return depth;
  }

  /** Takes the lock for a running fiber, if that need not wait. `take` tries to take the lock for this process. */
  enter(fiber: RunningFiber, take: () => boolean): Hold<L> | undefined {
    const known = fiber.getFiberRef(this.#known);
    if (this.#stack.length > 0 ? innermost(known) !== this.#stack.at(-1) : !take()) return undefined;
    const hold = this.#push(known);
    this.settle(fiber, hold);
    return hold;
  }

  /** Creates a hold of a fiber, for which this process has taken the lock. */
  grant(fiber: RunningFiber): Hold<L> {
    return this.#push(fiber.getFiberRef(this.#known));
  }

  /** Makes a hold the innermost one of a running fiber. */
  settle(fiber: RunningFiber, hold: Hold<L>): void {
    (fiber as RunningFiber & Writable).setFiberRef(this.#known, hold);
  }

  /**
   * Waits for the lock, or to restore a parked stack. Calls `done` once, perhaps before this function returns. Returns a function that
   * ends the wait; it returns `false` if the wait was over.
   */
  wait(
    fiber: RunningFiber,
    parked: ReadonlyArray<Hold<L>> | undefined,
    done: (entered: Entered<L>) => void,
  ): () => boolean {
    const known = parked === undefined ? fiber.getFiberRef(this.#known) : undefined;
    const waiter: Waiter<L> = { known, parked, done };
    this.#enqueue(waiter);
    try {
      this.#request();
    } catch (error) {
      this.#leave(waiter);
      throw error;
    }
    return () => {
      if (!this.#leave(waiter)) return false;
      if (this.#positions.size === 0) this.#withdrawRequest();
      return true;
    };
  }

  /** Ends a hold. Does nothing if the hold has ended. */
  release(hold: Hold<L>): void {
    const { state } = hold;
    hold.state = "released";
    if (state !== "held") return;
    const at = this.#stack.lastIndexOf(hold);
    this.#stack.splice(at, 1);
    this.#moveOutwards(hold);
    if (this.#stack.length > 0) return this.#admitNext();
    this.#lock.onHeld(false);
    this.#lock.release();
  }

  /** Ends the innermost hold of a running fiber, and returns it; `undefined` if the fiber has none. */
  leave(fiber: RunningFiber | undefined): Hold<L> | undefined {
    const hold = this.of(fiber);
    if (hold !== undefined) this.end(fiber, hold);
    return hold;
  }

  /** Ends a hold, and removes ended holds from the FiberRef of a running fiber. */
  end(fiber: RunningFiber | undefined, hold: Hold<L>): void {
    this.release(hold);
    const known = fiber?.getFiberRef(this.#known);
    const rest = nearest(known);
    if (rest === known) return;
    const writable = fiber as RunningFiber & Writable;
    if (rest === undefined) writable.unsafeDeleteFiberRef(this.#known);
    else writable.setFiberRef(this.#known, rest);
  }

  /** Parks the whole stack, without releasing the lock. */
  park(): ReadonlyArray<Hold<L>> {
    const parked = this.#stack;
    this.#stack = [];
    for (const hold of parked) hold.state = "parked";
    for (const hold of parked) this.#moveOutwards(hold);
    this.#lock.onHeld(false);
    return parked;
  }

  /** Parks the whole stack, and releases the lock. */
  parkAndRelease(): ReadonlyArray<Hold<L>> {
    const parked = this.park();
    this.#lock.release();
    return parked;
  }

  /** Restores a parked stack, once this process holds the lock again. */
  restore(parked: ReadonlyArray<Hold<L>>): void {
    this.#stack = parked.filter((hold) => hold.state === "parked");
    for (const hold of this.#stack) hold.state = "held";
    if (this.#stack.length === 0) return this.#lock.release();
    this.#lock.onHeld(true);
    for (const waiter of [...this.#parkedOutside]) {
      if (innermost(waiter.known) === undefined) continue;
      this.#leave(waiter);
      this.#enqueue(waiter);
    }
    this.#admitNext();
  }

  #push(known: Hold<L> | undefined): Hold<L> {
    const hold: Hold<L> = { outer: nearest(known), state: "held", waiting: new Fifo() };
    if (this.#stack.push(hold) === 1) this.#lock.onHeld(true);
    return hold;
  }

  #enqueue(waiter: Waiter<L>): void {
    const hold = innermost(waiter.known);
    const queue = hold === undefined ? this.#outside : hold.waiting;
    this.#positions.set(waiter, { queue, entry: queue.push(waiter) });
    if (hold === undefined && waiter.known !== undefined) this.#parkedOutside.add(waiter);
  }

  #leave(waiter: Waiter<L>): boolean {
    const position = this.#positions.get(waiter);
    if (position === undefined) return false;
    position.queue.remove(position.entry);
    this.#positions.delete(waiter);
    this.#parkedOutside.delete(waiter);
    return true;
  }

  /** Moves the waiters inside a hold that has ended or is parked to the queue of the next hold outside. */
  #moveOutwards(hold: Hold<L>): void {
    for (const waiter of hold.waiting.drain()) this.#enqueue(waiter);
  }

  /** Lets the next waiter in whose innermost hold is the top of the stack. */
  #admitNext(): void {
    for (;;) {
      const waiter = this.#stack.at(-1)?.waiting.first;
      if (waiter === undefined) return;
      this.#leave(waiter);
      if (this.#positions.size === 0) this.#withdrawRequest();
      const lost = this.#lock.lost();
      if (lost === undefined) return waiter.done({ hold: this.#push(waiter.known) });
      waiter.done({ lost });
    }
  }

  /** Requests the lock while any fiber waits. Fibers that wait inside a hold learn by that request when the lock has ended. */
  #request(): void {
    if (this.#withdraw !== undefined || this.#positions.size === 0) return;
    let answered = false;
    const withdraw = this.#lock.request((outcome) => {
      answered = true;
      this.#withdraw = undefined;
      this.#answer(outcome);
    });
    if (!answered) this.#withdraw = withdraw;
  }

  #answer(outcome: "held" | L): void {
    if (outcome !== "held") {
      const waiters = [...this.#positions.keys()];
      for (const waiter of waiters) this.#leave(waiter);
      for (const waiter of waiters) waiter.done({ lost: outcome as L });
      return;
    }
    const waiter = this.#outside.first;
    // The stack is empty, so all waiters are outside.
    if (waiter === undefined) return this.#lock.release();
    this.#leave(waiter);
    if (waiter.parked !== undefined) {
      this.restore(waiter.parked);
      waiter.done({ hold: waiter.parked.at(-1)! });
    } else waiter.done({ hold: this.#push(waiter.known) });
    this.#request();
  }

  #withdrawRequest(): void {
    this.#withdraw?.();
    this.#withdraw = undefined;
  }
}

/** The innermost hold that has not ended, from `hold` outwards. */
const nearest = <L>(hold: Hold<L> | undefined): Hold<L> | undefined => {
  while (hold?.state === "released") hold = hold.outer;
  return hold;
};

/** The innermost hold that is held, from `hold` outwards. */
const innermost = <L>(hold: Hold<L> | undefined): Hold<L> | undefined => {
  while (hold !== undefined && hold.state !== "held") hold = hold.outer;
  return hold;
};
