/**
 * Connecting to a listener, and proving that both have the key.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import type { Peer } from "../pipe/end.ts";
import { after } from "../os/timer.ts";
import { type Address, complaint, show } from "./address.ts";
import { AuthenticationError, ConnectError, type ConnectErrorReason } from "./errors.ts";
import * as Handshake from "./handshake.ts";
import { type AuthKey, toKey } from "./key.ts";
import { type Socket, Wire } from "./tcp_transport.ts";

/**
 * What a client trusts besides the certificates that everybody does.
 *
 * @since 0.1.0
 * @category models
 */
export interface Trust {
  /** Certificates, as text in PEM. @default [] */
  readonly caCerts?: ReadonlyArray<string> | undefined;
  /** The name that the certificate has to be for. @default the hostname of the address */
  readonly hostname?: string | undefined;
}

/** How to connect. */
export interface Options {
  readonly address: Address;
  readonly authKey: AuthKey | undefined;
  readonly tls: Trust | boolean | undefined;
  readonly purpose: number;
  readonly limits: Handshake.Limits;
  /** For all of it. */
  readonly millis: number;
}

/** A listener that has proved that it has the key. */
export interface Host extends Handshake.Session {
  readonly peer: Peer;
}

type Failure = ConnectError | AuthenticationError;

const refuse = (reason: ConnectErrorReason, message: string, cause?: unknown): ConnectError =>
  new ConnectError(reason, `Cannot connect: ${message}`, cause);

const explain = (error: unknown, address: Address): Failure => {
  const where = show(address);
  const { message, name } = error as Error;
  switch (name) {
    case "ConnectionRefused":
      return refuse("Refused", `nobody listens at ${where}`, error);
    case "NotFound":
      return refuse("Refused", `there is no socket at ${where}`, error);
    case "NotCapable":
    case "PermissionDenied":
      return refuse("PermissionDenied", message, error);
    case "TimedOut":
      return refuse("Timeout", `${where} does not answer`, error);
    case "InvalidData":
    case "UnexpectedEof":
      return refuse("Tls", `${where} speaks no TLS, or its certificate is not trusted: ${message}`, error);
    case "ConnectionReset":
    case "BrokenPipe":
      return new AuthenticationError("Closed", `Cannot authenticate: ${where} has closed the connection`, error);
    case "AddrNotAvailable":
    case "HostUnreachable":
    case "NetworkUnreachable":
      return refuse("Unreachable", `there is no way to ${where}: ${message}`, error);
    default:
      // So Deno names what the system's resolver says.
      return message.includes("lookup address")
        ? refuse("Unreachable", `the name of ${where} is unknown`, error)
        : refuse("Failed", `${where}: ${message}`, error);
  }
};

/** A socket that was opened, or is being opened; `close` closes it whichever it is. */
const open = async ({ address, tls }: Options, signal: AbortSignal): Promise<Socket> => {
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

/** One attempt. */
class Attempt {
  readonly #options: Options;
  readonly #done: (result: Host | Failure) => void;
  readonly #abort = new AbortController();
  readonly #stopTimer: () => void;
  readonly #begun = performance.now();
  #over = false;
  #handshake: Handshake.Underway | undefined;
  /** Settled when nothing of it is in use any more, unless it has succeeded. */
  readonly #work: Promise<void>;

  constructor(options: Options, key: CryptoKey | undefined, done: (result: Host | Failure) => void) {
    this.#options = options;
    this.#done = done;
    this.#stopTimer = after(options.millis, () => {
      const { address, millis } = options;
      this.#settle(refuse("Timeout", `${show(address)} has not answered within ${millis} ms`));
      this.#abort.abort();
    });
    this.#work = this.#run(key);
  }

  /** Nobody wants it any more. Settled when nothing of it is in use. */
  drop(): Promise<void> {
    this.#over = true;
    this.#stopTimer();
    this.#abort.abort();
    this.#handshake?.drop();
    return this.#work;
  }

  #settle(result: Host | Failure): void {
    if (this.#over) return;
    this.#over = true;
    this.#stopTimer();
    this.#done(result);
  }

  async #run(key: CryptoKey | undefined): Promise<void> {
    const { address, limits, millis, purpose } = this.#options;
    let socket: Socket;
    try {
      socket = await open(this.#options, this.#abort.signal);
    } catch (error) {
      return this.#settle(explain(error, address));
    }
    if (this.#over) return socket.close();
    this.#stopTimer();
    const wire = new Wire(socket);
    const left = Math.max(1, millis - (performance.now() - this.#begun));
    const result = await new Promise<Handshake.Session | Failure | undefined>((resolve) => {
      const settings = { role: Handshake.CLIENT, purpose, key, limits } as const;
      const underway = Handshake.authenticate(wire, settings, left, resolve);
      this.#handshake = {
        ...underway,
        drop: () => {
          underway.drop();
          resolve(undefined);
        },
      };
    });
    this.#handshake = undefined;
    if (result !== undefined && "wire" in result && !this.#over) return this.#settle({ ...result, peer: address });
    if (this.#over) wire.destroy();
    await new Promise<void>((resolve) => wire.released(resolve));
    if (result !== undefined && !("wire" in result)) this.#settle(result);
  }
}

/**
 * Connects, and calls `use` in the same breath, uninterruptibly: it starts the wire, and sees to its end. An interruption leaves
 * nothing open.
 */
export const dial = <A, R>(
  options: Options,
  use: (host: Host) => Effect.Effect<A, never, R>,
): Effect.Effect<A, Failure, R> =>
  Effect.gen(function* () {
    const { address, authKey, tls } = options;
    const wrong = complaint(address, 0);
    if (wrong !== undefined) return yield* Effect.fail(refuse(wrong.reason, wrong.message));
    if (tls !== undefined && tls !== false && "path" in address) {
      return yield* Effect.fail(refuse("Unsupported", "TLS needs an address of the kind { hostname, port }"));
    }
    const importing = toKey(authKey);
    if (typeof importing === "string") return yield* Effect.fail(refuse("InvalidOption", importing));
    const key = importing === undefined ? undefined : yield* Effect.uninterruptible(Effect.promise(() => importing));
    return yield* Effect.uninterruptibleMask((restore) => {
      let attempt: Attempt | undefined;
      const wait = Effect.async<Host, Failure>((resume) => {
        attempt = new Attempt(options, key, (result) =>
          resume("wire" in result ? Effect.succeed(result) : Effect.fail(result)));
      });
      return Effect.matchCauseEffect(restore(wait), {
        onFailure: (cause) =>
          Effect.zipRight(
            Effect.promise(() =>
              attempt?.drop() ?? Promise.resolve()
            ),
            Effect.failCause(cause),
          ),
        onSuccess: use,
      });
    });
  });
