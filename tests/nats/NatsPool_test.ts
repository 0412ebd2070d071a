/** Pools whose tasks a real server keeps, and agents of this machine run. */
import * as Chunk from "effect/Chunk";
import * as Context from "effect/Context";
import * as Deferred from "effect/Deferred";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Fiber from "effect/Fiber";
import * as Option from "effect/Option";
import type * as Scope from "effect/Scope";
import * as Stream from "effect/Stream";
import { Lock, Pool } from "../../mod.ts";
import { serve } from "../../src/agent.ts";
import * as NatsPool from "../../src/NatsPool.ts";
import { assert, assertEquals, assertInstanceOf, assertStringIncludes } from "../support/assert.ts";
import { keepsChildren } from "../support/leaks.ts";
import {
  agentProgram,
  available,
  durableServer,
  durableServerWith,
  type NatsServer,
  natsServer,
} from "../support/nats.ts";
import { gone } from "../support/scripts.ts";
import { group, type Step, test, when } from "../support/suite.ts";
import * as Tasks from "./pool_tasks.ts";

interface Setting {
  readonly server: NatsServer;
  readonly pool: NatsPool.NatsPool;
}
const Setting = Context.GenericTag<Setting>("tests/nats/PoolSetting");

const folder = Effect.acquireRelease(
  Effect.sync(() => Deno.makeTempDirSync()),
  (path) => Effect.sync(() => Deno.removeSync(path, { recursive: true })),
);

/** A server, an agent with two places, and a pool. */
const setup = Effect.gen(function* () {
  const server = yield* durableServer;
  // Idle processes are kept for the next tasks.
  keepsChildren((yield* agentProgram(server.url, ["--slots=2"])).pid);
  const pool = yield* NatsPool.make({ servers: server.url, name: "tests" });
  return Context.make(Setting, { server, pool });
});

const numbers = (count: number): ReadonlyArray<number> => Array.from({ length: count }, (_, i) => i);

const lines = (path: string): ReadonlyArray<string> => {
  try {
    return Deno.readTextFileSync(path).split("\n").slice(0, -1);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return [];
  }
};

const poolError = <A, E, R>(program: Effect.Effect<A, E, R>): Effect.Effect<Pool.PoolError, A, R> =>
  Effect.map(Effect.flip(program), (error) => {
    assertInstanceOf(error, Pool.PoolError);
    return error;
  });

/** Waits until the server has no task of a pool. */
const empty = (pool: NatsPool.NatsPool) => when(pool.contents, ({ tasks }) => tasks === 0);

/** Runs a program with the pool. */
const onPool = <A, E, R>(
  run: (pool: NatsPool.NatsPool, server: NatsServer) => Effect.Effect<A, E, R>,
): Effect.Effect<A, E, Exclude<R, Scope.Scope> | Setting> =>
  Effect.scoped(Effect.flatMap(Setting, ({ pool, server }) => run(pool, server)));

const steps: ReadonlyArray<Step<Setting>> = [
  [
    "a call, a map and a stream give what they give in any pool, and leave no task behind",
    onPool((pool) =>
      Effect.gen(function* () {
        assertEquals(pool.size, 2);
        assertEquals(yield* pool.apply(Tasks.sum, 3, 4), 7);
        assertEquals(yield* Effect.flip(pool.apply(Tasks.refuse, "no")), { reason: "no" });
        assertEquals(yield* pool.map(Tasks.double, numbers(200)), numbers(200).map((n) => 2 * n));
        const streamed = Stream.fromIterable(numbers(20)).pipe(pool.mapStream(Tasks.double), Stream.runCollect);
        assertEquals(Chunk.toReadonlyArray(yield* streamed), numbers(20).map((n) => 2 * n));
        assertEquals(yield* pool.starmap(Tasks.sum, [[1, 2], [3, 4]]), [3, 7]);
        assertEquals(yield* pool.reduce(Tasks.sum, numbers(100)), Option.some(4950));
        yield* empty(pool);
      })
    ),
  ],
  [
    "a submission is in the server when it is made; another program can attach to it, and an id is run once",
    onPool((pool, { url }) =>
      Effect.gen(function* () {
        const path = `${yield* folder}/runs`;
        const first = yield* pool.submitWith(Tasks.record, [path, 7], { id: "seven" });
        const other = yield* NatsPool.make({ servers: url, name: "tests", size: 1 });
        const attached = yield* other.attach("seven", Tasks.record);
        assertEquals(yield* attached.await, 14);
        assertEquals(yield* first.await, 14);
        assertEquals(yield* first.poll, Option.some(Exit.succeed(14)));
        const again = yield* other.submitWith(Tasks.record, [path, 8], { id: "seven" });
        assertEquals([again.id, yield* again.await], ["seven", 14]);
        assertEquals(lines(path), ["7"]);
        assertEquals((yield* poolError(pool.attach("eight", Tasks.record))).reason, "InvalidArgument");
      })
    ),
  ],
  [
    "results with a Schema, failures and large binaries are the same through attach (full)",
    onPool((pool) =>
      Effect.gen(function* () {
        const text = "2026-11-29T12:00:00.000Z";
        const dates = yield* pool.submit(Tasks.date, text);
        assertEquals((yield* dates.await).toISOString(), text);
        assertEquals((yield* (yield* pool.attach(dates.id, Tasks.date)).await).toISOString(), text);
        const refused = yield* pool.submit(Tasks.refuse, "no");
        assertEquals(yield* Effect.flip(refused.await), { reason: "no" });
        assertEquals(yield* Effect.flip((yield* pool.attach(refused.id, Tasks.refuse)).await), { reason: "no" });
        const bytes = Uint8Array.from({ length: 5_000_000 }, (_, i) => i % 251);
        const large = yield* pool.submit(Tasks.reverse, bytes);
        assertEquals(yield* large.await, bytes.toReversed());
        assertEquals(yield* (yield* pool.attach(large.id, Tasks.reverse)).await, bytes.toReversed());
        // The parts of the argument are freed with the task.
        yield* when(pool.contents, ({ parts, tasks }) => parts === 0 && tasks === 0);
      })
    ),
  ],
  [
    "what a server cannot keep for others is refused, before anything is sent",
    onPool((pool) =>
      Effect.gen(function* () {
        const lock = yield* Lock.make();
        const error = yield* Effect.flip(pool.apply(Tasks.locked, lock));
        assertEquals(error._tag, "EncodeError");
        assertStringIncludes(error.message, "only processes of one family share it");
        assertEquals((yield* Effect.flip(pool.map(Tasks.locked, [lock])))._tag, "EncodeError");
        const refused = [
          poolError(Stream.runDrain(pool.stream(Tasks.double as never))),
          poolError(pool.broadcast(Tasks.where)),
          poolError(pool.applyWith(Tasks.double, [1], { affinity: "a" })),
          poolError(pool.applyWith(Tasks.double, [1], { queueTimeout: 1000 })),
          poolError(pool.submitWith(Tasks.double, [1], { deadline: 1000 })),
        ];
        for (const refusal of refused) assertEquals((yield* refusal).reason, "Unsupported");
        yield* empty(pool);
      })
    ),
  ],
  [
    "an interrupted call takes its task back: one that runs is stopped, and one that waits is not run (full)",
    onPool((pool) =>
      Effect.gen(function* () {
        const path = `${yield* folder}/runs`;
        const running = yield* Effect.fork(pool.map(Tasks.hang, [path, path], { chunkSize: 1 }));
        yield* when(Effect.sync(() => lines(path)), ({ length }) => length === 2);
        const waiting = yield* Effect.fork(pool.apply(Tasks.record, path, 5));
        yield* when(pool.contents, ({ tasks }) => tasks === 3);
        yield* Fiber.interrupt(waiting);
        yield* Fiber.interrupt(running);
        assertEquals(lines(path).slice(2), ["interrupted", "interrupted"]);
        yield* empty(pool);
        // The places are free, and nothing else has run.
        assertEquals(yield* pool.apply(Tasks.record, path, 6), 12);
        assertEquals(lines(path).slice(2), ["interrupted", "interrupted", "6"]);
      })
    ),
  ],
  [
    "a cancelled submission is interrupted, for all programs that wait for it (full)",
    onPool((pool, { url }) =>
      Effect.gen(function* () {
        const path = `${yield* folder}/runs`;
        const submission = yield* pool.submitWith(Tasks.hang, [path], { id: "cancelled" });
        const other = yield* NatsPool.make({ servers: url, name: "tests", size: 1 });
        const attached = yield* other.attach("cancelled", Tasks.hang);
        yield* when(Effect.sync(() => lines(path)), ({ length }) => length === 1);
        yield* other.terminate;
        yield* attached.cancel;
        assertEquals(lines(path)[1], "interrupted");
        assert(Exit.isInterrupted(yield* Effect.exit(submission.await)));
        assert(Exit.isInterrupted(yield* Effect.exit(attached.await)));
        const late = yield* pool.attach("cancelled", Tasks.hang);
        assert(Exit.isInterrupted(yield* Effect.exit(late.await)));
        yield* empty(pool);
      })
    ),
  ],
  [
    "a task that takes too long on its agent is stopped there (full)",
    onPool((pool) =>
      Effect.gen(function* () {
        const path = `${yield* folder}/runs`;
        const { message, reason } = yield* poolError(pool.applyWith(Tasks.hang, [path], { timeout: "200 millis" }));
        assertEquals([reason, message], ["Timeout", "Cannot finish the task: it has run for more than 200 ms"]);
        assertEquals(lines(path)[1], "interrupted");
        const late = yield* pool.submitWith(Tasks.hang, [path], { timeout: 100 });
        assertEquals((yield* poolError(late.await)).reason, "Timeout");
        const deadline = yield* poolError(pool.applyWith(Tasks.hang, [path], { deadline: 300 }));
        assertEquals(deadline.reason, "Deadline");
        yield* empty(pool);
      })
    ),
  ],
  [
    "a task that kills its process is run again, becomes a dead letter, and can be tried again (full)",
    onPool((pool) =>
      Effect.gen(function* () {
        const path = `${yield* folder}/poisonous`;
        Deno.writeTextFileSync(path, "");
        const submission = yield* pool.submitWith(Tasks.poison, [path], { id: "poison" });
        const error = yield* Effect.flip(submission.await);
        assertInstanceOf(error, Pool.Poisoned);
        assertEquals(error.deaths.map(({ status }) => status), Array(3).fill({ _tag: "Exited", code: 7 }));
        assertEquals(error.deaths[0].host, Deno.hostname());
        const [letter, ...others] = yield* pool.deadLetters;
        assertEquals([letter.id, letter.task, letter.attempts, others], ["poison", "poison", 3, []]);
        assertEquals(letter.deaths.length, 3);
        assertEquals((yield* Effect.flip((yield* pool.attach("poison", Tasks.poison)).await))._tag, "Poisoned");
        yield* empty(pool);
        Deno.removeSync(path);
        yield* pool.retryDead("poison");
        assertEquals(yield* (yield* pool.attach("poison", Tasks.poison)).await, "cured");
        assertEquals(yield* pool.deadLetters, []);
        assertEquals((yield* poolError(pool.retryDead("poison"))).reason, "InvalidArgument");
        yield* empty(pool);
      })
    ),
  ],
  [
    "submissions outlive the scope of their pool, and their callbacks run while it is open; calls do not (full)",
    onPool((_, { url }) =>
      Effect.gen(function* () {
        const path = `${yield* folder}/runs`;
        const make = NatsPool.make({ servers: url, name: "tests", size: 1 });
        const told = yield* Deferred.make<number>();
        const left = yield* Effect.scoped(Effect.gen(function* () {
          const pool = yield* make;
          yield* pool.submitWith(Tasks.record, [path, 1], { onSuccess: (value) => Deferred.succeed(told, value) });
          assertEquals(yield* Deferred.await(told), 2);
          return yield* pool.submit(Tasks.work, path, 2, 300);
        }));
        assertEquals((yield* poolError(left.await)).reason, "Terminated");
        const pool = yield* make;
        assertEquals(yield* (yield* pool.attach(left.id, Tasks.work)).await, 4);
        const stopped = yield* Effect.fork(poolError(pool.apply(Tasks.hang, path)));
        yield* when(Effect.sync(() => lines(path)), ({ length }) => length === 3);
        yield* pool.terminate;
        assertEquals((yield* Fiber.join(stopped)).reason, "Terminated");
        assertEquals(lines(path)[3], "interrupted");
        const late = yield* pool.submit(Tasks.double, 1);
        assertEquals((yield* poolError(late.await)).reason, "Closed");
      })
    ),
  ],
  [
    "tasks with a priority above zero run first, and those below zero last (full)",
    onPool((_, { url }) =>
      Effect.gen(function* () {
        const path = `${yield* folder}/runs`;
        // No agent has this label yet.
        const held = yield* NatsPool.make({ servers: url, name: "order", size: 1, labels: ["late"] });
        const submit = (n: number, priority?: number) => held.submitWith(Tasks.record, [path, n], { priority });
        const submissions = [yield* submit(5, -1), yield* submit(3), yield* submit(1, 1), yield* submit(4)];
        submissions.push(yield* submit(2, 7));
        assertEquals((yield* held.contents).tasks, 5);
        keepsChildren((yield* agentProgram(url, ["--slots=1", "--labels=late"])).pid);
        yield* Effect.forEach(submissions, (submission) => submission.await);
        assertEquals(lines(path), ["1", "2", "3", "4", "5"]);
      })
    ),
  ],
  [
    "a pool without places keeps its tasks; when it is full, a call waits or is refused (full)",
    onPool((_, { url }) =>
      Effect.gen(function* () {
        const options = { servers: url, name: "full", size: 1, labels: ["none"], maxQueued: 3 };
        const pool = yield* NatsPool.make({ ...options, whenFull: "refuse" });
        yield* Effect.forEach([1, 2, 3], (n) => pool.submitWith(Tasks.double, [n], { id: `n-${n}` }));
        const refused = yield* poolError(pool.submit(Tasks.double, 4));
        assertEquals(refused.reason, "QueueFull");
        assertStringIncludes(refused.message, "raise it, or wait with whenFull");
        // It is there already.
        yield* pool.submitWith(Tasks.double, [3], { id: "n-3" });
        const patient = yield* NatsPool.make(options);
        const waiting = yield* Effect.fork(patient.submitWith(Tasks.double, [5], { id: "n-5" }));
        const given = yield* Effect.fork(patient.submitWith(Tasks.double, [6], { id: "n-6" }));
        yield* Effect.yieldNow();
        yield* Fiber.interrupt(given);
        yield* (yield* pool.attach("n-2", Tasks.double)).cancel;
        assertEquals((yield* Fiber.join(waiting)).id, "n-5");
        assertEquals((yield* pool.contents).tasks, 3);
        yield* NatsPool.make({ ...options, labels: [], maxQueued: 10 });
        const results = yield* Effect.forEach(
          ["n-1", "n-3", "n-5"],
          (id) => Effect.flatMap(patient.attach(id, Tasks.double), (submission) => submission.await),
        );
        assertEquals(results, [2, 6, 10]);
        yield* empty(pool);
        assertEquals((yield* poolError(pool.attach("n-6", Tasks.double))).reason, "InvalidArgument");
      })
    ),
  ],
];

if (available) {
  group("NatsPool: ", setup, steps);

  test(
    "NatsPool: a server without JetStream is an error that says so (full)",
    Effect.gen(function* () {
      const { url } = yield* natsServer();
      const make = NatsPool.make({ servers: url, name: "tests", connectTimeout: "300 millis" });
      const { message, reason } = yield* Effect.flip(Effect.scoped(make));
      assertEquals(reason, "Unsupported");
      assertStringIncludes(message, "start nats-server with -js");
    }),
  );

  test(
    "NatsPool: a program and an agent need the permissions of the documentation, and no more (full)",
    Effect.gen(function* () {
      const path = `${yield* folder}/server.conf`;
      const [program, agent] = ["program", "agent"].map((user) => {
        const [publish, subscribe] = ["NatsBackend", "NatsPool"].flatMap((module) => {
          const source = Deno.readTextFileSync(new URL(`../../src/${module}.ts`, import.meta.url));
          const row = new RegExp(`^ \\* \\| ${user} \\| (.*) \\| (.*) \\|$`, "m").exec(source)!;
          return module === "NatsBackend" && user === "program" ? [] : [row.slice(1)];
        }).reduce(([a, b], [c, d]) => [`${a} ${c}`, `${b} ${d}`], ["", ""]).map((cell) =>
          JSON.stringify([...cell.matchAll(/`(.*?)`/g)].map(([_, subject]) => subject.replace("mp.S.", "mp.default.")))
        );
        return `{ user: ${user}, password: x, permissions: { publish: ${publish}, subscribe: ${subscribe} } }`;
      });
      Deno.writeTextFileSync(path, `authorization { users: [ ${program}, ${agent} ] }`);
      const { url } = yield* durableServerWith(["-c", path]);
      yield* serve({ servers: url, slots: 1, auth: { user: "agent", password: "x" } });
      const auth = { user: "program", password: "x" };
      const pool = yield* NatsPool.make({ servers: url, auth, name: "tests", retries: 0 });
      assertEquals(yield* pool.map(Tasks.double, [1, 2, 3]), [2, 4, 6]);
      const file = `${yield* folder}/file`;
      Deno.writeTextFileSync(file, "");
      assertEquals((yield* Effect.flip(pool.apply(Tasks.poison, file)))._tag, "Poisoned");
      const call = yield* Effect.fork(pool.apply(Tasks.hang, file));
      yield* when(Effect.sync(() => lines(file)), ({ length }) => length === 1);
      yield* Fiber.interrupt(call);
      assertEquals(lines(file)[1], "interrupted");
      yield* empty(pool);
      const asAgent = { user: "agent", password: "x" };
      // With another environment it is another program, which the agent may not store.
      const denied = yield* NatsPool.make({ servers: url, auth: asAgent, name: "tests", size: 1, env: { OTHER: "1" } });
      const refused = yield* poolError(denied.apply(Tasks.double, 1));
      assertEquals(refused.reason, "Broken");
      assertStringIncludes(refused.message, "the user may not publish to mp.default.f.");
    }),
  );

  test(
    "NatsPool: the processes of an agent that is killed end (full)",
    Effect.gen(function* () {
      const { url } = yield* durableServer;
      const agent = yield* agentProgram(url, ["--slots=1"]);
      const pool = yield* NatsPool.make({ servers: url, name: "tests" });
      const { pid } = yield* pool.apply(Tasks.where);
      agent.kill("SIGKILL");
      yield* Effect.promise(() => gone([pid]));
    }),
  );
}
