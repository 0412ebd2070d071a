/**
 * Who of this process is inside a recursive lock.
 *
 * A lock is held by a stack of holds, each taken inside the one before. A fiber knows its innermost hold by a FiberRef, which forked
 * fibers inherit and joined fibers bring back: so a hold that was taken under `Effect.timeout` or `Effect.race` is the caller's.
 *
 * - A fiber takes the lock again if its innermost hold is the top of the stack. If a sibling of the fiber is inside, it waits for
 *   that sibling: concurrent branches exclude each other, inside a hold as well as outside.
 * - A fiber without a hold waits until the stack is empty, in one line with the others of this process. The line has one request for
 *   the lock, so processes take turns.
 * - A hold ends when it is released, whichever fiber does that. A fiber that goes on after the end of its hold has none.
 * - A condition parks the whole stack while it waits. Meanwhile fibers that know parked holds wait like those without a hold, and are
 *   inside again when the stack is.
 *
 * @module
 */
import type * as Fiber from "effect/Fiber";
import * as FiberRef from "effect/FiberRef";
import { Fifo, type FifoEntry } from "../objects/fifo.ts";

/** One taking of the lock. */
export interface Hold<L> {
  /** The hold in which it was taken. */
  readonly outer: Hold<L> | undefined;
  state: "held" | "parked" | "released";
  /** Fibers with this innermost hold that wait for a sibling. */
  readonly waiting: Fifo<Waiter<L>>;
}

/** What a waiter hears: the hold that is its own now, or why there will be none. */
export type Entered<L> = { readonly hold: Hold<L> } | { readonly lost: L };

/** A fiber that waits. */
interface Waiter<L> {
  readonly known: Hold<L> | undefined;
  /** What to hold again, instead of a new hold. */
  readonly parked: ReadonlyArray<Hold<L>> | undefined;
  readonly done: (entered: Entered<L>) => void;
}

/** DoorbellAddress a waiter waits. */
interface Position<L> {
  readonly line: Fifo<Waiter<L>>;
  readonly place: FifoEntry<Waiter<L>>;
}

/** How this process has the lock itself. */
export interface UnderlyingLock<L> {
  /**
   * Asks for the lock, and calls back once: `"held"` if this process has it, or why it will not have it. Returns a function that takes
   * the request back.
   */
  readonly request: (done: (outcome: "held" | L) => void) => () => void;
  /** Gives the lock back. */
  readonly release: () => void;
  /** Why it cannot be had any more, though this process has it. */
  readonly lost: () => L | undefined;
  /** Is told when the stack begins, and when it is empty. */
  readonly onHeld: (held: boolean) => void;
}

/** What a fiber can do to its own FiberRefs, which the types of Effect do not say. */
interface Writable {
  setFiberRef<A>(ref: FiberRef.FiberRef<A>, value: A): void;
  unsafeDeleteFiberRef<A>(ref: FiberRef.FiberRef<A>): void;
}

/** A fiber that runs. */
export type RunningFiber = Fiber.RuntimeFiber<unknown, unknown>;

/** The holds of this process of one lock, which may be lost for a reason `L`. */
export class HoldStack<L> {
  readonly #lock: UnderlyingLock<L>;
  readonly #known = FiberRef.unsafeMake<Hold<L> | undefined>(undefined);
  #stack: Array<Hold<L>> = [];
  /** Fibers without a hold that wait. */
  readonly #outside = new Fifo<Waiter<L>>();
  readonly #positions = new Map<Waiter<L>, Position<L>>();
  /** Those outside that know parked holds. */
  readonly #chained = new Set<Waiter<L>>();
  #withdraw: (() => void) | undefined;

  constructor(lock: UnderlyingLock<L>) {
    this.#lock = lock;
  }

  /** Whether this process holds the lock. */
  get held(): boolean {
    return this.#stack.length > 0;
  }

  /** How many fibers wait. */
  get waiting(): number {
    return this.#positions.size;
  }

  /** The innermost hold that a fiber is in. */
  of(fiber: RunningFiber | undefined): Hold<L> | undefined {
    return fiber === undefined ? undefined : innermost(fiber.getFiberRef(this.#known));
  }

  /** Whether a fiber is inside, and no sibling of it further inside. */
  isTop(fiber: RunningFiber | undefined): boolean {
    const hold = this.of(fiber);
    return hold !== undefined && hold === this.#stack.at(-1);
  }

  /** How many holds a fiber is in. */
  depth(fiber: RunningFiber | undefined): number {
    let depth = 0;
    for (let hold = this.of(fiber); hold !== undefined; hold = innermost(hold.outer)) depth++;
    return depth;
  }

  /** Takes the lock for a fiber that runs, if it may go in now; `take` tries to get the lock for this process. */
  enter(fiber: RunningFiber, take: () => boolean): Hold<L> | undefined {
    const known = fiber.getFiberRef(this.#known);
    if (this.#stack.length > 0 ? innermost(known) !== this.#stack.at(-1) : !take()) return undefined;
    const hold = this.#push(known);
    this.settle(fiber, hold);
    return hold;
  }

  /** A hold of a fiber for which this process has got the lock. */
  grant(fiber: RunningFiber): Hold<L> {
    return this.#push(fiber.getFiberRef(this.#known));
  }

  /** Notes, in a fiber that runs, that a hold is its innermost one. */
  settle(fiber: RunningFiber, hold: Hold<L>): void {
    (fiber as unknown as Writable).setFiberRef(this.#known, hold);
  }

  /**
   * Waits for a fiber, to take the lock or to take a parked stack back; calls back once, maybe before this returns.
   * Returns a function that gives up the wait; it gives `false` if that has ended.
   */
  wait(
    fiber: RunningFiber,
    parked: ReadonlyArray<Hold<L>> | undefined,
    done: (entered: Entered<L>) => void,
  ): () => boolean {
    const known = parked === undefined ? fiber.getFiberRef(this.#known) : undefined;
    const waiter: Waiter<L> = { known, parked, done };
    this.#seat(waiter);
    try {
      this.#ask();
    } catch (error) {
      this.#leave(waiter);
      throw error;
    }
    return () => {
      if (!this.#leave(waiter)) return false;
      if (this.#positions.size === 0) this.#cease();
      return true;
    };
  }

  /** Ends a hold. Does nothing if it has ended. */
  release(hold: Hold<L>): void {
    const { state } = hold;
    hold.state = "released";
    if (state !== "held") return;
    const at = this.#stack.lastIndexOf(hold);
    this.#stack.splice(at, 1);
    this.#dismiss(hold);
    if (this.#stack.length > 0) return this.#admit();
    this.#lock.onHeld(false);
    this.#lock.release();
  }

  /** Ends the innermost hold of a fiber that runs, and gives it; nothing if the fiber has none. */
  leave(fiber: RunningFiber | undefined): Hold<L> | undefined {
    const hold = this.of(fiber);
    if (hold !== undefined) this.end(fiber, hold);
    return hold;
  }

  /** Ends a hold, and the knowledge of holds that have ended of a fiber that runs. */
  end(fiber: RunningFiber | undefined, hold: Hold<L>): void {
    this.release(hold);
    const known = fiber?.getFiberRef(this.#known);
    const rest = nearest(known);
    if (rest === known) return;
    const writable = fiber as unknown as Writable;
    if (rest === undefined) writable.unsafeDeleteFiberRef(this.#known);
    else writable.setFiberRef(this.#known, rest);
  }

  /** Takes the whole stack apart, without giving the lock back. */
  park(): ReadonlyArray<Hold<L>> {
    const parked = this.#stack;
    this.#stack = [];
    for (const hold of parked) hold.state = "parked";
    for (const hold of parked) this.#dismiss(hold);
    this.#lock.onHeld(false);
    return parked;
  }

  /** The stack is as it was: this process has the lock again. */
  restore(parked: ReadonlyArray<Hold<L>>): void {
    this.#stack = parked.filter((hold) => hold.state === "parked");
    for (const hold of this.#stack) hold.state = "held";
    if (this.#stack.length === 0) return this.#lock.release();
    this.#lock.onHeld(true);
    for (const waiter of [...this.#chained]) {
      if (innermost(waiter.known) === undefined) continue;
      this.#leave(waiter);
      this.#seat(waiter);
    }
    this.#admit();
  }

  #push(known: Hold<L> | undefined): Hold<L> {
    const hold: Hold<L> = { outer: nearest(known), state: "held", waiting: new Fifo() };
    if (this.#stack.push(hold) === 1) this.#lock.onHeld(true);
    return hold;
  }

  #seat(waiter: Waiter<L>): void {
    const hold = innermost(waiter.known);
    const line = hold === undefined ? this.#outside : hold.waiting;
    this.#positions.set(waiter, { line, place: line.push(waiter) });
    if (hold === undefined && waiter.known !== undefined) this.#chained.add(waiter);
  }

  #leave(waiter: Waiter<L>): boolean {
    const seat = this.#positions.get(waiter);
    if (seat === undefined) return false;
    seat.line.remove(seat.place);
    this.#positions.delete(waiter);
    this.#chained.delete(waiter);
    return true;
  }

  /** Those who waited inside a hold that has ended, or is parked, wait further outside. */
  #dismiss(hold: Hold<L>): void {
    for (const waiter of hold.waiting.drain()) this.#seat(waiter);
  }

  /** The next of those whose innermost hold is the top may go in. */
  #admit(): void {
    for (;;) {
      const waiter = this.#stack.at(-1)?.waiting.first;
      if (waiter === undefined) return;
      this.#leave(waiter);
      if (this.#positions.size === 0) this.#cease();
      const lost = this.#lock.lost();
      if (lost === undefined) return waiter.done({ hold: this.#push(waiter.known) });
      waiter.done({ lost });
    }
  }

  /** Asks for the lock, as long as somebody waits: whoever waits inside learns by that when there is no lock any more. */
  #ask(): void {
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
    // Nobody is inside, so those who wait are outside.
    if (waiter === undefined) return this.#lock.release();
    this.#leave(waiter);
    if (waiter.parked !== undefined) {
      this.restore(waiter.parked);
      waiter.done({ hold: waiter.parked.at(-1)! });
    } else waiter.done({ hold: this.#push(waiter.known) });
    this.#ask();
  }

  #cease(): void {
    this.#withdraw?.();
    this.#withdraw = undefined;
  }
}

/** The first of a hold and those around it that has not ended. */
const nearest = <L>(hold: Hold<L> | undefined): Hold<L> | undefined => {
  while (hold?.state === "released") hold = hold.outer;
  return hold;
};

/** The first of a hold and those around it that is held. */
const innermost = <L>(hold: Hold<L> | undefined): Hold<L> | undefined => {
  while (hold !== undefined && hold.state !== "held") hold = hold.outer;
  return hold;
};
