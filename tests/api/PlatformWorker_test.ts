/**
 * The workers of `@effect/platform`, unmodified, as processes of each backend.
 *
 * @module
 */
import * as Worker from "@effect/platform/Worker";
import { WorkerError } from "@effect/platform/WorkerError";
import * as Cause from "effect/Cause";
import * as Context from "effect/Context";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Fiber from "effect/Fiber";
import * as Layer from "effect/Layer";
import type * as Scope from "effect/Scope";
import * as Stream from "effect/Stream";
import { type Backend, Process, Queue, SubprocessBackend, WorkerBackend } from "../../mod.ts";
import { ProcessDied, SpawnError } from "../../src/Backend.ts";
import { TaskError } from "../../src/Task.ts";
import { layer, layerManager, type Options, type Runner, workerErrorOf } from "../../src/PlatformWorker.ts";
import { assert, assertEquals, assertInstanceOf, assertMatch, assertNotEquals } from "../support/assert.ts";
import { logging } from "../support/logs.ts";
import { group, type Step, test, warmUp, when } from "../support/suite.ts";
import { add } from "../support/tasks.ts";
import * as Tasks from "./platform_tasks.ts";
import { casesOf, registerEach } from "../support/tier.ts";

const subprocess = SubprocessBackend.layer({ stdout: "null", stderr: "null" });
const worker = WorkerBackend.layer();
const backends: ReadonlyArray<readonly [string, Layer.Layer<Backend.Backend>]> = [
  ["subprocess", subprocess],
  ["worker", worker],
];

for (const [, backend] of casesOf(backends)) await warmUp(Effect.provide(Process.run(add, 1, 2), backend));

type Services = Worker.WorkerManager | Worker.Spawner | Worker.PlatformWorker | Backend.Backend | Scope.Scope;

/** A test of workers on each backend. */
const each = <E>(
  name: string,
  program: (backend: string) => Effect.Effect<unknown, E, Services>,
  runner: Runner = Tasks.serialized,
  options?: Options,
): void => {
  registerEach(backends, ([backend, services]) =>
    test(
      `workers of the platform (${backend}): ${name}`,
      Effect.scoped(program(backend)).pipe(Effect.provide(layer(() => runner, options)), Effect.provide(services)),
    ));
};

const initialMessage = (): Tasks.Initial => new Tasks.Initial({ name: "ada" });

const pool = (size = 1): Effect.Effect<
  Worker.SerializedWorkerPool<Tasks.Request>,
  WorkerError,
  Worker.WorkerManager | Worker.Spawner | Scope.Scope
> =>
  Effect.map(
    Worker.makePoolSerialized<Tasks.Request>({ size, concurrency: 8, initialMessage }),
    (pool) => pool as Worker.SerializedWorkerPool<Tasks.Request>,
  );

/** A pool that several tests share. */
const Shared = Context.GenericTag<Worker.SerializedWorkerPool<Tasks.Request>>("tests/Pool");

/** The tests that leave the pool as it was. */
const steps: Array<Step<Worker.SerializedWorkerPool<Tasks.Request> | Scope.Scope>> = [];

const check = <E>(
  name: string,
  program: (pool: Worker.SerializedWorkerPool<Tasks.Request>) => Effect.Effect<unknown, E, Scope.Scope>,
): void => {
  steps.push([name, Effect.flatMap(Shared, program)]);
};

const children = Effect.map(Process.activeChildren, ({ length }) => length);

/** The cause of a `WorkerError`. */
const causeOf = (failure: unknown, reason: WorkerError["reason"]): unknown => {
  const error = workerErrorOf(failure);
  assertInstanceOf(error, WorkerError, String(failure));
  assertEquals(error.reason, reason);
  return error.cause;
};

check("typed results and typed errors, by Schema", ({ executeEffect }) =>
  Effect.gen(function* () {
    assertEquals(yield* executeEffect(new Tasks.Sqrt({ of: 16 })), 4);
    assertEquals(yield* executeEffect(new Tasks.Tomorrow({ day: new Date(0) })), new Date(86_400_000));
    const error = yield* Effect.flip(executeEffect(new Tasks.Sqrt({ of: -1 })));
    assertInstanceOf(error, Tasks.Negative);
    assertEquals(error.n, -1);
  }));

each("streams of elements, and of an error", () =>
  Effect.gen(function* () {
    const { execute } = yield* pool();
    assertEquals(yield* Stream.runSum(execute(new Tasks.Count({ to: 2_000 }))), 2_001_000);
    const seen: Array<number> = [];
    const failing = Stream.tap(execute(new Tasks.Count({ to: -1 })), (n) => Effect.sync(() => seen.push(n)));
    const error = yield* Effect.flip(Stream.runDrain(failing));
    assertInstanceOf(error, Tasks.Negative);
    assertEquals(seen, [1]);
    assertEquals([...yield* Stream.runCollect(Stream.take(execute(new Tasks.Count({ to: 1e9 })), 2))], [1, 2]);
  }));

each("without Schemas (full)", () =>
  Effect.gen(function* () {
    const { broadcast, executeEffect } = yield* Worker.makePool<number, number, string>({ size: 2 });
    assertEquals(yield* Effect.forEach([1, 2, 3], executeEffect, { concurrency: "unbounded" }), [2, 4, 6]);
    assertEquals(yield* Effect.flip(executeEffect(-1)), "-1 is negative");
    yield* broadcast(1);
  }), Tasks.doubles);

check("the initial message builds a layer, which the requests have", ({ executeEffect }) =>
  Effect.gen(function* () {
    const { name, pid } = yield* Effect.withSpan(executeEffect(new Tasks.WhoAmI()), "asking");
    assertEquals([name, pid === Deno.pid], ["ada", pid === Deno.pid]);
  }));

each(
  "the layer of the initial message is released with the scope, before the process ends (full)",
  () =>
    Effect.gen(function* () {
      const news = yield* Queue.make<string>();
      yield* Effect.scoped(Worker.makePoolSerialized<Tasks.Request>({
        size: 1,
        initialMessage: () => new Tasks.Initial({ name: "ada", news }),
      }));
      assertEquals(yield* news.get, "released");
    }),
);

each("an initial message that fails is a WorkerError of the pool", () =>
  Effect.gen(function* () {
    const made = Worker.makePoolSerialized<Tasks.Request>({
      size: 1,
      initialMessage: () => new Tasks.Initial({ name: "none" }),
    });
    assertEquals(causeOf(yield* Effect.flip(Effect.scoped(made)), "spawn"), { _tag: "Negative", n: 0 });
    assertEquals(yield* children, 0);
  }));

check("the span of a request is the parent of those in the worker", ({ executeEffect }) =>
  Effect.gen(function* () {
    const [own, theirs] = yield* Effect.all([
      Effect.map(Effect.orDie(Effect.currentSpan), ({ traceId }) => traceId),
      Effect.map(executeEffect(new Tasks.WhoAmI()), ({ span }) => span),
    ]).pipe(Effect.withSpan("asking"));
    assertEquals(theirs, own);
  }));

each(
  "workers are processes of their own, with the names that were asked for (full)",
  () =>
    Effect.gen(function* () {
      const { executeEffect } = yield* pool(2);
      assertEquals(yield* children, 2);
      const { process } = yield* Effect.withSpan(executeEffect(new Tasks.WhoAmI()), "asking");
      assertMatch(process, /^crew-[01]$/);
    }),
  Tasks.serialized,
  { name: "crew" },
);

check("an interrupted request is interrupted in the worker", ({ execute, executeEffect }) =>
  Effect.gen(function* () {
    const news = yield* Queue.make<string>();
    for (const run of [executeEffect(new Tasks.Wait({ news })), Stream.runDrain(execute(new Tasks.Wait({ news })))]) {
      const fiber = yield* Effect.fork(run);
      assertEquals(yield* news.get, "begun");
      yield* Fiber.interrupt(fiber);
      assertEquals(yield* news.get, "interrupted");
    }
    assertEquals(yield* executeEffect(new Tasks.Sqrt({ of: 9 })), 3);
  }));

each("what runs when the scope closes is interrupted (full)", () =>
  Effect.gen(function* () {
    const news = yield* Queue.make<string>();
    yield* Effect.scoped(Effect.gen(function* () {
      const { executeEffect } = yield* Worker.makeSerialized<Tasks.Request>({ initialMessage });
      yield* Effect.fork(executeEffect(new Tasks.Wait({ news })));
      assertEquals(yield* news.get, "begun");
    }));
    assertEquals(yield* news.get, "interrupted");
    assertEquals(yield* children, 0);
  }));

check(
  "a defect in a handler is a defect here, and harms no other request",
  ({ executeEffect }) =>
    Effect.gen(function* () {
      const exit = yield* Effect.exit(executeEffect(new Tasks.End({ how: "die" })));
      assert(Exit.isFailure(exit) && Cause.isDie(exit.cause));
      assertMatch(Cause.pretty(exit.cause), /a defect/);
      assertEquals(yield* executeEffect(new Tasks.Sqrt({ of: 9 })), 3);
    }),
);

for (const how of ["exit", "throw"] as const) {
  each(
    `a worker that ends by ${how} fails its requests with ProcessDied; the next has the initial message${
      how === "exit" ? "" : " (full)"
    }`,
    (backend) =>
      Effect.gen(function* () {
        const { executeEffect } = yield* pool();
        const before = yield* Effect.withSpan(executeEffect(new Tasks.WhoAmI()), "asking");
        const news = yield* Queue.make<string>();
        const other = yield* Effect.fork(Effect.flip(executeEffect(new Tasks.Wait({ news }))));
        yield* news.get;
        const error = yield* Effect.flip(executeEffect(new Tasks.End({ how })));
        const died = causeOf(error, "unknown");
        assertInstanceOf(died, ProcessDied);
        if (how === "exit") assertEquals(died.status, { _tag: "Exited", code: 3 });
        assertInstanceOf(causeOf(yield* Fiber.join(other), "unknown"), ProcessDied);
        const after = yield* Effect.withSpan(executeEffect(new Tasks.WhoAmI()), "asking");
        assertEquals(after.name, "ada");
        if (backend === "subprocess") assertNotEquals(after.pid, before.pid);
      }),
  );
}

each(
  "a request whose Schema names WorkerError fails with it when its worker dies (full)",
  () =>
    Effect.gen(function* () {
      const { execute, executeEffect } = yield* pool();
      for (const run of [executeEffect(new Tasks.Leave()), Stream.runDrain(execute(new Tasks.Leave()))]) {
        const error = yield* Effect.flip(run);
        assertInstanceOf(error, WorkerError);
        assertEquals((error.cause as Error).name, "ProcessDied");
      }
    }),
);

test(
  "workers of the platform (worker): one that closes itself fails its requests with ProcessDied (full)",
  Effect.gen(function* () {
    const { executeEffect } = yield* pool();
    const error = yield* Effect.flip(executeEffect(new Tasks.End({ how: "close" })));
    assertInstanceOf(causeOf(error, "unknown"), ProcessDied);
  }).pipe(Effect.scoped, Effect.provide(layer(() => Tasks.serialized)), Effect.provide(worker)),
);

test(
  "workers of the platform (subprocess): one that was killed fails its requests with ProcessDied",
  Effect.gen(function* () {
    const { executeEffect } = yield* pool();
    const news = yield* Queue.make<string>();
    const fiber = yield* Effect.fork(Effect.flip(executeEffect(new Tasks.Wait({ news }))));
    yield* news.get;
    const [child] = yield* Process.activeChildren;
    yield* child.kill;
    const died = causeOf(yield* Fiber.join(fiber), "unknown");
    assertInstanceOf(died, ProcessDied);
    assertEquals(died.status, { _tag: "Signaled", signal: "SIGKILL" });
  }).pipe(Effect.scoped, Effect.provide(layer(() => Tasks.serialized)), Effect.provide(subprocess)),
);

each("a worker whose module cannot be loaded fails its pool, and the manager (full)", () =>
  Effect.gen(function* () {
    const all: ReadonlyArray<
      Effect.Effect<unknown, WorkerError, Worker.WorkerManager | Worker.Spawner | Scope.Scope>
    > = [
      Worker.makePool({ size: 2 }),
      Worker.makePoolSerialized<Tasks.Request>({ size: 1, initialMessage }),
      Effect.flatMap(Worker.WorkerManager, (manager) => manager.spawn({})),
    ];
    for (const made of all) {
      assertInstanceOf(causeOf(yield* Effect.flip(Effect.scoped(made)), "spawn"), TaskError);
    }
    assertEquals(yield* children, 0);
  }), Tasks.missing);

each("a worker whose layer fails fails its pool, with that failure (full)", () =>
  Effect.gen(function* () {
    const cause = causeOf(yield* Effect.flip(Effect.scoped(Worker.makePool({ size: 1 }))), "spawn");
    assertEquals((cause as Tasks.Negative)._tag, "Negative");
  }), Tasks.unbuildable);

each("a worker that ends before it serves fails its pool (full)", () =>
  Effect.gen(function* () {
    assertInstanceOf(causeOf(yield* Effect.flip(Effect.scoped(Worker.makePool({ size: 1 }))), "spawn"), ProcessDied);
  }), Tasks.leaving);

each(
  "a wrong option, and what is no worker, are WorkerErrors",
  () =>
    Effect.gen(function* () {
      const error = causeOf(yield* Effect.flip(Effect.scoped(Worker.makePool({ size: 1 }))), "spawn");
      assertInstanceOf(error, SpawnError);
      assertMatch(error.message, /gracePeriod must be a duration/);
      const strange = layer(() => "no worker" as never);
      const other = yield* Effect.flip(Effect.provide(Effect.scoped(Worker.makePool({ size: 1 })), strange));
      assertMatch(String(causeOf(other, "spawn")), /must be made by Task\.make/);
    }),
  Tasks.serialized,
  { gracePeriod: "soon" as never },
);

check("a transferred buffer arrives, and is detached here", ({ executeEffect }) =>
  Effect.gen(function* () {
    const bytes = Uint8Array.of(1, 2, 3);
    assertEquals([...yield* executeEffect(new Tasks.Flip({ bytes }))], [3, 2, 1]);
    assertEquals([bytes.length, bytes.buffer.detached], [0, true]);
  }));

check("what cannot be sent is a WorkerError, and the worker goes on", ({ executeEffect }) =>
  Effect.gen(function* () {
    const error = yield* Effect.flip(executeEffect(new Tasks.Wait({ news: () => 1 })));
    assertEquals((causeOf(error, "send") as { readonly _tag: string })._tag, "EncodeError");
    assertEquals(yield* executeEffect(new Tasks.Sqrt({ of: 9 })), 3);
  }));

test(
  "workers of the platform (subprocess): one that spins ends with its scope (full)",
  logging((lines) =>
    Effect.gen(function* () {
      yield* Effect.scoped(Effect.gen(function* () {
        const { executeEffect } = yield* pool();
        const [child] = yield* Process.activeChildren;
        const fiber = yield* Effect.fork(executeEffect(new Tasks.End({ how: "spin" })));
        yield* when(Effect.sync(() => spins(child.pid)), (spins) => spins);
        yield* Fiber.interruptFork(fiber);
      })).pipe(Effect.provide(layer(() => Tasks.serialized, { gracePeriod: 50, forceKillAfter: 50 })));
      assertEquals(yield* children, 0);
      assertMatch(lines.join("\n"), /had to be killed/);
    })
  ).pipe(Effect.provide(subprocess)),
);

/** Whether the main thread of a process has used a tenth of a second of processor time more than its start needs. */
const spins = (pid: number): boolean => {
  const fields = Deno.readTextFileSync(`/proc/${pid}/task/${pid}/stat`).split(") ")[1].split(" ");
  const ticks = Number(fields[11]) + Number(fields[12]);
  const first = started.get(pid) ?? ticks;
  started.set(pid, first);
  return ticks - first > 20;
};
const started = new Map<number, number>();

test(
  "workers of the platform: a Spawner of one's own, with the manager (full)",
  Effect.gen(function* () {
    const { executeEffect } = yield* Worker.makePool<number, number, string>({ size: 1 });
    assertEquals(yield* executeEffect(4), 8);
  }).pipe(
    Effect.scoped,
    Effect.provide([layerManager(), Worker.layerSpawner(() => Tasks.doubles)]),
    Effect.provide(worker),
  ),
);

registerEach(backends, ([backend, services]) =>
  group(
    `workers of the platform (${backend})`,
    Effect.gen(function* () {
      const context = yield* Layer.build(Layer.provideMerge(layer(() => Tasks.serialized), services));
      return Context.make(Shared, yield* Effect.provide(pool(), context));
    }),
    steps,
  ));
