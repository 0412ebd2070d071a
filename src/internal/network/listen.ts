/**
 * Listening: whoever connects is authenticated, each on its own, before anybody hears of him.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import type * as Scope from "effect/Scope";
import type { Peer } from "../pipe/end.ts";
import { type Address, complaint, fits, fromDeno, isAbstract, show, type UnixAddress } from "./address.ts";
import { AuthenticationError, type ConnectError, ListenError, type ListenErrorReason } from "./errors.ts";
import * as Handshake from "./handshake.ts";
import { type AuthKey, toKey } from "./key.ts";
import { Failures } from "./limits.ts";
import { type Socket, Wire } from "./tcp_transport.ts";

/**
 * The certificate of a listener, and the private key that belongs to it: both as text, in PEM.
 *
 * @since 0.1.0
 * @category models
 */
export interface Certificate {
  /** The certificate, and those between it and a known one. */
  readonly cert: string;
  /** The private key. */
  readonly key: string;
}

/** How to listen. */
export interface Options {
  /** None: a Unix socket in a folder of its own; on Windows any free port of this machine. */
  readonly address: Address | undefined;
  readonly authKey: AuthKey | undefined;
  readonly tls: Certificate | undefined;
  readonly purpose: number;
  readonly limits: Handshake.Limits;
  readonly maxConnections: number;
  readonly maxHandshakes: number;
  readonly handshakeMillis: number;
}

/** Somebody who has connected and proved that he has the key. */
export interface Visitor extends Handshake.Session {
  readonly peer: Peer;
}

/** What has come, so far. */
export interface Counts {
  open: number;
  accepted: number;
  failed: number;
  dropped: number;
  refused: number;
}

/** What a listener is told of. */
export interface Events {
  /** He is to be welcomed in the same breath: his wire is started, or destroyed. */
  readonly visitor: (visitor: Visitor) => void;
  /** A client has failed; `first` says that the log should hear of it, see {@link Failures.add}. */
  readonly failure: (error: AuthenticationError, peer: Peer, first: boolean) => void;
  /** Nobody is accepted any more. */
  readonly closed: () => void;
}

/** Milliseconds until the system is asked again, when it could not accept: it may be out of descriptors. */
const AGAIN = 50;

/** The part of a `Deno.Listener` that is used. */
interface Source {
  accept(): Promise<Socket & { readonly remoteAddr: Deno.Addr; setNoDelay?(): void; setKeepAlive?(): void }>;
  close(): void;
}

/** A socket that listens, and how its file is removed. */
interface Bound {
  readonly source: Source;
  readonly address: Address;
  readonly remove: () => void;
}

/** See above. */
export class Door {
  readonly address: Address;
  readonly counts: Counts = { open: 0, accepted: 0, failed: 0, dropped: 0, refused: 0 };
  /** Handshakes under way, the oldest first. */
  readonly #handshakes = new Map<Wire, Handshake.Underway>();
  readonly #wires = new Set<Wire>();
  readonly #failures = new Failures();
  readonly #bound: Bound;
  readonly #options: Options;
  readonly #key: CryptoKey | undefined;
  readonly #events: Events;
  readonly #loop: Promise<void>;
  #closed = false;
  #paused = false;
  #resume: (() => void) | undefined;

  constructor(bound: Bound, key: CryptoKey | undefined, options: Options, events: Events) {
    this.#bound = bound;
    this.address = bound.address;
    this.#key = key;
    this.#options = options;
    this.#events = events;
    this.#loop = this.#accept();
  }

  /** Handshakes under way. */
  get handshakes(): number {
    return this.#handshakes.size;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Leaves those who come now to the system, which lets so many wait, or goes on. */
  pause(paused: boolean): void {
    this.#paused = paused;
    if (paused) return;
    const resume = this.#resume;
    this.#resume = undefined;
    resume?.();
  }

  /** Accepts nobody any more. Who was welcomed is not concerned. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#bound.remove();
    this.#bound.source.close();
    this.pause(false);
    for (const handshake of [...this.#handshakes.values()]) handshake.refuse(Handshake.CLOSING);
    this.#events.closed();
  }

  /** Settled when the system knows that nobody listens any more. */
  get deaf(): Promise<void> {
    return this.#loop;
  }

  /** Settled when it is closed and all of its wires have been released. */
  async ended(): Promise<void> {
    await this.#loop;
    await Promise.all([...this.#wires].map((wire) => new Promise<void>((resolve) => wire.released(resolve))));
  }

  async #accept(): Promise<void> {
    while (!this.#closed) {
      if (this.#paused) {
        await new Promise<void>((resolve) => this.#resume = resolve);
        continue;
      }
      try {
        this.#admit(await this.#bound.source.accept());
      } catch {
        // He has gone again, or there is no descriptor for him now.
        if (!this.#closed) await new Promise((resolve) => setTimeout(resolve, AGAIN));
      }
    }
  }

  #admit(socket: Awaited<ReturnType<Source["accept"]>>): void {
    const peer = fromDeno(socket.remoteAddr, this.address);
    const wire = new Wire(socket);
    this.#wires.add(wire);
    wire.released(() => this.#wires.delete(wire));
    if (this.#closed) return wire.destroy();
    try {
      socket.setNoDelay?.();
      socket.setKeepAlive?.();
    } catch {
      // It has gone again, which reading will show.
    }
    const { handshakeMillis, limits, maxConnections, maxHandshakes, purpose } = this.#options;
    if (this.#handshakes.size >= maxHandshakes) this.#dropOne();
    const settings: Handshake.Settings = {
      role: Handshake.LISTENER,
      purpose,
      key: this.#key,
      limits,
      refuse: () => this.counts.open < maxConnections ? undefined : Handshake.FULL,
      delay: () => "hostname" in peer ? this.#failures.delay(peer.hostname) : 0,
    };
    const handshake = Handshake.authenticate(wire, settings, handshakeMillis, (result) => {
      if ("wire" in result) this.#welcome({ ...result, peer });
      else this.#failed(result, peer);
    });
    // One that is over still takes up a place, until its socket is closed.
    this.#handshakes.set(wire, handshake);
    wire.released(() => this.#handshakes.delete(wire));
  }

  /** Who floods drops his own: the oldest of those that are the least far. */
  #dropOne(): void {
    let worst: readonly [wire: Wire, underway: Handshake.Underway, progress: number] | undefined;
    for (const [wire, underway] of this.#handshakes) {
      const progress = underway.progress();
      if (worst === undefined || progress < worst[2]) worst = [wire, underway, progress];
      if (progress === 0) break;
    }
    if (worst === undefined) return;
    const [wire, underway, progress] = worst;
    this.#handshakes.delete(wire);
    // One that was over has been counted.
    if (progress > 0) this.counts.dropped++;
    underway.drop();
  }

  #welcome(visitor: Visitor): void {
    const { wire } = visitor;
    this.#handshakes.delete(wire);
    this.counts.accepted++;
    this.counts.open++;
    wire.released(() => this.counts.open--);
    if (this.#closed) wire.destroy();
    else this.#events.visitor(visitor);
  }

  #failed(error: AuthenticationError | ConnectError, peer: Peer): void {
    if (!(error instanceof AuthenticationError)) {
      this.counts.refused++;
      return;
    }
    this.counts.failed++;
    this.#events.failure(error, peer, this.#failures.add("hostname" in peer ? peer.hostname : ""));
  }
}

const refuse = (reason: ListenErrorReason, message: string, cause?: unknown): ListenError =>
  new ListenError(reason, `Cannot listen: ${message}`, cause);

const explain = (error: unknown, address: Address | undefined): ListenError => {
  if (error instanceof ListenError) return error;
  const where = address === undefined ? "" : ` at ${show(address)}`;
  const { message, name } = error as Error;
  switch (name) {
    case "AddrInUse":
    case "AlreadyExists":
      return refuse("AddressInUse", `somebody listens${where} already`, error);
    case "NotCapable":
    case "PermissionDenied":
      return refuse("PermissionDenied", message, error);
    case "AddrNotAvailable":
    case "NotFound":
      return refuse("AddressUnavailable", `there is no such place${where}: ${message}`, error);
    case "InvalidData":
    case "TypeError":
      return refuse("InvalidOption", message, error);
    default:
      return refuse("Failed", `${message}${where}`, error);
  }
};

/** A socket is bound under another name, in a folder that nobody else can enter, and gets its own when its mode is right. */
const RESERVED = "/.0123456789abcdef/s".length;

const tidy = (remove: () => void): void => {
  try {
    remove();
  } catch {
    // It is gone.
  }
};

/** A socket at a path that nobody has; throws `AlreadyExists` if somebody has it. */
const bindPath = (path: string): Bound => {
  const at = path.lastIndexOf("/");
  const folder = Deno.makeTempDirSync({ dir: at < 0 ? "." : path.slice(0, at) || "/", prefix: "." });
  const first = `${folder}/s`;
  try {
    const source = Deno.listen({ transport: "unix", path: first });
    try {
      Deno.chmodSync(first, 0o600);
      Deno.linkSync(first, path);
      const { dev, ino } = Deno.lstatSync(path);
      return {
        source,
        address: { path },
        remove: () =>
          tidy(() => {
            const now = Deno.lstatSync(path);
            // Unless somebody else has taken the place over.
            if (now.dev === dev && now.ino === ino) Deno.removeSync(path);
          }),
      };
    } catch (error) {
      source.close();
      throw error;
    }
  } finally {
    tidy(() => Deno.removeSync(folder, { recursive: true }));
  }
};

/** Where temporary files may be, the place that the system names first. `undefined` is that place. */
const FOLDERS = [undefined, "/tmp", "/var/tmp", "/dev/shm"];

/** A new folder in which the path of a socket is not longer than the system allows. */
const makeShortFolder = (): string => {
  let failure: unknown;
  for (const dir of FOLDERS) {
    try {
      const folder = Deno.makeTempDirSync({ ...(dir === undefined ? {} : { dir }), prefix: "multiprocessing-" });
      if (fits(`${folder}/socket`)) return folder;
      Deno.removeSync(folder);
    } catch (error) {
      failure ??= error;
    }
  }
  throw failure ?? refuse(
    "AddressUnavailable",
    "the path of a socket would be longer than the system allows in each folder for temporary files; " +
      "set TMPDIR to a shorter one, or give an address",
  );
};

/** A socket in a folder of its own. */
const bindAnywhere = (): Bound => {
  const folder = makeShortFolder();
  const path = `${folder}/socket`;
  try {
    const source = Deno.listen({ transport: "unix", path });
    Deno.chmodSync(path, 0o600);
    return { source, address: { path }, remove: () => tidy(() => Deno.removeSync(folder, { recursive: true })) };
  } catch (error) {
    tidy(() => Deno.removeSync(folder, { recursive: true }));
    throw error;
  }
};

const bind = (address: Address | undefined, tls: Certificate | undefined): Bound => {
  if (address === undefined) {
    if (tls === undefined && Deno.build.os !== "windows") return bindAnywhere();
    return bind({ hostname: "127.0.0.1", port: 0 }, tls);
  }
  if ("path" in address) {
    if (!isAbstract(address)) return bindPath(address.path);
    return { source: Deno.listen({ transport: "unix", path: address.path }), address, remove: () => {} };
  }
  const { hostname, port } = address;
  const source = tls === undefined ? Deno.listen({ hostname, port }) : Deno.listenTls({ hostname, port, ...tls });
  const bound = source.addr as Deno.NetAddr;
  return { source, address: { hostname: bound.hostname, port: bound.port }, remove: () => {} };
};

/** Takes the place of a socket whose listener is no more. */
const takeOver = ({ path }: UnixAddress): Effect.Effect<void, ListenError> =>
  Effect.tryPromise({
    try: async () => {
      if (!Deno.lstatSync(path).isSocket) {
        throw refuse("AddressInUse", `there is a file at ${path} that is no socket; remove it, or use another path`);
      }
      if (await answers(path)) throw refuse("AddressInUse", `somebody listens at ${path} already`);
      // In one step: of several who do this at once, each gets another file, and looks again whether it is a dead one.
      const aside = `${path}.${crypto.randomUUID().slice(0, 8)}`;
      Deno.renameSync(path, aside);
      if (await answers(aside)) {
        tidy(() => Deno.linkSync(aside, path));
        tidy(() => Deno.removeSync(aside));
        throw refuse("AddressInUse", `somebody listens at ${path} already`);
      }
      tidy(() => Deno.removeSync(aside));
    },
    catch: (error) => error instanceof ListenError ? error : explain(error, { path }),
  });

/** Whether somebody listens there. */
const answers = async (path: string): Promise<boolean> => {
  try {
    (await Deno.connect({ transport: "unix", path })).close();
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.ConnectionRefused || error instanceof Deno.errors.NotFound) return false;
    if (error instanceof Deno.errors.PermissionDenied || error instanceof Deno.errors.NotCapable) throw error;
    return true;
  }
};

/**
 * Listens until the scope closes, which waits for the wires of all who have come. So whoever welcomes them closes their wires in a
 * finalizer of his own, added after this.
 */
export const listen = (options: Options, events: Events): Effect.Effect<Door, ListenError, Scope.Scope> =>
  Effect.gen(function* () {
    const { address, tls } = options;
    const wrong = address === undefined ? undefined : complaint(address, RESERVED);
    if (wrong !== undefined) return yield* Effect.fail(refuse(wrong.reason, wrong.message));
    if (tls !== undefined && address !== undefined && "path" in address) {
      return yield* Effect.fail(refuse("Unsupported", "TLS needs an address of the kind { hostname, port }"));
    }
    const importing = toKey(options.authKey);
    if (typeof importing === "string") return yield* Effect.fail(refuse("InvalidOption", importing));
    const key = importing === undefined ? undefined : yield* Effect.uninterruptible(Effect.promise(() => importing));
    const open = Effect.acquireRelease(
      Effect.try({
        try: () => new Door(bind(address, tls), key, options, events),
        catch: (error) => explain(error, address),
      }),
      (door) =>
        Effect.promise(() => {
          door.close();
          return door.ended();
        }),
    );
    if (address === undefined || !("path" in address) || isAbstract(address)) return yield* open;
    return yield* Effect.catchAll(
      open,
      (error) =>
        error.reason === "AddressInUse"
          ? Effect.zipRight(Effect.uninterruptible(takeOver(address)), open)
          : Effect.fail(error),
    );
  });
