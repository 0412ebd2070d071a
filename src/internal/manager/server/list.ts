/**
 * The host of a managed list.
 *
 * @module
 */
import * as Stream from "effect/Stream";
import { integer, show } from "../../os/arguments.ts";
import { ManagerError } from "../errors.ts";
import { copy, isSame } from "./by_value.ts";
import type { TakenValue } from "./open_calls.ts";
import { andThen, toEffect } from "./results.ts";
import type { Tasks } from "./tasks.ts";
import { Watchers } from "./watchers.ts";
import { WriteLock } from "./write_lock.ts";

type Change =
  | { readonly _tag: "Snapshot"; readonly value: ReadonlyArray<unknown> }
  | {
    readonly _tag: "Splice";
    readonly index: number;
    readonly deleted: number;
    readonly items: ReadonlyArray<unknown>;
  };

/** Compares numbers, bigints, strings and Dates by value, and other values as strings, as `Array.sort` does. */
const natural = (a: unknown, b: unknown): number => {
  if (a === undefined || b === undefined) return Number(a === undefined) - Number(b === undefined);
  const comparable =
    (typeof a === "number" || typeof a === "bigint") && (typeof b === "number" || typeof b === "bigint") ||
    typeof a === "string" && typeof b === "string" || a instanceof Date && b instanceof Date;
  const [x, y] = comparable ? [a as number, b as number] : [String(a), String(b)];
  return x < y ? -1 : x > y ? 1 : 0;
};

/** Throws unless the index is an integer. */
function assertIndex(index: unknown): asserts index is number {
  const wrong = integer(index);
  if (wrong !== undefined) throw new ManagerError("InvalidArguments", `Cannot use the list: the index ${wrong}`);
}

/** Values by index. A negative index counts from the end. */
export class ListHost {
  #items: Array<unknown>;
  readonly #tasks: Tasks;
  readonly #lock = new WriteLock();
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
    for (let i = start; i < this.#items.length; i++) if (isSame(this.#items[i], value)) return i;
    return -1;
  }

  lastIndexOf(value: unknown): number {
    return this.#items.findLastIndex((item) => isSame(item, value));
  }

  count(value: unknown): number {
    return this.#items.reduce((count: number, item) => isSame(item, value) ? count + 1 : count, 0);
  }

  join(separator?: string): string {
    return this.#items.join(separator);
  }

  toStream(): Stream.Stream<unknown> {
    return Stream.suspend(() => Stream.fromIterable(this.value()));
  }

  watch(): Stream.Stream<Change> {
    return this.#watchers.stream;
  }

  set(index: number, value: unknown): unknown {
    return this.#lock.write(() => void this.#splice(this.#index(index), 1, [value]));
  }

  push(items: ReadonlyArray<unknown>): unknown {
    return this.#lock.write(() => {
      this.#splice(this.#items.length, 0, items);
      return this.#items.length;
    });
  }

  unshift(items: ReadonlyArray<unknown>): unknown {
    return this.#lock.write(() => {
      this.#splice(0, 0, items);
      return this.#items.length;
    });
  }

  insert(index: number, value: unknown): unknown {
    assertIndex(index);
    return this.#lock.write(() => void this.#splice(index, 0, [value]));
  }

  /** Takes out an item. It is put back at the same index. */
  lend(method: string, [index = -1]: ReadonlyArray<unknown>): unknown {
    if (method !== "pop") throw new TypeError(`${method} takes nothing out`);
    assertIndex(index);
    return this.#lock.write((): TakenValue => {
      const at = index < 0 ? this.#items.length + index : index;
      const exists = at in this.#items;
      const value = exists ? this.#splice(at, 1, [])[0] : undefined;
      return { value, putBack: () => void (exists && this.#splice(at, 0, [value])) };
    });
  }

  splice(start: number, deleted = Infinity, items: ReadonlyArray<unknown> = []): unknown {
    return this.#lock.write(() => this.#splice(start, deleted, items));
  }

  remove(value: unknown): unknown {
    return this.#lock.write(() => {
      const index = this.indexOf(value);
      if (index >= 0) this.#splice(index, 1, []);
      return index >= 0;
    });
  }

  clear(): unknown {
    return this.#lock.write(() => void this.#splice(0, Infinity, []));
  }

  fill(value: unknown, start?: number, end?: number): unknown {
    return this.#lock.write(() => this.#replace(this.#items.fill(value, start, end)));
  }

  reverse(): unknown {
    return this.#lock.write(() => this.#replace(this.#items.reverse()));
  }

  sort(descending = false): unknown {
    return this.#lock.write(() => this.#replace(this.#items.sort(descending ? (a, b) => natural(b, a) : natural)));
  }

  compareAndSet(index: number, expected: unknown, value: unknown): unknown {
    return this.#lock.write(() => {
      const at = this.#index(index);
      if (!isSame(this.#items[at], expected)) return false;
      this.#splice(at, 1, [value]);
      return true;
    });
  }

  modify(index: number, task: unknown, args: ReadonlyArray<unknown>): unknown {
    return this.#lock.hold(toEffect(() => {
      const at = this.#index(index);
      return andThen(this.#tasks.run(task, copy(this.#items[at]), ...args), (value) => {
        this.#splice(at, 1, [value]);
        return value;
      });
    }));
  }

  modifyAll(task: unknown, args: ReadonlyArray<unknown>): unknown {
    return this.#lock.hold(toEffect(() =>
      andThen(this.#tasks.run(task, copy(this.#items), ...args), (items) => {
        if (!Array.isArray(items)) {
          throw new ManagerError("InvalidResult", "Cannot change the list: the task must return an array");
        }
        this.#replace([...items]);
      })
    ));
  }

  #index(index: number): number {
    const at = index < 0 ? this.#items.length + index : index;
    if (Number.isInteger(at) && at >= 0 && at < this.#items.length) return at;
    throw new ManagerError(
      "InvalidArguments",
      `Cannot use index ${show(index)} of the list: it has ${this.#items.length} items`,
    );
  }

  #splice(start: number, deleted: number, items: ReadonlyArray<unknown>): Array<unknown> {
    const length = this.#items.length;
    const index = start < 0 ? Math.max(0, length + start) : Math.min(start, length);
    let removed: Array<unknown>;
    // A long array cannot be spread into arguments.
    if (items.length > 10_000) {
      removed = this.#items.slice(index, index + deleted);
      this.#items = this.#items.slice(0, index).concat(items, this.#items.slice(index + removed.length));
    } else removed = this.#items.splice(index, deleted, ...items);
    this.#watchers.publish(() => ({ _tag: "Splice", index, deleted: removed.length, items }));
    return removed;
  }

  #replace(items: Array<unknown>): void {
    this.#items = items;
    this.#watchers.publish(() => ({ _tag: "Snapshot", value: this.value() }));
  }
}
