/** The effect of the options of a layer on grandchildren: the table in the documentation, row by row. */
import * as Chunk from "effect/Chunk";
import * as Effect from "effect/Effect";
import * as Stream from "effect/Stream";
import { Process, SubprocessBackend, WorkerBackend } from "../../mod.ts";
import { assert, assertEquals, assertNotEquals, assertStringIncludes } from "../support/assert.ts";
import * as Tasks from "./nested_tasks.ts";
import { test, warmUp } from "../support/suite.ts";
import { registerEach } from "../support/tier.ts";

await warmUp(Effect.provide(Process.run(Tasks.both), SubprocessBackend.layer()));

/** Checks an option as a child and a grandchild observe it. */
const row = (
  name: string,
  options: SubprocessBackend.Options,
  check: (seen: { readonly child: Tasks.Seen; readonly grandchild: Tasks.Seen }) => void,
): void =>
  test(
    `options in children of children: ${name}`,
    Effect.provide(Effect.map(Process.run(Tasks.both), check), SubprocessBackend.layer(options)),
  );

Deno.env.set("OF_THE_PROGRAM", "yes");

/** The value is equal in both, and differs from the value without the option. */
const same = (key: keyof Tasks.Seen, expected: unknown) =>
({ child, grandchild }: {
  readonly child: Tasks.Seen;
  readonly grandchild: Tasks.Seen;
}): void => assertEquals([child[key], grandchild[key]], [expected, expected]);

test(
  "options in children of children: permissions are those of the parent",
  Effect.gen(function* () {
    const layer = SubprocessBackend.layer({ permissions: { ...SubprocessBackend.inherited(), net: false } });
    for (const state of yield* Effect.provide(Process.run(Tasks.bothAllowed), layer)) assertNotEquals(state, "granted");
    assertEquals(yield* Effect.provide(Process.run(Tasks.bothAllowed), SubprocessBackend.layer()), [
      "granted",
      "granted",
    ]);
  }),
);
row(
  "cwd, env, v8Flags and denoFlags are those of the parent, and stdout and stderr go where those of the parent go",
  {
    cwd: "/",
    env: { ADDED_BY_LAYER: "yes" },
    v8Flags: ["--expose-gc"],
    denoFlags: ["--location=http://layer.example/"],
    stdout: "null",
    stderr: "null",
  },
  (seen) => {
    same("cwd", "/")(seen);
    same("added", "yes")(seen);
    same("inherited", true)(seen);
    same("gc", true)(seen);
    same("location", "http://layer.example/")(seen);
    same("stdout", "/dev/null")(seen);
    same("stderr", "/dev/null")(seen);
  },
);
row(
  "clearEnv empties the environment of both, but for what Deno needs (full)",
  { clearEnv: true },
  same("inherited", false),
);
row("stdin is read by a child only (full)", { stdin: "inherit" }, ({ child, grandchild }) => {
  assertEquals([child.stdin, grandchild.stdin], [Deno.readLinkSync("/proc/self/fd/0"), "/dev/null"]);
});
row("a detached child leads the group of its own children (full)", { detached: true }, ({ child, grandchild }) => {
  assertNotEquals(grandchild.pid, child.pid);
  assertEquals([child.group, grandchild.group], [child.pid, child.pid]);
});
row(
  "standby and preload are for children only (full)",
  { standby: 1, preload: [import.meta.resolve("../support/tasks.ts")] },
  (seen) => {
    assertEquals([seen.child.children, seen.grandchild.children], [[], []]);
  },
);
row("without options all is as in this program (full)", {}, ({ child, grandchild }) => {
  for (const seen of [child, grandchild]) {
    assertEquals([seen.gc, seen.location, seen.cwd, seen.added], [false, undefined, Deno.cwd(), undefined]);
    assertEquals(seen.inherited, true);
    assertNotEquals(seen.group, seen.pid);
  }
});

test(
  "options in children of children: what a child of a child writes to a piped stdout comes from its parent, and nothing waits (full)",
  Effect.gen(function* () {
    const child = yield* Process.spawn(Tasks.nestedSays, "from below");
    const output = yield* Effect.map(Stream.runCollect(Stream.decodeText(child.stdout)), Chunk.join(""));
    assertStringIncludes(output, "from below");
    assertEquals(yield* Process.run(Tasks.nestedOutput), 0);
  }).pipe(Effect.provide(SubprocessBackend.layer({ stdout: "pipe" }))),
);

registerEach([["subprocess", SubprocessBackend.layer], ["worker", WorkerBackend.layer]] as const, ([name, layer]) => {
  test(
    `options in children of children: maxMessageSize is the same, on ${name} (full)`,
    Effect.gen(function* () {
      const large = Process.run(Tasks.nestedBytes, 2_000_000);
      assertEquals(yield* Effect.provide(large, layer({ maxMessageSize: 1_000_000 })), "MessageTooLarge");
      assertEquals(yield* Effect.provide(large, layer()), "2000000 bytes");
    }),
  );
});

test(
  "options in children of children: those that are passed on come unchanged to every generation (full)",
  Effect.gen(function* () {
    const preload = [import.meta.resolve("../support/tasks.ts")];
    const workers = WorkerBackend.layer({ maxMessageSize: 1_000_000, standby: 1, preload });
    const passed = { maxMessageSize: 1_000_000 };
    assertEquals(yield* Effect.provide(Process.run(Tasks.bothPassedOn), workers), [passed, passed]);
    const flags = { v8Flags: ["--expose-gc"], denoFlags: ["--location=http://layer.example/"] };
    const subprocesses = SubprocessBackend.layer({
      ...passed,
      ...flags,
      standby: 1,
      preload,
      env: { ADDED_BY_LAYER: "yes" },
      cwd: "/",
    });
    const all = { ...flags, ...passed };
    assertEquals(yield* Effect.provide(Process.run(Tasks.bothPassedOn), subprocesses), [all, all]);
  }),
);

test(
  "options in children of children: a worker and its workers have the directory, environment, permissions and arguments of the program (full)",
  Effect.gen(function* () {
    const expected = [Deno.cwd(), "yes", "granted", Deno.args];
    assertEquals(yield* Effect.provide(Process.run(Tasks.bothSurroundings), WorkerBackend.layer()), [
      expected,
      expected,
    ]);
  }),
);

Deno.test("options in children of children: every option has its row in the documentation", async () => {
  const source = await Deno.readTextFile(new URL("../../src/SubprocessBackend.ts", import.meta.url));
  const table = source.slice(source.indexOf("## Children of children"), source.indexOf("@module"));
  const start = source.indexOf("export interface Options {");
  const options = [...source.slice(start, source.indexOf("\n}", start)).matchAll(/^ {2}readonly (\w+)\?:/gm)];
  assert(options.length > 8);
  for (const [, option] of options) assertStringIncludes(table, `\`${option}\``);
});
