/**
 * Makes the objects that programs share by a server: the connection, and the stream in which their states are kept.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import type * as Scope from "effect/Scope";
import type * as Public from "../../../NatsShared.ts";
import type * as Queue from "../../../Queue.ts";
import { NatsError } from "../../network/errors.ts";
import * as Arguments from "../../os/arguments.ts";
import { inspectable } from "../../os/inspect.ts";
import { randomName } from "../protocol.ts";
import { serverChecks } from "../server.ts";
import { establish, openJetStream, streamName } from "../streams.ts";
import { Connection } from "./connection.ts";
import { makeQueue } from "./queue.ts";

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

/** The objects of one name. */
class Shared implements Public.NatsShared {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  get name(): string {
    return this.#connection.name;
  }

  get space(): string {
    return this.#connection.space;
  }

  readonly queue = <A>(
    name: string,
    options?: Public.QueueOptions,
  ): Effect.Effect<Queue.Queue<A>, Queue.QueueError | Queue.Unreachable, Scope.Scope> =>
    makeQueue<A>(this.#connection, name, options);

  toString(): string {
    return this.#connection.host;
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
    yield* asked(() => establishStates(connection));
    return new Shared(connection);
  });
