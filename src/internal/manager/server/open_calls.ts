/**
 * Calls of a server that have not ended: methods that take time, values that are lent, and objects that are retained.
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
import { fork } from "../../child/server/fork.ts";
import { LAST, type Receiver } from "../../rpc/link.ts";
import { CANCELLED, GONE } from "../../rpc/router.ts";
import type { IncomingCall } from "./incoming_call.ts";
import type { ManagedObject, ObjectTable } from "./object_table.ts";
import { asStream, isPending, unexpectedStream } from "./results.ts";

/** Receives the messages of a call that has ended. */
export const ignored: Receiver = { closed: () => {} };

/** A value that was taken out of an object, and the function that puts it back. */
export interface TakenValue {
  readonly value: unknown;
  readonly putBack: () => void;
}

/** The open calls of a server. */
export class ServerCalls {
  /** Ends a call, because the server closes. */
  readonly #ends = new Set<() => void>();
  readonly #services: Context.Context<Backend | Scope.Scope>;
  readonly #objects: ObjectTable;

  constructor(services: Context.Context<Backend | Scope.Scope>, objects: ObjectTable) {
    this.#services = services;
    this.#objects = objects;
  }

  /** The number of open calls. */
  get size(): number {
    return this.#ends.size;
  }

  /** Ends all calls. */
  end(): void {
    for (const end of [...this.#ends]) end();
  }

  /** Runs an Effect, and replies with its exit, even if it is interrupted. */
  run(call: IncomingCall, effect: Effect.Effect<unknown, unknown, Backend | Scope.Scope>): Receiver {
    let silent = false;
    const fiber = this.#fork(call, effect);
    if (fiber === undefined) return ignored;
    const interrupt = (): void => fiber.unsafeInterruptAsFork(FiberId.none);
    const end = (): void => {
      silent = true;
      interrupt();
      call.end(GONE);
    };
    this.#ends.add(end);
    fiber.addObserver((exit) => {
      this.#ends.delete(end);
      if (silent) return;
      const value = Exit.isSuccess(exit) ? exit.value : undefined;
      call.complete(
        asStream(value) === undefined ? exit : Exit.fail(unexpectedStream("the object", "this method")),
      );
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
   * Lends a value until the caller confirms that it has received it. `take` returns a {@link TakenValue}, or an Effect of one. If the
   * caller cancels or dies, the value is put back.
   */
  lend(call: IncomingCall, take: () => unknown): Receiver {
    let loan: TakenValue | undefined;
    let over = false;
    let fiber: Fiber.RuntimeFiber<unknown, unknown> | undefined;
    const settle = (received: boolean): void => {
      over = true;
      this.#ends.delete(end);
      const settled = loan;
      loan = undefined;
      if (!received) settled?.putBack();
    };
    const taken = (value: unknown): void => {
      loan = value as TakenValue;
      if (over) settle(false);
      // A value that cannot be sent is put back.
      else call.send(loan.value, () => settle(false));
    };
    const interrupt = (): void => fiber?.unsafeInterruptAsFork(FiberId.none);
    const end = (): void => {
      settle(true);
      interrupt();
      call.end(GONE);
    };
    const value = take();
    this.#ends.add(end);
    if (isPending(value)) {
      fiber = this.#fork(call, value);
      fiber?.addObserver((exit) => {
        if (Exit.isSuccess(exit)) taken(exit.value);
        else if (!over) {
          settle(true);
          call.complete(exit);
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
        call.end(CANCELLED);
      },
      closed: () => {
        settle(false);
        interrupt();
      },
    };
  }

  /** Retains an object for as long as the call is open. `make` returns a {@link ManagedObject}, or an Effect of one. */
  retain(call: IncomingCall, make: () => unknown): Receiver {
    let state: "making" | "retained" | "ended" = "making";
    let object: ManagedObject | undefined;
    let fiber: Fiber.RuntimeFiber<unknown, unknown> | undefined;
    const interrupt = (): void => fiber?.unsafeInterruptAsFork(FiberId.none);
    /** Returns whether the object was retained. */
    const release = (): boolean => {
      const before = state;
      state = "ended";
      this.#ends.delete(end);
      if (before === "retained") this.#objects.release(object!);
      return before === "retained";
    };
    // A server that closes frees all objects itself, and waits for that.
    const end = (): void => {
      if (state === "making") interrupt();
      state = "ended";
      this.#ends.delete(end);
      call.end(GONE);
    };
    const made = (value: unknown): void => {
      const found = value as ManagedObject;
      found.holds++;
      if (state === "ended") return this.#objects.release(found);
      object = found;
      state = "retained";
      call.send(found.handle, release);
    };
    const value = make();
    this.#ends.add(end);
    if (isPending(value)) {
      fiber = this.#fork(call, value);
      fiber?.addObserver((exit) => {
        if (Exit.isSuccess(exit)) return made(exit.value);
        if (state === "ended") return;
        release();
        call.complete(exit);
      });
    } else made(value);
    return {
      credit: (count) => {
        if (count === LAST) release();
      },
      cancel: () => {
        const isMaking = state === "making" && fiber !== undefined;
        if (release()) return call.end(CANCELLED);
        if (!isMaking) return;
        fiber!.addObserver(() => call.end(CANCELLED));
        interrupt();
      },
      closed: () => {
        if (!release()) interrupt();
      },
    };
  }

  #fork(
    call: IncomingCall,
    effect: Effect.Effect<unknown, unknown, Backend | Scope.Scope>,
  ): Fiber.RuntimeFiber<unknown, unknown> | undefined {
    return fork(Effect.provide(effect, this.#services), (error) => call.complete(Exit.die(error)));
  }
}
