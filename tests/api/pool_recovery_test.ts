/**
 * The replacement of a worker that dies, with and without a spare.
 *
 * @module
 */
import * as Deferred from "effect/Deferred";
import * as Effect from "effect/Effect";
import * as Fiber from "effect/Fiber";
import type * as Layer from "effect/Layer";
import * as Option from "effect/Option";
import type * as Scope from "effect/Scope";
import { Backend, Pool, Process, SubprocessBackend, WorkerBackend } from "../../mod.ts";
import { assert, assertEquals, assertInstanceOf, assertMatch, assertStringIncludes } from "../support/assert.ts";
import { logging } from "../support/logs.ts";
import { gateway, signal, test, warmUp, when } from "../support/suite.ts";
import * as Tasks from "../support/tasks.ts";
import { hold } from "./pool_recovery_tasks.ts";
import { casesOf, registerEach } from "../support/tier.ts";

/** The slot number in the name of a worker. The names begin with the name of the pool. */
const place = (name: string): number => Number(name.split(":").at(-1));

/** The number of the worker that runs a task. */
const worker = (pool: Pool.Pool) => Effect.map(pool.apply(Tasks.whoAmI), ({ name }) => place(name));

const ready = (pool: Pool.Pool) => when(pool.statistics, ({ spare }) => spare === 1);

/** Kills a worker with a task. */
const die = (pool: Pool.Pool) =>
  Effect.map(Effect.flip(pool.apply(Tasks.exitWith, 3)), (error) => {
    assertInstanceOf(error, Process.ProcessDied);
    return error;
  });

/** Registers the suite for one backend. */
const suite = (name: string, layer: Layer.Layer<Backend.Backend>): void => {
  const check = <E>(title: string, program: Effect.Effect<unknown, E, Backend.Backend | Scope.Scope>): void =>
    test(`pool recovery on ${name}: ${title}`, Effect.provide(program, layer));

  /** The same backend, with a different way to start the worker of this number. */
  const changing = (change: (place: number, spawn: Backend.Backend["spawn"]) => Backend.Backend["spawn"]) =>
    Effect.map(Backend.Backend, (backend): Backend.Backend => ({
      ...backend,
      spawn: (command) => change(place(command.name), backend.spawn)(command),
    }));

  check(
    "a worker that dies is replaced before its end is known",
    Effect.gen(function* () {
      const known = yield* Deferred.make<void>();
      let isKnown = false;
      const backend = yield* changing((place, spawn) => (command) =>
        Effect.map(spawn(command), (child) =>
          place > 1 ? child : {
            ...child,
            exited: Effect.zipRight(Deferred.await(known), child.exited),
            status: () => isKnown ? child.status() : undefined,
          })
      );
      const pool = yield* Effect.provideService(
        Pool.make({ size: 1, gracePeriod: "1 minute" }),
        Backend.Backend,
        backend,
      );
      const dying = yield* Effect.fork(die(pool));
      yield* when(pool.statistics, ({ replaced }) => replaced === 1);
      assertEquals(yield* worker(pool), 2);
      assertEquals(yield* Fiber.poll(dying), Option.none());
      isKnown = true;
      yield* Deferred.succeed(known, undefined);
      yield* Fiber.join(dying);
      const { alive, replaced } = yield* pool.statistics;
      assertEquals([alive, replaced], [1, 1]);
    }),
  );

  check(
    "the warning that a worker had to be killed names its last task",
    logging((lines) =>
      Effect.gen(function* () {
        const options = { size: 1, gracePeriod: "20 millis", forceKillAfter: "20 millis" } as const;
        yield* Effect.scoped(Effect.flatMap(Pool.make(options), (pool) => pool.apply(hold)));
        assertEquals(lines.length, 1);
        assertMatch(
          lines[0],
          /^WARN PoolWorker-\d+:1 \(pid \d+\), a worker of a pool whose last task was "hold", had to be killed: it had not ended 20ms after/,
        );
      })
    ),
  );

  check(
    "a pool without the option keeps no spare (full)",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1 });
      yield* die(pool);
      assertEquals(yield* worker(pool), 2);
      yield* die(pool);
      // With a spare, the next worker would be the fourth.
      assertEquals(yield* worker(pool), 3);
      assertEquals((yield* pool.statistics).spare, 0);
    }),
  );

  check(
    "a spare takes the place of a worker that dies, and is followed by another spare",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1, spare: true });
      for (let round = 0; round < 3; round++) {
        yield* ready(pool);
        yield* die(pool);
        assertEquals(yield* worker(pool), round + 2);
      }
      const { alive, failed, replaced } = yield* pool.statistics;
      assertEquals([alive, failed, replaced], [1, 3, 3]);
    }),
  );

  check(
    "a spare has loaded the modules of the tasks that the pool has run, before it is needed",
    Effect.gen(function* () {
      const file = yield* Effect.acquireRelease(
        Effect.sync(() => Deno.makeTempFileSync()),
        (path) => Effect.sync(() => Deno.removeSync(path)),
      );
      const url = new URL(import.meta.resolve("../fixtures/records_loads.ts"));
      url.searchParams.set("file", file);
      const { greet } = yield* Effect.promise((): Promise<typeof import("../fixtures/records_loads.ts")> =>
        import(url.href)
      );
      const loads = Effect.sync(() => Deno.readTextFileSync(file).split("\n").length - 1);
      const pool = yield* Pool.make({ size: 1, spare: true });
      assertEquals(yield* pool.apply(greet), "hello");
      yield* ready(pool);
      // This process, the worker and the spare.
      yield* when(loads, (count) => count === 3);
      yield* die(pool);
      assertEquals(yield* pool.apply(greet), "hello");
      yield* when(loads, (count) => count === 4);
    }),
  );
  check(
    "a spare is initialized like every worker, and takes the place of a worker that is recycled (full)",
    Effect.gen(function* () {
      const pool = yield* Pool.make({
        size: 1,
        spare: true,
        maxTasksPerChild: 1,
        initializer: Pool.initializer(Tasks.nothing),
      });
      yield* ready(pool);
      assertEquals(yield* worker(pool), 1);
      assertEquals(yield* worker(pool), 2);
      const { recycled, replaced } = yield* pool.statistics;
      assertEquals([recycled, replaced], [1, 0]);
    }),
  );

  check(
    "a worker that dies while the spare is still starting gets that spare (full)",
    Effect.gen(function* () {
      const starting = yield* Deferred.make<void>();
      const proceed = yield* Deferred.make<void>();
      const backend = yield* changing((place, spawn) => (command) =>
        place !== 2 ? spawn(command) : Effect.zipRight(
          Effect.zipRight(Deferred.succeed(starting, undefined), Deferred.await(proceed)),
          spawn(command),
        )
      );
      const pool = yield* Effect.provideService(Pool.make({ size: 1, spare: true }), Backend.Backend, backend);
      yield* Deferred.await(starting);
      yield* die(pool);
      const next = yield* Effect.fork(worker(pool));
      yield* when(pool.statistics, ({ waiting }) => waiting === 1);
      yield* Deferred.succeed(proceed, undefined);
      assertEquals(yield* Fiber.join(next), 2);
    }),
  );

  check(
    "a pool ends its spare with its scope, whether it is ready or still starting",
    Effect.gen(function* () {
      yield* Effect.scoped(Effect.flatMap(Pool.make({ size: 1, spare: true }), ready));
      const starting = yield* Deferred.make<void>();
      const backend = yield* changing((place, spawn) => (command) =>
        place === 1
          ? spawn(command)
          : Effect.zipRight(Effect.tap(spawn(command), Deferred.succeed(starting, undefined)), Effect.never)
      );
      yield* Effect.scoped(
        Effect.zipRight(
          Effect.provideService(Pool.make({ size: 1, spare: true }), Backend.Backend, backend),
          Deferred.await(starting),
        ),
      );
    }),
  );

  check(
    "a spare that cannot be started is logged; after three failures the pool goes on without, and workers are replaced all the same (full)",
    logging((lines) =>
      Effect.gen(function* () {
        let starts = 0;
        const backend = yield* changing((place, spawn) => (command) => {
          starts++;
          return place === 1 || place > 4
            ? spawn(command)
            : Effect.fail(new Backend.SpawnError({ reason: "Failed", message: "no room" }));
        });
        const pool = yield* Effect.provideService(Pool.make({ size: 1, spare: true }), Backend.Backend, backend);
        yield* when(Effect.sync(() => lines.length), (count) => count === 3);
        for (const line of lines) {
          assertStringIncludes(line, "WARN A spare worker of the pool cannot be started");
          assertStringIncludes(line, "no room");
        }
        assertEquals(starts, 4);
        yield* die(pool);
        assertEquals(yield* worker(pool), 5);
        assertEquals(starts, 5);
      })
    ),
  );

  check(
    "a spare that dies is logged and replaced (full)",
    logging((lines) =>
      Effect.gen(function* () {
        const children: Array<Backend.Child> = [];
        const backend = yield* changing((_, spawn) => (command) =>
          Effect.tap(spawn(command), (child) => Effect.sync(() => children.push(child)))
        );
        const pool = yield* Effect.provideService(Pool.make({ size: 1, spare: true }), Backend.Backend, backend);
        yield* ready(pool);
        yield* children[1].kill("SIGKILL");
        yield* when(pool.statistics, ({ spare }) => spare === 1 && children.length === 3);
        assert(lines.some((line) => line.includes("A spare worker of the pool died before it was used")), lines.join());
        yield* die(pool);
        assertEquals(yield* worker(pool), 3);
      })
    ),
  );

  check(
    "no spare is started while a task waits (full)",
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1, spare: true });
      yield* ready(pool);
      const begun = yield* signal;
      const gate = yield* gateway;
      const dying = yield* pool.submit(Tasks.exitWith, 3);
      const running = yield* pool.submit(Tasks.gate, begun.stream, gate.stream, 0);
      const waiting = yield* pool.submit(Tasks.nothing);
      yield* begun.fired;
      const statistics = yield* pool.statistics;
      assertEquals([statistics.spare, statistics.waiting], [0, 1]);
      yield* gate.open;
      yield* Effect.all([Effect.flip(dying.await), running.await, waiting.await]);
      yield* ready(pool);
    }),
  );
};

const backends = [["subprocess", SubprocessBackend.layer()], ["worker", WorkerBackend.layer()]] as const;
for (const [, layer] of casesOf(backends)) await warmUp(Effect.provide(Process.run(Tasks.add, 1, 2), layer));
registerEach(backends, ([name, layer]) => {
  suite(name, layer);
});
