/**
 * What is said between a pipe and the processes that have its ends.
 *
 * Whoever has an end has one call open, `ATTACH` (n = which end, n = how often it had moved before), for as long as the end
 * is his: `cancel` closes the end. The pipe answers with a credit when it has heard of it. Messages begin with a byte:
 *
 * | to the pipe | then | |
 * | --- | --- | --- |
 * | `SEND` | b = kind, bytes | a message for the other end; one kind of them is to be answered with `SYNCED` when it is there |
 * | `TOOK` | n | so many of the messages to this end were received |
 * | `LEAVE` | | the end was sent: whoever attaches next has it |
 * | `LOST` | | the one to whom it was sent has died |
 * | `SYNC` | | answer when all that was there has been passed on |
 * | `HELD` | n | what moved with so many of the messages that were received is his, or nobody's: it need not be kept any more |
 *
 * | from the pipe | then | |
 * | --- | --- | --- |
 * | `MESSAGE` | b = kind, bytes | a message for this end. The pipe keeps it until it was received |
 * | `START` | n = bytes that the other end has not received, b = the other end | the end is his, and can be sent from |
 * | `READ` | n | the other end has received so many bytes |
 * | `PEER` | b | what has become of the other end |
 * | `SYNCED` | | the answer to `SYNC` |
 *
 * An object in which a message with an end waits to be received has a call `KEEP` open (n, n as before), which the pipe ends when
 * somebody has attached. If it is cancelled before, or its process dies, nobody will get the message, and the end is closed.
 *
 * @module
 */
import type { Incoming } from "../codec/message.ts";
import type { Message } from "./inbox.ts";

export const ATTACH = 1;
export const KEEP = 2;

export const SEND = 0;
export const TOOK = 1;
export const LEAVE = 2;
export const LOST = 3;
export const SYNC = 4;
export const HELD = 5;

export const MESSAGE = 0;
export const START = 1;
export const READ = 2;
export const PEER = 3;
export const SYNCED = 4;

/** Exits, besides those of the router: another has it; it was closed before it arrived. */
export const MOVED = 8;
export const CLOSED = 9;

/** The other end is with the pipe: in its process, or on its way to one. */
export const HERE = 0;
/** The other end is in another process. */
export const AWAY = 1;
/** The other end is no more. */
export const ENDED = 2;

/** Where the other end is. */
export type Peer = typeof HERE | typeof AWAY | typeof ENDED;

/** Whoever has an end, as the pipe sees him. */
export interface Owner {
  /** Whether he is in the process of the pipe. */
  readonly near: boolean;
  /** Whether he is no process of the family: he has the end for good, and what was passed on to him cannot be had back. */
  readonly stranger?: boolean;
  readonly start: (pending: number, peer: Peer) => void;
  /** A stranger calls back when it outlives this process, or with `false` if it may not have arrived. */
  readonly message: (message: Message, handed?: (arrived: boolean) => void) => void;
  /** The other end has received so many bytes, in so many messages. */
  readonly read: (bytes: number, count?: number) => void;
  /** `cause` is why it has ended, if that was not its owner's wish. */
  readonly peer: (peer: Peer, cause?: Error) => void;
  /** It is his no longer. Called once, last. */
  readonly end: (status: number, message?: Incoming) => void;
}

/** Whoever keeps an end on its way. Called once, when it is no longer his to keep. */
export type Keeper = () => void;

/** The pipe, as the owner of an end sees it. */
export interface Seat {
  /**
   * Sends a message, and calls back when it outlives this process, or with `false` if it may not have arrived. Throws
   * `MessageTooLarge`, and has then sent nothing.
   */
  readonly send: (message: Message, done: (arrived: boolean) => void) => void;
  readonly took: (count: number) => void;
  /** What moved with so many of the messages that were received was taken over, if it ever will be. */
  readonly held: (count: number) => void;
  readonly leave: () => void;
  readonly lost: () => void;
  /** Calls back when all that the pipe had has arrived, or nothing will any more. */
  readonly sync: (done: () => void) => void;
  readonly close: (cause?: Error) => void;
}
