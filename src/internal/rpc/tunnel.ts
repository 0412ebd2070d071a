/**
 * A transport through other processes: the bytes of a link travel in the messages of a call, which the processes in between
 * forward without reading them. It serves processes that have no other way to connect. Free of Effect.
 *
 * @module
 */
import type { Line } from "./call.ts";
import type { WatchedTransport } from "../transport/transport.ts";

/**
 * A write of one chunk of up to this many bytes is done at once. A longer write is done when the next link has handed it to its
 * transport.
 */
const SMALL = 64 * 1024;

/** A transport over a call. */
export class Tunnel implements WatchedTransport {
  readonly eager = true;
  readonly #line: Line;
  readonly #hangUp: () => void;
  #take: (chunk: Uint8Array) => void = () => {};
  #finish: (reason?: Error) => void = () => {};
  #ended = false;

  /** Sends over the call of `line`. `hangUp` ends the call from this side. */
  constructor(line: Line, hangUp: () => void) {
    this.#line = line;
    this.#hangUp = hangUp;
  }

  /** Puts the bytes into the outbox of the next link synchronously, so that no later message on that link overtakes them. */
  readonly write = (chunks: ReadonlyArray<Uint8Array>, done: () => void, handed?: () => void): void => {
    const last = chunks.length - 1;
    const long = last > 0 || chunks[0].length > SMALL;
    const outlive = (): void => {
      handed?.();
      if (long) done();
    };
    const wish = long || handed !== undefined ? outlive : undefined;
    chunks.forEach((chunk, i) => this.#line.data((writer) => void writer.bytes(chunk), i === last ? wish : undefined));
    if (!long) done();
  };

  readonly flush = (): void => this.#line.flush();

  readonly start = (data: (chunk: Uint8Array) => void, end: (reason?: Error) => void): void => {
    this.#take = data;
    this.#finish = end;
  };

  /** Receives bytes of the call. */
  data(chunk: Uint8Array): void {
    if (!this.#ended) this.#take(chunk);
  }

  /** Ends the transport, because the call has ended. */
  end(reason?: Error): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#finish(reason);
  }

  readonly close = (): void => this.lost();

  readonly lost = (reason?: Error): void => {
    if (this.#ended) return;
    this.#hangUp();
    this.end(reason);
  };

  readonly drained = (done: () => void): void => done();
}
