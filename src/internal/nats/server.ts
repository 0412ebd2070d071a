/**
 * The connection to a NATS server. It is made again whenever it breaks. Only this module, `transport.ts` and `jetstream.ts` use `@nats-io`.
 *
 * @module
 */
import type { NatsConnection } from "@nats-io/nats-core";
import * as Duration from "effect/Duration";
import * as Effect from "effect/Effect";
import type * as Scope from "effect/Scope";
import type { ServerOptions } from "../../NatsBackend.ts";
import * as Arguments from "../os/arguments.ts";
import { positiveDuration } from "../os/durations.ts";
import { NatsError } from "../network/errors.ts";

/** Handles a message: its subject in parts, its bytes, and the function that answers it, if it asks for an answer. */
export type Handler = (subject: ReadonlyArray<string>, data: Uint8Array, reply: string | undefined) => void;

/** The server was asked for something that nobody offers. */
export class NoResponders extends Error {}

/** Pauses before a further attempt to connect, in milliseconds. */
const AGAIN = 200;

/** The time limit of one attempt to connect, in milliseconds. */
const ATTEMPT = 5000;

/** Interval of the checks of a connection, in milliseconds. Two without an answer mean that it is broken. */
const CHECK = 2000;

/** A connection to a server. */
export class Server {
  readonly #connection: NatsConnection;
  #connected = true;
  #since = performance.now();
  readonly #reconnected = new Set<() => void>();

  constructor(connection: NatsConnection) {
    this.#connection = connection;
    void this.#watch();
  }

  /** The connection itself. */
  get connection(): NatsConnection {
    return this.#connection;
  }

  get connected(): boolean {
    return this.#connected;
  }

  /** When the connection was made or broken last; see `performance.now`. */
  get since(): number {
    return this.#since;
  }

  /** The largest message in bytes. */
  get maxPayload(): number {
    return this.#connection.info?.max_payload ?? 1024 * 1024;
  }

  /** The version of the server. */
  get version(): string {
    return this.#connection.info?.version ?? "0.0.0";
  }

  /** Calls back after each new connection. Returns a function that stops that. */
  onReconnected(run: () => void): () => void {
    this.#reconnected.add(run);
    return () => this.#reconnected.delete(run);
  }

  publish(subject: string, data: Uint8Array, reply?: string): void {
    if (this.#connection.isClosed()) return;
    this.#connection.publish(subject, data, reply === undefined ? {} : { reply });
  }

  /** Asks for one answer. Rejects with {@link NoResponders} if nobody listens to the subject. */
  async request(subject: string, data: Uint8Array, timeout: number): Promise<Uint8Array> {
    const { NoRespondersError, RequestError } = await import("@nats-io/nats-core");
    try {
      return (await this.#connection.request(subject, data, { timeout })).data;
    } catch (error) {
      if (error instanceof NoRespondersError || (error instanceof RequestError && error.isNoResponders())) {
        throw new NoResponders();
      }
      throw error;
    }
  }

  /**
   * Handles the messages of a subject, which may end with `>`. Messages that cannot be read are dropped. Returns a function that ends
   * the subscription.
   */
  subscribe(subject: string, handle: Handler): () => void {
    const subscription = this.#connection.subscribe(subject, {
      callback: (error, { data, headers, reply, subject }) => {
        if (error !== null || headers?.code === 503) return;
        try {
          handle(subject.split("."), data, reply === "" ? undefined : reply);
        } catch (error) {
          // A message that is no JSON comes from no program of this library.
          if (!(error instanceof SyntaxError)) throw error;
        }
      },
    });
    return () => subscription.unsubscribe();
  }

  /** Waits until the server has everything that was published, or until the connection breaks. */
  async flush(): Promise<void> {
    if (!this.#connected) return;
    try {
      await this.#connection.flush();
    } catch (error) {
      const { ClosedConnectionError, RequestError } = await import("@nats-io/nats-core");
      if (!(error instanceof ClosedConnectionError) && !(error instanceof RequestError)) throw error;
    }
  }

  close(): Promise<void> {
    return this.#connection.close();
  }

  async #watch(): Promise<void> {
    for await (const { type } of this.#connection.status()) {
      if (type === "disconnect" && this.#connected) {
        this.#connected = false;
        this.#since = performance.now();
      }
      if (type === "reconnect") {
        this.#connected = true;
        this.#since = performance.now();
        for (const run of this.#reconnected) run();
      }
    }
  }
}

/** Checks of the options of a connection. */
export const serverChecks: Arguments.Checks = {
  servers: Arguments.must(
    (value) =>
      typeof value === "string" ? value !== "" : Arguments.texts(value) === undefined && (value as []).length > 0,
    "an address such as nats://host:4222, or an array of addresses",
  ),
  space: Arguments.optional(
    Arguments.must(
      (value) => typeof value === "string" && /^[A-Za-z0-9_-]+$/.test(value),
      "a name of letters, digits, - and _",
    ),
  ),
  auth: Arguments.optional(
    Arguments.must(
      (value) =>
        ([["user", "password"], ["token"], ["credentials"]] as const).some((fields) =>
          Arguments.wrong(
              value ?? {},
              Object.fromEntries(fields.map((field) => [field, Arguments.name])),
            ) === undefined && Object.keys(value ?? {}).length === fields.length
        ),
      "{ user, password }, { token } or { credentials }",
    ),
  ),
  tls: Arguments.optional((value) =>
    typeof value === "boolean" ? undefined : Arguments.options({
      ca: Arguments.optional(Arguments.name),
      cert: Arguments.optional(Arguments.name),
      key: Arguments.optional(Arguments.name),
    })(value)
  ),
  connectTimeout: Arguments.optional(positiveDuration),
};

const refusals = /authorization|authentication|credentials|tls|certificate/i;

const open = async (
  options: ServerOptions,
  name: string,
  inboxPrefix: string,
  stopped: () => boolean,
): Promise<Server> => {
  const [{ credsAuthenticator }, { connect }] = await Promise.all([
    import("@nats-io/nats-core"),
    import("./transport.ts"),
  ]);
  const { auth, tls = false } = options;
  const servers = typeof options.servers === "string" ? [options.servers] : [...options.servers];
  const limit = Duration.toMillis(options.connectTimeout ?? "4 seconds");
  const deadline = performance.now() + limit;
  const settings = {
    servers,
    name,
    inboxPrefix,
    maxReconnectAttempts: -1,
    reconnectTimeWait: AGAIN / 2,
    reconnectJitter: AGAIN / 4,
    pingInterval: CHECK,
    maxPingOut: 2,
    ignoreAuthErrorAbort: true,
    timeout: Math.min(ATTEMPT, limit),
    ...(auth === undefined
      ? {}
      : "user" in auth
      ? { user: auth.user, pass: auth.password }
      : "token" in auth
      ? { token: auth.token }
      : { authenticator: credsAuthenticator(await Deno.readFile(auth.credentials)) }),
    ...(tls === false ? {} : {
      tls: tls === true ? {} : {
        ...(tls.ca === undefined ? {} : { caFile: tls.ca }),
        ...(tls.cert === undefined ? {} : { certFile: tls.cert }),
        ...(tls.key === undefined ? {} : { keyFile: tls.key }),
      },
    }),
  };
  while (true) {
    try {
      const connection = await connect(settings);
      if (!stopped()) return new Server(connection);
      await connection.close();
      throw new Error("interrupted");
    } catch (error) {
      const { message } = error as Error;
      const at = servers.join(", ");
      if (refusals.test(message)) {
        throw new NatsError("Refused", `Cannot use the NATS server at ${at}: ${message}; check auth and tls`, error);
      }
      if (stopped() || performance.now() > deadline) {
        throw new NatsError("Unreachable", `Cannot reach a NATS server at ${at} within ${limit} ms: ${message}`, error);
      }
      await new Promise((resolve) => setTimeout(resolve, AGAIN));
    }
  }
};

/** Connects to a server, and closes the connection with the scope. */
export const connect = (
  options: ServerOptions,
  name: string,
  inboxPrefix: string,
): Effect.Effect<Server, NatsError, Scope.Scope> => {
  const connecting = Effect.async<Server, NatsError>((resume) => {
    let stopped = false;
    open(options, name, inboxPrefix, () => stopped).then(
      (server) => resume(Effect.succeed(server)),
      (error) =>
        resume(
          error instanceof NatsError
            ? Effect.fail(error)
            : Effect.fail(new NatsError("Refused", `Cannot use the NATS server: ${(error as Error).message}`, error)),
        ),
    );
    return Effect.sync(() => {
      stopped = true;
    });
  });
  return Effect.acquireRelease(
    Effect.interruptible(connecting),
    (server) => Effect.promise(() => server.close()),
  );
};
