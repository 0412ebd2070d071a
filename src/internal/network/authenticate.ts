/**
 * Runs a handshake over a transport.
 *
 * @module
 */
import type { Peer } from "../pipe/end.ts";
import { after } from "../os/timer.ts";
import type { AuthenticationError, ConnectError } from "./errors.ts";
import { CLIENT, Handshake, type HandshakeSettings, type Limits } from "./handshake.ts";
import type { TcpTransport } from "./tcp_transport.ts";

/** An authenticated connection. */
export interface AuthenticatedConnection {
  /** Delivers nothing before it is started. */
  readonly transport: TcpTransport;
  /** The limits of the other side for what it receives. */
  readonly limits: Limits;
}

/** An authenticated connection, and the address of its other side. */
export interface PeerSession extends AuthenticatedConnection {
  readonly peer: Peer;
}

/** Whether no peer would read the reason of this failure. */
const isUnanswerable = ({ reason }: AuthenticationError | ConnectError, role: number): boolean =>
  reason === "Timeout" || reason === "Closed" || (reason === "Protocol" && role === CLIENT);

/** A handshake that has not ended. */
export interface OpenHandshake {
  /** See {@link Handshake.progress}. */
  readonly progress: () => number;
  /** Refuses the client, whether or not it has proved the key. */
  readonly refuse: (reason: number) => void;
  /** Ends the handshake and the transport without an answer. */
  readonly drop: () => void;
}

/**
 * Runs a handshake over a transport, for at most `millis` milliseconds. Calls `done` once. After a failure the transport is
 * closed, as soon as the reason has left.
 */
export const authenticate = (
  transport: TcpTransport,
  settings: HandshakeSettings,
  millis: number,
  done: (result: AuthenticatedConnection | AuthenticationError | ConnectError) => void,
): OpenHandshake => {
  const handshake = new Handshake(settings, {
    send: (bytes) => transport.write([bytes], () => {}),
    working: (work) => transport.track(work),
    succeed: (limits, rest) => {
      stopTimer();
      transport.hold(rest);
      done({ transport, limits });
    },
    fail: (error) => {
      stopTimer();
      if (isUnanswerable(error, settings.role)) transport.destroy();
      else transport.close();
      done(error);
    },
  });
  const stopTimer = after(millis, () => handshake.expire());
  transport.start((chunk) => {
    handshake.push(chunk);
    // The bytes that follow belong to the next reader.
    if (settings.role === CLIENT && handshake.checking) transport.hold(undefined);
  }, (reason) => handshake.end(reason));
  handshake.begin();
  return {
    progress: () => handshake.progress,
    refuse: (reason) => handshake.refuse(reason),
    drop: () => {
      stopTimer();
      handshake.abandon();
      transport.destroy();
    },
  };
};
