/**
 * The framed, multiplexed, two-way connection between two processes.
 *
 * - A channel carries one conversation: one side opens it, either side sends data, and one side ends it with an exit.
 * - Data flows only against credit, so a slow reader holds back its own writer and nothing else.
 * - `cancel` asks the other side to stop; the exit that follows reports the outcome.
 * - The end of the transport, for any reason, closes every channel. Each receiver is notified once, with the reason.
 *
 * A link and its channels are one state machine, so both stand in this file.
 *
 * Free of Effect, because a child uses it where Effect is not loaded. The parts that use Effect are `../child/call.ts` and
 * `streams.ts`.
 *
 * @module
 */
import { SmallMap } from "../os/small.ts";
import { TypedError } from "../os/typed_error.ts";
import type { LinkSide } from "../transport/frames.ts";
import * as Codec from "../codec/codec.ts";
import { DecodeError } from "../codec/errors.ts";
import { ProtocolError, type Transport } from "../transport/frames.ts";
import type { Incoming } from "../codec/message.ts";
import { Inbox } from "../transport/inbox.ts";
import { Outbox } from "../transport/outbox.ts";

const OPEN = 1;
const DATA = 2;
const CREDIT = 3;
const EXIT = 4;
const CANCEL = 5;
const DEFINE = 6;
const BEGUN = 7;
const NOTICE = 8;

/** The credit by which the opener of a channel ends it. */
export const LAST = 0xffff_ffff;

/** The transport has ended: the peer died, closed it, or sent garbage. */
export class LinkClosed extends TypedError {
  /** The tag, for `Effect.catchTag`. */
  readonly _tag = "LinkClosed";
}

/** The callbacks of one side of a channel. The protocol bounds the calls of each; `closed` is called at most once, and last. */
export interface Receiver {
  /** The other side has sent a message, against the credit of this side. */
  readonly data?: (message: Incoming) => void;
  /** The other side takes `count` more messages. */
  readonly credit?: (count: number) => void;
  /** The other side has begun its work, and can be interrupted from now on. */
  readonly begun?: () => void;
  /** The other side has ended the channel. */
  readonly exit?: (message: Incoming) => void;
  /** The other side asks this side to stop. */
  readonly cancel?: () => void;
  /** The link has ended before the channel. */
  readonly closed: (reason: LinkClosed) => void;
}

/** Writes the body of a message. */
export type Fill = (writer: Codec.Writer) => Codec.Extras<Link> | undefined;

/** Options of a {@link Link}. */
export interface Options {
  /** The side of this end. Each side numbers its channels from a separate range. */
  readonly side: LinkSide;
  readonly maxMessageSize: number;
  /** Called when the other side opens a channel. */
  readonly onOpen?: (channel: Channel, message: Incoming) => Receiver;
  /** Called when the other side names a number, once per number and before its first use. */
  readonly onDefine?: (id: number, message: Incoming) => void;
  readonly onClosed?: (reason: LinkClosed) => void;
}

/** The number of channels that were numbered before their link was known; see {@link exportId}. */
let exported = 0;

const none: ReadonlyArray<number> = [];

/** A channel that has not ended. It is a class for the reason that `FifoEntry` in `../objects/fifo.ts` is one. */
class OpenChannel {
  readonly receiver: Receiver;
  /** The channels that were offered on it. */
  readonly offers: ReadonlyArray<number>;

  constructor(receiver: Receiver, offers: ReadonlyArray<number> = none) {
    this.receiver = receiver;
    this.offers = offers;
  }
}

/** One end of a link. */
export class Link {
  /** Hooks for the values on this link that are not plain data. */
  hooks: ReadonlyArray<Codec.Hook<Link>> = [];
  /** Called with each notice of the other side, which belongs to no channel. */
  onNotice: ((notice: unknown) => void) | undefined;
  readonly #outbox: Outbox;
  readonly #inbox: Inbox;
  readonly #transport: Transport;
  readonly #options: Options;
  readonly #channels = new SmallMap<number, OpenChannel>();
  readonly #watchers = new Set<(reason: LinkClosed) => void>();
  readonly #defined = new Map<unknown, number>();
  readonly #side: number;
  #next = 0;
  #offering: Array<number> | undefined;
  #opening: number | undefined;
  #closed: LinkClosed | undefined;
  #closing = false;

  /** Starts to read from the transport. */
  constructor(transport: Transport, options: Options) {
    this.#transport = transport;
    this.#options = options;
    this.#side = options.side === "parent" ? 0 : 1;
    this.#outbox = new Outbox(transport, options.maxMessageSize);
    const inbox = this.#inbox = new Inbox(options.maxMessageSize, this.#receive);
    transport.start(
      (chunk, lent) => {
        if (this.#closed !== undefined) return;
        try {
          inbox.push(chunk, lent);
        } catch (error) {
          // A notice or definition that cannot be decoded ends the link, because later messages may depend on it.
          if (!(error instanceof ProtocolError || error instanceof DecodeError)) throw error;
          this.#end(new LinkClosed(error.message, { cause: error }));
          transport.close();
        }
      },
      (reason) => this.#end(new LinkClosed(reason?.message ?? "the other side closed the link", { cause: reason })),
      () => inbox.space,
    );
  }

  /** The reason for the end of the link; `undefined` while the link is open. */
  get closed(): LinkClosed | undefined {
    return this.#closed;
  }

  /** The number of channels that are open on this side. */
  get size(): number {
    return this.#channels.size;
  }

  /** Whether a sender that respects back-pressure may send. */
  get writable(): boolean {
    return this.#outbox.writable;
  }

  /** The largest message that can be sent, in bytes. */
  get maxMessageSize(): number {
    return this.#outbox.maxMessageSize;
  }

  /** Changes the limits for sent and received messages, in bytes. */
  limit(sent: number, received: number = sent): void {
    this.#outbox.maxMessageSize = sent;
    this.#inbox.maxMessageSize = received;
  }

  /** Runs `resume` once, when the link is writable again or has ended. */
  onWritable(resume: () => void): void {
    this.#outbox.onWritable(resume);
  }

  /** Runs `watcher` when the link ends, or at once if it has ended. Returns a function that removes the watcher. */
  onClosed(watcher: (reason: LinkClosed) => void): () => void {
    if (this.#closed !== undefined) {
      watcher(this.#closed);
      return () => {};
    }
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  /**
   * Returns the number by which the peer knows `key`. A new key is announced first, with its description. Small frames keep their
   * order, so the announcement arrives before the message that uses the number.
   */
  define(key: unknown, describe: () => unknown): number {
    let id = this.#defined.get(key);
    if (id === undefined) {
      id = this.#defined.size;
      const description = describe();
      this.#outbox.send(DEFINE, id, (writer) => void Codec.encodeInto(writer, description));
      this.#defined.set(key, id);
    }
    return id;
  }

  /** Sends a notice, which belongs to no channel. */
  notify(notice: unknown): void {
    this.#outbox.send(NOTICE, 0, (writer) => void Codec.encodeInto(writer, notice));
  }

  /**
   * Opens a channel. If `fill` throws, the error is thrown and nothing is sent. If the link has ended, `closed` is called at
   * once.
   */
  open(fill: Fill, receiver: Receiver): Channel {
    const id = this.#allocate();
    this.#send(OPEN, id, fill, receiver);
    return new Channel(this, id);
  }

  /**
   * Makes a channel that the peer learns of from another message (see {@link exportId}). A channel that is offered while a
   * message is being sent belongs to the channel of that message, and is cancelled when that channel ends.
   */
  offer(id: number, make: (channel: Channel) => Receiver): void {
    const receiver = make(new Channel(this, id));
    if (this.#closed !== undefined) return receiver.closed(this.#closed);
    this.#channels.set(id, new OpenChannel(receiver));
    this.#offering?.push(id);
  }

  /** Joins the channel that the peer offers under the number `id`. */
  accept(id: number, receiver: Receiver): Channel {
    if (this.#closed !== undefined) receiver.closed(this.#closed);
    else this.#channels.set(id, new OpenChannel(receiver));
    return new Channel(this, id);
  }

  /** Whether this side has closed the link, so that its end is expected. */
  get closing(): boolean {
    return this.#closing;
  }

  /** Closes the link once all sent messages have left. */
  close(): void {
    if (this.#closing) return;
    this.#closing = true;
    if (this.#closed === undefined) this.#outbox.flushed(() => this.#transport.close());
  }

  /** Sends the pending messages that the transport takes now, and drops all others, because this process is about to end. */
  mute(): void {
    this.#outbox.flush();
    this.#outbox.close();
  }

  /** Ends the link at once, and drops unsent messages. */
  destroy(): void {
    this.#closing = true;
    this.#transport.close();
    this.#end(new LinkClosed("this side closed the link"));
  }

  /** Sends pending messages now, instead of at the end of the turn. */
  flush(): void {
    this.#outbox.flush();
  }

  /** Runs `done` once the transport has taken all sent messages, or the link has ended. */
  flushed(done: () => void): void {
    this.#outbox.flushed(done);
  }

  /** @internal */
  sendOn(kind: "data" | "begun" | "exit" | "cancel", id: number, fill?: Fill, handed?: () => void): void {
    switch (kind) {
      case "begun":
        return this.#send(BEGUN, id);
      case "data":
        return this.#send(DATA, id, fill, undefined, handed);
      case "exit":
        this.#send(EXIT, id, fill);
        return this.#forget(id);
      case "cancel":
        return this.#send(CANCEL, id);
    }
  }

  /** @internal */
  creditOn(id: number, count: number, handed?: () => void): void {
    this.#outbox.send(CREDIT, id, (writer) => {
      writer.reserve(4);
      writer.view.setUint32(writer.position, count, true);
      writer.position += 4;
      return undefined;
    }, handed);
  }

  /** Wraps `call` in a function that runs it at most once, and that the end of the link calls as well. @internal */
  orClosed(call: () => void): () => void {
    let called = false;
    const once = (): void => {
      if (called) return;
      called = true;
      stop();
      call();
    };
    let stop = (): void => {};
    stop = this.onClosed(() => queueMicrotask(once));
    return once;
  }

  /** @internal */
  forget(id: number): void {
    this.#forget(id);
  }

  #send(kind: number, id: number, fill?: Fill, receiver?: Receiver, handed?: () => void): void {
    let extras: Codec.Extras<Link> | undefined;
    this.#outbox.send(
      kind,
      id,
      fill && ((writer) => {
        extras = fill(writer);
        return extras;
      }),
      handed,
    );
    if (extras === undefined || extras.onSend.length === 0) {
      if (receiver !== undefined) this.#register(id, receiver);
      return;
    }
    const offers: Array<number> = this.#offering = [];
    for (const attach of extras.onSend) attach(this);
    this.#offering = undefined;
    if (receiver !== undefined) this.#register(id, receiver, offers);
  }

  #register(id: number, receiver: Receiver, offers?: ReadonlyArray<number>): void {
    if (this.#closed !== undefined) receiver.closed(this.#closed);
    else this.#channels.set(id, new OpenChannel(receiver, offers));
  }

  #allocate(): number {
    let id: number;
    do {
      this.#next = (this.#next + 1) & 0x3fff_ffff;
      id = (this.#next << 2 | this.#side) >>> 0;
    } while (this.#channels.has(id));
    return id;
  }

  #forget(id: number): void {
    if (this.#opening === id) this.#opening = undefined;
    const channel = this.#channels.get(id);
    if (channel === undefined) return;
    this.#channels.delete(id);
    for (const offer of channel.offers) {
      const offered = this.#channels.get(offer);
      this.#channels.delete(offer);
      offered?.receiver.cancel?.();
    }
  }

  #receive = (kind: number, id: number, message: Incoming): void => {
    switch (kind) {
      case OPEN:
        return this.#opened(id, message);
      case DEFINE:
        if (this.#options.onDefine === undefined) {
          throw new ProtocolError("Cannot read from the peer: it names tasks to a side that runs none");
        }
        return this.#options.onDefine(id, message);
      case NOTICE:
        return this.onNotice?.(Codec.decode(message.bytes, { attachments: message.attachments, link: this }));
    }
    // The peer may still send on a channel that has ended here, until it receives the end.
    const receiver = this.#channels.get(id)?.receiver;
    switch (kind) {
      case DATA:
        return receiver?.data?.(message);
      case CREDIT: {
        if (message.bytes.length !== 4) throw new ProtocolError("Cannot read from the peer: malformed credit");
        const { bytes } = message;
        return receiver?.credit?.((bytes[0] | bytes[1] << 8 | bytes[2] << 16 | bytes[3] << 24) >>> 0);
      }
      case EXIT:
        this.#forget(id);
        return receiver?.exit?.(message);
      case CANCEL:
        return receiver?.cancel?.();
      case BEGUN:
        return receiver?.begun?.();
      default:
        throw new ProtocolError(`Cannot read from the peer: unknown kind of message ${kind}`);
    }
  };

  #opened(id: number, message: Incoming): void {
    if (this.#options.onOpen === undefined || this.#channels.has(id) || (id & 1) === this.#side) {
      throw new ProtocolError("Cannot read from the peer: it opened a channel that it may not open");
    }
    // A handler that answers at once ends the channel before it is registered.
    this.#opening = id;
    const receiver = this.#options.onOpen(new Channel(this, id), message);
    if (this.#opening === id) this.#register(id, receiver);
    this.#opening = undefined;
  }

  #end(reason: LinkClosed): void {
    if (this.#closed !== undefined) return;
    this.#closed = reason;
    this.#outbox.close();
    const channels = this.#channels.values();
    this.#channels.clear();
    for (const { receiver } of channels) receiver.closed(reason);
    const watchers = [...this.#watchers];
    this.#watchers.clear();
    for (const watcher of watchers) watcher(reason);
    this.#options.onClosed?.(reason);
  }
}

/** One side of a channel. */
export class Channel {
  readonly link: Link;
  readonly id: number;

  constructor(link: Link, id: number) {
    this.link = link;
    this.id = id;
  }

  /**
   * Sends a message, for which the other side must have given credit. `handed` runs once the message outlives this process; see
   * `Outbox.send`.
   */
  data(fill: Fill, handed?: () => void): void {
    this.link.sendOn("data", this.id, fill, handed);
  }

  /** Allows the other side `count` more messages. */
  credit(count: number, handed?: () => void): void {
    this.link.creditOn(this.id, count, handed);
  }

  /**
   * Ends the channel from the opener's side; the other side receives a credit of {@link LAST}. `handed` runs once that credit
   * outlives this process, or when the link has ended.
   */
  finish(handed?: () => void): void {
    this.link.creditOn(this.id, LAST, handed && this.link.orClosed(handed));
    this.link.forget(this.id);
  }

  /** Reports that the work has begun and can be interrupted. */
  begun(): void {
    this.link.sendOn("begun", this.id);
  }

  /** Ends the channel with a last message. If `fill` throws, the error is thrown and the channel stays open. */
  exit(fill: Fill): void {
    this.link.sendOn("exit", this.id, fill);
  }

  /** Asks the other side to stop. The other side answers with its exit. */
  cancel(): void {
    this.link.sendOn("cancel", this.id);
  }

  /** Sends pending messages now, instead of at the end of the turn. */
  flush(): void {
    this.link.flush();
  }

  /** Ignores all further messages of this channel. */
  forget(): void {
    this.link.forget(this.id);
  }
}

/** Numbers a channel that a message will offer over a link that is not known yet. `side` is the side of this process there. */
export const exportId = (side: LinkSide): number => {
  exported = (exported + 1) & 0x3fff_ffff;
  return (exported << 2 | 2 | (side === "parent" ? 0 : 1)) >>> 0;
};
