/**
 * A connection to another program: a pipe of this process whose second end belongs to the peer.
 *
 * The first end can therefore do everything that the end of a pipe can: it can be waited for, sent to another process of the
 * family, and closed. The peer is reached by frames (`frames.ts`) of two kinds:
 *
 * | kind | body | meaning |
 * | --- | --- | --- |
 * | `MESSAGE` | b = kind, bytes; attachments | a message for the other side |
 * | `READ` | n | the number of messages that the other side has received since the last `READ` |
 *
 * Each side sends as long as its unacknowledged messages fit into the peer's receive window. A message leaves at once, or with the
 * next write while a write is in progress. A frame of any other kind ends the connection.
 *
 * @module
 */
import { SmallSet } from "../os/small.ts";
import { ConnectionClient } from "../pipe/client.ts";
import type { ConnectionHandle, Peer } from "../pipe/end.ts";
import { PipeHost } from "../pipe/host.ts";
import { BYTES, type Message, readMessage, VALUE, writeMessage } from "../pipe/message.ts";
import { VarintReader } from "../codec/varint.ts";
import * as P from "../pipe/protocol.ts";
import { address, host, retire } from "../rpc/router.ts";
import { self } from "../rpc/identity.ts";
import { ProtocolError } from "../transport/frames.ts";
import type { Incoming } from "../codec/message.ts";
import { Inbox } from "../transport/inbox.ts";
import { Outbox } from "../transport/outbox.ts";
import type { PeerSession } from "./authenticate.ts";
import type { Limits } from "./handshake.ts";
import type { TcpTransport } from "./tcp_transport.ts";

/** Kinds of frames. */
const MESSAGE = 1;
const READ = 2;

/** Channels: messages are queued behind each other, acknowledgements are not. */
const CONTROL = 0;
const MESSAGES = 1;

/**
 * Milliseconds for which an acknowledgement may wait for a message that leaves anyway. In a conversation of short messages, each
 * acknowledgement then leaves in the same write as the answer.
 */
const ACKNOWLEDGE_WITHIN = 1;

/** The part of the receive window that may be unacknowledged, so that a sender that fills the window need not wait. */
const UNACKNOWLEDGED_PART = 1 / 4;

/** Bytes of a message beyond those that count for its size. */
const OVERHEAD = 64;

/** Messages of another program cannot move ends of pipes, so that nothing has to be kept with them. */
const keepNothing = () => (): void => {};

/** The peer, as the owner of the pipe's second end. */
class PeerEnd implements P.EndOwner {
  readonly near = false;
  readonly stranger = true;
  readonly #transport: TcpTransport;
  readonly #outbox: Outbox;
  readonly #inbox: Inbox;
  readonly #pipe: P.PipeAccess;
  /** Reports the outcome of each message that has not left this process. */
  readonly #unsent = new SmallSet<(sent: boolean) => void>();
  /** Messages received here that the peer has not been told of, and their bytes. */
  #unacknowledged = 0;
  #unacknowledgedBytes = 0;
  readonly #mostUnacknowledged: number;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closing = false;

  constructor({ limits, transport }: PeerSession, own: Limits, pipe: PipeHost) {
    this.#transport = transport;
    this.#mostUnacknowledged = own.maxBytes * UNACKNOWLEDGED_PART;
    this.#outbox = new Outbox(transport, limits.maxMessageSize + OVERHEAD);
    this.#inbox = new Inbox(own.maxMessageSize + OVERHEAD, this.#receive);
    // The second end of a new pipe can be claimed.
    this.#pipe = pipe.claim(1, 0, this) as P.PipeAccess;
    transport.start(this.#push, this.#ended, () => this.#inbox.space);
  }

  readonly start = (): void => {};

  /** Sends a message. `handed` hears whether it has left this process. */
  readonly message = (message: Message, handed?: (sent: boolean) => void): void => {
    const finish = (sent: boolean): void => {
      if (this.#unsent.delete(finish)) handed?.(sent);
    };
    this.#unsent.add(finish);
    this.#acknowledge();
    this.#outbox.send(
      MESSAGE,
      MESSAGES,
      (writer) => writeMessage(P.MESSAGE, message)(writer),
      () => finish(true),
    );
    // At once, unless a write is in progress: then the message leaves with the next one.
    this.#outbox.flush();
  };

  /** Messages were received here. They are acknowledged together: with the next message, or soon. */
  readonly freed = (bytes: number, count: number = 0): void => {
    if (this.#closing) return;
    this.#unacknowledged += count;
    this.#unacknowledgedBytes += bytes;
    if (this.#unacknowledgedBytes >= this.#mostUnacknowledged) this.#acknowledge();
    else this.#timer ??= setTimeout(this.#acknowledgeLate, ACKNOWLEDGE_WITHIN);
  };

  readonly peer = (status: P.PeerState): void => {
    if (status === P.ENDED) this.end();
  };

  /** Closes the connection once everything that was sent has left, if the peer takes it in time. */
  readonly end = (): void => {
    if (this.#closing) return;
    this.#closing = true;
    clearTimeout(this.#timer);
    this.#outbox.flush();
    this.#transport.closeAfter((done) => this.#outbox.flushed(done));
  };

  readonly #acknowledgeLate = (): void => {
    this.#timer = undefined;
    this.#acknowledge();
  };

  #acknowledge(): void {
    const count = this.#unacknowledged;
    if (count === 0 || this.#closing) return;
    this.#unacknowledged = this.#unacknowledgedBytes = 0;
    this.#outbox.send(READ, CONTROL, (writer) => void writer.varint(count));
  }

  readonly #push = (chunk: Uint8Array): void => {
    if (this.#closing) return;
    try {
      this.#inbox.push(chunk);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#transport.destroy(error);
    }
  };

  readonly #receive = (kind: number, channel: number, message: Incoming): void => {
    if (kind === MESSAGE && channel === MESSAGES) {
      const content = message.bytes[1];
      if (content !== VALUE && content !== BYTES) {
        throw new ProtocolError("Cannot read from the peer: malformed message");
      }
      // `readMessage` copies the bytes out of the transport's buffer.
      return this.#pipe.send(readMessage(message), () => {});
    }
    if (kind === READ && channel === CONTROL) return this.#pipe.received(new VarintReader(message.bytes, 0).next());
    throw new ProtocolError(`Cannot read from the peer: unknown kind of message ${kind}`);
  };

  readonly #ended = (reason?: Error): void => {
    const isCut = !this.#inbox.whole && !this.#closing;
    clearTimeout(this.#timer);
    this.#outbox.close();
    this.#pipe.close(reason ?? (isCut ? new Error("it ended in the middle of a message") : undefined));
    this.#closing = true;
    for (const finish of [...this.#unsent]) finish(false);
  };
}

/** A connection whose other side is known. */
class PeerConnection<A, B> extends ConnectionClient<A, B> {
  readonly #peer: Peer;

  constructor(handle: ConnectionHandle, peer: Peer) {
    super(handle);
    this.#peer = peer;
  }

  override get peer(): Peer {
    return this.#peer;
  }
}

/** A connection, and the function that ends it. */
export interface OpenConnection<A, B> {
  readonly connection: PeerConnection<A, B>;
  /** Ends the connection, in whichever process its end is. */
  readonly release: () => void;
}

/** Makes a connection of an authenticated session. Calls `ended` once the connection has ended. */
export const openConnection = <A, B>(session: PeerSession, own: Limits, ended: () => void): OpenConnection<A, B> => {
  const { limits, peer } = session;
  const pipe = new PipeHost([own.maxBytes, limits.maxBytes], keepNothing, () => {
    retire(object);
    ended();
  });
  const object = host(pipe);
  new PeerEnd(session, own, pipe);
  const handle = {
    address: address(),
    object,
    host: self().name,
    end: 0,
    generation: 0,
    duplex: true,
    maxBytes: limits.maxBytes,
    stranger: { peer, maxMessageSize: limits.maxMessageSize },
  };
  return { connection: new PeerConnection<A, B>(handle, peer), release: () => pipe.release() };
};
