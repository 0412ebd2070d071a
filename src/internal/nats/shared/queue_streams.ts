/**
 * The streams of a queue: its items, the marks of those that were taken, and the reports of those that are done. A part in capitals
 * stands for a name.
 *
 * | subject, after `mp.SPACE.s.NAME.queue.QUEUE` | stream, after `mp+SPACE+` | content |
 * | --- | --- | --- |
 * | `.item` | `queue+NAME+QUEUE` | an item that was not taken |
 * | `.taken.ID` | `taken+NAME+QUEUE` | the program that has taken the item with this id (or reported it, in a queue that redelivers); empty if it has given the item back |
 * | `.done` | `done+NAME+QUEUE` | a report. The sequence number of the last one is the number of reports |
 * | `.news` | | the queue was closed or shut down |
 *
 * The description of the first stream has the options of the queue, and says whether it is open. A stream that is closed refuses each message for its size.
 *
 * @module
 */
import { NatsError } from "../../network/errors.ts";
import { QueueClosed } from "../../objects/errors.ts";
import { type JetStream, JetStreamError } from "../jetstream.ts";
import { encode } from "../protocol.ts";
import { ackWaitOf, type Configuration, establish, infoOf, isBefore, nanos, rewind } from "../streams.ts";
import type { Connection } from "./connection.ts";

/** The consumer by which all programs take items. */
export const CONSUMER = "takers";

/** What an option is by default. */
const MAX_BYTES = 268_435_456;
const ACK_WAIT = 10_000;

/** Number of reports that are kept. Repetitions of these are noticed. */
const REPORTS = 10_000;

/** Number of items that programs have in hand, and of requests that wait. */
const MAX_IN_HAND = 65_536;
const MAX_WAITING = 16_384;

/** The names of a queue. */
export interface QueueNames {
  readonly items: string;
  readonly taken: string;
  readonly done: string;
  readonly item: string;
  readonly takenOf: (id: string) => string;
  readonly report: string;
  readonly news: string;
}

export const queueNames = (connection: Connection, queue: string): QueueNames => {
  const base = `${connection.base}.queue.${queue}`;
  const stream = (kind: string): string => `${connection.stream(kind)}+${queue}`;
  return {
    items: stream("queue"),
    taken: stream("taken"),
    done: stream("done"),
    item: `${base}.item`,
    takenOf: (id) => `${base}.taken.${id}`,
    report: `${base}.done`,
    news: `${base}.news`,
  };
};

/** Whether a queue takes and gives items. */
export type State = "open" | "closed" | "shut down";

/** The description of the stream of items. */
interface Description {
  readonly protocol: number;
  readonly state: State;
  readonly redeliver: boolean;
  /** The limits; `null` for none. */
  readonly capacity: number | null;
  readonly maxBytes: number | null;
}

/** The first version whose clusters have kept all items in our trials, in which each server was killed. Those of 2.10.27 have not. */
const SAFE = [2, 15, 0];

/** The version of the messages. */
const PROTOCOL = 1;

/** The options of a queue that its streams have. Times are in milliseconds. */
export interface Shape {
  readonly capacity: number | undefined;
  readonly maxBytes: number | undefined;
  readonly redeliver: boolean | undefined;
  readonly ackWait: number | undefined;
}

/** What the server says of a queue. */
export interface Snapshot {
  /** Number of items that were not taken. */
  readonly size: number;
  readonly bytes: number;
  /** The sequence numbers of the first item, and of the last one that was put. */
  readonly first: number;
  readonly last: number;
  readonly capacity: number;
  readonly maxBytes: number;
  readonly state: State;
  readonly redeliver: boolean;
}

/** What the server says of the consumer. */
export interface ConsumerInfo {
  readonly config: { readonly ack_wait: number };
  readonly delivered: { readonly stream_seq: number };
  /** Number of items that programs have in hand. */
  readonly num_ack_pending: number;
  /** Number of items that no program has had in hand. */
  readonly num_pending: number;
}

interface Info {
  readonly config: Configuration & { readonly description?: string };
  readonly state: {
    readonly messages: number;
    readonly bytes: number;
    readonly first_seq: number;
    readonly last_seq: number;
  };
}

const written = (limit: number): number | null => limit === Infinity ? null : limit;

const descriptionOf = (stream: string, { description }: Info["config"]): Description => {
  const read = JSON.parse(description ?? "{}") as Description;
  if (read.protocol === PROTOCOL) return read;
  throw new JetStreamError(0, `the stream ${stream} is that of another version of this library`);
};

/** The streams of one queue. */
export class QueueStreams {
  readonly js: JetStream;
  readonly names: QueueNames;
  readonly #replicas: number | undefined;

  constructor(connection: Connection, queue: string) {
    this.js = connection.js;
    this.names = queueNames(connection, queue);
    this.#replicas = connection.replicas;
  }

  /** Makes the streams, or changes what the shape names. Returns the lease of an item in milliseconds. */
  async establish({ ackWait, capacity, maxBytes, redeliver }: Shape): Promise<number> {
    const { js, names } = this;
    const common = { num_replicas: this.#replicas };
    const file = { storage: "file", num_replicas: 1 };
    const there = await infoOf(js, names.items);
    this.#demandSafety(this.#replicas ?? Number(there?.config["num_replicas"] ?? 1));
    const old = there && descriptionOf(names.items, there.config);
    if (redeliver !== undefined && old !== undefined && old.redeliver !== redeliver) {
      throw new NatsError(
        "InvalidOption",
        `Invalid queue of NatsShared option: redeliver must be ${old.redeliver}, with which the queue was made, received ${redeliver}`,
      );
    }
    const description: Description = {
      protocol: PROTOCOL,
      state: "open",
      redeliver: redeliver ?? false,
      capacity: null,
      maxBytes: MAX_BYTES,
      ...old,
      ...(capacity === undefined ? {} : { capacity: written(capacity) }),
      ...(maxBytes === undefined ? {} : { maxBytes: written(maxBytes) }),
    };
    await establish(js, names.taken, common, {
      ...file,
      subjects: [names.takenOf("*")],
      max_msgs_per_subject: 1,
    });
    await establish(js, names.done, common, { ...file, subjects: [names.report], max_msgs: REPORTS });
    const named = { ...common, description: JSON.stringify(description) };
    await establish(js, names.items, named, { ...file, subjects: [names.item], retention: "workqueue" });
    const wait = ackWait ?? await ackWaitOf(js, names.items, CONSUMER) ?? ACK_WAIT;
    await js.persist(() =>
      js.api(`CONSUMER.DURABLE.CREATE.${names.items}.${CONSUMER}`, {
        stream_name: names.items,
        config: {
          durable_name: CONSUMER,
          ack_policy: "explicit",
          ack_wait: nanos(wait),
          max_ack_pending: MAX_IN_HAND,
          max_waiting: MAX_WAITING,
          max_deliver: -1,
        },
      })
    );
    return wait;
  }

  /** A consistent snapshot of the queue. */
  async look(): Promise<Snapshot> {
    const { config, state } = await this.#info(this.names.items);
    const { capacity, maxBytes, redeliver, state: now } = descriptionOf(this.names.items, config);
    return {
      size: state.messages,
      bytes: state.bytes,
      first: state.first_seq,
      last: state.last_seq,
      capacity: capacity ?? Infinity,
      maxBytes: maxBytes ?? Infinity,
      state: now,
      redeliver,
    };
  }

  consumer(): Promise<ConsumerInfo> {
    return this.js.persist(() => this.js.api<ConsumerInfo>(`CONSUMER.INFO.${this.names.items}.${CONSUMER}`));
  }

  /** Mends the place of the consumer after a crash of the server. */
  async rewind(): Promise<void> {
    await rewind(this.js, this.names.items, CONSUMER);
  }

  /** The id and the number of the first item from a number on; `undefined` if there is none. */
  async next(from: number): Promise<{ readonly id: string; readonly sequence: number } | undefined> {
    const { js, names } = this;
    const found = await js.persist(() => js.findNext(names.items, names.item, from));
    if (found === undefined) return undefined;
    const id = /^Nats-Msg-Id: *(\S+)/mi.exec(atob(found.hdrs ?? ""))?.[1];
    return { id: id ?? "", sequence: found.seq };
  }

  /** The sequence number of the last message of a stream. */
  async lastOf(stream: string): Promise<number> {
    return (await this.#info(stream)).state.last_seq;
  }

  /** Removes the messages before a sequence number. */
  async purge(stream: string, before: number): Promise<void> {
    await this.js.persist(() => this.js.api(`STREAM.PURGE.${stream}`, { seq: before }));
  }

  /** Closes the queue, or shuts it down. */
  async end(state: "closed" | "shut down"): Promise<void> {
    const { js, names } = this;
    const { config } = await this.#info(names.items);
    const description = descriptionOf(names.items, config);
    if (description.state === "open" || description.state === "closed" && state === "shut down") {
      await js.persist(() =>
        js.api(`STREAM.UPDATE.${names.items}`, {
          ...config,
          // No item is so small.
          max_msg_size: 1,
          description: JSON.stringify({ ...description, state } satisfies Description),
        })
      );
    }
    if (state === "shut down") await js.persist(() => js.api(`STREAM.PURGE.${names.items}`, {}));
    js.tell(names.news, encode({ state }));
  }

  #info(stream: string): Promise<Info> {
    return this.js.persist(() => this.js.api<Info>(`STREAM.INFO.${stream}`));
  }

  /** Fails if a cluster of servers of this version may lose items. */
  #demandSafety(replicas: number): void {
    const { version } = this.js.server;
    if (replicas === 1 || !isBefore(version, SAFE)) return;
    throw new NatsError(
      "Unsupported",
      `Cannot make a queue with replicas: a cluster of nats-server ${version} may lose items when one of its servers is killed; use ` +
        `version ${SAFE.join(".")} or later, or replicas: 1`,
    );
  }
}

/** The failure of a use of a queue that has ended. */
export const closedAs = (state: State): QueueClosed => new QueueClosed(state === "shut down" ? "ShutDown" : "Closed");
