/**
 * The start of a child: its command line, its environment, its executable.
 *
 * @module
 */
import config from "../../deno.json" with { type: "json" };
import * as Effect from "effect/Effect";
import * as Fiber from "effect/Fiber";
import * as Stream from "effect/Stream";
import { Manager, Pool, SubprocessBackend, WorkerBackend } from "../../mod.ts";
import { spawnFor } from "../../src/internal/child/process.ts";
import * as Process from "../../src/Process.ts";
import { assert, assertEquals, assertInstanceOf, assertStringIncludes } from "../support/assert.ts";
import * as Plain from "../support/lifetime_tasks.ts";
import { logging } from "../support/logs.ts";
import { script } from "../support/scripts.ts";
import { test, warmUp, when } from "../support/suite.ts";
import * as Simple from "../support/plain_tasks.ts";
import * as Tasks from "../support/tasks.ts";
import { casesOf, registerEach } from "../support/tier.ts";

const backends = { subprocess: SubprocessBackend.layer, worker: WorkerBackend.layer };

for (const layer of casesOf(Object.values(backends))) {
  await warmUp(Effect.provide(Process.run(Tasks.add, 1, 2), layer()));
}

/** Long module names that together exceed the limit of an argument. */
const many = Array.from({ length: 1500 }, (_, i) => import.meta.resolve(`./${"a module of many/".repeat(6)}${i}.ts`));

registerEach(Object.entries(backends), ([name, layer]) => {
  test(
    `a process on ${name} can be told of 1500 modules with long names (full)`,
    Effect.gen(function* () {
      // The child lacks the permission to read them, where permissions exist.
      const options = name === "subprocess" ? { permissions: {} } : {};
      const child = yield* spawnFor(many, options, Tasks.add, 1, 2);
      assertEquals(yield* child.join, 3);
    }).pipe(Effect.provide(layer())),
  );
});

test(
  "a process that is told of more modules than a command line holds is a SpawnError that says what to do",
  Effect.gen(function* () {
    const more = Array.from({ length: 20 }, (_, i) => many.map((url) => `${url}?${i}`)).flat();
    const error = yield* Effect.flip(spawnFor(more, { permissions: {} }, Tasks.add, 1, 2));
    assertInstanceOf(error, Process.SpawnError);
    assertStringIncludes(error.message, "name fewer, or let it read them");
    const child = yield* spawnFor(more, {}, Tasks.add, 1, 2);
    assertEquals(yield* child.join, 3);
  }).pipe(Effect.provide(SubprocessBackend.layer())),
);

/** Deno refuses to start with this flag, and reports so. */
const refused = (options: SubprocessBackend.Options = {}) =>
  SubprocessBackend.layer({ stderr: "null", denoFlags: ["--no-such-flag"], ...options });

const assertRefused = (error: unknown): void => {
  assertInstanceOf(error, Process.SpawnError);
  assertEquals(error.reason, "Failed");
  assertStringIncludes(error.message, "exited with code 1 before it could run anything: error: unexpected argument");
  assertStringIncludes(error.message, "--no-such-flag");
};

test(
  "a process that Deno refuses to run is a SpawnError with what Deno said",
  Effect.gen(function* () {
    assertRefused(yield* Effect.flip(Process.run(Tasks.add, 1, 2)));
    const child = yield* Process.spawn(Tasks.add, 1, 2);
    assertRefused(yield* Effect.flip(child.join));
    assertEquals(yield* child.status, { _tag: "Exited", code: 1 });
    const outcome = yield* child.exit;
    assert(outcome._tag === "Rejected");
    assertRefused(outcome.error);
  }).pipe(Effect.provide(refused())),
);

test(
  "a pool whose workers Deno refuses to run is not made, nor is a manager",
  Effect.gen(function* () {
    assertRefused(yield* Effect.flip(Pool.make({ size: 2 })));
    assertRefused(yield* Effect.flip(Pool.make({ size: 2, initializer: Pool.initializer(Tasks.add, 1, 2) })));
    assertRefused(yield* Effect.flip(Manager.make()));
  }).pipe(Effect.provide(refused())),
);

test(
  "a standby child that Deno refuses to run is logged with what Deno said",
  logging((lines) =>
    Effect.scoped(Effect.gen(function* () {
      yield* SubprocessBackend.make({ denoFlags: ["--no-such-flag"], standby: 1, stderr: "null" });
      yield* when(Effect.sync(() => lines.join()), (text) => text.includes("--no-such-flag"));
      assertStringIncludes(lines.join(), "Cannot start a standby child");
    }))
  ),
);

test(
  "a process that was killed before it came up has died",
  Effect.gen(function* () {
    const child = yield* Process.spawn(Tasks.add, 1, 2);
    yield* child.kill;
    assertInstanceOf(yield* Effect.flip(child.join), Process.ProcessDied);
  }).pipe(Effect.provide(SubprocessBackend.layer())),
);

test(
  "the tasks of a pool whose workers cannot be started any more wait for none, and are told why (full)",
  Effect.gen(function* () {
    const path = yield* Effect.acquireRelease(
      Effect.sync(() => {
        const path = Deno.makeTempFileSync({ suffix: ".json" });
        Deno.writeTextFileSync(path, JSON.stringify({ imports: config.imports, lock: false }));
        return path;
      }),
      (path) => Effect.sync(() => Deno.removeSync(path)),
    );
    const layer = SubprocessBackend.layer({ stderr: "null", denoFlags: [`--config=${path}`] });
    yield* Effect.scoped(Effect.gen(function* () {
      const pool = yield* Pool.make({ size: 1 });
      assertEquals(yield* pool.apply(Tasks.add, 1, 2), 3);
      yield* Effect.sync(() => Deno.writeTextFileSync(path, "not a configuration"));
      const dying = yield* pool.submit(Tasks.exitWith, 7);
      const waiting = yield* pool.submit(Tasks.add, 1, 2);
      assertInstanceOf(yield* Effect.flip(dying.await), Process.ProcessDied);
      for (const call of [waiting.await, pool.apply(Tasks.add, 1, 2)]) {
        const error = yield* Effect.flip(call);
        assertInstanceOf(error, Pool.PoolError);
        assertEquals(error.reason, "Broken");
        assertInstanceOf(error.cause, Process.SpawnError);
        assertStringIncludes(error.message, path);
      }
    })).pipe(Effect.provide(layer));
  }),
);

test(
  "clearEnv keeps what Deno itself needs, and nothing else",
  Effect.gen(function* () {
    const { denoDir } = JSON.parse(new TextDecoder().decode(
      new Deno.Command(Deno.execPath(), { args: ["info", "--json"] }).outputSync().stdout,
    ));
    const given = { DENO_DIR: denoDir, DENO_TLS_CA_STORE: "system,mozilla", no_proxy: "example.com" };
    const before = Object.fromEntries(Object.keys(given).map((name) => [name, Deno.env.get(name)]));
    yield* Effect.acquireRelease(
      Effect.sync(() =>
        Object.entries({ ...given, TESTS_OWN: "1" }).forEach(([name, value]) => Deno.env.set(name, value))
      ),
      () =>
        Effect.sync(() =>
          Object.entries({ ...before, TESTS_OWN: undefined }).forEach(([name, value]) =>
            value === undefined ? Deno.env.delete(name) : Deno.env.set(name, value)
          )
        ),
    );
    const variable = (name: string) => Effect.map(Process.run(Plain.surroundings, name), ({ value }) => value);
    for (const [name, value] of Object.entries(given)) assertEquals(yield* variable(name), value);
    assertEquals(yield* variable("TESTS_OWN"), undefined);
  }).pipe(Effect.provide(SubprocessBackend.layer({ clearEnv: true }))),
);

test(
  "a child is run by the executable that has taken the place of this program's, and is a SpawnError if there is none (full)",
  Effect.gen(function* () {
    const folder = yield* Effect.acquireRelease(
      Effect.sync(() => Deno.makeTempDirSync()),
      (folder) => Effect.sync(() => Deno.removeSync(folder, { recursive: true })),
    );
    const path = `${folder}/deno`;
    yield* Effect.promise(() => Deno.copyFile(Deno.execPath(), path));
    yield* Effect.promise(() => Deno.link(path, `${path}.new`));
    const { code, stderr, stdout } = yield* Effect.promise(() => script("replaced.ts", [], ["-A"], path).ended);
    const lines = stdout.split("\n");
    assertEquals(lines.slice(0, 3), [
      "3 5",
      "replaced 3 ProcessDied 5",
      "removed SpawnError ProcessDied PoolError PoolError",
    ], stderr);
    assertStringIncludes(lines[3], "SpawnError");
    assertStringIncludes(stdout, path);
    assertEquals(code, 0);
  }),
);

test(
  "a program whose working directory was removed is told so (full)",
  Effect.gen(function* () {
    const { stderr, stdout } = yield* Effect.promise(() => script("homeless.ts", []).ended);
    assertStringIncludes(stdout, "SpawnError", stderr);
    assertStringIncludes(stdout, "working directory");
  }),
);

interface Graph {
  readonly roots: ReadonlyArray<string>;
  readonly modules: ReadonlyArray<{
    readonly specifier: string;
    readonly dependencies?: ReadonlyArray<{
      readonly specifier: string;
      readonly code?: { readonly specifier?: string };
      readonly isDynamic?: boolean;
    }>;
  }>;
}

/** The modules that a module imports by literals, directly or indirectly. */
const named = (path: string, dynamically: boolean): ReadonlyArray<string> => {
  const { stdout, success } = new Deno.Command(Deno.execPath(), { args: ["info", "--json", path] }).outputSync();
  assert(success);
  const { modules, roots } = JSON.parse(new TextDecoder().decode(stdout)) as Graph;
  const dependencies = new Map(modules.map(({ dependencies = [], specifier }) => [specifier, dependencies]));
  const found = new Set(roots);
  for (const url of found) {
    for (const { code, isDynamic = false, specifier } of dependencies.get(url) ?? []) {
      if (code !== undefined && (dynamically || !isDynamic)) found.add(code.specifier ?? specifier);
    }
  }
  return [...found];
};

/**
 * The modules that Deno reads when it runs a module: all that the module imports by literals, even if they are never
 * loaded.
 */
const followed = (path: string): ReadonlyArray<string> => named(path, true);

/** The modules that Deno evaluates when it imports a module. */
const imported = (path: string): ReadonlyArray<string> => named(path, false);

const inLibrary = (path: string): string => import.meta.resolve(`../../src/${path}`);

for (const entry of ["subprocess", "worker"]) {
  test(
    `the entry of a child on ${entry} makes Deno read at most 55 modules, none of Effect's among them`,
    Effect.sync(() => {
      const modules = followed(inLibrary(`internal/entry/${entry}.ts`));
      // Only a child that needs them loads these modules: for a link on descriptor 3, or in a Deno without a part of its own.
      const runtime = new Set(["node:net", "node:async_hooks"]);
      assertEquals(modules.filter((url) => !url.startsWith(inLibrary("")) && !runtime.has(url)), []);
      assert(modules.length <= 55, `${modules.length} modules: ${modules.join(" ")}`);
    }),
  );
}

test(
  "a module with tasks that do without Effect does not make Deno load Node's `process`",
  Effect.sync(() => {
    const code = `
      let reads = 0;
      Object.defineProperty(globalThis, "process", { configurable: true, get: () => void reads++ });
      await import(${JSON.stringify(import.meta.resolve("../support/plain_tasks.ts"))});
      console.log(reads);
    `;
    const { stderr, stdout } = new Deno.Command(Deno.execPath(), {
      args: ["run", "--allow-read", "--no-check", `data:application/javascript,${encodeURIComponent(code)}`],
    }).outputSync();
    assertEquals([new TextDecoder().decode(stdout), new TextDecoder().decode(stderr)], ["0\n", ""]);
  }),
);

test(
  "a process that runs a plain function uses nothing for which Deno loads its Node layer, from its start to its end",
  Effect.gen(function* () {
    const code = `for (const name of ["process", "Buffer", "setTimeout", "setInterval", "setImmediate"]) {
      const { get, value } = Object.getOwnPropertyDescriptor(globalThis, name);
      Object.defineProperty(globalThis, name, {
        configurable: true,
        get: () => {
          console.error(name, new Error().stack);
          return get === undefined ? value : get.call(globalThis);
        },
      });
    }`;
    const denoFlags = ["--preload", `data:application/javascript,${encodeURIComponent(code)}`];
    const layer = SubprocessBackend.layer({ denoFlags, stderr: "pipe" });
    const child = yield* Effect.provide(Process.spawn(Simple.add, 1, 2), layer);
    const used = yield* Effect.fork(Stream.mkString(Stream.decodeText(child.stderr)));
    yield* child.join;
    assertEquals(yield* Fiber.join(used), "");
  }),
);

test(
  "a backend names each module of the library that is loaded by an address that Deno does not follow",
  Effect.sync(() => {
    const late = followed(inLibrary("internal/entry/subprocess.ts")).concat(
      followed(inLibrary("internal/child/server/effects.ts")),
      followed(inLibrary("internal/kinds.ts")),
    )
      .filter((url) => url.startsWith("file:"))
      .flatMap((url) =>
        Array.from(
          Deno.readTextFileSync(new URL(url)).matchAll(/\bown\("(\.[^"]*)"/g),
          ([, path]) => new URL(path, url).href,
        )
      );
    assert(
      late.includes(inLibrary("internal/child/server/effects.ts")) && late.includes(inLibrary("internal/sync/lock.ts")),
    );
    for (const backend of ["SubprocessBackend.ts", "WorkerBackend.ts"]) {
      const named = new Set(followed(inLibrary(backend)));
      assertEquals(late.filter((url) => !named.has(url)), []);
    }
  }),
);

test(
  "importing the library evaluates at most 67 of its modules and makes Deno read at most 330; effect/Stream and effect/Schema wait",
  Effect.sync(() => {
    const entry = inLibrary("../mod.ts");
    const modules = imported(entry);
    const own = modules.filter((url) => url.startsWith("file:"));
    assert(own.length <= 67, `${own.length} modules: ${own.join(" ")}`);
    const late = modules.filter((url) => /\/(Stream|Channel|Sink|Schema|ParseResult|Config|Schedule|STM)$/.test(url));
    assertEquals(late, []);
    const read = followed(entry).filter((url) => url.startsWith("file:"));
    assert(read.length <= 330, `${read.length} modules`);
  }),
);

test(
  "a stream of a process runs in a program that has loaded neither the backend nor effect/Stream for it",
  Effect.gen(function* () {
    const { code, stderr, stdout } = yield* Effect.promise(() => script("late_stream.ts", []).ended);
    assertEquals({ code, stdout }, { code: 0, stdout: "piped [ 1, 2, 3 ]\nfailed SpawnError\ninterrupted\n" }, stderr);
  }),
);
