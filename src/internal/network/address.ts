/**
 * Addresses of listeners.
 *
 * @module
 */
import type { Peer } from "../pipe/end.ts";
import { show as shown } from "../os/arguments.ts";

/**
 * A TCP address.
 *
 * @since 0.1.0
 * @category models
 */
export interface TcpAddress {
  /** A host name or an IP address. */
  readonly hostname: string;
  /** The port number. For a listener, 0 means any free port. */
  readonly port: number;
}

/**
 * The address of a Unix socket: the path of a file or, if it begins with NUL, an abstract name of Linux.
 *
 * @since 0.1.0
 * @category models
 */
export interface UnixAddress {
  /** The path. Systems allow about a hundred bytes. */
  readonly path: string;
}

/**
 * The address of a listener or of a client.
 *
 * @since 0.1.0
 * @category models
 */
export type Address = TcpAddress | UnixAddress;

/** An address as text, for messages. */
export const show = (address: Address): string =>
  "path" in address ? address.path.replace("\0", "\\0") : `${bracketed(address.hostname)}:${address.port}`;

const bracketed = (hostname: string): string => hostname.includes(":") ? `[${hostname}]` : hostname;

/** The address of a client. A client at a Unix socket has none of its own, and gets the listener's. */
export const fromDeno = (address: Deno.Addr, listener: Address): Peer => {
  if (address.transport === "tcp") return { hostname: address.hostname, port: address.port };
  return { path: "path" in listener ? listener.path : "" };
};

/** Whether the address is an abstract name, which is not a file. */
export const isAbstract = ({ path }: UnixAddress): boolean => path.startsWith("\0");

const MAX_PATH = Deno.build.os === "linux" ? 107 : 103;

const utf8 = new TextEncoder();

/** Whether the path is short enough for a socket. */
export const fits = (path: string): boolean => utf8.encode(path).length <= MAX_PATH;

/** Why an address is invalid, or `undefined`. The path must leave `reserved` bytes free. */
export const addressError = (
  address: unknown,
  reserved: number,
): { readonly reason: "InvalidOption" | "Unsupported"; readonly message: string } | undefined => {
  const invalid = (message: string) => ({ reason: "InvalidOption", message } as const);
  if (typeof address !== "object" || address === null) {
    return invalid(`the address must be { hostname, port } or { path }, received ${shown(address)}`);
  }
  const { hostname, path, port } = address as { hostname?: unknown; path?: unknown; port?: unknown };
  if (path === undefined) {
    if (typeof hostname !== "string" || hostname === "") {
      return invalid(`the hostname must be a non-empty string, received ${shown(hostname)}`);
    }
    return Number.isInteger(port) && (port as number) >= 0 && (port as number) <= 65535
      ? undefined
      : invalid(`the port must be an integer from 0 to 65535, received ${shown(port)}`);
  }
  if (hostname !== undefined || port !== undefined) {
    return invalid("an address has either a path or a hostname and a port, not both");
  }
  if (typeof path !== "string" || path === "" || path === "\0") {
    return invalid(`the path must be a non-empty string, received ${shown(path)}`);
  }
  if (path.indexOf("\0", 1) > 0) return invalid("the path contains a NUL character");
  if (Deno.build.os === "windows") {
    return { reason: "Unsupported", message: "Deno has no Unix sockets on Windows; use { hostname, port }" };
  }
  if (path[0] === "\0" && Deno.build.os !== "linux") {
    return { reason: "Unsupported", message: "abstract names exist only on Linux; use the path of a file" };
  }
  const length = utf8.encode(path).length + (path[0] === "\0" ? 0 : reserved);
  return length > MAX_PATH
    ? invalid(`the path is ${length - MAX_PATH} bytes longer than the system allows; use a folder with a shorter name`)
    : undefined;
};
