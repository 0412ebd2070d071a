/**
 * A barrier for a fixed number of parties. A party that dies while it waits breaks the barrier, and delays no other. Free of Effect.
 *
 * ```text
 *  fields         STATE · COUNT: parties that have arrived · RESULT: outcome of the round · RUNNER: participant that runs the action
 *  cells of a row WAITING: parties in the round · OUTCOME that they have not seen yet · OUTSIDE: 1 if parties wait for the next round
 * ```
 *
 * | STATE | meaning | next |
 * | --- | --- | --- |
 * | FILLING | some parties are missing | RUNNING or RELEASING when the last one arrives; RELEASING if one leaves or dies |
 * | RUNNING | all parties are there, and the last one runs the action | RELEASING |
 * | RELEASING | the outcome is known; any participant passes it on, one row in each change | FILLING or BROKEN after the last row |
 * | BROKEN | RESULT says why | FILLING by a reset |
 *
 * Each change is a change of a monitor. The outcome of a round is decided by the change to RELEASING.
 *
 * @module
 */
import type { Participants, WaitFailure } from "./participants.ts";
import { BUSY, Monitor, size } from "./monitor.ts";
import type { Words } from "../../os/atomics.ts";

const STATE = 0;
const COUNT = 1;
const RESULT = 2;
const RUNNER = 3;
const OWN = 4;

const WAITING = 1;
const OUTCOME = 2;
const OUTSIDE = 3;
const CELLS = 3;

const FILLING = 0;
const RUNNING = 1;
const RELEASING = 2;
const BROKEN = 3;

const PASSED = 1;
const RESET = 2;
const names = ["", "", "Reset", "Aborted", "Interrupted", "PartyDied", "ActionFailed"] as const;

/** Why a round was broken. */
export type Reason = Exclude<typeof names[number], "">;

/** Words of a barrier. */
export const sizeFor = (slots?: number): number => size(OWN, CELLS, slots);

/** The outcome for a party: passed, last and has to run the action, broken, or a wait that has failed. */
export type BarrierOutcome =
  | { readonly _tag: "Passed"; readonly index: number }
  | { readonly _tag: "Run"; readonly index: number }
  | { readonly _tag: "Broken"; readonly reason: Reason }
  | { readonly _tag: "WaitFailure"; readonly over: WaitFailure };

interface Party {
  index: number;
  /** Whether the party has an action to run if it is the last one. */
  readonly runs: boolean;
  readonly done: (outcome: BarrierOutcome) => void;
}

/** A barrier, as one process uses it. */
export class Barrier extends Monitor {
  /** Number of parties in each round. */
  readonly parties: number;
  readonly #inside = new Set<Party>();
  readonly #outside = new Set<Party>();
  #coming = false;

  constructor(words: Words, at: number, participants: Participants, parties: number) {
    super(words, at, participants, OWN, CELLS);
    this.parties = parties;
  }

  /**
   * Arrives, and waits for the other parties. Returns a function that leaves and breaks the barrier, by default because the party was
   * interrupted; it returns `false` if the party was already released.
   */
  wait(runs: boolean, done: (outcome: BarrierOutcome) => void): (why?: "Interrupted" | "PartyDied") => boolean {
    const party: Party = { index: -1, runs, done };
    this.#outside.add(party);
    this.perform(() => {}, () => this.#come());
    if (this.waiting > 0) this.watch();
    return (why = "Interrupted") => {
      if (this.#outside.delete(party)) {
        this.settle();
        return true;
      }
      if (!this.#inside.delete(party)) return false;
      this.perform(() => this.#break(why), () => this.advance());
      this.settle();
      return true;
    };
  }

  /** Ends the round after its action; `done` receives the outcome of the round. */
  finish(as: "Passed" | "ActionFailed" | "Interrupted", done: (ended: "Passed" | Reason) => void): void {
    let ended: "Passed" | Reason = "Reset";
    this.perform(() => {
      if (this.load(this.own(STATE)) !== RUNNING || this.load(this.own(RUNNER)) !== this.self) {
        const reason = this.load(this.own(STATE)) === FILLING ? RESET : this.load(this.own(RESULT));
        ended = (names[reason] || "Reset") as Reason;
        return;
      }
      this.set(this.own(RUNNER), 0);
      this.#release(as === "Passed" ? PASSED : names.indexOf(as));
      ended = as;
    }, () => {
      this.advance();
      done(ended);
    });
  }

  /** Breaks the barrier. */
  abort(done: () => void, reason: Reason = "Aborted"): void {
    this.advance();
    this.perform(() => {
      const state = this.load(this.own(STATE));
      if (state === FILLING || state === RUNNING) this.#release(names.indexOf(reason));
    }, () => {
      this.advance();
      done();
    });
  }

  /** Starts a new round. Current waiters fail. */
  reset(done: () => void): void {
    this.advance();
    this.perform(() => {
      const state = this.load(this.own(STATE));
      if (state === BROKEN) {
        this.set(this.own(STATE), FILLING);
        this.set(this.own(RESULT), 0);
        this.#wake();
      } else if (state === RUNNING || state === FILLING && this.load(this.own(COUNT)) > 0) this.#release(RESET);
    }, () => {
      this.advance();
      done();
    });
  }

  /** Parties that have arrived and wait. */
  get count(): number {
    const state = this.load(this.own(STATE));
    return state === FILLING || state === RUNNING ? this.load(this.own(COUNT)) : 0;
  }

  /** Why the barrier is broken; `undefined` if it is not. */
  get broken(): Reason | undefined {
    const state = this.load(this.own(STATE));
    const result = this.load(this.own(RESULT));
    return state === BROKEN || state === RELEASING && result > RESET ? names[result] as Reason : undefined;
  }

  override get waiting(): number {
    return this.#inside.size + this.#outside.size;
  }

  /** Lets waiting parties join the round, if one is filling. */
  #come(): void {
    if (this.#coming) return;
    this.#coming = true;
    for (const party of this.#outside) if (!this.#enter(party)) break;
    this.#coming = false;
    this.settle();
  }

  /** Lets a party join the round. Returns false if it still has to wait for the next round. */
  #enter(party: Party): boolean {
    this.advance();
    // Parties that have died at the barrier do not count.
    if (
      this.load(this.own(STATE)) !== BROKEN && this.load(this.own(COUNT)) >= this.parties - 1 && this.reclaimDead()
    ) {
      this.advance();
    }
    this.deliver();
    const entered = this.attempt((): BarrierOutcome | "inside" | "outside" => {
      const row = this.row();
      const state = this.load(this.own(STATE));
      if (state === BROKEN) return { _tag: "Broken", reason: names[this.load(this.own(RESULT))] as Reason };
      // The parties of this process see the outcome of the last round first.
      if (state !== FILLING || this.load(row + OUTCOME) !== 0) {
        if (this.load(row + OUTSIDE) === 0) this.set(row + OUTSIDE, 1);
        return "outside";
      }
      if (this.load(row + OUTSIDE) !== 0) this.set(row + OUTSIDE, 0);
      const index = this.load(this.own(COUNT));
      this.set(this.own(COUNT), index + 1);
      party.index = index;
      if (index + 1 < this.parties) {
        this.add(row + WAITING, 1);
        return "inside";
      }
      if (party.runs) {
        this.set(this.own(STATE), RUNNING);
        this.set(this.own(RUNNER), this.self);
        return { _tag: "Run", index };
      }
      this.#release(PASSED);
      return { _tag: "Passed", index };
    });
    if (entered === BUSY) {
      this.perform(() => {}, () => this.#come());
      return false;
    }
    if (entered === "outside") return false;
    this.#outside.delete(party);
    if (entered === "inside") {
      this.#inside.add(party);
      return true;
    }
    this.advance();
    party.done(entered);
    return true;
  }

  #release(result: number): void {
    this.set(this.own(RESULT), result);
    this.set(this.own(STATE), RELEASING);
  }

  /** Breaks the round, as a party of this participant leaves. */
  #break(reason: Reason): void {
    const row = this.ownRow();
    if (row === undefined || this.load(row + WAITING) === 0) return;
    const state = this.load(this.own(STATE));
    if (state === FILLING || state === RUNNING) this.#release(names.indexOf(reason));
  }

  /** Rings the participants whose parties wait for the next round. */
  #wake(): void {
    this.rows((row) => {
      if (this.load(row + OUTSIDE) !== 0) this.ring(this.of(row));
    });
  }

  protected override reclaim(row: number): void {
    const state = this.load(this.own(STATE));
    const runs = state === RUNNING && this.load(this.own(RUNNER)) === this.of(row);
    if (runs || (state === FILLING || state === RUNNING) && this.load(row + WAITING) > 0) {
      this.#release(names.indexOf("PartyDied"));
    }
  }

  protected override advance(): void {
    while (this.load(this.own(STATE)) === RELEASING) {
      const told = this.attempt(() => {
        if (this.load(this.own(STATE)) !== RELEASING) return;
        const result = this.load(this.own(RESULT));
        const row = this.find(0, (row) => this.load(row + WAITING) > 0);
        if (row !== undefined) {
          this.set(row + OUTCOME, result);
          this.set(row + WAITING, 0);
          this.ring(this.of(row));
          return;
        }
        this.set(this.own(COUNT), 0);
        this.set(this.own(RUNNER), 0);
        this.set(this.own(STATE), result > RESET ? BROKEN : FILLING);
        this.#wake();
      });
      if (told === BUSY) return this.perform(() => {}, () => this.advance());
    }
  }

  protected override deliver(): void {
    const row = this.ownRow();
    if (row !== undefined && this.load(row + OUTCOME) !== 0) {
      let result = 0;
      const seen = this.attempt(() => {
        result = this.load(row + OUTCOME);
        if (result !== 0) this.set(row + OUTCOME, 0);
      });
      if (seen === BUSY) return this.perform(() => {});
      const all = result === 0 ? [] : [...this.#inside];
      if (result !== 0) this.#inside.clear();
      for (const { done, index } of all) {
        done(result === PASSED ? { _tag: "Passed", index } : { _tag: "Broken", reason: names[result] as Reason });
      }
    }
    if (this.#outside.size > 0 && this.load(this.own(STATE)) !== RUNNING) this.#come();
    this.settle();
  }

  protected override abandon(over: WaitFailure): void {
    const all = [...this.#inside, ...this.#outside];
    if (over === "gone") {
      this.#inside.clear();
      this.#outside.clear();
    }
    for (const { done } of all) done({ _tag: "WaitFailure", over });
  }
}
