/**
 * A connection as its user has it.
 *
 * @module
 */
import * as Chunk from "effect/Chunk";
import * as Duration from "effect/Duration";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Option from "effect/Option";
import type * as Schema from "effect/Schema";
import * as Sink from "effect/Sink";
import * as Stream from "effect/Stream";
import type { Link } from "../rpc/link.ts";
import { after } from "../os/timer.ts";
import { countOrInfinite, invalidArgument, must, optional, range } from "../os/arguments.ts";
import { duration } from "../os/durations.ts";
import { linkOf } from "../rpc/router.ts";
import type { Connection, Statistics } from "../../Pipe.ts";
import * as Codec from "../codec/codec.ts";
import { DecodeError, EncodeError } from "../codec/errors.ts";
import { MessageTooLarge } from "../codec/message.ts";
import { type BrokenPipe, EndOfFile, PipeError, type Unreachable } from "../objects/errors.ts";
import { foreign, HandleId, hooks, load, type ObjectHook, register } from "../objects/handles.ts";
import { passGate } from "../objects/interruption.ts";
import { BYTES, type Message, message as toMessage, OVERSIZE, VALUE } from "./inbox.ts";
import { End, type Peer, type Place } from "./end.ts";
import { type Checkable, Checked, TypeId } from "./schema.ts";
import { WaitId } from "../objects/waitable.ts";

/** Messages and bytes that a Stream gives, or a Sink encodes, at a time. */
const BATCH = 1024;
const BATCH_BYTES = 256 * 1024;

type Failure = PipeError | Unreachable | MessageTooLarge;
type ReadFailure = EndOfFile | Failure;
type WriteFailure = BrokenPipe | Failure;

/** What there is to send, and what goes with it. */
interface Parcel {
  readonly message: Message;
  readonly onSend: ReadonlyArray<(link: Link | undefined) => void>;
}

const refuse = (
  reason: PipeError["reason"],
  message: string,
  size?: number,
): Exit.Exit<never, PipeError> => Exit.fail(new PipeError(reason, message, size));

const isShared = (buffer: ArrayBufferLike): boolean =>
  typeof SharedArrayBuffer !== "undefined" && buffer instanceof SharedArrayBuffer;

/** The bytes of a buffer, or of what is a view of one. */
const bytesOf = (buffer: unknown): Uint8Array | undefined => {
  if (ArrayBuffer.isView(buffer)) return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
  if (
    buffer instanceof ArrayBuffer || (typeof SharedArrayBuffer !== "undefined" && buffer instanceof SharedArrayBuffer)
  ) {
    return new Uint8Array(buffer);
  }
  return undefined;
};

const wrongBytes = must(
  (value) => bytesOf(value) !== undefined,
  "an ArrayBuffer or a view of one",
  "encode texts with TextEncoder",
);

/** Refuses what is wrong with the arguments of a method. */
const refuseArgument = (method: string, complaint: string): Exit.Exit<never, PipeError> =>
  refuse("InvalidArgument", invalidArgument(`connection.${method}`, complaint));

/** Long ones are taken from where they are. */
const bytesMessage = (part: Uint8Array): Message =>
  part.length < Codec.ATTACHMENT_BYTES
    ? toMessage(BYTES, { bytes: part.slice(), attachments: [] })
    : toMessage(BYTES, { bytes: new Uint8Array(0), attachments: [isShared(part.buffer) ? part.slice() : part] });

const contents = ({ attachments, bytes }: Message): Uint8Array<ArrayBuffer> =>
  (attachments.length === 0 ? bytes : attachments[0]) as Uint8Array<ArrayBuffer>;

/** Ends that were received, and that nobody holds any more. */
const unusable = new FinalizationRegistry<End>((end) => end.close());

/** The implementation of {@link Connection}. */
export class ConnectionClient<A, B> implements Connection<A, B>, Checkable<A, B> {
  readonly [TypeId]: typeof TypeId = TypeId;
  readonly readable: boolean;
  readonly writable: boolean;
  readonly #end: End;
  readonly #hooks: ReadonlyArray<ObjectHook>;

  /** Takes the end over. */
  constructor(place: Place) {
    this.#hooks = place.stranger === undefined ? hooks : foreign;
    this.readable = place.duplex || place.end === 0;
    this.writable = place.duplex || place.end === 1;
    this.#end = new End(place);
  }

  /** Makes one from a handle. It ends when nobody can use it any more: no scope of this process knows of it. */
  static received(place: Place): ConnectionClient<unknown, unknown> {
    const connection = new ConnectionClient(place);
    unusable.register(connection, connection.#end);
    return connection;
  }

  readonly "~multiprocessing/Checkable" = <C, D>(
    receive: Schema.Schema<C, A>,
    send: Schema.Schema<D, B>,
  ): Connection<C, D> => new Checked(this, receive, send);

  get [HandleId]() {
    const end = this.#end;
    return {
      kind: "connection",
      encode: (onSend: (action: (link: Link | undefined) => void) => void): Place => {
        const failure = end.useFailure;
        if (failure !== undefined) throw new EncodeError(failure.message, { cause: failure });
        onSend((link) => end.leave(link && ((died) => link.onClosed(died))));
        return { ...end.place };
      },
    };
  }

  get [WaitId]() {
    const end = this.#end;
    const known = (): boolean => end.useFailure !== undefined || !this.readable || end.readable;
    return {
      look: (answer: (ready: boolean) => void): void => {
        if (known()) answer(true);
        else end.sync(() => answer(end.readable));
      },
      watch: (ready: () => void): () => void => {
        if (!known()) return end.watch(ready);
        ready();
        return () => {};
      },
    };
  }

  get host(): string {
    return this.#end.place.host;
  }

  /** Where the other end is, if it is in no process of the family. */
  get peer(): Peer | undefined {
    return this.#end.place.stranger?.peer;
  }

  get closed(): boolean {
    return this.#end.state !== "open";
  }

  readonly send = (value: B): Effect.Effect<void, EncodeError | WriteFailure> =>
    this.#write((): Effect.Effect<void, EncodeError | WriteFailure> => {
      const parcel = encode(value, this.#hooks);
      return parcel instanceof EncodeError ? Effect.fail(parcel) : this.#send([parcel], 0);
    });

  readonly sendBytes = (
    buffer: ArrayBufferLike | ArrayBufferView,
    offset: number = 0,
    size?: number,
  ): Effect.Effect<void, WriteFailure> =>
    this.#write(() => {
      const bytes = bytesOf(buffer);
      if (bytes === undefined) return refuseArgument("sendBytes", `buffer ${wrongBytes(buffer)}`);
      const wrong = range(0, bytes.length)(offset);
      if (wrong !== undefined) return refuseArgument("sendBytes", `offset ${wrong}`);
      const rest = bytes.length - offset;
      const wrongSize = optional(range(0, rest))(size);
      if (wrongSize !== undefined) return refuseArgument("sendBytes", `size ${wrongSize}`);
      const part = bytes.subarray(offset, offset + (size ?? rest));
      return this.#send([{ message: bytesMessage(part), onSend: [] }], 0);
    });

  get recv(): Effect.Effect<A, DecodeError | ReadFailure> {
    return this.#read(() =>
      this.#receive(VALUE, (message) => {
        // What moves with it is taken over before it is no longer kept.
        const value = decode<A>(message, this.#hooks);
        this.#end.take(1);
        return value instanceof Undecodable ? value.exit : Exit.succeed(value);
      })
    );
  }

  readonly recvBytes = (maxLength: number = Infinity): Effect.Effect<Uint8Array<ArrayBuffer>, ReadFailure> =>
    this.#read(() => {
      const wrong = countOrInfinite(maxLength);
      if (wrong !== undefined) return refuseArgument("recvBytes", `maxLength ${wrong}`);
      return this.#receive(BYTES, (message) => {
        const bytes = contents(message);
        if (bytes.length > maxLength) {
          return refuse(
            "MessageTooLong",
            `Cannot receive bytes: the next message has ${bytes.length}, and at most ${maxLength} were allowed; it can still be received`,
            bytes.length,
          );
        }
        this.#end.take(1);
        return Exit.succeed(bytes);
      });
    });

  readonly recvBytesInto = (
    buffer: ArrayBufferLike | ArrayBufferView,
    offset: number = 0,
  ): Effect.Effect<number, ReadFailure> =>
    this.#read(() => {
      const target = bytesOf(buffer);
      if (target === undefined) return refuseArgument("recvBytesInto", `buffer ${wrongBytes(buffer)}`);
      const wrong = range(0, target.length)(offset);
      if (wrong !== undefined) return refuseArgument("recvBytesInto", `offset ${wrong}`);
      return this.#receive(BYTES, (message) => {
        const bytes = contents(message);
        const room = target.length - offset;
        if (bytes.length > room) {
          return refuse(
            "BufferTooShort",
            `Cannot receive bytes: the next message has ${bytes.length}, and there is room for ${room}; it can still be received`,
            bytes.length,
          );
        }
        target.set(bytes, offset);
        this.#end.take(1);
        return Exit.succeed(bytes.length);
      });
    });

  readonly poll = (timeout?: Duration.DurationInput): Effect.Effect<boolean, Failure> =>
    this.#read(() => {
      const wrong = optional(duration)(timeout);
      if (wrong !== undefined) return refuseArgument("poll", `timeout ${wrong}`);
      const millis = timeout === undefined ? 0 : Duration.toMillis(timeout);
      const end = this.#end;
      if (end.readable) return this.#answer;
      if (!(millis > 0)) {
        return Effect.async<boolean, Failure>((resume) => {
          end.sync(() => resume(end.readable ? this.#answer : Effect.succeed(false)));
        });
      }
      return Effect.async<boolean, Failure>((resume) => {
        const settle = (answer: Effect.Effect<boolean, Failure>): void => {
          cancel();
          resume(answer);
        };
        const stop = after(millis, () => settle(Effect.succeed(false)));
        const unwatch = end.watch(() => settle(this.#answer));
        const cancel = (): void => {
          stop();
          unwatch();
        };
        return Effect.sync(cancel);
      });
    });

  get ready(): Effect.Effect<void, Failure> {
    return this.#read(() => {
      const end = this.#end;
      if (end.readable) return Effect.asVoid(this.#answer);
      return Effect.async<void, Failure>((resume) => {
        const unwatch = end.watch(() => resume(Effect.asVoid(this.#answer)));
        return Effect.sync(unwatch);
      });
    });
  }

  get close(): Effect.Effect<void> {
    return Effect.sync(() => this.#end.close());
  }

  get statistics(): Effect.Effect<Statistics> {
    return Effect.async((resume) => {
      const end = this.#end;
      end.sync(() =>
        resume(Effect.sync((): Statistics => ({
          unread: end.inbox.length,
          unreadBytes: end.inbox.bytes,
          pendingBytes: end.state === "open" ? end.pending : 0,
          receivers: end.readers.length,
          senders: end.writers.length,
          state: end.gone ? "unreachable" : end.state,
          peer: end.alone ? "closed" : "open",
        })))
      );
    });
  }

  get toStream(): Stream.Stream<A, DecodeError | Failure> {
    const chunk = this.#read(() =>
      this.#receive(VALUE, () => {
        const values: Array<A> = [];
        let size = 0;
        for (const next of this.#end.inbox) {
          if (next.kind !== VALUE || values.length === BATCH || size >= BATCH_BYTES) break;
          // Of the first one they are loaded by now.
          if (values.length > 0 && load(next) !== undefined) break;
          const value = decode<A>(next, this.#hooks);
          if (value instanceof Undecodable) {
            // Those before it first.
            if (values.length > 0) break;
            this.#end.take(1);
            return value.exit;
          }
          values.push(value);
          size += next.size;
        }
        this.#end.take(values.length);
        return Exit.succeed(values);
      })
    );
    return Stream.repeatEffectChunkOption(Effect.mapBoth(chunk, {
      onFailure: (error): Option.Option<DecodeError | Failure> =>
        error instanceof EndOfFile ? Option.none() : Option.some(error),
      onSuccess: Chunk.unsafeFromArray,
    }));
  }

  get toSink(): Sink.Sink<void, B, never, EncodeError | WriteFailure> {
    return Sink.forEachChunk((chunk: Chunk.Chunk<B>) =>
      this.#write(() => {
        const parcels: Array<Parcel> = [];
        for (const value of chunk) {
          const parcel = encode(value, this.#hooks);
          if (parcel instanceof EncodeError) return Effect.zipRight(this.#send(parcels, 0), Effect.fail(parcel));
          parcels.push(parcel);
        }
        return this.#send(parcels, 0);
      })
    );
  }

  toString(): string {
    return `Connection(${this.host})`;
  }

  /** What can be wrong with the use of a connection comes before what can be wrong with its arguments. */
  #read<C, E>(act: () => Effect.Effect<C, E>): Effect.Effect<C, E | PipeError> {
    return Effect.suspend((): Effect.Effect<C, E | PipeError> => {
      const failure = this.#end.useFailure;
      if (failure !== undefined) return Effect.fail(failure);
      return this.readable
        ? act()
        : refuse("WriteOnly", "Cannot receive: this end of the pipe only sends; receive with the other one");
    });
  }

  #write<C, E>(act: () => Effect.Effect<C, E>): Effect.Effect<C, E | PipeError> {
    return Effect.suspend((): Effect.Effect<C, E | PipeError> => {
      const failure = this.#end.useFailure;
      if (failure !== undefined) return Effect.fail(failure);
      return this.writable
        ? act()
        : refuse("ReadOnly", "Cannot send: this end of the pipe only receives; send with the other one");
    });
  }

  /** Hands the next message to `use`, which takes it or leaves it there. */
  #receive<C, E>(kind: number, use: (message: Message) => Exit.Exit<C, E>): Effect.Effect<C, E | ReadFailure> {
    // Whoever waits holds on to `this`, and thereby keeps the end open.
    const act = (): Exit.Exit<C, E | ReadFailure> => {
      const end = this.#end;
      const message = end.inbox.first;
      if (message === undefined) return Exit.fail(end.readFailure!);
      if (message.kind === kind) {
        const loading = kind === VALUE ? load(message) : undefined;
        return loading === undefined ? use(message) : Exit.die(new Loading(loading));
      }
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
    };
    const { readers } = this.#end;
    if (!readers.isOpen(0)) return this.#again(passGate(readers, 0, act), kind, use);
    // What is there is received in the very step that gives it to whoever goes on: an interruption comes before, or after it.
    const now = Effect.sync(() => {
      const exit = readers.isOpen(0) ? act() : undefined;
      if (exit?._tag === "Success") return exit.value;
      throw new Otherwise(exit ?? passGate(readers, 0, act));
    });
    return Effect.catchAllDefect(
      now,
      (defect) =>
        defect instanceof Otherwise
          ? this.#again(defect.effect as Effect.Effect<C, E | ReadFailure>, kind, use)
          : Effect.die(defect),
    );
  }

  /** Receives again once the kinds are loaded that it waits for. */
  #again<C, E>(
    receive: Effect.Effect<C, E | ReadFailure>,
    kind: number,
    use: (message: Message) => Exit.Exit<C, E>,
  ): Effect.Effect<C, E | ReadFailure> {
    return Effect.catchSomeDefect(
      receive,
      (defect) =>
        defect instanceof Loading
          ? Option.some(Effect.zipRight(Effect.promise(() => defect.done), this.#receive(kind, use)))
          : Option.none(),
    );
  }

  /** Sends as many as there is room for at once, and then the others. */
  #send(parcels: ReadonlyArray<Parcel>, at: number): Effect.Effect<void, WriteFailure> {
    if (at === parcels.length) return Effect.void;
    let next = at;
    const sent = passGate(this.#end.writers, parcels[at].message.size, (): Effect.Effect<void, WriteFailure> => {
      const end = this.#end;
      let open = 0;
      let lost = false;
      let finish = (): void => {};
      let failure: WriteFailure | undefined;
      do {
        failure = end.writeFailure;
        if (failure !== undefined) break;
        const { message, onSend } = parcels[next];
        try {
          open++;
          end.send(message, (arrived) => {
            lost ||= !arrived;
            if (--open === 0) finish();
          });
        } catch (error) {
          open--;
          if (!(error instanceof MessageTooLarge)) throw error;
          failure = error;
          break;
        }
        next++;
        for (const action of onSend) action(linkOf(end.place));
      } while (next < parcels.length && end.hasRoom(parcels[next].message.size));
      const outcome = Effect.suspend(() => {
        const error = failure ?? (lost ? end.writeFailure : undefined);
        return error === undefined ? Effect.void : Effect.fail(error);
      });
      if (open === 0) return outcome;
      const handed = Effect.async<void, WriteFailure>((resume) => {
        finish = () => resume(outcome);
        if (open === 0) finish();
      });
      // Another program may be stopped, or cut off: nobody has to wait until it is not.
      return end.place.stranger === undefined ? handed : Effect.interruptible(handed);
    });
    return parcels.length - at === 1 ? sent : Effect.flatMap(sent, () => this.#send(parcels, next));
  }

  /** A message is there, or an end of file. */
  get #answer(): Effect.Effect<boolean, Failure> {
    if (this.#end.inbox.length > 0) return Effect.succeed(true);
    const failure = this.#end.readFailure;
    return failure === undefined || failure instanceof EndOfFile ? Effect.succeed(true) : Effect.fail(failure);
  }
}

const encode = (value: unknown, hooks: ReadonlyArray<ObjectHook>): Parcel | EncodeError => {
  try {
    const packet = Codec.encode(value, { hooks, root: "value" });
    const { attachments, bytes, onSend } = packet;
    return { message: toMessage(VALUE, { attachments, bytes, moves: onSend.length > 0 }), onSend };
  } catch (error) {
    if (error instanceof EncodeError) return error;
    throw error;
  }
};

/** A message that is no value. */
class Undecodable {
  constructor(readonly exit: Exit.Exit<never, DecodeError>) {}
}

/** The kinds of what moves with the next message are being loaded: nothing was received yet. */
class Loading {
  constructor(readonly done: Promise<void>) {}
}

/** What is to be done when nothing was received. */
class Otherwise {
  constructor(readonly effect: Effect.Effect<unknown, unknown>) {}
}

const decode = <A>({ attachments, bytes }: Message, hooks: ReadonlyArray<ObjectHook>): A | Undecodable => {
  try {
    return Codec.decode(bytes, { attachments, hooks, link: undefined }) as A;
  } catch (error) {
    return new Undecodable(error instanceof DecodeError ? Exit.fail(error) : Exit.die(error));
  }
};

const readOversize = ({ bytes }: Message): MessageTooLarge => {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return new MessageTooLarge(view.getFloat64(0), view.getFloat64(8));
};

/** For who only looks at a message with a connection in it: it stays on its way. */
class Untouched {
  readonly [TypeId]: typeof TypeId = TypeId;
}

register("connection", (data, use) => use ? ConnectionClient.received(data as Place) : new Untouched());
