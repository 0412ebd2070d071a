/**
 * Puts items into a shared queue, or takes them, prints each, and waits to be killed:
 *
 * - `nats_shared_queue.ts SERVERS QUEUE put PREFIX COUNT` prints `put ITEM` when the put has returned.
 * - `nats_shared_queue.ts SERVERS QUEUE take` prints `got ITEM` when it has an item.
 * - `nats_shared_queue.ts SERVERS QUEUE report` does so for a queue that redelivers, and then reports the item.
 */
import * as Effect from "effect/Effect";
import { runMain } from "../../mod.ts";
import * as NatsShared from "../../src/NatsShared.ts";

if (import.meta.main) {
  const [servers, name, action, prefix, count] = Deno.args;
  const program = Effect.gen(function* () {
    const shared = yield* NatsShared.make({ servers, name: "faults" });
    const queue = yield* shared.queue<string>(name);
    console.log("ready");
    if (action === "put") {
      for (let n = 0; n < Number(count); n++) {
        yield* queue.put(`${prefix} ${n}`);
        console.log("put", `${prefix} ${n}`);
      }
      console.log("finished");
    } else {
      while (true) {
        console.log("got", yield* queue.get);
        if (action === "report") yield* queue.taskDone();
      }
    }
    yield* Effect.never;
  });
  runMain(Effect.scoped(program));
}
