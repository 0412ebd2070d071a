/**
 * One end of a pipe, in the process that has it.
 *
 * Messages are here before anybody asks for them; the pipe learns of those that were received. Whether there is room to send
 * is known here as well, from what was sent and what the other end has received. Free of Effect.
 *
 * @module
 */
import { attached, attaching, hasAttached } from "../objects/attaching.ts";
import { call, CANCELLED, DONE, far, GONE, local, readTooLarge, type Target, TOO_LARGE } from "../rpc/router.ts";
import { type Incoming, MessageTooLarge } from "../codec/message.ts";
import { BrokenPipe, EndOfFile, PipeError, Unreachable } from "../objects/errors.ts";
import { type Message, Messages } from "./inbox.ts";
import { sizeOf } from "../objects/packets.ts";
import { type PipeHost, read, write } from "./host.ts";
import * as P from "./protocol.ts";
import { VarintReader, varints } from "../codec/varint.ts";
import { FifoGate } from "../objects/fifo_gate.ts";

/** What a handle of an end says. */
export interface Place extends Target {
  /** Name of the process that hosts the pipe. */
  readonly host: string;
  readonly end: number;
  /** How often it had moved. */
  readonly turn: number;
  readonly duplex: boolean;
  /** Bytes that the other end may have to receive. */
  readonly maxBytes: number;
  /** What is known of the other end, if it is in no process of the family. */
  readonly stranger?: Stranger;
}

/** Somebody beyond the family. */
export interface Stranger {
  /** Where the connection leads. */
  readonly peer: Peer;
  /** The largest message that he takes, in bytes. */
  readonly maxMessageSize: number;
}

/** The other side of a connection to another program: its address, as far as the system tells it. */
export type Peer = { readonly hostname: string; readonly port: number } | { readonly path: string };

type Failure = PipeError | Unreachable | MessageTooLarge;

/** See above. */
export class End implements P.Owner {
  readonly place: Place;
  readonly near = true;
  readonly inbox: Messages = new Messages();
  readonly readers: FifoGate = new FifoGate(() => this.readable);
  readonly writers: FifoGate = new FifoGate((size) => this.#writable(size));
  /** Whether it can still be used here. */
  state: "open" | "moved" | "closed" = "open";
  readonly #seat: P.Seat | undefined;
  readonly #watchers = new Set<() => void>();
  #started = false;
  #unstarted: Array<() => void> = [];
  #pending = 0;
  #peer: P.Peer = P.AWAY;
  /** Why the other end has ended, if that was not its owner's wish. */
  #cause: Error | undefined;
  /** How the pipe has ended it. */
  #status: number | undefined;
  #last: Incoming | undefined;
  /** Hears no more of the link over which it has moved. */
  #unwatch: (() => void) | undefined;

  /** Takes the end over. */
  constructor(place: Place) {
    this.place = { ...place, turn: place.turn + 1 };
    const host = local(place) as PipeHost | undefined;
    const seat = host === undefined ? distant(place, this) : host.claim(place.end, place.turn, this);
    if (typeof seat === "number") this.end(seat);
    else this.#seat = seat;
  }

  /** Bytes that were sent and that the other end has not received. */
  get pending(): number {
    return this.#pending;
  }

  /** Whether the other end is no more. */
  get alone(): boolean {
    return this.#peer === P.ENDED || (this.#status === GONE && this.#peer === P.HERE);
  }

  /** Whether the pipe is. */
  get gone(): boolean {
    return this.#status !== undefined && this.state === "open";
  }

  /** Whether a receive has its answer: a message, or why there will be none. */
  get readable(): boolean {
    return this.inbox.length > 0 || this.state !== "open" || this.alone || this.gone;
  }

  /** Why there will be no more messages. */
  get readFailure(): Failure | EndOfFile | undefined {
    return this.useFailure ?? (this.alone ? new EndOfFile(this.#cause) : this.#gone);
  }

  /** Why nothing can be sent. */
  get writeFailure(): Failure | BrokenPipe | undefined {
    return this.useFailure ?? (this.alone ? new BrokenPipe(this.#cause) : this.#gone);
  }

  /** Why it cannot be used here. */
  get useFailure(): PipeError | undefined {
    if (this.state === "open") return undefined;
    return this.state === "moved" ? moved() : closed();
  }

  /** Receives the next messages. */
  take(count: number): void {
    let moving = 0;
    for (let i = 0; i < count; i++) if (this.inbox.shift()!.moves === true) moving++;
    this.#seat?.took(count);
    if (moving > 0) attached(() => this.#seat?.held(moving));
  }

  /** Sends a message for which there is room; see {@link P.Seat}. */
  send(message: Message, done: (arrived: boolean) => void): void {
    const limit = this.place.stranger?.maxMessageSize ?? Infinity;
    if (sizeOf(message) > limit) throw new MessageTooLarge(sizeOf(message), limit, "the other side");
    this.#pending += message.size;
    try {
      this.#seat?.send(message, done);
    } catch (error) {
      this.#pending -= message.size;
      throw error;
    }
  }

  /** Calls back when all that is there is here. */
  sync(done: () => void): void {
    if (this.state !== "open" || this.alone || this.gone) done();
    else if (this.#started) this.#seat?.sync(done);
    else this.#unstarted.push(done);
  }

  /** Calls back, once, when a receive has its answer. Returns what takes the wish back. */
  watch(done: () => void): () => void {
    this.#watchers.add(done);
    return () => this.#watchers.delete(done);
  }

  /** The message with this end in it was handed over. `onDeath` says when whoever was to have it, or to keep it, has died. */
  leave(onDeath: ((died: () => void) => () => void) | undefined): void {
    if (this.state !== "open") return;
    this.state = "moved";
    this.inbox.clear();
    this.#seat?.leave();
    this.#wake();
    if (this.#status === undefined) this.#unwatch = onDeath?.(() => this.#seat?.lost());
  }

  close(): void {
    if (this.state !== "open") return;
    this.state = "closed";
    this.inbox.clear();
    this.#seat?.close();
    this.#wake();
  }

  readonly start = (pending: number, peer: P.Peer): void => {
    this.#started = true;
    this.#pending += pending;
    this.#peer = peer;
    const waiting = this.#unstarted;
    this.#unstarted = [];
    for (const done of waiting) this.sync(done);
    this.#wake();
  };

  readonly message = (message: Message): void => {
    if (this.state !== "open") return;
    this.inbox.push(message);
    this.#arrived();
  };

  readonly read = (bytes: number): void => {
    this.#pending = Math.max(0, this.#pending - bytes);
    this.writers.check();
  };

  readonly peer = (peer: P.Peer, cause?: Error): void => {
    this.#peer = peer;
    this.#cause ??= cause;
    if (peer === P.ENDED) this.#wake();
  };

  readonly end = (status: number, message?: Incoming): void => {
    this.#status = status;
    this.#last = message;
    this.#unwatch?.();
    this.#unwatch = undefined;
    if (status === P.CLOSED && this.#started && this.state === "open") this.state = "closed";
    if (this.state !== "open") this.inbox.clear();
    const waiting = this.#unstarted;
    this.#unstarted = [];
    for (const done of waiting) done();
    this.#wake();
  };

  get #gone(): Failure | undefined {
    switch (this.#status) {
      case undefined:
        return undefined;
      case TOO_LARGE:
        return readTooLarge(this.#last!);
      case P.MOVED:
        return moved();
      case P.CLOSED:
        return closed();
      default:
        return new Unreachable("connection", this.place.host);
    }
  }

  /** Whether a message of that size can be sent now. */
  hasRoom(size: number): boolean {
    return this.#started && (this.#pending === 0 || this.#pending + size <= this.place.maxBytes);
  }

  /** Whether a send has its answer: room, or why it will not be sent. */
  #writable(size: number): boolean {
    return this.state !== "open" || this.alone || this.gone || this.hasRoom(size);
  }

  #arrived(): void {
    this.readers.check();
    if (this.#watchers.size === 0) return;
    const watchers = [...this.#watchers];
    this.#watchers.clear();
    for (const done of watchers) done();
  }

  #wake(): void {
    if (this.readable) this.#arrived();
    this.writers.check();
  }
}

const moved = (): PipeError =>
  new PipeError("Moved", "Cannot use the connection: it was sent to another process, and is that one's now");

const closed = (): PipeError =>
  new PipeError("Closed", "Cannot use the connection: it was closed, or the scope of its pipe was");

/** The pipe of another process. */
const distant = (place: Place, owner: P.Owner): P.Seat => {
  const syncs: Array<(arrived: boolean) => void> = [];
  const sending = new Set<(arrived: boolean) => void>();
  attaching(owner);
  const line = call(place, P.ATTACH, (writer) => {
    writer.varint(place.end);
    writer.varint(place.turn);
    return undefined;
  }, {
    data: (message) => {
      const { bytes } = message;
      switch (bytes[0]) {
        case P.MESSAGE:
          return owner.message(read(message));
        case P.READ:
          return owner.read(new VarintReader(bytes, 1).next());
        case P.START: {
          const numbers = new VarintReader(bytes, 1);
          return owner.start(numbers.next(), numbers.next() as P.Peer);
        }
        case P.PEER:
          return owner.peer(bytes[1] as P.Peer);
        case P.SYNCED:
          return syncs.shift()?.(true);
      }
    },
    credit: () => hasAttached(owner),
    exit: (message) => {
      const status = message.bytes[0];
      hasAttached(owner);
      owner.end(status, message);
      // A pipe that speaks of the end as left or closed has heard all that was said before.
      const arrived = status === P.MOVED || status === DONE || status === CANCELLED;
      for (const done of syncs.splice(0)) done(arrived);
      for (const done of [...sending]) done(arrived);
    },
  });
  const say = (tag: number): void => line.data(varints(tag));
  // What outlives this process may not have arrived when others hear of it.
  const answered = far(place);
  return {
    send: (message, done) => {
      const finish = (arrived: boolean): void => {
        if (sending.delete(finish)) done(arrived);
      };
      sending.add(finish);
      try {
        line.data(write(P.SEND, message, answered), answered ? undefined : () => finish(true));
      } catch (error) {
        sending.delete(finish);
        throw error;
      }
      if (answered) syncs.push(finish);
      line.flush();
    },
    // At once: before a message that takes the end away.
    took: (count) =>
      line.data((writer) => {
        writer.byte(P.TOOK);
        writer.varint(count);
        return undefined;
      }),
    held: (count) =>
      line.data((writer) => {
        writer.byte(P.HELD);
        writer.varint(count);
        return undefined;
      }),
    leave: () => {
      say(P.LEAVE);
      // With the message: whoever has sent it may die right after.
      line.flush();
    },
    lost: () => say(P.LOST),
    sync: (done) => {
      syncs.push(() => done());
      say(P.SYNC);
    },
    close: () => line.cancel(),
  };
};
