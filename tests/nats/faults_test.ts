/** Deaths and breaks of servers, agents and programs, with processes on agents of this machine. */
import * as Effect from "effect/Effect";
import * as Fiber from "effect/Fiber";
import * as Option from "effect/Option";
import { Backend, Pool, Process, Queue } from "../../mod.ts";
import * as NatsBackend from "../../src/NatsBackend.ts";
import { assert, assertEquals, assertInstanceOf, assertLessOrEqual, assertStringIncludes } from "../support/assert.ts";
import { below, rounds } from "../support/chance.ts";
import { until } from "../support/leaks.ts";
import { type AgentProgram, agentProgram, available, natsServer } from "../support/nats.ts";
import { proxy } from "../support/proxy.ts";
import { gone, script } from "../support/scripts.ts";
import { temporary, test, when } from "../support/suite.ts";
import * as Tasks from "./tasks.ts";

const died = <A, E, R>(program: Effect.Effect<A, E, R>): Effect.Effect<Backend.ProcessDied, A, R> =>
  Effect.map(Effect.flip(program), (error) => {
    assertInstanceOf(error, Backend.ProcessDied);
    return error;
  });

/** Waits until nothing of a pool waits for a worker. */
const whole = (pool: Pool.Pool): Effect.Effect<unknown> => when(pool.statistics, ({ alive }) => alive === pool.size);

/** Waits until an agent has said so: what it logs arrives a little later than what it does. */
const says = (agent: AgentProgram, text: string): Effect.Effect<void> =>
  Effect.promise(() => until(`the agent says "${text}"`, () => agent.log().includes(text)));

const numbers = (count: number): ReadonlyArray<number> => Array.from({ length: count }, (_, i) => i);

if (available) {
  test(
    "the children of a killed agent are lost, with its machine; a pool takes places of other agents, and is whole again (full)",
    Effect.gen(function* () {
      const { url } = yield* natsServer();
      const first = yield* agentProgram(url, ["--slots=2"]);
      const backend = yield* NatsBackend.make({ servers: url, lostAfter: "1 seconds" });
      const on = Effect.provideService(Backend.Backend, backend);
      const queue = yield* Queue.make<number>();
      const pool = yield* Pool.make({ size: 2 }).pipe(on);
      const running = yield* Effect.fork(died(pool.apply(Tasks.spin, queue)));
      const pid = yield* queue.get;
      const pids = yield* Effect.map(pool.apply(Tasks.pid), (other) => [pid, other]);
      const second = yield* agentProgram(url, ["--slots=2"]);
      first.kill("SIGKILL");
      const { host, message, status } = yield* Fiber.join(running);
      assertEquals(status._tag, "Lost");
      assertEquals(host, Deno.hostname());
      assertStringIncludes(message, "is gone");
      yield* Effect.promise(() => gone(pids));
      yield* whole(pool);
      assertEquals(yield* pool.map(Tasks.square, numbers(20)), numbers(20).map((n) => n * n));
      yield* says(second, "PoolWorker");
    }),
  );

  test(
    "a restart of the server under load is not noticed: each item arrives once and in order, and each call is answered (full)",
    Effect.gen(function* () {
      const server = yield* natsServer();
      yield* agentProgram(server.url, ["--slots=3"]);
      const backend = yield* NatsBackend.make({ servers: server.url });
      const on = Effect.provideService(Backend.Backend, backend);
      const there = yield* Queue.make<number>({ capacity: 100 });
      const back = yield* Queue.make<number>({ capacity: 100 });
      const child = yield* Process.spawn(Tasks.relay, there, back).pipe(on);
      const pool = yield* Pool.make({ size: 2 }).pipe(on);
      const count = 3000;
      const putting = yield* Effect.fork(Effect.forEach(numbers(count), (n) => there.put(n), { discard: true }));
      const calling = yield* Effect.fork(
        Effect.forEach(numbers(300), (n) => pool.apply(Tasks.square, n), { concurrency: 4 }),
      );
      const seen: Array<number> = [];
      for (const until of [500, 1500, count]) {
        while (seen.length < until) seen.push(yield* back.get);
        if (until === count) break;
        yield* server.stop;
        yield* server.start;
      }
      assertEquals(seen, numbers(count));
      yield* Fiber.join(putting);
      assertEquals(yield* Fiber.join(calling), numbers(300).map((n) => n * n));
      yield* there.close;
      yield* child.join;
    }),
  );

  test(
    "the children of a program that is killed end, busy ones as well (full)",
    Effect.gen(function* () {
      const { url } = yield* natsServer();
      const agent = yield* agentProgram(url, ["--slots=2"]);
      const caller = script("nats_caller.ts", [url, "1500"]);
      const line = yield* Effect.promise(() => caller.line("children"));
      caller.kill("SIGKILL");
      yield* Effect.promise(() => caller.ended);
      yield* Effect.promise(() => gone(line.split(" ").map(Number)));
      yield* says(agent, "is gone: 2 processes are killed");
    }),
  );

  test(
    "an agent that is stopped longer than the lease has lost its children, and kills them when it goes on (full)",
    Effect.gen(function* () {
      const { url } = yield* natsServer();
      const agent = yield* agentProgram(url, ["--slots=1"]);
      const backend = yield* NatsBackend.make({ servers: url, lease: "2 seconds" });
      const queue = yield* Queue.make<number>();
      const child = yield* Process.spawnWith(Tasks.spin, [queue], { daemon: true }).pipe(
        Effect.provideService(Backend.Backend, backend),
      );
      const pid = yield* queue.get;
      agent.kill("SIGSTOP");
      const status = yield* child.status;
      assert(status._tag === "Lost" && status.message.includes("was not heard for"), JSON.stringify(status));
      agent.kill("SIGCONT");
      yield* Effect.promise(() => gone([pid]));
    }),
  );

  test(
    "an agent that is stopped for less than the lease goes on as if nothing had happened (full)",
    Effect.gen(function* () {
      const { url } = yield* natsServer();
      const agent = yield* agentProgram(url, ["--slots=1"]);
      const backend = yield* NatsBackend.make({ servers: url });
      const pool = yield* Pool.make({ size: 1 }).pipe(Effect.provideService(Backend.Backend, backend));
      const [pid] = yield* pool.broadcast(Tasks.pid);
      agent.kill("SIGSTOP");
      const calling = yield* Effect.fork(pool.map(Tasks.square, numbers(50), { chunkSize: 1 }));
      // The agent counts as silent after 1.5 seconds, and is asked whether it is there.
      yield* Effect.sleep("3 seconds");
      agent.kill("SIGCONT");
      assertEquals(yield* Fiber.join(calling), numbers(50).map((n) => n * n));
      assertEquals(yield* pool.broadcast(Tasks.pid), [pid]);
    }),
  );

  test(
    "an agent without a connection kills its children before their program gives them up (full)",
    Effect.gen(function* () {
      const server = yield* natsServer();
      const agent = yield* agentProgram(server.url, ["--slots=1"]);
      const backend = yield* NatsBackend.make({ servers: server.url, lostAfter: "2 seconds" });
      const queue = yield* Queue.make<number>();
      const child = yield* Process.spawnWith(Tasks.spin, [queue], { daemon: true }).pipe(
        Effect.provideService(Backend.Backend, backend),
      );
      const pid = yield* queue.get;
      yield* server.stop;
      yield* Effect.promise(() => gone([pid]));
      yield* says(agent, "may have given its children up");
      yield* server.start;
      const status = yield* child.status;
      assertEquals(status._tag, "Lost");
    }),
  );

  test(
    "a process has ended before its program gives it up, when the agent or the program is cut off without notice (full)",
    Effect.gen(function* () {
      const { url } = yield* natsServer();
      for (const cut of ["agent", "program"] as const) {
        const near = yield* proxy(url);
        const far = yield* proxy(url);
        const agent = yield* agentProgram(far.url, ["--slots=1", `--space=${cut}`]);
        const backend = yield* NatsBackend.make({ servers: near.url, space: cut, lease: "3 seconds" });
        const path = yield* temporary;
        const child = yield* Process.spawnWith(Tasks.beat, [path], { daemon: true }).pipe(
          Effect.provideService(Backend.Backend, backend),
        );
        yield* Effect.promise(() => until("it beats", () => Deno.readTextFileSync(path) !== ""));
        yield* cut === "agent" ? far.cut : near.cut;
        const status = yield* child.status;
        const lost = Date.now();
        assertEquals(status._tag, "Lost");
        yield* says(agent, "processes are killed");
        yield* Effect.promise(() => gone([child.pid]));
        const beats = Deno.readTextFileSync(path).trim().split("\n");
        assertLessOrEqual(Number(beats.at(-1)), lost, cut);
        yield* far.heal;
        yield* near.heal;
      }
    }),
  );

  test(
    "a cut of the network for less than the lease, and a slow network, only delay what travels (full)",
    Effect.gen(function* () {
      const { url } = yield* natsServer();
      const slow = yield* proxy(url, 10);
      yield* agentProgram(slow.url, ["--slots=2"]);
      const backend = yield* NatsBackend.make({ servers: url });
      const pool = yield* Pool.make({ size: 2, prefetch: 8 }).pipe(Effect.provideService(Backend.Backend, backend));
      const calling = yield* Effect.fork(
        Effect.forEach(numbers(1000), (n) => pool.apply(Tasks.square, n), { concurrency: 20 }),
      );
      yield* when(pool.statistics, ({ completed }) => completed > 300);
      yield* slow.cut;
      yield* Effect.sleep("3 seconds");
      yield* slow.heal;
      assertEquals(yield* Fiber.join(calling), numbers(1000).map((n) => n * n));
      const { replaced } = yield* pool.statistics;
      assertEquals(replaced, 0);
    }),
  );

  test(
    "kills of workers, restarts of the server and deaths of agents, in any order, lose no call (full) (storm)",
    Effect.gen(function* () {
      const server = yield* natsServer();
      const backend = yield* NatsBackend.make({
        servers: server.url,
        lostAfter: "1500 millis",
        placeTimeout: "1 seconds",
      });
      const pool = yield* Effect.flatMap(agentProgram(server.url, ["--slots=4"]), () => Pool.make({ size: 4 })).pipe(
        Effect.provideService(Backend.Backend, backend),
      );
      let agents = 1;
      for (let round = 0; round < rounds(3, 30); round++) {
        const calls = yield* Effect.fork(Effect.forEach(
          numbers(200),
          (n) =>
            pool.apply(Tasks.square, n).pipe(
              Effect.retry({ while: (error) => error instanceof Backend.ProcessDied }),
            ),
          { concurrency: 8 },
        ));
        const fault = below(3);
        if (fault === 0) {
          const pid = yield* Effect.option(pool.apply(Tasks.pid));
          if (Option.isSome(pid)) {
            try {
              Deno.kill(pid.value, "SIGKILL");
            } catch (error) {
              assertInstanceOf(error, Deno.errors.NotFound);
            }
          }
        } else if (fault === 1) {
          yield* server.stop;
          yield* server.start;
        } else if (agents < 4) {
          const next = yield* agentProgram(server.url, ["--slots=4"]);
          agents++;
          yield* Effect.sync(() => next.kill("SIGKILL"));
        }
        assertEquals(yield* Fiber.join(calls), numbers(200).map((n) => n * n));
        yield* whole(pool);
      }
    }),
  );
}
