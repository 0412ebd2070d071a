/**
 * The participants of a shared object, as its protocol sees them: an interface, so that a test can stand in for processes.
 *
 * @module
 */

/** The participants of one object: the processes and workers that use it. A participant is 24 bits, with its slot in the low 8; never 0. */
export interface Participants {
  /** This participant. */
  readonly self: number;
  /** Whether a participant lives. It asks the system, so it is for participants that have waited for a while. */
  readonly alive: (participant: number) => boolean;
  /** The participant that has a slot, or had it last. */
  readonly at: (slot: number) => number;
  /** Rings the doorbell of a participant. */
  readonly ring: (participant: number) => void;
  /**
   * Begins to wait. `check` runs at once, when the doorbell rings, and from time to time with `patrol` to look for dead participants,
   * until it returns true. If it throws, the wait ends and `fail` receives the error. Returns a function that ends the wait.
   */
  readonly watch: (check: (patrol: boolean) => boolean, fail: (error: unknown) => void) => () => void;
  /** A clock in milliseconds. */
  readonly now: () => number;
  /** Whether the object has not ended. */
  readonly exists: () => boolean;
  /** Whether the host has ended this worker, although its thread still runs. */
  readonly ended?: () => boolean;
  /**
   * Spends a moment while `holder` is in the word of a guard. Returns `again` if the guard may be free now, `dead` if the holder has
   * died, and `busy` if the wait takes so long that other fibers of this process should run.
   */
  readonly hold: (guard: number, holder: number, turn: number) => "again" | "dead" | "busy";
}

/** Slots of an arena. */
export const SLOTS = 256;

/** Words of a set of slots. */
export const SET = SLOTS / 32;

/** A defect in a check. Waiters that receive it leave the queue themselves. */
export class Defect {
  readonly error: unknown;

  constructor(error: unknown) {
    this.error = error;
  }
}

/** Why a wait has failed: the object has ended, or a check has thrown. */
export type WaitFailure = "gone" | Defect;

/** Whether an outcome is a failure of the wait. */
export const isWaitFailure = (outcome: unknown): outcome is WaitFailure =>
  outcome === "gone" || outcome instanceof Defect;
