/**
 * A pipe through which any process of the same user wakes an event loop.
 *
 * Deno waits for the reader of the pipe in epoll, together with its sockets. A parked event loop therefore holds no thread,
 * and a byte in the pipe makes the event loop look at all sockets that are ready. Other processes reach the writer by the
 * process id and the descriptor of its owner, as they reach shared memory; the pipe has no name. This module needs
 * `--allow-ffi`, and does not import Effect.
 *
 * @module
 */
import { after } from "./timer.ts";
import type { Socket } from "node:net";
import * as Os from "./linux.ts";
import { recordDescriptor } from "./worker_mappings.ts";

/** Identifies the writer of a pipe of another process. The inode detects that the descriptor was reused for another file. */
export interface PipeAddress {
  readonly pid: number;
  readonly fd: number;
  readonly inode: bigint;
}

const FORMAT = 0o170000;
const FIFO = 0o010000;

/** The longest wait for the byte that {@link WakePipe.turn} writes itself, in milliseconds. */
const TURN_LIMIT = 1000;

/** The pipe of this isolate. */
export class WakePipe {
  readonly address: PipeAddress;
  /** Remove the records of both descriptors. */
  readonly #unrecord: ReadonlyArray<(() => void) | undefined>;
  /** The reader, until a socket owns it. */
  #reader: number | undefined;
  #socket: Socket | undefined;
  #opening = false;
  #closed = false;
  #settle: ((error?: unknown) => void) | undefined;
  /** The error that has broken the pipe. All waits fail with it. */
  #failure: { readonly error: unknown } | undefined;

  /** Throws an `OsError` if the process has no descriptor left. */
  constructor() {
    const [reader, writer] = Os.createPipe();
    this.#reader = reader;
    const { inode } = Os.inspect(writer);
    this.#unrecord = [recordDescriptor(reader, inode), recordDescriptor(writer, inode)];
    this.address = { pid: Deno.pid, fd: writer, inode };
  }

  /** Resolves when another process has written a byte, after {@link wake}, or after `millis` milliseconds. */
  wait(millis: number): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure.error);
    return new Promise((resolve, reject) => {
      const stop = after(millis, () => this.wake());
      this.#settle = (error) => {
        stop();
        if (error === undefined) resolve();
        else reject(error);
      };
      this.#open();
    });
  }

  /** Ends the wait of this isolate. Does nothing if there is none. */
  wake(): void {
    this.#end(undefined);
  }

  /** Resolves after the event loop has looked at its sockets, which `setImmediate` and `setTimeout` do not ensure. */
  turn(): Promise<void> {
    const turned = this.wait(TURN_LIMIT);
    Os.writeByte(this.address.fd);
    return turned;
  }

  close(): void {
    this.#closed = true;
    this.#socket?.destroy();
    if (this.#reader !== undefined) Os.close(this.#reader);
    Os.close(this.address.fd);
    for (const remove of this.#unrecord) remove?.();
  }

  #end(error: unknown): void {
    const settle = this.#settle;
    this.#settle = undefined;
    settle?.(error);
  }

  #fail(error: unknown): void {
    this.#failure = { error };
    this.#end(error);
  }

  /** Opens the socket on the first wait, so that a process that never parks does not load `node:net`. */
  #open(): void {
    if (this.#opening) return;
    this.#opening = true;
    import("node:net").then(({ Socket }) => {
      if (this.#closed) return;
      const socket = this.#socket = new Socket({ fd: this.#reader!, readable: true, writable: false });
      this.#reader = undefined;
      socket.on("data", () => this.wake());
      socket.on("error", (error) => this.#fail(error));
      // Only the timer of a wait should keep the event loop alive.
      socket.unref();
    }).catch((error) => this.#fail(error));
  }
}

/** Returns a function that wakes the owner of a pipe in another process. It does nothing if the owner has ended. */
export const wakerOf = ({ fd, inode, pid }: PipeAddress): () => void => {
  const path = Os.cString(`/proc/${pid}/fd/${fd}`);
  return () => {
    const writer = Os.openWriter(path);
    if (writer === undefined) return;
    const info = Os.inspect(writer);
    // The process id or the descriptor may belong to something else by now.
    if (info.inode === inode && (info.mode & FORMAT) === FIFO) Os.writeByte(writer);
    Os.close(writer);
  };
};
