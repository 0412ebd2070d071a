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
import { JetStream, passes } from "../jetstream.ts";
import { type Bid, decodeRecord, encode, randomName } from "../protocol.ts";
import { connect, type Server, serverChecks } from "../server.ts";
import { Client } from "./client.ts";
import { CANCEL, type Settings } from "./dispatch.ts";
import { namesOf, shared } from "./names.ts";
import { places } from "./places.ts";
import { DurablePool } from "./pool.ts";
import { Programs } from "./programs.ts";
import { establishPool, isMissing } from "./streams.ts";

/** Number of calls of a program that are in the server at a time. Further ones wait here. */
const WINDOW = 1024;

/** How long the tasks of a pool that is closed may take to stop, in milliseconds. */
const GRACE = 2 * CANCEL;

/** How long agents may take to say how many places they have, in milliseconds; and the others after the first one. */
const FIRST = 300;
const OTHERS = 20;

/** The pause before the server is asked again whether it has JetStream, in milliseconds. */
const AGAIN = 100;

/** The number of runs after the first one. */
const RETRIES = 2;

const { count, finite, must, optional, positive, texts } = Arguments;

const poolName = must(
  (value) => typeof value === "string" && /^[A-Za-z0-9_-]{1,100}$/.test(value),
  "a name of letters, digits, - and _",
);

const checks: Arguments.Checks = {
  ...serverChecks,
  name: poolName,
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

/** Fails if the server has no JetStream. */
const demandJetStream = async (js: JetStream, millis: number): Promise<void> => {
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
          "Cannot make a NatsPool: the server has no JetStream; start nats-server with -js",
          error,
        );
      }
      if (!passes(error)) throw error;
      await js.pause(AGAIN);
    }
  }
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
    const inbox = `mp.${space}.r.${caller}`;
    const server = yield* connect(options, `multiprocessing pool ${name} ${caller}`, inbox);
    const js = yield* Effect.acquireRelease(
      Effect.sync(() => new JetStream(server, inbox)),
      (js) => Effect.sync(() => js.close()),
    );
    const names = namesOf(space, name);
    const asked = <A>(ask: () => Promise<A>): Effect.Effect<A, NatsError> =>
      Effect.tryPromise({
        try: ask,
        catch: (error) =>
          error instanceof NatsError ? error : new NatsError(
            "Refused",
            `Cannot make the pool ${name}: the server refuses it: ${(error as Error).message}`,
            error,
          ),
      });
    yield* asked(() => demandJetStream(js, millisOf(options.connectTimeout) ?? 4000));
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
    const size = options.size ?? (yield* asked(() => countPlaces(server, space, inbox, labels ?? [])));
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
