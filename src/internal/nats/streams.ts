/**
 * The streams of the server: made by their first program, and changed by the options that a later one names.
 *
 * @module
 */
import * as Duration from "effect/Duration";
import * as Effect from "effect/Effect";
import type * as Scope from "effect/Scope";
import type { ServerOptions } from "../../NatsBackend.ts";
import { NatsError } from "../network/errors.ts";
import * as Arguments from "../os/arguments.ts";
import {
  CONSUMER_NOT_FOUND,
  JetStream,
  JetStreamError,
  NO_JETSTREAM,
  NO_JETSTREAM_FOR_ACCOUNT,
  passes,
  STREAM_EXISTS,
  STREAM_NOT_FOUND,
} from "./jetstream.ts";
import { connect } from "./server.ts";

/** A name of which the names of streams and of subjects are made. */
export const streamName: Arguments.Check = Arguments.must(
  (value) => typeof value === "string" && /^[A-Za-z0-9_-]{1,100}$/.test(value),
  "a name of 1 to 100 letters, digits, - and _",
);

/** How long a server may take to answer that it has JetStream, in milliseconds. */
const ANSWER = 4000;

/** The longest time for which a program waits before it makes a consumer anew, in milliseconds. */
const SPREAD = 200;

/** The pause before the server is asked again whether it has JetStream, in milliseconds. */
const AGAIN = 100;

/** A duration for the server. */
export const nanos = (millis: number): number => Math.round(millis) * 1_000_000;

/** The configuration of a stream, in the words of the server. */
export type Configuration = Readonly<Record<string, unknown>>;

/** What the server says of a stream. */
export interface StreamInfo {
  readonly config: Configuration & { readonly description?: string };
  readonly state: { readonly messages: number; readonly last_seq: number };
  /** The servers that keep the stream, if they are a cluster. */
  readonly cluster?: {
    readonly leader?: string;
    readonly replicas?: ReadonlyArray<{ readonly name: string; readonly offline?: boolean }>;
  };
}

/** What the server says of a consumer. */
interface ConsumerInfo {
  readonly created: string;
  readonly config: Configuration & { readonly ack_wait: number };
  readonly delivered: { readonly stream_seq: number };
}

/** Whether a version of the server is older than another one. */
export const isBefore = (version: string, [major, minor, patch]: ReadonlyArray<number>): boolean => {
  const [a, b, c] = version.split(/[.-]/).map(Number);
  return a < major || a === major && (b < minor || b === minor && c < patch);
};

/** Describes which servers of a cluster keep a stream now: the text changes when one of them goes, comes back, or becomes the leader. */
export const serversOf = ({ cluster: { leader, replicas = [] } = {} }: StreamInfo): string =>
  [leader, ...replicas.map(({ name, offline }) => offline === true ? `(${name})` : name).toSorted()].join(" ");

/** Whether an error says that the server or the account has no JetStream. */
export const isMissing = (error: unknown): boolean =>
  error instanceof JetStreamError && (error.code === NO_JETSTREAM || error.code === NO_JETSTREAM_FOR_ACCOUNT);

/** What the server says of a stream; `undefined` if there is none. */
export const infoOf = (js: JetStream, stream: string): Promise<StreamInfo | undefined> =>
  unless(js, STREAM_NOT_FOUND, () => js.api<StreamInfo>(`STREAM.INFO.${stream}`));

/** Makes a stream, or changes what the configuration names of one that exists. `defaults` are for a new one. */
export const establish = async (
  js: JetStream,
  name: string,
  named: Configuration,
  defaults: Configuration,
): Promise<void> => {
  const given = Object.fromEntries(Object.entries(named).filter(([_, value]) => value !== undefined));
  while (true) {
    const there = await infoOf(js, name);
    const config = { ...defaults, ...there?.config, ...given, name };
    if (there !== undefined && Object.entries(given).every(([key, value]) => there.config[key] === value)) return;
    try {
      await js.persist(() => js.api(`STREAM.${there === undefined ? "CREATE" : "UPDATE"}.${name}`, config));
      return;
    } catch (error) {
      // Another program has made it meanwhile.
      if (!(error instanceof JetStreamError && error.code === STREAM_EXISTS)) throw error;
    }
  }
};

const consumerInfo = (js: JetStream, stream: string, consumer: string): Promise<ConsumerInfo | undefined> =>
  unless(js, CONSUMER_NOT_FOUND, () => js.api<ConsumerInfo>(`CONSUMER.INFO.${stream}.${consumer}`));

/** The lease of what a consumer gives out, in milliseconds; `undefined` if there is no such consumer. */
export const ackWaitOf = async (js: JetStream, stream: string, consumer: string): Promise<number | undefined> => {
  const info = await consumerInfo(js, stream, consumer);
  return info && info.config.ack_wait / 1_000_000;
};

/**
 * Makes a consumer anew that has come further than its stream, and says whether it did. A server of version 2.10 that is killed may count
 * the messages of an empty stream from 1 again. The consumer takes new messages for old ones then, and never gives them out.
 */
export const rewind = async (js: JetStream, stream: string, consumer: string): Promise<boolean> => {
  const info = (): Promise<ConsumerInfo | undefined> => consumerInfo(js, stream, consumer);
  const before = await info();
  const end = (await infoOf(js, stream))?.state.last_seq;
  if (before === undefined || end === undefined || before.delivered.stream_seq <= end) return false;
  // Other programs see the same. Messages that they have in hand would be given out twice.
  await js.pause(SPREAD * Math.random());
  if ((await info())?.created !== before.created) return false;
  await unless(js, CONSUMER_NOT_FOUND, () => js.api(`CONSUMER.DELETE.${stream}.${consumer}`));
  await js.persist(() =>
    js.api(`CONSUMER.DURABLE.CREATE.${stream}.${consumer}`, { stream_name: stream, config: before.config })
  );
  return true;
};

/** Repeats a call of the server's API until it is answered. The result is `undefined` if the answer is this error. */
const unless = async <A>(js: JetStream, code: number, call: () => Promise<A>): Promise<A | undefined> => {
  try {
    return await js.persist(call);
  } catch (error) {
    if (error instanceof JetStreamError && error.code === code) return undefined;
    throw error;
  }
};

/** Fails if the server has no JetStream, or does not say within `millis` milliseconds that it has. `what` needs it. */
const demandJetStream = async (js: JetStream, what: string, millis: number): Promise<void> => {
  const limit = performance.now() + millis;
  while (true) {
    try {
      await js.api("INFO");
      return;
    } catch (error) {
      const isLate = performance.now() > limit;
      if (isMissing(error) || passes(error) && isLate) {
        throw new NatsError(
          "Unsupported",
          `Cannot make a ${what}: the server has no JetStream; start nats-server with -js`,
          error,
        );
      }
      if (!passes(error)) throw error;
      await js.pause(AGAIN);
    }
  }
};

/** The JetStream of a server, to which this program has connected. */
export interface Opened {
  readonly js: JetStream;
  /** What the subjects of answers to this program begin with. */
  readonly inbox: string;
  /** Asks the server for what an object is made of. */
  readonly asked: <A>(ask: () => Promise<A>) => Effect.Effect<A, NatsError>;
}

/**
 * Connects to a server with JetStream, and closes the connection with the scope. `title` names the object that needs it, `what` its
 * module, and `caller` this program.
 */
export const openJetStream = (
  options: ServerOptions,
  title: string,
  what: string,
  caller: string,
): Effect.Effect<Opened, NatsError, Scope.Scope> =>
  Effect.gen(function* () {
    const { connectTimeout, space = "default" } = options;
    const inbox = `mp.${space}.r.${caller}`;
    const server = yield* connect(options, `multiprocessing ${title} ${caller}`, inbox);
    const js = yield* Effect.acquireRelease(
      Effect.sync(() => new JetStream(server, inbox)),
      (js) => Effect.sync(() => js.close()),
    );
    const asked: Opened["asked"] = (ask) =>
      Effect.tryPromise({
        try: ask,
        catch: (error) =>
          error instanceof NatsError ? error : new NatsError(
            "Refused",
            `Cannot make the ${title}: the server refuses it: ${(error as Error).message}`,
            error,
          ),
      });
    yield* asked(() =>
      demandJetStream(js, what, connectTimeout === undefined ? ANSWER : Duration.toMillis(connectTimeout))
    );
    return { js, inbox, asked };
  });
