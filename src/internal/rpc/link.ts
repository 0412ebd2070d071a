/**
 * The framed, multiplexed, two-way channel between two processes.
 *
 * - A conversation is a channel: one side opens it, either side sends data, one side ends it with its exit.
 * - Data flows only against credit, so a slow reader holds back the writer and nothing else.
 * - `cancel` asks the other side to stop; the exit that follows says what became of it.
 * - The end of the transport, for any reason, closes every channel: each receiver is told once, and with the reason.
 *
 * Free of Effect: the child's side of it runs where Effect is not loaded. The Effect side stands in `call.ts` and
 * `streams.ts`.
 *
 * @module
 */
import { TypedError } from "../os/typed_error.ts";
import type { Side } from "../transport/frames.ts";
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

/** The credit that ends a channel: there is nothing more to be said on it. */
export const LAST = 0xffff_ffff;

/** The transport ended: the peer is gone, or closed it, or sent garbage. */
export class LinkClosed extends TypedError {
  /** The tag, for `Effect.catchTag`. */
  readonly _tag = "LinkClosed";
}

/** What a side of a channel wants to hear of. Each is called at most as the protocol says; `closed` at most once, last. */
export interface Receiver {
  /** The other side sent a message against our credit. */
  readonly data?: (message: Incoming) => void;
  /** The other side can take `count` more messages. */
  readonly credit?: (count: number) => void;
  /** The other side has begun, and can be interrupted from now on. */
  readonly begun?: () => void;
  /** The other side is done. The channel has ended. */
  readonly exit?: (message: Incoming) => void;
  /** The other side wants no more of this. */
  readonly cancel?: () => void;
  /** The link ended before the channel did. */
  readonly closed: (reason: LinkClosed) => void;
}

/** Writes the body of a message. */
export type Fill = (writer: Codec.Writer) => Codec.Extras<Link> | undefined;

/** Options of a {@link Link}. */
export interface Options {
  /** Which of the two sides this is: they number their channels apart. */
  readonly side: Side;
  readonly maxMessageSize: number;
  /** The other side opens a channel. */
  readonly onOpen?: (channel: Channel, message: Incoming) => Receiver;
  /** The other side gives a name to a number, once, before it uses the number. */
  readonly onDefine?: (id: number, message: Incoming) => void;
  readonly onClosed?: (reason: LinkClosed) => void;
}

/** Counts channels that are made before it is known over which link they will go. */
let exported = 0;

/** One end of a link. */
export class Link {
  /** Hooks by which values that are no plain data travel over this link. */
  hooks: ReadonlyArray<Codec.Hook<Link>> = [];
  /** The other side says something that belongs to no channel. */
  onNotice: ((notice: unknown) => void) | undefined;
  readonly #outbox: Outbox;
  readonly #inbox: Inbox;
  readonly #transport: Transport;
  readonly #options: Options;
  readonly #channels = new Map<number, { readonly receiver: Receiver; readonly offers: ReadonlyArray<number> }>();
  readonly #watchers = new Set<(reason: LinkClosed) => void>();
  readonly #defined = new Map<unknown, number>();
  readonly #side: number;
  #next = 0;
  #offering: Array<number> | undefined;
  #opening: number | undefined;
  #closed: LinkClosed | undefined;
  #closing = false;

  /** Starts to read what the transport brings. */
  constructor(transport: Transport, options: Options) {
    this.#transport = transport;
    this.#options = options;
    this.#side = options.side === "parent" ? 0 : 1;
    this.#outbox = new Outbox(transport, options.maxMessageSize);
    const inbox = this.#inbox = new Inbox(options.maxMessageSize, this.#receive);
    transport.start((chunk, lent) => {
      if (this.#closed !== undefined) return;
      try {
        inbox.push(chunk, lent);
      } catch (error) {
        // Whoever understands no notice or definition of the peer's does not understand the peer.
        if (!(error instanceof ProtocolError || error instanceof DecodeError)) throw error;
        this.#end(new LinkClosed(error.message, { cause: error }));
        transport.close();
      }
    }, (reason) => this.#end(new LinkClosed(reason?.message ?? "the other side closed the link", { cause: reason })));
  }

  /** Why the link has ended, or `undefined` while it lives. */
  get closed(): LinkClosed | undefined {
    return this.#closed;
  }

  /** Channels that are open on this side. */
  get size(): number {
    return this.#channels.size;
  }

  /** Whether a polite sender may send. */
  get writable(): boolean {
    return this.#outbox.writable;
  }

  /** The largest message that can be sent, in bytes. */
  get maxMessageSize(): number {
    return this.#outbox.maxMessageSize;
  }

  /** Changes the largest messages that can be sent, and received, in bytes. */
  limit(sent: number, received: number = sent): void {
    this.#outbox.maxMessageSize = sent;
    this.#inbox.maxMessageSize = received;
  }

  /** Calls back, once, when the link is writable again, or closed. */
  onWritable(resume: () => void): void {
    this.#outbox.onWritable(resume);
  }

  /** Tells when the link has ended. Returns a function that takes the wish back. */
  onClosed(watcher: (reason: LinkClosed) => void): () => void {
    if (this.#closed !== undefined) {
      watcher(this.#closed);
      return () => {};
    }
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  /**
   * The number by which the peer knows `key`, announcing it with the given description if it is new. Small frames keep
   * their order, so the announcement arrives before the message that uses the number.
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

  /** Says something to the other side that belongs to no channel. */
  notify(notice: unknown): void {
    this.#outbox.send(NOTICE, 0, (writer) => void Codec.encodeInto(writer, notice));
  }

  /** Opens a channel. Throws what `fill` throws, and has then sent nothing. On a dead link `closed` is called at once. */
  open(fill: Fill, receiver: Receiver): Channel {
    const id = this.#allocate();
    this.#send(OPEN, id, fill, receiver);
    return new Channel(this, id);
  }

  /**
   * Makes a channel whose opening the peer learned of in another message (see {@link exportId}). While a message is being
   * sent the channel belongs to it: it is dropped when that message's channel ends.
   */
  offer(id: number, make: (channel: Channel) => Receiver): void {
    const receiver = make(new Channel(this, id));
    if (this.#closed !== undefined) return receiver.closed(this.#closed);
    this.#channels.set(id, { receiver, offers: [] });
    this.#offering?.push(id);
  }

  /** Joins the channel that the peer offers under this number. */
  accept(id: number, receiver: Receiver): Channel {
    if (this.#closed !== undefined) receiver.closed(this.#closed);
    else this.#channels.set(id, { receiver, offers: [] });
    return new Channel(this, id);
  }

  /** Whether this side has closed the link, so that its end is no news. */
  get closing(): boolean {
    return this.#closing;
  }

  /** Closes the link after what was sent has left. */
  close(): void {
    if (this.#closing) return;
    this.#closing = true;
    if (this.#closed === undefined) this.#outbox.flushed(() => this.#transport.close());
  }

  /** Sends what can be sent at once, and nothing from now on: this process is about to end. */
  mute(): void {
    this.#outbox.flush();
    this.#outbox.close();
  }

  /** Ends the link at once, dropping what is unsent. */
  destroy(): void {
    this.#closing = true;
    this.#transport.close();
    this.#end(new LinkClosed("this side closed the link"));
  }

  /** Hands over now what else would leave with this turn. */
  flush(): void {
    this.#outbox.flush();
  }

  /** Calls back when everything that was sent has been taken by the transport. */
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
      new DataView(writer.buffer.buffer, writer.buffer.byteOffset).setUint32(writer.position, count, true);
      writer.position += 4;
      return undefined;
    }, handed);
  }

  /** A function to be called once, which is called by the end of the link if nobody else has. @internal */
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
        return extras?.attachments;
      }),
      handed,
    );
    if (extras === undefined || extras.onSend.length === 0) {
      if (receiver !== undefined) this.#register(id, receiver, []);
      return;
    }
    const offers: Array<number> = this.#offering = [];
    for (const attach of extras.onSend) attach(this);
    this.#offering = undefined;
    if (receiver !== undefined) this.#register(id, receiver, offers);
  }

  #register(id: number, receiver: Receiver, offers: ReadonlyArray<number>): void {
    if (this.#closed !== undefined) receiver.closed(this.#closed);
    else this.#channels.set(id, { receiver, offers });
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
    // A channel that has ended here may still be spoken of by a peer that does not know yet.
    const receiver = this.#channels.get(id)?.receiver;
    switch (kind) {
      case DATA:
        return receiver?.data?.(message);
      case CREDIT: {
        if (message.bytes.length !== 4) throw new ProtocolError("Cannot read from the peer: malformed credit");
        const view = new DataView(message.bytes.buffer, message.bytes.byteOffset);
        return receiver?.credit?.(view.getUint32(0, true));
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
    // A handler that answers at once has ended the channel before it could be registered.
    this.#opening = id;
    const receiver = this.#options.onOpen(new Channel(this, id), message);
    if (this.#opening === id) this.#register(id, receiver, []);
    this.#opening = undefined;
  }

  #end(reason: LinkClosed): void {
    if (this.#closed !== undefined) return;
    this.#closed = reason;
    this.#outbox.close();
    const channels = [...this.#channels.values()];
    this.#channels.clear();
    for (const { receiver } of channels) receiver.closed(reason);
    const watchers = [...this.#watchers];
    this.#watchers.clear();
    for (const watcher of watchers) watcher(reason);
    this.#options.onClosed?.(reason);
  }
}

/** One side's hold on a channel. */
export class Channel {
  readonly link: Link;
  readonly id: number;

  constructor(link: Link, id: number) {
    this.link = link;
    this.id = id;
  }

  /**
   * Sends a message, for which the other side must have given credit. `handed` is called when it outlives this process; see
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
   * Ends the channel with a word of its opener, which the other side hears as a credit of {@link LAST}. `handed` is called when that
   * outlives this process, or the link has ended.
   */
  finish(handed?: () => void): void {
    this.link.creditOn(this.id, LAST, handed && this.link.orClosed(handed));
    this.link.forget(this.id);
  }

  /** Says that the work has begun and can be interrupted. */
  begun(): void {
    this.link.sendOn("begun", this.id);
  }

  /** Ends the channel with a last message. Throws what `fill` throws; the channel is then still open. */
  exit(fill: Fill): void {
    this.link.sendOn("exit", this.id, fill);
  }

  /** Asks the other side to stop. It answers with its exit. */
  cancel(): void {
    this.link.sendOn("cancel", this.id);
  }

  /** Hands over now what else would leave with this turn. */
  flush(): void {
    this.link.flush();
  }

  /** Hears no more of this channel. */
  forget(): void {
    this.link.forget(this.id);
  }
}

/** A number for a channel that will be offered over whichever link its message goes, where this process is that side. */
export const exportId = (side: Side): number => {
  exported = (exported + 1) & 0x3fff_ffff;
  return (exported << 2 | 2 | (side === "parent" ? 0 : 1)) >>> 0;
};
