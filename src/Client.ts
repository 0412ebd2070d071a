/**
 * Clients: connections to a program that listens, on this machine or on another.
 *
 * The documentation of `Listener` describes both sides: addresses, authentication, limits, and the end of a connection.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect } from "effect";
 *
 * const authKey = crypto.getRandomValues(new Uint8Array(32)); // both programs have to know it
 *
 * const program = Effect.gen(function* () {
 *   const listener = yield* Mp.Listener.make<string>({ authKey }); // in one program
 *   const client = yield* Mp.Client.connect<string>({ address: listener.address, authKey }); // in another
 *   yield* client.send("hello");
 *   console.log(yield* (yield* listener.accept).recv);
 * }).pipe(Effect.scoped);
 *
 * if (import.meta.main) Mp.runMain(program);
 * ```
 *
 * ```text
 * hello
 * ```
 *
 * ## From Python
 *
 * | Python | here |
 * | --- | --- |
 * | `Client(address, authkey)` | `Client.connect({ address, authKey })` |
 * | `authkey=None` | the default is `Process.authKey`; to do without one, say `authKey: false` |
 * | `ConnectionRefusedError`, `FileNotFoundError` | a `ConnectError`, `Refused` |
 * | `AuthenticationError` | the same, with a `reason` |
 *
 * @module
 */
import * as Duration from "effect/Duration";
import * as Effect from "effect/Effect";
import type * as Scope from "effect/Scope";
import type { Address, AuthKey, Connection } from "./Listener.ts";
import { dial, type Trust } from "./internal/network/dial.ts";
import {
  AuthenticationError,
  type AuthenticationErrorReason,
  ConnectError,
  type ConnectErrorReason,
} from "./internal/network/errors.ts";
import { MESSAGES } from "./internal/network/handshake.ts";
import { line } from "./internal/network/connection.ts";
import { invalidOption, wrongOptions } from "./internal/os/arguments.ts";
import { connectChecks, MAX_BYTES, MAX_MESSAGE_SIZE } from "./internal/network/options.ts";

export { AuthenticationError, ConnectError };
export type { Address, AuthenticationErrorReason, AuthKey, ConnectErrorReason, Connection, Trust };

/**
 * Options of a client.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Where the listener is. */
  readonly address: Address;
  /** What the listener has to know. @default `Process.authKey`, which this program shares with its children */
  readonly authKey?: AuthKey | undefined;
  /** Whether to encrypt, as the listener does, and whose certificates to trust. Needs an address with a port. @default false */
  readonly tls?: Trust | boolean | undefined;
  /** Time for connecting and for the proof of the key, both together. @default "10 seconds" */
  readonly timeout?: Duration.DurationInput | undefined;
  /** The largest message that the listener may send, in bytes. It is told, and fails with `MessageTooLarge`. @default 67108864 */
  readonly maxMessageSize?: number | undefined;
  /**
   * Bytes that may be there to be received. A sender with more waits; a message larger than that is sent when nothing else is to be
   * received. @default 8388608
   */
  readonly maxBytes?: number | undefined;
}

const connect_ = (
  options: Options,
): Effect.Effect<Connection<never, unknown>, ConnectError | AuthenticationError, Scope.Scope> =>
  Effect.suspend(() => {
    const wrong = wrongOptions(options, connectChecks);
    if (wrong !== undefined) return Effect.fail(new ConnectError("InvalidOption", invalidOption("client", wrong)));
    const { maxBytes = MAX_BYTES, maxMessageSize = MAX_MESSAGE_SIZE, timeout = "10 seconds" } = options;
    const millis = Duration.toMillis(timeout);
    const limits = { maxBytes, maxMessageSize };
    const { address, authKey, tls } = options;
    return dial({ address, authKey, tls, purpose: MESSAGES, limits, millis }, (host) => {
      const { connection, release } = line(host, limits, host.peer, () => {});
      const released = Effect.async<void>((resume) => {
        release();
        host.wire.released(() => resume(Effect.void));
      });
      return Effect.as(Effect.addFinalizer(() => released), connection as Connection<never, unknown>);
    });
  });

/**
 * Connects to a listener that knows the same key. `A` is what is received from it, `B` what is sent. Python's `Client`.
 *
 * Fails with a `ConnectError` if nobody can be reached there, or nobody is taken now, and with an `AuthenticationError` if one of
 * the two sides does not know the other's key, or the other side speaks something else.
 *
 * *Interruption:* leaves no connection, except that Deno keeps the socket of a server that does not answer TLS until that closes
 * it. *Release:* closes the connection; takes a second if the listener does not answer.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect, Schedule } from "effect";
 *
 * // Until the listener is there, but for ten seconds at most.
 * export const connect = (authKey: Uint8Array) =>
 *   Mp.Client.connect<string>({ address: { hostname: "127.0.0.1", port: 6000 }, authKey }).pipe(
 *     Effect.retry({
 *       while: (error) => error._tag === "ConnectError" && error.reason === "Refused",
 *       schedule: Schedule.spaced("100 millis"),
 *       times: 100,
 *     }),
 *   );
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const connect: <A, B = A>(
  options: Options,
) => Effect.Effect<Connection<A, B>, ConnectError | AuthenticationError, Scope.Scope> = connect_ as never;
