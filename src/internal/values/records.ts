/**
 * Records: values of several types in shared memory, each with a fixed capacity.
 *
 * ```text
 *  word 0       magic
 *  word 1       number of records
 *  words 2-11   address of the lock for changes: process, descriptor, device (low, high), inode (low, high), size of the arena
 *               (low, high), first word, stamp
 *  words 12-21  address of the lock for users
 *  word 24      capacity of each record, in bytes
 *  then         the records, each at a multiple of 8 bytes:
 *               word 0   number of writes; its lowest bit selects the valid copy
 *               copy 0   type, length in bytes, bytes
 *               copy 1   the same
 * ```
 *
 * A write fills the copy that is not valid, and then counts: the store of the count is the linearisation point. A process that is killed
 * in mid-write leaves the old value intact. A read copies the valid copy, and reads the count again: if it has changed, it starts over.
 * Writers need the lock for changes; readers need none. Free of Effect.
 *
 * @module
 */
import type { ObjectAddress } from "../sync/protocol/arena.ts";
import { type Words, words } from "../os/atomics.ts";
import { show } from "../os/arguments.ts";
import { MemoryError, OutOfRange } from "./errors.ts";

const MAGIC = 0x6d70_0002;
const COUNT = 1;
const LOCKS = 2;
const LOCK_WORDS = 10;
const TABLE = 24;

const NULL = 0;
const FALSE = 1;
const TRUE = 2;
const NUMBER = 3;
const BIGINT = 4;
const TEXT = 5;
const BYTES = 6;

/** A value that a record can hold. */
export type Element = null | boolean | number | bigint | string | Uint8Array;

/** A value as it is stored. */
export interface EncodedElement {
  readonly kind: number;
  readonly bytes: Uint8Array;
}

const utf8 = new TextEncoder();
const text = new TextDecoder("utf-8", { ignoreBOM: true });
const none = new Uint8Array();

const numberBytes = (write: (view: DataView) => void): Uint8Array => {
  const view = new DataView(new ArrayBuffer(8));
  write(view);
  return new Uint8Array(view.buffer);
};

/** Encodes a value. Throws an `OutOfRange` if a record cannot hold it. */
export const encode = (value: unknown): EncodedElement => {
  switch (typeof value) {
    case "boolean":
      return { kind: value ? TRUE : FALSE, bytes: none };
    case "number":
      return { kind: NUMBER, bytes: numberBytes((view) => view.setFloat64(0, value, true)) };
    case "bigint":
      if (BigInt.asIntN(64, value) !== value) {
        throw new OutOfRange(
          "Value",
          `Cannot keep ${value}n in a list: it takes bigints of 64 bits, from -2n ** 63n to 2n ** 63n - 1n`,
        );
      }
      return { kind: BIGINT, bytes: numberBytes((view) => view.setBigInt64(0, value, true)) };
    case "string":
      if (!value.isWellFormed()) {
        throw new OutOfRange(
          "Type",
          "Cannot keep the string in a list: it has a lone surrogate, which UTF-8 cannot encode",
        );
      }
      return { kind: TEXT, bytes: utf8.encode(value) };
    default:
      if (value === null) return { kind: NULL, bytes: none };
      if (value instanceof Uint8Array) return { kind: BYTES, bytes: value };
      throw new OutOfRange(
        "Type",
        `Cannot keep ${show(value)} in a list: it takes null, booleans, numbers, bigints, strings and Uint8Arrays`,
      );
  }
};

const decode = (kind: number, bytes: Uint8Array): Element => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  switch (kind) {
    case NULL:
      return null;
    case FALSE:
      return false;
    case TRUE:
      return true;
    case NUMBER:
      return view.getFloat64(0, true);
    case BIGINT:
      return view.getBigInt64(0, true);
    case TEXT:
      return text.decode(bytes);
    case BYTES:
      return bytes;
    default:
      throw new MemoryError(
        "Failed",
        "Cannot read the element: another program has written into the memory of the list",
      );
  }
};

const padded = (bytes: number): number => Math.ceil(bytes / 8) * 8;

/** Size of a record with this capacity, in bytes. */
const extent = (capacity: number): number => 8 + 2 * (8 + capacity);

/** The capacity of a record for a value, in bytes, and at least `least`. */
export const capacityOf = ({ bytes }: EncodedElement, least: number): number =>
  Math.max(8, padded(bytes.length), padded(least));

/** Size of records with these capacities, in bytes. */
export const sizeOf = (capacities: ReadonlyArray<number>): number =>
  capacities.reduce((sum, capacity) => sum + extent(capacity), padded((TABLE + capacities.length) * 4));

/** The records in a part of a buffer. */
export class Records {
  readonly length: number;
  readonly #words: Words;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  /** The offset of each record, in bytes, and the end of the last one. */
  readonly #starts: Float64Array;

  private constructor(buffer: ArrayBufferLike, offset: number, size: number, length: number) {
    this.#words = words(buffer, offset);
    this.#bytes = new Uint8Array(buffer, offset);
    this.#view = new DataView(buffer, offset);
    this.length = length;
    this.#starts = new Float64Array(length + 1);
    let start = padded((TABLE + length) * 4);
    for (let at = 0; at < length; at++) {
      this.#starts[at] = start;
      const capacity = this.#words.load(TABLE + at) >>> 0;
      if (capacity % 8 !== 0) throw noList();
      start += extent(capacity);
      if (start > size) throw noList();
    }
    this.#starts[length] = start;
  }

  /** Lays out records with these capacities in memory that is all 0. */
  static layOut(
    buffer: ArrayBufferLike,
    size: number,
    capacities: ReadonlyArray<number>,
    locks: ReadonlyArray<ObjectAddress>,
    offset: number = 0,
  ): Records {
    const into = words(buffer, offset);
    capacities.forEach((capacity, at) => into.store(TABLE + at, capacity));
    into.store(COUNT, capacities.length);
    locks.forEach((lock, i) => writeAddress(into, LOCKS + i * LOCK_WORDS, lock));
    into.store(0, MAGIC);
    return new Records(buffer, offset, size, capacities.length);
  }

  /** Opens records that were laid out before. Throws the `MemoryError` `NotFound` if the memory holds none. */
  static open(buffer: ArrayBufferLike, size: number, offset: number = 0): Records {
    if (size < TABLE * 4) throw noList();
    const from = words(buffer, offset);
    const length = from.load(COUNT) >>> 0;
    if (from.load(0) !== MAGIC || (TABLE + length) * 4 > size) throw noList();
    return new Records(buffer, offset, size, length);
  }

  /** The capacity of a record, in bytes. */
  capacity(at: number): number {
    return (this.#starts[at + 1] - this.#starts[at] - 8) / 2 - 8;
  }

  read(at: number): Element {
    const start = this.#starts[at];
    const capacity = this.capacity(at);
    for (let count = this.#words.load(start / 4);;) {
      const copy = start + 8 + (count & 1) * (8 + capacity);
      const kind = this.#view.getUint32(copy, true);
      const length = Math.min(this.#view.getUint32(copy + 4, true), capacity);
      const bytes = this.#bytes.slice(copy + 8, copy + 8 + length);
      // Not a load: on some processors the reads above could move behind it.
      const now = this.#words.or(start / 4, 0);
      if (now === count) return decode(kind, bytes);
      count = now;
    }
  }

  /** Writes a record. Throws an `OutOfRange` if the value exceeds its capacity. */
  write(at: number, { bytes, kind }: EncodedElement): void {
    const start = this.#starts[at];
    const capacity = this.capacity(at);
    if (bytes.length > capacity) {
      throw new OutOfRange(
        "TooLong",
        `Cannot keep ${bytes.length} bytes in element ${at} of the list: ${capacity} were reserved for it; ` +
          "make the list with a larger capacity",
      );
    }
    const count = this.#words.load(start / 4);
    const copy = start + 8 + (~count & 1) * (8 + capacity);
    this.#view.setUint32(copy, kind, true);
    this.#view.setUint32(copy + 4, bytes.length, true);
    this.#bytes.set(bytes, copy + 8);
    this.#words.store(start / 4, count + 1 | 0);
  }
}

const noList = (): MemoryError =>
  new MemoryError("NotFound", "Cannot use the block as a list: it does not hold a list");

const halves = (number: bigint): [low: number, high: number] => [
  Number(number & 0xffff_ffffn) | 0,
  Number(number >> 32n) | 0,
];

const whole = (from: Words, at: number): bigint => BigInt(from.load(at + 1) >>> 0) << 32n | BigInt(from.load(at) >>> 0);

const writeAddress = (into: Words, word: number, { arena, at, stamp }: ObjectAddress): void => {
  // Only named blocks need the address, and they are of this kind.
  if (arena.kind !== "memory") return;
  const fields = [
    arena.pid,
    arena.fd,
    ...halves(arena.device ?? 0n),
    ...halves(arena.inode),
    ...halves(BigInt(arena.size)),
    at,
    stamp,
  ];
  fields.forEach((field, i) => into.store(word + i, field));
};

const readAddress = (from: Words, word: number): ObjectAddress => {
  const arena = {
    kind: "memory" as const,
    pid: from.load(word),
    fd: from.load(word + 1),
    device: whole(from, word + 2),
    inode: whole(from, word + 4),
    size: Number(whole(from, word + 6)),
  };
  return { arena, at: from.load(word + 8), stamp: from.load(word + 9) };
};

/** The addresses of the locks of the records in a buffer. */
export const lockAddressesIn = (buffer: ArrayBufferLike): [writers: ObjectAddress, users: ObjectAddress] => {
  const from = words(buffer);
  return [readAddress(from, LOCKS), readAddress(from, LOCKS + LOCK_WORDS)];
};
