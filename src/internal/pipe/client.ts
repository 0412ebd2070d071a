/**
 * The connection that a user has: it checks the arguments, and uses its end.
 *
 * `end.ts` is the end itself, `receiver.ts` receives and `sender.ts` sends for the fibers that use it; each has its state diagram at
 * the top of its file, and so has the pipe in `host.ts`.
 *
 * @module
 */
import * as Chunk from "effect/Chunk";
import type * as Duration from "effect/Duration";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Option from "effect/Option";
import type { Pipeable } from "effect/Pipeable";
import type * as Schema from "effect/Schema";
import * as Sink from "effect/Sink";
import * as Stream from "effect/Stream";
import type { Connection, Statistics } from "../../Pipe.ts";
import { type DecodeError, EncodeError } from "../codec/errors.ts";
import { EndOfFile, type PipeError } from "../objects/errors.ts";
import { foreign, HandleId, hooks, type ObjectHook, register } from "../objects/handles.ts";
import { WaitId } from "../objects/waitable.ts";
import { countOrInfinite, invalidArgument, optional, range } from "../os/arguments.ts";
import { duration } from "../os/durations.ts";
import { inspectable } from "../os/inspect.ts";
import type { Link } from "../rpc/link.ts";
import { recycle } from "../transport/recycled.ts";
import { bytesMessage, bytesOf, contents, wrongBytes } from "./buffers.ts";
import { type ConnectionFailure, type ConnectionHandle, End, EndReference, type Peer } from "./end.ts";
import { BYTES } from "./message.ts";
import { MessageReceiver, millisOf, type ReceiveFailure, refuse } from "./receiver.ts";
import { type Checkable, SchemaConnection, TypeId } from "./schema.ts";
import { encodeValue, MessageSender, type OutgoingMessage, type SendFailure } from "./sender.ts";

const refuseArgument = (method: string, complaint: string): Exit.Exit<never, PipeError> =>
  refuse("InvalidArgument", invalidArgument(`connection.${method}`, complaint));

/** Closes the ends of received connections that nobody can use any more; see {@link EndReference}. */
const collected = new FinalizationRegistry<End>((end) => end.close());

/** The implementation of {@link Connection}. */
export class ConnectionClient<A, B> implements Connection<A, B>, Checkable<A, B> {
  declare readonly pipe: Pipeable["pipe"];
  readonly [TypeId]: typeof TypeId = TypeId;
  readonly readable: boolean;
  readonly writable: boolean;
  readonly #reference: EndReference;
  readonly #hooks: ReadonlyArray<ObjectHook>;
  readonly #receiver: MessageReceiver;
  readonly #sender: MessageSender;

  /** Takes the end over. */
  constructor(handle: ConnectionHandle) {
    this.#hooks = handle.stranger === undefined ? hooks : foreign;
    this.readable = handle.duplex || handle.end === 0;
    this.writable = handle.duplex || handle.end === 1;
    this.#reference = new EndReference(new End(handle));
    this.#receiver = new MessageReceiver(this.#reference, this.#hooks);
    this.#sender = new MessageSender(this.#reference);
  }

  /** Rebuilds a connection from a handle. No scope of this process closes it, so garbage collection does. */
  static received(handle: ConnectionHandle): ConnectionClient<unknown, unknown> {
    const connection = new ConnectionClient(handle);
    collected.register(connection.#reference, connection.#end);
    return connection;
  }

  readonly "~multiprocessing/Checkable" = <C, D>(
    receive: Schema.Schema<C, A>,
    send: Schema.Schema<D, B>,
  ): Connection<C, D> => new SchemaConnection(this, receive, send);

  get [HandleId]() {
    const end = this.#end;
    return {
      kind: "connection",
      encode: (onSend: (action: (link: Link | undefined) => void) => void): ConnectionHandle => {
        const failure = end.useFailure;
        if (failure !== undefined) throw new EncodeError(failure.message, { cause: failure });
        onSend((link) => end.leave(link && ((onDeath) => link.onClosed(onDeath))));
        return { ...end.handle };
      },
    };
  }

  get [WaitId]() {
    const end = this.#end;
    const isReady = (): boolean => end.useFailure !== undefined || !this.readable || end.readable;
    return {
      look: (answer: (ready: boolean) => void): void => {
        if (isReady()) answer(true);
        else end.sync(() => answer(end.readable));
      },
      watch: (onReady: () => void): () => void => {
        if (!isReady()) return end.watch(onReady);
        onReady();
        return () => {};
      },
    };
  }

  get #end(): End {
    return this.#reference.end;
  }

  get host(): string {
    return this.#end.handle.host;
  }

  /** Address of the other end, if it is in another program. */
  get peer(): Peer | undefined {
    return this.#end.handle.stranger?.peer;
  }

  get closed(): boolean {
    return this.#end.state !== "open";
  }

  readonly send = (value: B): Effect.Effect<void, EncodeError | SendFailure> =>
    this.#write((): Effect.Effect<void, EncodeError | SendFailure> => {
      const message = encodeValue(value, this.#hooks);
      return message instanceof EncodeError ? Effect.fail(message) : this.#sender.send(message);
    });

  readonly sendBytes = (
    buffer: ArrayBufferLike | ArrayBufferView,
    offset: number = 0,
    size?: number,
  ): Effect.Effect<void, SendFailure> =>
    this.#write(() => {
      const bytes = bytesOf(buffer);
      if (bytes === undefined) return refuseArgument("sendBytes", `buffer ${wrongBytes(buffer)}`);
      const wrong = range(0, bytes.length)(offset);
      if (wrong !== undefined) return refuseArgument("sendBytes", `offset ${wrong}`);
      const rest = bytes.length - offset;
      const wrongSize = optional(range(0, rest))(size);
      if (wrongSize !== undefined) return refuseArgument("sendBytes", `size ${wrongSize}`);
      const part = bytes.subarray(offset, offset + (size ?? rest));
      return this.#sender.send({ message: bytesMessage(part), onSend: [] });
    });

  get recv(): Effect.Effect<A, DecodeError | ReceiveFailure> {
    return this.#read(() => this.#receiver.receiveValue<A>());
  }

  readonly recvBytes = (maxLength: number = Infinity): Effect.Effect<Uint8Array<ArrayBuffer>, ReceiveFailure> =>
    this.#read(() => {
      const wrong = countOrInfinite(maxLength);
      if (wrong !== undefined) return refuseArgument("recvBytes", `maxLength ${wrong}`);
      return this.#receiver.receive(BYTES, (message) => {
        const bytes = contents(message);
        if (bytes.length > maxLength) {
          return tooLong("MessageTooLong", bytes.length, `at most ${maxLength} were allowed`);
        }
        this.#end.take(1);
        return Exit.succeed(bytes);
      });
    });

  readonly recvBytesInto = (
    buffer: ArrayBufferLike | ArrayBufferView,
    offset: number = 0,
  ): Effect.Effect<number, ReceiveFailure> =>
    this.#read(() => {
      const target = bytesOf(buffer);
      if (target === undefined) return refuseArgument("recvBytesInto", `buffer ${wrongBytes(buffer)}`);
      const wrong = range(0, target.length)(offset);
      if (wrong !== undefined) return refuseArgument("recvBytesInto", `offset ${wrong}`);
      return this.#receiver.receive(BYTES, (message) => {
        const bytes = contents(message);
        const room = target.length - offset;
        if (bytes.length > room) return tooLong("BufferTooShort", bytes.length, `there is room for ${room}`);
        target.set(bytes, offset);
        this.#end.take(1);
        // The content of a long message is memory of its own, which nobody else has.
        message.attachments.forEach(recycle);
        return Exit.succeed(bytes.length);
      });
    });

  readonly poll = (timeout?: Duration.DurationInput): Effect.Effect<boolean, ConnectionFailure> =>
    this.#read(() => {
      const wrong = optional(duration)(timeout);
      return wrong === undefined ? this.#receiver.poll(millisOf(timeout)) : refuseArgument("poll", `timeout ${wrong}`);
    });

  get ready(): Effect.Effect<void, ConnectionFailure> {
    return this.#read(() => this.#receiver.ready);
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
          state: end.isGone ? "unreachable" : end.state,
          peer: end.isAlone ? "closed" : "open",
        })))
      );
    });
  }

  get toStream(): Stream.Stream<A, DecodeError | ConnectionFailure> {
    const chunk = this.#read(() => this.#receiver.receiveMany<A>());
    return Stream.repeatEffectChunkOption(Effect.mapBoth(chunk, {
      onFailure: (error): Option.Option<DecodeError | ConnectionFailure> =>
        error instanceof EndOfFile ? Option.none() : Option.some(error),
      onSuccess: Chunk.unsafeFromArray,
    }));
  }

  get toSink(): Sink.Sink<void, B, never, EncodeError | SendFailure> {
    return Sink.forEachChunk((chunk: Chunk.Chunk<B>) =>
      this.#write((): Effect.Effect<void, EncodeError | SendFailure> => {
        const messages: Array<OutgoingMessage> = [];
        for (const value of chunk) {
          const message = encodeValue(value, this.#hooks);
          if (message instanceof EncodeError) {
            return Effect.zipRight(this.#sender.sendAll(messages, 0), Effect.fail(message));
          }
          messages.push(message);
        }
        return this.#sender.sendAll(messages, 0);
      })
    );
  }

  toString(): string {
    return `Connection(${this.host})`;
  }

  /** Fails if the connection cannot be used or only sends. Called before the arguments are checked. */
  #read<C, E>(act: () => Effect.Effect<C, E>): Effect.Effect<C, E | PipeError> {
    return Effect.suspend((): Effect.Effect<C, E | PipeError> => {
      const failure = this.#end.useFailure;
      if (failure !== undefined) return Effect.fail(failure);
      return this.readable
        ? act()
        : refuse("WriteOnly", "Cannot receive: this end of the pipe only sends; receive with the other one");
    });
  }

  /** Fails if the connection cannot be used or only receives. Called before the arguments are checked. */
  #write<C, E>(act: () => Effect.Effect<C, E>): Effect.Effect<C, E | PipeError> {
    return Effect.suspend((): Effect.Effect<C, E | PipeError> => {
      const failure = this.#end.useFailure;
      if (failure !== undefined) return Effect.fail(failure);
      return this.writable
        ? act()
        : refuse("ReadOnly", "Cannot send: this end of the pipe only receives; send with the other one");
    });
  }
}
inspectable(ConnectionClient);

const tooLong = (reason: PipeError["reason"], size: number, limit: string): Exit.Exit<never, PipeError> =>
  refuse(reason, `Cannot receive bytes: the next message has ${size}, and ${limit}; it can still be received`, size);

/** Stands in for a connection in a message that is only inspected: the end stays with the message. */
class Untouched {
  readonly [TypeId]: typeof TypeId = TypeId;
}

register(
  "connection",
  (data, use) => use ? ConnectionClient.received(data as ConnectionHandle) : new Untouched(),
);
