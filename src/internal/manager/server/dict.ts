/**
 * The host of a managed dict.
 *
 * @module
 */
import * as Stream from "effect/Stream";
import { copy, isSame, keyOf } from "./by_value.ts";
import type { TakenValue } from "./open_calls.ts";
import { andThen, toEffect } from "./results.ts";
import type { Tasks } from "./tasks.ts";
import { Watchers } from "./watchers.ts";
import { WriteLock } from "./write_lock.ts";

type Entry = [key: unknown, value: unknown];

type Change =
  | { readonly _tag: "Snapshot"; readonly value: ReadonlyMap<unknown, unknown> }
  | { readonly _tag: "Set"; readonly key: unknown; readonly value: unknown }
  | { readonly _tag: "Delete"; readonly key: unknown }
  | { readonly _tag: "Clear" };

/** Keys and values, in the order in which the keys were first set. */
export class DictHost {
  readonly #entries = new Map<unknown, Entry>();
  readonly #tasks: Tasks;
  readonly #lock = new WriteLock();
  readonly #watchers = new Watchers<Change>(() => ({ _tag: "Snapshot", value: this.value() }));

  constructor(tasks: Tasks, entries: Iterable<Entry> = []) {
    this.#tasks = tasks;
    for (const [key, value] of entries) this.#entries.set(keyOf(key), [key, value]);
  }

  value(): Map<unknown, unknown> {
    return new Map(this.#entries.values());
  }

  toObject(): object {
    // `fromEntries` defines properties, so that `__proto__` is a name like any other.
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
    return Stream.suspend(() => Stream.fromIterable(this.entries()));
  }

  watch(): Stream.Stream<Change> {
    return this.#watchers.stream;
  }

  set(key: unknown, value: unknown): unknown {
    return this.#lock.write(() => this.#set(key, value));
  }

  setDefault(key: unknown, value: unknown): unknown {
    return this.#lock.write(() => {
      const entry = this.#entries.get(keyOf(key));
      if (entry !== undefined) return entry[1];
      this.#set(key, value);
      return value;
    });
  }

  update(entries: Iterable<Entry>): unknown {
    return this.#lock.write(() => {
      for (const [key, value] of entries) this.#set(key, value);
    });
  }

  delete(key: unknown): unknown {
    return this.#lock.write(() => this.#delete(key));
  }

  /** Takes out a key, or the newest one. It is put back as the newest key, unless the key was set again meanwhile. */
  lend(method: string, [key]: ReadonlyArray<unknown>): unknown {
    if (method !== "pop" && method !== "popItem") throw new TypeError(`${method} takes nothing out`);
    return this.#lock.write((): TakenValue => {
      const found = method === "pop" ? this.#entries.get(keyOf(key)) : [...this.#entries.values()].at(-1);
      if (found !== undefined) this.#delete(found[0]);
      return {
        value: method === "pop" ? found?.[1] : found,
        putBack: () => {
          if (found !== undefined && !this.has(found[0])) this.#set(...found);
        },
      };
    });
  }

  clear(): unknown {
    return this.#lock.write(() => {
      this.#entries.clear();
      this.#watchers.publish(() => ({ _tag: "Clear" }));
    });
  }

  compareAndSet(key: unknown, expected: unknown, value: unknown): unknown {
    return this.#lock.write(() => {
      if (!isSame(this.get(key), expected)) return false;
      this.#set(key, value);
      return true;
    });
  }

  modify(key: unknown, task: unknown, args: ReadonlyArray<unknown>): unknown {
    return this.#lock.hold(toEffect(() =>
      andThen(this.#tasks.run(task, copy(this.get(key)), ...args), (value) => {
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
    this.#watchers.publish(() => ({ _tag: "Set", key, value }));
  }

  #delete(key: unknown): boolean {
    const deleted = this.#entries.delete(keyOf(key));
    if (deleted) this.#watchers.publish(() => ({ _tag: "Delete", key }));
    return deleted;
  }
}
