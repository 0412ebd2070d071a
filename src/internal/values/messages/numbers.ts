/**
 * Numbers in shared memory for their users by messages, and what the host does for them.
 *
 * The host runs each operation in one step on the same memory that other processes use by atomics, so every operation is atomic,
 * whichever way it comes. A function cannot be sent: `update` and `modify` run it here, and exchange the value if it has not changed.
 *
 * @module
 */
import type * as Cause from "effect/Cause";
import * as Effect from "effect/Effect";
import type { Lock } from "../../../Lock.ts";
import type { RLock } from "../../../RLock.ts";
import { after } from "../../os/timer.ts";
import { MessageClient } from "../../sync/messages/client.ts";
import type { MessageOperations, Operation } from "../../sync/messages/gateway.ts";
import type { Content } from "../../sync/messages/protocol.ts";
import type { Answer } from "../../sync/messages/session.ts";
import type { Descriptor } from "../../sync/object.ts";
import { attempt } from "../attempt.ts";
import { MemoryError, type MemoryFailure, OutOfRange } from "../errors.ts";
import { explain } from "../locks.ts";
import { Numbers } from "../numbers.ts";
import { type Description, type Type, typeOf } from "../types.ts";

/** The operations on one number. Their numbers are the operations of the messages. */
export const operations = {
  get: 1,
  set: 2,
  exchange: 3,
  compareExchange: 4,
  add: 5,
  sub: 6,
  and: 7,
  or: 8,
  xor: 9,
} as const;

/** The data of a handle. */
export interface NumbersDescriptor extends Descriptor {
  readonly type: Type;
  readonly lock: Lock | RLock;
}

/** The answer of the host: a result, or a failure. */
type Told =
  | readonly [result: unknown]
  | readonly [tag: "MemoryError" | "OutOfRange", reason: never, message: string];

/** An operation at the host. A {@link MemoryFailure} that it throws is its answer. */
export const answering = <P>(run: (object: P, args: Content) => unknown): Operation<P> => (object, args, reply) => {
  let told: Told;
  try {
    told = [run(object, args)];
  } catch (error) {
    if (!(error instanceof MemoryError || error instanceof OutOfRange)) throw error;
    told = [error._tag, error.reason as never, error.message];
  }
  reply.result(told);
};

/** The operations at the host on one number, or on a number of several. They check their arguments. */
export const numberOperations = <P extends Readonly<Record<keyof typeof operations, unknown>>>(): MessageOperations<
  P
> =>
  Object.fromEntries(
    Object.entries(operations).map(([name, number]) => [
      number,
      answering<P>((object, args) =>
        (object as Readonly<Record<string, (...args: Content) => unknown>>)[name](...args)
      ),
    ]),
  );

/** How long an interrupted operation waits for its answer, in milliseconds: the host may be stopped. */
const PATIENCE = 5000;

type Attempt<A> = Effect.Effect<A, MemoryFailure>;

/** See above. */
export abstract class NumbersMessages<A, D extends NumbersDescriptor> extends MessageClient<D> {
  readonly type: Type;
  readonly lock: Lock | RLock;
  readonly #name: string;

  constructor(kind: string, descriptor: D) {
    super(kind, descriptor);
    this.#name = kind;
    this.type = descriptor.type;
    this.lock = descriptor.lock;
  }

  readonly withLock: RLock["withLock"] = (effect, options) => this.lock.withLock(effect, options);

  protected get description(): Description {
    return typeOf(this.type);
  }

  /** The numbers of this process, of which there are none: their use throws the `MemoryError` `Unsupported`. */
  protected get numbers(): Numbers {
    return new Numbers(this.description, () => this.inMemory());
  }

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
        Effect.flatMap(Effect.mapError(this.ask<Told>(operation, args), explain), (told) => this.#result<B>(told)),
    );
  }

  /**
   * Requests a change.
   *
   * *Interruption:* comes before the change or after it: after the request was sent, the end of the operation waits for the answer, so
   * that nothing is changed later. If the host does not answer within five seconds, it may change the number later.
   */
  protected change<B>(operation: number, args: () => Content): Attempt<B> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(attempt(args), (args) => {
        let answer: Answer | undefined;
        let heard = (_: Answer): void => {};
        this.session.request(operation, args, (told) => heard(answer = told));
        const answered = Effect.async<Answer>((resume) => {
          heard = (told) => resume(Effect.succeed(told));
          if (answer !== undefined) heard(answer);
        });
        const late = (cause: Cause.Cause<never>): Attempt<B> =>
          Effect.async((resume) => {
            const stop = after(PATIENCE, () => resume(Effect.failCause(cause)));
            heard = (told) => {
              stop();
              resume(this.#told<B>(told));
            };
            if (answer !== undefined) heard(answer);
          });
        return Effect.matchCauseEffect(restore(answered), {
          onFailure: late,
          onSuccess: (told) => this.#told<B>(told),
        });
      })
    );
  }

  /** Changes a number by a function, which runs again if another process was faster. */
  protected updated<B>(
    value: Attempt<A>,
    change: (value: A) => readonly [B, A],
    exchange: (expected: A, value: A) => Attempt<A>,
  ): Attempt<B> {
    const replace = (seen: A): Attempt<B> =>
      Effect.flatMap(attempt(() => change(seen)), ([answer, next]) =>
        Effect.flatMap(
          exchange(seen, next),
          (found) => Object.is(found, seen) ? Effect.succeed(answer) : replace(found),
        ));
    return Effect.flatMap(value, replace);
  }

  /** A value as the type keeps it. Throws an `OutOfRange`. */
  protected kept(value: unknown): A {
    const { give, keep } = this.description;
    return give(keep(value)) as A;
  }

  #told<B>(answer: Answer): Attempt<B> {
    return Effect.flatMap(
      Effect.mapError(this.outcome(answer, (told) => told as Told), explain),
      (told) => this.#result<B>(told),
    );
  }

  #result<B>(told: Told): Attempt<B> {
    if (told.length === 1) return Effect.succeed(told[0] as B);
    const [tag, reason, message] = told;
    return Effect.fail(tag === "OutOfRange" ? new OutOfRange(reason, message) : new MemoryError(reason, message));
  }
}
