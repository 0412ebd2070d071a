/**
 * Integers from 0 to 2^53 - 1 in a message: seven bits in each byte, least significant first.
 *
 * @module
 */
import type { Writer } from "./bytes.ts";

/** Returns a function that writes these numbers to a message. */
export const varints = (...numbers: ReadonlyArray<number>) => (writer: Writer): undefined => {
  for (const number of numbers) writer.varint(number);
};

export class VarintReader {
  /** Position of the next number. */
  at: number;
  protected readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array, at: number) {
    this.bytes = bytes;
    this.at = at;
  }

  /** Reads the next number. Returns `NaN` if the bytes end within the number, or if it is too large. */
  next(): number {
    let value = 0;
    for (let scale = 1; scale < 2 ** 53; scale *= 128) {
      const byte = this.bytes[this.at++];
      if (byte === undefined) return NaN;
      value += (byte & 127) * scale;
      if (byte < 128) return Number.isSafeInteger(value) ? value : NaN;
    }
    return NaN;
  }
}
