/** A process that moves messages goes on with what else it has to do. */
import * as Effect from "effect/Effect";
import * as Fiber from "effect/Fiber";
import type * as Layer from "effect/Layer";
import { type Backend, Process, Queue, SubprocessBackend, WorkerBackend } from "../../mod.ts";
import { assert } from "../support/assert.ts";
import * as Tasks from "./responsive_tasks.ts";
import { test, warmUp } from "../support/suite.ts";

const ITEMS = 100_000;

const suite = (name: string, layer: Layer.Layer<Backend.Backend>): void =>
  test(
    `${name}: a web server answers while its process takes ${ITEMS} items`,
    Effect.gen(function* () {
      const items = yield* Queue.make<number>({ capacity: 1000 });
      const ports = yield* Queue.make<number>();
      const child = yield* Process.spawn(Tasks.servesAndTakes, items, ports, ITEMS);
      const port = yield* ports.get;
      const client = Deno.createHttpClient({});
      const request = Effect.promise(async () => (await fetch(`http://127.0.0.1:${port}/`, { client })).text());
      const asking = yield* Effect.fork(Effect.forever(request));
      for (let n = 0; n < ITEMS; n += 100) yield* items.putAll(Array.from({ length: 100 }, (_, i) => n + i));
      const answered = yield* child.join;
      yield* Fiber.interrupt(asking);
      client.close();
      // A server whose sockets starve answers two or three in that time.
      assert(answered >= 20, `it has answered ${answered} requests`);
    }).pipe(Effect.provide(layer)),
  );

await warmUp(Effect.gen(function* () {
  yield* Effect.provide(
    Process.run(Tasks.servesAndTakes, yield* Queue.make<number>(), yield* Queue.make<number>(), 0),
    SubprocessBackend.layer(),
  );
  const client = Deno.createHttpClient({});
  client.close();
}));

suite("subprocess", SubprocessBackend.layer());
suite("worker", WorkerBackend.layer());
