/**
 * A socket as a transport: of bytes of whomever, until they have been authenticated.
 *
 * Deliveries begin with `start`, and can be held, so that who reads changes without a loss. What comes meanwhile is the system's to
 * keep, which holds back the sender.
 *
 * @module
 */
import type { Transport } from "../transport/frames.ts";

/** Milliseconds that a side which has closed waits for the other one, so that nothing on the way is destroyed. */
const LINGER = 1000;

const FIRST_BUFFER = 4 * 1024;
const LARGEST_BUFFER = 256 * 1024;

/** The part of a `Deno.Conn` that is used. */
export interface Socket {
  read(buffer: Uint8Array): Promise<number | null>;
  write(chunk: Uint8Array): Promise<number>;
  closeWrite(): Promise<void>;
  close(): void;
}

/** See above. */
export class Wire implements Transport {
  readonly #socket: Socket;
  #data: ((chunk: Uint8Array) => void) | undefined;
  #finish: ((reason?: Error) => void) | undefined;
  /** What was read and not delivered. */
  #rest: Uint8Array | undefined;
  #resume: (() => void) | undefined;
  #reading = false;
  /** Why nothing can be written any more. */
  #broken: Error | undefined;
  #lends = false;
  #closing = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #ended = false;
  #reason: Error | undefined;
  #writing: Promise<void> | undefined;
  #users = 0;
  #waiting: Array<() => void> = [];

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Whether it has ended. */
  get ended(): boolean {
    return this.#ended;
  }

  /** From now on chunks are only lent: they must not be kept. */
  lend(): void {
    this.#lends = true;
  }

  readonly start = (data: (chunk: Uint8Array) => void, end: (reason?: Error) => void): void => {
    this.#data = data;
    this.#finish = end;
    const rest = this.#rest;
    this.#rest = undefined;
    // Not before this has returned: who starts it has to know it first.
    queueMicrotask(() => {
      if (rest !== undefined && this.#data === data) data(rest);
      if (this.#ended) return this.#tell();
      const resume = this.#resume;
      this.#resume = undefined;
      if (!this.#reading) this.use(this.#read());
      else resume?.();
    });
  };

  /** Delivers nothing until it is started again; `rest` comes first then. */
  hold(rest: Uint8Array | undefined): void {
    this.#data = undefined;
    this.#finish = undefined;
    if (rest !== undefined) this.#keep(rest);
  }

  #keep(chunk: Uint8Array): void {
    const before = this.#rest ?? new Uint8Array(0);
    const rest = new Uint8Array(before.length + chunk.length);
    rest.set(before, 0);
    rest.set(chunk, before.length);
    if (rest.length > 0) this.#rest = rest;
  }

  readonly write = (chunks: ReadonlyArray<Uint8Array>, done: () => void): void => {
    if (this.#ended) return;
    this.#writing = this.#write(chunks, done);
    this.use(this.#writing);
  };

  /** Ends it on this side, when what was written has left. The other one is heard out. Neither takes long. */
  readonly close = (): void => this.closeAfter((done) => done());

  /** The same, when there is still something to be written. */
  closeAfter(written: (done: () => void) => void): void {
    if (this.#closing || this.#ended) return;
    this.#closing = true;
    this.#timer = setTimeout(() => this.destroy(), LINGER);
    written(() => this.use(this.#finishWriting()));
    // Nobody may read any more, and then the end would not be seen.
    if (this.#data === undefined) this.start(() => {}, () => {});
  }

  /** Ends it at once. */
  destroy(reason?: Error): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#reason = reason;
    clearTimeout(this.#timer);
    try {
      this.#socket.close();
    } catch {
      // It was closed with what it was made from.
    }
    this.#resume?.();
    this.#tell();
    this.#release();
  }

  /** Calls back when nothing of it is in use any more. */
  released(done: () => void): void {
    this.#waiting.push(done);
    this.#release();
  }

  #tell(): void {
    const finish = this.#finish;
    this.#finish = undefined;
    this.#data = undefined;
    finish?.(this.#reason);
  }

  /** It is not released before this is settled. */
  use(work: Promise<unknown>): void {
    this.#users++;
    work.finally(() => {
      this.#users--;
      this.#release();
    });
  }

  #release(): void {
    if (!this.#ended || this.#users > 0) return;
    for (const done of this.#waiting.splice(0)) done();
  }

  async #finishWriting(): Promise<void> {
    await this.#writing;
    try {
      if (!this.#ended) await this.#socket.closeWrite();
    } catch {
      // The other side was faster.
    }
  }

  async #write(chunks: ReadonlyArray<Uint8Array>, done: () => void): Promise<void> {
    try {
      for (const chunk of chunks) {
        let at = 0;
        while (at < chunk.length) at += await this.#socket.write(at === 0 ? chunk : chunk.subarray(at));
      }
    } catch (error) {
      // Nobody reads this any more. What the other side has sent before is still read, up to its end of file.
      this.#broken ??= asError(error);
      return;
    }
    if (!this.#ended) done();
  }

  async #read(): Promise<void> {
    this.#reading = true;
    let buffer = new Uint8Array(FIRST_BUFFER);
    let at = 0;
    let reason: Error | undefined;
    try {
      while (!this.#ended) {
        if (this.#data === undefined) {
          await new Promise<void>((resolve) => this.#resume = resolve);
          continue;
        }
        const count = await this.#socket.read(at === 0 ? buffer : buffer.subarray(at));
        if (count === null) break;
        const chunk = buffer.subarray(at, at + count);
        const filled = at + count === buffer.length;
        const data = this.#data as ((chunk: Uint8Array) => void) | undefined;
        // It was held while this read was under way.
        if (data === undefined) this.#keep(chunk);
        else data(chunk);
        if (!this.#lends) at += count;
        if (filled && buffer.length < LARGEST_BUFFER) {
          buffer = new Uint8Array(2 * buffer.length);
          at = 0;
        } else if (buffer.length - at < FIRST_BUFFER / 4) {
          buffer = new Uint8Array(buffer.length);
          at = 0;
        }
      }
    } catch (error) {
      reason = asError(error);
    }
    // What breaks after the end on this side is no news.
    this.destroy(this.#closing ? undefined : this.#broken ?? reason);
  }
}

const asError = (error: unknown): Error => error instanceof Error ? error : new Error(String(error));
