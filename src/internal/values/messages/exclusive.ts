/**
 * Objects that one process changes at a time, for their users by messages, and what the host does for them.
 *
 * Such an object has a lock for its changes, in shared memory. The host takes it in the name of the process that asks for a change, so
 * changes take turns, whichever way they come. A function cannot be sent: `modified` requests a turn, runs the function here, and sends
 * the new content, which ends the turn. If this process dies before that, the lock passes on, and nothing was changed.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import type { MessageOperations, Operation, Reply } from "../../sync/messages/gateway.ts";
import type { Session } from "../../sync/messages/session.ts";
import type { Kind } from "../../sync/object.ts";
import { Defect, isWaitFailure } from "../../sync/protocol/participants.ts";
import { Lock, SIZE } from "../../sync/protocol/lock.ts";
import { attempt } from "../attempt.ts";
import type { MemoryFailure } from "../errors.ts";
import { explain } from "../locks.ts";
import { answering, type ObjectDescriptor, ObjectMessages, tell, type Told } from "./object.ts";

const SET = 1;
const BEGIN = 2;
const COMMIT = 3;
const RELEASE = 4;

/** The content of an object, or its element at an index. Both functions throw a {@link MemoryFailure}. */
export interface Contents {
  readonly read: (at: number) => unknown;
  /** For the holder of the lock. */
  readonly write: (at: number, value: unknown) => void;
}

/** An object, as the host uses it in the name of another process. */
export interface Exclusive<C extends Contents = Contents> {
  readonly lock: Lock;
  readonly contents: C;
}

/** An operation at the host that runs while the caller has the lock. */
export const inTurn = <C extends Contents>(
  run: (contents: C, args: ReadonlyArray<unknown>) => unknown,
): Operation<Exclusive<C>> =>
(object, args, reply) =>
  whenHeld(object, reply, () =>
    tell(reply, () => {
      try {
        return run(object.contents, args);
      } finally {
        object.lock.release();
      }
    }));

const whenHeld = (
  { lock }: Exclusive,
  reply: Reply,
  run: () => void,
): ReturnType<Operation<Exclusive>> => {
  if (lock.takeIfFree()) return run();
  return lock.wait((outcome) => {
    if (isWaitFailure(outcome)) return reply.failed(outcome);
    try {
      run();
    } catch (error) {
      reply.failed(new Defect(error));
    }
  });
};

/** The operations at the host that all such objects have. The contents check their arguments. */
const operations: MessageOperations<Exclusive> = {
  // Does not wait, so that its answer, for which the end of an interrupted caller waits, comes soon.
  [SET]: answering(({ contents, lock }, [at, value]) => {
    if (!lock.takeIfFree()) return false;
    try {
      contents.write(at as number, value);
      return true;
    } finally {
      lock.release();
    }
  }),
  [BEGIN]: (object, [at], reply) =>
    whenHeld(
      object,
      reply,
      () => tell(reply, () => object.contents.read(at as number), () => void object.lock.release()),
    ),
  [COMMIT]: ({ contents, lock }, [at, value], reply) =>
    tell(reply, () => {
      try {
        contents.write(at as number, value);
      } finally {
        lock.release();
      }
    }),
  [RELEASE]: ({ lock }, _, reply) => reply.result(lock.release()),
};

/** Objects of this kind with these operations, from number 10 on. The object that is allocated is the lock. */
export const exclusiveKind = <C extends Contents>(
  more: MessageOperations<Exclusive<C>>,
): Kind<Exclusive<C>, () => C> => ({
  name: "shared object",
  size: SIZE,
  make: (words, at, participants, contents) => ({ lock: new Lock(words, at, participants), contents: contents() }),
  operations: { ...operations, ...more } as MessageOperations<Exclusive<C>>,
});

type Attempt<A> = Effect.Effect<A, MemoryFailure>;

/** See above. */
export abstract class ExclusiveMessages<D extends ObjectDescriptor> extends ObjectMessages<D> {
  /** Replaces the content, or an element. `checked` throws a {@link MemoryFailure} if the value is not valid. */
  protected replace(checked: () => readonly [at: number, value: unknown]): Attempt<void> {
    return Effect.flatMap(attempt(checked), ([at, value]) =>
      Effect.flatMap(
        this.change<boolean>(SET, () => [at, value]),
        (done) => done ? Effect.void : this.modified(() => at, () => [undefined, value]),
      ));
  }

  /** Changes the content, or an element, by a function, which throws a {@link MemoryFailure} if its result is not valid. */
  protected modified<A, B>(
    index: () => number,
    change: (value: A) => readonly [answer: B, value: unknown],
  ): Attempt<B> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(
        attempt(index),
        (at) =>
          Effect.flatMap(Effect.mapError(restore(this.#turn(at)), explain), ({ session, told }) =>
            Effect.flatMap(this.result<A>(told), (value) =>
              Effect.flatMap(
                Effect.onError(
                  attempt(() => {
                    const [answer, next] = change(value);
                    const requested = this.request(session, COMMIT, [at, next]);
                    // The turn is over: an interruption does not end it again.
                    session.releases++;
                    return { answer, requested };
                  }),
                  () =>
                    Effect.sync(() => session.tell(RELEASE)),
                ),
                ({ answer, requested }) => Effect.as(this.answered(restore, requested), answer),
              ))),
      )
    );
  }

  /** Waits for a turn, and returns the content. The host has ended the turn if it tells a failure. */
  #turn(at: number) {
    return this.grant<{ readonly told: Told; readonly session: Session }>(
      BEGIN,
      [at],
      (told, session) => ({ told: told as Told, session }),
      ({ told }, session) => void (told.length === 1 && session.tell(RELEASE)),
    );
  }
}
