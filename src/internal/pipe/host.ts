/**
 * A pipe in the process that made it: two ends, each with the messages to it that were not received. Free of Effect.
 *
 * The state of one end:
 *
 * ```text
 *            +---------- attach ----------+   (the new owner gets all unreceived messages)
 *            v                            |
 *   Moving --attach--> Owned --MOVE--> Moving --released, receiver died--> Ended
 *     ^ (made)           |  |
 *     |                  |  +--attach before MOVE: `next` waits until the owner's MOVE, or its death
 *     |                  +--cancel, death--> Ended; Moving if a message with the end is retained
 *     +--release of the pipe: an end here or moving is Ended with CLOSED, an end elsewhere with GONE
 * ```
 *
 * ```text
 *   owner of one end               host                   owner of the other end
 *      | ---- SEND ---------------> | ---- MESSAGE ----------> |   stored until it is received
 *      | <------------- FREED ----- | <------- RECEIVED ------ |   the sender has room again
 *      |                            | <------- TAKEN_OVER ---- |   handles that moved are owned by the receiver
 * ```
 *
 * - An end has one owner at a time. When a message with an end in it is sent, its owner sends `MOVE`, and the next process that
 *   attaches owns the end, with all messages that were not received. The new owner gets nothing before that `MOVE`: until then, the
 *   previous owner may have sent and received.
 * - An end is closed with its owner. A moving end belongs to the pipe. The place where the message with the end is stored retains
 *   the end, and releases it when no process will receive the message.
 *
 * @module
 */
import type { Packet } from "../objects/packets.ts";
import { VarintReader, varints } from "../codec/varint.ts";
import type { Receiver } from "../rpc/link.ts";
import { DONE, GONE, type Hosted, type Line } from "../rpc/router.ts";
import { type Incoming, MessageTooLarge } from "../codec/message.ts";
import { ProtocolError } from "../transport/frames.ts";
import { copy, recycle } from "../transport/recycled.ts";
import { MessageInbox } from "./inbox.ts";
import { Message, oversize, readMessage, wantsConfirmation, writeMessage } from "./message.ts";
import * as P from "./protocol.ts";

/** The state of an end. */
type EndState =
  /** `next` has attached before the owner's `MOVE` has arrived; `"died"` if it is gone already. */
  | { readonly _tag: "Owned"; readonly owner: P.EndOwner; next: P.EndOwner | "died" | undefined }
  /** `from` is the last owner, which is told when the end is owned again. */
  | { readonly _tag: "Moving"; from: P.EndOwner | undefined }
  | { readonly _tag: "Ended" };

/** One end. */
interface Side {
  /** Messages to this end that were not received. */
  readonly messages: MessageInbox;
  /** Releases the handles that moved with received messages, until they are taken over. */
  readonly releases: Array<() => void>;
  state: EndState;
  /** The number of times that the end was taken over. */
  generation: number;
  /** Tells the place that retains the end to release it. */
  onReleased: (() => void) | undefined;
}

/** Retains the handles that move with a message, and returns the function that releases them; see `in_transit.ts`. */
type Retain = (packet: Packet) => () => void;

const none = new Uint8Array(0);

/** A pipe in the process that made it. */
export class PipeHost implements Hosted {
  readonly #sides: readonly [Side, Side];
  readonly #maxBytes: readonly [number, number];
  readonly #retain: Retain;
  readonly #onEnded: () => void;

  /**
   * `maxBytes` bounds the unreceived messages to each end. `onEnded` is called when both ends have ended.
   */
  constructor(maxBytes: readonly [number, number], retain: Retain, onEnded: () => void) {
    const side = (): Side => ({
      messages: new MessageInbox(),
      releases: [],
      state: { _tag: "Moving", from: undefined },
      generation: 0,
      onReleased: undefined,
    });
    this.#sides = [side(), side()];
    this.#maxBytes = maxBytes;
    this.#retain = retain;
    this.#onEnded = onEnded;
  }

  readonly open = (operation: number, line: Line, { bytes }: Incoming): Receiver => {
    const numbers = new VarintReader(bytes, 0);
    const index = numbers.next();
    const generation = numbers.next();
    if ((operation !== P.ATTACH && operation !== P.RETAIN) || !(index === 0 || index === 1)) {
      throw new ProtocolError(`Cannot read from the peer: a pipe has no operation ${operation}`);
    }
    if (operation === P.RETAIN) {
      const release = this.retain(index, generation, () => line.exit(varints(DONE)));
      return { cancel: release, closed: release };
    }
    const owner = remoteOwner(line);
    const access = this.claim(index, generation, owner);
    line.credit(1);
    if (typeof access === "number") {
      owner.end(access);
      return { closed: () => {} };
    }
    return {
      data: (message) => this.#receive(access, line, message),
      cancel: () => {
        access.close();
        owner.end(DONE);
      },
      closed: () => access.close(),
    };
  };

  /** Takes over an end of that generation. If that is not possible, returns a status that says why. */
  claim(index: number, generation: number, owner: P.EndOwner): P.PipeAccess | number {
    const side = this.#sides[index];
    const { state } = side;
    if (state._tag === "Ended") return P.CLOSED;
    if (generation !== side.generation || (state._tag === "Owned" && state.next !== undefined)) return P.MOVED;
    if (state._tag === "Owned") state.next = owner;
    else this.#give(index, owner, state.from);
    return {
      send: (message, done) => {
        if (!this.#isOwner(index, owner) || !this.#send(1 - index, message, owner, done)) done(true);
      },
      received: (count) => {
        if (this.#isOwner(index, owner)) this.#received(index, count);
      },
      takenOver: (count) => {
        for (const release of side.releases.splice(0, count)) release();
      },
      move: () => this.#moved(index, owner),
      receiverDied: () => {
        if (side.state._tag === "Moving" && side.state.from === owner) this.#end(index, P.MOVED);
      },
      sync: (done) => done(),
      close: (cause) => this.#ownerGone(index, owner, cause),
    };
  }

  /**
   * Retains an end of that generation, which is moving. Returns the function that releases it: if no process has taken the end over
   * by then, it is closed. `onReleased` is called when the end is owned or closed, or if it could not be retained.
   */
  retain(index: number, generation: number, onReleased: () => void): () => void {
    const side = this.#sides[index];
    const { state } = side;
    const isClaimed = state._tag === "Owned" && state.next !== undefined;
    // An end that was sent twice moves with the first message.
    if (state._tag === "Ended" || generation !== side.generation || isClaimed || side.onReleased !== undefined) {
      onReleased();
      return () => {};
    }
    const own = (): void => onReleased();
    side.onReleased = own;
    return () => {
      if (side.onReleased !== own) return;
      this.#released(side);
      if (side.state._tag === "Moving") this.#end(index, P.MOVED);
      else if (side.state._tag === "Owned") side.state.next ??= "died";
    };
  }

  /**
   * The scope of the pipe has closed. Ends in this process and moving ends are closed. Ends in other processes cannot be used
   * without the pipe, but all messages to them have been delivered.
   */
  release(): void {
    for (const index of [0, 1]) {
      if (this.#peerState(index) === P.HERE) this.#end(index, P.CLOSED);
    }
    for (const index of [0, 1]) this.#end(index, GONE);
  }

  #released(side: Side): void {
    const { onReleased } = side;
    side.onReleased = undefined;
    onReleased?.();
  }

  #isOwner(index: number, owner: P.EndOwner): boolean {
    return this.#ownerOf(index) === owner;
  }

  #ownerOf(index: number): P.EndOwner | undefined {
    const { state } = this.#sides[index];
    return state._tag === "Owned" ? state.owner : undefined;
  }

  /** The state of an end, for the owner of the other end. */
  #peerState(index: number): P.PeerState {
    const { state } = this.#sides[index];
    if (state._tag === "Ended") return P.ENDED;
    return state._tag === "Moving" || state.owner.near ? P.HERE : P.AWAY;
  }

  #receive(access: P.PipeAccess, line: Line, message: Incoming): void {
    switch (message.bytes[0]) {
      case P.SEND:
        // Done before the message can be received, because its receiver might end the pipe.
        if (wantsConfirmation(message)) line.data(varints(P.SYNCED));
        return access.send(readMessage(message), () => {});
      case P.RECEIVED:
        return access.received(new VarintReader(message.bytes, 1).next());
      case P.TAKEN_OVER:
        return access.takenOver(new VarintReader(message.bytes, 1).next());
      case P.MOVE:
        return access.move();
      case P.RECEIVER_DIED:
        return access.receiverDied();
      case P.SYNC:
        return line.data(varints(P.SYNCED));
      default:
        throw new ProtocolError("Cannot read from the peer: malformed use of a pipe");
    }
  }

  #give(index: number, owner: P.EndOwner, from: P.EndOwner | undefined): void {
    const side = this.#sides[index];
    const before = this.#peerState(index);
    side.state = { _tag: "Owned", owner, next: undefined };
    side.generation++;
    this.#released(side);
    from?.end(P.MOVED);
    // Messages first: when the owner learns that the other end has ended, it has all messages that came before.
    for (const message of side.messages) {
      message.isReusable = false;
      owner.message(message);
    }
    owner.start(this.#sides[1 - index].messages.bytes, this.#peerState(1 - index));
    const after = this.#peerState(index);
    if (after !== before) this.#ownerOf(1 - index)?.peer(after);
  }

  /** Stores a message, and passes it on. Returns whether `handed` will be called. */
  #send(index: number, message: Message, from: P.EndOwner, handed: (arrived: boolean) => void): boolean {
    const { messages, state } = this.#sides[index];
    if (state._tag === "Ended") {
      if (message.moves) this.#retain(message)();
      return false;
    }
    if (messages.length > 0 && messages.bytes + message.size > this.#maxBytes[index]) {
      throw new ProtocolError("Cannot read from the peer: it sends more than there is room for");
    }
    if (state._tag === "Owned" && state.owner.stranger) {
      // The content is not needed again, since the end will have no other owner. Its size counts until it is received.
      messages.push(new Message(message.kind, none, [], false, message.size, undefined));
      state.owner.message(message, handed);
      return true;
    }
    // A sender in this process may change its memory afterwards.
    const attachments = from.near ? message.attachments.map(copy) : message.attachments;
    const stored = attachments.length === 0 && !message.moves ? message : new Message(
      message.kind,
      message.bytes,
      attachments,
      message.moves,
      message.size,
      message.moves ? this.#retain(message) : undefined,
    );
    messages.push(stored);
    if (state._tag === "Owned") {
      const { owner } = state;
      const isCopied = from.near && !owner.near && attachments.length > 0;
      owner.message(stored, isCopied ? () => void (stored.isReusable = this.#isOwner(index, owner)) : undefined);
    }
    return false;
  }

  #received(index: number, count: number): void {
    const { messages, releases } = this.#sides[index];
    if (!(count <= messages.length)) {
      throw new ProtocolError("Cannot read from the peer: it has received more messages than it was sent");
    }
    const before = messages.bytes;
    for (let i = 0; i < count; i++) {
      const { attachments, isReusable, moves, release } = messages.shift()!;
      if (isReusable) attachments.forEach(recycle);
      if (moves) releases.push(release ?? (() => {}));
    }
    this.#ownerOf(1 - index)?.freed(before - messages.bytes, count);
  }

  #moved(index: number, owner: P.EndOwner): void {
    const { state } = this.#sides[index];
    if (state._tag !== "Owned" || state.owner !== owner) return;
    if (state.next === "died") return this.#end(index, P.MOVED);
    if (state.next !== undefined) return this.#give(index, state.next, owner);
    this.#setMoving(index, owner);
  }

  #setMoving(index: number, from: P.EndOwner | undefined): void {
    const before = this.#peerState(index);
    this.#sides[index].state = { _tag: "Moving", from };
    if (before !== P.HERE) this.#ownerOf(1 - index)?.peer(P.HERE);
  }

  /** An owner of the end, or its last or next one, has closed the end or has died. */
  #ownerGone(index: number, owner: P.EndOwner, cause: Error | undefined): void {
    const { onReleased, state } = this.#sides[index];
    if (state._tag === "Moving" && state.from === owner) state.from = undefined;
    if (state._tag !== "Owned") return;
    if (state.next === owner) state.next = "died";
    if (state.owner !== owner) return;
    // The owner has sent the end, and died before its `MOVE`.
    if (state.next !== undefined && state.next !== "died") this.#give(index, state.next, undefined);
    else if (onReleased !== undefined) this.#setMoving(index, undefined);
    else this.#end(index, DONE, cause);
  }

  #end(index: number, status: number, cause?: Error): void {
    const side = this.#sides[index];
    const { state } = side;
    if (state._tag === "Ended") return;
    side.state = { _tag: "Ended" };
    this.#released(side);
    const unread = side.messages.drain();
    if (state._tag === "Moving") state.from?.end(status);
    else {
      state.owner.end(status);
      if (state.next !== undefined && state.next !== "died") state.next.end(status === GONE ? GONE : P.CLOSED);
    }
    if (status !== GONE) this.#ownerOf(1 - index)?.peer(P.ENDED, cause);
    if (this.#sides[1 - index].state._tag === "Ended") this.#onEnded();
    for (const { release } of unread) release?.();
    for (const release of side.releases.splice(0)) release();
  }
}

/** An owner in another process. */
const remoteOwner = (line: Line): P.EndOwner => {
  let isOver = false;
  return {
    near: false,
    start: (pending, peer) => line.data(varints(P.START, pending, peer)),
    message: (message, handed) => {
      try {
        line.data(writeMessage(P.MESSAGE, message), handed && (() => handed(true)));
      } catch (error) {
        if (!(error instanceof MessageTooLarge)) throw error;
        line.data(writeMessage(P.MESSAGE, oversize(error)));
      }
    },
    freed: (bytes) => line.data(varints(P.FREED, bytes)),
    peer: (peer) => line.data(varints(P.PEER, peer)),
    end: (status) => {
      if (isOver) return;
      isOver = true;
      line.exit(varints(status));
    },
  };
};
