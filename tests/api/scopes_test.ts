/**
 * Many scopes with processes and pools, none of which leaves anything behind.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import type * as Layer from "effect/Layer";
import * as Logger from "effect/Logger";
import type * as Scope from "effect/Scope";
import * as Stream from "effect/Stream";
import { type Backend, Pool, Process, SubprocessBackend, WorkerBackend } from "../../mod.ts";
import { assert, assertEquals } from "../support/assert.ts";
import { rounds } from "../support/chance.ts";
import { descendants } from "../support/leaks.ts";
import * as Tasks from "../support/lifetime_tasks.ts";
import { test, warmUp } from "../support/suite.ts";
import { fullUnless, repeated, repeating } from "../support/tier.ts";

type Round = (n: number) => Effect.Effect<unknown, unknown, Backend.Backend | Scope.Scope>;

/** The content of one scope. Each ends in another way. */
const ways: ReadonlyArray<Round> = [
  // Joined by its caller, or by its scope.
  (n) =>
    Effect.flatMap(Process.spawn(Tasks.echo, n), ({ join }) => Effect.map(join, (result) => assertEquals(result, n))),
  (n) => Process.spawn(Tasks.echo, n),
  // Ended by its scope, by its caller, by itself.
  () => Process.spawnWith(Tasks.linger, [], { daemon: true }),
  () => Effect.flatMap(Process.spawn(Tasks.linger), ({ terminate }) => terminate),
  () => Effect.flatMap(Process.spawn(Tasks.linger), ({ kill }) => kill),
  () => Effect.flatMap(Process.spawn(Tasks.exit, 3), ({ exit }) => exit),
  () => Effect.flatMap(Process.spawn(Tasks.explode, "no"), ({ exit }) => exit),
  () => Effect.zipRight(Process.spawn(Tasks.linger), Effect.fail("broken off")),
  // Pools: used, not used, left with work, broken off.
  (n) =>
    Effect.flatMap(
      Pool.make({ size: 1 }),
      (pool) => Effect.map(pool.apply(Tasks.echo, n), (result) => assertEquals(result, n)),
    ),
  () => Pool.make({ size: 1 }),
  (n) => Effect.flatMap(Pool.make({ size: 1 }), (pool) => pool.submit(Tasks.echo, n)),
  () =>
    Effect.flatMap(
      Pool.make({ size: 1, gracePeriod: "1 millis" }),
      (pool) => Effect.zipRight(pool.submit(Tasks.linger), Effect.fail("broken off")),
    ),
  (n) =>
    Effect.flatMap(
      Pool.make({ size: 1 }),
      (pool) => Stream.runDrain(Stream.take(pool.mapStream(Tasks.echo)(Stream.iterate(n, (i) => i + 1)), 3)),
    ),
  () =>
    Effect.flatMap(
      Pool.make({ size: 1 }),
      (pool) => Effect.zipRight(Effect.flip(pool.apply(Tasks.exit, 3)), pool.close),
    ),
];

const scopes = (first: number, count: number): Effect.Effect<void, never, Backend.Backend> =>
  Effect.forEach(
    Array.from({ length: count }, (_, i) => first + i),
    (n) => Effect.exit(Effect.scoped(ways[n % ways.length](n))),
    { concurrency: 2 },
  ).pipe(Effect.map((exits) => {
    const defects = exits.filter((exit) => exit._tag === "Failure" && exit.cause._tag !== "Fail");
    assertEquals(defects, []);
  }));

/** Additional memory that is no leak: that of the allocator and of the garbage collector. */
const MARGIN = 96 * 1024 * 1024;

/** Registers one test for each count of scopes. The first test determines the normal use of memory. */
const check = (name: string, layer: Layer.Layer<Backend.Backend>, counts: ReadonlyArray<number>): void => {
  let settled: number | undefined;
  let first = 1;
  for (const [part, count] of counts.entries()) {
    const from = first;
    first += count;
    test(
      `scopes of part ${
        part + 1
      } on ${name} leave no process, worker, descriptor, timer, file or name in /dev/shm, and memory does not grow${
        fullUnless(part === 0)
      } (storm)`,
      Effect.gen(function* () {
        const folder = yield* temporaryFolder;
        yield* scopes(from, count);
        const rss = Deno.memoryUsage().rss;
        settled ??= rss;
        const grown = rss - settled;
        assert(grown < MARGIN, `${from - 1 + count} scopes have left ${Math.round(grown / 1024 / 1024)} MiB`);
        assertEquals(yield* Process.activeChildren, []);
        assertEquals(descendants(Deno.pid), []);
        assertEquals([...Deno.readDirSync(folder)], []);
      }).pipe(Effect.provide(layer)),
    );
  }
};

/** The folder for temporary files of this program and its children during the test. */
const temporaryFolder: Effect.Effect<string, never, Scope.Scope> = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => {
      const before = Deno.env.get("TMPDIR");
      const folder = Deno.makeTempDirSync();
      Deno.env.set("TMPDIR", folder);
      return { before, folder };
    }),
    ({ before, folder }) =>
      Effect.sync(() => {
        if (before === undefined) Deno.env.delete("TMPDIR");
        else Deno.env.set("TMPDIR", before);
        Deno.removeSync(folder, { recursive: true });
      }),
  ),
  ({ folder }) => folder,
);

const subprocess = SubprocessBackend.layer({ stderr: "null" });
const worker = WorkerBackend.layer();

const silently = Effect.provide(Logger.remove(Logger.defaultLogger));
await warmUp(scopes(1, ways.length).pipe(Effect.provide(subprocess), silently));
if (repeating) await warmUp(scopes(1, ways.length).pipe(Effect.provide(worker), silently));

// A full run has a thousand scopes. A subprocess costs several times as much as a worker, so most scopes have workers.
const few = rounds(2 * ways.length, 70);
const many = rounds(3 * ways.length, 140);
check("subprocesses", subprocess, [few, few]);
repeated(() => check("workers", worker, [many, many, many, many].slice(0, rounds(2, 4))));
