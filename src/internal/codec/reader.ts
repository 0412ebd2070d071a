/**
 * Reads numbers and strings from a message.
 *
 * The reader does not trust the message: it compares each claimed length with the number of remaining bytes before it
 * allocates memory.
 *
 * @module
 */
import { DecodeError } from "./errors.ts";
import { VarintReader } from "./varint.ts";
import * as Tag from "./tags.ts";

/** Not `fatal`: a fatal decoder takes ten times as long, and invalid UTF-8 still decodes to some string. */
const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * Number of bytes that are decoded at once. The runtime cannot decode more bytes at once than the longest string has
 * units; pieces of this size cost nothing extra.
 */
const MAX_PIECE = 16 * 1024 * 1024;

/** Reusable arrays for the units of short strings, by length. Reuse halves the time. */
const short: ReadonlyArray<Array<number>> = Array.from(
  { length: Tag.SHORT_TEXT },
  (_, length) => new Array<number>(length).fill(0),
);

/** Maximum number of arguments of one call, which is safe for any stack. */
const MAX_UNITS = 1024;

/** Reads the bytes from `at` to `end`. */
export class ByteReader extends VarintReader {
  protected end: number;
  private view: DataView | undefined;

  constructor(bytes: Uint8Array) {
    // A subclass such as Buffer has a `slice` that does not copy.
    super(bytes.constructor === Uint8Array ? bytes : new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length), 0);
    this.end = bytes.length;
  }

  protected wrong(reason: string, cause?: unknown): DecodeError {
    const isShort = this.at > this.end;
    return new DecodeError(isShort ? "it ends too early" : reason, Math.min(this.at, this.end), { cause });
  }

  protected data(): DataView {
    return this.view ??= new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.byteLength);
  }

  /** Skips `n` bytes and returns the position of the first. Throws if fewer remain. */
  protected take(n: number): number {
    const start = this.at;
    if (n > this.end - start) {
      throw this.wrong(`${n} bytes are claimed, ${this.end - start} are left`);
    }
    this.at += n;
    return start;
  }

  protected byte(): number {
    return this.bytes[this.take(1)];
  }

  // A DataView takes longer to be made than the rest of a small message to be read.

  protected int16(): number {
    const at = this.take(2);
    return (this.bytes[at] | this.bytes[at + 1] << 8) << 16 >> 16;
  }

  protected int32(): number {
    const { bytes } = this;
    const at = this.take(4);
    return bytes[at] | bytes[at + 1] << 8 | bytes[at + 2] << 16 | bytes[at + 3] << 24;
  }

  protected varint(): number {
    const value = this.next();
    if (Number.isNaN(value)) throw this.wrong("a number is too long");
    return value;
  }

  /** Reads the number of items that follow, each of which takes at least `width` bytes. */
  protected count(width: number): number {
    return this.fits(this.varint(), width);
  }

  protected fits(count: number, width: number): number {
    const left = this.end - this.at;
    if (count * width > left) {
      throw this.wrong(`${count} items are claimed, ${left} bytes are left`);
    }
    return count;
  }

  protected bigint(): bigint {
    const isNegative = this.byte() === 1;
    const start = this.take(this.count(1));
    const magnitude = BigInt(`0x0${this.bytes.subarray(start, this.at).toHex()}`);
    return isNegative ? -magnitude : magnitude;
  }

  protected text(): string {
    const tag = this.byte();
    if (tag >= Tag.TEXT && tag < Tag.LIST) return this.latin1(tag & 31);
    if (tag === Tag.LATIN1 || tag === Tag.UTF8 || tag === Tag.UTF16) {
      return this.longText(tag);
    }
    throw this.wrong("a text is expected");
  }

  protected latin1(length: number): string {
    let at = this.take(length);
    const units = length < Tag.SHORT_TEXT ? short[length] : new Array<number>(length);
    for (let i = 0; i < length; i++) units[i] = this.bytes[at++];
    return String.fromCharCode.apply(null, units);
  }

  protected longText(tag: number): string {
    if (tag === Tag.LATIN1) return this.latin1(this.byte());
    if (tag === Tag.UTF16) return this.utf16(this.count(2));
    const start = this.take(this.int32() >>> 0);
    return this.at - start <= MAX_PIECE ? utf8.decode(this.bytes.subarray(start, this.at)) : this.pieces(start);
  }

  /** Decodes a string that is too long to be decoded at once. Each piece ends at the end of a character. */
  private pieces(start: number): string {
    let text = "";
    for (let from = start; from < this.at;) {
      let to = Math.min(from + MAX_PIECE, this.at);
      for (let i = 0; i < 3 && to < this.at && (this.bytes[to] & 0xc0) === 0x80; i++) to--;
      text += utf8.decode(this.bytes.subarray(from, to));
      from = to;
    }
    return text;
  }

  protected utf16(length: number): string {
    let at = this.take(length * 2);
    let text = "";
    for (let left = length; left > 0; left -= MAX_UNITS) {
      const n = Math.min(left, MAX_UNITS);
      const units = n < Tag.SHORT_TEXT ? short[n] : new Array<number>(n);
      for (let i = 0; i < n; i++, at += 2) {
        units[i] = this.bytes[at] | (this.bytes[at + 1] << 8);
      }
      text += String.fromCharCode.apply(null, units);
    }
    return text;
  }
}
