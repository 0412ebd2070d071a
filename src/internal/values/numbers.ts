/**
 * Numbers of one type in shared memory, and the operations that change one of them in a single step. Free of Effect.
 *
 * Each operation is one atomic operation, or a loop of compare-and-swap whose last swap is the linearisation point.
 *
 * @module
 */
import type { Cells } from "../os/atomics.ts";
import { show } from "../os/arguments.ts";
import { OutOfRange } from "./errors.ts";
import type { Description } from "./types.ts";

type Kept = number | bigint;

/** An operation on two numbers; its operators apply to two bigints as well. */
type Operation = (a: number, b: number) => number;

const plus: Operation = (a, b) => a + b;
const minus: Operation = (a, b) => a - b;
const both: Operation = (a, b) => a & b;
const either: Operation = (a, b) => a | b;
const differ: Operation = (a, b) => a ^ b;

/** Finds the cells. Throws the `MemoryError` `Gone` if the object has ended. */
export type Reach = () => Cells<Kept>;

/** Numbers of one type. The caller has checked indexes; values are checked here, before anything is changed. */
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
    return this.#combine(at, this.operand(value), plus);
  }

  sub(at: number, value: Kept): Kept {
    return this.#combine(at, this.operand(value), minus);
  }

  and(at: number, mask: Kept): Kept {
    return this.#combine(at, this.mask(mask), both);
  }

  or(at: number, mask: Kept): Kept {
    return this.#combine(at, this.mask(mask), either);
  }

  xor(at: number, mask: Kept): Kept {
    return this.#combine(at, this.mask(mask), differ);
  }

  #combine(at: number, value: Kept, how: Operation): Kept {
    const { keep, unsigned } = this.type;
    return this.#reach().update(at, (kept) => {
      const result = how(kept as number, value as number) as Kept;
      // Bitwise operators return signed integers.
      return keep(unsigned && how !== plus && how !== minus && typeof result === "number" ? result >>> 0 : result);
    });
  }

  /** Checks an operand. An operand out of the range of the type is valid: the result may be in range. */
  operand(value: Kept): Kept {
    const { integer, zero } = this.type;
    const right = this.type.numeric && typeof value === typeof zero &&
      (!integer || typeof value === "bigint" || Number.isInteger(value));
    if (right) return value;
    throw new OutOfRange(
      "Value",
      `Cannot add or subtract ${show(value)}: its type is not that of the value in shared memory`,
    );
  }

  /** Checks a mask. */
  mask(mask: Kept): Kept {
    if (!this.type.integer) throw new OutOfRange("Type", "Cannot combine bits: only integers have them");
    return this.type.keep(mask);
  }
}
