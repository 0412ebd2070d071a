/**
 * Connections of the NATS client by Deno's own sockets. With Node's sockets, as the client's transport for Node uses them, a
 * reset that arrives while the client gives up a connection is an uncaught error, which ends the program.
 *
 * @module
 */
import type { ConnectionOptions, NatsConnection, Server, TlsOptions } from "@nats-io/nats-core";
import { errors } from "@nats-io/nats-core";
import {
  checkOptions,
  extractProtocolMessage,
  INFO,
  NatsConnectionImpl,
  setTransportFactory,
  type Transport,
} from "@nats-io/nats-core/internal";

/** The bytes of a connection. Errors are rejections. */
interface Bytes {
  /** The next bytes, in memory of their own, or `undefined` at the end. */
  readonly read: () => Promise<Uint8Array | undefined>;
  /** Writes all of the bytes. */
  readonly write: (bytes: Uint8Array) => Promise<void>;
  readonly close: () => void;
  /** The same connection with TLS, checked for the name of the server. */
  readonly secure: (name: string) => Promise<Bytes>;
}

/** Size of a read in bytes. */
const READ = 65536;

/** Shorter reads are copied, so that the buffer can be used again. */
const COPY = 16384;

interface Certificates {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

const text = (
  file: string | undefined,
  content: string | undefined,
): Promise<string | undefined> | string | undefined => file === undefined ? content : Deno.readTextFile(file);

const certificatesOf = async (
  { ca, caFile, cert, certFile, key, keyFile }: TlsOptions,
): Promise<Certificates> => {
  const [authority, certificate, secret] = await Promise.all([
    text(caFile, ca),
    text(certFile, cert),
    text(keyFile, key),
  ]);
  return {
    ...(authority === undefined ? {} : { ca: authority }),
    ...(certificate === undefined ? {} : { cert: certificate }),
    ...(secret === undefined ? {} : { key: secret }),
  };
};

const bytesOf = (conn: Deno.TcpConn | Deno.TlsConn, { ca }: Certificates): Bytes => {
  let buffer = new Uint8Array(READ);
  return {
    read: async () => {
      const length = await conn.read(buffer);
      if (length === null) return undefined;
      if (length < COPY) return buffer.slice(0, length);
      const bytes = buffer.subarray(0, length);
      buffer = new Uint8Array(READ);
      return bytes;
    },
    write: async (bytes) => {
      for (let at = 0; at < bytes.length;) at += await conn.write(bytes.subarray(at));
    },
    close: () => {
      try {
        conn.close();
      } catch (error) {
        // It has gone on as a connection with TLS.
        if (!(error instanceof Deno.errors.BadResource)) throw error;
      }
    },
    secure: async (hostname) => {
      const secured = await Deno.startTls(conn as Deno.TcpConn, {
        hostname,
        ...(ca === undefined ? {} : { caCerts: [ca] }),
      });
      try {
        await secured.handshake();
      } catch (error) {
        secured.close();
        throw error;
      }
      return bytesOf(secured, {});
    },
  };
};

/** Deno shows a client's certificate on a connection that becomes secure later only by Node's interface. */
const connectAsNode = async (port: number, hostname: string, certificates: Certificates): Promise<Bytes> => {
  const [{ connect }, tls] = await Promise.all([import("node:net"), import("node:tls")]);
  const nodeBytes = (socket: ReturnType<typeof connect>): Bytes => {
    // Each error also rejects what is read. This listener stays, so that none is uncaught.
    socket.on("error", () => {});
    return {
      read: () =>
        new Promise((resolve, reject) => {
          const data = (bytes: Uint8Array) => settle(() => resolve(bytes));
          const end = () => settle(() => resolve(undefined));
          const error = (cause: Error) => settle(() => reject(cause));
          const settle = (run: () => void): void => {
            socket.pause().off("data", data).off("close", end).off("error", error);
            run();
          };
          if (socket.destroyed) resolve(undefined);
          else socket.on("data", data).on("close", end).on("error", error).resume();
        }),
      write: (bytes) =>
        new Promise((resolve, reject) => void socket.write(bytes, (error) => error ? reject(error) : resolve())),
      close: () => void socket.destroy(),
      secure: (servername) =>
        new Promise((resolve, reject) => {
          const secured = tls.connect({ ...certificates, socket, servername }, () => resolve(nodeBytes(secured)));
          secured.once("error", reject).once("close", () => reject(new Error("the server closed the connection")));
        }),
    };
  };
  return new Promise((resolve, reject) => {
    const socket = connect(port, hostname, () => resolve(nodeBytes(socket.setNoDelay(true))));
    socket.once("error", reject);
  });
};

class DenoTransport implements Transport {
  readonly lang = "nats.deno";
  readonly version = "3";
  closeError?: Error;
  #bytes: Bytes | undefined;
  #connected = false;
  #encrypted = false;
  #closed = false;
  /** What was read with the server's greeting, which the client wants to read too. */
  #greeting: Uint8Array | undefined;
  #unsent: Array<Uint8Array> = [];
  #sending = false;
  readonly #dialing = new AbortController();
  readonly #end = Promise.withResolvers<void | Error>();

  get isClosed(): boolean {
    return this.#closed;
  }

  isEncrypted(): boolean {
    return this.#encrypted;
  }

  closed(): Promise<void | Error> {
    return this.#end.promise;
  }

  async connect(server: Server, options: ConnectionOptions): Promise<void> {
    try {
      await this.#dial(server, options);
      if (this.#closed) throw new errors.ConnectionError("closed");
      this.#connected = true;
    } catch (error) {
      this.#bytes?.close();
      throw error instanceof Deno.errors.ConnectionRefused
        ? new errors.ConnectionError("connection refused", { cause: error })
        : error;
    }
  }

  async #dial(server: Server, options: ConnectionOptions): Promise<void> {
    const hostname = server.hostname.replace(/^\[(.*)\]$/, "$1");
    const { port } = server;
    const certificates = await certificatesOf(options.tls ?? {});
    if (options.tls?.handshakeFirst === true) {
      const { ca, cert, key } = certificates;
      const conn = await Deno.connectTls({
        hostname,
        port,
        ...(ca === undefined ? {} : { caCerts: [ca] }),
        ...(cert === undefined || key === undefined ? {} : { cert, key }),
      });
      this.#bytes = bytesOf(conn, {});
      await conn.handshake();
      this.#encrypted = true;
    } else if (certificates.cert !== undefined) {
      this.#bytes = await connectAsNode(port, hostname, certificates);
    } else {
      const conn = await Deno.connect({ hostname, port, signal: this.#dialing.signal });
      conn.setNoDelay(true);
      this.#bytes = bytesOf(conn, certificates);
    }
    if (this.#closed) throw new errors.ConnectionError("closed");
    const info = await this.#greet(this.#bytes);
    checkOptions(info, options);
    const secure = info.tls_required || (info.tls_available && options.tls !== null);
    if (!this.#encrypted && secure) {
      this.#bytes = await this.#bytes.secure(server.tlsName || hostname);
      this.#encrypted = true;
    }
  }

  async #greet({ read }: Bytes): Promise<Parameters<typeof checkOptions>[0]> {
    let greeting = new Uint8Array(0);
    while (true) {
      const bytes = await read();
      if (bytes === undefined) throw new errors.ConnectionError("the server closed the connection");
      const longer = new Uint8Array(greeting.length + bytes.length);
      longer.set(greeting);
      longer.set(bytes, greeting.length);
      greeting = longer;
      const line = extractProtocolMessage(greeting);
      if (line === "") continue;
      const info = INFO.exec(line);
      if (info === null) throw new errors.ConnectionError("this is no NATS server");
      this.#greeting = greeting;
      return JSON.parse(info[1]);
    }
  }

  async *[Symbol.asyncIterator](): AsyncIterableIterator<Uint8Array> {
    let failure: Error | undefined;
    try {
      yield this.#greeting!;
      const { read } = this.#bytes!;
      let heard = false;
      try {
        for (let bytes = await read(); bytes !== undefined; bytes = await read()) {
          heard = true;
          yield bytes;
        }
      } catch (error) {
        failure = error as Error;
      }
      // Whether a server refuses the certificate, or the lack of one, is known only after the handshake. The client learns of it
      // as of a wrong password: what it hears otherwise would be nothing.
      if (failure !== undefined && !heard && this.#encrypted && !this.#closed) {
        yield new TextEncoder().encode(`-ERR 'Authorization Violation (TLS: ${failure.message})'\r\n`);
      }
    } finally {
      this.#close(failure);
    }
  }

  send(frame: Uint8Array): void {
    this.#unsent.push(frame);
    if (!this.#sending) void this.#send();
  }

  async #send(): Promise<void> {
    this.#sending = true;
    try {
      for (let frame = this.#unsent.shift(); frame !== undefined; frame = this.#unsent.shift()) {
        await this.#bytes!.write(frame);
      }
    } catch {
      // The connection is broken, which the reader, or the missing answer to a PING, tells the client.
      this.#unsent = [];
    }
    this.#sending = false;
  }

  close(error?: Error): Promise<void> {
    this.#close(error);
    return Promise.resolve();
  }

  disconnect(): void {
    this.#close(undefined);
  }

  discard(): void {
    this.#connected = false;
    this.#close(undefined);
  }

  #close(error: Error | undefined): void {
    if (this.#closed) return;
    this.#closed = true;
    if (error !== undefined) this.closeError = error;
    this.#dialing.abort();
    this.#bytes?.close();
    // The client makes a connection that broke again, and tries again by itself where none was made.
    if (this.#connected) this.#end.resolve(error);
  }
}

/** Connects to a server. */
export const connect = (options: ConnectionOptions): Promise<NatsConnection> => {
  setTransportFactory({ factory: () => new DenoTransport() });
  return NatsConnectionImpl.connect(options);
};
