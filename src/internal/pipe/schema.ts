/**
 * A connection whose values are encoded and decoded with Schemas.
 *
 * @module
 */
import type * as Duration from "effect/Duration";
import * as Effect from "effect/Effect";
import type { Pipeable } from "effect/Pipeable";
import type * as Schema from "effect/Schema";
import * as Sink from "effect/Sink";
import * as Stream from "effect/Stream";
import type { Connection, PipeFailure, Statistics } from "../../Pipe.ts";
import type { DecodeError, EncodeError } from "../codec/errors.ts";
import type { BrokenPipe, EndOfFile } from "../objects/errors.ts";
import { type Handle, HandleId, handleOf } from "../objects/handles.ts";
import { WaitId } from "../objects/waitable.ts";
import { own } from "../child/modules.ts";
import { inspectable } from "../os/inspect.ts";

export const TypeId = "~multiprocessing/Connection";

/** A connection to which `Pipe.schema` can add Schemas, without loading any module besides that of the connection. */
export interface Checkable<I, J> {
  /** The connection with Schemas. */
  readonly "~multiprocessing/Checkable": <A, B>(
    receive: Schema.Schema<A, I>,
    send: Schema.Schema<B, J>,
  ) => Connection<A, B>;
}

/** Loaded with the first value, since most connections need no Schema. */
const schemas = Effect.promise((): Promise<typeof import("./schemas.ts")> => import(own("./schemas.ts", import.meta)));

/** A connection with Schemas. */
export class SchemaConnection<A, I, B, J> implements Connection<A, B>, Checkable<A, B> {
  declare readonly pipe: Pipeable["pipe"];
  readonly [TypeId]: typeof TypeId = TypeId;
  readonly #connection: Connection<I, J>;
  readonly #receive: Schema.Schema<A, I>;
  readonly #send: Schema.Schema<B, J>;

  constructor(connection: Connection<I, J>, receive: Schema.Schema<A, I>, send: Schema.Schema<B, J>) {
    this.#connection = connection;
    this.#receive = receive;
    this.#send = send;
  }

  readonly "~multiprocessing/Checkable" = <C, D>(
    receive: Schema.Schema<C, A>,
    send: Schema.Schema<D, B>,
  ): Connection<C, D> => new SchemaConnection(this, receive, send);

  /** Sends the connection without its Schemas. */
  get [HandleId](): Handle[typeof HandleId] {
    return handleOf(this.#connection);
  }

  get [WaitId](): Connection<A, B>[typeof WaitId] {
    return this.#connection[WaitId];
  }

  get host(): string {
    return this.#connection.host;
  }

  get closed(): boolean {
    return this.#connection.closed;
  }

  get readable(): boolean {
    return this.#connection.readable;
  }

  get writable(): boolean {
    return this.#connection.writable;
  }

  readonly send = (value: B): Effect.Effect<void, EncodeError | BrokenPipe | PipeFailure> =>
    Effect.flatMap(this.#encode(value), this.#connection.send);

  get recv(): Effect.Effect<A, DecodeError | EndOfFile | PipeFailure> {
    return Effect.flatMap(this.#connection.recv, this.#decode);
  }

  readonly sendBytes = (
    buffer: ArrayBufferLike | ArrayBufferView,
    offset?: number,
    size?: number,
  ): Effect.Effect<void, BrokenPipe | PipeFailure> => this.#connection.sendBytes(buffer, offset, size);

  readonly recvBytes = (maxLength?: number): Effect.Effect<Uint8Array<ArrayBuffer>, EndOfFile | PipeFailure> =>
    this.#connection.recvBytes(maxLength);

  readonly recvBytesInto = (
    buffer: ArrayBufferLike | ArrayBufferView,
    offset?: number,
  ): Effect.Effect<number, EndOfFile | PipeFailure> => this.#connection.recvBytesInto(buffer, offset);

  readonly poll = (timeout?: Duration.DurationInput): Effect.Effect<boolean, PipeFailure> =>
    this.#connection.poll(timeout);

  get ready(): Effect.Effect<void, PipeFailure> {
    return this.#connection.ready;
  }

  get close(): Effect.Effect<void> {
    return this.#connection.close;
  }

  get statistics(): Effect.Effect<Statistics> {
    return this.#connection.statistics;
  }

  get toStream(): Stream.Stream<A, DecodeError | PipeFailure> {
    return Stream.mapEffect(this.#connection.toStream, this.#decode);
  }

  get toSink(): Sink.Sink<void, B, never, EncodeError | BrokenPipe | PipeFailure> {
    return Sink.mapInputEffect(this.#connection.toSink, this.#encode);
  }

  toString(): string {
    return String(this.#connection);
  }

  readonly #encode = (value: B): Effect.Effect<J, EncodeError> =>
    Effect.flatMap(schemas, ({ encode }) => encode(this.#send, value));

  readonly #decode = (value: I): Effect.Effect<A, DecodeError> =>
    Effect.flatMap(schemas, ({ decode }) => decode(this.#receive, value));
}
inspectable(SchemaConnection);
