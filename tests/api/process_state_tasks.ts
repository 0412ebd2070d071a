/**
 * Plain tasks about the state that a process shares with its parent, and the state that it does not.
 *
 * @module
 */
import * as Task from "../../src/Task.ts";

/** State that each process has for itself. */
let count = 0;

/** The number of runs of {@link change} in this process. */
export const changes = (): number => count;

/** Changes all state within reach, and returns the changed state. */
export const change = Task.make(
  import.meta,
  "change",
  (list: Array<number>, table: Map<string, number>, bytes: Uint8Array) => {
    list.push(99);
    table.set("changed", 1);
    bytes[0] = 99;
    return { list, table, bytes, count: ++count };
  },
);

/** Adds its term in each run, and keeps the sum in its own fields. */
export class Adder {
  sum = 0;
  readonly terms: Array<number> = [];
  constructor(readonly term: number) {}
  run(): { readonly sum: number; readonly terms: ReadonlyArray<number>; readonly pid: number } {
    this.sum += this.term;
    this.terms.push(this.term);
    return { sum: this.sum, terms: this.terms, pid: Deno.pid };
  }
}
export const adder = Task.fromClass(import.meta, Adder);

/** The pids of the process and of its parent, as the system reports them. */
export const pids = Task.make(import.meta, "pids", () => ({ pid: Deno.pid, ppid: Deno.ppid }));

/** The open descriptors: a count for each kind. */
export const descriptors = Task.make(
  import.meta,
  "descriptors",
  (): ReadonlyArray<string> =>
    [...Deno.readDirSync("/proc/self/fd")].flatMap(({ name }) => {
      try {
        return [Deno.readLinkSync(`/proc/self/fd/${name}`).replace(/\d+/g, "n")];
      } catch {
        return [];
      }
    }).sort(),
);
