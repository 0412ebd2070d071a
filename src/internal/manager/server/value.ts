/**
 * The hosts of a managed value and of a managed array of numbers.
 *
 * @module
 */
import type * as Effect from "effect/Effect";
import type * as Stream from "effect/Stream";
import { show } from "../../os/arguments.ts";
import { ManagerError } from "../errors.ts";
import { copy, isSame } from "./by_value.ts";
import { andThen, toEffect } from "./results.ts";
import type { Tasks } from "./tasks.ts";
import { Watchers } from "./watchers.ts";
import { WriteLock } from "./write_lock.ts";

const invalid = (message: string): ManagerError => new ManagerError("InvalidArguments", message);

/** One value. */
export class ValueHost {
  #value: unknown;
  readonly #tasks: Tasks;
  readonly #lock = new WriteLock();
  // A slow watcher sees only the last of the values that it has missed.
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
    return this.#lock.write(() => this.#set(value));
  }

  getAndSet(value: unknown): unknown {
    return this.#lock.write(() => {
      const before = this.#value;
      this.#set(value);
      return before;
    });
  }

  compareAndSet(expected: unknown, value: unknown): unknown {
    return this.#lock.write(() => {
      if (!isSame(this.#value, expected)) return false;
      this.#set(value);
      return true;
    });
  }

  add(amount: number | bigint): unknown {
    return this.#lock.write(() => {
      if (typeof this.#value !== typeof amount || (typeof amount !== "number" && typeof amount !== "bigint")) {
        throw invalid(`Cannot add a ${typeof amount} to the value: the value is a ${typeof this.#value}`);
      }
      this.#set((this.#value as number) + (amount as number));
      return this.#value;
    });
  }

  modify(task: unknown, args: ReadonlyArray<unknown>): unknown {
    return this.#lock.hold(toEffect(() =>
      andThen(this.#tasks.run(task, copy(this.#value), ...args), (value) => {
        this.#set(value);
        return value;
      })
    ));
  }

  #set(value: unknown): void {
    this.#value = value;
    this.#watchers.publish(() => value);
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

/** A fixed number of numbers of one kind. */
export class ArrayHost {
  readonly #numbers: Float64Array;
  readonly #lock = new WriteLock();
  readonly #tasks: Tasks;
  /** Whether an element can hold a value without converting it. */
  readonly #fits: (value: unknown) => boolean;

  constructor(tasks: Tasks, numbers: unknown) {
    if (!isNumbers(numbers)) throw invalid("Cannot make an array: the argument must be a typed array");
    this.#tasks = tasks;
    // The methods of all kinds have the same shape.
    this.#numbers = numbers.slice() as Float64Array;
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
    return this.#lock.write(() => {
      this.#numbers[this.#index(index)] = this.#checked(value);
    });
  }

  setAll(values: ArrayLike<number>, offset = 0): unknown {
    return this.#lock.write(() => {
      for (const value of Array.from(values)) this.#checked(value);
      if (!Number.isInteger(offset) || offset < 0 || offset + values.length > this.#numbers.length) {
        throw invalid(`Cannot set ${values.length} numbers at ${offset}: the array has ${this.#numbers.length}`);
      }
      this.#numbers.set(values, offset);
    });
  }

  fill(value: number, start?: number, end?: number): unknown {
    return this.#lock.write(() => void this.#numbers.fill(this.#checked(value), start, end));
  }

  add(index: number, amount: number): unknown {
    return this.#lock.write(() => {
      const at = this.#index(index);
      this.#numbers[at] += this.#checked(amount);
      return this.#numbers[at];
    });
  }

  compareAndSet(index: number, expected: number, value: number): unknown {
    return this.#lock.write(() => {
      const at = this.#index(index);
      const [before, after] = [this.#checked(expected), this.#checked(value)];
      if (this.#numbers[at] !== before) return false;
      this.#numbers[at] = after;
      return true;
    });
  }

  modifyAll(task: unknown, args: ReadonlyArray<unknown>): Effect.Effect<unknown, unknown, unknown> {
    return this.#lock.hold(toEffect(() =>
      andThen(this.#tasks.run(task, this.#numbers.slice(), ...args), (values) => {
        if (!isNumbers(values) || values.length !== this.#numbers.length) {
          throw new ManagerError(
            "InvalidResult",
            "Cannot change the array: the task must return a typed array of the same length",
          );
        }
        const numbers = Array.from(values as Float64Array);
        for (const value of numbers) this.#checked(value);
        this.#numbers.set(numbers);
      })
    ));
  }

  #index(index: number): number {
    const at = index < 0 ? this.#numbers.length + index : index;
    if (Number.isInteger(at) && at >= 0 && at < this.#numbers.length) return at;
    throw invalid(`Cannot use index ${show(index)} of the array: it has ${this.#numbers.length} numbers`);
  }

  #checked(value: number): number {
    if (this.#fits(value)) return value;
    throw invalid(`Cannot put ${show(value)} into the array: it is not a number of the array's kind`);
  }
}
