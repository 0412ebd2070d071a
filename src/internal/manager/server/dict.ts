/**
 * A dict, where it lives.
 *
 * @module
 */
import type * as Stream from "effect/Stream";
import { elements } from "./elements.ts";
import { lifted, type Tasks, then } from "./tasks.ts";
import { Turn } from "./turn.ts";
import type { Lent } from "./open_calls.ts";
import { copy, keyOf, same } from "./values.ts";
import { Watchers } from "./watchers.ts";

type Entry = [key: unknown, value: unknown];

type Change =
  | { readonly _tag: "Snapshot"; readonly value: ReadonlyMap<unknown, unknown> }
  | { readonly _tag: "Set"; readonly key: unknown; readonly value: unknown }
  | { readonly _tag: "Delete"; readonly key: unknown }
  | { readonly _tag: "Clear" };

/** Keys and values, in the order in which the keys came. */
export class DictHost {
  readonly #entries = new Map<unknown, Entry>();
  readonly #tasks: Tasks;
  readonly #turn = new Turn();
  readonly #watchers = new Watchers<Change>(() => ({ _tag: "Snapshot", value: this.value() }));

  constructor(tasks: Tasks, entries: Iterable<Entry> = []) {
    this.#tasks = tasks;
    for (const [key, value] of entries) this.#entries.set(keyOf(key), [key, value]);
  }

  value(): Map<unknown, unknown> {
    return new Map(this.#entries.values());
  }

  toObject(): object {
    // Entries are defined, not set: `__proto__` is a name like any other.
    return Object.fromEntries(this.#entries.values() as Iterable<[string, unknown]>);
  }

  size(): number {
    return this.#entries.size;
  }

  has(key: unknown): boolean {
    return this.#entries.has(keyOf(key));
  }

  get(key: unknown, otherwise?: unknown): unknown {
    const entry = this.#entries.get(keyOf(key));
    return entry === undefined ? otherwise : entry[1];
  }

  getMany(keys: Iterable<unknown>): Array<unknown> {
    return Array.from(keys, (key) => this.get(key));
  }

  keys(): Array<unknown> {
    return Array.from(this.#entries.values(), ([key]) => key);
  }

  values(): Array<unknown> {
    return Array.from(this.#entries.values(), ([, value]) => value);
  }

  entries(): Array<Entry> {
    return [...this.#entries.values()];
  }

  toStream(): Stream.Stream<Entry> {
    return elements(() => this.entries());
  }

  watch(): Stream.Stream<Change> {
    return this.#watchers.stream;
  }

  set(key: unknown, value: unknown): unknown {
    return this.#turn.write(() => this.#set(key, value));
  }

  setDefault(key: unknown, value: unknown): unknown {
    return this.#turn.write(() => {
      const entry = this.#entries.get(keyOf(key));
      if (entry !== undefined) return entry[1];
      this.#set(key, value);
      return value;
    });
  }

  update(entries: Iterable<Entry>): unknown {
    return this.#turn.write(() => {
      for (const [key, value] of entries) this.#set(key, value);
    });
  }

  delete(key: unknown): unknown {
    return this.#turn.write(() => this.#delete(key));
  }

  /** Takes a key out, or the newest; it comes back as the newest, unless it has another value by then. */
  lend(method: string, [key]: ReadonlyArray<unknown>): unknown {
    if (method !== "pop" && method !== "popItem") throw new TypeError("it takes nothing out");
    return this.#turn.write((): Lent => {
      const found = method === "pop" ? this.#entries.get(keyOf(key)) : [...this.#entries.values()].at(-1);
      if (found !== undefined) this.#delete(found[0]);
      return {
        value: method === "pop" ? found?.[1] : found,
        giveBack: () => {
          if (found !== undefined && !this.has(found[0])) this.#set(...found);
        },
      };
    });
  }

  clear(): unknown {
    return this.#turn.write(() => {
      this.#entries.clear();
      this.#watchers.tell(() => ({ _tag: "Clear" }));
    });
  }

  compareAndSet(key: unknown, expected: unknown, value: unknown): unknown {
    return this.#turn.write(() => {
      if (!same(this.get(key), expected)) return false;
      this.#set(key, value);
      return true;
    });
  }

  modify(key: unknown, task: unknown, args: ReadonlyArray<unknown>): unknown {
    return this.#turn.hold(lifted(() =>
      then(this.#tasks.run(task, copy(this.get(key)), ...args), (value) => {
        this.#set(key, value);
        return value;
      })
    ));
  }

  #set(key: unknown, value: unknown): void {
    const found = keyOf(key);
    const entry = this.#entries.get(found);
    if (entry === undefined) this.#entries.set(found, [key, value]);
    else entry[1] = value;
    this.#watchers.tell(() => ({ _tag: "Set", key, value }));
  }

  #delete(key: unknown): boolean {
    const deleted = this.#entries.delete(keyOf(key));
    if (deleted) this.#watchers.tell(() => ({ _tag: "Delete", key }));
    return deleted;
  }
}
