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
import { type Place, Waiting } from "../hosted/waiting.ts";

/** One taking of the lock. */
export interface Hold {
  /** The hold in which it was taken. */
  readonly outer: Hold | undefined;
  state: "held" | "parked" | "released";
  /** Fibers with this innermost hold that wait for a sibling. */
  readonly waiting: Waiting<Waiter>;
}

/** A fiber that waits. */
interface Waiter {
  readonly known: Hold | undefined;
  /** What to hold again, instead of a new hold. */
  readonly parked: ReadonlyArray<Hold> | undefined;
  readonly done: (hold: Hold | undefined) => void;
}

/** Where a waiter waits. */
interface Seat {
  line: Waiting<Waiter>;
  place: Place<Waiter>;
}

/** How this process has the lock itself. */
export interface Carrier {
  /**
   * Asks for the lock, and calls back once: `true` if this process has it, `false` if there will be none. Returns a function that takes
   * the request back.
   */
  readonly request: (done: (granted: boolean) => void) => () => void;
  /** Gives the lock back. */
  readonly release: () => void;
  /** Whether it can still be had. */
  readonly lives: () => boolean;
  /** Is told when the stack begins, and when it is empty. */
  readonly onHeld: (held: boolean) => void;
}

/** What a fiber can do to its own FiberRefs, which the types of Effect do not say. */
interface Writable {
  setFiberRef(ref: FiberRef.FiberRef<Hold | undefined>, value: Hold): void;
  unsafeDeleteFiberRef(ref: FiberRef.FiberRef<Hold | undefined>): void;
}

/** A fiber that runs. */
export type Running = Fiber.RuntimeFiber<unknown, unknown>;

/** The holds of this process of one lock. */
export class Nest {
  readonly #carrier: Carrier;
  readonly #known = FiberRef.unsafeMake<Hold | undefined>(undefined);
  #stack: Array<Hold> = [];
  /** Fibers without a hold that wait. */
  readonly #outside = new Waiting<Waiter>();
  readonly #seats = new Map<Waiter, Seat>();
  /** Those outside that know parked holds. */
  readonly #chained = new Set<Waiter>();
  #withdraw: (() => void) | undefined;

  constructor(carrier: Carrier) {
    this.#carrier = carrier;
  }

  /** Whether this process holds the lock. */
  get held(): boolean {
    return this.#stack.length > 0;
  }

  /** How many fibers wait. */
  get waiting(): number {
    return this.#seats.size;
  }

  /** The innermost hold that a fiber is in. */
  of(fiber: Running | undefined): Hold | undefined {
    return fiber === undefined ? undefined : innermost(fiber.getFiberRef(this.#known));
  }

  /** Whether a fiber is inside, and no sibling of it further inside. */
  isTop(fiber: Running | undefined): boolean {
    const hold = this.of(fiber);
    return hold !== undefined && hold === this.#stack.at(-1);
  }

  /** How many holds a fiber is in. */
  depth(fiber: Running | undefined): number {
    let depth = 0;
    for (let hold = this.of(fiber); hold !== undefined; hold = innermost(hold.outer)) depth++;
    return depth;
  }

  /** Takes the lock for a fiber that runs, if it may go in now; `take` tries to get the lock for this process. */
  enter(fiber: Running, take: () => boolean): Hold | undefined {
    const known = fiber.getFiberRef(this.#known);
    if (this.#stack.length > 0 ? innermost(known) !== this.#stack.at(-1) : !take()) return undefined;
    const hold = this.#push(known);
    this.settle(fiber, hold);
    return hold;
  }

  /** Notes, in a fiber that runs, that a hold is its innermost one. */
  settle(fiber: Running, hold: Hold): void {
    (fiber as unknown as Writable).setFiberRef(this.#known, hold);
  }

  /**
   * Waits for a fiber, to take the lock or to take a parked stack back; calls back with the hold, maybe before this returns, or with
   * nothing when there is no lock any more. Returns a function that gives up the wait; it gives `false` if that has ended.
   */
  wait(
    fiber: Running,
    parked: ReadonlyArray<Hold> | undefined,
    done: (hold: Hold | undefined) => void,
  ): () => boolean {
    const known = parked === undefined ? fiber.getFiberRef(this.#known) : undefined;
    const waiter: Waiter = { known, parked, done };
    this.#seat(waiter);
    try {
      this.#ask();
    } catch (error) {
      this.#leave(waiter);
      throw error;
    }
    return () => {
      if (!this.#leave(waiter)) return false;
      if (this.#seats.size === 0) this.#cease();
      return true;
    };
  }

  /** Ends a hold. Does nothing if it has ended. */
  release(hold: Hold): void {
    const { state } = hold;
    hold.state = "released";
    if (state !== "held") return;
    const at = this.#stack.lastIndexOf(hold);
    this.#stack.splice(at, 1);
    this.#dismiss(hold);
    if (this.#stack.length > 0) return this.#admit();
    this.#carrier.onHeld(false);
    this.#carrier.release();
  }

  /** Ends the innermost hold of a fiber that runs, and gives it; nothing if the fiber has none. */
  leave(fiber: Running | undefined): Hold | undefined {
    const hold = this.of(fiber);
    if (hold !== undefined) this.end(fiber, hold);
    return hold;
  }

  /** Ends a hold, and the knowledge of holds that have ended of a fiber that runs. */
  end(fiber: Running | undefined, hold: Hold): void {
    this.release(hold);
    const known = fiber?.getFiberRef(this.#known);
    const rest = nearest(known);
    if (rest === known) return;
    const writable = fiber as unknown as Writable;
    if (rest === undefined) writable.unsafeDeleteFiberRef(this.#known);
    else writable.setFiberRef(this.#known, rest);
  }

  /** Takes the whole stack apart, without giving the lock back. */
  park(): ReadonlyArray<Hold> {
    const parked = this.#stack;
    this.#stack = [];
    for (const hold of parked) hold.state = "parked";
    for (const hold of parked) this.#dismiss(hold);
    this.#carrier.onHeld(false);
    return parked;
  }

  /** The stack is as it was: this process has the lock again. */
  restore(parked: ReadonlyArray<Hold>): void {
    this.#stack = parked.filter((hold) => hold.state === "parked");
    for (const hold of this.#stack) hold.state = "held";
    if (this.#stack.length === 0) return this.#carrier.release();
    this.#carrier.onHeld(true);
    for (const waiter of [...this.#chained]) {
      if (innermost(waiter.known) === undefined) continue;
      this.#leave(waiter);
      this.#seat(waiter);
    }
    this.#admit();
  }

  #push(known: Hold | undefined): Hold {
    const hold: Hold = { outer: nearest(known), state: "held", waiting: new Waiting() };
    if (this.#stack.push(hold) === 1) this.#carrier.onHeld(true);
    return hold;
  }

  #seat(waiter: Waiter): void {
    const hold = innermost(waiter.known);
    const line = hold === undefined ? this.#outside : hold.waiting;
    this.#seats.set(waiter, { line, place: line.push(waiter) });
    if (hold === undefined && waiter.known !== undefined) this.#chained.add(waiter);
  }

  #leave(waiter: Waiter): boolean {
    const seat = this.#seats.get(waiter);
    if (seat === undefined) return false;
    seat.line.remove(seat.place);
    this.#seats.delete(waiter);
    this.#chained.delete(waiter);
    return true;
  }

  /** Those who waited inside a hold that has ended, or is parked, wait further outside. */
  #dismiss(hold: Hold): void {
    for (const waiter of hold.waiting.clear()) this.#seat(waiter);
  }

  /** The next of those whose innermost hold is the top may go in. */
  #admit(): void {
    for (;;) {
      const waiter = this.#stack.at(-1)?.waiting.first;
      if (waiter === undefined) return;
      this.#leave(waiter);
      if (this.#seats.size === 0) this.#cease();
      if (!this.#carrier.lives()) waiter.done(undefined);
      else return waiter.done(this.#push(waiter.known));
    }
  }

  /** Asks for the lock, as long as somebody waits: whoever waits inside learns by that when there is no lock any more. */
  #ask(): void {
    if (this.#withdraw !== undefined || this.#seats.size === 0) return;
    let answered = false;
    const withdraw = this.#carrier.request((granted) => {
      answered = true;
      this.#withdraw = undefined;
      this.#answer(granted);
    });
    if (!answered) this.#withdraw = withdraw;
  }

  #answer(granted: boolean): void {
    if (!granted) {
      const waiters = [...this.#seats.keys()];
      for (const waiter of waiters) this.#leave(waiter);
      for (const waiter of waiters) waiter.done(undefined);
      return;
    }
    const waiter = this.#outside.first;
    // Nobody is inside, so those who wait are outside.
    if (waiter === undefined) return this.#carrier.release();
    this.#leave(waiter);
    if (waiter.parked !== undefined) {
      this.restore(waiter.parked);
      waiter.done(waiter.parked.at(-1));
    } else waiter.done(this.#push(waiter.known));
    this.#ask();
  }

  #cease(): void {
    this.#withdraw?.();
    this.#withdraw = undefined;
  }
}

/** The first of a hold and those around it that has not ended. */
const nearest = (hold: Hold | undefined): Hold | undefined => {
  while (hold?.state === "released") hold = hold.outer;
  return hold;
};

/** The first of a hold and those around it that is held. */
const innermost = (hold: Hold | undefined): Hold | undefined => {
  while (hold !== undefined && hold.state !== "held") hold = hold.outer;
  return hold;
};
