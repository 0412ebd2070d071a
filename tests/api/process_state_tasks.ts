/**
 * Plain tasks about what a process shares with its parent, and what it does not.
 *
 * @module
 */
import * as Task from "../../src/Task.ts";

/** Something that each process has for itself. */
let count = 0;

/** How often {@link change} has run in this process. */
export const changes = (): number => count;

/** Changes whatever it can reach, and gives what it has then. */
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

/** Adds up, each time that it is run, and remembers that in its own fields. */
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

/** Itself and its parent, as the system knows them. */
export const pids = Task.make(import.meta, "pids", () => ({ pid: Deno.pid, ppid: Deno.ppid }));

/** What it has open: how many of each kind. */
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
