/**
 * Numbers in shared memory, one or many, and all that can be done to one in a single step. Free of Effect.
 *
 * @module
 */
import type { Cells } from "../os/atomics.ts";
import { show } from "../os/arguments.ts";
import { OutOfRange } from "./errors.ts";
import type { Description } from "./types.ts";

type Kept = number | bigint;

/** Of two numbers, or of two bigints. */
type Operation = (a: number, b: number) => number;

const plus: Operation = (a, b) => a + b;
const minus: Operation = (a, b) => a - b;
const both: Operation = (a, b) => a & b;
const either: Operation = (a, b) => a | b;
const differ: Operation = (a, b) => a ^ b;

/** Where numbers are. Throws a `MemoryError` if they are no more. */
export type Reach = () => Cells<Kept>;

/** Numbers of one type. Indexes are right already; values are checked here, before anything is done. */
export class Numbers {
  readonly type: Description;
  readonly #reach: Reach;

  constructor(type: Description, reach: Reach) {
    this.type = type;
    this.#reach = reach;
  }

  get(at: number): unknown {
    return this.type.give(this.#reach().load(at));
  }

  set(at: number, value: unknown): void {
    const kept = this.type.keep(value);
    this.#reach().store(at, kept);
  }

  exchange(at: number, value: unknown): unknown {
    const kept = this.type.keep(value);
    return this.type.give(this.#reach().exchange(at, kept));
  }

  compareExchange(at: number, expected: unknown, value: unknown): unknown {
    const [before, kept] = [this.type.keep(expected), this.type.keep(value)];
    return this.type.give(this.#reach().swap(at, before, kept));
  }

  update(at: number, change: (value: unknown) => unknown): unknown {
    const { give, keep } = this.type;
    return give(this.#reach().update(at, (kept) => keep(change(give(kept)))));
  }

  add(at: number, value: Kept): Kept {
    return this.#combine(at, this.#operand(value), plus);
  }

  sub(at: number, value: Kept): Kept {
    return this.#combine(at, this.#operand(value), minus);
  }

  and(at: number, mask: Kept): Kept {
    return this.#combine(at, this.#mask(mask), both);
  }

  or(at: number, mask: Kept): Kept {
    return this.#combine(at, this.#mask(mask), either);
  }

  xor(at: number, mask: Kept): Kept {
    return this.#combine(at, this.#mask(mask), differ);
  }

  #combine(at: number, value: Kept, how: Operation): Kept {
    const { keep, unsigned } = this.type;
    return this.#reach().update(at, (kept) => {
      const result = how(kept as never, value as never) as Kept;
      // What has 32 bits is signed as a result of a bitwise operation.
      return keep(unsigned && how !== plus && how !== minus && typeof result === "number" ? result >>> 0 : result);
    });
  }

  /** A sum of a number and a bigint is a mistake; one out of range may lead back into it. */
  #operand(value: Kept): Kept {
    const { integer, zero } = this.type;
    const right = this.type.numeric && typeof value === typeof zero &&
      (!integer || typeof value === "bigint" || Number.isInteger(value));
    if (right) return value;
    throw new OutOfRange(
      "Value",
      `Cannot add or subtract ${show(value)}: it is not of the kind of number that is there`,
    );
  }

  #mask(mask: Kept): Kept {
    if (!this.type.integer) throw new OutOfRange("Type", "Cannot combine bits: only integers have them");
    return this.type.keep(mask);
  }
}
