/**
 * The versions of Deno and of Effect, and the runtimes, that programs may have. What cannot run the library is told so in one
 * sentence.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import config from "../../deno.json" with { type: "json" };
import { runMain, SubprocessBackend, Task } from "../../mod.ts";
import { assert, assertEquals, assertStringIncludes, assertThrows } from "../support/assert.ts";
import { testFunction } from "../support/tier.ts";
import { serve } from "./registry.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

const run = async (
  command: string,
  args: ReadonlyArray<string>,
  options: { readonly cwd?: string; readonly env?: Record<string, string> } = {},
): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }> => {
  const { code, stderr, stdout } = await new Deno.Command(command, {
    args: [...args],
    cwd: options.cwd ?? root,
    env: { ...options.env, NO_COLOR: "1" },
    stdin: "null",
  }).output();
  const text = new TextDecoder();
  return { code, stdout: text.decode(stdout), stderr: text.decode(stderr) };
};

const program = async (name: string): Promise<string> => {
  const { stderr, stdout } = await run(Deno.execPath(), ["run", "-A", "--no-check", `tests/programs/${name}.ts`]);
  assertEquals(stderr, "");
  return stdout;
};

testFunction("each entry says on a runtime other than Deno how to run the program", async () => {
  const messages: Record<string, string> = JSON.parse(await program("without_deno"));
  assertEquals(Object.keys(messages), Object.keys(config.exports));
  for (const [entry, message] of Object.entries(messages)) {
    assert(
      /^@effect-deno\/multiprocessing needs Deno [\d.]+ or later; this is Node\.js [\d.]+: run the program with `deno run`/
        .test(message),
      `${entry}: ${message}`,
    );
  }
});

testFunction("the library says on an old Deno which version it needs", async () => {
  assertStringIncludes(await program("old_deno"), "Deno 2.7.11 is too old: upgrade it by `deno upgrade`");
});

testFunction("without Web Locks, a worker is refused with the remedy, and subprocesses work (full)", async () => {
  assertEquals(
    await program("without_locks"),
    "worker: Unsupported, Cannot start a worker: workers need Deno 2.9 or later, this is Deno 2.8.3: upgrade it by `deno upgrade`, " +
      "or use SubprocessBackend\nsubprocess: 42\n",
  );
});

testFunction("the README states the oldest version of Deno, and that of Effect", async () => {
  const readme = await Deno.readTextFile(`${root}README.md`);
  assertStringIncludes(readme, "Deno 2.7.12 or later, 2.9 or later for workers");
  assertStringIncludes(readme, "`effect` 3.22 or later, but not 4");
  assertStringIncludes(await Deno.readTextFile(`${root}src/internal/os/runtime.ts`), '"2.7.12"');
});

const remedy = "run `deno add npm:effect@^3.22`";

testFunction("a value of Effect 4 as an argument is told apart from a plain mistake", () => {
  const effect = { "~effect/Effect": {} };
  const { message } = assertThrows(() => runMain(effect as never), TypeError);
  assertStringIncludes(message, "must be an Effect, received a value of effect 4");
  assertStringIncludes(message, remedy);
  const schema = { "~effect/Schema/Schema": {} };
  const define = (): unknown => Task.make(import.meta, "schema", (n: number) => n, { success: schema as never });
  assertStringIncludes(assertThrows(define, TypeError).message, remedy);
});

testFunction("the layer of a backend says so when Effect 4 builds it", () => {
  const layer = SubprocessBackend.layer() as unknown as { readonly build: () => void };
  assertStringIncludes(assertThrows(() => layer.build(), TypeError).message, remedy);
});

testFunction("a compiled program cannot start subprocesses, and says so", async () => {
  assertStringIncludes(await program("compiled"), "Unsupported Cannot start a subprocess from a compiled program");
});

/** A program that runs a task of its own, and prints the result or the failure. */
const inline = (backend: string): string => `
import { Process, ${backend}, Task } from "${config.name}";
import { Effect } from "effect";
const square = Task.make(import.meta, "square", (n: number) => n * n);
if (import.meta.main) {
  console.log(await Process.run(square, 4).pipe(
    Effect.catchTag("TaskError", ({ message }) => Effect.succeed(message)),
    Effect.provide(${backend}.layer()),
    Effect.runPromise,
  ));
}`;

testFunction(
  "the code of `deno eval` and `deno run -` has tasks for workers; for a subprocess it says to use a file (full)",
  async () => {
    const remedy = "define the task in a file: only workers can load the code of `deno run -` and `deno eval`";
    const evaluated = await run(Deno.execPath(), ["eval", "--ext=ts", inline("SubprocessBackend")]);
    assertStringIncludes(evaluated.stdout, remedy, evaluated.stderr);
    const read = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", "-"],
      cwd: root,
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const writer = read.stdin.getWriter();
    await writer.write(new TextEncoder().encode(inline("WorkerBackend")));
    await writer.close();
    assertEquals(new TextDecoder().decode((await read.output()).stdout), "16\n");
  },
);

testFunction(
  "the modules of a worker pass the type check of `deno run --check`, as in a test of a user (full)",
  async () => {
    const { code, stderr } = await run(Deno.execPath(), [
      "run",
      "-A",
      "--check",
      "tests/programs/versions.ts",
      "worker",
    ]);
    assertEquals(code, 0, stderr);
  },
);

for (const version of ["2.7.14", "2.8.3", "2.9.0"]) {
  testFunction(
    `Deno ${version} runs a program on each backend, or says which version workers need (full)`,
    async () => {
      for (const backend of ["subprocess", "worker"]) {
        const args = ["run", "-A", "--frozen", "--no-check", "tests/programs/versions.ts", backend];
        const { stderr, stdout } = await run("npx", ["-y", `deno@${version}`, ...args]);
        if (backend === "worker" && version < "2.9") {
          assertStringIncludes(stdout, `Unsupported Cannot start a worker: workers need Deno 2.9 or later`, stderr);
        } else {
          assertEquals(JSON.parse(stdout), { map: [1, 4, 9], stream: [1, 2, 3], value: 42, version });
        }
      }
    },
  );
}

/** Programs that mix this library with Effect 4. */
const mixed: Readonly<Record<string, string>> = {
  "runs it by runMain": `Mp.runMain(Effect.flatMap(Mp.Event.make(), () => Effect.void));`,
  "yields an Effect of it": `await Effect.runPromise(Effect.gen(function* () {
    yield* Mp.Event.make();
  }));`,
  "runs an Effect of it": `await Effect.runPromise(Effect.scoped(Mp.Event.make()));`,
  "provides a layer of it": `await Effect.runPromise(Effect.provide(Effect.void, Mp.SubprocessBackend.layer()));`,
};

testFunction("a program of Effect 4 is told what to install instead (full)", async (test) => {
  const registry = await serve();
  const home = await Deno.makeTempDir();
  try {
    const env = { DENO_DIR: `${home}/deno`, JSR_URL: registry.url };
    await Deno.mkdir(`${home}/project`);
    const cwd = `${home}/project`;
    await Deno.writeTextFile(`${cwd}/deno.json`, "{}");
    const added = await run(Deno.execPath(), ["add", `jsr:${config.name}`, "npm:effect@4"], { cwd, env });
    assertEquals(added.code, 0, added.stderr);
    for (const [title, code] of Object.entries(mixed)) {
      await test.step(title, async () => {
        const imports = `import * as Mp from "${config.name}";\nimport { Effect } from "effect";\n`;
        await Deno.writeTextFile(`${cwd}/main.ts`, imports + code);
        const { stderr } = await run(Deno.execPath(), ["run", "-A", "--no-check", "main.ts"], { cwd, env });
        assertStringIncludes(stderr, remedy);
      });
    }
  } finally {
    await registry.close();
    await Deno.remove(home, { recursive: true });
  }
});
