/**
 * Errors of listening, connecting and authentication.
 *
 * @module
 */
import { ReasonedError, TypedError } from "../os/typed_error.ts";

/**
 * Why a listener could not be made.
 *
 * - `AddressInUse`: another listener uses the address, or the path is a file that is not a socket.
 * - `AddressUnavailable`: this machine has no such address or folder.
 * - `InvalidOption`: an option is invalid.
 * - `PermissionDenied`: Deno or the system denies access.
 * - `Unsupported`: this system has no addresses of this kind.
 * - `Failed`: any other failure; see `cause`.
 *
 * @since 0.1.0
 * @category errors
 */
export type ListenErrorReason =
  | "AddressInUse"
  | "AddressUnavailable"
  | "InvalidOption"
  | "PermissionDenied"
  | "Unsupported"
  | "Failed";

/**
 * A listener cannot be made at this address or with these options.
 *
 * @since 0.1.0
 * @category errors
 */
export class ListenError extends ReasonedError<ListenErrorReason> {
  /** The tag, for `Effect.catchTag`. */
  readonly _tag = "ListenError";
}

/**
 * The listener or its scope was closed: it accepts no more connections.
 *
 * @since 0.1.0
 * @category errors
 */
export class ListenerClosed extends TypedError {
  /** The tag, for `Effect.catchTag`. */
  readonly _tag = "ListenerClosed";

  /** Created by the library. */
  constructor() {
    super("Cannot accept: the listener was closed");
  }
}

/**
 * Why a connection could not be made.
 *
 * - `Refused`: no program listens there, or there is no socket at the path.
 * - `Unreachable`: the network does not reach the address, or the host name is unknown.
 * - `Timeout`: no answer within `timeout`.
 * - `Full`: the listener has as many connections as it allows (`maxConnections`).
 * - `Tls`: the other side does not use TLS, or its certificate is not trusted.
 * - `InvalidOption`: an option is invalid.
 * - `PermissionDenied`: Deno or the system denies access.
 * - `Unsupported`: this system has no addresses of this kind.
 * - `Failed`: any other failure; see `cause`.
 *
 * @since 0.1.0
 * @category errors
 */
export type ConnectErrorReason =
  | "Refused"
  | "Unreachable"
  | "Timeout"
  | "Full"
  | "Tls"
  | "InvalidOption"
  | "PermissionDenied"
  | "Unsupported"
  | "Failed";

/**
 * A listener cannot be reached, or accepts no more connections now. Trying again later may help if the reason is `Refused`,
 * `Unreachable`, `Timeout` or `Full`.
 *
 * @since 0.1.0
 * @category errors
 */
export class ConnectError extends ReasonedError<ConnectErrorReason> {
  /** The tag, for `Effect.catchTag`. */
  readonly _tag = "ConnectError";
}

/**
 * Why the two sides could not authenticate each other.
 *
 * - `WrongKey`: the two sides have different keys.
 * - `KeyMissing`: one side has a key, and the other has none.
 * - `Protocol`: the other side speaks another protocol, or is a manager where a listener was expected, or the reverse.
 * - `Version`: the other side speaks another version of this protocol.
 * - `Timeout`: the other side did not answer in time.
 * - `Closed`: the other side closed the connection before the handshake was done.
 *
 * @since 0.1.0
 * @category errors
 */
export type AuthenticationErrorReason = "WrongKey" | "KeyMissing" | "Protocol" | "Version" | "Timeout" | "Closed";

/**
 * The two sides of a connection could not prove to each other that they have the same key. Trying again helps only if the
 * reason is `Timeout` or `Closed`.
 *
 * @since 0.1.0
 * @category errors
 */
export class AuthenticationError extends ReasonedError<AuthenticationErrorReason> {
  /** The tag, for `Effect.catchTag`. */
  readonly _tag = "AuthenticationError";
}

/**
 * Why a NATS server cannot be used.
 *
 * - `Unreachable`: no server answers at the addresses.
 * - `Refused`: the server refuses the credentials, or requires TLS.
 * - `InvalidOption`: an option is invalid.
 * - `Unsupported`: the backend is no `NatsBackend`, or the server has no JetStream.
 *
 * @since 0.1.0
 * @category errors
 */
export type NatsErrorReason = "Unreachable" | "Refused" | "InvalidOption" | "Unsupported";

/**
 * A program or an agent cannot use a NATS server.
 *
 * @since 0.1.0
 * @category errors
 */
export class NatsError extends ReasonedError<NatsErrorReason> {
  /** The tag, for `Effect.catchTag`. */
  readonly _tag = "NatsError";
}
