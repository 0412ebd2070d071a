/**
 * How listening, connecting and the proof of a key fail.
 *
 * @module
 */

/**
 * Why there is no listener.
 *
 * - `AddressInUse`: somebody listens there, or the path is taken by something that is no socket.
 * - `AddressUnavailable`: this machine has no such address, or no such folder.
 * - `InvalidOption`: an option makes no sense.
 * - `PermissionDenied`: Deno or the system forbids it.
 * - `Unsupported`: this system has no such addresses.
 * - `Failed`: anything else; `cause` has it.
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
 * A listener cannot be made, at this address or with these options.
 *
 * @since 0.1.0
 * @category errors
 */
export class ListenError extends Error {
  /** Tells the errors apart: for `Effect.catchTag`. */
  readonly _tag = "ListenError";
  /** How the error is printed. */
  override readonly name = "ListenError";
  /** What was wrong. */
  readonly reason: ListenErrorReason;

  /** Made by the library. */
  constructor(reason: ListenErrorReason, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.reason = reason;
  }
}

/**
 * The listener was closed, or its scope was: it accepts nobody any more.
 *
 * @since 0.1.0
 * @category errors
 */
export class ListenerClosed extends Error {
  /** Tells the errors apart: for `Effect.catchTag`. */
  readonly _tag = "ListenerClosed";
  /** How the error is printed. */
  override readonly name = "ListenerClosed";

  /** Made by the library. */
  constructor() {
    super("Cannot accept: the listener was closed");
  }
}

/**
 * Why there is no connection.
 *
 * - `Refused`: nobody listens there, or there is no socket at the path.
 * - `Unreachable`: no way leads there, or its name is unknown.
 * - `Timeout`: no answer of the system within `timeout`.
 * - `Full`: the listener has as many connections as it allows (`maxConnections`).
 * - `Tls`: the other side speaks no TLS, or its certificate is not trusted.
 * - `InvalidOption`: an option makes no sense.
 * - `PermissionDenied`: Deno or the system forbids it.
 * - `Unsupported`: this system has no such addresses.
 * - `Failed`: anything else; `cause` has it.
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
 * A listener cannot be reached, or takes nobody now. To try again later may help if the reason is `Refused`, `Unreachable`,
 * `Timeout` or `Full`.
 *
 * @since 0.1.0
 * @category errors
 */
export class ConnectError extends Error {
  /** Tells the errors apart: for `Effect.catchTag`. */
  readonly _tag = "ConnectError";
  /** How the error is printed. */
  override readonly name = "ConnectError";
  /** What was wrong. */
  readonly reason: ConnectErrorReason;

  /** Made by the library. */
  constructor(reason: ConnectErrorReason, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.reason = reason;
  }
}

/**
 * How the proof of the key has failed.
 *
 * - `WrongKey`: the two sides have different keys.
 * - `KeyMissing`: one side has a key, and the other does without.
 * - `Protocol`: the other side speaks something else, or is a server of something else.
 * - `Version`: it speaks another version of this protocol.
 * - `Timeout`: it was silent, or too slow.
 * - `Closed`: it has closed the connection before it was done.
 *
 * @since 0.1.0
 * @category errors
 */
export type AuthenticationErrorReason = "WrongKey" | "KeyMissing" | "Protocol" | "Version" | "Timeout" | "Closed";

/**
 * The two sides of a connection could not prove to each other that they have the same key. To try the same again will not help,
 * unless the reason is `Timeout` or `Closed`.
 *
 * @since 0.1.0
 * @category errors
 */
export class AuthenticationError extends Error {
  /** Tells the errors apart: for `Effect.catchTag`. */
  readonly _tag = "AuthenticationError";
  /** How the error is printed. */
  override readonly name = "AuthenticationError";
  /** What was wrong. */
  readonly reason: AuthenticationErrorReason;

  /** Made by the library. */
  constructor(reason: AuthenticationErrorReason, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.reason = reason;
  }
}
