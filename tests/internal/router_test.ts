/** Calls to objects of processes whose address is long. */
import * as Effect from "effect/Effect";
import type * as Layer from "effect/Layer";
import { type Backend, Process, Queue, SubprocessBackend, WorkerBackend } from "../../mod.ts";
import { assert, assertEquals } from "../support/assert.ts";
import * as Tasks from "./router_tasks.ts";
import { test, warmUp } from "../support/suite.ts";

const LEVELS = 16;

const suite = (name: string, layer: Layer.Layer<Backend.Backend>): void =>
  test(
    `${name}: an object is reached in a process whose address is longer than 255 characters`,
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

await warmUp(Effect.gen(function* () {
  for (const layer of [SubprocessBackend.layer(), WorkerBackend.layer()]) {
    const made = yield* Queue.make<Queue.Queue<string>>();
    yield* Effect.fork(Effect.flatMap(made.get, (queue) => queue.put("")));
    yield* Effect.provide(Process.run(Tasks.descend, 0, made), layer);
  }
}));

suite("subprocess", SubprocessBackend.layer());
suite("worker", WorkerBackend.layer());
