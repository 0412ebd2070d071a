/**
 * Byte transports for a link: the socket on descriptor 3, and a pair of message ports.
 *
 * @module
 */
import type { Transport } from "../wire/frames.ts";

/** What is used of a Node socket: this floor does not load `node:net` for a process that never needs it. */
export interface Socket {
  on(event: "data", listener: (chunk: Uint8Array) => void): unknown;
  on(event: "error", listener: (error: Error) => void): unknown;
  on(event: "close", listener: () => void): unknown;
  on(event: "end", listener: () => void): unknown;
  write(chunk: Uint8Array, done?: (error?: Error | null) => void): boolean;
  end(): unknown;
  destroy(): unknown;
}

/** A stream socket. Its end of file, an error and its closing are all the end of the link. */
export const socket = (socket: Socket): Transport => {
  let ended = false;
  return {
    write: (chunks, done) => {
      const last = chunks.length - 1;
      for (let i = 0; i < last; i++) socket.write(chunks[i]);
      socket.write(chunks[last], (error) => {
        // A failed write is followed by "error" and "close", which end the link.
        if (error === undefined || error === null) done();
      });
    },
    start: (data, end) => {
      const once = (reason?: Error): void => {
        if (ended) return;
        ended = true;
        socket.destroy();
        end(reason);
      };
      socket.on("data", data);
      socket.on("error", once);
      socket.on("end", () => once());
      socket.on("close", () => once());
    },
    close: () => {
      if (!ended) socket.end();
    },
  };
};

/** A transport whose peer can die without a sign on it. */
export interface PortTransport extends Transport {
  /** Ends the transport: the peer is known to be dead. */
  readonly lost: (reason?: Error) => void;
  /** Calls back when nothing more comes of what the peer sent before it died. */
  readonly drained: (done: () => void) => void;
}

/**
 * A message port. Chunks are moved, not cloned: one copy on the sending side, none on the receiving one. A port does not
 * tell that its peer died, so whoever watches for that calls `lost`. The receiver acknowledges each write, so that a slow
 * one holds back the sender.
 */
export const port = (port: MessagePort): PortTransport => {
  let ended = false;
  let received = 0;
  let finish: (reason?: Error) => void = () => {};
  const waiting: Array<() => void> = [];
  const once = (reason?: Error): void => {
    if (ended) return;
    ended = true;
    port.close();
    finish(reason);
  };
  return {
    write: (chunks, done) => {
      const copies = chunks.map((chunk) => chunk.slice().buffer);
      waiting.push(done);
      port.postMessage(copies, copies);
    },
    start: (data, end) => {
      finish = end;
      port.onmessage = ({ data: message }: MessageEvent) => {
        if (ended) return;
        received++;
        if (message === ACK) return waiting.shift()?.();
        if (message === BYE) return once();
        if (!Array.isArray(message)) return once(new Error("the port carried a message that is not the link's"));
        port.postMessage(ACK);
        for (const buffer of message) {
          if (ended) return;
          data(new Uint8Array(buffer));
        }
      };
    },
    close: () => {
      if (ended) return;
      port.postMessage(BYE);
      once();
    },
    lost: once,
    drained: (done) => {
      const check = (seen: number): void => {
        if (ended || received === seen) return done();
        setTimeout(check, 0, received);
      };
      setTimeout(check, 0, -1);
    },
  };
};

const ACK = 1;
const BYE = 2;
