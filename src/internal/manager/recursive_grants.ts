/**
 * The recursive managed locks that this process holds: one grant for the process, and a stack of holds for its fibers; see
 * `sync/reentrancy.ts`.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import { type Hold, HoldStack } from "../sync/reentrancy.ts";
import type { RunningFiber } from "../sync/waiting.ts";
import type { ObjectRef } from "./calls.ts";
import { type Grant, lockKey, type Lost, requestGrant } from "./lock_grants.ts";

/** The recursive locks that this process holds. */
export class RecursiveGrant {
  readonly holds: HoldStack<Lost>;
  readonly #lock: ObjectRef;
  #grant: Grant | undefined;
  /** Operations that will use this object again. */
  #users = 0;

  constructor(lock: ObjectRef) {
    this.#lock = lock;
    this.holds = new HoldStack<Lost>({
      request: (done) =>
        requestGrant(lock, true, (outcome) => {
          if (outcome === "busy") return;
          if (!("line" in outcome)) return done(outcome.lost);
          this.#grant = outcome;
          done("held");
        }),
      release: () => {
        const grant = this.#grant!;
        this.#grant = undefined;
        grant.line.finish();
        this.#forget();
      },
      lost: () => this.#grant?.lost,
      onHeld: () => {},
    });
  }

  /** The grant of a lock in this process. */
  static of(lock: ObjectRef): RecursiveGrant {
    const key = lockKey(lock);
    const known = recursiveGrants.get(key);
    if (known !== undefined) return known;
    const added = new RecursiveGrant(lock);
    recursiveGrants.set(key, added);
    return added;
  }

  /** The grant, if this process holds the lock. */
  get grant(): Grant | undefined {
    return this.#grant;
  }

  /** The grant, if the fiber holds the lock and no sibling of the fiber holds it inside. */
  grantOf(fiber: RunningFiber): Grant | undefined {
    return this.holds.isTop(fiber) ? this.#grant : undefined;
  }

  /** Waits until the fiber holds the lock. Returns a function that cancels, and gives back a hold that was taken. */
  wait(fiber: RunningFiber, done: (result: Effect.Effect<Hold<Lost>, unknown>) => void): () => void {
    let taken: Hold<Lost> | undefined;
    const leave = this.holds.wait(fiber, undefined, (entered) => {
      if ("lost" in entered) return done(entered.lost);
      taken = entered.hold;
      done(Effect.succeed(taken));
    });
    return () => {
      if (!leave() && taken !== undefined) this.holds.release(taken);
    };
  }

  /** Like `wait`, but gives `undefined` if another process holds the lock. */
  attempt(fiber: RunningFiber, done: (result: Effect.Effect<Hold<Lost> | undefined, unknown>) => void): () => void {
    let taken: Hold<Lost> | undefined;
    this.#users++;
    const cancel = requestGrant(this.#lock, false, (outcome) => {
      this.#users--;
      if (outcome !== "busy" && "line" in outcome) {
        this.#grant = outcome;
        taken = this.holds.grant(fiber);
        return done(Effect.succeed(taken));
      }
      this.#forget();
      done(outcome === "busy" ? Effect.succeed(undefined) : outcome.lost);
    });
    return () => {
      cancel();
      if (taken !== undefined) this.holds.release(taken);
    };
  }

  /** Gives up the lock during a wait in a condition. Returns a function to call when the server has granted it again. */
  park(): () => void {
    const grant = this.#grant!;
    const parked = this.holds.park();
    this.#grant = undefined;
    this.#users++;
    return () => {
      this.#users--;
      if (this.holds.held) { for (const hold of parked) this.holds.release(hold); }
      else {
        this.#grant = grant;
        this.holds.restore(parked);
      }
    };
  }

  #forget(): void {
    if (this.#users > 0 || this.holds.held || this.holds.waiting > 0) return;
    const key = lockKey(this.#lock);
    if (recursiveGrants.get(key) === this) recursiveGrants.delete(key);
  }
}

const recursiveGrants = new Map<string, RecursiveGrant>();
