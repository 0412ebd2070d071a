/**
 * JetStream by its messages: what is published to a subject of a stream is stored, and the server answers when it has it on disk.
 *
 * Every operation fails with {@link Unanswered} if there was no answer, so that it may or may not have happened. {@link JetStream.persist}
 * repeats one until it is answered: through lost connections, restarts of the server and elections.
 *
 * @module
 */
import {
  headers,
  type Msg,
  type MsgHdrs,
  type NatsConnection,
  PermissionViolationError,
  type Subscription,
} from "@nats-io/nats-core";
import { after } from "../os/timer.ts";
import { decode, encode } from "./protocol.ts";
import type { Server } from "./server.ts";

/** The server has refused an operation. */
export class JetStreamError extends Error {
  /** The number of the error in the documentation of NATS. */
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/** There was no answer. */
export class Unanswered extends Error {}

/** The user of this program may not publish to a subject. */
export class Denied extends Error {}

/** The connection was closed by this program. */
export class Closed extends Error {}

/** Error codes of the server. */
export const CONSUMER_NOT_FOUND = 10014;
const NOT_FOUND = 10037;
export const SEQUENCE_NOT_FOUND = 10043;
export const DELETE_FAILED = 10057;
export const STREAM_EXISTS = 10058;
export const STREAM_NOT_FOUND = 10059;
const NOT_FIRST = 10071;
export const REFUSED_BY_LIMIT = 10077;
export const NO_JETSTREAM = 10076;
export const NO_JETSTREAM_FOR_ACCOUNT = 10039;

/** What a cluster says instead of {@link NOT_FIRST} while another message of the subject is on its way to its servers. */
const NOT_FIRST_IN_CLUSTER = 10164;

/** Whether a message was refused because another one has come first. */
export const isNotFirst = (error: unknown): boolean =>
  error instanceof JetStreamError && (error.code === NOT_FIRST || error.code === NOT_FIRST_IN_CLUSTER);

/**
 * Errors that pass: the server starts, has no leader at the moment, has too much to do, or has the same message on its way to the other
 * servers of the cluster.
 */
const passing: ReadonlySet<number> = new Set([10008, 10009, 10074, 10118, 10123, 10148, 10158, 10163, 10167]);

/** Whether an operation may succeed when it is repeated. */
export const passes = (error: unknown): boolean =>
  error instanceof Unanswered || error instanceof JetStreamError && passing.has(error.code);

/** How long an answer may take, in milliseconds. */
const ANSWER = 5000;

/** Interval of looking for answers that are overdue, in milliseconds. */
const LOOK = 500;

/** The shortest and the longest pause before an operation is repeated, in milliseconds. */
const AGAIN = 10;
const LONGEST = 500;

/** A message of a stream. */
export interface Stored {
  readonly subject: string;
  readonly sequence: number;
  /** When it was stored, in milliseconds since 1970. */
  readonly time: number;
  readonly data: Uint8Array;
}

/** What the leader of a stream says of a message. */
export interface Found {
  readonly seq: number;
  readonly subject: string;
  readonly time: string;
  /** The content in base64; none if it is empty. */
  readonly data?: string;
  /** The headers in base64; none if there are none. */
  readonly hdrs?: string;
}

const storedOf = (found: Found | undefined): Stored | undefined =>
  found && {
    subject: found.subject,
    sequence: found.seq,
    time: Date.parse(found.time),
    data: Uint8Array.from(atob(found.data ?? ""), (character) => character.charCodeAt(0)),
  };

/** Whether there was no message to be deleted. Version 2.10 of the server has a text for that, and no number. */
const isMissing = ({ code, message }: JetStreamError): boolean =>
  code === SEQUENCE_NOT_FOUND || code === NOT_FOUND ||
  code === DELETE_FAILED && (message === "no message found" || message === "deleted message");

interface Question {
  readonly subject: string;
  readonly resolve: (answer: Msg) => void;
  readonly reject: (error: Error) => void;
  readonly asked: number;
}

interface Acknowledged {
  readonly seq?: number;
  readonly error?: { readonly err_code: number; readonly description: string };
}

/** On what terms a message is stored. */
export interface Terms {
  /** The sequence number of the last message of the subject, or 0 for none. Otherwise the operation fails; see {@link isNotFirst}. */
  readonly after?: number | undefined;
  /** The sequence number of the last message of the stream. Otherwise the operation fails; see {@link isNotFirst}. */
  readonly last?: number | undefined;
  /** The id of the message. A message whose id the stream has had within two minutes is not stored again. */
  readonly id?: string | undefined;
}

const headersOf = ({ after, id, last }: Terms): MsgHdrs | undefined => {
  if (after === undefined && id === undefined && last === undefined) return undefined;
  const terms = headers();
  if (after !== undefined) terms.set("Nats-Expected-Last-Subject-Sequence", `${after}`);
  if (last !== undefined) terms.set("Nats-Expected-Last-Sequence", `${last}`);
  if (id !== undefined) terms.set("Nats-Msg-Id", id);
  return terms;
};

/** JetStream over the connection of this program. */
export class JetStream {
  readonly server: Server;
  readonly #connection: NatsConnection;
  readonly #inbox: string;
  readonly #questions = new Map<string, Question>();
  readonly #subscription: Subscription;
  readonly #stopHearing: () => void;
  #count = 0;
  #closed = false;
  #stopLooking: (() => void) | undefined;
  readonly #pauses = new Set<() => void>();

  /** Answers come to subjects below `inbox`. */
  constructor(server: Server, inbox: string) {
    this.server = server;
    this.#connection = server.connection;
    this.#inbox = `${inbox}.j`;
    this.#subscription = this.#connection.subscribe(`${this.#inbox}.*`, {
      callback: (error, message) => {
        if (error === null) this.#answered(message);
      },
    });
    void this.#watch();
    this.#stopHearing = server.onReconnected(() => this.#giveUp(() => new Unanswered("the connection was lost")));
  }

  /** Ends all operations: they fail with {@link Closed}. */
  close(): void {
    this.#closed = true;
    this.#stopHearing();
    this.#subscription.unsubscribe();
    this.#giveUp(() => new Closed("the connection was closed"));
    for (const end of this.#pauses) end();
  }

  /** Publishes to a subject that no stream has. A message without a connection is dropped. */
  tell(subject: string, data: Uint8Array, reply?: string): void {
    if (this.server.connected) this.server.publish(subject, data, reply);
  }

  /** Stores a message, and returns its sequence number. */
  async store(subject: string, data: Uint8Array, terms: Terms = {}): Promise<number> {
    const { data: answer } = await this.#ask(subject, data, headersOf(terms));
    const { error, seq } = decode<Acknowledged>(answer);
    if (error !== undefined) throw new JetStreamError(error.err_code, error.description);
    return seq!;
  }

  /** Calls a function of the server's API. */
  async api<A>(name: string, argument?: unknown): Promise<A> {
    const { data } = await this.#ask(`$JS.API.${name}`, argument === undefined ? new Uint8Array() : encode(argument));
    const answer = decode<A & Acknowledged>(data);
    if (answer.error !== undefined) throw new JetStreamError(answer.error.err_code, answer.error.description);
    return answer;
  }

  /**
   * The last message of a subject; `undefined` if there is none. Any server of the stream answers, and one that is behind may know an older
   * message. That there is none, only the leader says.
   */
  async last(stream: string, subject: string): Promise<Stored | undefined> {
    return await this.#get(stream, { last_by_subj: subject }) ?? await this.read(stream, subject);
  }

  /**
   * The first message of a subject from a sequence number on, as the leader of the stream has it; `undefined` if there is none. After the
   * death of a server of a cluster, another one may lack a message that the leader still has.
   */
  async next(stream: string, subject: string, from: number): Promise<Stored | undefined> {
    return storedOf(await this.findNext(stream, subject, from));
  }

  /** The place of the message that {@link next} gives. */
  findNext(stream: string, subject: string, from: number): Promise<Found | undefined> {
    return this.#found(stream, { next_by_subj: subject, seq: from });
  }

  /** The place of the last message of a subject, which may have wildcards, as the leader of the stream has it. */
  find(stream: string, subject: string): Promise<Found | undefined> {
    return this.#found(stream, { last_by_subj: subject });
  }

  /** The last message of a subject, as the leader of the stream has it: the effect of each operation that was answered is seen. */
  async read(stream: string, subject: string): Promise<Stored | undefined> {
    return storedOf(await this.find(stream, subject));
  }

  /** Answers a delivery, and returns when the server has noted that. */
  async settle({ reply }: Delivery, answer: "+ACK" | "-NAK"): Promise<void> {
    await this.#ask(reply, encoder.encode(answer));
  }

  /** Deletes a message. The result is `false` if it was not there. */
  async delete(stream: string, sequence: number): Promise<boolean> {
    try {
      await this.api(`STREAM.MSG.DELETE.${stream}`, { seq: sequence, no_erase: true });
      return true;
    } catch (error) {
      if (error instanceof JetStreamError && isMissing(error)) return false;
      throw error;
    }
  }

  /** Deletes all messages of a subject, or those whose sequence number is below `before`. */
  async purge(stream: string, subject: string, before?: number): Promise<void> {
    await this.api(`STREAM.PURGE.${stream}`, { filter: subject, seq: before });
  }

  /** Repeats an operation until it is answered. `repeated` tells it that it may have happened before. */
  async persist<A>(operation: (repeated: boolean) => Promise<A>): Promise<A> {
    for (let pause = AGAIN, repeated = false;; pause = Math.min(LONGEST, 2 * pause), repeated = true) {
      try {
        return await operation(repeated);
      } catch (error) {
        if (!passes(error)) throw error;
        await this.pause(pause * (0.5 + Math.random()));
      }
    }
  }

  /** Waits for some milliseconds. Rejects with {@link Closed} when the connection is closed. */
  async pause(millis: number): Promise<void> {
    if (!this.#closed) {
      await new Promise<void>((resolve) => {
        const end = (): void => {
          stop();
          this.#pauses.delete(end);
          resolve();
        };
        const stop = after(millis, end);
        this.#pauses.add(end);
      });
    }
    if (this.#closed) throw new Closed("the connection was closed");
  }

  async #found(stream: string, request: unknown): Promise<Found | undefined> {
    try {
      return (await this.api<{ readonly message: Found }>(`STREAM.MSG.GET.${stream}`, request)).message;
    } catch (error) {
      if (error instanceof JetStreamError && error.code === NOT_FOUND) return undefined;
      throw error;
    }
  }

  async #get(stream: string, request: unknown): Promise<Stored | undefined> {
    const { data, headers } = await this.#ask(`$JS.API.DIRECT.GET.${stream}`, encode(request));
    if (headers === undefined || headers.code === 404) return undefined;
    if (headers.code !== 0) throw new Unanswered(`the server has answered ${headers.code} ${headers.description}`);
    return {
      subject: headers.get("Nats-Subject"),
      sequence: Number(headers.get("Nats-Sequence")),
      time: Date.parse(headers.get("Nats-Time-Stamp")),
      data,
    };
  }

  #ask(subject: string, data: Uint8Array, headers?: MsgHdrs): Promise<Msg> {
    if (this.#closed) return Promise.reject(new Closed("the connection was closed"));
    const key = `${this.#inbox}.${(++this.#count).toString(36)}`;
    return new Promise((resolve, reject) => {
      this.#questions.set(key, { subject, resolve, reject, asked: performance.now() });
      this.#stopLooking ??= after(LOOK, this.#look);
      const reply = { reply: key };
      this.#connection.publish(subject, data, headers === undefined ? reply : { ...reply, headers });
    });
  }

  #answered(message: Msg): void {
    const question = this.#questions.get(message.subject);
    if (question === undefined) return;
    this.#questions.delete(message.subject);
    if (message.headers?.code === 503) question.reject(new Unanswered("nobody answers: JetStream is not ready"));
    else question.resolve(message);
  }

  /** Questions that the server refuses have no answer but an error of the connection, which names their subject. */
  async #watch(): Promise<void> {
    for await (const status of this.#connection.status()) {
      if (status.type !== "error") continue;
      const { error } = status;
      if (!(error instanceof PermissionViolationError) || error.operation !== "publish") continue;
      for (const [key, { reject, subject }] of this.#questions) {
        if (subject !== error.subject) continue;
        this.#questions.delete(key);
        reject(new Denied(`the user may not publish to ${subject}`));
      }
    }
  }

  /** Gives up the questions that were asked too long ago. They stand in the order in which they were asked. */
  readonly #look = (): void => {
    this.#stopLooking = undefined;
    const limit = performance.now() - ANSWER;
    for (const [key, { asked, reject }] of this.#questions) {
      if (asked > limit) break;
      this.#questions.delete(key);
      reject(new Unanswered(`there was no answer within ${ANSWER} ms`));
    }
    if (this.#questions.size > 0) this.#stopLooking = after(LOOK, this.#look);
  };

  #giveUp(reason: () => Error): void {
    this.#stopLooking?.();
    this.#stopLooking = undefined;
    const questions = [...this.#questions.values()];
    this.#questions.clear();
    for (const { reject } of questions) reject(reason());
  }
}

/** A message of a stream that a consumer has given to this program. Until it is acknowledged, it comes again after a while. */
export class Delivery {
  /** The stream and the consumer. */
  readonly source: string;
  /** How often it was given out. */
  readonly count: number;
  readonly subject: string;
  readonly sequence: number;
  /** Number of messages that the consumer has given out, this one included. */
  readonly place: number;
  /** When it was stored, in milliseconds since 1970. */
  readonly time: number;
  /** Number of messages that wait behind it. */
  readonly pending: number;
  readonly data: Uint8Array;
  /** When it has come; see `performance.now`. */
  readonly received: number = performance.now();
  /** The subject of answers to it. */
  readonly reply: string;
  /** The id with which it was stored; empty if there was none. */
  readonly id: string;
  readonly #server: Server;

  constructor(message: Msg, server: Server) {
    const parts = message.reply!.split(".");
    // Newer servers put their domain and the account first.
    const [stream, consumer, count, sequence, place, time, pending] = parts.slice(parts.length > 9 ? 4 : 2);
    this.source = sourceOf(stream, consumer);
    this.count = Number(count);
    this.subject = message.subject;
    this.sequence = Number(sequence);
    this.place = Number(place);
    this.time = Number(time.slice(0, -6));
    this.pending = Number(pending);
    this.data = message.data;
    this.reply = message.reply!;
    this.id = message.headers?.get("Nats-Msg-Id") ?? "";
    this.#server = server;
  }

  /** It is done. */
  ack(): void {
    this.#answer("+ACK");
  }

  /** Gives it back, to come again after so many milliseconds. */
  nak(delay: number): void {
    this.#answer(`-NAK {"delay":${Math.round(delay * 1_000_000)}}`);
  }

  /** It is never to come again. */
  term(): void {
    this.#answer("+TERM");
  }

  /** It is being worked on: its time begins anew. */
  working(): void {
    this.#answer("+WPI");
  }

  #answer(what: string): void {
    if (this.#server.connected) this.#server.publish(this.reply, encoder.encode(what));
  }
}

const encoder = new TextEncoder();

/** Names a consumer of a stream. */
export const sourceOf = (stream: string, consumer: string): string => `${stream} ${consumer}`;

/** Receives what consumers give. */
export interface Receiver {
  readonly delivered: (delivery: Delivery) => void;
  /** A request has ended before it has brought as many messages as it has asked for. */
  readonly ended: (key: string) => void;
}

/** Requests for messages of consumers. */
export class Pulls {
  readonly #connection: NatsConnection;
  readonly #inbox: string;
  readonly #subscription: Subscription;

  constructor(server: Server, inbox: string, { delivered, ended }: Receiver) {
    this.#connection = server.connection;
    this.#inbox = `${inbox}.p`;
    this.#subscription = this.#connection.subscribe(`${this.#inbox}.*`, {
      callback: (error, message) => {
        if (error !== null) return;
        if (message.reply?.startsWith("$JS.ACK.")) delivered(new Delivery(message, server));
        // 100 is a sign of life.
        else if (message.headers?.code !== 100) ended(message.subject.slice(this.#inbox.length + 1));
      },
    });
  }

  /** Asks for the messages that are there, or for those that come within `expires` milliseconds. */
  ask(stream: string, consumer: string, key: string, batch: number, expires?: number): void {
    const request = expires === undefined ? { batch, no_wait: true } : { batch, expires: expires * 1_000_000 };
    this.#connection.publish(`$JS.API.CONSUMER.MSG.NEXT.${stream}.${consumer}`, encode(request), {
      reply: `${this.#inbox}.${key}`,
    });
  }

  close(): void {
    this.#subscription.unsubscribe();
  }
}
