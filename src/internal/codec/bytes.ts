/**
 * The growable buffer into which messages are written, with the encodings of numbers and strings.
 *
 * @module
 */
import { EncodeError } from "./errors.ts";
import * as Tag from "./tags.ts";

/** The largest buffer that every runtime can allocate. */
const MAX_BYTES = 2 ** 31 - 1;

const utf8 = new TextEncoder();

/** The size in bytes of the memory that small copies share. The longest-lived copy keeps all of it. */
const SLAB = 4096;

/** The largest copy that shares its memory, in bytes. */
export const SMALL = 128;

let slab = new Uint8Array(SLAB);
let used = 0;

/**
 * Copies the bytes from `start` to `end`. Small copies share a buffer, because a buffer of its own costs half a microsecond, and the
 * garbage collector as much again. Bytes that the user receives, or whose buffer is transferred, must not come from here.
 */
export const slabCopy = (bytes: Uint8Array, start: number, end: number): Uint8Array<ArrayBuffer> => {
  const size = end - start;
  if (size > SMALL) return new Uint8Array(bytes.subarray(start, end));
  const at = take(size);
  for (let i = 0; i < size; i++) slab[at + i] = bytes[start + i];
  return slab.subarray(at, used);
};

/** The bytes of a text with a character for each of at most {@link SMALL} bytes. They share a buffer as in {@link slabCopy}. */
export const slabText = (text: string): Uint8Array<ArrayBuffer> => {
  const size = text.length;
  const at = take(size);
  for (let i = 0; i < size; i++) slab[at + i] = text.charCodeAt(i);
  return slab.subarray(at, used);
};

/** Takes a part of the shared buffer, which ends at `used`. */
const take = (size: number): number => {
  if (used + size > SLAB) {
    slab = new Uint8Array(SLAB);
    used = 0;
  }
  used += size;
  return used - size;
};

/** Result of {@linkcode packedForm} if some item is not a number. */
export const NOT_NUMBERS = -1;

/** Returns the narrowest packed form that holds all items, or {@linkcode NOT_NUMBERS}. */
export const packedForm = (array: ReadonlyArray<unknown>): number => {
  let low = 0;
  let high = 0;
  let whole = true;
  for (let i = 0; i < array.length; i++) {
    const item = array[i];
    if (typeof item !== "number") return NOT_NUMBERS;
    if (!whole) continue;
    if ((item | 0) !== item || (item === 0 && 1 / item < 0)) whole = false;
    else if (item < low) low = item;
    else if (item > high) high = item;
  }
  if (!whole) return Tag.FLOAT64_FORM;
  if (low >= -0x80 && high < 0x80) return Tag.INT8_FORM;
  return low >= -0x8000 && high < 0x8000 ? Tag.INT16_FORM : Tag.INT32_FORM;
};

/**
 * A buffer that grows by doubling. The bytes from 0 to `position` are written.
 *
 * Code that writes into `buffer` must call `reserve` first. `reserve` may replace `buffer` and `view`, so neither may be
 * kept across a call.
 */
export class Writer {
  buffer: Uint8Array<ArrayBuffer>;
  view: DataView<ArrayBuffer>;
  position = 0;

  constructor(capacity: number = 1024) {
    this.buffer = new Uint8Array(capacity);
    this.view = new DataView(this.buffer.buffer);
  }

  /** Makes room for `n` more bytes. */
  reserve(n: number): void {
    if (this.position + n > this.buffer.length) this.grow(this.position + n);
  }

  private grow(needed: number): void {
    if (needed > MAX_BYTES) {
      throw new EncodeError("a message holds at most 2 GiB beside its large binaries; send it in parts");
    }
    const buffer = new Uint8Array(Math.min(MAX_BYTES, Math.max(needed, this.buffer.length * 2)));
    buffer.set(this.buffer.subarray(0, this.position));
    this.buffer = buffer;
    this.view = new DataView(buffer.buffer);
  }

  byte(value: number): void {
    this.reserve(1);
    this.buffer[this.position++] = value;
  }

  /** Writes an integer from 0 to 2^53 - 1: seven bits in each byte, least significant first. */
  varint(value: number): void {
    this.reserve(8);
    let rest = value;
    while (rest > 127) {
      this.buffer[this.position++] = (rest % 128) | 128;
      rest = Math.floor(rest / 128);
    }
    this.buffer[this.position++] = rest;
  }

  float64(value: number): void {
    this.reserve(8);
    this.view.setFloat64(this.position, value, true);
    this.position += 8;
  }

  bytes(source: Uint8Array): void {
    this.reserve(source.length);
    this.buffer.set(source, this.position);
    this.position += source.length;
  }

  /** Writes a well-formed string as UTF-8, and returns its length in bytes. */
  private utf8(text: string): number {
    const start = this.position;
    let rest = text;
    this.reserve(rest.length);
    while (true) {
      const { read, written } = utf8.encodeInto(rest, this.buffer.subarray(this.position));
      this.position += written;
      if (read === rest.length) return this.position - start;
      rest = rest.slice(read);
      this.reserve(rest.length * 3);
    }
  }

  /** Writes a number with its tag, as all methods below do. */
  number(value: number): void {
    this.reserve(9);
    if ((value | 0) !== value || (value === 0 && 1 / value < 0)) {
      this.buffer[this.position] = Tag.FLOAT64;
      this.view.setFloat64(this.position + 1, value, true);
      this.position += 9;
    } else if (value >= -16 && value < 128) {
      this.buffer[this.position++] = value & 0xff;
    } else if (value >= -0x8000 && value < 0x8000) {
      this.buffer[this.position] = Tag.INT16;
      this.view.setInt16(this.position + 1, value, true);
      this.position += 3;
    } else {
      this.buffer[this.position] = Tag.INT32;
      this.view.setInt32(this.position + 1, value, true);
      this.position += 5;
    }
  }

  bigint(value: bigint): void {
    this.reserve(9);
    if (BigInt.asIntN(64, value) === value) {
      this.buffer[this.position] = Tag.BIGINT64;
      this.view.setBigInt64(this.position + 1, value, true);
      this.position += 9;
      return;
    }
    const digits = (value < 0n ? -value : value).toString(16);
    this.byte(Tag.BIGINT);
    this.byte(value < 0n ? 1 : 0);
    this.varint((digits.length + 1) >> 1);
    this.bytes(Uint8Array.fromHex(digits.length % 2 === 0 ? digits : `0${digits}`));
  }

  text(value: string): void {
    const { length } = value;
    if (length >= Tag.SHORT_TEXT) return this.longText(value);
    this.reserve(length + 2);
    const { buffer, position } = this;
    let at = position + (length < 32 ? 1 : 2);
    for (let i = 0; i < length; i++) {
      const unit = value.charCodeAt(i);
      if (unit > 0xff) return this.utf16(value);
      buffer[at++] = unit;
    }
    if (length < 32) {
      buffer[position] = Tag.TEXT | length;
    } else {
      buffer[position] = Tag.LATIN1;
      buffer[position + 1] = length;
    }
    this.position = at;
  }

  private longText(value: string): void {
    if (!value.isWellFormed()) return this.utf16(value);
    this.reserve(5);
    const start = this.position;
    this.position += 5;
    const length = this.utf8(value);
    this.buffer[start] = Tag.UTF8;
    this.view.setUint32(start + 1, length, true);
  }

  private utf16(value: string): void {
    this.byte(Tag.UTF16);
    this.varint(value.length);
    this.reserve(value.length * 2);
    for (let i = 0; i < value.length; i++) {
      this.view.setUint16(this.position, value.charCodeAt(i), true);
      this.position += 2;
    }
  }

  /** Writes an array of numbers in its {@linkcode packedForm}. */
  numbers(value: ReadonlyArray<number>, form: number): void {
    const { length } = value;
    const { width } = Tag.views[form];
    this.byte(Tag.NUMBERS);
    this.byte(form);
    this.varint(length);
    this.reserve(length * width);
    const { view } = this;
    let at = this.position;
    if (form === Tag.INT8_FORM) {
      for (let i = 0; i < length; i++) view.setInt8(at++, value[i]);
    } else if (form === Tag.INT16_FORM) {
      for (let i = 0; i < length; i++, at += 2) view.setInt16(at, value[i], true);
    } else if (form === Tag.INT32_FORM) {
      for (let i = 0; i < length; i++, at += 4) view.setInt32(at, value[i], true);
    } else {
      for (let i = 0; i < length; i++, at += 8) view.setFloat64(at, value[i], true);
    }
    this.position = at;
  }
}
