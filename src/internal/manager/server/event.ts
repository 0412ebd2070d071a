/**
 * Events and barriers, where they live.
 *
 * @module
 */
import { varints } from "../../codec/varint.ts";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import { Fifo } from "../../objects/fifo.ts";
import type { Fill, Receiver } from "../../rpc/link.ts";
import { CANCELLED, GONE, type Line } from "../../rpc/router.ts";
import type { BrokenReason } from "../../sync/errors.ts";
import { ManagerError } from "../errors.ts";
import * as P from "../protocol.ts";

/** A flag to wait for. Whoever waits when it is set is woken up, also if it is cleared at once. */
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
      const place = this.#waiting.push(() => resume(Effect.void));
      return Effect.sync(() => this.#waiting.remove(place));
    });
  }

  waiting(): number {
    return this.#waiting.length;
  }
}

const broken = (reason: BrokenReason): Fill => varints(P.BROKEN, P.REASONS.indexOf(reason));

/** So many wait for each other, round after round. Who gives up, or dies, breaks it. */
export class BarrierHost {
  readonly parties: number;
  #waiting = new Set<Line>();
  #broken: BrokenReason | undefined;
  readonly #action: (() => Effect.Effect<unknown, unknown>) | undefined;
  readonly #failed: (line: Line, exit: Exit.Exit<unknown, unknown>) => void;

  constructor(
    parties: number,
    action: (() => Effect.Effect<unknown, unknown>) | undefined,
    failed: (line: Line, exit: Exit.Exit<unknown, unknown>) => void,
  ) {
    if (!Number.isSafeInteger(parties) || parties < 1) {
      throw new ManagerError(
        "InvalidOption",
        `Cannot make a barrier: its parties must be 1 or more, received ${parties}`,
      );
    }
    this.parties = parties;
    this.#action = action;
    this.#failed = failed;
  }

  value(): { readonly parties: number; readonly waiting: number; readonly broken: boolean } {
    return { parties: this.parties, waiting: this.#waiting.size, broken: this.#broken !== undefined };
  }

  /** Whoever waits fails, and whoever comes. */
  abort(): void {
    this.#break("Aborted");
  }

  #break(reason: BrokenReason): void {
    this.#broken = reason;
    this.#fail(broken(reason));
  }

  /** Whoever waits fails; who comes then begins a new round. */
  reset(): void {
    this.#fail(broken("Reset"));
    this.#broken = undefined;
  }

  attach(line: Line): Receiver {
    if (this.#broken !== undefined) {
      line.exit(broken(this.#broken));
      return { closed: () => {} };
    }
    this.#waiting.add(line);
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
    this.#fail(varints(GONE));
  }

  #fail(exit: Fill): void {
    const round = this.#waiting;
    this.#waiting = new Set();
    for (const line of round) line.exit(exit);
  }

  /** All are here: they go on when the action is done. Who comes meanwhile is of the next round. */
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
        this.#failed(last, exit);
        this.#break("ActionFailed");
      },
    });
  }
}
