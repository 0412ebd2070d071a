/**
 * The order of a priority queue.
 *
 * @module
 */
import type * as Order from "effect/Order";
import * as Codec from "../codec/codec.ts";
import { looking } from "../objects/handles.ts";
import type { Packet } from "../objects/packets.ts";

/** Compares two keys. Throws if one of them has no place in the order. */
export type Compare = (a: unknown, b: unknown) => number;

/** The natural order of numbers, bigints, strings, Dates and arrays. Throws if two values have none. */
const natural: Compare = (a, b) => {
  if (typeof a === "string" && typeof b === "string") return a < b ? -1 : a > b ? 1 : 0;
  if ((typeof a === "number" || typeof a === "bigint") && (typeof b === "number" || typeof b === "bigint")) {
    if (a !== a || b !== b) throw new TypeError("NaN is neither smaller nor larger than anything");
    return a < b ? -1 : a > b ? 1 : 0;
  }
  if (a instanceof Date && b instanceof Date) return natural(a.getTime(), b.getTime());
  if (Array.isArray(a) && Array.isArray(b)) {
    for (let i = 0; i < Math.min(a.length, b.length); i++) {
      const order = natural(a[i], b[i]);
      if (order !== 0) return order;
    }
    return a.length - b.length;
  }
  throw new TypeError(`${describe(a)} cannot be compared with ${describe(b)}; give the queue a key or an order`);
};

const describe = (value: unknown): string => {
  if (value === null) return "null";
  if (Array.isArray(value)) return "an array";
  if (value instanceof Date) return "a Date";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
};

/** How a priority queue compares keys, the natural order by default. */
export const compareBy = <K>(order: Order.Order<K> | undefined): Compare =>
  order === undefined ? natural : (a, b) => order(a as K, b as K);

/** The key of an encoded item, the item itself by default. The function throws if the key has no place in the order. */
export const keyFrom = <A>(key: ((item: A) => unknown) | undefined, compare: Compare) => (packet: Packet): unknown => {
  const { attachments, bytes } = packet;
  const item = Codec.decode(bytes, { attachments, hooks: looking, link: undefined }) as A;
  const value = key === undefined ? item : key(item);
  // Compared with itself, so that a key without a place in the order is found before the item is accepted.
  if (compare(value, value) !== 0) throw new TypeError("it is not equal to itself");
  return value;
};
