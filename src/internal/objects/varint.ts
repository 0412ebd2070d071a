/**
 * Numbers in the messages between objects and their users: seven bits a byte, least significant first.
 *
 * @module
 */
import type { Fill } from "../rpc/link.ts";

/** Fills a message with numbers. */
export const varints = (...numbers: ReadonlyArray<number>): Fill => (writer) => {
  for (const number of numbers) writer.varint(number);
  return undefined;
};

/** Reads numbers from a message; past its end each is `NaN`. */
export class VarintReader {
  /** Position of the next number. */
  at: number;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes;
    this.at = at;
  }

  next(): number {
    let value = 0;
    for (let factor = 1;; factor *= 128) {
      const byte = this.#bytes[this.at++];
      if (byte === undefined || factor > 2 ** 49) return NaN;
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
  }
}
