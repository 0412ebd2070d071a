/**
 * Calls that have not ended: what takes its time, and holds.
 *
 * @module
 */
import type * as Context from "effect/Context";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import type * as Fiber from "effect/Fiber";
import * as FiberId from "effect/FiberId";
import type * as Scope from "effect/Scope";
import type { Backend } from "../../../Backend.ts";
import { fork } from "../../child/fork.ts";
import { LAST, type Receiver } from "../../rpc/link.ts";
import { CANCELLED, GONE } from "../../rpc/router.ts";
import type { Caller } from "./caller.ts";
import { asStream, unnamed } from "./results.ts";
import { isPending } from "./tasks.ts";

/** What hears a call that has been answered. */
const deaf: Receiver = { closed: () => {} };

/** What is held. */
export interface Held {
  /** What is sent to whoever holds it. */
  readonly handle: unknown;
  holds: number;
}

/** What was taken out of an object, and how it goes back. */
export interface Lent {
  readonly value: unknown;
  readonly giveBack: () => void;
}

/** See above. */
export class Underway<Entry extends Held> {
  readonly #ends = new Set<() => void>();
  readonly #services: Context.Context<Backend | Scope.Scope>;
  readonly #unhold: (entry: Entry) => void;

  constructor(services: Context.Context<Backend | Scope.Scope>, unhold: (entry: Entry) => void) {
    this.#services = services;
    this.#unhold = unhold;
  }

  get size(): number {
    return this.#ends.size;
  }

  /** Ends all: there is nothing to be called any more. */
  end(): void {
    for (const end of [...this.#ends]) end();
  }

  #fork(
    caller: Caller,
    effect: Effect.Effect<unknown, unknown, Backend | Scope.Scope>,
  ): Fiber.RuntimeFiber<unknown, unknown> | undefined {
    return fork(Effect.provide(effect, this.#services), (error) => caller.answer(Exit.die(error)));
  }

  /** Runs what takes its time, and answers with what became of it, also when it is interrupted. */
  run(caller: Caller, effect: Effect.Effect<unknown, unknown, Backend | Scope.Scope>): Receiver {
    let silent = false;
    const fiber = this.#fork(caller, effect);
    if (fiber === undefined) return deaf;
    const interrupt = (): void => fiber.unsafeInterruptAsFork(FiberId.none);
    const end = (): void => {
      silent = true;
      interrupt();
      caller.end(GONE);
    };
    this.#ends.add(end);
    fiber.addObserver((exit) => {
      this.#ends.delete(end);
      if (silent) return;
      const value = Exit.isSuccess(exit) ? exit.value : undefined;
      caller.answer(asStream(value) === undefined ? exit : Exit.fail(unnamed("the object", "this method")));
    });
    return {
      cancel: interrupt,
      closed: () => {
        silent = true;
        interrupt();
      },
    };
  }

  /**
   * Lends what is taken out, {@link Lent} or an Effect of it, until the taker says that he has it. If he does not want it any more
   * or dies before, it goes back.
   */
  lend(caller: Caller, take: () => unknown): Receiver {
    let lent: Lent | undefined;
    let over = false;
    let fiber: Fiber.RuntimeFiber<unknown, unknown> | undefined;
    const settle = (taken: boolean): void => {
      over = true;
      this.#ends.delete(end);
      const was = lent;
      lent = undefined;
      if (!taken) was?.giveBack();
    };
    const taken = (value: unknown): void => {
      lent = value as Lent;
      if (over) settle(false);
      // A value that cannot be sent was not taken out.
      else caller.send(lent.value, () => settle(false));
    };
    const interrupt = (): void => fiber?.unsafeInterruptAsFork(FiberId.none);
    const end = (): void => {
      settle(true);
      interrupt();
      caller.end(GONE);
    };
    const value = take();
    this.#ends.add(end);
    if (isPending(value)) {
      fiber = this.#fork(caller, value);
      fiber?.addObserver((exit) => {
        if (Exit.isSuccess(exit)) taken(exit.value);
        else if (!over) {
          settle(true);
          caller.answer(exit);
        }
      });
    } else taken(value);
    return {
      credit: (count) => {
        if (count === LAST) settle(true);
      },
      cancel: () => {
        settle(false);
        interrupt();
        caller.end(CANCELLED);
      },
      closed: () => {
        settle(false);
        interrupt();
      },
    };
  }

  /** A hold: what is made, an {@link Held} or an Effect of one, is held for as long as the call is open. */
  keep(caller: Caller, make: () => unknown): Receiver {
    let state: "making" | "held" | "ended" = "making";
    let entry: Entry | undefined;
    let fiber: Fiber.RuntimeFiber<unknown, unknown> | undefined;
    const interrupt = (): void => fiber?.unsafeInterruptAsFork(FiberId.none);
    /** Whether there was something to be given back. */
    const end = (): boolean => {
      const was = state;
      state = "ended";
      this.#ends.delete(gone);
      if (was === "held") this.#unhold(entry!);
      return was === "held";
    };
    // Nothing is given back: all is freed at once, and waited for.
    const gone = (): void => {
      if (state === "making") interrupt();
      state = "ended";
      this.#ends.delete(gone);
      caller.end(GONE);
    };
    const made = (value: unknown): void => {
      const found = value as Entry;
      found.holds++;
      if (state === "ended") return this.#unhold(found);
      entry = found;
      state = "held";
      caller.send(found.handle, end);
    };
    const value = make();
    this.#ends.add(gone);
    if (isPending(value)) {
      fiber = this.#fork(caller, value);
      fiber?.addObserver((exit) => {
        if (Exit.isSuccess(exit)) return made(exit.value);
        if (state === "ended") return;
        end();
        caller.answer(exit);
      });
    } else made(value);
    return {
      credit: (count) => {
        if (count === LAST) end();
      },
      cancel: () => {
        const making = state === "making" && fiber !== undefined;
        if (end()) return caller.end(CANCELLED);
        if (!making) return;
        fiber!.addObserver(() => caller.end(CANCELLED));
        interrupt();
      },
      closed: () => {
        if (!end()) interrupt();
      },
    };
  }
}
