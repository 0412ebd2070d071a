/**
 * Clients: connections to a listener of another program, on this machine or on another.
 *
 * The documentation of `Listener` describes both sides: addresses, authentication, limits, and the end of a connection.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect } from "effect";
 *
 * const authKey = crypto.getRandomValues(new Uint8Array(32)); // both programs have it
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
 * | `authkey=None` | the default is `Process.authKey`; `authKey: false` turns authentication off |
 * | `ConnectionRefusedError`, `FileNotFoundError` | a `ConnectError`, `Refused` |
 * | `AuthenticationError` | the same, with a `reason` |
 *
 * @module
 */
import type * as Duration from "effect/Duration";
import type * as Effect from "effect/Effect";
import type * as Scope from "effect/Scope";
import type { Trust } from "./internal/network/dial.ts";
import {
  AuthenticationError,
  type AuthenticationErrorReason,
  ConnectError,
  type ConnectErrorReason,
} from "./internal/network/errors.ts";
import { lazily } from "./internal/os/lazy.ts";
import type { Address, AuthKey, Connection } from "./Listener.ts";

const implementation = lazily(() => import("./internal/network/client.ts"));

export { AuthenticationError, ConnectError };
export type { Address, AuthenticationErrorReason, AuthKey, ConnectErrorReason, Connection, Trust };

/**
 * Options of a client.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The address of the listener. */
  readonly address: Address;
  /** The key that the listener must have. @default `Process.authKey`, which this program shares with its children */
  readonly authKey?: AuthKey | undefined;
  /** Whether to use TLS, as the listener does, and which certificates to trust. Needs a TCP address. @default false */
  readonly tls?: Trust | boolean | undefined;
  /** Time limit for connecting and authenticating together. @default "10 seconds" */
  readonly timeout?: Duration.DurationInput | undefined;
  /** The largest message that the listener may send, in bytes. A larger one fails with `MessageTooLarge` there. @default 67108864 */
  readonly maxMessageSize?: number | undefined;
  /**
   * Maximum of unread bytes. A sender with more waits; a larger message is sent once everything before it was received.
   * @default 8388608
   */
  readonly maxBytes?: number | undefined;
}

/**
 * Connects to a listener that has the same key. `A` is the type of received values, `B` that of sent values. Python's `Client`.
 *
 * Fails with a `ConnectError` if the listener cannot be reached or accepts no more connections, and with an
 * `AuthenticationError` if the two sides have different keys, or the other side speaks another protocol.
 *
 * *Interruption:* leaves no connection, except that Deno keeps a socket whose server does not answer the TLS handshake until the
 * server closes it. *Release:* closes the connection; takes a second if the listener does not answer.
 *
 * ```ts
 * import * as Mp from "@effect-deno/multiprocessing";
 * import { Effect, Schedule } from "effect";
 *
 * // Tries until the listener exists, for at most ten seconds.
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
export const connect = <A, B = A>(
  options: Options,
): Effect.Effect<Connection<A, B>, ConnectError | AuthenticationError, Scope.Scope> =>
  implementation(({ connect }) => connect<A, B>(options));
