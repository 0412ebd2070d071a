/** Processes that are started by one process and adopted by another one, as those of an agent on another machine. */
import { fileURLToPath } from "node:url";
import * as Effect from "effect/Effect";
import * as Fiber from "effect/Fiber";
import type * as Scope from "effect/Scope";
import { Backend, Pool, Process, Queue, SubprocessBackend } from "../../mod.ts";
import { adopt, type RawChild } from "../../src/internal/child/backends/adopt.ts";
import { launch } from "../../src/internal/child/backends/subprocess_backend.ts";
import * as Capabilities from "../../src/internal/child/capabilities.ts";
import { library, own } from "../../src/internal/child/modules.ts";
import { exitCode } from "../../src/internal/child/status.ts";
import { createApart, isMappable, map, preferred, RegionError } from "../../src/internal/os/mapping.ts";
import type { Sources } from "../../src/internal/os/place.ts";
import { pair } from "../../src/internal/transport/local.ts";
import { assert, assertEquals, assertInstanceOf, assertStringIncludes, assertThrows } from "../support/assert.ts";
import { test, when } from "../support/suite.ts";
import * as Tasks from "./adopt_tasks.ts";

/** A backend whose children are on a host of their own, as far as they know. */
const elsewhere = (
  sources?: Sources,
  change: (raw: RawChild) => RawChild = (raw) => raw,
  guardPid: number = Deno.pid,
): Backend.Backend => ({
  [Backend.TypeId]: Backend.TypeId,
  name: "subprocess",
  capabilities: Capabilities.subprocess,
  spawn: (command) =>
    adopt(Effect.map(launch({}, { ...command, sources }), change), {
      backend: "subprocess",
      command,
      maxMessageSize: undefined,
      nested: {},
      place: { guardPid, host: { id: "another", name: "h2" }, sources },
    }),
});

const on = (backend: Backend.Backend) => <A, E, R>(program: Effect.Effect<A, E, R>) =>
  Effect.provideService(program, Backend.Backend, backend);

/** A process that does nothing, and whose end the test decides. */
const idle = (end: Promise<Awaited<RawChild["ended"]>>, killed: () => void = () => {}): RawChild => {
  const [transport] = pair();
  return {
    pid: 1,
    transport: { ...transport, close: () => {}, lost: () => transport.close(), drained: (done) => done() },
    ended: end,
    signal: () => Effect.sync(() => (killed(), true)),
    stdout: null,
    stderr: null,
    explain: () => Promise.resolve(undefined),
    release: () => Promise.resolve(),
  };
};

const adoptIdle = (
  raw: RawChild,
  startTimeout?: number,
): Effect.Effect<Backend.Child, Backend.SpawnError, Scope.Scope> =>
  adopt(Effect.succeed(raw), {
    backend: "subprocess",
    command: { name: "Idle", modules: [] },
    maxMessageSize: undefined,
    nested: {},
    place: { guardPid: 1, host: { id: "another", name: "h2" }, sources: undefined },
    ...(startTimeout === undefined ? {} : { startTimeout }),
  });

test(
  "a child that does not serve its link in time is killed, and its calls fail with a SpawnError that says so",
  Effect.gen(function* () {
    const end = Promise.withResolvers<Awaited<RawChild["ended"]>>();
    const raw = idle(end.promise, () => end.resolve({ code: undefined, signal: "SIGKILL" }));
    const child = yield* adoptIdle(raw, 1);
    const error = yield* Effect.flip(child.serves);
    assertEquals([error.reason, child.status()], ["Failed", { _tag: "Signaled", signal: "SIGKILL" }]);
    assertStringIncludes(error.message, "did not serve its link within 1 ms");
  }),
);

test(
  "a child whose machine is not heard any more is Lost; its callers fail with a ProcessDied that names the machine",
  Effect.gen(function* () {
    const end = Promise.withResolvers<Awaited<RawChild["ended"]>>();
    const lost = { _tag: "Lost", host: "h2", message: "no word from h2 for 5000 ms" } as const;
    const backend = elsewhere(undefined, (raw) => ({
      ...raw,
      ended: Promise.race([raw.ended, end.promise]),
      release: async () => {
        await Effect.runPromise(raw.signal("SIGKILL"));
        await raw.ended;
        await raw.release();
      },
    }));
    const process = yield* on(backend)(Process.spawnWith(Tasks.take, [yield* Queue.make<string>()], { daemon: true }));
    const joining = yield* Effect.fork(Effect.flip(process.join));
    end.resolve(lost);
    const error = yield* Fiber.join(joining);
    assertInstanceOf(error, Backend.ProcessDied);
    assertEquals([error.status, error.host, exitCode(lost)], [lost, "h2", 255]);
    assertStringIncludes(error.message, "on h2) was lost: no word from h2");
  }),
);

test(
  "a child ends if the process that should guard it is not its parent in the system (full)",
  Effect.gen(function* () {
    assertEquals(yield* on(elsewhere())(Process.run(Tasks.ppid)), Deno.pid);
    const error = yield* Effect.flip(on(elsewhere(undefined, undefined, 1))(Process.run(Tasks.ppid)));
    assertInstanceOf(error, Backend.ProcessDied);
    assertEquals(error.status, { _tag: "Exited", code: 1 });
  }),
);

test(
  "children on another host reach each other through the processes between them, and hosted objects by messages (full)",
  Effect.gen(function* () {
    const items = yield* Queue.make<Queue.Queue<string>>();
    const done = yield* Queue.make<null>();
    const near = yield* Process.spawnWith(Tasks.hosting, [items, done], { daemon: true });
    const far = yield* on(elsewhere())(Process.run(Tasks.takeFrom, items, done));
    assertEquals(far, { item: "of a sibling", ways: { port: 0, socket: 0, tunnel: 1 } });
    yield* near.join;
  }).pipe(Effect.provide(SubprocessBackend.layer())),
);

test(
  "modules may lie elsewhere than their URLs say, also for grandchildren and for a child that may not read them",
  Effect.gen(function* () {
    const folder = yield* Effect.acquireRelease(
      Effect.sync(() => Deno.makeTempDirSync()),
      (folder) => Effect.sync(() => Deno.removeSync(folder, { recursive: true })),
    );
    const root = new URL("../../", import.meta.url);
    for (const name of ["src", "tests/internal", "mod.ts", "deno.json", "deno.lock"]) {
      Deno.mkdirSync(`${folder}/tests`, { recursive: true });
      const { code } = new Deno.Command("cp", { args: ["-r", fileURLToPath(new URL(name, root)), `${folder}/${name}`] })
        .outputSync();
      assertEquals(code, 0);
    }
    const local = `file://${folder}/`;
    const sources: Sources = {
      folders: [{ original: root.href, local }],
      library,
      main: own("./adopt_tasks.ts", import.meta),
    };
    const there = {
      url: `${local}tests/internal/adopt_tasks.ts`,
      main: `${local}tests/internal/adopt_tasks.ts`,
    };
    const program = Effect.all([
      Process.run(Tasks.where),
      Process.run(Tasks.below),
      Effect.scoped(Effect.flatMap(
        Process.spawnWith(Tasks.where, [], { permissions: {} }),
        (process) => process.join,
      )),
    ]);
    const seen = yield* on(elsewhere(sources))(program);
    assertEquals(seen, [there, there, there]);
  }),
);

test(
  "a handle of shared memory that is used on another machine is Unsupported, and the message names both machines",
  Effect.sync(() => {
    assertEquals(preferred(), "memory");
    const region = createApart(4096);
    try {
      const { token } = region;
      assert(isMappable(token));
      map(token).close();
      const far = { ...token, host: { id: "another boot", name: "h2" } };
      assertEquals(isMappable(far), false);
      const error = assertThrows(() => map(far), RegionError);
      assertEquals(error.reason, "Unsupported");
      assertStringIncludes(error.message, "on another machine (h2)");
    } finally {
      region.close();
    }
  }),
);

test(
  "a buffer of workers is not that of an equal process id on another host",
  Effect.gen(function* () {
    const buffer = createApart(4096, "buffer");
    try {
      assert(isMappable(buffer.token));
      const far = { ...buffer.token, id: "unknown", host: { id: "another", name: "h2" } };
      assertEquals(isMappable(far), false);
      assertEquals(assertThrows(() => map(far), RegionError).reason, "Unsupported");
    } finally {
      buffer.close();
    }
    yield* Effect.void;
  }),
);

/** A backend that has no place for children while `full` says so. */
const crowded = (backend: Backend.Backend, full: () => boolean): Backend.Backend => ({
  ...backend,
  capacity: Effect.succeed(2),
  spawn: (command) =>
    Effect.suspend(() =>
      full() ? Effect.fail(new Backend.SpawnError({ reason: "Full", message: "no place" })) : backend.spawn(command)
    ),
});

test(
  "a pool has as many workers as its backend has places by default, and waits for a place to replace one",
  Effect.gen(function* () {
    let refused = 0;
    let full = false;
    const backend = crowded(yield* SubprocessBackend.make(), () => {
      if (full) refused++;
      // More attempts than a pool makes with workers that die.
      if (refused > 6) full = false;
      return full;
    });
    const pool = yield* on(backend)(Pool.make());
    assertEquals(pool.size, 2);
    const pids = yield* pool.broadcast(Tasks.pid);
    full = true;
    for (const pid of pids) Deno.kill(pid, "SIGKILL");
    yield* when(pool.statistics, ({ alive }) => alive === 0);
    assert(!pids.includes(yield* pool.apply(Tasks.pid)));
    assert(refused > 6, `${refused}`);
  }),
);
