/**
 * Connecting to a listener, with mutual authentication.
 *
 * @module
 */
import { isUnknownHost } from "../os/deno_workarounds.ts";
import * as Effect from "effect/Effect";
import { waitThenCommit } from "../objects/interruption.ts";
import { after } from "../os/timer.ts";
import { type Address, addressError, show } from "./address.ts";
import { AuthenticationError, ConnectError, type ConnectErrorReason } from "./errors.ts";
import { authenticate, type AuthenticatedConnection, type PeerSession } from "./authenticate.ts";
import * as Handshake from "./handshake.ts";
import { type AuthKey, toKey } from "./key.ts";
import { type TcpSocket, TcpTransport } from "./tcp_transport.ts";

/**
 * Certificates that a client trusts in addition to the usual ones.
 *
 * @since 0.1.0
 * @category models
 */
export interface Trust {
  /** Certificates, as text in PEM. @default [] */
  readonly caCerts?: ReadonlyArray<string> | undefined;
  /** The host name that the certificate must be valid for. @default the hostname of the address */
  readonly hostname?: string | undefined;
}

/** Options of {@link dial}. */
export interface DialOptions {
  readonly address: Address;
  readonly authKey: AuthKey | undefined;
  readonly tls: Trust | boolean | undefined;
  readonly purpose: number;
  readonly limits: Handshake.Limits;
  /** Time limit for the connection and the handshake together, in milliseconds. */
  readonly millis: number;
}

type DialError = ConnectError | AuthenticationError;

const refuse = (reason: ConnectErrorReason, message: string, cause?: unknown): ConnectError =>
  new ConnectError(reason, `Cannot connect: ${message}`, cause);

const toDialError = (error: unknown, address: Address): DialError => {
  const where = show(address);
  const { message, name } = error as Error;
  switch (name) {
    case "ConnectionRefused":
      return refuse("Refused", `no program listens at ${where}`, error);
    case "NotFound":
      return refuse("Refused", `there is no socket at ${where}`, error);
    case "NotCapable":
    case "PermissionDenied":
      return refuse("PermissionDenied", message, error);
    case "TimedOut":
      return refuse("Timeout", `${where} does not answer`, error);
    case "InvalidData":
    case "UnexpectedEof":
      return refuse("Tls", `${where} does not use TLS, or its certificate is not trusted: ${message}`, error);
    case "ConnectionReset":
    case "BrokenPipe":
      return new AuthenticationError("Closed", `Cannot authenticate: ${where} has closed the connection`, error);
    case "AddrNotAvailable":
    case "HostUnreachable":
    case "NetworkUnreachable":
      return refuse("Unreachable", `${where} cannot be reached: ${message}`, error);
    default:
      return isUnknownHost(message)
        ? refuse("Unreachable", `the host name of ${where} is unknown`, error)
        : refuse("Failed", `${where}: ${message}`, error);
  }
};

/** Opens a socket. An abort closes it, even in the middle of the TLS handshake. */
const openSocket = async ({ address, tls }: DialOptions, signal: AbortSignal): Promise<TcpSocket> => {
  if ("path" in address) return await Deno.connect({ transport: "unix", path: address.path });
  const { hostname, port } = address;
  const socket = await Deno.connect({ hostname, port, signal });
  socket.setNoDelay();
  socket.setKeepAlive();
  if (tls === undefined || tls === false || signal.aborted) return socket;
  const trust = tls === true ? {} : tls;
  const secure = await Deno.startTls(socket, {
    hostname: trust.hostname ?? hostname,
    caCerts: [...trust.caCerts ?? []],
  });
  const stop = (): void => secure.close();
  signal.addEventListener("abort", stop);
  try {
    await secure.handshake();
  } catch (error) {
    if (!signal.aborted) secure.close();
    throw error;
  } finally {
    signal.removeEventListener("abort", stop);
  }
  return secure;
};

/** One attempt to connect and authenticate. */
class Attempt {
  readonly #options: DialOptions;
  readonly #done: (result: PeerSession | DialError) => void;
  readonly #abort = new AbortController();
  readonly #stopTimer: () => void;
  readonly #begun = performance.now();
  #over = false;
  /** Ends the handshake, if one is open. */
  #dropHandshake: (() => void) | undefined;
  #transport: TcpTransport | undefined;
  /** Settles once the attempt has succeeded, or uses no resources any more. */
  readonly #work: Promise<void>;

  constructor(
    options: DialOptions,
    key: CryptoKey | undefined,
    done: (result: PeerSession | DialError) => void,
  ) {
    this.#options = options;
    this.#done = done;
    this.#stopTimer = after(options.millis, () => {
      const { address, millis } = options;
      this.#settle(refuse("Timeout", `${show(address)} has not answered within ${millis} ms`));
      this.#abort.abort();
    });
    this.#work = this.#run(key);
  }

  /** Gives the attempt up, even if it has succeeded. Settles once it uses no resources any more. */
  async drop(): Promise<void> {
    this.#over = true;
    this.#stopTimer();
    this.#abort.abort();
    this.#dropHandshake?.();
    await this.#work;
    const transport = this.#transport;
    if (transport === undefined) return;
    transport.destroy();
    await new Promise<void>((resolve) => transport.released(resolve));
  }

  #settle(result: PeerSession | DialError): void {
    if (this.#over) return;
    this.#over = true;
    this.#stopTimer();
    this.#done(result);
  }

  async #run(key: CryptoKey | undefined): Promise<void> {
    const { address, millis } = this.#options;
    let socket: TcpSocket;
    try {
      socket = await openSocket(this.#options, this.#abort.signal);
    } catch (error) {
      return this.#settle(toDialError(error, address));
    }
    if (this.#over) return socket.close();
    this.#stopTimer();
    const transport = this.#transport = new TcpTransport(socket);
    const remaining = Math.max(1, millis - (performance.now() - this.#begun));
    const result = await this.#authenticate(transport, key, remaining);
    if (result !== undefined && "transport" in result && !this.#over) return this.#settle({ ...result, peer: address });
    if (this.#over) transport.destroy();
    await new Promise<void>((resolve) => transport.released(resolve));
    if (result !== undefined && !("transport" in result)) this.#settle(result);
  }

  /** Resolves with `undefined` if the attempt is dropped. */
  #authenticate(
    transport: TcpTransport,
    key: CryptoKey | undefined,
    millis: number,
  ): Promise<AuthenticatedConnection | DialError | undefined> {
    const { limits, purpose } = this.#options;
    return new Promise((resolve) => {
      const settings = { role: Handshake.CLIENT, purpose, key, limits } as const;
      const handshake = authenticate(transport, settings, millis, (result) => {
        this.#dropHandshake = undefined;
        resolve(result);
      });
      this.#dropHandshake = () => {
        handshake.drop();
        resolve(undefined);
      };
    });
  }
}

/**
 * Connects, and runs `use` uninterruptibly, in the same step. `use` starts the transport and arranges its end. An
 * interruption leaves no open socket.
 */
export const dial = <A, R>(
  options: DialOptions,
  use: (session: PeerSession) => Effect.Effect<A, never, R>,
): Effect.Effect<A, DialError, R> =>
  Effect.gen(function* () {
    const { address, authKey, tls } = options;
    const wrong = addressError(address, 0);
    if (wrong !== undefined) return yield* Effect.fail(refuse(wrong.reason, wrong.message));
    if (tls !== undefined && tls !== false && "path" in address) {
      return yield* Effect.fail(refuse("Unsupported", "TLS needs an address of the form { hostname, port }"));
    }
    const importing = toKey(authKey);
    if (typeof importing === "string") return yield* Effect.fail(refuse("InvalidOption", importing));
    const key = importing === undefined ? undefined : yield* Effect.uninterruptible(Effect.promise(() => importing));
    return yield* waitThenCommit<PeerSession, DialError, A, never, R>((answer) => {
      const attempt = new Attempt(options, key, (result) =>
        answer("transport" in result ? Effect.succeed(result) : Effect.fail(result)));
      return () =>
        Effect.promise(() =>
          attempt.drop()
        );
    }, use);
  });
