/**
 * A pipe, where it lives: two ends, and for each the messages to it that were not received.
 *
 * - An end has one owner at a time. Who sends it says that he leaves it, and whoever attaches first after him has it, with all
 *   that was not received. Only when his predecessor has left does he get anything: so what that one sent or received counts.
 * - What was passed on to an owner is kept until he says that he has received it.
 * - An end ends with its owner. While it is on its way it is the pipe's. Where the message waits to be received with which it
 *   moves it is kept, and ends when nobody will receive that.
 *
 * Free of Effect.
 *
 * @module
 */
import type { Fill, Receiver } from "../rpc/link.ts";
import { DONE, GONE, type Hosted, type Line } from "../rpc/router.ts";
import { ProtocolError } from "../transport/frames.ts";
import { type Incoming, MessageTooLarge } from "../codec/message.ts";
import type { Packet } from "../objects/packets.ts";
import { type Message, message as toMessage, Messages, OVERSIZE } from "./inbox.ts";
import * as P from "./protocol.ts";
import { VarintReader, varints } from "../codec/varint.ts";

/** Who has an end. */
type Holder =
  /** `next` has attached before it is known that the owner has sent it to him. */
  | { readonly _tag: "Held"; readonly owner: P.Owner; next: P.Owner | "died" | undefined }
  /** Sent by its last owner, who listens for what becomes of it. */
  | { readonly _tag: "Moving"; from: P.Owner | undefined }
  | { readonly _tag: "Ended" };

interface Side {
  /** What was sent to it and not received. */
  readonly messages: Messages;
  /** What lets go of what moved with messages that were received, until it is known who has it. */
  readonly received: Array<() => void>;
  holder: Holder;
  /** How often it was taken over. */
  turn: number;
  /** Who has the message with which it moves. */
  keeper: P.Keeper | undefined;
}

/** Keeps what moves with a message; see `keep.ts`. */
type Keep = (packet: Packet) => () => void;

/** Added to the kind of a message with which something moves. */
const MOVES = 128;
/** Added to that of one whose arrival is to be told. */
const ANSWERED = 64;

/** Writes a message behind the byte that says what it is. */
export const write =
  (tag: number, { attachments, bytes, kind, moves }: Message, answered = false): Fill => (writer) => {
    writer.reserve(2 + bytes.length);
    writer.byte(tag);
    writer.byte(kind | (moves ? MOVES : 0) | (answered ? ANSWERED : 0));
    writer.bytes(bytes);
    return attachments.length === 0 ? undefined : { attachments, onSend: [] };
  };

/** Reads what {@link write} wrote. The message owns its memory. */
export const read = ({ attachments, bytes }: Incoming): Message =>
  toMessage(bytes[1] & ~(MOVES | ANSWERED), { bytes: bytes.slice(2), attachments, moves: (bytes[1] & MOVES) !== 0 });

/** What stands in for a message that the way to its reader does not take. */
const oversize = ({ limit, size }: MessageTooLarge): Message => {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setFloat64(0, size);
  view.setFloat64(8, limit);
  return toMessage(OVERSIZE, { bytes, attachments: [] });
};

const none = new Uint8Array(0);

/** The state of a pipe, and what is done to it. */
export class PipeHost implements Hosted {
  readonly #sides: readonly [Side, Side];
  readonly #rooms: readonly [number, number];
  readonly #keep: Keep;
  readonly #ended: () => void;

  /** `rooms` are the bytes that each end may have to receive; `ended` is called when nobody has an end of it any more. */
  constructor(rooms: readonly [number, number], keep: Keep, ended: () => void) {
    const side = (): Side => ({
      messages: new Messages(),
      received: [],
      holder: { _tag: "Moving", from: undefined },
      turn: 0,
      keeper: undefined,
    });
    this.#sides = [side(), side()];
    this.#rooms = rooms;
    this.#keep = keep;
    this.#ended = ended;
  }

  readonly open = (operation: number, line: Line, { bytes }: Incoming): Receiver => {
    const numbers = new VarintReader(bytes, 0);
    const index = numbers.next();
    const turn = numbers.next();
    if ((operation !== P.ATTACH && operation !== P.KEEP) || !(index === 0 || index === 1)) {
      throw new ProtocolError(`Cannot read from the peer: a pipe has no operation ${operation}`);
    }
    if (operation === P.KEEP) return this.#kept(index, turn, line);
    const owner = distant(line);
    const seat = this.claim(index, turn, owner);
    line.credit(1);
    if (typeof seat === "number") {
      owner.end(seat);
      return { closed: () => {} };
    }
    return {
      data: (message) => this.#hear(seat, line, message),
      cancel: () => {
        seat.close();
        owner.end(DONE);
      },
      closed: () => seat.close(),
    };
  };

  /** Takes an end over from whoever had it when it had moved so often; or says why it cannot be had. */
  claim(index: number, turn: number, owner: P.Owner): P.Seat | number {
    const side = this.#sides[index];
    const { holder } = side;
    if (holder._tag === "Ended") return P.CLOSED;
    if (turn !== side.turn || (holder._tag === "Held" && holder.next !== undefined)) return P.MOVED;
    if (holder._tag === "Held") holder.next = owner;
    else this.#give(index, owner, holder.from);
    return {
      send: (message, done) => {
        if (!this.#has(index, owner) || !this.#send(1 - index, message, owner, done)) done(true);
      },
      took: (count) => {
        if (this.#has(index, owner)) this.#took(index, count);
      },
      held: (count) => {
        for (const letGo of side.received.splice(0, count)) letGo();
      },
      leave: () => this.#leave(index, owner),
      lost: () => {
        if (side.holder._tag === "Moving" && side.holder.from === owner) this.#end(index, P.MOVED);
      },
      sync: (done) => done(),
      close: (cause) => this.#depart(index, owner, cause),
    };
  }

  /**
   * Keeps an end that was sent when it had moved so often. Returns what lets go of it: if nobody has taken it over, it ends.
   * `done` is called when that cannot be any more.
   */
  keep(index: number, turn: number, done: P.Keeper): () => void {
    const side = this.#sides[index];
    const { holder } = side;
    const claimed = holder._tag === "Held" && holder.next !== undefined;
    // What was sent twice is one message's only: the first one's.
    if (holder._tag === "Ended" || turn !== side.turn || claimed || side.keeper !== undefined) {
      done();
      return () => {};
    }
    const keeper = (): void => done();
    side.keeper = keeper;
    return () => {
      if (side.keeper !== keeper) return;
      this.#forget(side);
      if (side.holder._tag === "Moving") this.#end(index, P.MOVED);
      else if (side.holder._tag === "Held") side.holder.next ??= "died";
    };
  }

  /**
   * The pipe's scope has closed: ends that are here or on their way are closed. The others cannot go on without the pipe, but
   * have been passed what was there.
   */
  release(): void {
    for (const index of [0, 1]) {
      if (this.#peer(index) === P.HERE) this.#end(index, P.CLOSED);
    }
    for (const index of [0, 1]) this.#end(index, GONE);
  }

  #kept(index: number, turn: number, line: Line): Receiver {
    const letGo = this.keep(index, turn, () => line.exit(varints(DONE)));
    return { cancel: letGo, closed: letGo };
  }

  #forget(side: Side): void {
    const { keeper } = side;
    side.keeper = undefined;
    keeper?.();
  }

  #has(index: number, owner: P.Owner): boolean {
    const { holder } = this.#sides[index];
    return holder._tag === "Held" && holder.owner === owner;
  }

  /** What there is to say of an end to the owner of the other. */
  #peer(index: number): P.Peer {
    const { holder } = this.#sides[index];
    if (holder._tag === "Ended") return P.ENDED;
    return holder._tag === "Moving" || holder.owner.near ? P.HERE : P.AWAY;
  }

  #owner(index: number): P.Owner | undefined {
    const { holder } = this.#sides[index];
    return holder._tag === "Held" ? holder.owner : undefined;
  }

  #hear(seat: P.Seat, line: Line, message: Incoming): void {
    switch (message.bytes[0]) {
      case P.SEND:
        // Before it may be received: whoever does so may end the pipe.
        if ((message.bytes[1] & ANSWERED) !== 0) line.data(varints(P.SYNCED));
        return seat.send(read(message), () => {});
      case P.TOOK:
        return seat.took(new VarintReader(message.bytes, 1).next());
      case P.HELD:
        return seat.held(new VarintReader(message.bytes, 1).next());
      case P.LEAVE:
        return seat.leave();
      case P.LOST:
        return seat.lost();
      case P.SYNC:
        return line.data(varints(P.SYNCED));
      default:
        throw new ProtocolError("Cannot read from the peer: malformed use of a pipe");
    }
  }

  #give(index: number, owner: P.Owner, from: P.Owner | undefined): void {
    const side = this.#sides[index];
    const before = this.#peer(index);
    side.holder = { _tag: "Held", owner, next: undefined };
    side.turn++;
    this.#forget(side);
    from?.end(P.MOVED);
    // Messages first: when the other end is known to have ended, all that came before has been passed on.
    for (const message of side.messages) owner.message(message);
    owner.start(this.#sides[1 - index].messages.bytes, this.#peer(1 - index));
    const after = this.#peer(index);
    if (after !== before) this.#owner(1 - index)?.peer(after);
  }

  /** Whether `handed` will be called. */
  #send(index: number, message: Message, from: P.Owner, handed: (arrived: boolean) => void): boolean {
    const { holder, messages } = this.#sides[index];
    if (holder._tag === "Ended") {
      if (message.moves) this.#keep(message)();
      return false;
    }
    if (messages.length > 0 && messages.bytes + message.size > this.#rooms[index]) {
      throw new ProtocolError("Cannot read from the peer: it sends more than there is room for");
    }
    if (holder._tag === "Held" && holder.owner.stranger) {
      // Only what it counts for is kept: nobody will have his end after him.
      messages.push({ kind: message.kind, size: message.size, bytes: none, attachments: [] });
      holder.owner.message(message, handed);
      return true;
    }
    // What comes from here is still its sender's memory, who may change it afterwards.
    const attachments = from.near ? message.attachments.map((part) => part.slice()) : message.attachments;
    const kept = attachments.length === 0 && !message.moves
      ? message
      : { ...message, attachments, kept: message.moves ? this.#keep(message) : undefined };
    messages.push(kept);
    if (holder._tag === "Held") holder.owner.message(kept);
    return false;
  }

  #took(index: number, count: number): void {
    const { messages, received } = this.#sides[index];
    if (!(count <= messages.length)) {
      throw new ProtocolError("Cannot read from the peer: it has received more than there was");
    }
    const before = messages.bytes;
    for (let i = 0; i < count; i++) {
      const { kept, moves } = messages.shift()!;
      if (moves) received.push(kept ?? (() => {}));
    }
    this.#owner(1 - index)?.read(before - messages.bytes, count);
  }

  #leave(index: number, owner: P.Owner): void {
    const side = this.#sides[index];
    if (side.holder._tag !== "Held" || side.holder.owner !== owner) return;
    const { next } = side.holder;
    if (next === "died") return this.#end(index, P.MOVED);
    if (next !== undefined) return this.#give(index, next, owner);
    this.#move(index, owner);
  }

  #move(index: number, from: P.Owner | undefined): void {
    const before = this.#peer(index);
    this.#sides[index].holder = { _tag: "Moving", from };
    if (before !== P.HERE) this.#owner(1 - index)?.peer(P.HERE);
  }

  /** Somebody who had an end, or was about to have it, or had left it, is no more. */
  #depart(index: number, owner: P.Owner, cause: Error | undefined): void {
    const { holder, keeper } = this.#sides[index];
    if (holder._tag === "Moving" && holder.from === owner) holder.from = undefined;
    if (holder._tag !== "Held") return;
    if (holder.next === owner) holder.next = "died";
    if (holder.owner !== owner) return;
    // He has sent it and could not say so any more.
    if (holder.next !== undefined && holder.next !== "died") this.#give(index, holder.next, undefined);
    else if (keeper !== undefined) this.#move(index, undefined);
    else this.#end(index, DONE, cause);
  }

  #end(index: number, status: number, cause?: Error): void {
    const side = this.#sides[index];
    const { holder } = side;
    if (holder._tag === "Ended") return;
    side.holder = { _tag: "Ended" };
    this.#forget(side);
    const unread = [...side.messages];
    side.messages.clear();
    if (holder._tag === "Moving") holder.from?.end(status);
    else {
      holder.owner.end(status);
      if (holder.next !== undefined && holder.next !== "died") holder.next.end(status === GONE ? GONE : P.CLOSED);
    }
    if (status !== GONE) this.#owner(1 - index)?.peer(P.ENDED, cause);
    if (this.#sides[1 - index].holder._tag === "Ended") this.#ended();
    for (const { kept } of unread) kept?.();
    for (const letGo of side.received.splice(0)) letGo();
  }
}

/** An owner in another process. */
const distant = (line: Line): P.Owner => {
  let ended = false;
  return {
    near: false,
    start: (pending, peer) => line.data(varints(P.START, pending, peer)),
    message: (message) => {
      try {
        line.data(write(P.MESSAGE, message));
      } catch (error) {
        if (!(error instanceof MessageTooLarge)) throw error;
        line.data(write(P.MESSAGE, oversize(error)));
      }
    },
    read: (bytes) => line.data(varints(P.READ, bytes)),
    peer: (peer) => line.data(varints(P.PEER, peer)),
    end: (status) => {
      if (ended) return;
      ended = true;
      line.exit(varints(status));
    },
  };
};
