/**
 * Transport over a socket to another program: TCP, TLS or a Unix socket. Its bytes are not trusted until the peer has been
 * authenticated.
 *
 * - Nothing is read before `start`. `hold` stops delivery, so that another reader can take over without losing bytes;
 *   undelivered bytes stay with the system, which holds back the sender.
 * - The end of file comes after the last byte that the peer has sent. A write that fails is therefore not the end: bytes
 *   that the peer sent before are still read.
 * - `close` sends what was written, then waits for the peer to close, for at most {@link LINGER} milliseconds: a socket that
 *   is closed with unread bytes would destroy bytes that are still on their way to the peer.
 *
 * @module
 */
import type { Transport } from "../transport/frames.ts";

/** Milliseconds for which a side that has closed waits for the other side to close. */
const LINGER = 1000;

const FIRST_BUFFER = 4 * 1024;
const LARGEST_BUFFER = 256 * 1024;

/** The part of a `Deno.Conn` that is used. */
export interface TcpSocket {
  read(buffer: Uint8Array): Promise<number | null>;
  write(chunk: Uint8Array): Promise<number>;
  closeWrite(): Promise<void>;
  close(): void;
}

/** A socket as a {@link Transport}. */
export class TcpTransport implements Transport {
  readonly #socket: TcpSocket;
  #data: ((chunk: Uint8Array, lent?: boolean) => void) | undefined;
  /** The memory into which the next bytes belong, if the reader knows. */
  #space: () => Uint8Array | undefined = nowhere;
  #finish: ((reason?: Error) => void) | undefined;
  /** Bytes that were read but not delivered. */
  #undelivered: Uint8Array | undefined;
  #resume: (() => void) | undefined;
  #reading = false;
  /** Why nothing more can be written. */
  #broken: Error | undefined;
  #closing = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #ended = false;
  #reason: Error | undefined;
  #writing: Promise<void> | undefined;
  /** Pending operations that use the socket. */
  #pending = 0;
  #releaseWatchers: Array<() => void> = [];

  constructor(socket: TcpSocket) {
    this.#socket = socket;
  }

  /** Whether the socket was closed. */
  get ended(): boolean {
    return this.#ended;
  }

  readonly start = (
    data: (chunk: Uint8Array, lent?: boolean) => void,
    end: (reason?: Error) => void,
    space: () => Uint8Array | undefined = nowhere,
  ): void => {
    this.#data = data;
    this.#space = space;
    this.#finish = end;
    const undelivered = this.#undelivered;
    this.#undelivered = undefined;
    // Deliver after `start` has returned, so that the caller can store the transport first.
    queueMicrotask(() => {
      if (undelivered !== undefined && this.#data === data) data(undelivered);
      if (this.#ended) return this.#tellEnd();
      const resume = this.#resume;
      this.#resume = undefined;
      if (!this.#reading) this.track(this.#read());
      else resume?.();
    });
  };

  /** Stops delivery until the next `start`, which delivers `rest` first. */
  hold(rest: Uint8Array | undefined): void {
    this.#data = undefined;
    this.#space = nowhere;
    this.#finish = undefined;
    if (rest !== undefined) this.#keep(rest);
  }

  #keep(chunk: Uint8Array): void {
    const before = this.#undelivered ?? new Uint8Array(0);
    const undelivered = new Uint8Array(before.length + chunk.length);
    undelivered.set(before, 0);
    undelivered.set(chunk, before.length);
    if (undelivered.length > 0) this.#undelivered = undelivered;
  }

  readonly write = (chunks: ReadonlyArray<Uint8Array>, done: () => void): void => {
    if (this.#ended) return;
    this.#writing = this.#write(chunks, done);
  };

  /** Closes this side once everything written has left, and waits for the peer to close. */
  readonly close = (): void => this.closeAfter((done) => done());

  /** Like `close`, but first lets `flush` write; `flush` calls back when it has finished. */
  closeAfter(flush: (done: () => void) => void): void {
    if (this.#closing || this.#ended) return;
    this.#closing = true;
    this.#timer = setTimeout(() => this.destroy(), LINGER);
    flush(() => this.track(this.#finishWriting()));
    // Without a reader the peer's end of file would not be noticed.
    if (this.#data === undefined) this.start(() => {}, () => {});
  }

  /** Closes the socket at once. */
  destroy(reason?: Error): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#reason = reason;
    clearTimeout(this.#timer);
    try {
      this.#socket.close();
    } catch {
      // It was already closed, together with the socket that TLS was started on.
    }
    this.#resume?.();
    this.#tellEnd();
    this.#checkReleased();
  }

  /** Calls back once the socket is closed and no operation uses it. */
  released(done: () => void): void {
    this.#releaseWatchers.push(done);
    this.#checkReleased();
  }

  /** Delays `released` until `work` has settled. */
  track(work: Promise<unknown>): void {
    this.#pending++;
    work.finally(() => this.#settled());
  }

  #settled(): void {
    this.#pending--;
    this.#checkReleased();
  }

  #tellEnd(): void {
    const finish = this.#finish;
    this.#finish = undefined;
    this.#data = undefined;
    this.#space = nowhere;
    finish?.(this.#reason);
  }

  #checkReleased(): void {
    if (!this.#ended || this.#pending > 0) return;
    for (const done of this.#releaseWatchers.splice(0)) done();
  }

  async #finishWriting(): Promise<void> {
    await this.#writing;
    try {
      if (!this.#ended) await this.#socket.closeWrite();
    } catch {
      // The peer closed first.
    }
  }

  async #write(chunks: ReadonlyArray<Uint8Array>, done: () => void): Promise<void> {
    this.#pending++;
    try {
      for (const chunk of chunks) {
        let at = 0;
        while (at < chunk.length) at += await this.#socket.write(at === 0 ? chunk : chunk.subarray(at));
      }
    } catch (error) {
      // The read loop ends the transport once it has read everything that the peer sent before.
      this.#broken ??= asError(error);
      return this.#settled();
    }
    this.#settled();
    if (!this.#ended) done();
  }

  async #read(): Promise<void> {
    this.#reading = true;
    let buffer = new Uint8Array(FIRST_BUFFER);
    let reason: Error | undefined;
    try {
      while (!this.#ended) {
        if (this.#data === undefined) {
          await new Promise<void>((resolve) => this.#resume = resolve);
          continue;
        }
        const place = this.#space();
        const count = await this.#socket.read(place ?? buffer);
        if (count === null) break;
        const chunk = (place ?? buffer).subarray(0, count);
        const data = this.#data as ((chunk: Uint8Array, lent?: boolean) => void) | undefined;
        // `hold` may have been called during this read.
        if (data === undefined) this.#keep(chunk);
        else data(chunk, true);
        if (place === undefined && count === buffer.length && buffer.length < LARGEST_BUFFER) {
          buffer = new Uint8Array(2 * buffer.length);
        }
      }
    } catch (error) {
      reason = asError(error);
    }
    // An error after this side has closed is not reported.
    this.destroy(this.#closing ? undefined : this.#broken ?? reason);
  }
}

const nowhere = (): undefined => undefined;

const asError = (error: unknown): Error => error instanceof Error ? error : new Error(String(error));
