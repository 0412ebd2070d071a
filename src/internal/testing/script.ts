/**
 * The script of a test backend: which fault happens at which request.
 *
 * @module
 */
import type { Action, Fault } from "../../TestBackend.ts";

/** A request, as faults see it. */
export interface RequestPosition {
  readonly worker: number;
  readonly task: string;
  readonly when: "received" | "answered";
}

/** The faults of a backend, each with the number of requests that it has matched. */
export class Script {
  readonly #faults: ReadonlyArray<{ readonly fault: Fault; matched: number }>;

  constructor(faults: ReadonlyArray<Fault>) {
    this.#faults = faults.map((fault) => ({ fault, matched: 0 }));
  }

  /** The actions that are due at a place of a request. Each place of each request must be asked for once. */
  due({ task, when, worker }: RequestPosition): ReadonlyArray<Action> {
    return this.#faults.flatMap((entry) => {
      const { fault } = entry;
      if ((fault.when ?? "received") !== when) return [];
      if (fault.worker !== undefined && fault.worker !== worker) return [];
      if (fault.task !== undefined && fault.task !== task) return [];
      entry.matched++;
      return fault.nth === undefined || fault.nth === entry.matched ? [fault.action] : [];
    });
  }
}
