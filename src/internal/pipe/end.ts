/**
 * One end of a pipe, in the process that owns it. Free of Effect.
 *
 * Messages arrive before a fiber asks for them, and the end reports to the pipe which messages were received. The end also knows
 * whether there is room to send: from the bytes that were sent, and the bytes that the other end has received.
 *
 * ```text
 *   open --leave: a message with the end was sent--> moved
 *     |
 *     +--close, or the pipe has closed the end--> closed
 *     +--the pipe is gone--> gone: what has arrived can be received
 *
 *   readers wait until `readable`, writers until there is room or a failure, both in the order in which they came
 * ```
 *
 * @module
 */
import { call, CANCELLED, DONE, far, GONE, local, readTooLarge, type Target, TOO_LARGE } from "../rpc/router.ts";
import { type Incoming, MessageTooLarge } from "../codec/message.ts";
import { BrokenPipe, EndOfFile, PipeError, Unreachable } from "../objects/errors.ts";
import { FifoGate } from "../objects/fifo_gate.ts";
import { sizeOf } from "../objects/packets.ts";
import { SmallSet } from "../os/small.ts";
import { VarintReader, varints } from "../codec/varint.ts";
import { beginAttach, endAttach, whenAttached } from "../objects/attaching.ts";
import type { PipeHost } from "./host.ts";
import { MessageInbox } from "./inbox.ts";
import { type Message, readMessage, writeMessage } from "./message.ts";
import * as P from "./protocol.ts";

/** Handle of an end. */
export interface ConnectionHandle extends Target {
  /** Name of the process that hosts the pipe. */
  readonly host: string;
  /** Index of the end. */
  readonly end: number;
  /** The number of times that the end had moved. */
  readonly generation: number;
  readonly duplex: boolean;
  /** The number of bytes that may be sent and not yet received by the other end. */
  readonly maxBytes: number;
  /** Set if the other end is in another program. */
  readonly stranger?: Stranger;
}

/** The other side of a connection to another program. */
export interface Stranger {
  /** Where the connection leads. */
  readonly peer: Peer;
  /** The largest message that the other side accepts, in bytes. */
  readonly maxMessageSize: number;
}

/** Address of the other side of a connection to another program, as far as the system tells it. */
export type Peer = { readonly hostname: string; readonly port: number } | { readonly path: string };

/** Why a connection cannot be used. */
export type ConnectionFailure = PipeError | Unreachable | MessageTooLarge;

/** One end of a pipe. */
export class End implements P.EndOwner {
  readonly handle: ConnectionHandle;
  readonly near = true;
  readonly inbox: MessageInbox = new MessageInbox();
  readonly readers: FifoGate = new FifoGate(() => this.readable);
  readonly writers: FifoGate = new FifoGate((size) => this.#canWrite(size));
  /** Whether the end can be used here. */
  state: "open" | "moved" | "closed" = "open";
  readonly #pipe: P.PipeAccess | undefined;
  readonly #watchers = new Set<() => void>();
  readonly #isLocal: boolean;
  #isStarted = false;
  /** Calls of `sync` that wait for the start. */
  #unstarted: Array<() => void> = [];
  #pending = 0;
  #peer: P.PeerState = P.AWAY;
  /** Why the other end has ended, if its owner did not close it. */
  #cause: Error | undefined;
  /** The exit of the pipe. */
  #status: number | undefined;
  #exit: Incoming | undefined;
  /** Stops watching the link over which the end has moved. */
  #unwatch: (() => void) | undefined;

  /** Takes the end over. */
  constructor(handle: ConnectionHandle) {
    this.handle = { ...handle, generation: handle.generation + 1 };
    const host = local(handle) as PipeHost | undefined;
    const pipe = host === undefined ? remotePipe(handle, this) : host.claim(handle.end, handle.generation, this);
    this.#isLocal = host !== undefined;
    if (typeof pipe === "number") this.end(pipe);
    else this.#pipe = pipe;
  }

  /** Bytes that were sent and that the other end has not received. */
  get pending(): number {
    return this.#pending;
  }

  /** Whether the pipe is in this process. */
  get isLocal(): boolean {
    return this.#isLocal;
  }

  /** Whether the other end has ended. */
  get isAlone(): boolean {
    return this.#peer === P.ENDED || (this.#status === GONE && this.#peer === P.HERE);
  }

  /** Whether the pipe is gone. */
  get isGone(): boolean {
    return this.#status !== undefined && this.state === "open";
  }

  /** Whether a receive would not wait: there is a message, or a failure. */
  get readable(): boolean {
    return this.inbox.length > 0 || this.#hasFailed;
  }

  /** Why no more messages will arrive. */
  get readFailure(): ConnectionFailure | EndOfFile | undefined {
    return this.useFailure ?? (this.isAlone ? new EndOfFile(this.#cause) : this.#goneFailure);
  }

  /** Why nothing can be sent. */
  get writeFailure(): ConnectionFailure | BrokenPipe | undefined {
    return this.useFailure ?? (this.isAlone ? new BrokenPipe(this.#cause) : this.#goneFailure);
  }

  /** Why the end cannot be used here. */
  get useFailure(): PipeError | undefined {
    if (this.state === "open") return undefined;
    return this.state === "moved" ? moved() : closed();
  }

  /** Receives the next `count` messages of the inbox. */
  take(count: number): void {
    let moving = 0;
    for (let i = 0; i < count; i++) if (this.inbox.shift()!.moves === true) moving++;
    this.#pipe?.received(count);
    if (moving > 0) whenAttached(() => this.#pipe?.takenOver(moving));
  }

  /** Sends a message for which there is room; see {@link P.PipeAccess}. */
  send(message: Message, done: (arrived: boolean) => void): void {
    const limit = this.handle.stranger?.maxMessageSize ?? Infinity;
    if (sizeOf(message) > limit) throw new MessageTooLarge(sizeOf(message), limit, "the other side");
    this.#pending += message.size;
    try {
      this.#pipe?.send(message, done);
    } catch (error) {
      this.#pending -= message.size;
      throw error;
    }
  }

  /** Calls `done` when all messages that the pipe has are here. */
  sync(done: () => void): void {
    if (this.#hasFailed) done();
    else if (this.#isStarted) this.#pipe?.sync(done);
    else this.#unstarted.push(done);
  }

  /** Calls `onReadable` once, when a receive would not wait. Returns a function that stops the wait. */
  watch(onReadable: () => void): () => void {
    this.#watchers.add(onReadable);
    return () => this.#watchers.delete(onReadable);
  }

  /**
   * Called when a message that contains this end has left. `onDeath` registers a callback for the death of the process that is to
   * receive or to store the message, and returns a function that removes the callback.
   */
  leave(onDeath: ((callback: () => void) => () => void) | undefined): void {
    if (this.state !== "open") return;
    this.state = "moved";
    this.inbox.drain();
    this.#pipe?.move();
    this.#wake();
    if (this.#status === undefined) this.#unwatch = onDeath?.(() => this.#pipe?.receiverDied());
  }

  close(): void {
    if (this.state !== "open") return;
    this.state = "closed";
    this.inbox.drain();
    this.#pipe?.close();
    this.#wake();
  }

  readonly start = (pending: number, peer: P.PeerState): void => {
    this.#isStarted = true;
    this.#pending += pending;
    this.#peer = peer;
    for (const done of this.#drainUnstarted()) this.sync(done);
    this.#wake();
  };

  readonly message = (message: Message): void => {
    if (this.state !== "open") return;
    this.inbox.push(message);
    this.#wakeReaders();
  };

  readonly freed = (bytes: number): void => {
    this.#pending = Math.max(0, this.#pending - bytes);
    this.writers.check();
  };

  readonly peer = (peer: P.PeerState, cause?: Error): void => {
    this.#peer = peer;
    this.#cause ??= cause;
    if (peer === P.ENDED) this.#wake();
  };

  readonly end = (status: number, message?: Incoming): void => {
    this.#status = status;
    this.#exit = message;
    this.#unwatch?.();
    this.#unwatch = undefined;
    if (status === P.CLOSED && this.#isStarted && this.state === "open") this.state = "closed";
    if (this.state !== "open") this.inbox.drain();
    for (const done of this.#drainUnstarted()) done();
    this.#wake();
  };

  /** Whether there is room to send a message of that size. */
  hasRoom(size: number): boolean {
    return this.#isStarted && (this.#pending === 0 || this.#pending + size <= this.handle.maxBytes);
  }

  get #hasFailed(): boolean {
    return this.state !== "open" || this.isAlone || this.isGone;
  }

  get #goneFailure(): ConnectionFailure | undefined {
    switch (this.#status) {
      case undefined:
        return undefined;
      case TOO_LARGE:
        return readTooLarge(this.#exit!);
      case P.MOVED:
        return moved();
      case P.CLOSED:
        return closed();
      default:
        return new Unreachable("connection", this.handle.host);
    }
  }

  /** Whether a send would not wait: there is room, or a failure. */
  #canWrite(size: number): boolean {
    return this.#hasFailed || this.hasRoom(size);
  }

  #drainUnstarted(): ReadonlyArray<() => void> {
    const unstarted = this.#unstarted;
    this.#unstarted = [];
    return unstarted;
  }

  #wakeReaders(): void {
    this.readers.check();
    if (this.#watchers.size === 0) return;
    const watchers = [...this.#watchers];
    this.#watchers.clear();
    for (const onReadable of watchers) onReadable();
  }

  #wake(): void {
    if (this.readable) this.#wakeReaders();
    this.writers.check();
  }
}

/**
 * A reference to an end. Its connection has it, and so has each fiber that waits for the end to receive or send: a received end
 * stays open until its reference was garbage-collected, although a fiber that waits may not refer to the connection.
 */
export class EndReference {
  constructor(readonly end: End) {}
}

const moved = (): PipeError =>
  new PipeError("Moved", "Cannot use the connection: it was sent to another process, which owns it now");

const closed = (): PipeError =>
  new PipeError("Closed", "Cannot use the connection: it was closed, or the scope of its pipe was");

/** The pipe of another process. */
const remotePipe = (handle: ConnectionHandle, owner: P.EndOwner): P.PipeAccess => {
  /** For each `SYNCED` that the pipe still owes, in order. */
  const syncs: Array<(arrived: boolean) => void> = [];
  const sending = new SmallSet<(arrived: boolean) => void>();
  beginAttach(owner);
  const line = call(handle, P.ATTACH, varints(handle.end, handle.generation), {
    data: (message) => {
      const { bytes } = message;
      switch (bytes[0]) {
        case P.MESSAGE:
          return owner.message(readMessage(message));
        case P.FREED:
          return owner.freed(new VarintReader(bytes, 1).next());
        case P.START: {
          const numbers = new VarintReader(bytes, 1);
          return owner.start(numbers.next(), numbers.next() as P.PeerState);
        }
        case P.PEER:
          return owner.peer(bytes[1] as P.PeerState);
        case P.SYNCED:
          return syncs.shift()?.(true);
      }
    },
    credit: () => endAttach(owner),
    exit: (message) => {
      const status = message.bytes[0];
      endAttach(owner);
      owner.end(status, message);
      // A pipe that ends the call in this way has received everything that was sent on it.
      const arrived = status === P.MOVED || status === DONE || status === CANCELLED;
      for (const done of syncs.splice(0)) done(arrived);
      for (const done of [...sending]) done(arrived);
    },
  });
  // A message to a process that is not a neighbour may still be on its way when other processes learn of it, so the pipe confirms
  // it.
  const confirm = far(handle);
  return {
    send: (message, done) => {
      const finish = (arrived: boolean): void => {
        if (sending.delete(finish)) done(arrived);
      };
      sending.add(finish);
      try {
        line.data(writeMessage(P.SEND, message, confirm), confirm ? undefined : () => finish(true));
      } catch (error) {
        sending.delete(finish);
        throw error;
      }
      if (confirm) syncs.push(finish);
      line.flush();
    },
    // Sent at once, before a message with which the end moves.
    received: (count) => line.data(varints(P.RECEIVED, count)),
    takenOver: (count) => line.data(varints(P.TAKEN_OVER, count)),
    move: () => {
      line.data(varints(P.MOVE));
      // Together with the message, since this process may end right after.
      line.flush();
    },
    receiverDied: () => line.data(varints(P.RECEIVER_DIED)),
    sync: (done) => {
      syncs.push(() => done());
      line.data(varints(P.SYNC));
    },
    close: () => line.cancel(),
  };
};
