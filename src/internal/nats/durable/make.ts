/**
 * Makes a durable pool: its connection, its streams and its client.
 *
 * @module
 */
import * as Duration from "effect/Duration";
import * as Effect from "effect/Effect";
import type * as Scope from "effect/Scope";
import type * as Public from "../../../NatsPool.ts";
import { environment, permissions } from "../../child/options.ts";
import { NatsError } from "../../network/errors.ts";
import * as Arguments from "../../os/arguments.ts";
import { positiveDuration } from "../../os/durations.ts";
import { after } from "../../os/timer.ts";
import { start } from "../../pool/pool.ts";
import { type Bid, decodeRecord, encode, randomName } from "../protocol.ts";
import { type Server, serverChecks } from "../server.ts";
import { openJetStream, streamName } from "../streams.ts";
import { Client } from "./client.ts";
import { CANCEL, type Settings } from "./dispatch.ts";
import { namesOf, shared } from "./names.ts";
import { places } from "./places.ts";
import { DurablePool } from "./pool.ts";
import { Programs } from "./programs.ts";
import { establishPool } from "./streams.ts";

/** Number of calls of a program that are in the server at a time. Further ones wait here. */
const WINDOW = 1024;

/** How long the tasks of a pool that is closed may take to stop, in milliseconds. */
const GRACE = 2 * CANCEL;

/** How long agents may take to say how many places they have, in milliseconds; and the others after the first one. */
const FIRST = 300;
const OTHERS = 20;

/** The number of runs after the first one. */
const RETRIES = 2;

const { count, finite, optional, positive, texts } = Arguments;

const checks: Arguments.Checks = {
  ...serverChecks,
  name: streamName,
  size: optional(positive),
  replicas: optional(Arguments.range(1, 5)),
  maxQueued: optional(positive),
  whenFull: optional(Arguments.oneOf("wait", "refuse")),
  ackWait: optional(positiveDuration),
  retries: optional(count),
  priority: optional(finite),
  timeout: optional(positiveDuration),
  keepResults: optional(positiveDuration),
  keepDead: optional(positiveDuration),
  labels: optional(texts),
  permissions: optional(permissions),
  env: optional(environment),
  v8Flags: optional(texts),
  include: optional(texts),
};

/** Number of places of the agents that answer soon. */
const countPlaces = async (
  server: Server,
  space: string,
  inbox: string,
  labels: ReadonlyArray<string>,
): Promise<number> => {
  let slots = 0;
  const ended = Promise.withResolvers<void>();
  let stop = after(FIRST, ended.resolve);
  const leave = server.subscribe(`${inbox}.bids`, (_subject, data) => {
    const bid = decodeRecord<Bid>(data);
    if (!labels.every((label) => bid.labels.includes(label))) return;
    slots += bid.slots;
    stop();
    stop = after(OTHERS, ended.resolve);
  });
  server.publish(`mp.${space}.bid`, encode(null), `${inbox}.bids`);
  await ended.promise;
  leave();
  return Math.max(1, slots);
};

const millisOf = (duration: Duration.DurationInput | undefined): number | undefined =>
  duration === undefined ? undefined : Duration.toMillis(duration);

/** Makes a pool; see `NatsPool.make`. */
export const make = (options: Public.Options): Effect.Effect<Public.NatsPool, NatsError, Scope.Scope> =>
  Effect.gen(function* () {
    const wrong = Arguments.wrongOptions(options, checks);
    if (wrong !== undefined) {
      return yield* Effect.fail(new NatsError("InvalidOption", Arguments.invalidOption("NatsPool", wrong)));
    }
    const { labels, maxQueued, name, replicas, retries = RETRIES, space = "default" } = options;
    const caller = randomName();
    const { asked, inbox, js } = yield* openJetStream(options, `pool ${name}`, "NatsPool", caller);
    const names = namesOf(space, name);
    yield* asked(() =>
      establishPool(js, space, names, {
        replicas,
        maxQueued,
        labels,
        ackWait: millisOf(options.ackWait),
        keepResults: millisOf(options.keepResults),
        keepDead: millisOf(options.keepDead),
      })
    );
    js.tell(shared(space).pools, encode({ name }));
    const client = yield* Effect.acquireRelease(
      Effect.sync(() => new Client(js, names, caller)),
      (client) => Effect.sync(() => client.close()),
    );
    const programs = new Programs(js, space, {
      permissions: options.permissions,
      env: options.env ?? {},
      v8Flags: options.v8Flags ?? [],
      include: options.include ?? [],
    });
    const size = options.size ?? (yield* asked(() => countPlaces(js.server, space, inbox, labels ?? [])));
    const settings: Settings = {
      client,
      programs,
      retries,
      refuses: options.whenFull === "refuse",
      runtime: yield* Effect.runtime<never>(),
    };
    return yield* Effect.orDie(start(places, {
      size,
      concurrency: Math.max(1, Math.ceil(WINDOW / size)),
      gracePeriod: GRACE,
      priority: options.priority,
      timeout: options.timeout,
    }, (workers, poolSettings) => new DurablePool(workers, poolSettings, settings)));
  });
