/**
 * Deaths and breaks of processes, agents, servers and callers of a durable pool. Each run of a task is recorded in a file; the checker reads
 * it together with the streams.
 */
import * as Effect from "effect/Effect";
import * as Either from "effect/Either";
import * as Exit from "effect/Exit";
import * as Fiber from "effect/Fiber";
import type * as Scope from "effect/Scope";
import { Pool } from "../../mod.ts";
import { serve } from "../../src/agent.ts";
import * as NatsPool from "../../src/NatsPool.ts";
import { assert, assertEquals, assertGreater, assertInstanceOf } from "../support/assert.ts";
import { below, rounds } from "../support/chance.ts";
import {
  type AgentProgram,
  agentProgram,
  available,
  durableServer,
  durableServerWith,
  natsCluster,
  type NatsServer,
} from "../support/nats.ts";
import { proxy } from "../support/proxy.ts";
import { type Script, script } from "../support/scripts.ts";
import { temporary, test, when } from "../support/suite.ts";
import * as Tasks from "./pool_tasks.ts";

const numbers = (count: number): ReadonlyArray<number> => Array.from({ length: count }, (_, i) => i);

/** The runs in a file: the number of the task, and the process that ran it. */
const runs = (path: string): ReadonlyArray<readonly [n: number, pid: number]> =>
  Deno.readTextFileSync(path).split("\n").slice(0, -1).map((line) => {
    const [n, pid] = line.split(" ");
    return [Number(n), Number(pid)];
  });

const folder = Effect.acquireRelease(
  Effect.sync(() => Deno.makeTempDirSync()),
  (path) => Effect.promise(() => Deno.remove(path, { recursive: true })),
);

/** Waits until a file has so many runs. */
const ran = (path: string, count: number) => when(Effect.sync(() => runs(path)), ({ length }) => length >= count);

/** The numbers of the tasks that have run more than once. */
const repeated = (path: string): ReadonlyArray<number> => {
  const seen = new Set<number>();
  return runs(path).flatMap(([n]) => seen.size === seen.add(n).size ? [n] : []);
};

const kill = (pid: number): void => {
  try {
    Deno.kill(pid, "SIGKILL");
  } catch (error) {
    assertInstanceOf(error, Deno.errors.NotFound);
  }
};

/** Waits until the server has no task of a pool. */
const empty = (pool: NatsPool.NatsPool) => when(pool.contents, ({ parts, tasks }) => tasks === 0 && parts === 0);

/** Starts a program, and kills it with the scope. */
const caller = (args: ReadonlyArray<string>): Effect.Effect<Script, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => script("nats_pool_caller.ts", args)),
    (program) =>
      Effect.promise(() => {
        kill(program.pid);
        return program.ended;
      }),
  );

/** The ids that a program that has ended has stored. */
const storedBy = async (program: Script): Promise<ReadonlyArray<string>> =>
  (await program.ended).stdout.split("\n").flatMap((line) => line.startsWith("stored ") ? [line.slice(7)] : []);

if (available) {
  test(
    "NatsPool: a task whose process is killed runs again, and no other task does (full)",
    Effect.gen(function* () {
      const path = yield* temporary;
      const { url } = yield* durableServer;
      yield* agentProgram(url, ["--slots=2"]);
      const pool = yield* NatsPool.make({ servers: url, name: "faults" });
      const calls = yield* Effect.fork(
        Effect.forEach(numbers(20), (n) => pool.apply(Tasks.work, path, n, 100), { concurrency: "unbounded" }),
      );
      yield* ran(path, 3);
      const [n, pid] = runs(path).at(-1)!;
      kill(pid);
      assertEquals(yield* Fiber.join(calls), numbers(20).map((n) => 2 * n));
      const again = repeated(path);
      assert(again.length <= 1 && again.every((other) => other === n), `${again}`);
      yield* empty(pool);
      assertEquals(yield* pool.deadLetters, []);
    }),
  );

  test(
    "NatsPool: the tasks of a killed agent run on another one, after ackWait; those of one that ends in order at once (full)",
    Effect.gen(function* () {
      const path = yield* temporary;
      const { url } = yield* durableServer;
      const first = yield* agentProgram(url, ["--slots=2"]);
      const pool = yield* NatsPool.make({ servers: url, name: "faults", ackWait: "1 seconds" });
      const calls = (count: number) =>
        Effect.fork(
          Effect.forEach(numbers(count), (n) => pool.apply(Tasks.work, path, n, 50), { concurrency: "unbounded" }),
        );
      const killed = yield* calls(40);
      yield* ran(path, 5);
      const second = yield* agentProgram(url, ["--slots=2"]);
      first.kill("SIGKILL");
      assertEquals(yield* Fiber.join(killed), numbers(40).map((n) => 2 * n));
      // Those that it had in hand at most: the tasks of its places, and as many ahead.
      assert(repeated(path).length <= 4, `${repeated(path)}`);
      Deno.truncateSync(path);
      const ended = yield* calls(40);
      yield* ran(path, 5);
      yield* agentProgram(url, ["--slots=2"]);
      second.kill("SIGTERM");
      assertEquals(yield* Fiber.join(ended), numbers(40).map((n) => 2 * n));
      yield* empty(pool);
    }),
  );

  test(
    "NatsPool: a stopped agent loses its tasks; what it finishes later changes no result (full)",
    Effect.gen(function* () {
      const path = yield* temporary;
      const { url } = yield* durableServer;
      const stopped = yield* agentProgram(url, ["--slots=1"]);
      const pool = yield* NatsPool.make({ servers: url, name: "faults", ackWait: "1 seconds", size: 1 });
      const submission = yield* pool.submitWith(Tasks.unique, [path, 300], { id: "once" });
      yield* ran(path, 1);
      stopped.kill("SIGSTOP");
      yield* agentProgram(url, ["--slots=1"]);
      const result = yield* submission.await;
      stopped.kill("SIGCONT");
      // Both have run it. When it was given back, the first agent has stored its result, or has found one.
      yield* ran(path, 2);
      yield* empty(pool);
      yield* when(Effect.sync(() => stopped.log()), (log) => log.includes("has a result already"));
      assertEquals(yield* (yield* pool.attach("once", Tasks.unique)).await, result);
    }),
  );

  test(
    "NatsPool: an agent that is cut off without notice loses its tasks after ackWait, and changes no result when it is back (full)",
    Effect.gen(function* () {
      const path = yield* temporary;
      const { url } = yield* durableServer;
      const network = yield* proxy(url);
      const agent = yield* agentProgram(network.url, ["--slots=1"]);
      const pool = yield* NatsPool.make({ servers: url, name: "faults", ackWait: "1 seconds", size: 1 });
      const submission = yield* pool.submitWith(Tasks.unique, [path, 300], { id: "once" });
      yield* ran(path, 1);
      yield* network.cut;
      yield* agentProgram(url, ["--slots=1"]);
      const result = yield* submission.await;
      assertEquals(runs(path).length, 2);
      yield* network.heal;
      yield* when(Effect.sync(() => agent.log()), (log) => log.includes("has a result already"));
      yield* empty(pool);
      assertEquals(yield* (yield* pool.attach("once", Tasks.unique)).await, result);
    }),
  );

  test(
    "NatsPool: a caller that is cut off without notice for longer than ackWait has its results when the network is back (full)",
    Effect.gen(function* () {
      const path = yield* temporary;
      const { url } = yield* durableServer;
      const network = yield* proxy(url);
      yield* agentProgram(url, ["--slots=2"]);
      const pool = yield* NatsPool.make({ servers: network.url, name: "faults", ackWait: "1 seconds" });
      const other = yield* NatsPool.make({ servers: url, name: "faults" });
      const calls = yield* Effect.fork(
        Effect.forEach(numbers(20), (n) => pool.apply(Tasks.work, path, n, 100), { concurrency: "unbounded" }),
      );
      yield* ran(path, 5);
      yield* network.cut;
      yield* empty(other);
      yield* network.heal;
      assertEquals(yield* Fiber.join(calls), numbers(20).map((n) => 2 * n));
      assertEquals(repeated(path), []);
    }),
  );

  test(
    "NatsPool: a restart of the server under load delays calls, and nothing runs twice (full)",
    Effect.gen(function* () {
      const path = yield* temporary;
      const server = yield* durableServer;
      yield* agentProgram(server.url, ["--slots=2"]);
      const pool = yield* NatsPool.make({ servers: server.url, name: "faults" });
      const calls = yield* Effect.fork(
        Effect.forEach(numbers(400), (n) => pool.apply(Tasks.work, path, n, 5), { concurrency: 32 }),
      );
      for (const count of [50, 150, 250]) {
        yield* ran(path, count);
        yield* server.stop;
        yield* server.start;
      }
      assertEquals(yield* Fiber.join(calls), numbers(400).map((n) => 2 * n));
      assertEquals(repeated(path), []);
      yield* empty(pool);
    }),
  );

  test(
    "NatsPool: a server that is killed and has lost its place in an empty queue gives out new tasks (full)",
    Effect.gen(function* () {
      const server = yield* durableServer;
      const agent = yield* agentProgram(server.url, ["--slots=2"]);
      const pool = yield* NatsPool.make({ servers: server.url, name: "faults" });
      // A server may also be killed before it has stored how far the consumer has come. Then nothing has to be mended.
      for (let round = 0; round < 10 && !agent.log().includes("begins anew"); round++) {
        const calls = Effect.forEach(numbers(50), (n) => pool.apply(Tasks.double, n), { concurrency: 10 });
        assertEquals(yield* calls, numbers(50).map((n) => 2 * n));
        yield* empty(pool);
        yield* server.stop;
        server.forget("mp+default+tasks+faults");
        yield* server.start;
        assertEquals(yield* pool.apply(Tasks.double, 4), 8);
        yield* empty(pool);
      }
      assert(agent.log().includes("begins anew"), agent.log());
    }),
  );

  test(
    "NatsPool: the tasks of a killed caller are done, and another program attaches to their results (full)",
    Effect.gen(function* () {
      const path = yield* temporary;
      const { url } = yield* durableServer;
      const first = yield* caller([url, "faults", path, "order", "300", "1"]);
      yield* Effect.promise(() => first.line("submitted"));
      first.kill("SIGKILL");
      const ids = yield* Effect.promise(() => storedBy(first));
      assertEquals(ids.toSorted(), numbers(300).map((n) => `order-${n}`).toSorted());
      yield* agentProgram(url, ["--slots=2"]);
      const pool = yield* NatsPool.make({ servers: url, name: "faults" });
      const results = yield* Effect.forEach(
        numbers(300),
        (n) => Effect.flatMap(pool.attach(`order-${n}`, Tasks.work), (submission) => submission.await),
        { concurrency: 32 },
      );
      assertEquals(results, numbers(300).map((n) => 2 * n));
      assertEquals(runs(path).length, 300);
      yield* empty(pool);
    }),
  );

  test(
    "NatsPool: a caller to whom no news come finds the results itself (full)",
    Effect.gen(function* () {
      const path = yield* temporary;
      const config = yield* temporary;
      Deno.writeTextFileSync(
        config,
        `authorization { users: [ { user: deaf, password: x, permissions: { subscribe: { deny: "mp.*.p.*.told.>" } } } ] }`,
      );
      const deaf = yield* durableServerWith(["-c", config]);
      const auth = { user: "deaf", password: "x" };
      const pool = yield* NatsPool.make({ servers: deaf.url, auth, name: "faults", size: 1 });
      yield* serve({ servers: deaf.url, auth, slots: 1 });
      assertEquals(yield* pool.apply(Tasks.work, path, 4, 0), 8);
    }),
  );

  test(
    "NatsPool: a cluster of three servers goes on when each of them is killed and comes back (full)",
    Effect.gen(function* () {
      const path = yield* temporary;
      const servers = yield* natsCluster(3, yield* folder);
      const urls = servers.map(({ url }) => url);
      yield* agentProgram(urls.join(","), ["--slots=2"]);
      const options = { servers: urls, name: "faults", replicas: 3, connectTimeout: "30 seconds" } as const;
      const pool = yield* NatsPool.make({ ...options, ackWait: "1 seconds" });
      yield* pool.apply(Tasks.double, 1);
      for (const server of servers) {
        const before = runs(path).length;
        const calls = yield* Effect.fork(
          Effect.forEach(numbers(200), (n) => pool.apply(Tasks.work, path, n, 5), { concurrency: 16 }),
        );
        yield* ran(path, before + 20);
        yield* server.stop;
        yield* ran(path, before + 100);
        yield* server.start;
        assertEquals(yield* Fiber.join(calls), numbers(200).map((n) => 2 * n));
      }
      yield* empty(pool);
    }),
  );

  test(
    "NatsPool: a slow network that loses packets only delays (full)",
    Effect.gen(function* () {
      const { url } = yield* durableServer;
      const [near, far] = yield* Effect.all([proxy(url, 10, 0.02), proxy(url, 10, 0.02)]);
      yield* agentProgram(far.url, ["--slots=2"]);
      const pool = yield* NatsPool.make({ servers: near.url, name: "faults", size: 2 });
      assertEquals(yield* pool.map(Tasks.double, numbers(300)), numbers(300).map((n) => 2 * n));
      const calls = Effect.forEach(numbers(100), (n) => pool.apply(Tasks.double, n), { concurrency: 32 });
      assertEquals(yield* calls, numbers(100).map((n) => 2 * n));
      yield* empty(pool);
    }),
  );

  test(
    "NatsPool: interrupted at any moment, a call leaves no task behind, and its place is free (full) (storm)",
    Effect.gen(function* () {
      const path = yield* temporary;
      const { url } = yield* durableServer;
      yield* agentProgram(url, ["--slots=2"]);
      const pool = yield* NatsPool.make({ servers: url, name: "faults" });
      yield* pool.map(Tasks.double, numbers(10));
      for (let round = 0; round < rounds(5, 120); round++) {
        const call = yield* Effect.fork(pool.map(Tasks.hang, Array(1 + below(4)).fill(path), { chunkSize: 1 }));
        yield* Effect.sleep(below(20));
        assert(Exit.isInterrupted(yield* Fiber.interrupt(call)));
        yield* empty(pool);
        assertEquals(yield* pool.map(Tasks.double, [1, 2, 3]), [2, 4, 6]);
      }
    }),
  );

  test(
    "NatsPool: kills of processes, agents, the server and callers, in any order: each task that was stored has one outcome (full) (storm)",
    Effect.gen(function* () {
      const path = yield* temporary;
      const server = yield* durableServer;
      const pool = yield* NatsPool.make({ servers: server.url, name: "storm", ackWait: "1 seconds", retries: 8 });
      const agents: Array<AgentProgram> = [];
      const startAgent = Effect.map(agentProgram(server.url, ["--slots=2"]), (agent) => void agents.push(agent));
      yield* startAgent;
      yield* startAgent;
      const stored = new Set<string>();
      const count = 200;
      const all = rounds(3, 14);
      for (let round = 0; round < all; round++) {
        Deno.truncateSync(path);
        const prefix = `round${round}`;
        const program = yield* caller([server.url, "storm", path, prefix, `${count}`, `${below(10)}`]);
        const calls = yield* Effect.fork(
          Effect.forEach(numbers(count), (n) => Effect.either(pool.apply(Tasks.double, n)), { concurrency: 16 }),
        );
        yield* ran(path, 1 + below(count / 4));
        for (let fault = 0; fault < 3; fault++) yield* injure(below(4), { agents, path, program, server, startAgent });
        kill(program.pid);
        for (const id of yield* Effect.promise(() => storedBy(program))) stored.add(id);
        const results = yield* Fiber.join(calls);
        results.forEach((result, n) => {
          if (Either.isRight(result)) assertEquals(result.right, 2 * n);
          else assertInstanceOf(result.left, Pool.Poisoned);
        });
      }
      assertGreater(stored.size, 0);
      // A later program finds the outcome of each, and it stays.
      const reader = yield* NatsPool.make({ servers: server.url, name: "storm", size: 1 });
      for (let time = 0; time < 2; time++) {
        yield* Effect.forEach(stored, (id) =>
          Effect.gen(function* () {
            const outcome = yield* Effect.either(
              Effect.flatMap(reader.attach(id, Tasks.work), ({ await: result }) => result),
            );
            if (Either.isRight(outcome)) assertEquals(outcome.right, 2 * Number(id.split("-")[1]));
            else assertInstanceOf(outcome.left, Pool.Poisoned);
          }), { concurrency: 32, discard: true });
      }
      yield* empty(reader);
    }),
  );
}

interface Victims {
  readonly agents: Array<AgentProgram>;
  readonly path: string;
  readonly program: Script;
  readonly server: NatsServer;
  readonly startAgent: Effect.Effect<void, never, Scope.Scope>;
}

/** Kills something. */
const injure = (
  fault: number,
  { agents, path, program, server, startAgent }: Victims,
): Effect.Effect<void, never, Scope.Scope> => {
  switch (fault) {
    case 0: {
      const all = runs(path);
      return Effect.sync(() => kill(all[below(all.length)][1]));
    }
    case 1:
      return Effect.zipRight(Effect.sync(() => agents.splice(below(agents.length), 1)[0].kill("SIGKILL")), startAgent);
    case 2:
      return Effect.zipRight(server.stop, server.start);
    default:
      return Effect.sync(() => kill(program.pid));
  }
};
