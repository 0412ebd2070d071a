/** A process that moves messages, or takes a contended lock, still serves its sockets. */
import * as Effect from "effect/Effect";
import * as Fiber from "effect/Fiber";
import type * as Layer from "effect/Layer";
import { type Backend, Event, Lock, Process, Queue, SubprocessBackend, WorkerBackend } from "../../mod.ts";
import { assert } from "../support/assert.ts";
import * as Tasks from "./responsive_tasks.ts";
import { test, warmUp } from "../support/suite.ts";
import { repeated } from "../support/tier.ts";

const ITEMS = 100_000;

const TAKES = 400_000;

/** Runs an effect in a child with a web server, and sends requests without a pause. */
const whileAsking = <A, E>(ports: Queue.Queue<number>, work: Effect.Effect<A, E>) =>
  Effect.gen(function* () {
    const port = yield* ports.get;
    const client = Deno.createHttpClient({});
    const request = Effect.promise(async () => (await fetch(`http://127.0.0.1:${port}/`, { client })).text());
    const asking = yield* Effect.fork(Effect.forever(request));
    const result = yield* work;
    yield* Fiber.interrupt(asking);
    client.close();
    return result;
  });

/** A server whose sockets starve answers two or three requests in that time. */
const assertAnswered = (answered: number): void => assert(answered >= 20, `it has answered ${answered} requests`);

const suite = (name: string, layer: Layer.Layer<Backend.Backend>): void => {
  test(
    `${name}: a web server answers while its process takes ${ITEMS} items`,
    Effect.gen(function* () {
      const items = yield* Queue.make<number>({ capacity: 1000 });
      const ports = yield* Queue.make<number>();
      const child = yield* Process.spawn(Tasks.servesAndTakes, items, ports, ITEMS);
      const answered = yield* whileAsking(
        ports,
        Effect.gen(function* () {
          for (let n = 0; n < ITEMS; n += 100) yield* items.putAll(Array.from({ length: 100 }, (_, i) => n + i));
          return yield* child.join;
        }),
      );
      assertAnswered(answered);
    }).pipe(Effect.provide(layer)),
  );

  test(
    `${name}: a web server answers while its process takes a contended lock ${TAKES} times (full)`,
    Effect.gen(function* () {
      const lock = yield* Lock.make();
      const stop = yield* Event.make();
      const ports = yield* Queue.make<number>();
      const rival = yield* Process.spawn(Tasks.contends, lock, stop);
      const child = yield* Process.spawn(Tasks.servesAndLocks, lock, ports, TAKES);
      const answered = yield* whileAsking(ports, child.join);
      yield* stop.set;
      yield* rival.join;
      assertAnswered(answered);
    }).pipe(Effect.provide(layer)),
  );
};

await warmUp(Effect.gen(function* () {
  yield* Effect.provide(
    Process.run(Tasks.servesAndTakes, yield* Queue.make<number>(), yield* Queue.make<number>(), 0),
    SubprocessBackend.layer(),
  );
  const client = Deno.createHttpClient({});
  client.close();
}));

suite("subprocess", SubprocessBackend.layer());
repeated(() => suite("worker", WorkerBackend.layer()));
