/**
 * The package in the projects of its users, installed from JSR. Each project runs one program whose tasks are in
 * separate modules, and which uses the library in every way that makes a child load the user's modules.
 *
 * @module
 */
import * as Effect from "effect/Effect";
import { fileURLToPath, pathToFileURL } from "node:url";
import config from "../../deno.json" with { type: "json" };
import { assertEquals, assertStringIncludes } from "../support/assert.ts";
import { serve } from "./registry.ts";
import { agentProgram, available, natsServer } from "../support/nats.ts";
import { testFunction } from "../support/tier.ts";

/** A project of a user. */
interface Layout {
  readonly name: string;
  /** Name of its folder. */
  readonly folder?: string;
  /** Its configurations, by path. Each names the dependencies, except that of a workspace. */
  readonly configs?: Readonly<Record<string, object>>;
  /** The path of each module of the program. */
  readonly place?: (module: string) => string;
  /** Specifier by which its modules import `tasks.ts`. */
  readonly tasks?: string;
  /** Flags of `deno run`. */
  readonly flags?: ReadonlyArray<string>;
  /** Source of the package, if not JSR. */
  readonly imports?: Readonly<Record<string, string>>;
}

const root = new URL("../../", import.meta.url);

/** An import map for the package in this repository. */
const mapped = (base: URL): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(config.exports).map(([entry, path]) => [config.name + entry.slice(1), new URL(path, base).href]),
  );

const layouts: ReadonlyArray<Layout> = [
  { name: "a plain folder" },
  {
    name: "a member of a workspace, with the tasks in another one",
    configs: {
      "deno.json": { workspace: ["app", "lib"] },
      "app/deno.json": {},
      "lib/deno.json": { name: "@user/lib", version: "1.0.0", exports: "./tasks.ts" },
    },
    place: (module) => module === "tasks.ts" ? `lib/${module}` : `app/${module}`,
    tasks: "@user/lib",
  },
  { name: "a path with spaces, # and %", folder: "my project #1, 100%" },
  { name: "a folder with node_modules", configs: { "deno.json": { nodeModulesDir: "auto" } } },
  { name: "a folder with vendored modules", configs: { "deno.json": { vendor: true } } },
  { name: "a folder with a frozen lock file", flags: ["--frozen"] },
  {
    name: "a folder that maps a checkout",
    imports: mapped(root),
  },
];

const expected = {
  class: "hello, world",
  map: [1, 4, 9],
  queue: 2,
  nested: 16,
  another: 25,
  manager: 36,
  standby: true,
};

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const run = async (args: ReadonlyArray<string>, options: { cwd?: URL; env?: Record<string, string> }): Promise<Ran> => {
  const { cwd, env } = options;
  const { code, stderr, stdout } = await new Deno.Command(Deno.execPath(), {
    args: [...args],
    ...(cwd === undefined ? {} : { cwd }),
    env: { ...env, NO_COLOR: "1" },
    stdin: "null",
  }).output();
  const text = new TextDecoder();
  // What Deno says when processes that start at once wait for each other to look at their common `node_modules`.
  const said = text.decode(stderr).replaceAll("Blocking waiting for file lock on node_modules directory\n", "");
  return { code, stdout: text.decode(stdout), stderr: said };
};

const succeed = async (...given: Parameters<typeof run>): Promise<string> => {
  const ran = await run(...given);
  assertEquals(ran.code, 0, ran.stderr);
  return ran.stdout;
};

/** Writes a project with the package added, and returns the URLs of its main module and its lock file. */
const create = async (layout: Layout, home: URL, env: Record<string, string>) => {
  const { configs = { "deno.json": {} }, folder = "project", imports, place = (module) => module, tasks } = layout;
  const project = pathToFileURL(`${await Deno.makeTempDir({ dir: fileURLToPath(home) })}/${folder}/`);
  const write = async (path: string, text: string): Promise<void> => {
    const url = new URL(path, project);
    await Deno.mkdir(new URL(".", url), { recursive: true });
    await Deno.writeTextFile(url, text);
  };
  const members = Object.entries(configs).flatMap(([path, content]) => "workspace" in content ? [] : path);
  for (const [path, content] of Object.entries(configs)) {
    const given = members.includes(path) ? { imports: { effect: config.imports.effect, ...imports } } : {};
    await write(path, JSON.stringify({ ...content, ...given }));
  }
  // The versions of this project, so that no registry is asked.
  await write("deno.lock", await Deno.readTextFile(new URL("deno.lock", root)));
  for (const module of ["main.ts", "family.ts", "tasks.ts", "warm.ts"]) {
    const text = await Deno.readTextFile(new URL(`../fixtures/user/${module}`, import.meta.url));
    await write(place(module), tasks === undefined ? text : text.replace("./tasks.ts", tasks));
  }
  for (const path of imports === undefined ? members : []) {
    await succeed(["add", `jsr:${config.name}`], { cwd: new URL(".", new URL(path, project)), env });
  }
  const main = new URL(place("main.ts"), project);
  await succeed(["cache", main.href], { env });
  return { main, lock: new URL("deno.lock", project) };
};

/** Publishes the library at a registry of this test, and uses it in projects that install it from there. */
const inProjects = async (
  use: (home: URL, env: Record<string, string>, host: string) => Promise<void>,
): Promise<void> => {
  const registry = await serve();
  const home = pathToFileURL(`${await Deno.makeTempDir()}/`);
  try {
    const env = { DENO_DIR: fileURLToPath(new URL("deno", home)), JSR_URL: registry.url };
    await Deno.mkdir(env.DENO_DIR);
    const { npmCache } = JSON.parse(await succeed(["info", "--json"], {}));
    await Deno.symlink(npmCache, `${env.DENO_DIR}/npm`);
    await use(home, env, registry.url);
  } finally {
    await registry.close();
    await Deno.remove(home, { recursive: true });
  }
};

const [plain, ...others] = layouts;

for (
  const [layouts, title] of [[[plain], "in a plain folder (full)"], [
    others,
    "whatever its project is like (full)",
  ]] as const
) {
  testFunction(`a program uses the library in every way, ${title}`, (test) =>
    inProjects(async (home, env) => {
      for (const layout of layouts) {
        await test.step(layout.name, async () => {
          const { lock, main } = await create(layout, home, env);
          const locked = await Deno.readTextFile(lock);
          // The working directory does not matter: Deno finds a project from its main module.
          const use = (backend: string) =>
            run(["run", "-A", ...layout.flags ?? [], main.href, backend], { cwd: home, env });
          const [subprocess, worker] = await Promise.all([use("subprocess"), use("worker")]);
          const good: Ran = { code: 0, stdout: `${JSON.stringify(expected)}\n`, stderr: "" };
          assertEquals({ subprocess, worker }, { subprocess: good, worker: good });
          assertEquals(await Deno.readTextFile(lock), locked);
        });
      }
    }));
}

testFunction(
  "a program runs on an agent, both of which are installed from JSR (full)",
  () =>
    available
      ? inProjects(async (home, env) => {
        const { main } = await create(plain, home, env);
        const far = new URL("far.ts", main);
        await Deno.copyFile(new URL("../fixtures/user/far.ts", import.meta.url), far);
        await Effect.runPromise(Effect.scoped(Effect.gen(function* () {
          const { url } = yield* natsServer();
          yield* agentProgram(url, ["--slots=2"], ["-A", "--no-lock"], `jsr:${config.name}/agent`, env);
          // Deno writes warnings about scripts of npm packages to stderr.
          const { code, stderr, stdout } = yield* Effect.promise(() =>
            run(["run", "-A", far.href, url, "default"], { env })
          );
          assertEquals({ code, stdout }, { code: 0, stdout: "[4,9,false,true]\n" }, stderr);
        })));
      })
      : Promise.resolve(),
);

testFunction(
  "a child that may not import from the host of the library is a SpawnError, in a folder that maps the host (full)",
  () =>
    inProjects(async (home, env, host) => {
      const imports = mapped(new URL(`${config.name}/${config.version}/`, host));
      const { main } = await create({ name: "", configs: { "deno.json": { lock: false } }, imports }, home, env);
      await Deno.copyFile(new URL("../fixtures/user/denied.ts", import.meta.url), new URL("denied.ts", main));
      const flags = [`--allow-import=${new URL(host).host}`, "--allow-run", "--allow-env"];
      const { stderr, stdout } = await run(["run", "--no-prompt", ...flags, "denied.ts"], {
        cwd: new URL(".", main),
        // Not with JSR_URL, because Deno allows imports from there.
        env: { DENO_DIR: env.DENO_DIR },
      });
      assertStringIncludes(stdout, "process: SpawnError", stderr);
      assertStringIncludes(stdout, "pool: SpawnError");
      assertEquals(stdout.split("Requires import access").length, 3);
    }),
);

testFunction(
  "a program uses the library in every way, as `deno pack` makes it for npm (full)",
  () =>
    inProjects(async (home, env) => {
      const project = new URL("npm/", home);
      const [scope, name] = config.name.split("/");
      const folder = new URL(`node_modules/${scope}/`, project);
      await Deno.mkdir(project);
      const configure = (content: object) => Deno.writeTextFile(new URL("deno.json", project), JSON.stringify(content));
      await configure({ nodeModulesDir: "auto", imports: { effect: config.imports.effect } });
      await Deno.copyFile(new URL("deno.lock", root), new URL("deno.lock", project));
      await succeed(["install"], { cwd: project, env });
      await configure({ nodeModulesDir: "manual" });
      await Deno.mkdir(folder);
      const tarball = fileURLToPath(new URL("package.tgz", home));
      await succeed(["pack", "--allow-dirty", "--allow-slow-types", "--output", tarball], { cwd: root, env });
      await new Deno.Command("tar", { args: ["-xzf", tarball, "-C", fileURLToPath(folder)] }).output();
      await Deno.rename(new URL("package", folder), new URL(name, folder));
      for (const module of ["main.ts", "family.ts", "tasks.ts", "warm.ts"]) {
        await Deno.copyFile(new URL(`../fixtures/user/${module}`, import.meta.url), new URL(module, project));
      }
      for (const backend of ["subprocess", "worker"]) {
        const ran = await run(["run", "-A", new URL("main.ts", project).href, backend], { cwd: home, env });
        assertEquals(ran, { code: 0, stdout: `${JSON.stringify(expected)}\n`, stderr: "" });
      }
    }),
);
