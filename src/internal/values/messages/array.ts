/**
 * `Array` for its users by messages, and what the host does for them.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import type { Integer } from "../../../Array.ts";
import type { BlockToken } from "../../os/mapping.ts";
import type { MessageOperations } from "../../sync/messages/gateway.ts";
import { attempt } from "../attempt.ts";
import { Elements, indexIn, keptIn, part, views } from "../elements.ts";
import { demand, demandChange, type MemoryError, type MemoryFailure, pair } from "../errors.ts";
import { numberOperations, type NumbersDescriptor, NumbersMessages, operations } from "./numbers.ts";
import { answering } from "./object.ts";

export const TypeId = "~multiprocessing/Array";

const SLICE = 20;
const SET_ALL = 21;
const FILL = 22;

/** Bytes of elements in one message. */
const CHUNK = 2 ** 20;

/** The data of a handle. */
export interface ArrayDescriptor extends NumbersDescriptor {
  readonly length: number;
  readonly token: BlockToken;
}

/** The operations at the host. They check their arguments. */
export const arrayOperations = (give: (kept: number) => unknown): MessageOperations<Elements<unknown>> => ({
  ...numberOperations<Elements<unknown>>(),
  [SLICE]: answering((elements, [start, end]) => {
    demand("array.slice", { start, end }, part);
    return (elements.view as Uint8Array).slice(start as number, end as number);
  }),
  [SET_ALL]: answering((elements, [values, offset]) =>
    elements.setAll(Array.from(values as Iterable<number>, give), offset as number)
  ),
  [FILL]: answering((elements, [value, start, end]) => elements.fill(value, start as number, end as number)),
});

/** Resolves a bound of a part, which counts from the end if it is negative. */
const bound = (at: number, length: number): number => at < 0 ? Math.max(0, at + length) : Math.min(at, length);

type Attempt<A> = Effect.Effect<A, MemoryFailure>;

/** The implementation of {@link Integer}. */
export class ArrayMessages<A> extends NumbersMessages<A, ArrayDescriptor> implements Integer<A, ArrayBufferView> {
  readonly [TypeId]: typeof TypeId = TypeId;
  readonly length: number;
  readonly raw: Elements<A>;

  constructor(descriptor: ArrayDescriptor) {
    super("array", descriptor);
    this.length = descriptor.length;
    this.raw = new Elements<A>(this.numbers, this.length, () => this.inMemory());
  }

  override toString(): string {
    return `Array(${this.type}, ${this.length} elements)`;
  }

  readonly get = (at: number): Attempt<A> => this.read(operations.get, () => [this.#index(at)]);

  readonly set = (at: number, value: A): Attempt<void> =>
    this.change(operations.set, () => [this.#index(at), this.kept(value)]);

  readonly exchange = (at: number, value: A): Attempt<A> =>
    this.change(operations.exchange, () => [this.#index(at), this.kept(value)]);

  readonly compareExchange = (at: number, expected: A, value: A): Attempt<A> =>
    this.change(operations.compareExchange, () => [this.#index(at), this.kept(expected), this.kept(value)]);

  readonly update = (at: number, change: (value: A) => A): Attempt<A> =>
    this.#updated(at, change, (value) => {
      const next = this.kept(change(value));
      return [next, next];
    });

  readonly modify = <B>(at: number, change: (value: A) => readonly [B, A]): Attempt<B> =>
    this.#updated(at, change, (value) => {
      const [answer, next] = pair(change(value));
      return [answer, this.kept(next)];
    });

  readonly slice = (start?: number, end?: number): Effect.Effect<Array<A>, MemoryError> =>
    Effect.flatMap(
      attempt(() => {
        demand("array.slice", { start, end }, part);
        const from = bound(start ?? 0, this.length);
        return this.#chunks(from, Math.max(from, bound(end ?? this.length, this.length)));
      }),
      (chunks) =>
        Effect.map(
          Effect.forEach(chunks, ([from, to]) => this.read<Iterable<number>>(SLICE, () => [from, to])),
          (parts) => parts.flatMap((one) => Array.from(one, this.description.give) as Array<A>),
        ),
    ) as Effect.Effect<Array<A>, MemoryError>;

  readonly setAll = (values: Iterable<A>, offset: number = 0): Attempt<void> =>
    Effect.flatMap(
      attempt(() => keptIn(this.description, values, offset, this.length)),
      (kept) =>
        Effect.forEach(
          this.#chunks(0, kept.length),
          ([from, to]) =>
            this.change(SET_ALL, () => {
              const content = new views[this.type](kept.slice(from, to) as Array<never>);
              return [content, offset + from];
            }),
          { discard: true },
        ),
    );

  readonly fill = (value: A, start?: number, end?: number): Attempt<void> =>
    this.change(FILL, () => {
      demand("array.fill", { start, end }, part);
      return [this.kept(value), start, end];
    });

  readonly add = (at: number, value: A): Attempt<A> =>
    this.change(operations.add, () => [this.#index(at), this.numbers.operand(value as number)]);

  readonly sub = (at: number, value: A): Attempt<A> =>
    this.change(operations.sub, () => [this.#index(at), this.numbers.operand(value as number)]);

  readonly and = (at: number, mask: A): Attempt<A> =>
    this.change(operations.and, () => [this.#index(at), this.numbers.mask(mask as number)]);

  readonly or = (at: number, mask: A): Attempt<A> =>
    this.change(operations.or, () => [this.#index(at), this.numbers.mask(mask as number)]);

  readonly xor = (at: number, mask: A): Attempt<A> =>
    this.change(operations.xor, () => [this.#index(at), this.numbers.mask(mask as number)]);

  #index(at: number): number {
    return indexIn(at, this.length);
  }

  #updated<B>(at: number, given: unknown, change: (value: A) => readonly [B, A]): Attempt<B> {
    return Effect.zipRight(
      attempt(() => demandChange(given)),
      this.updated(this.get(at), change, (expected, value) => this.compareExchange(at, expected, value)),
    );
  }

  /** Divides a part into parts for one message each. An empty part is one, so that an array that has ended is noticed. */
  #chunks(from: number, to: number): ReadonlyArray<readonly [from: number, to: number]> {
    const size = CHUNK / this.description.size;
    const count = Math.max(1, Math.ceil((to - from) / size));
    return Array.from({ length: count }, (_, i) => [from + i * size, Math.min(to, from + (i + 1) * size)]);
  }
}
