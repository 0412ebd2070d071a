/**
 * The streams of a durable pool: made by its first program, and changed by the options that a later one names.
 *
 * @module
 */
import type { JetStream } from "../jetstream.ts";
import { ackWaitOf, establish, infoOf, nanos, serversOf, type StreamInfo } from "../streams.ts";
import { type Description, PROTOCOL } from "./messages.ts";
import { LANES, type Names, namesOf, shared } from "./names.ts";

/** The options of a pool that its streams have. Times are in milliseconds. */
export interface Shape {
  readonly replicas: number | undefined;
  readonly maxQueued: number | undefined;
  readonly ackWait: number | undefined;
  readonly keepResults: number | undefined;
  readonly keepDead: number | undefined;
  readonly labels: ReadonlyArray<string> | undefined;
}

/** What an option is by default. */
const ACK_WAIT = 10_000;
const MAX_QUEUED = 1_000_000;
const HOUR = 3600 * 1000;
const DAY = 24 * HOUR;
const KEEP_RESULTS = HOUR;
const KEEP_DEAD = 30 * DAY;
const KEEP_FILES = 30 * DAY;

/** Number of tasks that agents have at a time. */
const MAX_IN_HAND = 65_536;

/** Makes the streams of a pool. */
export const establishPool = async (js: JetStream, space: string, names: Names, shape: Shape): Promise<void> => {
  const { ackWait, keepDead, keepResults, labels, maxQueued, replicas } = shape;
  const { base } = names;
  const old = (await infoOf(js, names.tasks))?.config.description;
  const before = old === undefined ? undefined : JSON.parse(old) as Description;
  const description: Description = { protocol: PROTOCOL, labels: labels ?? before?.labels ?? [] };
  const common = { num_replicas: replicas };
  const file = { storage: "file", num_replicas: 1 };
  const millis = (value: number | undefined): number | undefined => value === undefined ? undefined : nanos(value);
  await establishFiles(js, space, replicas);
  await establish(js, names.parts, common, { ...file, subjects: [`${base}.part.>`], allow_direct: true });
  await establish(js, names.results, { ...common, max_age: millis(keepResults) }, {
    ...file,
    subjects: [`${base}.out.>`],
    allow_direct: true,
    max_age: nanos(KEEP_RESULTS),
  });
  await establish(js, names.dead, { ...common, max_age: millis(keepDead) }, {
    ...file,
    subjects: [`${base}.dead.*`],
    allow_direct: true,
    max_msgs_per_subject: 1,
    max_age: nanos(KEEP_DEAD),
  });
  // A second message of an id is refused: it is in the queue or in hand once at most, for however long.
  await establish(js, names.tasks, { ...common, max_msgs: maxQueued, description: JSON.stringify(description) }, {
    ...file,
    subjects: [`${base}.task.*.*`],
    retention: "workqueue",
    allow_direct: true,
    discard: "new",
    discard_new_per_subject: true,
    max_msgs_per_subject: 1,
    max_msgs: MAX_QUEUED,
  });
  const wait = ackWait ?? await leaseOf(js, names) ?? ACK_WAIT;
  for (let lane = 0; lane < LANES; lane++) {
    await js.persist(() =>
      js.api(`CONSUMER.DURABLE.CREATE.${names.tasks}.${names.lane(lane)}`, {
        stream_name: names.tasks,
        config: {
          durable_name: names.lane(lane),
          filter_subject: names.task(lane, "*"),
          ack_policy: "explicit",
          ack_wait: nanos(wait),
          max_ack_pending: MAX_IN_HAND,
          max_deliver: -1,
        },
      })
    );
  }
};

/** Makes the stream of the programs of a space. */
const establishFiles = (js: JetStream, space: string, replicas: number | undefined): Promise<void> => {
  const { file, files } = shared(space);
  return establish(js, files, { num_replicas: replicas }, {
    subjects: [file(">")],
    storage: "file",
    num_replicas: 1,
    allow_direct: true,
    max_msgs_per_subject: 1,
    max_age: nanos(KEEP_FILES),
  });
};

/** How far a consumer has come. */
export interface Consumer {
  readonly config: { readonly ack_wait: number };
  readonly delivered: { readonly stream_seq: number };
  readonly ack_floor: { readonly stream_seq: number };
  readonly num_ack_pending: number;
}

/** What the server says of the consumer of a lane. */
export const consumerOf = (js: JetStream, names: Names, lane: number): Promise<Consumer> =>
  js.persist(() => js.api<Consumer>(`CONSUMER.INFO.${names.tasks}.${names.lane(lane)}`));

/** The lease of a task in milliseconds; `undefined` if there is no such pool. */
export const leaseOf = (js: JetStream, names: Names): Promise<number | undefined> =>
  ackWaitOf(js, names.tasks, names.lane(LANES - 1));

/** A pool, as the server knows it. */
export interface FoundPool {
  readonly names: Names;
  /** The lease of a task in milliseconds. */
  readonly ackWait: number;
  /** See {@link serversOf}. */
  readonly servers: string;
}

/** The pools of a space that agents with these labels serve. */
export const poolsOf = async (
  js: JetStream,
  space: string,
  labels: ReadonlyArray<string>,
): Promise<ReadonlyArray<FoundPool>> => {
  const pools: Array<FoundPool> = [];
  const prefix = namesOf(space, "").tasks;
  for (let offset = 0;;) {
    const { streams, total } = await js.persist(() =>
      js.api<{ readonly streams: ReadonlyArray<StreamInfo> | null; readonly total: number }>("STREAM.LIST", {
        offset,
        subject: shared(space).tasks,
      })
    );
    for (const stream of streams ?? []) {
      const { description, name } = stream.config;
      const { labels: required, protocol } = JSON.parse(description ?? "{}") as Description;
      if (protocol !== PROTOCOL || !required.every((label) => labels.includes(label))) continue;
      const names = namesOf(space, (name as string).slice(prefix.length));
      const ackWait = await leaseOf(js, names);
      // Without one it is still being made, and its program will announce it.
      if (ackWait !== undefined) pools.push({ names, ackWait, servers: serversOf(stream) });
    }
    offset += streams?.length ?? 0;
    if (offset >= total || !streams?.length) return pools;
  }
};
