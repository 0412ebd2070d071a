/**
 * A transport over a dedicated socket: a `Deno.Conn`, which may not be connected yet.
 *
 * - A write leaves at once. The outbox collects messages that are sent during a write, and sends them with the next one.
 * - Small reads are copied once for all messages in them; large reads are lent. The parts of a long message are read into its own
 *   memory.
 * - The end of file comes after the last byte that the peer has sent, however the peer has died. A failed write is therefore not
 *   the end: bytes that the peer sent before are still read.
 *
 * Free of Effect.
 *
 * @module
 */
import { slabCopy } from "../codec/bytes.ts";
import type { WatchedTransport } from "./transport.ts";

/** The size of the read buffer in bytes. */
const READ = 64 * 1024;

/** A read of up to this many bytes is copied; a larger read is lent. */
const COPIED = 8 * 1024;

/** The members of a `Deno.Conn` that this module uses. */
export interface Socket {
  read(buffer: Uint8Array): Promise<number | null>;
  write(chunk: Uint8Array): Promise<number>;
  closeWrite(): Promise<void>;
  close(): void;
}

/** A transport over a `Deno.Conn`. */
export class Connection implements WatchedTransport {
  readonly #connecting: Promise<Socket>;
  #socket: Socket | undefined;
  /** Resolves when the last write has left or failed. */
  #written: Promise<void> = Promise.resolve();
  #broken: Error | undefined;
  #closing = false;
  #ended = false;
  #finish: (reason?: Error) => void = () => {};
  #watchers: Array<() => void> = [];

  /** If `connecting` rejects, the transport ends with the error as its reason. */
  constructor(connecting: Promise<Socket>) {
    this.#connecting = connecting;
  }

  readonly write = (chunks: ReadonlyArray<Uint8Array>, done: () => void): void => {
    this.#written = this.#write(chunks, done);
  };

  readonly start = (
    data: (chunk: Uint8Array, lent?: boolean) => void | Promise<void>,
    end: (reason?: Error) => void,
    space: () => Uint8Array | undefined = nowhere,
  ): void => {
    this.#finish = end;
    void this.#read(data, space);
  };

  /** Closes the sending direction once all writes have left. The transport reads on until the end of file. */
  readonly close = (): void => {
    if (this.#closing || this.#ended) return;
    this.#closing = true;
    void this.#closeWrite();
  };

  readonly lost = (reason?: Error): void => {
    if (this.#ended) return;
    this.#ended = true;
    this.#socket?.close();
    this.#finish(reason);
    for (const done of this.#watchers.splice(0)) done();
  };

  /** Waits for the end of file, which comes after the last byte of the peer. */
  readonly drained = (done: () => void): void => {
    if (this.#ended) done();
    else this.#watchers.push(done);
  };

  async #write(chunks: ReadonlyArray<Uint8Array>, done: () => void): Promise<void> {
    try {
      const socket = this.#socket ?? await this.#connecting;
      for (const chunk of chunks) {
        for (let at = 0; at < chunk.length;) at += await socket.write(at === 0 ? chunk : chunk.subarray(at));
      }
    } catch (error) {
      this.#broken ??= asError(error);
      return;
    }
    done();
  }

  async #closeWrite(): Promise<void> {
    await this.#written;
    try {
      await (this.#socket ?? await this.#connecting).closeWrite();
    } catch {
      // The peer has closed the socket first.
    }
  }

  async #read(
    data: (chunk: Uint8Array, lent?: boolean) => void | Promise<void>,
    space: () => Uint8Array | undefined,
  ): Promise<void> {
    let socket: Socket;
    try {
      socket = await this.#connecting;
    } catch (error) {
      return this.lost(asError(error));
    }
    if (this.#ended) return socket.close();
    this.#socket = socket;
    const buffer = new Uint8Array(READ);
    while (!this.#ended) {
      let count: number | null;
      const place = space();
      try {
        count = await socket.read(place ?? buffer);
      } catch (error) {
        // The peer died with bytes unread, or this side has closed the socket.
        return this.lost(this.#closing ? undefined : this.#broken ?? asError(error));
      }
      if (count === null) return this.lost(this.#closing ? undefined : this.#broken);
      if (this.#ended) return;
      const pause = place !== undefined
        ? data(place.subarray(0, count))
        : count > COPIED
        ? data(buffer.subarray(0, count), true)
        : data(slabCopy(buffer, 0, count));
      if (pause !== undefined) await pause;
    }
  }
}

const nowhere = (): undefined => undefined;

const asError = (error: unknown): Error => error instanceof Error ? error : new Error(String(error));
