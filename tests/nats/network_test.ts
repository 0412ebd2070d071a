/** Networks that lose packets, servers of a cluster that end, and connections that are made again and again. */
import * as Effect from "effect/Effect";
import * as Fiber from "effect/Fiber";
import { Backend, Pool, Process, Queue } from "../../mod.ts";
import * as NatsBackend from "../../src/NatsBackend.ts";
import { assert, assertEquals, assertLessOrEqual } from "../support/assert.ts";
import { rounds } from "../support/chance.ts";
import { collect } from "../support/leaks.ts";
import { agentProgram, available, natsCluster, natsServer } from "../support/nats.ts";
import { proxy } from "../support/proxy.ts";
import { test } from "../support/suite.ts";
import * as Tasks from "./tasks.ts";

const numbers = (count: number): ReadonlyArray<number> => Array.from({ length: count }, (_, i) => i);

/** Calls of a pool, and items on their way through a process and back, all of which must come back once and in order. */
const traffic = (backend: Backend.Backend, count: number) =>
  Effect.gen(function* () {
    const there = yield* Queue.make<number>({ capacity: 100 });
    const back = yield* Queue.make<number>({ capacity: 100 });
    const child = yield* Process.spawn(Tasks.relay, there, back);
    const pool = yield* Pool.make({ size: 2, prefetch: 4 });
    return {
      pool,
      /** Runs `fault` while half of the items have come back. */
      round: (fault: Effect.Effect<unknown>) =>
        Effect.gen(function* () {
          const putting = yield* Effect.fork(Effect.forEach(numbers(count), (n) => there.put(n), { discard: true }));
          const calling = yield* Effect.fork(
            Effect.forEach(numbers(count), (n) => pool.apply(Tasks.square, n), { concurrency: 8 }),
          );
          const half = yield* Effect.replicateEffect(back.get, count / 2);
          yield* fault;
          const rest = yield* Effect.replicateEffect(back.get, count / 2);
          assertEquals([...half, ...rest], numbers(count));
          yield* Fiber.join(putting);
          assertEquals(yield* Fiber.join(calling), numbers(count).map((n) => n * n));
        }),
      end: Effect.zipRight(there.close, child.join),
    };
  }).pipe(Effect.provideService(Backend.Backend, backend));

/** The memory of a process in bytes. */
const memoryOf = (pid: number): number => {
  const [, kilobytes] = /VmRSS:\s+(\d+) kB/.exec(Deno.readTextFileSync(`/proc/${pid}/status`))!;
  return Number(kilobytes) * 1024;
};

if (available) {
  test(
    "a network that loses 2 % of the packets, with 10 ms for each hop, only delays what travels (full)",
    Effect.gen(function* () {
      const { url } = yield* natsServer();
      const [near, far] = yield* Effect.all([proxy(url, 10, 0.02), proxy(url, 10, 0.02)]);
      yield* agentProgram(far.url, ["--slots=3"]);
      const backend = yield* NatsBackend.make({ servers: near.url });
      const { end, pool, round } = yield* traffic(backend, 60);
      yield* round(Effect.void);
      yield* end;
      assertEquals((yield* pool.statistics).replaced, 0);
    }),
  );

  test(
    "any server of three may be killed: nothing is lost, and no process is given up (full)",
    Effect.gen(function* () {
      const servers = yield* natsCluster(3);
      const urls = servers.map(({ url }) => url);
      const agent = yield* agentProgram(urls.join(","), ["--slots=3"]);
      const backend = yield* NatsBackend.make({ servers: urls });
      const { end, pool, round } = yield* traffic(backend, 400);
      for (const { start, stop } of servers) {
        yield* round(stop);
        yield* round(start);
      }
      yield* end;
      assertEquals((yield* pool.statistics).replaced, 0);
      assert(!agent.log().includes("are killed"), agent.log());
    }),
  );

  test(
    "connections that are made again and again leave nothing behind, here and at the agent (full) (storm)",
    Effect.gen(function* () {
      const server = yield* natsServer();
      const agent = yield* agentProgram(server.url, ["--slots=3"]);
      const backend = yield* NatsBackend.make({ servers: server.url });
      const { end, pool, round } = yield* traffic(backend, 400);
      const restart = Effect.zipRight(server.stop, server.start);
      const measure = Effect.sync(() => {
        collect();
        return [Deno.memoryUsage().heapUsed, memoryOf(agent.pid)] as const;
      });
      // The first rounds fill caches, and let the runtimes compile what is used often.
      for (let i = 0; i < rounds(2, 8); i++) yield* round(restart);
      const before = yield* measure;
      for (let i = 0; i < rounds(2, 12); i++) yield* round(restart);
      const after = yield* measure;
      assertLessOrEqual(after[0], before[0] * 1.1 + 2 ** 20, "this program");
      assertLessOrEqual(after[1], before[1] * 1.2 + 8 * 2 ** 20, "the agent");
      yield* end;
      assertEquals((yield* pool.statistics).replaced, 0);
      // Those of the pool are all that the agent still has.
      const at = NatsBackend.agents.pipe(Effect.provideService(Backend.Backend, backend));
      assertEquals((yield* at).map(({ free }) => free), [1]);
      assertEquals(yield* Effect.provideService(Process.run(Tasks.square, 3), Backend.Backend, backend), 9);
    }),
  );
}
