/**
 * A listener that accepts exactly one connection. It is a Unix socket in a folder that only this user can enter or, where that is
 * not possible, a port on the loopback interface. A peer first sends the token of the listener. The listener accepts the first
 * connection with the correct token, and then closes.
 *
 * The path of a socket can be read on a command line. The token is only in the message or variable that carries it.
 *
 * Free of Effect.
 *
 * @module
 */
import { attempt, granted, inPrivateFolder } from "../os/private_folder.ts";
import type { Socket } from "./connection.ts";

/** The address of a listener. */
export type ListenerAddress = { readonly unix: string } | { readonly port: number };

/** The data that another process needs to connect to a listener. */
export interface Invitation {
  readonly at: ListenerAddress;
  readonly token: Uint8Array;
}

/** An open listener. */
export interface OneTimeListener {
  readonly invitation: Invitation;
  /** Resolves with the first connection that sends the token. Rejects if the listener is closed before. */
  readonly connection: Promise<Socket>;
  /** Closes the listener. Has no effect once a connection was accepted. */
  readonly close: () => void;
}

/** The length of a token in bytes. */
const TOKEN = 16;

/** The maximum number of connections that have not sent a token yet. A further connection replaces the oldest. */
const WAITING = 16;

/** The longest path of a socket in bytes. The limit of the system is 104 on macOS and 108 on Linux, with the final zero. */
const LONGEST_PATH = 103;

const LOOPBACK = "127.0.0.1";

/** Whether this process has permission to make, or connect to, the socket at `path`. */
const mayUse = (path: string): boolean =>
  granted({ name: "net", host: `unix:${path}` }) && granted({ name: "read", path }) &&
  granted({ name: "write", path });

const encoder = new TextEncoder();

interface Listening {
  readonly at: ListenerAddress;
  readonly listener: Deno.Listener;
  readonly remove: () => void;
}

const listenUnix = (): Listening | undefined => {
  if (Deno.build.os === "windows") return undefined;
  const made = inPrivateFolder(
    "s",
    (path) => encoder.encode(path).length <= LONGEST_PATH && mayUse(path),
    // The type is UnixListener, which differs from Listener only in its addresses.
    (path) => Deno.listen({ transport: "unix", path }) as Deno.Listener,
  );
  return made && { at: { unix: made.path }, listener: made.value, remove: made.remove };
};

const listenLoopback = (): Listening | undefined => {
  if (!granted({ name: "net", host: LOOPBACK })) return undefined;
  const listener = attempt(() => Deno.listen({ hostname: LOOPBACK, port: 0 }));
  return listener && { at: { port: (listener.addr as Deno.NetAddr).port }, listener, remove: () => {} };
};

/** Starts to listen. Returns `undefined` if this process has no permission to listen. */
export const listen = (): OneTimeListener | undefined => {
  const listening = listenUnix() ?? listenLoopback();
  if (listening === undefined) return undefined;
  const { at, listener, remove } = listening;
  const token = crypto.getRandomValues(new Uint8Array(TOKEN));
  const waiting = new Set<Deno.Conn>();
  let open = true;
  const accepted = Promise.withResolvers<Socket>();
  // A caller that closes the listener need not await the connection: its rejection must not be an unhandled one.
  accepted.promise.catch(() => {});
  const shut = (): void => {
    if (!open) return;
    open = false;
    listener.close();
    remove();
    const others = [...waiting];
    // Emptied before the connections are closed, so that their failing reads do not close them again.
    waiting.clear();
    for (const other of others) other.close();
  };
  const check = async (connection: Deno.Conn): Promise<void> => {
    waiting.add(connection);
    if (waiting.size > WAITING) {
      const [oldest] = waiting;
      waiting.delete(oldest);
      oldest.close();
    }
    const shown = new Uint8Array(TOKEN);
    try {
      for (let at = 0; at < TOKEN;) {
        const count = await connection.read(shown.subarray(at));
        if (count === null) throw new Error("it left");
        at += count;
      }
    } catch {
      // The peer has left, or this side has closed the connection.
      if (waiting.delete(connection)) connection.close();
      return;
    }
    if (!waiting.delete(connection)) return;
    if (!open || !same(shown, token)) return connection.close();
    shut();
    if ("port" in at) (connection as Deno.TcpConn).setNoDelay(true);
    accepted.resolve(connection);
  };
  const accept = async (): Promise<void> => {
    while (open) {
      let connection: Deno.Conn;
      try {
        connection = await listener.accept();
      } catch (error) {
        if (open) {
          shut();
          accepted.reject(error instanceof Error ? error : new Error(String(error)));
        }
        return;
      }
      void check(connection);
    }
  };
  void accept();
  return {
    invitation: { at, token },
    connection: accepted.promise,
    close: () => {
      if (!open) return;
      shut();
      accepted.reject(new Error("the listener was closed"));
    },
  };
};

/** Compares in constant time, so that the duration does not reveal the position of a difference. */
const same = (a: Uint8Array, b: Uint8Array): boolean => {
  let difference = 0;
  for (let i = 0; i < TOKEN; i++) difference |= a[i] ^ b[i];
  return difference === 0;
};

/** Whether this process has permission to connect to a listener. */
export const mayConnect = ({ at }: Invitation): boolean =>
  "unix" in at
    ? Deno.build.os !== "windows" && mayUse(at.unix)
    : granted({ name: "net", host: `${LOOPBACK}:${at.port}` });

/** Connects to a listener, and sends its token. */
export const connect = async ({ at, token }: Invitation): Promise<Socket> => {
  const connection = "unix" in at
    ? await Deno.connect({ transport: "unix", path: at.unix })
    : await Deno.connect({ hostname: LOOPBACK, port: at.port });
  if ("port" in at) (connection as Deno.TcpConn).setNoDelay(true);
  try {
    for (let done = 0; done < TOKEN;) done += await connection.write(token.subarray(done));
  } catch (error) {
    connection.close();
    throw error;
  }
  return connection;
};

/** The permissions that a process needs to connect to a listener, as values of Deno's flags. */
export const permissions = ({ at }: Invitation): { readonly net: string; readonly path: string | undefined } =>
  "unix" in at ? { net: `unix:${at.unix}`, path: at.unix } : { net: `${LOOPBACK}:${at.port}`, path: undefined };
