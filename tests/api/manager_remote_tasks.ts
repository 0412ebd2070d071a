/** Tasks of the tests of managers of other programs. */
import * as Effect from "effect/Effect";
import type * as Lock from "../../src/Lock.ts";
import * as Manager from "../../src/Manager.ts";
import type * as Queue from "../../src/Queue.ts";
import * as Task from "../../src/Task.ts";
import * as Tasks from "./manager_tasks.ts";

type Address = Manager.ConnectOptions["address"];

/** Connects, acquires a lock, makes an object, reports so, and waits for ever. */
export const holds = Task.make(
  import.meta,
  "holds",
  (address: Address, authKey: Uint8Array, told: Queue.Queue<string>) =>
    Effect.scoped(Effect.gen(function* () {
      const manager = yield* Manager.connect({ address, authKey });
      const lock = (yield* manager.find<Lock.Lock>("lock"))!;
      yield* lock.take;
      yield* manager.dict();
      yield* told.put("held");
      yield* Effect.never;
    })),
);

/** Serves, reports so, and waits for ever. */
export const serves = Task.make(
  import.meta,
  "serves",
  (address: Address, authKey: Uint8Array, told: Queue.Queue<string>) =>
    Effect.scoped(Effect.gen(function* () {
      const manager = yield* Manager.serve({ address, authKey, types: [Tasks.maths] });
      yield* manager.publish("value", yield* manager.value(1));
      yield* told.put("serving");
      yield* Effect.never;
    })),
);

/** Uses an object that another program has published, through the process that is connected to that program. */
export const uses = Task.make(import.meta, "uses", (manager: Manager.Manager) =>
  Effect.scoped(Effect.gen(function* () {
    const jobs = (yield* manager.find<Queue.Queue<number>>("jobs"))!;
    yield* jobs.putAll([1, 2]);
    const dict = yield* manager.dict([["jobs", jobs as unknown]]);
    const again = (yield* dict.get("jobs")) as Queue.Queue<number>;
    return [yield* jobs.size, yield* again.get, yield* again.get, yield* dict.size];
  })));
