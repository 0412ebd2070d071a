/**
 * Makes the objects that programs share by a server: the connection, and the stream in which their states are kept.
 *
 * @module
 */
import * as Duration from "effect/Duration";
import * as Effect from "effect/Effect";
import type * as Scope from "effect/Scope";
import type * as Public from "../../../NatsShared.ts";
import type * as Queue from "../../../Queue.ts";
import { NatsError } from "../../network/errors.ts";
import * as Arguments from "../../os/arguments.ts";
import { positiveDuration } from "../../os/durations.ts";
import { inspectable } from "../../os/inspect.ts";
import { randomName } from "../protocol.ts";
import { serverChecks } from "../server.ts";
import { establish, infoOf, isBefore, type Opened, openJetStream, streamName } from "../streams.ts";
import { Connection } from "./connection.ts";
import { openQueue, queueChecks, type SharedQueue } from "./queue.ts";
import { SharedDict } from "./dict.ts";
import { SharedEvent } from "./event.ts";
import { Seat } from "./lease.ts";
import { SharedLock } from "./lock.ts";
import { Records } from "./record.ts";
import { SharedSemaphore } from "./semaphore.ts";

const checks: Arguments.Checks = {
  ...serverChecks,
  name: streamName,
  replicas: Arguments.optional(Arguments.range(1, 5)),
};

/** Makes the stream of the states: the last message of a subject is the state of an object, or of a key. */
const establishStates = (connection: Connection): Promise<void> =>
  establish(connection.js, connection.stream("shared"), { num_replicas: connection.replicas }, {
    subjects: ["lock.*", "semaphore.*", "event.*", "dict.*.*"].map((subject) => `${connection.base}.${subject}`),
    storage: "file",
    num_replicas: 1,
    max_msgs_per_subject: 1,
  });

/** The first version whose clusters refuse the second one of two changes of a state that come at the same time. */
const EXACT = [2, 9, 21];

/** Fails if the servers cannot keep the states: compare-and-set must be exact. */
const demandExactness = async (connection: Connection): Promise<void> => {
  const { version } = connection.js.server;
  if (!isBefore(version, EXACT)) return;
  const info = await infoOf(connection.js, connection.stream("shared"));
  if (info?.config["num_replicas"] === 1) return;
  throw new NatsError(
    "Unsupported",
    `Cannot make a NatsShared with replicas: a cluster of nats-server ${version} may accept two changes of one state; use version ${
      EXACT.join(".")
    } or later, or replicas: 1`,
  );
};

/** How long a program may be silent that holds a lock or permits, in milliseconds. */
const LEASE = 10_000;

/** The shortest lease, in milliseconds: signs of life take time. */
const SHORTEST = 100;

const lease: Arguments.Check = (value) =>
  positiveDuration(value) ??
    (Duration.toMillis(value as Duration.DurationInput) < SHORTEST ||
        Duration.toMillis(value as Duration.DurationInput) === Infinity
      ? `must be a duration of ${SHORTEST} ms or more that ends, received ${Arguments.show(value)}`
      : undefined);

const lockChecks: Arguments.Checks = { lease: Arguments.optional(lease) };
const semaphoreChecks: Arguments.Checks = { ...lockChecks, permits: Arguments.optional(Arguments.positive) };

/** The objects of one name. */
class Shared implements Public.NatsShared {
  readonly #connection: Connection;
  readonly #records: Records;
  readonly #asked: Opened["asked"];
  readonly #seats = new Map<string, Seat>();
  readonly #events = new Map<string, SharedEvent>();
  readonly #dicts = new Map<string, SharedDict<unknown, unknown>>();
  readonly #queues = new Map<string, SharedQueue<unknown>>();
  #isOpen = true;
  readonly #scope: Scope.Scope;

  constructor(connection: Connection, asked: Opened["asked"], scope: Scope.Scope) {
    this.#scope = scope;
    this.#connection = connection;
    this.#records = new Records(connection);
    this.#asked = asked;
  }

  get name(): string {
    return this.#connection.name;
  }

  get space(): string {
    return this.#connection.space;
  }

  readonly queue = <A>(name: string, options: Public.QueueOptions = {}): Effect.Effect<Queue.Queue<A>, NatsError> =>
    this.#making("queue", name, options, queueChecks, () =>
      Effect.map(
        this.#asked(() => openQueue(this.#connection, name, options, this.#queues, () => this.#isOpen)),
        (queue) => queue as unknown as Queue.Queue<A>,
      ));

  readonly lock = (name: string, options: Public.LeaseOptions = {}): Effect.Effect<Public.Lock, NatsError> =>
    this.#making("lock", name, options, lockChecks, () =>
      Effect.map(
        this.#seat("lock", name, options.lease),
        (seat) => new SharedLock(this.#connection, name, seat),
      ));

  readonly semaphore = (
    name: string,
    options: Public.SemaphoreOptions = {},
  ): Effect.Effect<Public.Semaphore, NatsError> =>
    this.#making(
      "semaphore",
      name,
      options,
      semaphoreChecks,
      () =>
        Effect.flatMap(this.#seat("semaphore", name, options.lease), (seat) =>
          Effect.map(
            this.#asked(() => seat.establish(options.permits)),
            (permits) => new SharedSemaphore(this.#connection, name, seat, permits),
          )),
    );

  readonly event = (name: string): Effect.Effect<Public.Event, NatsError> =>
    this.#making("event", name, {}, {}, () =>
      Effect.sync(() => {
        const known = this.#events.get(name);
        if (known !== undefined) return known;
        const event = new SharedEvent(this.#connection, this.#records, name);
        this.#events.set(name, event);
        return event;
      }));

  readonly dict = <K, V>(name: string): Effect.Effect<Public.Dict<K, V>, NatsError> =>
    this.#making("dict", name, {}, {}, () =>
      Effect.sync(() => {
        let dict = this.#dicts.get(name);
        if (dict === undefined) {
          dict = new SharedDict(this.#connection, this.#records, name, this.#scope);
          this.#dicts.set(name, dict);
        }
        return dict as unknown as Public.Dict<K, V>;
      }));

  /** Gives back all locks and permits of this program, and ends its waits. */
  async close(): Promise<void> {
    this.#isOpen = false;
    for (const event of this.#events.values()) event.close();
    for (const dict of this.#dicts.values()) dict.close();
    await Promise.all([
      ...Array.from(this.#queues.values(), (queue) => queue.leave()),
      ...Array.from(this.#seats.values(), (seat) => seat.close()),
    ]);
  }

  toString(): string {
    return this.#connection.host;
  }

  #making<A>(
    kind: string,
    name: string,
    options: unknown,
    checks: Arguments.Checks,
    make: () => Effect.Effect<A, NatsError>,
  ): Effect.Effect<A, NatsError> {
    return Effect.suspend(() => {
      const wrong = Arguments.wrong({ name }, { name: streamName }) ?? Arguments.wrongOptions(options, checks);
      return wrong === undefined
        ? make()
        : Effect.fail(new NatsError("InvalidOption", Arguments.invalidOption(`${kind} of NatsShared`, wrong)));
    });
  }

  /** All users of a lock or semaphore in this program share one seat, so that its fibers are served in order. */
  #seat(
    kind: "lock" | "semaphore",
    name: string,
    lease: Duration.DurationInput | undefined,
  ): Effect.Effect<Seat, NatsError> {
    const key = `${kind} ${name}`;
    const millis = Duration.toMillis(lease ?? LEASE);
    const known = this.#seats.get(key);
    if (known === undefined) {
      const seat = new Seat(this.#connection, kind, name, millis);
      this.#seats.set(key, seat);
      return Effect.succeed(seat);
    }
    return lease === undefined || known.lease === millis ? Effect.succeed(known) : Effect.fail(
      new NatsError(
        "InvalidOption",
        `Cannot use the ${kind} ${name} with a lease of ${millis} ms: this program uses it with ${known.lease} ms`,
      ),
    );
  }
}
inspectable(Shared);

/** Connects to the objects of a name; see `NatsShared.make`. */
export const make = (options: Public.Options): Effect.Effect<Public.NatsShared, NatsError, Scope.Scope> =>
  Effect.gen(function* () {
    const wrong = Arguments.wrongOptions(options, checks);
    if (wrong !== undefined) {
      return yield* Effect.fail(new NatsError("InvalidOption", Arguments.invalidOption("NatsShared", wrong)));
    }
    const { name, replicas, space = "default" } = options;
    const caller = randomName();
    const { asked, inbox, js } = yield* openJetStream(options, `shared objects ${name}`, "NatsShared", caller);
    const connection = new Connection(js, inbox, caller, { name, replicas, space });
    yield* asked(async () => {
      await establishStates(connection);
      await demandExactness(connection);
    });
    const scope = yield* Effect.scope;
    return yield* Effect.acquireRelease(
      Effect.sync(() => new Shared(connection, asked, scope)),
      (shared) => Effect.promise(() => shared.close()),
    );
  });
