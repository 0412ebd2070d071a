/**
 * The messages between a pipe and the owners of its ends.
 *
 * The owner of an end has one call open, `ATTACH` (n = index of the end, n = its generation: how often it had moved), for as long
 * as it owns the end; `cancel` closes the end. The pipe answers with a credit when it has received the call. Each message begins
 * with a byte; n is a varint (seven bits in each byte), b is a byte:
 *
 * | to the pipe | then | meaning |
 * | --- | --- | --- |
 * | `SEND` | b = kind, bytes | a message for the other end. A flag of the kind asks for a `SYNCED` when the pipe has it |
 * | `RECEIVED` | n | the owner has received n messages |
 * | `MOVE` | | the end was sent to another process: the next one that attaches owns it |
 * | `RECEIVER_DIED` | | the process to which the end was sent has died |
 * | `SYNC` | | asks for a `SYNCED` behind all messages that the pipe has |
 * | `TAKEN_OVER` | n | the handles that moved with n of the received messages were taken over: the pipe need not retain them |
 *
 * | from the pipe | then | meaning |
 * | --- | --- | --- |
 * | `MESSAGE` | b = kind, bytes | a message for this end. The pipe keeps it until it is received |
 * | `START` | n = bytes that the other end has not received, b = state of the other end | the end is owned, and can send |
 * | `FREED` | n | the other end has received n bytes |
 * | `PEER` | b | the state of the other end has changed |
 * | `SYNCED` | | the answer to `SYNC` |
 *
 * While a message with an end in it is stored somewhere, for another process to receive it, that place has a call `RETAIN` open (n,
 * n as with `ATTACH`). The pipe ends the call when an owner has attached. If the call is cancelled before, or its process dies, no
 * process will receive the message, and the end is closed.
 *
 * @module
 */
import type { Incoming } from "../codec/message.ts";
import type { Message } from "./message.ts";

/** Operations. */
export const ATTACH = 1;
export const RETAIN = 2;

/** Messages to the pipe. */
export const SEND = 0;
export const RECEIVED = 1;
export const MOVE = 2;
export const RECEIVER_DIED = 3;
export const SYNC = 4;
export const TAKEN_OVER = 5;

/** Messages from the pipe. */
export const MESSAGE = 0;
export const START = 1;
export const FREED = 2;
export const PEER = 3;
export const SYNCED = 4;

/** Exits, besides those of the router: another process owns the end; the end was closed. */
export const MOVED = 8;
export const CLOSED = 9;

/** The other end is in the process of the pipe, or moving. */
export const HERE = 0;
/** The other end is in another process. */
export const AWAY = 1;
/** The other end is closed. */
export const ENDED = 2;

/** State of the other end. */
export type PeerState = typeof HERE | typeof AWAY | typeof ENDED;

/** The owner of an end, as the pipe sees it. */
export interface EndOwner {
  /** Whether it is in the process of the pipe. */
  readonly near: boolean;
  /** Whether it is another program: the end never moves from there, and a message that was passed on cannot be taken back. */
  readonly stranger?: boolean;
  readonly start: (pending: number, peer: PeerState) => void;
  /**
   * Passes a message on. An owner that is not near calls `handed` when the message will outlive this process, and another program
   * calls it with `false` if the message may not have arrived.
   */
  readonly message: (message: Message, handed?: (arrived: boolean) => void) => void;
  /** The other end has received `bytes` bytes, in `count` messages. */
  readonly freed: (bytes: number, count?: number) => void;
  /** The state of the other end has changed. `cause` is why it has ended, if its owner did not close it. */
  readonly peer: (peer: PeerState, cause?: Error) => void;
  /** The owner has lost the end. Called once, and last. */
  readonly end: (status: number, message?: Incoming) => void;
}

/** The pipe, as the owner of an end sees it. */
export interface PipeAccess {
  /**
   * Sends a message. Calls `done` when the message will outlive this process, or with `false` if it may not have arrived. Throws
   * `MessageTooLarge`, and has then sent nothing.
   */
  readonly send: (message: Message, done: (arrived: boolean) => void) => void;
  readonly received: (count: number) => void;
  /** The handles that moved with `count` received messages were taken over, or never will be. */
  readonly takenOver: (count: number) => void;
  /** The end was sent to another process. */
  readonly move: () => void;
  /** The process to which the end was sent has died. */
  readonly receiverDied: () => void;
  /** Calls `done` when all messages that the pipe had have arrived, or none will arrive any more. */
  readonly sync: (done: () => void) => void;
  readonly close: (cause?: Error) => void;
}
