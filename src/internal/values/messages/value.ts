/**
 * `Value` for its users by messages, and what the host does for them.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import type { Integer } from "../../../Value.ts";
import { attempt } from "../attempt.ts";
import { Cell } from "../cell.ts";
import { demandChange, type MemoryError, type MemoryFailure, pair } from "../errors.ts";
import { numberOperations, type NumbersDescriptor, NumbersMessages, operations } from "./numbers.ts";

export const TypeId = "~multiprocessing/Value";

/** The data of a handle. */
export interface ValueDescriptor extends NumbersDescriptor {
  /** Offset within the data of the object, in bytes. */
  readonly offset: number;
}

/** The operations at the host. */
export const valueOperations = numberOperations<Cell<unknown>>();

type Attempt<A> = Effect.Effect<A, MemoryFailure>;

/** The implementation of {@link Integer}. */
export class ValueMessages<A> extends NumbersMessages<A, ValueDescriptor> implements Integer<A> {
  readonly [TypeId]: typeof TypeId = TypeId;
  readonly raw: Cell<A>;

  constructor(descriptor: ValueDescriptor) {
    super("value", descriptor);
    this.raw = new Cell<A>(this.numbers, 0);
  }

  override toString(): string {
    return `Value(${this.type})`;
  }

  get get(): Effect.Effect<A, MemoryError> {
    return this.read(operations.get, () => []) as Effect.Effect<A, MemoryError>;
  }

  readonly set = (value: A): Attempt<void> => this.change(operations.set, () => [this.kept(value)]);

  readonly exchange = (value: A): Attempt<A> => this.change(operations.exchange, () => [this.kept(value)]);

  readonly compareExchange = (expected: A, value: A): Attempt<A> =>
    this.change(operations.compareExchange, () => [this.kept(expected), this.kept(value)]);

  readonly update = (change: (value: A) => A): Attempt<A> =>
    this.#updated(change, (value) => {
      const next = this.kept(change(value));
      return [next, next];
    });

  readonly modify = <B>(change: (value: A) => readonly [B, A]): Attempt<B> =>
    this.#updated(change, (value) => {
      const [answer, next] = pair(change(value));
      return [answer, this.kept(next)];
    });

  readonly add = (value: A): Attempt<A> => this.change(operations.add, () => [this.numbers.operand(value as number)]);

  readonly sub = (value: A): Attempt<A> => this.change(operations.sub, () => [this.numbers.operand(value as number)]);

  readonly and = (mask: A): Attempt<A> => this.change(operations.and, () => [this.numbers.mask(mask as number)]);

  readonly or = (mask: A): Attempt<A> => this.change(operations.or, () => [this.numbers.mask(mask as number)]);

  readonly xor = (mask: A): Attempt<A> => this.change(operations.xor, () => [this.numbers.mask(mask as number)]);

  #updated<B>(given: unknown, change: (value: A) => readonly [B, A]): Attempt<B> {
    return Effect.zipRight(
      attempt(() => demandChange(given)),
      this.updated(this.get, change, this.compareExchange),
    );
  }
}
