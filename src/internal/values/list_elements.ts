/**
 * What lists have in common in memory and by messages: reads without Effects, and searches.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Option from "effect/Option";
import type { Raw, ShareableList } from "../../ShareableList.ts";
import { indexIn } from "./elements.ts";
import type { MemoryError } from "./errors.ts";
import type { Records } from "./records.ts";

/** Whether two elements are equal: by `Object.is`, and byte by byte for bytes. */
const same = (one: unknown, other: unknown): boolean => {
  if (!(one instanceof Uint8Array && other instanceof Uint8Array)) return Object.is(one, other);
  return one.length === other.length && one.every((byte, at) => byte === other[at]);
};

/** The operations without Effects. */
export class ListElements<A> implements Raw<A> {
  readonly length: number;
  readonly #records: () => Records;

  constructor(length: number, records: () => Records) {
    this.length = length;
    this.#records = records;
  }

  get(at: number): A {
    return this.#records().read(indexIn(at, this.length)) as A;
  }

  toArray(): Array<A> {
    const records = this.#records();
    return Array.from({ length: this.length }, (_, at) => records.read(at) as A);
  }

  [Symbol.iterator](): ArrayIterator<A> {
    return this.toArray().values();
  }
}

/** The index of the first element that equals `value`. */
export const indexOf = <A>(list: ShareableList<A>, value: A): Effect.Effect<Option.Option<number>, MemoryError> =>
  Effect.map(list.toArray, (all) => {
    const at = all.findIndex((element) => same(element, value));
    return at < 0 ? Option.none() : Option.some(at);
  });

/** The number of elements that equal `value`. */
export const count = <A>(list: ShareableList<A>, value: A): Effect.Effect<number, MemoryError> =>
  Effect.map(list.toArray, (all) => all.filter((element) => same(element, value)).length);

/** The text of a list. */
export const textOf = ({ length, name }: Pick<ShareableList, "length" | "name">): string =>
  `ShareableList(${name === undefined ? "" : `${JSON.stringify(name)}, `}${length} elements)`;
