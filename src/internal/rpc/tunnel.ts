/**
 * A transport through other processes: the bytes of a link in the messages of a call, which those in between pass on without looking
 * into it. For processes that can meet nowhere else. Free of Effect.
 *
 * @module
 */
import type { Line } from "./relay.ts";
import type { WatchedTransport } from "../transport/transport.ts";

/** Up to this many bytes are taken at once. */
const SMALL = 64 * 1024;

/** See above. */
export class Tunnel implements WatchedTransport {
  readonly eager = true;
  readonly #line: Line;
  readonly #hangUp: () => void;
  #take: (chunk: Uint8Array) => void = () => {};
  #finish: (reason?: Error) => void = () => {};
  #ended = false;

  /** Goes over this call, which this side ends with `hangUp`. */
  constructor(line: Line, hangUp: () => void) {
    this.#line = line;
    this.#hangUp = hangUp;
  }

  /** What is written is in the outbox of the next link at once, so that nothing overtakes it that is sent there later. */
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

  /** Something has come. */
  data(chunk: Uint8Array): void {
    if (!this.#ended) this.#take(chunk);
  }

  /** The call has ended. */
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
