/** Queues that several programs share by a real server. */
import * as Context from "effect/Context";
import * as Effect from "effect/Effect";
import type * as Scope from "effect/Scope";
import type { Queue } from "../../mod.ts";
import * as NatsShared from "../../src/NatsShared.ts";
import { type Make, Maker, promises } from "../api/queue_promises.ts";
import { available, durableServer } from "../support/nats.ts";
import { group } from "../support/suite.ts";

/** The guarantees of a queue that this one does not have, or has in another form, which a test below tries. */
const others = ["a put waits for bytes as well", "an item of 100 MB arrives whole"];

if (available) {
  for (const title of others) {
    if (!promises.some(([name]) => name.startsWith(title))) throw new Error(`No test begins with ${title}`);
  }

  group(
    "NatsShared: a queue",
    Effect.gen(function* () {
      const { url } = yield* durableServer;
      const shared = yield* NatsShared.make({ servers: url, name: "tests" });
      let count = 0;
      const make: Make = (_kind, options = {}) => {
        const { capacity, maxBytes, redeliver } = options;
        return shared.queue(`queue-${++count}`, { capacity, maxBytes, redeliver }) as Effect.Effect<
          Queue.Queue<unknown>,
          unknown,
          Scope.Scope
        >;
      };
      return Context.make(Maker, { make });
    }),
    promises.filter(([name]) => !others.some((title) => name.startsWith(title))),
  );
}
