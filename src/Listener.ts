/**
 * Listeners: connections from programs that this program has not started, on this machine or on others. Each client is
 * authenticated before a handler sees its connection.
 *
 * Both sides prove that they have the same key. A connection then behaves like the end of a pipe: `send` and `recv`,
 * bytes, streams, `wait`, Schemas. The module `Client` is the other side.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect, Logger, LogLevel } from "effect";
 *
 * const authKey = new TextEncoder().encode("better 32 random bytes"); // both programs have it
 *
 * const server = Effect.gen(function* () {
 *   const listener = yield* Mp.Listener.make<number, string>({ address: { hostname: "127.0.0.1", port: 0 }, authKey });
 *   // Each connection has a fiber of its own.
 *   yield* Effect.forkScoped(
 *     listener.serve(({ recv, send }) => Effect.forever(Effect.flatMap(recv, (n) => send(`${n} + 1 = ${n + 1}`)))),
 *   );
 *   return listener.address;
 * });
 *
 * const client = (address: Mp.Listener.Address) =>
 *   Effect.scoped(Effect.gen(function* () {
 *     const { recv, send } = yield* Mp.Client.connect<string, number>({ address, authKey });
 *     yield* send(41);
 *     return yield* recv;
 *   }));
 *
 * // Here, one program is both sides.
 * const program = Effect.gen(function* () {
 *   const address = yield* server;
 *   console.log(yield* client(address));
 *
 *   const refused = yield* Effect.flip(Effect.scoped(Mp.Client.connect({ address, authKey: false })));
 *   console.log(refused._tag, refused.reason);
 * }).pipe(Effect.scoped, Effect.provide(Logger.minimumLogLevel(LogLevel.Error))); // the refusal is logged as a warning
 *
 * if (import.meta.main) Mp.runMain(program);
 * ```
 *
 * ```text
 * 41 + 1 = 42
 * AuthenticationError KeyMissing
 * ```
 *
 * | address | meaning |
 * | --- | --- |
 * | `{ hostname, port }` | TCP; port 0 is any free port. With `tls` it is encrypted |
 * | `{ path }` | a Unix socket, accessible only to the user of this process (mode 0600) from the moment it exists |
 * | `{ path: "\0name" }` | an abstract name of Linux, which is not a file: every user of the machine can reach it |
 * | none, for a listener | a Unix socket in a new folder that only this user can enter, or on Windows a free port of 127.0.0.1 |
 *
 * The folder of a listener without an address is made in the system's folder for temporary files (`TMPDIR`), or in
 * `/tmp`, `/var/tmp` or `/dev/shm` if the path of a socket there would be longer than the system allows. If none of
 * these is short enough, `make` fails with the `ListenError` `AddressUnavailable`.
 *
 * A listener that is killed leaves its socket and its folder behind. An address can be used again as soon as its listener
 * has ended. A new listener takes over the socket of a killed listener at the same path; a socket that is in use, or a
 * file that is not a socket, is `AddressInUse`.
 *
 * `accept` waits for the next connection, `connections` is a Stream of connections, and `serve` handles each connection
 * in a fiber of its own and closes it afterwards. Connections end with the scope of their listener at the latest.
 *
 * ## Authentication
 *
 * - The default key is `Process.authKey`, which only this program and its children have. `authKey: false` turns
 *   authentication off: every program that reaches the address is then accepted.
 * - Clients prove their keys independently of each other. A client that is silent, slow or wrong, or that speaks
 *   another protocol, delays no other client. It appears only in `statistics` and in the log: the first failure of
 *   an address in a minute is a warning, for at most ten addresses a minute.
 * - A client that proves the key is accepted even if other clients at its address have failed. After ten failures in a
 *   minute, further failures from that IP address are answered later, by up to two seconds.
 * - Keys are never sent. The proofs are HMAC-SHA-256 over fresh random bytes of both sides, so a proof can neither be
 *   replayed nor reflected. The client proves first.
 * - Each mismatch is an `AuthenticationError` on both sides at once: different keys, a key on one side only, another
 *   protocol or version.
 * - Messages of another program are data. Queues, connections and handles of processes can neither be sent to another
 *   program nor be made by it.
 * - Messages after the handshake are neither encrypted nor protected against changes on the way. Use `tls` for that: `{ cert, key }` for the listener, `true` or `{ caCerts }` for the client.
 *
 * ## Limits
 *
 * | limit | default | meaning |
 * | --- | --- | --- |
 * | `handshakeTimeout` | 10 seconds | a client that has not proved the key by then is disconnected |
 * | `maxHandshakes` | 128 | open handshakes; for one more, the oldest client that has sent nothing valid yet is dropped |
 * | `maxConnections` | 1024 | open connections; further clients get a `ConnectError`, `Full` |
 * | `backlog` | 128 | connections that were not accepted yet; further clients wait |
 * | `maxMessageSize` | 64 MiB | `send` of a larger message fails on the other side with `MessageTooLarge` |
 * | `maxBytes` | 8 MiB | a sender with more than that unread waits |
 *
 * Each side sets the last two limits for the messages that it receives. Over TLS, Deno keeps the socket of a client that
 * never begins the TLS handshake until the client closes it: on the internet, put a proxy in front.
 *
 * ## The end of a connection
 *
 * | event on one side | `recv` on the other side | `send` on the other side |
 * | --- | --- | --- |
 * | the connection was closed, or the process died | the messages that have arrived, then `EndOfFile` | `BrokenPipe` |
 * | the process sent bytes that are not a frame | the messages that have arrived, then `EndOfFile`, whose `cause` says why | `BrokenPipe`, with the same cause |
 * | the scope of the listener has closed | the messages that have arrived, then `EndOfFile` | `BrokenPipe` |
 * | the network was cut | waits until the system gives up; use `Effect.timeout` | waits for room |
 *
 * A `send` that has returned has left its process. A connection can be sent to a process of the family: it moves there,
 * and its messages pass through the process that made it.
 *
 * `deno test -A tests/api/Listener_test.ts` tests these guarantees over each kind of address, and `deno test -A
 * tests/faults/handshake_test.ts` the effect of replayed, changed and garbage bytes. `deno task bench --filter=client`
 * compares with Python.
 *
 * ## From Python
 *
 * | Python | here |
 * | --- | --- |
 * | `Listener(address, family, backlog, authkey)` | `Listener.make({ address, backlog, authKey })` |
 * | `AF_INET`, `(host, port)` | `{ hostname, port }` |
 * | `AF_UNIX`, a path, or a name that begins with NUL | `{ path }`; without an address, a socket in a new folder |
 * | `AF_PIPE` | none: on Windows use `{ hostname: "127.0.0.1", port }` |
 * | `accept()` | `listener.accept`, `listener.connections`, or `listener.serve(handler)` |
 * | `address`, `last_accepted` | `listener.address`, `listener.lastAccepted`; `connection.peer` for each |
 * | `close()`, `with listener` | `listener.close`, the scope |
 * | `authkey=None` | the default is `Process.authKey`; `authKey: false` turns authentication off |
 * | `AuthenticationError` | the same; its `reason` is `WrongKey`, `KeyMissing`, `Protocol`, `Version`, `Timeout` or `Closed` |
 * | `OSError` of a listener | a `ListenError`, `AddressInUse` for example; after `close` `ListenerClosed` |
 * | `deliver_challenge`, `answer_challenge` | none: both sides are authenticated before there is a connection |
 * | `XmlListener`, `XmlClient` | none |
 * | (not possible) | TLS, limits, a time limit for each client's proof, sending a connection to a running child |
 *
 * @module
 */
import type * as Duration from "effect/Duration";
import type * as Effect from "effect/Effect";
import type * as Option from "effect/Option";
import type { Pipeable } from "effect/Pipeable";
import type * as Scope from "effect/Scope";
import type * as Stream from "effect/Stream";
import type { Address, TcpAddress, UnixAddress } from "./internal/network/address.ts";
import type { Certificate } from "./internal/network/bind.ts";
import { ListenerClosed, ListenError, type ListenErrorReason } from "./internal/network/errors.ts";
import type { AuthKey } from "./internal/network/key.ts";
import type { Waitable } from "./internal/objects/waitable.ts";
import { lazily } from "./internal/os/lazy.ts";
import type * as Pipe from "./Pipe.ts";

const implementation = lazily(() => import("./internal/network/listener.ts"));

export { ListenerClosed, ListenError };
export type { Address, AuthKey, Certificate, ListenErrorReason, TcpAddress, UnixAddress };

/**
 * The mark of listeners.
 *
 * @since 0.1.0
 * @category symbols
 */
export const TypeId = "~multiprocessing/Listener" as const;

/**
 * Type of {@link TypeId}.
 *
 * @since 0.1.0
 * @category symbols
 */
export type TypeId = typeof TypeId;

/**
 * A connection to another program. It does everything that the end of a pipe does (see `Pipe.Connection`), with these
 * differences:
 *
 * - It ends for both sides when either side closes it or dies. Both then get `EndOfFile`, after every message that has arrived,
 *   and `BrokenPipe`. If the network or the other side broke the connection, the error's `cause` says why.
 * - Queues, connections and handles of processes cannot be sent, which is an `EncodeError`, and the other side cannot make
 *   any: received messages are data.
 * - A message may be as large as the other side's `maxMessageSize`. A larger message fails with `MessageTooLarge`, and nothing
 *   is sent.
 * - A `send` that has returned has left this process. A `send` that is interrupted while the other side does not read may have
 *   been sent.
 * - It can be sent to a process of the family. The connection moves there, and its messages pass through this process.
 *
 * @since 0.1.0
 * @category models
 */
export interface Connection<out A, in B = A> extends Pipe.Connection<A, B> {
  /** The address of the other side. Of a Unix socket, only the listener's path is known. */
  readonly peer: Address;
}

/**
 * The state of a listener, and counts since it was made.
 *
 * @since 0.1.0
 * @category models
 */
export interface Statistics {
  /** Open connections, including those that were not accepted yet. */
  readonly open: number;
  /** Connections that were not accepted yet. */
  readonly waiting: number;
  /** Clients whose handshake has not ended. */
  readonly handshakes: number;
  /** Clients that have proved the key so far. */
  readonly authenticated: number;
  /** Clients that have failed to prove the key so far. */
  readonly failed: number;
  /** Clients that were dropped in favor of newer ones before they had proved the key so far; see `maxHandshakes`. */
  readonly dropped: number;
  /** Clients that were refused so far because of `maxConnections`, or because the listener was closing. */
  readonly refused: number;
  /** Whether the listener still accepts connections. */
  readonly state: "listening" | "closed";
}

/**
 * Accepts connections.
 *
 * - Clients are authenticated independently of each other. A client that is silent, slow, wrong or broken delays no other
 *   client, and is never accepted. `statistics` counts such clients; the first failure of an address in a minute is logged as a
 *   warning, for at most ten addresses a minute, unless the client has only disconnected.
 * - A client that proves the key is accepted even if other clients at its address have failed. After ten failures in a
 *   minute, further failures of that IP address are answered later, by up to two seconds.
 * - Messages that a client sends before it is accepted can be received afterwards.
 * - Accepted connections end with the listener's scope. `close` of a connection, and `serve`, end them earlier.
 * - A socket file is accessible only to the user of this process, from the moment it exists.
 * - The address can be used again at once, even if the listener was killed.
 *
 * @since 0.1.0
 * @category models
 */
export interface Listener<out A, in B = A> extends Waitable, Pipeable {
  /** Marks it as a listener. */
  readonly [TypeId]: TypeId;
  /** The address, with the port that the system has chosen or the path of the socket. */
  readonly address: Address;
  /**
   * Waits for the next connection. Fails with `ListenerClosed` once the listener is closed. *Interruption:* accepts no
   * connection.
   */
  readonly accept: Effect.Effect<Connection<A, B>, ListenerClosed>;
  /** The connections, until the listener is closed. Each run of the Stream accepts its own. *Interruption:* accepts no more. */
  readonly connections: Stream.Stream<Connection<A, B>>;
  /**
   * Handles each connection in a fiber of its own, and closes it afterwards. Returns once the listener is closed and all handlers
   * have ended. A handler that fails is logged as a warning, unless it fails with `EndOfFile` or `BrokenPipe`; other handlers go
   * on. Fails with a `ListenError` if the handler is not a function.
   * *Interruption:* interrupts the handlers, and waits for them.
   */
  readonly serve: <E, R>(
    handler: (connection: Connection<A, B>) => Effect.Effect<unknown, E, R>,
  ) => Effect.Effect<void, ListenError, R>;
  /** The address of the last accepted client, or none before the first. */
  readonly lastAccepted: Effect.Effect<Option.Option<Address>>;
  /**
   * Stops listening, and removes the socket file. Closes connections that were not accepted; accepted connections stay open.
   * Does nothing if the listener is closed.
   */
  readonly close: Effect.Effect<void>;
  /** The state of the listener. */
  readonly statistics: Effect.Effect<Statistics>;
}

/**
 * Options of a listener.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The address. @default a Unix socket in a new folder, or on Windows any free port of 127.0.0.1 */
  readonly address?: Address | undefined;
  /** The key that clients must have. @default `Process.authKey`, which this program shares with its children */
  readonly authKey?: AuthKey | undefined;
  /** Encrypts connections, and proves this side's identity. Needs a TCP address. @default no encryption */
  readonly tls?: Certificate | undefined;
  /** Time limit for a client to prove the key. @default "10 seconds" */
  readonly handshakeTimeout?: Duration.DurationInput | undefined;
  /**
   * Maximum of open connections, including those that were not accepted yet. Further clients that have the key fail with a
   * `ConnectError`, `Full`. @default 1024
   */
  readonly maxConnections?: number | undefined;
  /**
   * Maximum of open handshakes. For one more client, the oldest handshake in the earliest stage is dropped: a client that has
   * sent nothing valid yet, if there is one. @default 128
   */
  readonly maxHandshakes?: number | undefined;
  /** Maximum of connections that were not accepted yet. Further clients wait in the system's backlog. @default 128 */
  readonly backlog?: number | undefined;
  /** The largest message that a client may send, in bytes. A larger one fails with `MessageTooLarge` there. @default 67108864 */
  readonly maxMessageSize?: number | undefined;
  /**
   * Maximum of unread bytes per connection. A sender with more waits; a larger message is sent once everything before it was
   * received. @default 8388608
   */
  readonly maxBytes?: number | undefined;
}

/**
 * Listens for programs that have the key. `A` is the type of received values, `B` that of sent values. Python's `Listener`.
 *
 * Fails with a `ListenError` if it cannot listen at the address, or if an option is invalid.
 *
 * *Interruption:* stops listening. *Release:* stops listening, removes the socket file, and closes all accepted connections;
 * takes a second if a client does not answer.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect } from "effect";
 *
 * const program = Effect.gen(function* () {
 *   const authKey = crypto.getRandomValues(new Uint8Array(32));
 *   const listener = yield* Mp.Listener.make<string>({ address: { hostname: "127.0.0.1", port: 0 }, authKey });
 *   const client = yield* Mp.Client.connect<string>({ address: listener.address, authKey });
 *   const connection = yield* listener.accept;
 *   yield* client.send("hello");
 *   console.log(yield* connection.recv); // hello
 * }).pipe(Effect.scoped);
 *
 * if (import.meta.main) Mp.runMain(program);
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <A, B = A>(options: Options = {}): Effect.Effect<Listener<A, B>, ListenError, Scope.Scope> =>
  implementation(({ make }) => make<A, B>(options));

/**
 * Whether a value is a listener.
 *
 * @since 0.1.0
 * @category guards
 */
export const isListener = (value: unknown): value is Listener<unknown, never> =>
  typeof value === "object" && value !== null && TypeId in value;
