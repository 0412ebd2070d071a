/**
 * The use of an object by messages, as one process sees it: one session for each object; see `protocol.ts`. Free of Effect.
 *
 * @module
 */
import * as Codec from "../../codec/codec.ts";
import type { Incoming } from "../../codec/message.ts";
import { call, type Line } from "../../rpc/router.ts";
import { ATTACH, type Content, type Location, TOO_MANY, WITHDRAW } from "./protocol.ts";

/** Why a session gives no more answers: the object is gone, or too many processes use it. */
export type SessionEnd = "gone" | "full";

/** The answer to a request. */
export type Answer =
  | { readonly _tag: "Result"; readonly value: unknown }
  | { readonly _tag: "Defect"; readonly message: string }
  | { readonly _tag: "Ended"; readonly reason: SessionEnd };

/** A message that was sent, and for whose confirmation others may wait. */
interface Told {
  confirmed: boolean;
  readonly waiting: Set<() => void>;
}

const sessions = new Map<string, Session>();

let client: string | undefined;

/** The session of one object, which all its copies in this process share. */
export class Session {
  readonly #line: Line;
  readonly #pending = new Map<number, (answer: Answer) => void>();
  #acknowledged: Array<number> = [];
  #lastId = 0;
  #told: Told | undefined;
  #ended: SessionEnd | undefined;
  /** Number of releases by this process. */
  releases = 0;
  /** State that the client of an object shares among its copies in this process, until the session ends. */
  state: unknown = undefined;

  private constructor(key: string, { address, number, object }: Location) {
    client ??= crypto.randomUUID();
    this.#line = call({ address, object }, ATTACH, (writer) => {
      writer.varint(number);
      return Codec.encodeInto(writer, [client, Deno.pid]);
    }, {
      data: (message) => this.#receive(message),
      exit: ({ bytes }) => {
        sessions.delete(key);
        this.#ended = bytes[0] === TOO_MANY ? "full" : "gone";
        const pending = [...this.#pending.values()];
        this.#pending.clear();
        for (const answer of pending) answer({ _tag: "Ended", reason: this.#ended });
      },
    });
  }

  /** The session of this process with an object, which is opened if there is none. */
  static of(location: Location): Session {
    const key = `${location.address} ${location.object} ${location.number}`;
    let session = sessions.get(key);
    if (session === undefined) sessions.set(key, session = new Session(key, location));
    return session;
  }

  /** How requests are answered, if the session has ended. */
  get lost(): Answer & { readonly _tag: "Ended" } | undefined {
    return this.#ended === undefined ? undefined : { _tag: "Ended", reason: this.#ended };
  }

  /** Sends a request. Calls `answered` once, later. Returns a function that withdraws the request if it is not answered. */
  request(operation: number, args: Content, answered: (answer: Answer) => void): () => void {
    const { lost } = this;
    if (lost !== undefined) {
      queueMicrotask(() => answered(lost));
      return () => {};
    }
    const id = ++this.#lastId;
    this.#send([id, operation, this.#acknowledge(), ...args]);
    this.#pending.set(id, answered);
    return () => {
      if (this.#pending.delete(id)) this.#send([id, WITHDRAW, this.#acknowledge()]);
    };
  }

  /** Like `request`, for an operation whose result is a grant: the host keeps the means to take it back until this process has it. */
  requestGrant(operation: number, args: Content, answered: (answer: Answer) => void): () => void {
    const withdraw = this.request(operation, args, (answer) => {
      if (answer._tag === "Result") this.#acknowledged.push(id);
      answered(answer);
    });
    const id = this.#lastId;
    return withdraw;
  }

  /** Sends a request that cannot fail, without waiting for its answer. */
  tell(operation: number, ...args: Content): void {
    this.releases++;
    const told: Told = { confirmed: false, waiting: new Set() };
    this.request(operation, args, () => {
      told.confirmed = true;
      for (const resume of told.waiting) resume();
    });
    this.#told = told;
  }

  /** Runs `done` once the host has confirmed all that it was told so far. Returns a function that cancels. */
  whenConfirmed(done: () => void): () => void {
    const told = this.#told;
    if (told === undefined || told.confirmed) {
      done();
      return () => {};
    }
    told.waiting.add(done);
    return () => void told.waiting.delete(done);
  }

  #acknowledge(): ReadonlyArray<number> {
    const acknowledged = this.#acknowledged;
    if (acknowledged.length > 0) this.#acknowledged = [];
    return acknowledged;
  }

  #send(content: Content): void {
    this.#line.data((writer) => Codec.encodeInto(writer, content));
  }

  #receive({ attachments, bytes }: Incoming): void {
    const [id, value, defect] = Codec.decode(bytes, { attachments, link: undefined }) as [number, unknown, string?];
    const answered = this.#pending.get(id);
    if (answered === undefined) return;
    this.#pending.delete(id);
    answered(defect === undefined ? { _tag: "Result", value } : { _tag: "Defect", message: defect });
  }
}
