/**
 * Byte transports for a link: the socket on descriptor 3, and a pair of message ports. The transport over a dedicated socket is
 * in `connection.ts`.
 *
 * @module
 */
import type { LinkSide } from "./frames.ts";
import { keepReadable } from "../os/deno_workarounds.ts";
import { slabText, SMALL } from "../codec/bytes.ts";
import { isAnnouncement, join, type Neighbour } from "../os/shared_buffers.ts";
import type { Transport } from "./frames.ts";

/** The members of a Node socket that this module uses, which does not load `node:net` for a process that never needs it. */
export interface NodeSocket {
  on(event: "data", listener: (chunk: Uint8Array) => void): unknown;
  on(event: "error", listener: (error: Error) => void): unknown;
  on(event: "close", listener: () => void): unknown;
  on(event: "end", listener: () => void): unknown;
  write(chunk: Uint8Array, done?: (error?: Error | null) => void): boolean;
  pause(): unknown;
  resume(): unknown;
  end(): unknown;
  destroy(): unknown;
  _write?(...args: ReadonlyArray<unknown>): unknown;
  _writev?(...args: ReadonlyArray<unknown>): unknown;
}

/** A transport that may not detect the death of its peer. */
export interface WatchedTransport extends Transport {
  /** Ends the transport, because the peer is known to be dead. */
  readonly lost: (reason?: Error) => void;
  /** Runs `done` once all bytes that the peer sent before its death have arrived. */
  readonly drained: (done: () => void) => void;
}

/**
 * The number of consecutive turns of the event loop without a change after which a count is final. Turns are counted, not time.
 */
const QUIET = 20;

/** Polls a count once per turn until it no longer changes. */
export class Stillness {
  #timer: ReturnType<typeof setTimeout> | undefined;
  #done: (() => void) | undefined;

  /** Runs `done` once `count` no longer changes. */
  await(count: () => number, done: () => void): void {
    const waiting = this.#done !== undefined;
    this.#done = done;
    if (waiting) return;
    let seen = count();
    let quiet = 0;
    const look = (): void => {
      const now = count();
      quiet = now === seen ? quiet + 1 : 0;
      seen = now;
      if (quiet >= QUIET) this.end();
      else this.#timer = setTimeout(look, 1);
    };
    this.#timer = setTimeout(look, 1);
  }

  /** Ends the wait, and runs its `done` now. */
  end(): void {
    clearTimeout(this.#timer);
    const done = this.#done;
    this.#done = undefined;
    done?.();
  }
}

/**
 * A transport over a stream socket. An end of file, an error and a close each end the link. A peer can die without an end of
 * file, if a process that it has started holds its end of the socket. The watcher of the peer calls `lost` in that case.
 */
export const socket = (socket: NodeSocket): WatchedTransport => {
  let ended = false;
  let received = 0;
  let paused = false;
  const stillness = new Stillness();
  // NaN differs from itself: a transport that is paused is not still.
  const count = (): number => paused ? NaN : received;
  let finish: (reason?: Error) => void = () => {};
  const once = (reason?: Error): void => {
    if (ended) return;
    ended = true;
    socket.destroy();
    finish(reason);
    stillness.end();
  };
  return {
    write: (chunks, done) => {
      const last = chunks.length - 1;
      for (let i = 0; i < last; i++) socket.write(chunks[i]);
      socket.write(chunks[last], (error) => {
        if (error === undefined || error === null) done();
      });
    },
    start: (data, end) => {
      finish = end;
      keepReadable(socket, (error) => stillness.await(count, () => once(error)));
      socket.on("data", ({ buffer, byteOffset, byteLength }) => {
        received++;
        // Not a Buffer, whose `slice` is a view: a slice of ten bytes would retain the whole chunk.
        const pause = data(new Uint8Array(buffer, byteOffset, byteLength));
        if (pause === undefined) return;
        paused = true;
        socket.pause();
        pause.then(() => {
          paused = false;
          socket.resume();
        });
      });
      socket.on("error", once);
      socket.on("end", () => once());
      socket.on("close", () => once());
    },
    close: () => {
      if (!ended) socket.end();
    },
    lost: once,
    drained: (done) => ended ? done() : stillness.await(count, done),
  };
};

/** The number of bytes that may be in flight through a port. */
const WINDOW = 1024 * 1024;

/** The number of taken bytes after which a receiver acknowledges. */
const ACKNOWLEDGED = 256 * 1024;

/** Chunks of up to this many bytes are cloned, because a transfer costs more. */
const CLONED = 16 * 1024;

/** The message counts of both sides, in memory that outlives their threads; see {@link port}. */
export type Posted = SharedArrayBuffer;

/** Makes the message counts for a new pair of ports. */
export const posted = (): Posted => new SharedArrayBuffer(24);

/** The words of one side: the messages that it has begun to post, those that it has posted, and whether it is cut off. */
const BEGUN = 0;
const DONE = 1;
const CUT = 2;
const SIDE = { parent: 0, child: 3 };

/** A transport over a port, with the other uses of the port. */
export interface PortTransport extends WatchedTransport, Pick<Neighbour, "withdraw"> {
  /**
   * Cuts off a peer whose thread may not have ended: the peer can post no message that it has not begun yet. Runs `done` once all
   * messages that it had begun have arrived.
   */
  readonly cut: (done: () => void) => void;
  /** Hands another port to the peer, for the process at the address of the parcel. */
  readonly hand: (parcel: Parcel) => void;
  /** Called with each port that the peer hands over. */
  onParcel: ((parcel: Parcel) => void) | undefined;
}

/** A port on its way to one process of the family. */
export interface Parcel {
  /** The address of the process that receives the port. */
  readonly address: string;
  /** The name under which that process expects the port. */
  readonly name: string;
  readonly port: MessagePort;
  readonly posted: Posted;
}

const isParcel = (message: unknown): message is Parcel =>
  typeof message === "object" && message !== null && "port" in message && "address" in message;

/**
 * A transport over a message port. Chunks are transferred; those whose memory is not the link's are copied once before. Small ones
 * travel as texts with a character for each byte, which cost half as much as buffers. A port has no back-pressure and does not report the
 * death of its peer. Instead, the receiver acknowledges the bytes that it has taken, and the process that watches for the death
 * calls `drained` and then `lost`. Shared buffers are announced beside the chunks, each before the first chunk that names it.
 *
 * Each side counts in shared memory the messages that it has posted. Once the thread of the peer has ended, the count tells how
 * many messages are still to arrive. A thread that cannot be ended is cut off instead. Each sender checks whether it is cut off
 * after it has counted a message as begun; either it does not post the message, or the message is counted and awaited. A message
 * that was not posted is unsent for its sender as well.
 */
export const port = (port: MessagePort, side: LinkSide, counts: Posted): PortTransport => {
  let ended = false;
  let received = 0;
  let taken = 0;
  let underway = 0;
  let waiting: (() => void) | undefined;
  let finish: (reason?: Error) => void = () => {};
  const words = new Int32Array(counts);
  const own = SIDE[side];
  const other = SIDE[side === "parent" ? "child" : "parent"];
  /** Callbacks that run once all messages of a count have arrived. */
  let watchers: Array<{ readonly count: typeof BEGUN | typeof DONE; readonly done: () => void }> = [];
  const say = (message: unknown, transfer: Array<Transferable> = []): boolean => {
    Atomics.add(words, own + BEGUN, 1);
    if (Atomics.load(words, own + CUT) !== 0) {
      Atomics.sub(words, own + BEGUN, 1);
      return false;
    }
    port.postMessage(message, transfer);
    Atomics.add(words, own + DONE, 1);
    return true;
  };
  const neighbour = join((told) => void say(told), side === "parent");
  const tellDrained = (): void => {
    if (watchers.length === 0) return;
    const come = watchers.filter(({ count }) => ended || ((Atomics.load(words, other + count) - received) | 0) <= 0);
    watchers = watchers.filter((watcher) => !come.includes(watcher));
    for (const { done } of come) done();
  };
  const once = (reason?: Error): void => {
    if (ended) return;
    ended = true;
    neighbour.leave();
    port.close();
    finish(reason);
    tellDrained();
  };
  const acknowledged = (bytes: number): void => {
    underway -= bytes;
    if (waiting === undefined || underway >= WINDOW) return;
    const done = waiting;
    waiting = undefined;
    done();
  };
  const post = (chunk: Uint8Array, owned: boolean): boolean => {
    const { buffer, length } = chunk;
    underway += length;
    if (length <= SMALL) return say(String.fromCharCode(...chunk));
    const memory = owned && length === buffer.byteLength ? buffer as ArrayBuffer : chunk.slice().buffer;
    return say(memory, length <= CLONED ? [] : [memory]);
  };
  const transport: PortTransport = {
    whole: true,
    write: (chunks, done, _, owned) => {
      const last = chunks.length - 1;
      for (let i = 0; i <= last; i++) if (!post(chunks[i], owned === true && i === last)) return;
      if (underway < WINDOW) done();
      else waiting = done;
    },
    start: (data, end) => {
      finish = end;
      const receive = (chunk: Uint8Array): void => {
        taken += chunk.length;
        if (taken >= ACKNOWLEDGED) {
          say(taken);
          taken = 0;
        }
        data(chunk);
      };
      const take = (message: unknown): void => {
        if (typeof message === "number") return acknowledged(message);
        if (typeof message === "string" && message.length <= SMALL) return receive(slabText(message));
        if (message === BYE) return once();
        if (isAnnouncement(message)) return neighbour.receive(message);
        if (isParcel(message)) {
          if (transport.onParcel === undefined) message.port.close();
          else transport.onParcel(message);
          return;
        }
        if (!(message instanceof ArrayBuffer)) {
          return once(new Error("the port carried a message that is not the link's"));
        }
        receive(new Uint8Array(message));
      };
      port.onmessage = ({ data: message }: MessageEvent) => {
        if (ended) return;
        received++;
        take(message);
        tellDrained();
      };
    },
    close: () => {
      if (ended) return;
      say(BYE);
      once();
    },
    lost: once,
    drained: (done) => {
      Atomics.store(words, other + CUT, 1);
      watchers.push({ count: DONE, done });
      tellDrained();
    },
    cut: (done) => {
      Atomics.store(words, other + CUT, 1);
      watchers.push({ count: BEGUN, done });
      tellDrained();
    },
    hand: (parcel) => {
      if (ended) parcel.port.close();
      else say(parcel, [parcel.port]);
    },
    onParcel: undefined,
    withdraw: neighbour.withdraw,
  };
  return transport;
};

const BYE = false;
