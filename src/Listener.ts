/**
 * Listeners: connections from programs that this one has not started, on this machine or on others, each authenticated
 * before any handler sees it.
 *
 * Both sides prove that they have the same key. A connection then behaves as the end of a pipe: `send` and `recv`,
 * bytes, streams, `wait`, Schemas. The other side is in `Client`.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect, Logger, LogLevel } from "effect";
 *
 * const authKey = new TextEncoder().encode("better 32 random bytes"); // both programs know it
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
 * // Here both are one program.
 * const program = Effect.gen(function* () {
 *   const address = yield* server;
 *   console.log(yield* client(address));
 *
 *   const refused = yield* Effect.flip(Effect.scoped(Mp.Client.connect({ address, authKey: false })));
 *   console.log(refused._tag, refused.reason);
 * }).pipe(Effect.scoped, Effect.provide(Logger.minimumLogLevel(LogLevel.Error))); // there is a warning
 *
 * if (import.meta.main) Mp.runMain(program);
 * ```
 *
 * ```text
 * 41 + 1 = 42
 * AuthenticationError KeyMissing
 * ```
 *
 * | address | is |
 * | --- | --- |
 * | `{ hostname, port }` | TCP; port 0 is any free port. With `tls` it is encrypted |
 * | `{ path }` | a Unix socket, for the user of this process only (mode 0600) from its first moment on |
 * | `{ path: "\0name" }` | a name of Linux that is no file: each user of the machine can reach it |
 * | none, for a listener | a Unix socket in a new folder that only this user can enter; on Windows a free port of 127.0.0.1 |
 *
 * The folder of a listener without an address is made in the system's folder for temporary files (`TMPDIR`), or in
 * `/tmp`, `/var/tmp` or `/dev/shm` if the path of a socket there would be longer than the system allows. If none of
 * these will do, `make` fails with the `ListenError` `AddressUnavailable`.
 *
 * A listener that is killed leaves its socket, and its own folder. An address can be used again as soon as its listener
 * has ended. A new listener takes over the socket of a killed listener at the same path; a socket that is in use, or a
 * file that is no socket, is `AddressInUse`.
 *
 * `accept` gives the next connection, `connections` is a Stream of them, and `serve` handles each in a fiber of its
 * own, and closes it afterwards. Connections end with the scope of their listener at the latest.
 *
 * ## Authentication
 *
 * - The default key is `Process.authKey`, which only this program and its children have. `authKey: false` does without:
 *   every program that reaches the address is then let in.
 * - Clients prove their keys independently of each other. A client that is silent, slow or wrong, or that speaks
 *   another protocol, holds up no other client. It is visible only in `statistics` and in the log: the first failure of
 *   an address in a minute is a warning, for at most ten addresses a minute.
 * - A client that proves the key is let in whatever other clients have done, from the same address too. After ten
 *   failures in a minute, further failures from that IP address are answered later, by up to two seconds.
 * - Keys are never sent. The proofs are HMAC-SHA-256 over fresh random bytes of both sides, so a proof can neither be
 *   used again nor be sent back. The client proves first.
 * - Each mismatch is an `AuthenticationError` on both sides at once: other keys, a key on one side only, another
 *   protocol or version.
 * - Messages of another program are data. Queues, connections and handles of processes can neither be sent to it nor be
 *   made by it.
 * - Messages after the proof are not encrypted, nor protected from a party that can change them on the way. For that
 *   there is `tls`: `{ cert, key }` for the listener, `true` or `{ caCerts }` for the client.
 *
 * ## Limits
 *
 * | limit | default | meaning |
 * | --- | --- | --- |
 * | `handshakeTimeout` | 10 seconds | a client that has not proved the key by then is sent away |
 * | `maxHandshakes` | 128 | clients that prove the key at once; for one more, the oldest that has said nothing yet is dropped |
 * | `maxConnections` | 1024 | open connections; further clients get a `ConnectError`, `Full` |
 * | `backlog` | 128 | connections that were not accepted yet; further clients wait |
 * | `maxMessageSize` | 64 MiB | `send` of a larger message fails on the other side with `MessageTooLarge` |
 * | `maxBytes` | 8 MiB | a sender with more than that unread waits |
 *
 * The last two are limits of each side, for the messages that it receives. Over TLS, Deno keeps the socket of a client
 * that never begins to speak TLS until that client closes it: in front of the internet, put a proxy.
 *
 * ## The end of a connection
 *
 * | | `recv` on the other side | `send` on the other side |
 * | --- | --- | --- |
 * | it was closed, or its process died | the messages that have arrived, then `EndOfFile` | `BrokenPipe` |
 * | its process sent bytes that are no frame | the messages that have arrived, then `EndOfFile`, whose `cause` says why | `BrokenPipe`, with the same cause |
 * | the scope of the listener has closed | the messages that have arrived, then `EndOfFile` | `BrokenPipe` |
 * | the machine was cut off | waits until the system gives up; use `Effect.timeout` | waits for room |
 *
 * A `send` that has returned has left its process. A connection can be sent to a process of the family: it moves there,
 * and its messages pass through the process that has connected or accepted.
 *
 * `deno test -A tests/api/Listener_test.ts` shows these promises over each kind of address, and `deno test -A
 * tests/faults/handshake_test.ts` the effect of replayed, changed and garbage bytes. `deno task bench --filter=client`
 * compares with Python.
 *
 * ## From Python
 *
 * | Python | here |
 * | --- | --- |
 * | `Listener(address, family, backlog, authkey)` | `Listener.make({ address, backlog, authKey })` |
 * | `AF_INET`, `(host, port)` | `{ hostname, port }` |
 * | `AF_UNIX`, a path, or a name that begins with NUL | `{ path }`; without an address a socket in a folder of its own |
 * | `AF_PIPE` | none: on Windows use `{ hostname: "127.0.0.1", port }` |
 * | `accept()` | `listener.accept`, `listener.connections`, or `listener.serve(handler)` |
 * | `address`, `last_accepted` | `listener.address`, `listener.lastAccepted`; `connection.peer` for each |
 * | `close()`, `with listener` | `listener.close`, the scope |
 * | `authkey=None` | the default is `Process.authKey`; to do without one, say `authKey: false` |
 * | `AuthenticationError` | the same; its `reason` is `WrongKey`, `KeyMissing`, `Protocol`, `Version`, `Timeout` or `Closed` |
 * | `OSError` of a listener | a `ListenError`, `AddressInUse` for example; after `close` `ListenerClosed` |
 * | `deliver_challenge`, `answer_challenge` | none: both sides are proved before there is a connection |
 * | `XmlListener`, `XmlClient` | none |
 * | (cannot be done) | TLS, limits, a time limit for each client's proof, sending a connection to a child that runs elsewhere |
 *
 * @module
 */
import * as Cause from "effect/Cause";
import * as Duration from "effect/Duration";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Fiber from "effect/Fiber";
import * as Option from "effect/Option";
import * as Runtime from "effect/Runtime";
import type * as Scope from "effect/Scope";
import * as Stream from "effect/Stream";
import { passGate } from "./internal/objects/interruption.ts";
import { FifoGate } from "./internal/objects/fifo_gate.ts";
import { type Waitable, WaitId } from "./internal/objects/waitable.ts";
import * as Pipe from "./Pipe.ts";
import { type Address, show, type TcpAddress, type UnixAddress } from "./internal/network/address.ts";
import { ListenerClosed, ListenError, type ListenErrorReason } from "./internal/network/errors.ts";
import { MESSAGES } from "./internal/network/handshake.ts";
import type { AuthKey } from "./internal/network/key.ts";
import { line } from "./internal/network/connection.ts";
import { type Certificate, type Door, listen } from "./internal/network/listen.ts";
import { func, invalidArgument, invalidOption, wrong as wrongArgument, wrongOptions } from "./internal/os/arguments.ts";
import { listenChecks, MAX_BYTES, MAX_MESSAGE_SIZE } from "./internal/network/options.ts";

export { ListenerClosed, ListenError };
export type { Address, AuthKey, Certificate, ListenErrorReason, TcpAddress, UnixAddress };

/**
 * Marks listeners.
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
 * A connection to another program. It does what the end of a pipe does (see `Pipe.Connection`), with these differences:
 *
 * - It ends for both sides when either closes it, or dies: `EndOfFile`, after all that had arrived, and `BrokenPipe`. If the network
 *   or the other side broke it, that is their `cause`.
 * - Queues, connections and handles of processes cannot be sent with it, which is an `EncodeError`, nor can the other side make
 *   any: what comes is data.
 * - A message may be as large as the other side's `maxMessageSize`; one that is larger is `MessageTooLarge`, with nothing sent.
 * - A `send` that has returned has left this process. One that is interrupted while the other side takes nothing may have been
 *   sent.
 * - It can be sent to a process of the family: then it has moved, and what it says passes through this process.
 *
 * @since 0.1.0
 * @category models
 */
export interface Connection<out A, in B = A> extends Pipe.Connection<A, B> {
  /** The address of the other side; of a Unix socket only the listener's is known. */
  readonly peer: Address;
}

/**
 * What a listener is doing, and what it has done.
 *
 * @since 0.1.0
 * @category models
 */
export interface Statistics {
  /** Connections that are open, those included that nobody has accepted. */
  readonly open: number;
  /** Connections that nobody has accepted yet. */
  readonly waiting: number;
  /** Clients that are proving that they have the key, or are being sent away. */
  readonly handshakes: number;
  /** Clients that have proved it, so far. */
  readonly authenticated: number;
  /** Clients that have failed to, so far. */
  readonly failed: number;
  /** Clients that were dropped for newer ones before they had proved it, so far: see `maxHandshakes`. */
  readonly dropped: number;
  /** Clients that were sent away for `maxConnections`, or at the listener's end, so far. */
  readonly refused: number;
  /** Whether it still accepts. */
  readonly state: "listening" | "closed";
}

/**
 * Accepts connections.
 *
 * - Each client proves that it has the key while others do: one that is silent, slow, wrong or broken concerns nobody else, and is
 *   never accepted. What becomes of it is in `statistics`; the first failure of an address in a minute is logged as a warning, for at
 *   most ten addresses a minute, unless it has only hung up.
 * - A client that proves the key is let in whatever others have done, from its own address too. After ten failures in a minute,
 *   further ones from that IP address are answered later, by up to two seconds.
 * - What a client has sent before it is accepted is there to be received.
 * - Accepted connections are the listener's: they end with its scope. `close` of a connection, and `serve`, end them earlier.
 * - A socket file can be used by the user of this process only, from its first moment on.
 * - The address can be used again at once, also after a listener that was killed.
 *
 * @since 0.1.0
 * @category models
 */
export interface Listener<out A, in B = A> extends Waitable {
  /** Marks it as a listener. */
  readonly [TypeId]: TypeId;
  /** Where it listens: with the port that the system has chosen, or the path of its socket. */
  readonly address: Address;
  /**
   * The next connection. Fails with `ListenerClosed` if there will be none. *Interruption:* accepts nobody.
   */
  readonly accept: Effect.Effect<Connection<A, B>, ListenerClosed>;
  /** The connections, until it is closed. Each run accepts its own. *Interruption:* accepts no more. */
  readonly connections: Stream.Stream<Connection<A, B>>;
  /**
   * Has each connection handled in a fiber of its own, and closes it afterwards. Ends when the listener is closed and the handlers
   * have ended. One that fails is logged as a warning, unless by `EndOfFile` or `BrokenPipe`, and concerns no other. Fails with a
   * `ListenError` if the handler is no function.
   * *Interruption:* interrupts the handlers, and waits for them.
   */
  readonly serve: <E, R>(
    handler: (connection: Connection<A, B>) => Effect.Effect<unknown, E, R>,
  ) => Effect.Effect<void, ListenError, R>;
  /** The address of the last accepted client; none before the first. */
  readonly lastAccepted: Effect.Effect<Option.Option<Address>>;
  /**
   * Listens no more, and removes the socket file. Those that nobody has accepted are dropped, those that were accepted go on. Does
   * nothing if it was closed before.
   */
  readonly close: Effect.Effect<void>;
  /** What it is doing. */
  readonly statistics: Effect.Effect<Statistics>;
}

/**
 * Options of a listener.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Where to listen. @default a Unix socket in a new folder of its own; on Windows any free port of 127.0.0.1 */
  readonly address?: Address | undefined;
  /** What clients have to know. @default `Process.authKey`, which this program shares with its children */
  readonly authKey?: AuthKey | undefined;
  /** Encrypts, and tells clients who this is. Needs an address with a port. @default neither */
  readonly tls?: Certificate | undefined;
  /** Time in which a client has to prove that it has the key. @default "10 seconds" */
  readonly handshakeTimeout?: Duration.DurationInput | undefined;
  /**
   * Connections that may be open, those included that nobody has accepted. Further clients that have the key get a `ConnectError`,
   * `Full`. @default 1024
   */
  readonly maxConnections?: number | undefined;
  /**
   * Clients that may be proving that they have the key at once. For one more, one is dropped: the oldest of those that have said
   * nothing sensible yet, if there is one. @default 128
   */
  readonly maxHandshakes?: number | undefined;
  /** Connections that may wait to be accepted. Further ones are left to the system, where they wait. @default 128 */
  readonly backlog?: number | undefined;
  /** The largest message that a client may send, in bytes. It is told, and fails with `MessageTooLarge`. @default 67108864 */
  readonly maxMessageSize?: number | undefined;
  /**
   * Bytes of a connection that may be there to be received. A sender with more waits; a message larger than that is sent when
   * nothing else is to be received. @default 8388608
   */
  readonly maxBytes?: number | undefined;
}

type Client = Connection<never, unknown>;

/** Clients that have come. */
class Reception {
  readonly ready: Array<Client> = [];
  readonly turns = new FifoGate(() => this.isReady);
  readonly watchers = new Set<() => void>();
  last: Address | undefined;
  closed = false;

  /** True if `accept` can complete now. */
  get isReady(): boolean {
    return this.ready.length > 0 || this.closed;
  }

  enter(client: Client): void {
    this.ready.push(client);
    this.#wake();
  }

  close(): void {
    this.closed = true;
    this.#wake();
  }

  #wake(): void {
    this.turns.check();
    for (const watcher of [...this.watchers]) watcher();
  }
}

const make_ = (options: Options = {}): Effect.Effect<Listener<never, unknown>, ListenError, Scope.Scope> =>
  Effect.gen(function* () {
    const wrong = wrongOptions(options, listenChecks);
    if (wrong !== undefined) {
      return yield* Effect.fail(new ListenError("InvalidOption", invalidOption("listener", wrong)));
    }
    const {
      backlog = 128,
      handshakeTimeout = "10 seconds",
      maxBytes = MAX_BYTES,
      maxConnections = 1024,
      maxHandshakes = 128,
      maxMessageSize = MAX_MESSAGE_SIZE,
    } = options;
    const handshakeMillis = Duration.toMillis(handshakeTimeout);
    const runtime = yield* Effect.runtime<never>();
    const reception = new Reception();
    const lines = new Set<() => void>();
    const limits = { maxBytes, maxMessageSize };
    const door: Door = yield* listen({
      address: options.address,
      authKey: options.authKey,
      tls: options.tls,
      purpose: MESSAGES,
      limits,
      maxConnections,
      maxHandshakes,
      handshakeMillis,
    }, {
      visitor: (visitor) => {
        const { connection, release } = line(visitor, limits, visitor.peer, () => lines.delete(release));
        lines.add(release);
        reception.enter(connection as Client);
        if (reception.ready.length >= backlog) door.pause(true);
      },
      failure: (error, peer, first) =>
        void Runtime.runFork(runtime)((first && error.reason !== "Closed" ? Effect.logWarning : Effect.logDebug)(
          `A client from ${show(peer)} was sent away: ${error.message}`,
        )),
      closed: () => reception.close(),
    });
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        door.close();
        for (const release of [...lines]) release();
      })
    );
    return new ListenerImpl(door, reception, backlog);
  });

/** Why a handler has failed, unless the connection has simply ended, or it was interrupted. */
const complaint = (cause: Cause.Cause<unknown>): Cause.Cause<unknown> | undefined => {
  if (Cause.isInterruptedOnly(cause)) return undefined;
  const failure = Option.getOrUndefined(Cause.failureOption(cause));
  return failure instanceof Pipe.EndOfFile || failure instanceof Pipe.BrokenPipe ? undefined : cause;
};

class ListenerImpl implements Listener<never, unknown> {
  readonly [TypeId]: typeof TypeId = TypeId;
  readonly #door: Door;
  readonly #reception: Reception;
  readonly #backlog: number;

  constructor(door: Door, reception: Reception, backlog: number) {
    this.#door = door;
    this.#reception = reception;
    this.#backlog = backlog;
  }

  get [WaitId](): Waitable[typeof WaitId] {
    const reception = this.#reception;
    return {
      look: (answer) => answer(reception.isReady),
      watch: (ready) => {
        const watcher = (): void => {
          if (reception.isReady && reception.watchers.delete(watcher)) ready();
        };
        reception.watchers.add(watcher);
        watcher();
        return () => reception.watchers.delete(watcher);
      },
    };
  }

  get address(): Address {
    return this.#door.address;
  }

  get accept(): Effect.Effect<Client, ListenerClosed> {
    return passGate(this.#reception.turns, 0, () => this.#next());
  }

  get connections(): Stream.Stream<Client> {
    return Stream.repeatEffectOption(Effect.mapError(this.accept, () => Option.none()));
  }

  readonly serve = <E, R>(
    handler: (connection: Client) => Effect.Effect<unknown, E, R>,
  ): Effect.Effect<void, ListenError, R> => {
    const wrong = wrongArgument({ handler }, { handler: func });
    if (wrong !== undefined) {
      return Effect.fail(new ListenError("InvalidOption", invalidArgument("listener.serve", wrong)));
    }
    return Effect.scopedWith((scope) =>
      Effect.uninterruptibleMask((restore) => {
        const fibers = new Set<Fiber.Fiber<unknown>>();
        const handle = (connection: Client): Effect.Effect<void, never, R> =>
          Effect.suspend(() => handler(connection)).pipe(
            restore,
            Effect.exit,
            Effect.flatMap((exit) => {
              const cause = Exit.isFailure(exit) ? complaint(exit.cause) : undefined;
              return cause === undefined
                ? Effect.void
                : Effect.logWarning(`The handler of a connection from ${show(connection.peer)} has failed`, cause);
            }),
            Effect.zipRight(connection.close),
          );
        const loop: Effect.Effect<void, never, R> = Effect.matchEffect(restore(this.accept), {
          onFailure: () => Effect.void,
          onSuccess: (connection) =>
            Effect.flatMap(Effect.forkIn(handle(connection), scope), (fiber) => {
              fibers.add(fiber);
              fiber.addObserver(() => fibers.delete(fiber));
              return loop;
            }),
        });
        return Effect.zipRight(
          loop,
          restore(Effect.suspend(() => Effect.forEach([...fibers], Fiber.await, { discard: true }))),
        );
      })
    );
  };

  get lastAccepted(): Effect.Effect<Option.Option<Address>> {
    return Effect.sync(() => Option.fromNullable(this.#reception.last));
  }

  get close(): Effect.Effect<void> {
    return Effect.promise(() => {
      this.#door.close();
      for (const connection of this.#reception.ready.splice(0)) Effect.runSync(connection.close);
      return this.#door.deaf;
    });
  }

  get statistics(): Effect.Effect<Statistics> {
    return Effect.sync(() => {
      const { accepted, dropped, failed, open, refused } = this.#door.counts;
      return {
        open,
        waiting: this.#reception.ready.length,
        handshakes: this.#door.handshakes,
        authenticated: accepted,
        failed,
        dropped,
        refused,
        state: this.#door.closed ? "closed" : "listening",
      };
    });
  }

  toString(): string {
    return `Listener(${show(this.address)})`;
  }

  /** Takes the connection that has waited longest. */
  #next(): Effect.Effect<Client, ListenerClosed> {
    const reception = this.#reception;
    const client = reception.closed ? undefined : reception.ready.shift();
    if (client === undefined) return Effect.fail(new ListenerClosed());
    reception.last = client.peer;
    if (reception.ready.length < this.#backlog) this.#door.pause(false);
    return Effect.succeed(client);
  }
}

/**
 * Listens for programs that know the key. `A` is what is received from them, `B` what is sent. Python's `Listener`.
 *
 * Fails with a `ListenError` if it cannot listen there, or an option makes no sense.
 *
 * *Interruption:* listens nowhere. *Release:* listens no more, removes the socket file, and closes all connections that it has
 * accepted; takes a second if a client does not answer.
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
export const make: <A, B = A>(options?: Options) => Effect.Effect<Listener<A, B>, ListenError, Scope.Scope> =
  make_ as never;

/**
 * Whether a value is a listener.
 *
 * @since 0.1.0
 * @category guards
 */
export const isListener = (value: unknown): value is Listener<unknown, never> =>
  typeof value === "object" && value !== null && TypeId in value;
