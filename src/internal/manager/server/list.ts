/**
 * A list, where it lives.
 *
 * @module
 */
import type * as Stream from "effect/Stream";
import { integer, show } from "../../os/arguments.ts";
import { ManagerError } from "../errors.ts";
import { elements } from "./elements.ts";
import { lifted, type Tasks, then } from "./tasks.ts";
import { Turn } from "./turn.ts";
import type { Lent } from "./open_calls.ts";
import { copy, same } from "./values.ts";
import { Watchers } from "./watchers.ts";

type Change =
  | { readonly _tag: "Snapshot"; readonly value: ReadonlyArray<unknown> }
  | {
    readonly _tag: "Splice";
    readonly index: number;
    readonly deleted: number;
    readonly items: ReadonlyArray<unknown>;
  };

/** The order of values that have one: of any others, that of their texts, as `Array.sort` has it. */
const natural = (a: unknown, b: unknown): number => {
  if (a === undefined || b === undefined) return Number(a === undefined) - Number(b === undefined);
  const comparable =
    (typeof a === "number" || typeof a === "bigint") && (typeof b === "number" || typeof b === "bigint") ||
    typeof a === "string" && typeof b === "string" || a instanceof Date && b instanceof Date;
  const [x, y] = comparable ? [a as number, b as number] : [String(a), String(b)];
  return x < y ? -1 : x > y ? 1 : 0;
};

/** An index that is no integer is nowhere. */
function whole(index: unknown): asserts index is number {
  const wrong = integer(index);
  if (wrong !== undefined) throw new ManagerError("InvalidArguments", `Cannot use the list: the index ${wrong}`);
}

/** Values in an order, by their index. Negative ones count from the end. */
export class ListHost {
  #items: Array<unknown>;
  readonly #tasks: Tasks;
  readonly #turn = new Turn();
  readonly #watchers = new Watchers<Change>(() => ({ _tag: "Snapshot", value: this.value() }));

  constructor(tasks: Tasks, items: Iterable<unknown> = []) {
    this.#tasks = tasks;
    this.#items = [...items];
  }

  value(): Array<unknown> {
    return [...this.#items];
  }

  length(): number {
    return this.#items.length;
  }

  at(index: number): unknown {
    return this.#items.at(index);
  }

  slice(start?: number, end?: number): Array<unknown> {
    return this.#items.slice(start, end);
  }

  includes(value: unknown): boolean {
    return this.indexOf(value) >= 0;
  }

  indexOf(value: unknown, from = 0): number {
    const start = from < 0 ? Math.max(0, this.#items.length + from) : from;
    for (let i = start; i < this.#items.length; i++) if (same(this.#items[i], value)) return i;
    return -1;
  }

  lastIndexOf(value: unknown): number {
    return this.#items.findLastIndex((item) => same(item, value));
  }

  count(value: unknown): number {
    return this.#items.reduce((count: number, item) => same(item, value) ? count + 1 : count, 0);
  }

  join(separator?: string): string {
    return this.#items.join(separator);
  }

  toStream(): Stream.Stream<unknown> {
    return elements(() => this.value());
  }

  watch(): Stream.Stream<Change> {
    return this.#watchers.stream;
  }

  set(index: number, value: unknown): unknown {
    return this.#turn.write(() => void this.#splice(this.#place(index), 1, [value]));
  }

  push(items: ReadonlyArray<unknown>): unknown {
    return this.#turn.write(() => {
      this.#splice(this.#items.length, 0, items);
      return this.#items.length;
    });
  }

  unshift(items: ReadonlyArray<unknown>): unknown {
    return this.#turn.write(() => {
      this.#splice(0, 0, items);
      return this.#items.length;
    });
  }

  insert(index: number, value: unknown): unknown {
    whole(index);
    return this.#turn.write(() => void this.#splice(index, 0, [value]));
  }

  /** Takes an item out; it comes back to where it was. */
  lend(method: string, [index = -1]: ReadonlyArray<unknown>): unknown {
    if (method !== "pop") throw new TypeError("it takes nothing out");
    whole(index);
    return this.#turn.write((): Lent => {
      const at = index < 0 ? this.#items.length + index : index;
      const there = at in this.#items;
      const value = there ? this.#splice(at, 1, [])[0] : undefined;
      return { value, giveBack: () => void (there && this.#splice(at, 0, [value])) };
    });
  }

  splice(start: number, deleted = Infinity, items: ReadonlyArray<unknown> = []): unknown {
    return this.#turn.write(() => this.#splice(start, deleted, items));
  }

  remove(value: unknown): unknown {
    return this.#turn.write(() => {
      const index = this.indexOf(value);
      if (index >= 0) this.#splice(index, 1, []);
      return index >= 0;
    });
  }

  clear(): unknown {
    return this.#turn.write(() => void this.#splice(0, Infinity, []));
  }

  fill(value: unknown, start?: number, end?: number): unknown {
    return this.#turn.write(() => this.#replace(this.#items.fill(value, start, end)));
  }

  reverse(): unknown {
    return this.#turn.write(() => this.#replace(this.#items.reverse()));
  }

  sort(descending = false): unknown {
    return this.#turn.write(() => this.#replace(this.#items.sort(descending ? (a, b) => natural(b, a) : natural)));
  }

  compareAndSet(index: number, expected: unknown, value: unknown): unknown {
    return this.#turn.write(() => {
      const at = this.#place(index);
      if (!same(this.#items[at], expected)) return false;
      this.#splice(at, 1, [value]);
      return true;
    });
  }

  modify(index: number, task: unknown, args: ReadonlyArray<unknown>): unknown {
    return this.#turn.hold(lifted(() => {
      const at = this.#place(index);
      return then(this.#tasks.run(task, copy(this.#items[at]), ...args), (value) => {
        this.#splice(at, 1, [value]);
        return value;
      });
    }));
  }

  modifyAll(task: unknown, args: ReadonlyArray<unknown>): unknown {
    return this.#turn.hold(lifted(() =>
      then(this.#tasks.run(task, copy(this.#items), ...args), (items) => {
        if (!Array.isArray(items)) {
          throw new ManagerError("InvalidResult", "Cannot change the list: the task must return an array");
        }
        this.#replace([...items]);
      })
    ));
  }

  #place(index: number): number {
    const at = index < 0 ? this.#items.length + index : index;
    if (Number.isInteger(at) && at >= 0 && at < this.#items.length) return at;
    throw new ManagerError(
      "InvalidArguments",
      `Cannot use the list at ${show(index)}: it has ${this.#items.length} items`,
    );
  }

  #splice(start: number, deleted: number, items: ReadonlyArray<unknown>): Array<unknown> {
    const length = this.#items.length;
    const index = start < 0 ? Math.max(0, length + start) : Math.min(start, length);
    let removed: Array<unknown>;
    // An array that is the stack's arguments has its limits.
    if (items.length > 10_000) {
      removed = this.#items.slice(index, index + deleted);
      this.#items = this.#items.slice(0, index).concat(items, this.#items.slice(index + removed.length));
    } else removed = this.#items.splice(index, deleted, ...items);
    this.#watchers.tell(() => ({ _tag: "Splice", index, deleted: removed.length, items }));
    return removed;
  }

  #replace(items: Array<unknown>): void {
    this.#items = items;
    this.#watchers.tell(() => ({ _tag: "Snapshot", value: this.value() }));
  }
}
