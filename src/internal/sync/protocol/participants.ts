/**
 * What the protocols of shared objects ask of those who take part: an interface, so that a test can stand in for them.
 *
 * @module
 */

/** Those who use one object. A participant is a process or a worker: 24 bits, slot in the low 8, never 0. */
export interface Participants {
  /** This one. */
  readonly self: number;
  /** Whether that one lives. Asks the system: for those who have waited a while. */
  readonly alive: (participant: number) => boolean;
  /** Who has that slot, or had it last. */
  readonly at: (slot: number) => number;
  /** Has that one look again at what it waits for. */
  readonly ring: (participant: number) => void;
  /**
   * Begins to wait: `check` is asked at once, when somebody rings, and every now and then to look for the dead (`patrol`), until it
   * says that it is over. What it throws ends the waiting, and `fail` is told. Returns what takes the wish back.
   */
  readonly watch: (check: (patrol: boolean) => boolean, fail: (error: unknown) => void) => () => void;
  /** Whether the object is still there. */
  readonly exists: () => boolean;
  /** Whether this participant was ended, and only its thread has not heard of it. */
  readonly ended?: () => boolean;
  /**
   * A moment of waiting while `holder` is in the word of a guard: `again` if it may have gone, `dead` if it has died with the guard,
   * `busy` if this takes so long that others in this process should have a turn.
   */
  readonly hold: (guard: number, holder: number, turn: number) => "again" | "dead" | "busy";
}

/** Slots that a participant can have. */
export const SLOTS = 256;

/** Words of a set of slots. */
export const SET = SLOTS / 32;

/** An error in looking for what was waited for. Those who are told of it leave the line themselves. */
export class Defect {
  readonly error: unknown;

  constructor(error: unknown) {
    this.error = error;
  }
}

/** Why there is nothing to wait for: the object is no more, or the waiting has failed. */
export type WaitFailure = "gone" | Defect;

/** Whether an outcome is one of those. */
export const isWaitFailure = (outcome: unknown): outcome is WaitFailure =>
  outcome === "gone" || outcome instanceof Defect;
