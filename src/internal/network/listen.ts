/**
 * Accepting connections from other programs. Each client is authenticated on its own, before the listener hears of it.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import type * as Scope from "effect/Scope";
import type { Peer } from "../pipe/end.ts";
import { type Address, addressError, fromDeno, isAbstract } from "./address.ts";
import {
  bind,
  type Bound,
  type Certificate,
  type ListeningSocket,
  refuse,
  removeStale,
  RESERVED,
  toListenError,
} from "./bind.ts";
import { AuthenticationError, type ConnectError, type ListenError } from "./errors.ts";
import { authenticate, type OpenHandshake, type PeerSession } from "./authenticate.ts";
import * as Handshake from "./handshake.ts";
import { type AuthKey, toKey } from "./key.ts";
import { Failures } from "./limits.ts";
import { TcpTransport } from "./tcp_transport.ts";

/** Options of {@link listen}. */
export interface ListenOptions {
  /** `undefined` means a Unix socket in a new folder, or on Windows any free port of the loopback interface. */
  readonly address: Address | undefined;
  readonly authKey: AuthKey | undefined;
  readonly tls: Certificate | undefined;
  readonly purpose: number;
  readonly limits: Handshake.Limits;
  readonly maxConnections: number;
  readonly maxHandshakes: number;
  readonly handshakeMillis: number;
}

/** Counts of clients since the listener was made; `open` is the number of open connections. */
export interface Counts {
  open: number;
  accepted: number;
  failed: number;
  dropped: number;
  refused: number;
}

/** Events of an {@link Acceptor}. */
export interface ListenEvents {
  /** A client has proved the key. The handler must start or destroy its transport before it returns. */
  readonly accepted: (session: PeerSession) => void;
  /** A client has failed to authenticate. `log` says whether to log the failure; see {@link Failures.add}. */
  readonly rejected: (error: AuthenticationError, peer: Peer, log: boolean) => void;
  /** No more clients will be accepted. */
  readonly closed: () => void;
}

/** Milliseconds to wait when the system could not accept a connection: the process may be out of descriptors. */
const RETRY = 50;

/** Accepts and authenticates clients on one listening socket. */
export class Acceptor {
  readonly address: Address;
  readonly counts: Counts = { open: 0, accepted: 0, failed: 0, dropped: 0, refused: 0 };
  /** Open handshakes, oldest first. */
  readonly #handshakes = new Map<TcpTransport, OpenHandshake>();
  readonly #transports = new Set<TcpTransport>();
  readonly #failures = new Failures();
  readonly #bound: Bound;
  readonly #options: ListenOptions;
  readonly #key: CryptoKey | undefined;
  readonly #events: ListenEvents;
  readonly #loop: Promise<void>;
  #closed = false;
  #paused = false;
  #resume: (() => void) | undefined;

  constructor(bound: Bound, key: CryptoKey | undefined, options: ListenOptions, events: ListenEvents) {
    this.#bound = bound;
    this.address = bound.address;
    this.#key = key;
    this.#options = options;
    this.#events = events;
    this.#loop = this.#acceptLoop();
  }

  /** The number of open handshakes. */
  get handshakes(): number {
    return this.#handshakes.size;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Stops or resumes accepting. Meanwhile, clients wait in the system's backlog. */
  pause(paused: boolean): void {
    this.#paused = paused;
    if (paused) return;
    const resume = this.#resume;
    this.#resume = undefined;
    resume?.();
  }

  /** Stops listening. Accepted connections stay open. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#bound.remove();
    this.#bound.socket.close();
    this.pause(false);
    for (const handshake of [...this.#handshakes.values()]) handshake.refuse(Handshake.CLOSING);
    this.#events.closed();
  }

  /** Settles once the system has closed the listening socket. */
  get unbound(): Promise<void> {
    return this.#loop;
  }

  /** Settles once the listening socket is closed and all transports have been released. */
  async ended(): Promise<void> {
    await this.#loop;
    await Promise.all(
      [...this.#transports].map((transport) => new Promise<void>((resolve) => transport.released(resolve))),
    );
  }

  async #acceptLoop(): Promise<void> {
    while (!this.#closed) {
      if (this.#paused) {
        await new Promise<void>((resolve) => this.#resume = resolve);
        continue;
      }
      try {
        this.#admit(await this.#bound.socket.accept());
      } catch {
        // The client has disconnected, or the process is out of descriptors.
        if (!this.#closed) await new Promise((resolve) => setTimeout(resolve, RETRY));
      }
    }
  }

  #admit(socket: Awaited<ReturnType<ListeningSocket["accept"]>>): void {
    const peer = fromDeno(socket.remoteAddr, this.address);
    const transport = new TcpTransport(socket);
    this.#transports.add(transport);
    transport.released(() => this.#transports.delete(transport));
    if (this.#closed) return transport.destroy();
    try {
      socket.setNoDelay?.();
      socket.setKeepAlive?.();
    } catch {
      // The client has disconnected; reading will show it.
    }
    const { handshakeMillis, limits, maxConnections, maxHandshakes, purpose } = this.#options;
    if (this.#handshakes.size >= maxHandshakes) this.#dropOldest();
    const settings: Handshake.HandshakeSettings = {
      role: Handshake.LISTENER,
      purpose,
      key: this.#key,
      limits,
      refuse: () => this.counts.open < maxConnections ? undefined : Handshake.FULL,
      delay: () => "hostname" in peer ? this.#failures.delay(peer.hostname) : 0,
    };
    const handshake = authenticate(transport, settings, handshakeMillis, (result) => {
      if ("transport" in result) this.#accepted({ ...result, peer });
      else this.#rejected(result, peer);
    });
    // A handshake counts until its socket is closed, even if it has failed before.
    this.#handshakes.set(transport, handshake);
    transport.released(() => this.#handshakes.delete(transport));
  }

  /** When the table is full, drops the oldest handshake in the earliest stage. */
  #dropOldest(): void {
    let found: readonly [transport: TcpTransport, handshake: OpenHandshake, progress: number] | undefined;
    for (const [transport, handshake] of this.#handshakes) {
      const progress = handshake.progress();
      if (found === undefined || progress < found[2]) found = [transport, handshake, progress];
      if (progress === 0) break;
    }
    if (found === undefined) return;
    const [transport, handshake, progress] = found;
    this.#handshakes.delete(transport);
    // A handshake that is done has been counted as failed or refused.
    if (progress > 0) this.counts.dropped++;
    handshake.drop();
  }

  #accepted(session: PeerSession): void {
    const { transport } = session;
    this.#handshakes.delete(transport);
    this.counts.accepted++;
    this.counts.open++;
    transport.released(() => this.counts.open--);
    if (this.#closed) transport.destroy();
    else this.#events.accepted(session);
  }

  #rejected(error: AuthenticationError | ConnectError, peer: Peer): void {
    if (!(error instanceof AuthenticationError)) {
      this.counts.refused++;
      return;
    }
    this.counts.failed++;
    this.#events.rejected(error, peer, this.#failures.add("hostname" in peer ? peer.hostname : ""));
  }
}

/**
 * Listens until the scope closes. Closing waits until all transports have been released: a user of this function closes
 * accepted transports in a finalizer that it adds afterwards.
 */
export const listen = (
  options: ListenOptions,
  events: ListenEvents,
): Effect.Effect<Acceptor, ListenError, Scope.Scope> =>
  Effect.gen(function* () {
    const { address, tls } = options;
    const wrong = address === undefined ? undefined : addressError(address, RESERVED);
    if (wrong !== undefined) return yield* Effect.fail(refuse(wrong.reason, wrong.message));
    if (tls !== undefined && address !== undefined && "path" in address) {
      return yield* Effect.fail(refuse("Unsupported", "TLS needs an address of the form { hostname, port }"));
    }
    const importing = toKey(options.authKey);
    if (typeof importing === "string") return yield* Effect.fail(refuse("InvalidOption", importing));
    const key = importing === undefined ? undefined : yield* Effect.uninterruptible(Effect.promise(() => importing));
    const acceptor = Effect.acquireRelease(
      Effect.try({
        try: () => new Acceptor(bind(address, tls), key, options, events),
        catch: (error) => toListenError(error, address),
      }),
      (acceptor) =>
        Effect.promise(() => {
          acceptor.close();
          return acceptor.ended();
        }),
    );
    if (address === undefined || !("path" in address) || isAbstract(address)) return yield* acceptor;
    return yield* Effect.catchAll(
      acceptor,
      (error) =>
        error.reason === "AddressInUse"
          ? Effect.zipRight(Effect.uninterruptible(removeStale(address)), acceptor)
          : Effect.fail(error),
    );
  });
