/**
 * Sends messages on an end, for the fibers that use it.
 *
 * ```text
 *   the fiber waits at the gate of the writers until it is the first and there is room
 *        |                      +--interrupted: nothing was sent
 *        +--> all messages for which there is room are sent, uninterruptibly --> handed over, or confirmed by a distant pipe
 * ```
 *
 * @module
 */
import * as Effect from "effect/Effect";
import * as Codec from "../codec/codec.ts";
import { EncodeError } from "../codec/errors.ts";
import type { BrokenPipe } from "../objects/errors.ts";
import type { ObjectHook } from "../objects/handles.ts";
import { oneStep, Otherwise, passGate, type Restore } from "../objects/interruption.ts";
import type { Link } from "../rpc/link.ts";
import { linkOf } from "../rpc/router.ts";
import { MessageTooLarge } from "../codec/message.ts";
import type { ConnectionFailure, End, EndReference } from "./end.ts";
import { makeMessage, type Message, VALUE } from "./message.ts";

/** Why a message was not sent. */
export type SendFailure = BrokenPipe | ConnectionFailure;

/** A message to be sent. */
export interface OutgoingMessage {
  readonly message: Message;
  /** To be called with the link over which the message leaves; see `handles.ts`. */
  readonly onSend: ReadonlyArray<(link: Link | undefined) => void>;
}

/** Encodes a value. Returns the error if it cannot be sent. */
export const encodeValue = (value: unknown, hooks: ReadonlyArray<ObjectHook>): OutgoingMessage | EncodeError => {
  try {
    const { attachments, bytes, onSend } = Codec.encode(value, { hooks, root: "value" });
    return { message: makeMessage(VALUE, { attachments, bytes, moves: onSend.length > 0 }), onSend };
  } catch (error) {
    if (error instanceof EncodeError) return error;
    throw error;
  }
};

/** Sends the messages of one end. */
export class MessageSender {
  readonly #reference: EndReference;

  constructor(reference: EndReference) {
    this.#reference = reference;
  }

  get #end(): End {
    return this.#reference.end;
  }

  /** Sends one message: without a wait if there is room, and its pipe is in this process. */
  send(outgoing: OutgoingMessage): Effect.Effect<void, SendFailure> {
    const end = this.#end;
    const { size } = outgoing.message;
    if (!end.isLocal || !end.writers.isOpen(size)) return this.sendAll([outgoing], 0);
    if (end.handle.stranger !== undefined) {
      // Another program may be suspended or disconnected for any length of time: the wait for it can be interrupted.
      return Effect.async((resume) => {
        if (!end.writers.isOpen(size)) return resume(this.sendAll([outgoing], 0));
        const failure = this.#begin(outgoing, (arrived) => resume(this.#outcome(!arrived)));
        if (failure !== undefined) resume(Effect.fail(failure));
      });
    }
    return oneStep((): void | Otherwise<void, SendFailure> => {
      // Another fiber may have taken the room between the two steps of this one.
      if (!end.writers.isOpen(size)) return new Otherwise(this.sendAll([outgoing], 0));
      const failure = this.#begin(outgoing, () => {});
      if (failure !== undefined) return new Otherwise(Effect.fail(failure));
    });
  }

  /** Sends all messages from `messages[at]` on. *Interruption:* a first part of them may have been sent. */
  sendAll(messages: ReadonlyArray<OutgoingMessage>, at: number): Effect.Effect<void, SendFailure> {
    if (at === messages.length) return Effect.void;
    let next = at;
    const sent = passGate(this.#end.writers, messages[at].message.size, (restore) => {
      const { done, end } = this.#sendWhileRoom(messages, at, restore);
      next = end;
      return done;
    });
    return messages.length - at === 1 ? sent : Effect.flatMap(sent, () => this.sendAll(messages, next));
  }

  /** Sends messages up to `end`, as far as there is room. `done` waits until they are handed over. */
  #sendWhileRoom(
    messages: ReadonlyArray<OutgoingMessage>,
    at: number,
    restore: Restore,
  ): { readonly end: number; readonly done: Effect.Effect<void, SendFailure> } {
    const end = this.#end;
    let next = at;
    let open = 0;
    let isLost = false;
    let onHandedOver = (): void => {};
    let failure: SendFailure | undefined;
    do {
      open++;
      failure = this.#begin(messages[next], (arrived) => {
        isLost ||= !arrived;
        if (--open === 0) onHandedOver();
      });
      if (failure !== undefined) {
        open--;
        break;
      }
      next++;
    } while (next < messages.length && end.hasRoom(messages[next].message.size));
    const outcome = Effect.suspend(() => failure === undefined ? this.#outcome(isLost) : Effect.fail(failure));
    if (open === 0) return { end: next, done: outcome };
    const handedOver = Effect.async<void, SendFailure>((resume) => {
      onHandedOver = () => resume(outcome);
      if (open === 0) onHandedOver();
    });
    // Another program may be suspended or disconnected for any length of time.
    return { end: next, done: end.handle.stranger === undefined ? handedOver : restore(handedOver) };
  }

  /** Sends a message for which there is room, or returns why that is not possible. `done` runs as with {@link End.send}. */
  #begin({ message, onSend }: OutgoingMessage, done: (arrived: boolean) => void): SendFailure | undefined {
    const end = this.#end;
    const failure = end.writeFailure;
    if (failure !== undefined) return failure;
    try {
      end.send(message, done);
    } catch (error) {
      if (!(error instanceof MessageTooLarge)) throw error;
      return error;
    }
    for (const action of onSend) action(linkOf(end.handle));
  }

  /** The result of a message that was handed over, or lost. */
  #outcome(isLost: boolean): Effect.Effect<void, SendFailure> {
    const failure = isLost ? this.#end.writeFailure : undefined;
    return failure === undefined ? Effect.void : Effect.fail(failure);
  }
}
