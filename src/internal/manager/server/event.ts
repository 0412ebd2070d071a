/**
 * The hosts of managed events and barriers.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import { Fifo } from "../../objects/fifo.ts";
import { varints } from "../../codec/varint.ts";
import type { Fill, Receiver } from "../../rpc/link.ts";
import { CANCELLED, GONE, type Line } from "../../rpc/router.ts";
import type { BrokenReason } from "../../sync/errors.ts";
import { ManagerError } from "../errors.ts";
import * as P from "../protocol.ts";

/** A flag to wait for. Setting it wakes all current waiters, even if it is cleared at once. */
export class EventHost {
  #set = false;
  readonly #waiting = new Fifo<() => void>();

  value(): boolean {
    return this.#set;
  }

  isSet(): boolean {
    return this.#set;
  }

  set(): void {
    this.#set = true;
    for (const wake of this.#waiting.drain()) wake();
  }

  clear(): void {
    this.#set = false;
  }

  wait(): Effect.Effect<void> | undefined {
    if (this.#set) return undefined;
    return Effect.async<void>((resume) => {
      const entry = this.#waiting.push(() => resume(Effect.void));
      return Effect.sync(() => this.#waiting.remove(entry));
    });
  }

  waiting(): number {
    return this.#waiting.length;
  }
}

const broken = (reason: BrokenReason): Fill => varints(P.BROKEN, P.REASONS.indexOf(reason));

/** A barrier for a fixed number of parties, round after round. A party that gives up or dies breaks it. */
export class BarrierHost {
  readonly parties: number;
  #waiting = new Set<Line>();
  #broken: BrokenReason | undefined;
  readonly #action: (() => Effect.Effect<unknown, unknown>) | undefined;
  readonly #fail: (line: Line, exit: Exit.Exit<unknown, unknown>) => void;

  /** `fail` ends a call with the failure of the action. */
  constructor(
    parties: number,
    action: (() => Effect.Effect<unknown, unknown>) | undefined,
    fail: (line: Line, exit: Exit.Exit<unknown, unknown>) => void,
  ) {
    if (!Number.isSafeInteger(parties) || parties < 1) {
      throw new ManagerError(
        "InvalidOption",
        `Cannot make a barrier: its parties must be 1 or more, received ${parties}`,
      );
    }
    this.parties = parties;
    this.#action = action;
    this.#fail = fail;
  }

  value(): { readonly parties: number; readonly waiting: number; readonly broken: boolean } {
    return { parties: this.parties, waiting: this.#waiting.size, broken: this.#broken !== undefined };
  }

  /** Breaks the barrier: current waiters and later arrivals fail. */
  abort(): void {
    this.#break("Aborted");
  }

  /** Resets the barrier: current waiters fail, later arrivals start a new round. */
  reset(): void {
    this.#endRound(broken("Reset"));
    this.#broken = undefined;
  }

  attach(line: Line): Receiver {
    if (this.#broken !== undefined) {
      line.exit(broken(this.#broken));
      return { closed: () => {} };
    }
    this.#waiting.add(line);
    /** Returns whether the party was still waiting. */
    const leave = (reason: BrokenReason): boolean => {
      const left = this.#waiting.delete(line);
      if (left) this.#break(reason);
      return left;
    };
    if (this.#waiting.size === this.parties) this.#pass(line);
    return {
      cancel: () => {
        if (leave("Interrupted")) line.exit(varints(CANCELLED));
      },
      closed: () => void leave("PartyDied"),
    };
  }

  close(): void {
    this.#endRound(varints(GONE));
  }

  #break(reason: BrokenReason): void {
    this.#broken = reason;
    this.#endRound(broken(reason));
  }

  #endRound(exit: Fill): void {
    const round = this.#waiting;
    this.#waiting = new Set();
    for (const line of round) line.exit(exit);
  }

  /** All parties have arrived. They go on once the action is done; later arrivals belong to the next round. */
  #pass(last: Line): void {
    const round = this.#waiting;
    this.#waiting = new Set();
    const go = (): void => [...round].forEach((line, index) => line.exit(varints(P.VALUE, index)));
    if (this.#action === undefined) return go();
    Effect.runCallback(this.#action(), {
      onExit: (exit) => {
        if (Exit.isSuccess(exit)) return go();
        round.delete(last);
        for (const line of round) line.exit(broken("ActionFailed"));
        this.#fail(last, exit);
        this.#break("ActionFailed");
      },
    });
  }
}
