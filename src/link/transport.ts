/**
 * Byte transports for a link: the socket on descriptor 3, and a pair of message ports.
 *
 * @module
 */
import type { Side } from "./link.ts";
import { isNews, join, type Neighbour } from "../region/registry.ts";
import type { Transport } from "../wire/frames.ts";
import { lookAround } from "./ways.ts";

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
  /** How often the peer was told something beside the chunks, ahead of those that follow, and how often this side was. */
  readonly news?: { readonly told: number; readonly heard: number };
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
 * A write that fails says that the peer is no more, or reads no more; what it has sent before is still to be read. The socket
 * would destroy itself and what it has not read: it does not hear of it, and is told to write no more by getting no answer.
 */
const outlive = (socket: Socket, failed: (error: Error) => void): void => {
  for (const method of ["_write", "_writev"] as const) {
    const write = socket[method];
    if (write === undefined) continue;
    socket[method] = (...args) => {
      const done = args.at(-1) as (error?: Error | null) => void;
      const answer = (error?: Error | null): void => error === undefined || error === null ? done() : failed(error);
      return write.call(socket, ...args.slice(0, -1), answer);
    };
  }
};

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
      outlive(socket, (error) => stillness.await(() => received, () => once(error)));
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

/**
 * A message port. Chunks are copied once, and moved. A port neither holds back its sender nor tells that its peer died: the
 * receiver acknowledges what it has taken, and whoever watches for the death calls `lost`. What shared buffers there are is told
 * beside the chunks, ahead of those that speak of them.
 */
export const port = (port: MessagePort, side: Side): WatchedTransport & Pick<Neighbour, "withdraw"> => {
  let ended = false;
  let received = 0;
  const stillness = new Stillness();
  let taken = 0;
  let underway = 0;
  let waiting: (() => void) | undefined;
  let finish: (reason?: Error) => void = () => {};
  const news = { told: 0, heard: 0 };
  const neighbour = join((told) => {
    news.told++;
    port.postMessage(told);
  }, side === "parent");
  const once = (reason?: Error): void => {
    if (ended) return;
    ended = true;
    neighbour.leave();
    port.close();
    finish(reason);
    stillness.end();
  };
  const acknowledged = (bytes: number): void => {
    underway -= bytes;
    if (waiting === undefined || underway >= WINDOW) return;
    const done = waiting;
    waiting = undefined;
    done();
  };
  const post = (chunk: Uint8Array): void => {
    underway += chunk.length;
    const copy = chunk.slice().buffer;
    if (chunk.length <= CLONED) port.postMessage(copy);
    else port.postMessage(copy, [copy]);
  };
  return {
    write: (chunks, done) => {
      for (const chunk of chunks) post(chunk);
      if (underway < WINDOW) done();
      else waiting = done;
    },
    start: (data, end) => {
      finish = end;
      port.onmessage = ({ data: message }: MessageEvent) => {
        if (ended) return;
        received++;
        if (typeof message === "number") return acknowledged(message);
        if (message === BYE) return once();
        if (isNews(message)) {
          neighbour.hear(message);
          news.heard++;
          // A detour may have waited for it.
          return data(NOTHING);
        }
        if (!(message instanceof ArrayBuffer)) {
          return once(new Error("the port carried a message that is not the link's"));
        }
        taken += message.byteLength;
        if (taken >= ACKNOWLEDGED) {
          port.postMessage(taken);
          taken = 0;
        }
        data(new Uint8Array(message));
      };
    },
    close: () => {
      if (ended) return;
      port.postMessage(BYE);
      once();
    },
    lost: once,
    drained: (done) => ended ? done() : stillness.await(() => received, done),
    news,
    withdraw: neighbour.withdraw,
  };
};

const BYE = "bye";
const NOTHING = new Uint8Array(0);

/** A faster way beside the old one; see `ring.ts`. */
export interface Detour {
  /** Sends the chunks, as {@link Transport.write} does; `false` as long as they have to go the old way. */
  readonly write: (chunks: ReadonlyArray<Uint8Array>, done: () => void) => boolean;
  /** Whether bytes are written to it. */
  readonly writes: boolean;
  /** Whether the bytes of both directions take it. */
  readonly changed: boolean;
  /** Something has come the old way: it may have been the last that was to come before. */
  readonly pull: () => void;
  /** The transport has ended: delivers what has come, and lets go. */
  readonly end: () => void;
}

/** A transport whose bytes can take another way from some byte on, in each direction. */
export class Changeable implements WatchedTransport {
  /** Bytes that have gone, and come, the old way. */
  sent = 0;
  received = 0;
  detour: Detour | undefined;
  readonly #base: WatchedTransport;
  #take: (chunk: Uint8Array, lent?: boolean) => void = () => {};
  #uses = 0;
  #busy = Infinity;
  #onBusy: () => void = () => {};

  constructor(base: WatchedTransport) {
    this.#base = base;
  }

  /** How often the peer was told something beside the bytes. */
  get told(): number {
    return this.#base.news?.told ?? 0;
  }

  /** How often this side was told something beside the bytes. */
  get heard(): number {
    return this.#base.news?.heard ?? 0;
  }

  get eager(): boolean {
    return this.#base.eager === true && this.detour?.writes !== true;
  }

  /** Whether the bytes of both directions take the other way, and all that went the old way has been read. */
  get changed(): boolean {
    return this.detour?.changed === true;
  }

  /** Calls back, once, when it was used so often by the old way. */
  onUse(count: number, busy: () => void): void {
    this.#busy = count;
    this.#onBusy = busy;
  }

  /** Delivers what has come the other way. */
  take(chunk: Uint8Array, lent: boolean): void {
    this.#take(chunk, lent);
  }

  readonly write = (chunks: ReadonlyArray<Uint8Array>, done: () => void, handed?: () => void): void => {
    if (this.detour?.write(chunks, done)) return;
    for (const { length } of chunks) this.sent += length;
    this.#base.write(chunks, done, handed);
    this.#used();
  };

  readonly start = (data: (chunk: Uint8Array, lent?: boolean) => void, end: (reason?: Error) => void): void => {
    this.#take = data;
    this.#base.start((chunk) => {
      lookAround();
      this.received += chunk.length;
      data(chunk);
      this.#used();
      this.detour?.pull();
    }, (reason) => {
      this.#busy = Infinity;
      this.detour?.end();
      end(reason);
    });
  };

  readonly flush = (): void => {
    if (this.detour?.writes !== true) this.#base.flush?.();
  };

  readonly close = (): void => this.#base.close();

  readonly lost = (reason?: Error): void => this.#base.lost(reason);

  readonly drained = (done: () => void): void => this.#base.drained(done);

  #used(): void {
    if (++this.#uses < this.#busy) return;
    this.#busy = Infinity;
    this.#onBusy();
  }
}
