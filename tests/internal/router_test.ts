/**
 * Calls to objects of processes with a long address. A route does not depend on the backend, so one backend is enough.
 */
import * as Effect from "effect/Effect";
import * as Process from "../../src/Process.ts";
import * as Queue from "../../src/Queue.ts";
import * as SubprocessBackend from "../../src/SubprocessBackend.ts";
import { assert, assertEquals } from "../support/assert.ts";
import * as Tasks from "./router_tasks.ts";
import { test, warmUp } from "../support/suite.ts";

const LEVELS = 16;

const layer = SubprocessBackend.layer();

await warmUp(Effect.gen(function* () {
  const made = yield* Queue.make<Queue.Queue<string>>();
  yield* Effect.fork(Effect.flatMap(made.get, (queue) => queue.put("")));
  yield* Effect.provide(Process.run(Tasks.descend, 0, made), layer);
}));

test(
  "a call reaches an object in a process whose address is longer than 255 characters (full)",
  Effect.gen(function* () {
    const made = yield* Queue.make<Queue.Queue<string>>();
    const child = yield* Process.spawn(Tasks.descend, LEVELS, made);
    const queue = yield* made.get;
    yield* queue.put("from above");
    const { address, item } = yield* child.join;
    assert(address.length > 255, address);
    assertEquals(item, "from above");
  }).pipe(Effect.provide(layer)),
);
