/** Deaths and breaks of programs and servers that share objects. */
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Fiber from "effect/Fiber";
import type * as Scope from "effect/Scope";
import * as NatsShared from "../../src/NatsShared.ts";
import { assert, assertEquals, assertGreater, assertInstanceOf } from "../support/assert.ts";
import { below, rounds } from "../support/chance.ts";
import { available, durableServer, natsCluster, version } from "../support/nats.ts";
import { proxy } from "../support/proxy.ts";
import { type Script, script } from "../support/scripts.ts";
import { temporary, test, when } from "../support/suite.ts";

const join = (servers: string) => NatsShared.make({ servers, name: "faults" });

const kill = (pid: number): void => {
  try {
    Deno.kill(pid, "SIGKILL");
  } catch (error) {
    assertInstanceOf(error, Deno.errors.NotFound);
  }
};

const temporaryFolder = Effect.acquireRelease(
  Effect.sync(() => Deno.makeTempDirSync()),
  (path) => Effect.promise(() => Deno.remove(path, { recursive: true })),
);

/** Starts a program, and kills it with the scope. */
const program = (...args: ReadonlyArray<string>): Effect.Effect<Script, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => script("nats_shared_program.ts", args)),
    ({ ended, pid }) =>
      Effect.promise(() => {
        kill(pid);
        return ended;
      }),
  );

const line = (program: Script, word: string) => Effect.promise(() => program.line(word));

/** The lines of a history: fences and numbers. */
const history = (path: string): ReadonlyArray<readonly [fence: number, n: number]> =>
  Deno.readTextFileSync(path).split("\n").slice(0, -1).map((line) => {
    const [fence, n] = line.split(" ");
    return [Number(fence), Number(n)];
  });

/** Checks that each holder was alone: numbers without a gap or a repetition, and growing fences. */
const check = (path: string): void => {
  const lines = history(path);
  assertEquals(lines.map(([, n]) => n), lines.map((_, i) => i + 1));
  for (let i = 1; i < lines.length; i++) assertGreater(lines[i][0], lines[i - 1][0]);
};

/** Waits until a history has this number of lines. */
const counted = (path: string, count: number) =>
  when(Effect.sync(() => history(path)), ({ length }) => length >= count);

if (available) {
  test(
    "NatsShared: what a killed program held is free after its lease, and the next holder learns of it",
    Effect.gen(function* () {
      const { url } = yield* durableServer;
      const holder = yield* program(url, "hold", "500");
      yield* line(holder, "held");
      const shared = yield* join(url);
      const lock = yield* shared.lock("lock", { lease: "500 millis" });
      const gate = yield* shared.semaphore("gate");
      assertEquals([yield* lock.isLocked, yield* gate.available], [true, 1]);
      const waiting = yield* Effect.fork(Effect.all([lock.take, gate.take(2)], { concurrency: 2 }));
      yield* when(lock.statistics, ({ waitingProcesses }) => waitingProcesses === 1);
      holder.kill("SIGKILL");
      const [{ abandoned }] = yield* Fiber.join(waiting);
      assertEquals(abandoned, true);
      assertEquals(yield* gate.available, 0);
      yield* lock.release;
      assertEquals((yield* lock.take).abandoned, false);
    }),
  );

  test(
    "NatsShared: a program that was stopped past its lease learns of the loss when it goes on; its effect is interrupted",
    Effect.gen(function* () {
      const { url } = yield* durableServer;
      const stopped = yield* program(url, "hold", "400");
      yield* line(stopped, "held");
      const shared = yield* join(url);
      const lock = yield* shared.lock("lock", { lease: "400 millis" });
      const gate = yield* shared.semaphore("gate");
      stopped.kill("SIGSTOP");
      const { abandoned, fence } = yield* lock.take;
      assertEquals(abandoned, true);
      yield* gate.take(2);
      stopped.kill("SIGCONT");
      assertEquals(yield* line(stopped, "lost"), "LeaseLost");
      yield* line(stopped, "interrupted");
      assertEquals(yield* line(stopped, "permit"), "LeaseLost");
      // It has taken nothing from the present holder.
      assertEquals([yield* lock.isMine, yield* lock.isLocked, yield* gate.available], [true, true, 0]);
      yield* lock.release;
      assertGreater((yield* lock.take).fence, fence);
    }),
  );

  test(
    "NatsShared: a server that is killed and comes back is a delay; changes are made once (storm)",
    Effect.gen(function* () {
      const server = yield* durableServer;
      const [one, two] = [yield* join(server.url), yield* join(server.url)];
      const [a, b] = [yield* one.lock("restart"), yield* two.lock("restart")];
      const dict = [yield* one.dict<string, number>("restart"), yield* two.dict<string, number>("restart")];
      const event = [yield* one.event("restart"), yield* two.event("restart")];
      const told = yield* Effect.fork(event[1].wait);
      yield* when(event[1].statistics, ({ waiting }) => waiting === 1);
      const held = yield* a.take;
      const next = yield* Effect.fork(b.take);
      yield* when(a.statistics, ({ waitingProcesses }) => waitingProcesses === 1);
      let n = 0;
      let done = 0;
      const changing = yield* Effect.fork(
        Effect.forEach([0, 1, 0, 1], (i) =>
          Effect.gen(function* () {
            while (done < rounds(60, 400)) {
              yield* dict[i].change("n", (value = 0) => value + 1);
              done++;
              n++;
            }
          }), { concurrency: "unbounded" }),
      );
      for (let round = 0; round < rounds(1, 5); round++) {
        const before = done;
        yield* when(Effect.sync(() => done), (now) => now > before + 5 + below(10));
        yield* server.stop;
        yield* server.start;
      }
      yield* Fiber.join(changing);
      assertEquals(yield* dict[0].get("n"), n);
      yield* a.release;
      assertGreater((yield* Fiber.join(next)).fence, held.fence);
      yield* event[0].set;
      yield* Fiber.join(told);
    }),
  );

  test(
    "NatsShared: a short cut of the network is a delay; a long one costs the lease (full)",
    Effect.gen(function* () {
      const { url } = yield* durableServer;
      const network = yield* proxy(url, 2, 0.02);
      const [near, far] = [yield* join(url), yield* join(network.url)];
      const [a, b] = [
        yield* near.lock("cut", { lease: "3 seconds" }),
        yield* far.lock("cut", { lease: "3 seconds" }),
      ];
      const dict = yield* far.dict<string, number>("cut");
      const { fence } = yield* b.take;
      const lost = yield* Effect.fork(Effect.flip(b.lost));
      yield* network.cut;
      const changing = yield* Effect.fork(dict.change("n", (n = 0) => n + 1));
      yield* Effect.sleep("1 seconds");
      yield* network.heal;
      assertEquals(yield* Fiber.join(changing), 1);
      assertEquals([yield* b.isMine, yield* a.isLocked], [true, true]);
      yield* network.cut;
      const taken = yield* a.take;
      assert(taken.abandoned);
      assertGreater(taken.fence, fence);
      assertEquals((yield* Fiber.join(lost))._tag, "SyncError");
      yield* network.heal;
      assertEquals((yield* Effect.flip(b.release))._tag, "SyncError");
      yield* a.release;
      yield* b.take;
    }),
  );

  test(
    "NatsShared: interrupted at any moment, also while answers are lost, a take holds nothing (storm)",
    Effect.gen(function* () {
      const server = yield* durableServer;
      const network = yield* proxy(server.url, 1, 0.01);
      const [near, far] = [yield* join(server.url), yield* join(network.url)];
      // What is free was given back: no lease ends meanwhile.
      const lease: NatsShared.LeaseOptions = { lease: "5 minutes" };
      const [a, b] = [yield* near.lock("interrupted", lease), yield* far.lock("interrupted", lease)];
      const [c, d] = [
        yield* near.semaphore("interrupted", { ...lease, permits: 2 }),
        yield* far.semaphore("interrupted", lease),
      ];
      const dict = yield* far.dict<string, number>("interrupted");
      yield* dict.set("kept", 1);
      for (let round = 0; round < rounds(8, 80); round++) {
        const isHeld = below(3) === 0;
        if (isHeld) yield* a.take;
        const taking = yield* Effect.forEach(
          [b.take, b.tryTake, Effect.scoped(b.acquire), b.withLock(Effect.void), d.take(2), d.take(), dict.pop("kept")],
          (take) => Effect.fork(take as Effect.Effect<unknown, unknown>),
        );
        yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, below(12))));
        if (round % 8 === 7) {
          yield* server.stop;
          yield* server.start;
        }
        const exits = yield* Effect.forEach(taking, Fiber.interrupt, { concurrency: "unbounded" });
        if (isHeld) yield* a.release;
        if (Exit.isSuccess(exits[0])) yield* b.release;
        if (Exit.isSuccess(exits[1]) && exits[1].value === true) yield* b.release;
        if (Exit.isSuccess(exits[4])) yield* d.release(2);
        if (Exit.isSuccess(exits[5])) yield* d.release();
        if (Exit.isSuccess(exits[6])) yield* dict.set("kept", 1);
        yield* when(a.isLocked, (isLocked) => !isLocked);
        yield* when(c.available, (available) => available === 2);
        assertEquals(yield* dict.get("kept"), 1);
      }
    }),
  );

  test(
    "NatsShared: counters under a lock are exact while programs are killed and stopped at random moments (full) (storm)",
    Effect.gen(function* () {
      const path = yield* temporary;
      const server = yield* durableServer;
      const start = () => program(server.url, "count", "600", path);
      let programs: ReadonlyArray<Script> = yield* Effect.all([start(), start(), start()]);
      for (const each of programs) yield* line(each, "counting");
      for (let round = 0; round < rounds(2, 12); round++) {
        yield* counted(path, history(path).length + 5 + below(30));
        const victim = programs[below(programs.length)];
        const how = below(3);
        if (how === 0) {
          victim.kill("SIGKILL");
          programs = [...programs.filter((one) => one !== victim), yield* start()];
        } else if (how === 1) {
          victim.kill("SIGSTOP");
          yield* counted(path, history(path).length + 20);
          victim.kill("SIGCONT");
        } else {
          yield* server.stop;
          yield* server.start;
        }
      }
      yield* counted(path, history(path).length + 20);
      for (const { kill } of programs) kill("SIGKILL");
      for (const { ended } of programs) yield* Effect.promise(() => ended);
      check(path);
    }),
  );

  const isOld = version !== undefined && /^2\.([0-8]\.|9\.([0-9]|1[0-9]|20)$)/.test(version);

  if (isOld) {
    test(
      "NatsShared: replicas are refused by a version whose clusters accept two changes of one state (full)",
      Effect.gen(function* () {
        const servers = yield* natsCluster(3, yield* temporaryFolder);
        const refused = yield* Effect.flip(
          NatsShared.make({
            servers: servers.map(({ url }) => url),
            name: "faults",
            replicas: 3,
            connectTimeout: "30 seconds",
          }),
        );
        assertEquals(refused.reason, "Unsupported");
        assert(refused.message.includes("use version 2.9.21 or later"), refused.message);
      }),
    );
  }

  if (!isOld) {
    test(
      "NatsShared: with three replicas, the leader may be killed (full)",
      Effect.gen(function* () {
        const servers = yield* natsCluster(3, yield* temporaryFolder);
        const urls = servers.map(({ url }) => url);
        const make = NatsShared.make({ servers: urls, name: "faults", replicas: 3, connectTimeout: "30 seconds" });
        const [one, two] = [yield* make, yield* make];
        const locks = [yield* one.lock("replicated"), yield* two.lock("replicated")];
        const dicts = [yield* one.dict<string, number>("replicated"), yield* two.dict<string, number>("replicated")];
        let done = 0;
        let inside = 0;
        const work = (i: number) =>
          Effect.gen(function* () {
            while (done < 120) {
              yield* locks[i].withLock(Effect.gen(function* () {
                assertEquals(++inside, 1);
                yield* dicts[i].change("n", (n = 0) => n + 1);
                inside--;
                done++;
              }));
            }
          });
        const killing = Effect.forEach(servers, (server) =>
          Effect.gen(function* () {
            const before = done;
            yield* when(Effect.sync(() => done), (now) => now > before + 20 || now >= 120);
            yield* server.stop;
            yield* server.start;
          }));
        yield* Effect.all([killing, work(0), work(1)], { concurrency: 3 });
        assertEquals(yield* dicts[0].get("n"), done);
      }),
    );
  }
}
