/**
 * Pipes between any two processes of the family: two connections, of which each receives the messages that the other
 * sends.
 *
 * Messages stay whole and in order. With `duplex: false` the first end only receives, and the second only sends.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect, Stream } from "effect";
 *
 * const answer = Mp.Task.make(
 *   import.meta,
 *   "answer",
 *   (questions: Mp.Pipe.Connection<number, string>) =>
 *     questions.toStream.pipe(Stream.map((n) => `${n} squared is ${n * n}`), Stream.run(questions.toSink)),
 * );
 *
 * const crash = Mp.Task.make(
 *   import.meta,
 *   "crash",
 *   (writer: Mp.Pipe.Connection<never, string>) => Effect.map(writer.send("last words"), () => Deno.exit(3)),
 * );
 *
 * const program = Effect.gen(function* () {
 *   const [ours, theirs] = yield* Mp.Pipe.make<string, number>(); // we receive strings, and send numbers
 *   const child = yield* Mp.Process.spawn(answer, theirs);
 *   yield* ours.send(12);
 *   console.log(yield* ours.recv);
 *   console.log(theirs.closed, yield* ours.poll("20 millis"));
 *   yield* ours.close; // ends the Stream in the child
 *   yield* child.join;
 *
 *   const [reader, writer] = yield* Mp.Pipe.make<string>({ duplex: false });
 *   const crashing = yield* Mp.Process.spawn(crash, writer);
 *   const ready = yield* Mp.wait([reader], { timeout: "1 minute" });
 *   console.log(ready.length, yield* reader.recv);
 *   console.log((yield* Effect.flip(reader.recv))._tag, (yield* crashing.exit)._tag);
 * }).pipe(Effect.scoped, Effect.provide(Mp.SubprocessBackend.layer()));
 *
 * if (import.meta.main) Mp.runMain(program);
 * ```
 *
 * ```text
 * 12 squared is 144
 * true false
 * 1 last words
 * EndOfFile Died
 * ```
 *
 * - An end has one owner. Sending an end moves it, together with its unreceived messages; further use in the sending
 *   process fails with `Moved`. So no process has to close a copy, and no process keeps a dead pipe open.
 * - When the owner closes its end, ends or is killed, the other side receives the messages that were sent before. Then
 *   each `recv` fails with `EndOfFile`, and each `send` with `BrokenPipe`.
 * - Messages pass through the process that made the pipe, and the pipe ends with that process. Two children talk directly
 *   to each other if one of them has made the pipe: `deno task example:siblings`.
 * - The unreceived messages of each end are bounded by `maxBytes`, 8 MiB by default. A `send` for which there is no room
 *   waits. A message that is larger than `maxBytes` is sent when no other message waits to be received.
 * - `sendBytes(buffer, offset, size)`, `recvBytes(maxLength)` and `recvBytesInto(buffer, offset)` send and receive
 *   bytes. If the next message is too long, does not fit or is a value instead of bytes, they fail with a `PipeError`, and
 *   it remains the next message.
 * - An interrupted `recv` has received nothing. An interrupted `send` that waited has sent nothing.
 * - Several fibers can use one end. They are served in the order in which they came.
 * - `Pipe.schema` adds Schemas to a connection, for the values that it receives and sends.
 *
 * The handle of a process, `process.handle`, can be sent as well: its receiver can `join` or `terminate` the process,
 * or ask for its status.
 *
 * `deno test -A tests/api/Pipe_test.ts` checks these guarantees. The documentation of `Queue` compares pipes with queues and
 * Streams, and lists the links over which messages go.
 *
 * ## From Python
 *
 * | Python | here |
 * | --- | --- |
 * | `Pipe()`, `Pipe(False)` | `Pipe.make()`, `Pipe.make({ duplex: false })` |
 * | `send(obj)`, `recv()` | `connection.send(value)`, `connection.recv` |
 * | `recv` with a time limit | `Effect.timeout(connection.recv, "1 second")` |
 * | `poll()`, `poll(timeout)`, `poll(None)` | `connection.poll()`, `connection.poll("1 second")`, `connection.ready` |
 * | `send_bytes`, `recv_bytes`, `recv_bytes_into` | `connection.sendBytes`, `recvBytes`, `recvBytesInto` |
 * | `closed`, `readable`, `writable`, `close()` | the same |
 * | `with connection` | `Pipe.scoped(connection)` |
 * | `close()` of the copy that a child was given | not needed: an end that was sent has moved |
 * | `EOFError`, `BrokenPipeError` | `EndOfFile` of `recv`, `BrokenPipe` of `send` |
 * | `BufferTooShort`, `OSError` | a `PipeError`; its `reason` is `BufferTooShort`, `MessageTooLong`, `Closed`, `ReadOnly`, `WriteOnly` and others |
 * | `connection.wait(objects, timeout)` | `wait(objects, { timeout })` |
 * | `fileno`, `send_handle`, `recv_handle` | none: a connection is not a file descriptor |
 *
 * @module
 */
// This file is longer than others, since it is the guide and the reference of pipes. The code is in `internal/pipe`.
import type * as Duration from "effect/Duration";
import * as Effect from "effect/Effect";
import type { Pipeable } from "effect/Pipeable";
import type * as Schema from "effect/Schema";
import type * as Scope from "effect/Scope";
import type * as Sink from "effect/Sink";
import type * as Stream from "effect/Stream";
import { lazily } from "./internal/os/lazy.ts";
import { BrokenPipe, EndOfFile, PipeError, type PipeErrorReason, Unreachable } from "./internal/objects/errors.ts";
import * as Arguments from "./internal/os/arguments.ts";
import type { Checkable } from "./internal/pipe/schema.ts";
import type { Waitable } from "./internal/objects/waitable.ts";
import type { DecodeError, EncodeError } from "./internal/codec/errors.ts";
import type { MessageTooLarge } from "./internal/codec/message.ts";

export { BrokenPipe, EndOfFile, PipeError, Unreachable };
export type { DecodeError, EncodeError, MessageTooLarge, PipeErrorReason };

const implementation = lazily(() => import("./internal/pipe/make.ts"));

/**
 * Key of the property that every connection has.
 *
 * @since 0.1.0
 * @category symbols
 */
export const TypeId = "~multiprocessing/Connection" as const;

/**
 * Type of {@link TypeId}.
 *
 * @since 0.1.0
 * @category symbols
 */
export type TypeId = typeof TypeId;

/**
 * Why an operation of a connection has failed.
 *
 * @since 0.1.0
 * @category errors
 */
export type PipeFailure = PipeError | Unreachable | MessageTooLarge;

/**
 * A snapshot of a connection.
 *
 * @since 0.1.0
 * @category models
 */
export interface Statistics {
  /** Number of messages that have arrived and were not received. */
  readonly unread: number;
  /** Size of these messages in bytes: their own bytes, and 64 for each message. */
  readonly unreadBytes: number;
  /** Bytes, counted in the same way, that were sent and that the other end has not received yet. */
  readonly pendingBytes: number;
  /** Number of fibers of this process that wait to receive. */
  readonly receivers: number;
  /** Number of fibers of this process that wait to send. */
  readonly senders: number;
  /** State of this end. It is `unreachable` when the pipe is gone. */
  readonly state: "open" | "moved" | "closed" | "unreachable";
  /** State of the other end. */
  readonly peer: "open" | "closed";
}

/**
 * One end of a pipe. The other end receives the values that this one sends.
 *
 * - Messages stay whole and in order. Fibers that use one end at once are served in the order in which they came.
 * - An end has one owner. It can be sent to any process: as an argument or result of a task, in an item of a queue, or in a message
 *   of a pipe. It has moved then: its receiver owns the end, with all unreceived messages, and its use in the sending process fails
 *   with `Moved`.
 * - The other end gets `EndOfFile` as soon as the owner of this end has closed it or has ended for any reason, or the scope of the
 *   pipe has closed; earlier messages are received first. Nothing else keeps the pipe open.
 * - A moving end is closed when it can no longer be received: as an argument or a result, if the process that was to receive it dies;
 *   in a queue or a pipe, if that ends, or its process dies, before the item or message was received. In two cases it is closed only
 *   with the scope of the pipe: if the sender is killed in the middle of a long message with the end in it, and if two ends are in
 *   each other's unreceived messages.
 * - Messages pass through the process that made the pipe, and the pipe ends with that process: the messages that have arrived can
 *   still be received. Then follows `EndOfFile` if the other end was in that process, and `Unreachable` if it was in a third one.
 * - A received connection that is no longer referenced is closed some time later. Use {@link scoped} or `close` to close it at once.
 * - A message that is larger than a link allows (see `maxMessageSize` of the backends) fails with `MessageTooLarge`: in `send`, with
 *   nothing sent; or in `recv`, if the link of the receiver is narrower, and the message is dropped then. In either case the
 *   connection can be used further. A link between two other processes ends the connection with that error.
 * - A message whose `send` has returned outlives its process, unless that process made the pipe.
 *
 * Python's `Connection`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Connection<out A, in B = A> extends Waitable, Pipeable {
  /** Marks the object as a connection. */
  readonly [TypeId]: TypeId;
  /** Name of the process that made the pipe. */
  readonly host: string;
  /** Whether the connection was closed in this process, or has moved. */
  readonly closed: boolean;
  /** Whether this end can receive. */
  readonly readable: boolean;
  /** Whether this end can send. */
  readonly writable: boolean;
  /**
   * Sends a value. Waits while the other end has too many unreceived messages. Fails with an `EncodeError` if the value cannot be
   * encoded, with nothing sent, and with `BrokenPipe` if the other end is closed. Large binaries in the value must not change until
   * `send` has returned. *Interruption:* nothing is sent while the call waits for room.
   */
  readonly send: (value: B) => Effect.Effect<void, EncodeError | BrokenPipe | PipeFailure>;
  /**
   * Receives the next value when there is one. Fails with `EndOfFile`, each time, if none will come. *Interruption:* receives nothing.
   */
  readonly recv: Effect.Effect<A, DecodeError | EndOfFile | PipeFailure>;
  /**
   * Sends bytes as one message: `size` bytes from `offset` on, or all bytes from `offset` on. Both count bytes, whatever the type of the
   * view. A message may be empty. *Interruption:* nothing is sent while the call waits for room.
   */
  readonly sendBytes: (
    buffer: ArrayBufferLike | ArrayBufferView,
    offset?: number,
    size?: number,
  ) => Effect.Effect<void, BrokenPipe | PipeFailure>;
  /**
   * Receives bytes that were sent with `sendBytes`. If the next message is longer than `maxLength` bytes, it fails with the `PipeError`
   * `MessageTooLong`, and the message remains the next one. *Interruption:* receives nothing.
   */
  readonly recvBytes: (maxLength?: number) => Effect.Effect<Uint8Array<ArrayBuffer>, EndOfFile | PipeFailure>;
  /**
   * Receives bytes into a buffer, from its byte `offset` on, and returns their number. If the next message does not fit, it fails
   * with the `PipeError` `BufferTooShort`, and the message remains the next one. *Interruption:* receives nothing.
   */
  readonly recvBytesInto: (
    buffer: ArrayBufferLike | ArrayBufferView,
    offset?: number,
  ) => Effect.Effect<number, EndOfFile | PipeFailure>;
  /**
   * Whether there is a message or an end of file, now or within `timeout`. Receives nothing. *Interruption:* stops the wait.
   */
  readonly poll: (timeout?: Duration.DurationInput) => Effect.Effect<boolean, PipeFailure>;
  /** Waits until there is a message or an end of file. Receives nothing. *Interruption:* stops the wait. */
  readonly ready: Effect.Effect<void, PipeFailure>;
  /** Closes this end, and drops its unreceived messages. The other end gets `EndOfFile`. Does nothing if the end is closed, or has moved. */
  readonly close: Effect.Effect<void>;
  /** A snapshot of the connection. */
  readonly statistics: Effect.Effect<Statistics>;
  /**
   * The values that are received, until the end of file. Up to 1024 available values are received at once, so a reader that stops early
   * may have received values that it does not use. *Interruption:* receives no more than it has given.
   */
  readonly toStream: Stream.Stream<A, DecodeError | PipeFailure>;
  /** Sends the elements of a Stream, and holds the Stream back while there is no room. Does not close the connection. */
  readonly toSink: Sink.Sink<void, B, never, EncodeError | BrokenPipe | PipeFailure>;
}

/**
 * Options of a pipe.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Whether both ends send and receive. Otherwise the first one only receives, and the second one only sends. @default true */
  readonly duplex?: boolean | undefined;
  /**
   * Bytes of unreceived messages that each end may have. A `send` beyond that waits. A larger message is sent when no other message
   * waits to be received. @default 8388608
   */
  readonly maxBytes?: number | undefined;
}

// The type of the implementation must fit each overload of `make`, whose results have no common type.
const makeAny = (options: Options = {}): Effect.Effect<never, PipeError, Scope.Scope> =>
  implementation(({ make }) => make(options)) as Effect.Effect<never, PipeError, Scope.Scope>;

/**
 * Makes a pipe. The first connection receives values of type `A` and sends values of type `B`, the second one the other way round.
 * With `duplex: false` the first one only receives, and the second one only sends. Python's `Pipe`.
 *
 * Fails with a `PipeError` if an option is not valid.
 *
 * *Release:* closes the ends in this process and the moving ones; an end in another process gets an end of file. If both ends are in
 * other processes, they give the messages that have arrived, and then fail with `Unreachable`.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect, Stream } from "effect";
 *
 * const shout = Mp.Task.make(
 *   import.meta,
 *   "shout",
 *   (pipe: Mp.Pipe.Connection<string>) =>
 *     pipe.toStream.pipe(Stream.map((text) => text.toUpperCase()), Stream.run(pipe.toSink)),
 * );
 *
 * const program = Effect.gen(function* () {
 *   const [mine, theirs] = yield* Mp.Pipe.make<string>();
 *   yield* Mp.Process.spawn(shout, theirs);
 *   yield* mine.send("hello");
 *   console.log(yield* mine.recv); // HELLO
 *   yield* mine.close;
 * }).pipe(Effect.scoped, Effect.provide(Mp.SubprocessBackend.layer()));
 *
 * if (import.meta.main) Mp.runMain(program);
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make: {
  <A>(
    options: Options & { readonly duplex: false },
  ): Effect.Effect<readonly [Connection<A, never>, Connection<never, A>], PipeError, Scope.Scope>;
  <A, B = A>(
    options?: Options & { readonly duplex?: true | undefined },
  ): Effect.Effect<readonly [Connection<A, B>, Connection<B, A>], PipeError, Scope.Scope>;
  <A, B = A>(
    options?: Options,
  ): Effect.Effect<readonly [Connection<A, B>, Connection<B, A>], PipeError, Scope.Scope>;
} = makeAny;

/**
 * Closes a connection that was received from another process when the scope closes. Python's `with connection`.
 *
 * *Release:* closes the connection.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect } from "effect";
 *
 * export const greet = Mp.Task.make(
 *   import.meta,
 *   "greet once",
 *   (connection: Mp.Pipe.Connection<never, string>) =>
 *     Effect.scoped(Effect.flatMap(Mp.Pipe.scoped(connection), ({ send }) => send("hello"))),
 * );
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const scoped = <A, B>(connection: Connection<A, B>): Effect.Effect<Connection<A, B>, PipeError, Scope.Scope> => {
  const wrong = Arguments.wrong({ connection }, { connection: checkable });
  return wrong === undefined
    ? Effect.acquireRelease(Effect.succeed(connection), ({ close }) => close)
    : Effect.fail(new PipeError("InvalidArgument", Arguments.invalidArgument("Pipe.scoped", wrong)));
};

const isCheckable = <A, B>(connection: Connection<A, B>): connection is Connection<A, B> & Checkable<A, B> =>
  isConnection(connection) && "~multiprocessing/Checkable" in connection;

const checkable = Arguments.must(
  (value) => isCheckable(value as Connection<unknown>),
  "a connection, such as one of the two that Pipe.make gives",
);

/**
 * Adds Schemas to a connection: one for the values that it receives, and one for the values that it sends. A received value that does
 * not match is a `DecodeError`, and has been received; a value to be sent that does not match is an `EncodeError`, with nothing sent.
 * Bytes are not checked.
 *
 * Throws a `TypeError` if one of the arguments is not a Schema, or if the connection is not one.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect, Schema } from "effect";
 *
 * const typed = Mp.Pipe.schema(Schema.DateFromString, Schema.NumberFromString);
 *
 * export const program = Effect.gen(function* () {
 *   const [one, other] = yield* Mp.Pipe.make<string>();
 *   const connection = typed(one);
 *   yield* connection.send(42);
 *   return yield* other.recv; // "42"
 * }).pipe(Effect.scoped);
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const schema = <A, I, B, J>(
  receive: Schema.Schema<A, I>,
  send: Schema.Schema<B, J>,
): (connection: Connection<I, J>) => Connection<A, B> => {
  const wrong = Arguments.wrong({ receive, send }, { receive: Arguments.schema, send: Arguments.schema });
  if (wrong !== undefined) throw invalid(wrong);
  return (connection) => {
    if (isCheckable(connection)) return connection["~multiprocessing/Checkable"](receive, send);
    throw invalid(Arguments.wrong({ connection }, { connection: checkable })!);
  };
};

const invalid = (wrong: string): TypeError => new TypeError(Arguments.invalidArgument("Pipe.schema", wrong));

/**
 * Whether a value is a connection.
 *
 * @since 0.1.0
 * @category guards
 */
export const isConnection = (value: unknown): value is Connection<unknown, never> =>
  typeof value === "object" && value !== null && TypeId in value;
