/**
 * Receives the messages of an end, for the fibers that use it.
 *
 * ```text
 *   a message is there, and no fiber waits --> received in one step of the fiber, which gives it to the caller
 *   otherwise --> the fiber waits at the gate of the readers --> received when it is the first and a message is there
 *                    +--interrupted: it leaves the gate, and the message stays
 * ```
 *
 * A message that does not fit, or is of the other kind, remains the next message.
 *
 * @module
 */
import * as Duration from "effect/Duration";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Codec from "../codec/codec.ts";
import { DecodeError } from "../codec/errors.ts";
import { EndOfFile, PipeError } from "../objects/errors.ts";
import { load, type ObjectHook } from "../objects/handles.ts";
import { awaitGate, oneStep, Otherwise } from "../objects/interruption.ts";
import { after } from "../os/timer.ts";
import { MessageTooLarge } from "../codec/message.ts";
import type { ConnectionFailure, End, EndReference } from "./end.ts";
import { type Message, OVERSIZE, VALUE } from "./message.ts";

/** Why nothing was received. */
export type ReceiveFailure = EndOfFile | ConnectionFailure;

/** The largest number of values, and of bytes, that {@link MessageReceiver.receiveMany} returns. */
const BATCH = 1024;
const BATCH_BYTES = 256 * 1024;

/** A failure with a `PipeError`. */
export const refuse = (reason: PipeError["reason"], message: string, size?: number): Exit.Exit<never, PipeError> =>
  Exit.fail(new PipeError(reason, message, size));

/** Receives the messages of one end. */
export class MessageReceiver {
  readonly #reference: EndReference;
  readonly #hooks: ReadonlyArray<ObjectHook>;

  constructor(reference: EndReference, hooks: ReadonlyArray<ObjectHook>) {
    this.#reference = reference;
    this.#hooks = hooks;
  }

  get #end(): End {
    return this.#reference.end;
  }

  /**
   * Gives the next message to `use`, which takes it from the inbox or leaves it there. A message of another `kind` is a failure.
   * Inspects the end at once, so call it in the fiber.
   */
  receive<A, E>(kind: number, use: (message: Message) => Exit.Exit<A, E>): Effect.Effect<A, E | ReceiveFailure> {
    const { readers } = this.#end;
    if (!readers.isOpen(0)) return this.#wait(kind, use);
    return oneStep(() => {
      // Another fiber may have received the message between the two steps of this one.
      if (!readers.isOpen(0)) return new Otherwise(this.#wait(kind, use));
      const next = this.#next(kind, use);
      if (next instanceof Promise) return new Otherwise(this.#again(next, kind, use));
      return next._tag === "Success" ? next.value : new Otherwise(next);
    });
  }

  #wait<A, E>(kind: number, use: (message: Message) => Exit.Exit<A, E>): Effect.Effect<A, E | ReceiveFailure> {
    return awaitGate(this.#end.readers, 0, (restore): Effect.Effect<A, E | ReceiveFailure> => {
      const next = this.#next(kind, use);
      return next instanceof Promise ? restore(this.#again(next, kind, use)) : next;
    });
  }

  /** Receives when the modules of the next message are there. */
  #again<A, E>(
    loaded: Promise<void>,
    kind: number,
    use: (message: Message) => Exit.Exit<A, E>,
  ): Effect.Effect<A, E | ReceiveFailure> {
    return Effect.zipRight(Effect.promise(() => loaded), Effect.suspend(() => this.receive(kind, use)));
  }

  /** Receives the next value. */
  receiveValue<A>(): Effect.Effect<A, DecodeError | ReceiveFailure> {
    return this.receive(VALUE, (message): Exit.Exit<A, DecodeError> => {
      // Handles that move with the value are taken over before the pipe releases them.
      const value = this.#decode<A>(message);
      this.#end.take(1);
      return value;
    });
  }

  /** Receives the values that have arrived, at least one and at most a batch. */
  receiveMany<A>(): Effect.Effect<ReadonlyArray<A>, DecodeError | ReceiveFailure> {
    return this.receive(VALUE, (): Exit.Exit<ReadonlyArray<A>, DecodeError> => {
      const values: Array<A> = [];
      let size = 0;
      for (const message of this.#end.inbox) {
        if (message.kind !== VALUE || values.length === BATCH || size >= BATCH_BYTES) break;
        // The modules for the first message are loaded.
        if (values.length > 0 && load(message) !== undefined) break;
        const value = this.#decode<A>(message);
        if (Exit.isFailure(value)) {
          // The values before it come first.
          if (values.length > 0) break;
          this.#end.take(1);
          return Exit.failCause(value.cause);
        }
        values.push(value.value);
        size += message.size;
      }
      this.#end.take(values.length);
      return Exit.succeed(values);
    });
  }

  /** Whether there is a message, or an end of file, now or within `millis` milliseconds. */
  poll(millis: number): Effect.Effect<boolean, ConnectionFailure> {
    const end = this.#end;
    if (end.readable) return this.#answer;
    if (!(millis > 0)) {
      return Effect.async((resume) => end.sync(() => resume(end.readable ? this.#answer : Effect.succeed(false))));
    }
    return Effect.async((resume) => {
      const settle = (answer: Effect.Effect<boolean, ConnectionFailure>): void => {
        cancel();
        resume(answer);
      };
      const stopTimer = after(millis, () => settle(Effect.succeed(false)));
      const unwatch = end.watch(() => settle(this.#answer));
      const cancel = (): void => {
        stopTimer();
        unwatch();
      };
      return Effect.sync(cancel);
    });
  }

  /** Waits until there is a message, or an end of file. */
  get ready(): Effect.Effect<void, ConnectionFailure> {
    const end = this.#end;
    if (end.readable) return Effect.asVoid(this.#answer);
    return Effect.async((resume) => {
      const unwatch = end.watch(() => resume(Effect.asVoid(this.#answer)));
      return Effect.sync(unwatch);
    });
  }

  /** The next message, used; the promise of the modules of the handles in it, with nothing received; or why there is none. */
  #next<A, E>(
    kind: number,
    use: (message: Message) => Exit.Exit<A, E>,
  ): Exit.Exit<A, E | ReceiveFailure> | Promise<void> {
    const end = this.#end;
    const message = end.inbox.first;
    if (message === undefined) return Exit.fail(end.readFailure!);
    if (message.kind === kind) return (kind === VALUE ? load(message) : undefined) ?? use(message);
    if (message.kind === OVERSIZE) {
      end.take(1);
      return Exit.fail(readOversize(message));
    }
    return refuse(
      "WrongKind",
      kind === VALUE
        ? "Cannot receive a value: the next message was sent with sendBytes; take it with recvBytes"
        : "Cannot receive bytes: the next message is a value that was sent with send; take it with recv",
    );
  }

  #decode<A>({ attachments, bytes }: Message): Exit.Exit<A, DecodeError> {
    try {
      return Exit.succeed(Codec.decode(bytes, { attachments, hooks: this.#hooks, link: undefined }) as A);
    } catch (error) {
      return error instanceof DecodeError ? Exit.fail(error) : Exit.die(error);
    }
  }

  /** The answer of a readable end: `true`, or why the connection cannot be used. */
  get #answer(): Effect.Effect<boolean, ConnectionFailure> {
    if (this.#end.inbox.length > 0) return Effect.succeed(true);
    const failure = this.#end.readFailure;
    return failure === undefined || failure instanceof EndOfFile ? Effect.succeed(true) : Effect.fail(failure);
  }
}

/** A time limit in milliseconds. */
export const millisOf = (timeout: Duration.DurationInput | undefined): number =>
  timeout === undefined ? 0 : Duration.toMillis(timeout);

const readOversize = ({ bytes }: Message): MessageTooLarge => {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return new MessageTooLarge(view.getFloat64(0), view.getFloat64(8));
};
