/**
 * Binding a listening socket to an address.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import { type Address, fits, isAbstract, show, type UnixAddress } from "./address.ts";
import { ListenError, type ListenErrorReason } from "./errors.ts";
import type { TcpSocket } from "./tcp_transport.ts";

/**
 * The certificate of a listener and its private key, both as text in PEM.
 *
 * @since 0.1.0
 * @category models
 */
export interface Certificate {
  /** The certificate, followed by any intermediate certificates. */
  readonly cert: string;
  /** The private key. */
  readonly key: string;
}

/** The part of a `Deno.Listener` that is used. */
export interface ListeningSocket {
  accept(): Promise<TcpSocket & { readonly remoteAddr: Deno.Addr; setNoDelay?(): void; setKeepAlive?(): void }>;
  close(): void;
}

/** A listening socket with its address. */
export interface Bound {
  readonly socket: ListeningSocket;
  readonly address: Address;
  /** Removes the socket's file. */
  readonly remove: () => void;
}

export const refuse = (reason: ListenErrorReason, message: string, cause?: unknown): ListenError =>
  new ListenError(reason, `Cannot listen: ${message}`, cause);

/** Converts an error of binding. */
export const toListenError = (error: unknown, address: Address | undefined): ListenError => {
  if (error instanceof ListenError) return error;
  const where = address === undefined ? "" : ` at ${show(address)}`;
  const { message, name } = error as Error;
  switch (name) {
    case "AddrInUse":
    case "AlreadyExists":
      return refuse("AddressInUse", `another listener uses the address${where}`, error);
    case "NotCapable":
    case "PermissionDenied":
      return refuse("PermissionDenied", message, error);
    case "AddrNotAvailable":
    case "NotFound":
      return refuse("AddressUnavailable", `there is no such address${where}: ${message}`, error);
    case "InvalidData":
    case "TypeError":
      return refuse("InvalidOption", message, error);
    default:
      return refuse("Failed", `${message}${where}`, error);
  }
};

/**
 * Bytes that a path must leave free. A socket is bound under a temporary name, in a folder that no other user can enter; it
 * gets its own name once its mode is set.
 */
export const RESERVED: number = "/.0123456789abcdef/s".length;

/** Removes a file or folder; it is no error if it does not exist any more. */
const tidy = (remove: () => void): void => {
  try {
    remove();
  } catch {
    // It was removed before.
  }
};

/** Binds a socket to a path. Throws `AlreadyExists` if the path exists. */
const bindPath = (path: string): Bound => {
  const at = path.lastIndexOf("/");
  const folder = Deno.makeTempDirSync({ dir: at < 0 ? "." : path.slice(0, at) || "/", prefix: "." });
  const temporary = `${folder}/s`;
  try {
    const socket = Deno.listen({ transport: "unix", path: temporary });
    try {
      Deno.chmodSync(temporary, 0o600);
      Deno.linkSync(temporary, path);
      const { dev, ino } = Deno.lstatSync(path);
      return {
        socket,
        address: { path },
        remove: () =>
          tidy(() => {
            const now = Deno.lstatSync(path);
            // Another listener may have taken the path over.
            if (now.dev === dev && now.ino === ino) Deno.removeSync(path);
          }),
      };
    } catch (error) {
      socket.close();
      throw error;
    }
  } finally {
    tidy(() => Deno.removeSync(folder, { recursive: true }));
  }
};

/** Folders for temporary files, in order of preference. `undefined` is the system's default. */
const FOLDERS = [undefined, "/tmp", "/var/tmp", "/dev/shm"];

/** Makes a folder whose path is short enough for a socket in it. */
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

/** Binds a socket in a new folder that only this user can enter. */
const bindTemporary = (): Bound => {
  const folder = makeShortFolder();
  const path = `${folder}/socket`;
  const remove = (): void => tidy(() => Deno.removeSync(folder, { recursive: true }));
  try {
    const socket = Deno.listen({ transport: "unix", path });
    Deno.chmodSync(path, 0o600);
    return { socket, address: { path }, remove };
  } catch (error) {
    remove();
    throw error;
  }
};

/** Binds a socket. Throws the error of Deno, or a `ListenError`. */
export const bind = (address: Address | undefined, tls: Certificate | undefined): Bound => {
  if (address === undefined) {
    if (tls === undefined && Deno.build.os !== "windows") return bindTemporary();
    return bind({ hostname: "127.0.0.1", port: 0 }, tls);
  }
  if ("path" in address) {
    if (!isAbstract(address)) return bindPath(address.path);
    return { socket: Deno.listen({ transport: "unix", path: address.path }), address, remove: () => {} };
  }
  const { hostname, port } = address;
  const socket = tls === undefined ? Deno.listen({ hostname, port }) : Deno.listenTls({ hostname, port, ...tls });
  const bound = socket.addr as Deno.NetAddr;
  return { socket, address: { hostname: bound.hostname, port: bound.port }, remove: () => {} };
};

/** Removes the socket at a path if its listener has died; fails with `AddressInUse` otherwise. */
export const removeStale = ({ path }: UnixAddress): Effect.Effect<void, ListenError> =>
  Effect.tryPromise({
    try: async () => {
      if (!Deno.lstatSync(path).isSocket) {
        throw refuse("AddressInUse", `the file at ${path} is not a socket; remove it, or use another path`);
      }
      const inUse = (): ListenError => refuse("AddressInUse", `another listener uses the path ${path}`);
      if (await isListening(path)) throw inUse();
      // Atomic: if several programs do this at the same time, each gets another file, and checks again whether it is stale.
      const aside = `${path}.${crypto.randomUUID().slice(0, 8)}`;
      Deno.renameSync(path, aside);
      const revived = await isListening(aside);
      if (revived) tidy(() => Deno.linkSync(aside, path));
      tidy(() => Deno.removeSync(aside));
      if (revived) throw inUse();
    },
    catch: (error) => error instanceof ListenError ? error : toListenError(error, { path }),
  });

const isListening = async (path: string): Promise<boolean> => {
  try {
    (await Deno.connect({ transport: "unix", path })).close();
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.ConnectionRefused || error instanceof Deno.errors.NotFound) return false;
    if (error instanceof Deno.errors.PermissionDenied || error instanceof Deno.errors.NotCapable) throw error;
    return true;
  }
};
