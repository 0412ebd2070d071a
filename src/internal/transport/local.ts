/**
 * A transport within this process: what one end writes arrives at the other end in a later microtask, in order.
 *
 * @module
 */
import type { Transport } from "./frames.ts";

class End implements Transport {
  other: End | undefined;
  readonly #early: Array<Uint8Array> = [];
  #data: ((chunk: Uint8Array) => void) | undefined;
  #end: ((reason?: Error) => void) | undefined;
  #closed = false;

  readonly start = (data: (chunk: Uint8Array) => void, end: (reason?: Error) => void): void => {
    this.#data = data;
    this.#end = end;
    for (const chunk of this.#early.splice(0)) data(chunk);
  };

  readonly write = (chunks: ReadonlyArray<Uint8Array>, done: () => void, handed?: () => void): void => {
    if (this.#closed) return;
    const copies = chunks.map((chunk) => chunk.slice());
    queueMicrotask(() => {
      for (const copy of copies) this.other?.receive(copy);
      handed?.();
      done();
    });
  };

  readonly close = (): void => {
    if (this.#closed) return;
    this.#closed = true;
    queueMicrotask(() => {
      this.other?.end();
      this.end();
    });
  };

  receive(chunk: Uint8Array): void {
    if (this.#end === undefined) this.#early.push(chunk);
    else this.#data?.(chunk);
  }

  end(): void {
    this.#closed = true;
    const end = this.#end;
    this.#data = this.#end = undefined;
    end?.();
  }
}

/** Makes both ends of a transport. */
export const pair = (): readonly [Transport, Transport] => {
  const one = new End();
  const two = new End();
  one.other = two;
  two.other = one;
  return [one, two];
};
