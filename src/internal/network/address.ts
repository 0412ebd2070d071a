/**
 * Where a listener is.
 *
 * @module
 */
import type { Peer } from "../pipe/end.ts";
import { show as shown } from "../os/arguments.ts";

/**
 * A port of this machine or of another.
 *
 * @since 0.1.0
 * @category models
 */
export interface TcpAddress {
  /** A name, or an IP address. */
  readonly hostname: string;
  /** Its number; for a listener 0 is any that is free. */
  readonly port: number;
}

/**
 * A Unix socket: a file; or, on Linux, a name of the system's if it begins with NUL.
 *
 * @since 0.1.0
 * @category models
 */
export interface UnixAddress {
  /** Its path. Systems allow about a hundred bytes. */
  readonly path: string;
}

/**
 * Where a listener is, or who has connected.
 *
 * @since 0.1.0
 * @category models
 */
export type Address = TcpAddress | UnixAddress;

/** How it is named in messages. */
export const show = (address: Address): string =>
  "path" in address ? address.path.replace("\0", "\\0") : `${bracketed(address.hostname)}:${address.port}`;

const bracketed = (hostname: string): string => hostname.includes(":") ? `[${hostname}]` : hostname;

/** What the system calls an address. A Unix socket that has connected has none, and goes by the listener's. */
export const fromDeno = (address: Deno.Addr, own: Address): Peer => {
  if (address.transport === "tcp") return { hostname: address.hostname, port: address.port };
  return { path: "path" in own ? own.path : "" };
};

/** Whether it is the name of no file. */
export const isAbstract = ({ path }: UnixAddress): boolean => path.startsWith("\0");

const MAX_PATH = Deno.build.os === "linux" ? 107 : 103;

const utf8 = new TextEncoder();

/** Whether the system allows a socket at this path. */
export const fits = (path: string): boolean => utf8.encode(path).length <= MAX_PATH;

/** What is wrong with an address, if anything is. `reserved` are bytes that a longer path is needed for meanwhile. */
export const complaint = (
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
  if (hostname !== undefined || port !== undefined) return invalid("an address has either a path or a port");
  if (typeof path !== "string" || path === "" || path === "\0") {
    return invalid(`the path must be a non-empty string, received ${shown(path)}`);
  }
  if (path.indexOf("\0", 1) > 0) return invalid("the path has a NUL in it");
  if (Deno.build.os === "windows") {
    return { reason: "Unsupported", message: "Deno has no Unix sockets on Windows; use { hostname, port }" };
  }
  if (path[0] === "\0" && Deno.build.os !== "linux") {
    return { reason: "Unsupported", message: "only Linux has names that are no files; use a path" };
  }
  const length = utf8.encode(path).length + (path[0] === "\0" ? 0 : reserved);
  return length > MAX_PATH
    ? invalid(`the path is ${length - MAX_PATH} bytes longer than the system allows; use a folder with a shorter name`)
    : undefined;
};
