/**
 * A connection to another program: a pipe of this process, whose other end is beyond the wire.
 *
 * So whatever a pipe's end can do, this one can: it waits, it can be sent to a process of the family, it ends. What goes over the
 * wire are frames (`frames.ts`) of two kinds:
 *
 * | kind | then | |
 * | --- | --- | --- |
 * | `MESSAGE` | b = kind, bytes; attachments | a message for the other side |
 * | `READ` | n | so many messages of the other side were received |
 *
 * Each side sends as long as what was not received is within the room that the other has told of. Whatever else comes ends the
 * connection.
 *
 * @module
 */
import { ConnectionClient } from "../pipe/client.ts";
import { PipeHost, read, write } from "../pipe/host.ts";
import { BYTES, VALUE } from "../pipe/inbox.ts";
import * as P from "../pipe/protocol.ts";
import { VarintReader } from "../objects/varint.ts";
import type { Peer } from "../pipe/end.ts";
import { address, host, retire } from "../rpc/router.ts";
import { self } from "../rpc/identity.ts";
import { type Incoming, ProtocolError } from "../transport/frames.ts";
import { Inbox } from "../transport/inbox.ts";
import { Outbox } from "../transport/outbox.ts";
import type { Limits, Session } from "./handshake.ts";

const MESSAGE = 1;
const READ = 2;

/** Messages wait for their turn, what is said about them does not. */
const MESSAGES = 1;
const CONTROL = 0;

/** What a message has besides what counts for its size. */
const SLACK = 64;

/** Nothing moves with what a stranger sends, whatever he says. */
const nothing = () => (): void => {};

/** A connection, and the pipe that it is an end of. */
export interface Line {
  readonly connection: ConnectionClient<never, unknown>;
  /** Ends it, wherever its end is. */
  readonly release: () => void;
}

/** Takes up what was agreed upon. `ended` is called when it is over. */
export const line = ({ limits, wire }: Session, own: Limits, peer: Peer, ended: () => void): Line => {
  const pipe = new PipeHost([own.maxBytes, limits.maxBytes], nothing, () => {
    retire(object);
    ended();
  });
  const object = host(pipe);
  const sending = new Set<(arrived: boolean) => void>();
  let closing = false;

  const outbox = new Outbox(wire, limits.maxMessageSize + SLACK);
  const inbox = new Inbox(own.maxMessageSize + SLACK, (kind, channel, message) => {
    if (kind === MESSAGE && channel === MESSAGES) return seat.send(received(message), () => {});
    if (kind === READ && channel === CONTROL) return seat.took(new VarintReader(message.bytes, 0).next());
    throw new ProtocolError(`Cannot read from the peer: unknown kind of message ${kind}`);
  });
  const received = (message: Incoming) => {
    const kind = message.bytes[1];
    if (kind !== VALUE && kind !== BYTES) throw new ProtocolError("Cannot read from the peer: malformed message");
    return read(message);
  };
  const close = (): void => {
    if (closing) return;
    closing = true;
    // What was sent leaves first, if the other side takes it.
    outbox.flush();
    wire.closeAfter((done) => outbox.flushed(done));
  };
  const end = (reason?: Error): void => {
    outbox.close();
    seat.close(reason ?? (inbox.whole || closing ? undefined : new Error("it ended in the middle of a message")));
    closing = true;
    for (const done of [...sending]) done(false);
  };

  // What was received in one go is told at once, before the answer to it leaves.
  let taken = 0;
  const tell = (): void => {
    const count = taken;
    taken = 0;
    if (!closing) outbox.send(READ, CONTROL, (writer) => void writer.varint(count));
  };

  const owner: P.Owner = {
    near: false,
    stranger: true,
    start: () => {},
    message: (message, handed) => {
      const finish = (arrived: boolean): void => {
        if (sending.delete(finish)) handed?.(arrived);
      };
      sending.add(finish);
      outbox.send(MESSAGE, MESSAGES, (writer) => write(P.MESSAGE, message)(writer)?.attachments, () => finish(true));
    },
    read: (_bytes, count = 0) => {
      if (taken === 0) queueMicrotask(tell);
      taken += count;
    },
    peer: (status) => {
      if (status === P.ENDED) close();
    },
    end: close,
  };
  const seat = pipe.claim(1, 0, owner) as P.Seat;
  wire.lend();
  wire.start((chunk) => {
    if (closing) return;
    try {
      inbox.push(chunk);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      wire.destroy(error);
    }
  }, end);
  return {
    connection: new ConnectionClient({
      address: address(),
      object,
      host: self().name,
      end: 0,
      turn: 0,
      duplex: true,
      maxBytes: limits.maxBytes,
      stranger: { peer, maxMessageSize: limits.maxMessageSize },
    }),
    release: () => pipe.release(),
  };
};
