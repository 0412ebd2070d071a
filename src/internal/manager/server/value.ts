/**
 * One value, and an array of numbers, where they live.
 *
 * @module
 */
import type * as Effect from "effect/Effect";
import type * as Stream from "effect/Stream";
import { show } from "../../os/arguments.ts";
import { ManagerError } from "../errors.ts";
import { lifted, type Tasks, then } from "./tasks.ts";
import { Turn } from "./turn.ts";
import { copy, same } from "./values.ts";
import { Watchers } from "./watchers.ts";

const invalid = (message: string): ManagerError => new ManagerError("InvalidArguments", message);

/** One value. */
export class ValueHost {
  #value: unknown;
  readonly #tasks: Tasks;
  readonly #turn = new Turn();
  // Who is slow sees the last of what he has missed.
  readonly #watchers = new Watchers<unknown>(() => this.#value, 1);

  constructor(tasks: Tasks, value: unknown) {
    this.#tasks = tasks;
    this.#value = value;
  }

  value(): unknown {
    return this.#value;
  }

  get(): unknown {
    return this.#value;
  }

  watch(): Stream.Stream<unknown> {
    return this.#watchers.stream;
  }

  set(value: unknown): unknown {
    return this.#turn.write(() => this.#set(value));
  }

  getAndSet(value: unknown): unknown {
    return this.#turn.write(() => {
      const before = this.#value;
      this.#set(value);
      return before;
    });
  }

  compareAndSet(expected: unknown, value: unknown): unknown {
    return this.#turn.write(() => {
      if (!same(this.#value, expected)) return false;
      this.#set(value);
      return true;
    });
  }

  add(amount: number | bigint): unknown {
    return this.#turn.write(() => {
      if (typeof this.#value !== typeof amount || (typeof amount !== "number" && typeof amount !== "bigint")) {
        throw invalid(`Cannot add ${typeof amount} to the value: it is a ${typeof this.#value}`);
      }
      this.#set((this.#value as number) + (amount as number));
      return this.#value;
    });
  }

  modify(task: unknown, args: ReadonlyArray<unknown>): unknown {
    return this.#turn.hold(lifted(() =>
      then(this.#tasks.run(task, copy(this.#value), ...args), (value) => {
        this.#set(value);
        return value;
      })
    ));
  }

  #set(value: unknown): void {
    this.#value = value;
    this.#watchers.tell(() => value);
  }
}

type Numbers = Exclude<{ [K in keyof typeof kinds]: InstanceType<typeof kinds[K]> }[keyof typeof kinds], never>;

const kinds = {
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
} as const;

const isNumbers = (value: unknown): value is Numbers =>
  ArrayBuffer.isView(value) && Object.values(kinds).some((kind) => value instanceof kind);

/** Numbers of one kind; their count does not change. */
export class ArrayHost {
  readonly #numbers: Float64Array;
  readonly #turn = new Turn();
  readonly #tasks: Tasks;
  /** Whether this is a number that a place can hold; others would be something else there. */
  readonly #fits: (value: unknown) => boolean;

  constructor(tasks: Tasks, numbers: unknown) {
    if (!isNumbers(numbers)) throw invalid("Cannot make an array: it is made from a typed array");
    this.#tasks = tasks;
    // Whichever kind it is, it behaves like this one.
    this.#numbers = numbers.slice() as unknown as Float64Array;
    const { constructor } = numbers;
    if (constructor === BigInt64Array || constructor === BigUint64Array) {
      this.#fits = (value) => typeof value === "bigint";
    } else if (constructor === Float32Array || constructor === Float64Array) {
      this.#fits = (value) => typeof value === "number";
    } else this.#fits = Number.isInteger;
  }

  value(): ArrayLike<number> {
    return this.#numbers;
  }

  length(): number {
    return this.#numbers.length;
  }

  at(index: number): number | undefined {
    return this.#numbers.at(index);
  }

  slice(start?: number, end?: number): ArrayLike<number> {
    return this.#numbers.slice(start, end);
  }

  set(index: number, value: number): unknown {
    return this.#turn.write(() => {
      this.#numbers[this.#place(index)] = this.#checked(value);
    });
  }

  setAll(values: ArrayLike<number>, offset = 0): unknown {
    return this.#turn.write(() => {
      for (const value of Array.from(values)) this.#checked(value);
      if (!Number.isInteger(offset) || offset < 0 || offset + values.length > this.#numbers.length) {
        throw invalid(`Cannot set ${values.length} numbers at ${offset}: the array has ${this.#numbers.length}`);
      }
      this.#numbers.set(values, offset);
    });
  }

  fill(value: number, start?: number, end?: number): unknown {
    return this.#turn.write(() => void this.#numbers.fill(this.#checked(value), start, end));
  }

  add(index: number, amount: number): unknown {
    return this.#turn.write(() => {
      const at = this.#place(index);
      this.#numbers[at] += this.#checked(amount);
      return this.#numbers[at];
    });
  }

  compareAndSet(index: number, expected: number, value: number): unknown {
    return this.#turn.write(() => {
      const at = this.#place(index);
      const [before, after] = [this.#checked(expected), this.#checked(value)];
      if (this.#numbers[at] !== before) return false;
      this.#numbers[at] = after;
      return true;
    });
  }

  modifyAll(task: unknown, args: ReadonlyArray<unknown>): Effect.Effect<unknown, unknown, unknown> {
    return this.#turn.hold(lifted(() =>
      then(this.#tasks.run(task, this.#numbers.slice(), ...args), (values) => {
        if (!isNumbers(values) || values.length !== this.#numbers.length) {
          throw new ManagerError(
            "InvalidResult",
            "Cannot change the array: the task must return one of the same length",
          );
        }
        const numbers = Array.from(values as Float64Array);
        for (const value of numbers) this.#checked(value);
        this.#numbers.set(numbers);
      })
    ));
  }

  #place(index: number): number {
    const at = index < 0 ? this.#numbers.length + index : index;
    if (Number.isInteger(at) && at >= 0 && at < this.#numbers.length) return at;
    throw invalid(`Cannot use the array at ${show(index)}: it has ${this.#numbers.length} numbers`);
  }

  #checked(value: number): number {
    if (this.#fits(value)) return value;
    throw invalid(`Cannot put ${show(value)} into the array: it is no number of its kind`);
  }
}
