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
import { passGate, type Restore } from "../objects/interruption.ts";
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
      failure = end.writeFailure;
      if (failure !== undefined) break;
      const { message, onSend } = messages[next];
      open++;
      try {
        end.send(message, (arrived) => {
          isLost ||= !arrived;
          if (--open === 0) onHandedOver();
        });
      } catch (error) {
        open--;
        if (!(error instanceof MessageTooLarge)) throw error;
        failure = error;
        break;
      }
      next++;
      for (const action of onSend) action(linkOf(end.handle));
    } while (next < messages.length && end.hasRoom(messages[next].message.size));
    const outcome = Effect.suspend(() => {
      const error = failure ?? (isLost ? this.#end.writeFailure : undefined);
      return error === undefined ? Effect.void : Effect.fail(error);
    });
    if (open === 0) return { end: next, done: outcome };
    const handedOver = Effect.async<void, SendFailure>((resume) => {
      onHandedOver = () => resume(outcome);
      if (open === 0) onHandedOver();
    });
    // Another program may be suspended or disconnected for any length of time.
    return { end: next, done: end.handle.stranger === undefined ? handedOver : restore(handedOver) };
  }
}
