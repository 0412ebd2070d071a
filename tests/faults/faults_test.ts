/** The caller of a child learns of each end of the child; the children of a parent end with the parent. */
import * as Cause from "effect/Cause";
import * as Deferred from "effect/Deferred";
import * as Effect from "effect/Effect";
import * as Exit from "effect/Exit";
import * as Option from "effect/Option";
import * as Stream from "effect/Stream";
import { Backend, Pool, Process, SubprocessBackend, WorkerBackend } from "../../mod.ts";
import { assert, assertEquals, assertInstanceOf } from "../support/assert.ts";
import * as Hostile from "../fixtures/hostile.ts";
import { noLeaks, until } from "../support/leaks.ts";
import { gone, script } from "../support/scripts.ts";
import { signal, temporary, test, warmUp } from "../support/suite.ts";
import * as Tasks from "../support/tasks.ts";
import { fullUnless, registerEach, repeating } from "../support/tier.ts";

const subprocess = SubprocessBackend.layer({ stderr: "null" });
const worker = WorkerBackend.layer();

await warmUp(Effect.provide(Process.run(Tasks.addEffect, 1, 2), subprocess));
if (repeating) await warmUp(Effect.provide(Process.run(Tasks.addEffect, 1, 2), worker));

const died = <A, E, R>(program: Effect.Effect<A, E, R>): Effect.Effect<Process.ProcessDied, A, R> =>
  Effect.map(Effect.flip(program), (error) => {
    assertInstanceOf(error, Process.ProcessDied);
    return error;
  });

for (
  const [title, task, args] of [
    ["closes the descriptor of its link", Hostile.closeLink, []],
    ["ends the connection of its link", Hostile.shutdownLink, []],
    ["writes garbage to its link", Hostile.writeGarbage, [64]],
    ["writes much garbage to its link", Hostile.writeGarbage, [4 * 1024 * 1024]],
    ["dies in the middle of a message", Hostile.halfFrame, []],
  ] as const
) {
  const call = <B>(use: (task: never, ...args: never) => B): B => use(task as never, ...args as never);

  test(
    `a process that ${title} has died, for every process that waits for it`,
    Effect.gen(function* () {
      const child = yield* call(Process.spawn) as ReturnType<typeof Process.spawn<[], number, never>>;
      const error = yield* died(child.join);
      assertEquals(error.pid, child.pid);
      assertEquals(error.task, task.name);
      assertEquals(yield* child.isAlive, false);
    }).pipe(Effect.provide(subprocess)),
  );

  test(
    `a worker that ${title} fails its own task, and is replaced${fullUnless(task === Hostile.closeLink)}`,
    Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1 });
      yield* died(call(pool.apply) as Effect.Effect<number, Pool.PoolFailure>);
      assertEquals(yield* pool.apply(Tasks.add, 1, 2), 3);
      assertEquals((yield* pool.statistics).replaced, 1);
    }).pipe(Effect.provide(subprocess)),
  );
}

registerEach([["subprocess", subprocess], ["worker", worker]] as const, ([name, layer]) => {
  for (const task of [Tasks.throwInTimer, Tasks.rejectUnhandled]) {
    test(
      `${name}: an error that nobody catches (${task.name}) reaches every waiter`,
      Effect.gen(function* () {
        const child = yield* Process.spawn(task);
        const waiters = yield* Effect.all([Effect.exit(child.join), child.exit, child.status], { concurrency: 3 });
        assert(Exit.isFailure(waiters[0]));
        assertInstanceOf(Option.getOrThrow(Cause.failureOption(waiters[0].cause)), Process.ProcessDied);
        assertEquals(waiters[1]._tag, "Died");
      }).pipe(Effect.provide(layer)),
    );
  }

  test(
    `${name}: killing a process at any time after its start leaves nobody waiting (full)`,
    Effect.gen(function* () {
      for (let turns = 0; turns < 12; turns++) {
        const child = yield* Process.spawn(Tasks.countAndAdd, 2, 3);
        // Waits a number of turns of the event loop, not a time, so that the child may be at any point.
        for (let turn = 0; turn < turns * turns; turn++) {
          yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 0)));
        }
        yield* child.kill;
        const exit = yield* child.exit;
        assert(exit._tag === "Died" || exit._tag === "Success", exit._tag);
      }
    }).pipe(Effect.provide(layer)),
  );

  test(
    `${name}: the stream of a process that is killed fails its reader`,
    Effect.gen(function* () {
      const path = yield* temporary;
      const first = yield* Deferred.make<void>();
      const children = new Array<Backend.Child>();
      const backend = yield* Backend.Backend;
      const reading = Process.stream(Tasks.wide, 1000, path).pipe(
        Stream.runForEach(() =>
          Effect.zipRight(Deferred.succeed(first, undefined), Effect.suspend(() => children[0].kill("SIGKILL")))
        ),
        Effect.provideService(Backend.Backend, {
          ...backend,
          spawn: (command) => Effect.tap(backend.spawn(command), (child) => children.push(child)),
        }),
      );
      assertEquals((yield* died(reading)).status, { _tag: "Signaled", signal: "SIGKILL" });
    }).pipe(Effect.provide(layer)),
  );
});

test(
  "worker: self.close() in a task is the end of the process, and reaches its caller",
  Effect.gen(function* () {
    assertEquals((yield* died(Process.run(Tasks.closeSelf))).status._tag, "Exited");
  }).pipe(Effect.provide(worker)),
);

test(
  "subprocess: a process that runs out of memory has died, and says how",
  Effect.gen(function* () {
    const { status } = yield* died(Process.run(Tasks.allocate));
    assert(status._tag !== "Exited" || status.code !== 0);
  }).pipe(Effect.provide(SubprocessBackend.layer({ stderr: "null", v8Flags: ["--max-old-space-size=64"] }))),
);

test(
  "subprocess: a process that was stopped by SIGSTOP is ended all the same",
  Effect.gen(function* () {
    const begun = yield* signal;
    const finalized = yield* signal;
    const child = yield* Process.spawnWith(Tasks.forever, [begun.stream, finalized.stream], {
      gracePeriod: "20 millis",
      forceKillAfter: "20 millis",
    });
    yield* begun.fired;
    yield* child.signal("SIGSTOP");
    yield* child.terminate;
    assertEquals(yield* child.status, { _tag: "Signaled", signal: "SIGKILL" });
  }).pipe(Effect.provide(subprocess)),
);

for (
  const [title, kind] of [["idle", "idle"], ["only just started", "starting"], ["in an endless loop", "busy"]] as const
) {
  Deno.test({
    name: `subprocess: children that are ${title} are gone when their parent was killed by SIGKILL`,
    sanitizeOps: true,
    sanitizeResources: true,
    fn: () =>
      noLeaks(async () => {
        const path = await Deno.makeTempFile();
        try {
          const parent = script("parent.ts", [kind, path]);
          const pids = (await parent.line("pids")).split(" ").map(Number);
          if (kind === "busy") await until("it is busy", () => Deno.readTextFileSync(path) !== "");
          parent.kill("SIGKILL");
          await parent.ended;
          await gone(pids);
        } finally {
          await Deno.remove(path);
        }
      }),
  });
}
