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
 * - An end has one owner. Sending an end moves it, together with the messages that it has not received; further use
 *   here fails with `Moved`. So no process has to close a copy, and no process keeps a dead pipe open.
 * - When the owner closes its end, ends or is killed, the other side receives the messages that were sent before, then
 *   gets `EndOfFile`, each time. `send` of the other side fails with `BrokenPipe`.
 * - Messages pass through the process that made the pipe. When that process ends, so does the pipe. Two children talk
 *   straight to each other if one of them has made the pipe: `deno task example:siblings`.
 * - Each end has at most `maxBytes`, 8 MiB, to receive. A `send` for which there is no room waits. A larger message
 *   goes when nothing else is to be received.
 * - `sendBytes(buffer, offset, size)`, `recvBytes(maxLength)` and `recvBytesInto(buffer, offset)` send and receive
 *   bytes. A message that is too long, does not fit, or is a value instead of bytes is a `PipeError`, and remains the
 *   next message.
 * - An interrupted `recv` has received nothing. An interrupted `send` that waited has sent nothing.
 * - Several fibers can use one end. They take turns.
 * - `Pipe.schema` gives a connection Schemas for the messages that it receives and sends.
 *
 * The handle of a process, `process.handle`, can be sent as well: its receiver can `join` or `terminate` the process,
 * or ask how it is.
 *
 * `deno test -A tests/api/Pipe_test.ts` tries these promises. The documentation of `Queue` compares pipes with queues and
 * Streams, and says over which links messages go.
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
 * | `fileno`, `send_handle`, `recv_handle` | none: a connection is no descriptor of the system |
 *
 * @module
 */
import type * as Duration from "effect/Duration";
import * as Effect from "effect/Effect";
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
 * Marks connections.
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
 * Why a connection could not be used.
 *
 * @since 0.1.0
 * @category errors
 */
export type Failure = PipeError | Unreachable | MessageTooLarge;

/**
 * What a connection is doing.
 *
 * @since 0.1.0
 * @category models
 */
export interface Statistics {
  /** Messages that are there to be received. */
  readonly unread: number;
  /** Bytes that they count for: their own, and some for keeping each. */
  readonly unreadBytes: number;
  /** Bytes, counted likewise, that were sent and that the other end has not received, as far as is known here. */
  readonly pendingBytes: number;
  /** Fibers of this process that wait to receive. */
  readonly receivers: number;
  /** Fibers of this process that wait to send. */
  readonly senders: number;
  /** Whether it can be used here; `unreachable` when its pipe is no more. */
  readonly state: "open" | "moved" | "closed" | "unreachable";
  /** Whether anybody has the other end. */
  readonly peer: "open" | "closed";
}

/**
 * One end of a pipe: what its `send` takes, the other end's `recv` gives.
 *
 * - Messages stay whole and in their order. Fibers that use one end at once take turns, in the order in which they came.
 * - An end has one owner. It can be sent, to any process: as an argument or result of a task, in an item of a queue, in a message
 *   of a pipe. Then it has moved: its receiver owns it, with all messages that were not received, and its use here fails
 *   with `Moved`.
 * - The other end gets `EndOfFile` as soon as the owner of this one has closed it, has died in any way, or the scope of the
 *   pipe has closed; earlier messages are received first. Nothing else keeps it open.
 * - An end on its way ends when nobody will receive it any more: if it was an argument or a result, and the process that was to
 *   have it dies; if it was in a queue or a pipe that ended, or whose process died, before anybody received it. Two cases only
 *   end with the scope of its pipe: the sender is killed in the middle of a long message with an end in it, and ends that lie in
 *   each other's unread messages.
 * - Messages pass through the process that made the pipe. When that ends, so does the pipe: what has arrived can still be
 *   received, then follows `EndOfFile` if the other end was there, `Unreachable` if it was in a third process.
 * - One that was received and that nobody holds any more is closed some time after: use {@link scoped}, or `close`, to have it
 *   closed at once.
 * - A message that is larger than a link allows (see `maxMessageSize` of the backends) fails with `MessageTooLarge`: in `send`
 *   with nothing sent, in `recv` if it is the receiver's link that is narrower, and is then dropped. Either goes on with the next. A
 *   link between two other processes ends the connection with that error.
 * - A `send` that has returned outlives its process, unless that is the one that made the pipe.
 *
 * Python's `Connection`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Connection<out A, in B = A> extends Waitable {
  /** Marks it as a connection. */
  readonly [TypeId]: TypeId;
  /** Name of the process that made the pipe. */
  readonly host: string;
  /** Whether it was closed here, or has moved. */
  readonly closed: boolean;
  /** Whether messages can be received with it. */
  readonly readable: boolean;
  /** Whether messages can be sent with it. */
  readonly writable: boolean;
  /**
   * Sends a value. Waits while the other end has too much to receive. Fails with an `EncodeError` if it is no data, with
   * nothing sent, and with `BrokenPipe` if the other end is no more. Large binaries in it must not change until it has
   * returned. *Interruption:* while it waits, nothing is sent.
   */
  readonly send: (value: B) => Effect.Effect<void, EncodeError | BrokenPipe | Failure>;
  /**
   * Receives the next value, when there is one. Fails with `EndOfFile` if there will be none, each time. *Interruption:*
   * receives nothing.
   */
  readonly recv: Effect.Effect<A, DecodeError | EndOfFile | Failure>;
  /**
   * Sends bytes, as one message: `size` of them from `offset` on, all that follow if it is not given. Both count bytes,
   * whatever the view is of. None is a message as well. *Interruption:* while it waits, nothing is sent.
   */
  readonly sendBytes: (
    buffer: ArrayBufferLike | ArrayBufferView,
    offset?: number,
    size?: number,
  ) => Effect.Effect<void, BrokenPipe | Failure>;
  /**
   * Receives bytes that were sent with `sendBytes`. A message longer than `maxLength` is reported as `MessageTooLong`, and
   * stays the next. *Interruption:* receives nothing.
   */
  readonly recvBytes: (maxLength?: number) => Effect.Effect<Uint8Array<ArrayBuffer>, EndOfFile | Failure>;
  /**
   * Receives bytes into a buffer, from its byte `offset` on, and gives their number. A message that does not fit is reported as
   * `BufferTooShort`, and stays the next. *Interruption:* receives nothing.
   */
  readonly recvBytesInto: (
    buffer: ArrayBufferLike | ArrayBufferView,
    offset?: number,
  ) => Effect.Effect<number, EndOfFile | Failure>;
  /**
   * Whether there is a message, or an end of file: now, or within a time. Receives nothing. *Interruption:* stops waiting.
   */
  readonly poll: (timeout?: Duration.DurationInput) => Effect.Effect<boolean, Failure>;
  /** Waits until there is a message, or an end of file. Receives nothing. *Interruption:* stops waiting. */
  readonly ready: Effect.Effect<void, Failure>;
  /** Ends it. What was not received is dropped; the other end gets `EndOfFile`. Does nothing if it has ended, or moved. */
  readonly close: Effect.Effect<void>;
  /** What it is doing. */
  readonly statistics: Effect.Effect<Statistics>;
  /**
   * The values that are received, until the end of file. Up to 1024 available values are received at once: a reader that stops
   * early may leave some of them unused. *Interruption:* receives no more than it has given.
   */
  readonly toStream: Stream.Stream<A, DecodeError | Failure>;
  /** Sends the elements of a Stream, with its back-pressure. Does not close the connection. */
  readonly toSink: Sink.Sink<void, B, never, EncodeError | BrokenPipe | Failure>;
}

/**
 * Options of a pipe.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Whether both ends send and receive; else the first only receives, and the second only sends. @default true */
  readonly duplex?: boolean | undefined;
  /**
   * Bytes that each end may have to receive. A `send` beyond that waits; a message larger than that is sent when nothing else
   * is to be received. @default 8388608
   */
  readonly maxBytes?: number | undefined;
}

const make_ = (options: Options = {}): Effect.Effect<never, PipeError, Scope.Scope> =>
  implementation(({ make }) => make(options)) as never;

/**
 * Makes a pipe. The first connection receives values of type `A` and sends values of type `B`, the second the other way
 * round; with `duplex: false` the first only receives, the second only sends. Python's `Pipe`.
 *
 * Fails with a `PipeError` if an option makes no sense.
 *
 * *Release:* closes the ends that this process has and those on their way, which is an end of file for those in other
 * processes. Two ends in other processes cannot go on without it: they give what has arrived, and fail with `Unreachable`.
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
} = make_;

/**
 * Closes a connection that was received from another process when the scope closes. What Python's `with` does.
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
  const wrong = Arguments.wrong({ connection }, { connection: isEnd });
  return wrong === undefined
    ? Effect.acquireRelease(Effect.succeed(connection), ({ close }) => close)
    : Effect.fail(new PipeError("InvalidArgument", Arguments.invalidArgument("Pipe.scoped", wrong)));
};

const isEnd = Arguments.marked(TypeId, "a connection, such as Pipe.make gives two of");

/**
 * The same connection, with a Schema for what is received and one for what is sent. What the first refuses is a
 * `DecodeError`, and has been received; what the second refuses is an `EncodeError`, with nothing sent. Bytes pass unseen.
 *
 * Throws a `TypeError` if one of the two is no Schema, or the connection is none.
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
  demand(Arguments.wrong({ receive, send }, { receive: Arguments.schema, send: Arguments.schema }));
  return (connection) => {
    demand(Arguments.wrong({ connection }, { connection: isEnd }));
    return (connection as unknown as Checkable<I, J>)["~multiprocessing/Checkable"](receive, send);
  };
};

const demand = (wrong: string | undefined): void => {
  if (wrong !== undefined) throw new TypeError(Arguments.invalidArgument("Pipe.schema", wrong));
};

/**
 * Whether a value is a connection.
 *
 * @since 0.1.0
 * @category guards
 */
export const isConnection = (value: unknown): value is Connection<unknown, never> =>
  typeof value === "object" && value !== null && TypeId in value;
