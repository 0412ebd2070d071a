/**
 * Byte transports for a link: the socket on descriptor 3, and a pair of message ports. A socket of its own stands in
 * `connection.ts`.
 *
 * @module
 */
import type { Side } from "./frames.ts";
import { keepReadable } from "../os/deno_workarounds.ts";
import { isAnnouncement, join, type Neighbour } from "../os/shared_buffers.ts";
import type { Transport } from "./frames.ts";

/** What is used of a Node socket: this floor does not load `node:net` for a process that never needs it. */
export interface Socket {
  on(event: "data", listener: (chunk: Uint8Array) => void): unknown;
  on(event: "error", listener: (error: Error) => void): unknown;
  on(event: "close", listener: () => void): unknown;
  on(event: "end", listener: () => void): unknown;
  write(chunk: Uint8Array, done?: (error?: Error | null) => void): boolean;
  end(): unknown;
  destroy(): unknown;
  _write?(...args: ReadonlyArray<unknown>): unknown;
  _writev?(...args: ReadonlyArray<unknown>): unknown;
}

/** A transport that may not show that its peer has died. */
export interface WatchedTransport extends Transport {
  /** Ends the transport: the peer is known to be dead. */
  readonly lost: (reason?: Error) => void;
  /** Calls back when nothing more comes of what the peer sent before it died. */
  readonly drained: (done: () => void) => void;
}

/** So many turns of the event loop in a row without news mean that there will be none. Counted in turns, not by the clock. */
const QUIET = 20;

/** Looks at a count, turn by turn, until it does not change any more. */
export class Stillness {
  #timer: ReturnType<typeof setTimeout> | undefined;
  #done: (() => void) | undefined;

  /** Calls back when it is so. */
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

  /** Calls back now: there is nothing to wait for any more. */
  end(): void {
    clearTimeout(this.#timer);
    const done = this.#done;
    this.#done = undefined;
    done?.();
  }
}

/**
 * A stream socket. Its end of file, an error and its closing are all the end of the link. A peer may die without an end of
 * file, if a process that it has started holds its end of the socket: whoever watches the peer then calls `lost`.
 */
export const socket = (socket: Socket): WatchedTransport => {
  let ended = false;
  let received = 0;
  const stillness = new Stillness();
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
      keepReadable(socket, (error) => stillness.await(() => received, () => once(error)));
      socket.on("data", ({ buffer, byteOffset, byteLength }) => {
        received++;
        // No Buffer, whose `slice` is a view: what keeps ten bytes of it would keep all.
        data(new Uint8Array(buffer, byteOffset, byteLength));
      });
      socket.on("error", once);
      socket.on("end", () => once());
      socket.on("close", () => once());
    },
    close: () => {
      if (!ended) socket.end();
    },
    lost: once,
    drained: (done) => ended ? done() : stillness.await(() => received, done),
  };
};

/** So many bytes may be on their way through a port. */
const WINDOW = 1024 * 1024;

/** The receiver acknowledges whenever it has taken so many bytes. */
const ACKNOWLEDGED = 256 * 1024;

/** Chunks up to this size are cloned: moving them costs more. */
const CLONED = 16 * 1024;

/** How much each side has posted, in memory that outlives its thread; see {@link port}. */
export type Posted = SharedArrayBuffer;

/** The counts of a new pair of ports. */
export const posted = (): Posted => new SharedArrayBuffer(24);

/** The words of one side: messages that it began to post, those that it has posted, and whether it may post no more. */
const BEGUN = 0;
const DONE = 1;
const CUT = 2;
const SIDE = { parent: 0, child: 3 };

/** What a port does besides carrying bytes. */
export interface PortTransport extends WatchedTransport, Pick<Neighbour, "withdraw"> {
  /**
   * Takes no more of what the peer, whose thread may not have ended, begins to post from now on, and calls back when what it had
   * begun has come.
   */
  readonly cut: (done: () => void) => void;
  /** Hands another port to the peer, for the process at an address. */
  readonly hand: (parcel: Parcel) => void;
  /** Hears of ports that the peer hands over. */
  onParcel: ((parcel: Parcel) => void) | undefined;
}

/** A port on its way to one process of the family. */
export interface Parcel {
  /** The address of the process that it is for, and the name under which that process expects it. */
  readonly address: string;
  readonly name: string;
  readonly port: MessagePort;
  readonly posted: Posted;
}

const isParcel = (message: unknown): message is Parcel =>
  typeof message === "object" && message !== null && "port" in message && "address" in message;

/**
 * A message port. Chunks are copied once, and moved. A port neither holds back its sender nor tells that its peer died: the
 * receiver acknowledges what it has taken, and the process that watches for the death calls `drained` and then `lost`. Shared
 * buffers are announced beside the chunks, ahead of those that speak of them.
 *
 * Each side counts in shared memory what it has posted. Once the thread of the peer has ended, the count says how much is still to
 * come. A thread that cannot be ended is cut off instead: it looks, after it has counted a message as begun, whether it may still
 * post; so either it does not post, or the message is counted and waited for. A message that was not posted was not sent, for its
 * sender as well.
 */
export const port = (port: MessagePort, side: Side, counts: Posted): PortTransport => {
  let ended = false;
  let received = 0;
  let taken = 0;
  let underway = 0;
  let waiting: (() => void) | undefined;
  let finish: (reason?: Error) => void = () => {};
  const words = new Int32Array(counts);
  const own = SIDE[side];
  const other = SIDE[side === "parent" ? "child" : "parent"];
  /** Calls for what has come, by the count that says it. */
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
  const post = (chunk: Uint8Array): boolean => {
    underway += chunk.length;
    const copy = chunk.slice().buffer;
    return say(copy, chunk.length <= CLONED ? [] : [copy]);
  };
  const transport: PortTransport = {
    write: (chunks, done) => {
      for (const chunk of chunks) if (!post(chunk)) return;
      if (underway < WINDOW) done();
      else waiting = done;
    },
    start: (data, end) => {
      finish = end;
      const take = (message: unknown): void => {
        if (typeof message === "number") return acknowledged(message);
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
        taken += message.byteLength;
        if (taken >= ACKNOWLEDGED) {
          say(taken);
          taken = 0;
        }
        data(new Uint8Array(message));
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

const BYE = "bye";
