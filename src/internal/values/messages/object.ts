/**
 * Objects of this subject for their users by messages, and what the host does for them: answers that may be failures, and changes.
 *
 * @module
 */
import type * as Cause from "effect/Cause";
import * as Effect from "effect/Effect";
import { MessageTooLarge } from "../../codec/message.ts";
import type { Lock } from "../../../Lock.ts";
import type { RLock } from "../../../RLock.ts";
import { after } from "../../os/timer.ts";
import { MessageClient } from "../../sync/messages/client.ts";
import type { Operation, Reply } from "../../sync/messages/gateway.ts";
import type { Content } from "../../sync/messages/protocol.ts";
import type { Answer, Session } from "../../sync/messages/session.ts";
import type { Descriptor } from "../../sync/object.ts";
import { attempt } from "../attempt.ts";
import { MemoryError, type MemoryFailure, OutOfRange } from "../errors.ts";
import { explain } from "../locks.ts";

/** The data of a handle. */
export interface ObjectDescriptor extends Descriptor {
  readonly lock: Lock | RLock;
}

/** The answer of the host: a result, or a failure. */
export type Told =
  | readonly [result: unknown]
  | readonly [tag: "MemoryError" | "OutOfRange", reason: never, message: string];

/** The failure of a message that is larger than its link allows. Other errors are thrown. */
const tooLarge = (error: unknown): MemoryError => {
  if (error instanceof MessageTooLarge) return new MemoryError("Full", error.message, error);
  throw error;
};

/**
 * Answers with the result of `run`, or with the {@link MemoryFailure} that it throws. `giveBack` undoes an operation with a result, if the
 * caller withdraws before it has the result, or cannot receive it.
 */
export const tell = (reply: Reply, run: () => unknown, giveBack?: () => void): void => {
  const refuse = ({ _tag, message, reason }: MemoryFailure): void => {
    giveBack?.();
    reply.result([_tag, reason as never, message] satisfies Told);
  };
  let told: Told;
  try {
    told = [run()];
  } catch (error) {
    if (!(error instanceof MemoryError || error instanceof OutOfRange)) throw error;
    return refuse(error);
  }
  try {
    reply.result(told, giveBack);
  } catch (error) {
    refuse(tooLarge(error));
  }
};

/** An operation at the host that does not wait. */
export const answering = <P>(run: (object: P, args: Content) => unknown): Operation<P> => (object, args, reply) =>
  tell(reply, () => run(object, args));

/** How long an interrupted operation waits for its answer, in milliseconds: the host may be stopped. */
const PATIENCE = 5000;

type Attempt<A> = Effect.Effect<A, MemoryFailure>;

/** Interruption as it was outside of a region. */
export type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>;

/** A change that was requested, and its answer. */
export interface Requested {
  answer: Answer | undefined;
  heard: (answer: Answer) => void;
}

/** See above. */
export abstract class ObjectMessages<D extends ObjectDescriptor> extends MessageClient<D> {
  readonly lock: Lock | RLock;
  readonly #name: string;

  constructor(kind: string, descriptor: D) {
    super(kind, descriptor);
    this.#name = kind;
    this.lock = descriptor.lock;
  }

  readonly withLock: RLock["withLock"] = (effect, options) => this.lock.withLock(effect, options);

  /** Throws the failure of an operation that only memory makes possible. */
  protected inMemory(): never {
    throw new MemoryError(
      "Unsupported",
      `Cannot use \`raw\` of the ${this.#name}: this process uses it by messages to ${this.host}. Processes that share the ` +
        "memory need Linux, and `--allow-ffi` each; the operations that are Effects work in all processes",
    );
  }

  /** Requests an operation that changes nothing. *Interruption:* ends the wait. */
  protected read<B>(operation: number, args: () => Content): Attempt<B> {
    return Effect.flatMap(
      attempt(args),
      (args) =>
        Effect.flatMap(Effect.mapError(this.ask<Told>(operation, args), explain), (told) => this.result<B>(told)),
    );
  }

  /**
   * Requests a change.
   *
   * *Interruption:* comes before the change or after it: after the request was sent, the end of the operation waits for the answer, so
   * that nothing is changed later. If the host does not answer within five seconds, it may change the object later.
   */
  protected change<B>(operation: number, args: () => Content): Attempt<B> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(
        attempt(() => {
          const given = args();
          return this.request(this.session, operation, given);
        }),
        (requested) => this.answered<B>(restore, requested),
      )
    );
  }

  /** Requests a change. Throws a `MemoryError` if the message is too large. */
  protected request(session: Session, operation: number, args: Content): Requested {
    const requested: Requested = { answer: undefined, heard: () => {} };
    try {
      session.request(operation, args, (answer) => {
        requested.answer = answer;
        requested.heard(answer);
      });
    } catch (error) {
      throw tooLarge(error);
    }
    return requested;
  }

  /** Waits for the answer, as {@link ObjectMessages.change} does. */
  protected answered<B>(restore: Restore, requested: Requested): Attempt<B> {
    const hear = (heard: (answer: Answer) => void): void => {
      requested.heard = heard;
      if (requested.answer !== undefined) heard(requested.answer);
    };
    const answer = Effect.async<Answer>((resume) => hear((answer) => resume(Effect.succeed(answer))));
    const late = (cause: Cause.Cause<never>): Attempt<B> =>
      Effect.async((resume) => {
        const stop = after(PATIENCE, () => resume(Effect.failCause(cause)));
        hear((answer) => {
          stop();
          resume(this.#told<B>(answer));
        });
      });
    return Effect.matchCauseEffect(restore(answer), { onFailure: late, onSuccess: (answer) => this.#told<B>(answer) });
  }

  /** The result of an operation. */
  protected result<B>(told: Told): Attempt<B> {
    if (told.length === 1) return Effect.succeed(told[0] as B);
    const [tag, reason, message] = told;
    return Effect.fail(tag === "OutOfRange" ? new OutOfRange(reason, message) : new MemoryError(reason, message));
  }

  #told<B>(answer: Answer): Attempt<B> {
    return Effect.flatMap(
      Effect.mapError(this.outcome(answer, (told) => told as Told), explain),
      (told) => this.result<B>(told),
    );
  }
}
