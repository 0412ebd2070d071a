/**
 * Behaviour that is the same on every backend and does not depend on one: options, names, logs, types. `conformance.ts`
 * has the rest.
 */
import * as Effect from "effect/Effect";
import * as HashMap from "effect/HashMap";
import * as Logger from "effect/Logger";
import * as Stream from "effect/Stream";
import { Backend, Process, SubprocessBackend, WorkerBackend } from "../../mod.ts";
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertNotEquals,
  assertStringIncludes,
} from "../support/assert.ts";
import { signal, temporary, test, warmUp } from "../support/suite.ts";
import * as Tasks from "../support/tasks.ts";
import { registerEach, repeating } from "../support/tier.ts";

const subprocess = SubprocessBackend.layer();
const worker = WorkerBackend.layer();

await warmUp(Effect.provide(Process.run(Tasks.addEffect, 1, 2), subprocess));
if (repeating) await warmUp(Effect.provide(Process.run(Tasks.addEffect, 1, 2), worker));

/** Runs a program, and returns its log. */
const logged = <A, E, R>(program: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const lines: Array<string> = [];
    const logger = Logger.make(({ annotations, cause, logLevel, message }) => {
      lines.push(
        `${logLevel.label} ${[message].flat().join(" ")} ${cause} ${[...HashMap.entries(annotations)].join(" ")}`,
      );
    });
    return Effect.map(Effect.provide(program, Logger.add(logger)), (value) => ({ value, lines }));
  });

registerEach([["subprocess", subprocess], ["worker", worker]] as const, ([name, layer]) => {
  const check = <E>(title: string, program: Parameters<typeof test<E | unknown>>[1]): void =>
    test(`Process on ${name}: ${title}`, program);

  check(
    "processes are named in turn, unless they are given a name",
    Effect.gen(function* () {
      const first = yield* Process.spawn(Tasks.add, 1, 2);
      const second = yield* Process.spawn(Tasks.add, 1, 2);
      const third = yield* Process.spawnWith(Tasks.add, [1, 2], { name: "a name" });
      assertMatch(first.name, /^Process-\d+$/);
      assertEquals(Number(second.name.slice(8)), Number(first.name.slice(8)) + 1);
      assertEquals(third.name, "a name");
    }).pipe(Effect.provide(layer)),
  );

  check(
    "each escalation of terminate is logged, and names the process",
    Effect.gen(function* () {
      const begun = yield* signal;
      const { lines } = yield* logged(Effect.gen(function* () {
        const child = yield* Process.spawnWith(Tasks.clinging, [begun.stream], {
          name: "clings",
          gracePeriod: "20 millis",
          forceKillAfter: "20 millis",
        });
        yield* begun.fired;
        yield* child.terminate;
      }));
      assertStringIncludes(lines.join("\n"), "clings");
      assert(lines.some((line) => line.startsWith("WARN")), lines.join("\n"));
    }).pipe(Effect.provide(layer)),
  );

  check(
    "a process that ends in good order logs nothing",
    Effect.gen(function* () {
      const { lines } = yield* logged(Effect.scoped(Effect.gen(function* () {
        const child = yield* Process.spawn(Tasks.addEffect, 1, 2);
        assertEquals(yield* child.join, 3);
        yield* child.terminate;
      })));
      assertEquals(lines, []);
    }).pipe(Effect.provide(layer)),
  );

  check(
    "the failure of a process that nobody joined is logged when its scope closes",
    Effect.gen(function* () {
      const { lines } = yield* logged(Effect.scoped(Process.spawnWith(Tasks.failing, [1], { name: "unjoined" })));
      assertStringIncludes(lines.join("\n"), "unjoined");
    }).pipe(Effect.provide(layer)),
  );

  check(
    "many processes at once give their own results (full)",
    Effect.gen(function* () {
      const results = yield* Effect.forEach(
        Array.from({ length: 12 }, (_, i) => i),
        (i) => Process.run(Tasks.square, i),
        { concurrency: 6 },
      );
      assertEquals(results, results.map((_, i) => i * i));
    }).pipe(Effect.provide(layer)),
  );

  check(
    "a process that is started and interrupted at once leaves nothing",
    Effect.gen(function* () {
      for (let i = 0; i < 5; i++) {
        const fiber = yield* Effect.fork(Process.run(Tasks.addEffect, 1, 2));
        for (let turn = 0; turn < i; turn++) yield* Effect.yieldNow();
        yield* fiber.interruptAsFork(yield* Effect.fiberId);
        yield* fiber.await;
      }
    }).pipe(Effect.provide(layer)),
  );
});

const text = (stream: Stream.Stream<Uint8Array>) => Stream.mkString(Stream.decodeText(stream));

test(
  "SubprocessBackend: stdout and stderr are streams where they are piped, and are the user's alone",
  Effect.gen(function* () {
    const child = yield* Process.spawn(Tasks.print, "to stdout", "to stderr");
    const [out, err] = yield* Effect.all([text(child.stdout), text(child.stderr)], { concurrency: 2 });
    yield* child.join;
    assertEquals([out, err], ["to stdout\n", "to stderr\n"]);
  }).pipe(Effect.provide(SubprocessBackend.layer({ stdout: "pipe", stderr: "pipe" }))),
);

test(
  "SubprocessBackend: streams that are piped and not read are closed with the process",
  Effect.gen(function* () {
    const child = yield* Process.spawn(Tasks.print, "to stdout", "to stderr");
    yield* child.join;
  }).pipe(Effect.provide(SubprocessBackend.layer({ stdout: "pipe", stderr: "pipe" }))),
);

test(
  "SubprocessBackend: streams that are not piped are empty, and stdin is at its end",
  Effect.gen(function* () {
    const child = yield* Process.spawn(Tasks.print, "to stdout", "to stderr");
    const [out, err] = yield* Effect.all([text(child.stdout), text(child.stderr)], { concurrency: 2 });
    assertEquals([out, err], ["", ""]);
    assertEquals(yield* Process.run(Tasks.readInput), "end");
  }).pipe(Effect.provide(SubprocessBackend.layer({ stdout: "null", stderr: "null" }))),
);

test(
  "SubprocessBackend: a child has the environment and the working directory that it is given",
  Effect.gen(function* () {
    const run = (options: SubprocessBackend.Options, name: string) =>
      Effect.provide(Process.run(Tasks.environment, name), SubprocessBackend.layer(options));
    yield* Effect.acquireRelease(
      Effect.sync(() => Deno.env.set("TESTS_INHERITED", "ours")),
      () => Effect.sync(() => Deno.env.delete("TESTS_INHERITED")),
    );
    assertEquals(yield* run({}, "TESTS_INHERITED"), { value: "ours", cwd: Deno.cwd() });
    const added = { env: { TESTS_ADDED: "a value" }, cwd: "/" };
    assertEquals(yield* run(added, "TESTS_ADDED"), { value: "a value", cwd: "/" });
    assertEquals((yield* run(added, "TESTS_INHERITED")).value, "ours");
    const cleared = { env: { TESTS_ADDED: "a value", HOME: Deno.env.get("HOME") ?? "/" }, clearEnv: true };
    assertEquals((yield* run(cleared, "TESTS_ADDED")).value, "a value");
    assertEquals((yield* run(cleared, "TESTS_INHERITED")).value, undefined);
  }),
);

test(
  "SubprocessBackend: a child is another process, a worker is not",
  Effect.gen(function* () {
    assertNotEquals(yield* Effect.provide(Process.run(Tasks.pid), subprocess), Deno.pid);
    assertEquals(yield* Effect.provide(Process.run(Tasks.pid), worker), Deno.pid);
  }),
);

test(
  "WorkerBackend: permissions of a process, which a worker cannot have, are a SpawnError",
  Effect.gen(function* () {
    const error = yield* Effect.flip(Process.spawnWith(Tasks.add, [1, 2], { permissions: {} }));
    assertInstanceOf(error, Backend.SpawnError);
  }).pipe(Effect.provide(worker)),
);

test(
  "SubprocessBackend: the permissions of one process replace those of the backend",
  Effect.gen(function* () {
    const path = yield* temporary;
    const child = yield* Process.spawnWith(Tasks.attempts, [path, "127.0.0.1"], { permissions: { read: true } });
    const { env, read } = yield* child.join;
    assertEquals([read, env], ["allowed", "denied"]);
  }).pipe(Effect.provide(subprocess)),
);
