/**
 * What the protocols of shared objects ask of those who take part: an interface, so that a test can stand in for them.
 *
 * @module
 */

/** Those who use one object. A participant is a process or a worker: 24 bits, slot in the low 8, never 0. */
export interface Family {
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
   * says that it is over. Returns what takes the wish back.
   */
  readonly watch: (check: (patrol: boolean) => boolean) => () => void;
  /** Whether the object is still there. */
  readonly lives: () => boolean;
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
