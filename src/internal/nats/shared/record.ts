/**
 * States that programs change by compare-and-set: the state of a subject is its last message.
 *
 * Each message names the last writers of the subject and the numbers of their writes. So a program whose write was not answered can see
 * whether it has happened, also when another program has changed the state since, and when the server was killed in between.
 *
 * @module
 */
import { type Incoming, MessageTooLarge } from "../../codec/message.ts";
import { isNotFirst, type Stored } from "../jetstream.ts";
import { nothing, pack, unpack } from "../packing.ts";
import type { Connection } from "./connection.ts";

/** The number of writers that a message names. */
const MAX_WRITERS = 32;

/** Number of bytes of a message that its headers and its subject may take. */
const OVERHEAD = 4096;

type Writers = ReadonlyArray<readonly [program: string, write: number]>;

interface Head<H> {
  readonly by: Writers;
  readonly state: H;
}

/** A state, and where it stands. */
export interface Version<H> {
  /** 0 if the subject has no message. */
  readonly sequence: number;
  readonly by: Writers;
  readonly state: H | undefined;
  readonly body: Incoming;
}

/** A state that was not written yet. */
export const nowhere: Version<never> = { sequence: 0, by: [], state: undefined, body: nothing };

/** A change of a state: its result, and the next state, if there is one. */
export interface Decision<H, A> {
  readonly result: A;
  readonly write?: { readonly state: H; readonly body?: Incoming } | undefined;
}

/** Reads a message. */
export const versionOf = <H>({ data, sequence }: Stored): Version<H> => {
  const { head: { by, state }, ...body } = unpack<Head<H>>(data);
  return { sequence, by, state, body };
};

/** The states of the objects of a connection. */
export class Records {
  readonly #connection: Connection;
  readonly #stream: string;
  /** The last write of each subject: the writes of this program have an order. */
  readonly #last = new Map<string, Promise<unknown>>();

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#stream = connection.stream("shared");
  }

  /** The present state, which sees all operations that have ended. */
  async read<H>(subject: string): Promise<Version<H>> {
    const { js } = this.#connection;
    const stored = await js.persist(() => js.read(this.#stream, subject));
    return stored === undefined ? nowhere : versionOf(stored);
  }

  /** The sequence number of the last change of the subjects that match `filter`; 0 for none. */
  async lastOf(filter: string): Promise<number> {
    const { js } = this.#connection;
    return (await js.persist(() => js.find(this.#stream, filter)))?.seq ?? 0;
  }

  /** Changes a state. `decide` is called again if another program has changed the state meanwhile. An exception of `decide` ends the change. */
  async change<H, A>(subject: string, decide: (version: Version<H>) => Decision<H, A>): Promise<A> {
    while (true) {
      const version = await this.read<H>(subject);
      const { result, write } = decide(version);
      if (write === undefined || await this.replace(subject, version, write.state, write.body) !== undefined) {
        return result;
      }
    }
  }

  /**
   * Replaces a version of a state by the next one. The result is `undefined` if another program has replaced it. The sequence number of
   * the result is not known, and then 0, if another program has replaced the new version in turn.
   */
  async replace<H>(
    subject: string,
    before: Version<unknown>,
    state: H,
    body: Incoming = nothing,
  ): Promise<Version<H> | undefined> {
    const previous = this.#last.get(subject);
    const replaced = (async () => {
      // Its failure is that of another operation.
      await previous?.catch(() => {});
      return await this.#replace(subject, before, state, body);
    })();
    this.#last.set(subject, replaced);
    try {
      return await replaced;
    } finally {
      if (this.#last.get(subject) === replaced) this.#last.delete(subject);
    }
  }

  async #replace<H>(
    subject: string,
    { by: writers, sequence }: Version<unknown>,
    state: H,
    body: Incoming,
  ): Promise<Version<H> | undefined> {
    const { caller, js } = this.#connection;
    const write = this.#connection.nextWrite();
    const by: Writers = [[caller, write] as const, ...writers.filter(([program]) => program !== caller)]
      .slice(0, MAX_WRITERS);
    const packed = pack({ by, state } satisfies Head<H>, body);
    const limit = js.server.maxPayload - OVERHEAD;
    if (packed.length > limit) throw new MessageTooLarge(packed.length, limit, "the NATS server (max_payload)");
    const id = `${caller}.${write}`;
    let isUnsure = false;
    return await js.persist(async (repeated) => {
      isUnsure ||= repeated;
      try {
        return { sequence: await js.store(subject, packed, { after: sequence, id }), by, state, body };
      } catch (error) {
        if (!isNotFirst(error)) throw error;
        if (!isUnsure) return undefined;
        const stored = await js.read(this.#stream, subject);
        const now = stored === undefined ? nowhere : versionOf<H>(stored);
        const last = now.by.find(([program]) => program === caller)?.[1] ?? 0;
        if (last < write) return undefined;
        return { sequence: now.by[0][0] === caller && now.by[0][1] === write ? now.sequence : 0, by, state, body };
      }
    });
  }
}
