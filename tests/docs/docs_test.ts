import config from "../../deno.json" with { type: "json" };
import { assertEquals, assertLessOrEqual } from "../support/assert.ts";
import { fullUnless, testFunction } from "../support/tier.ts";

const root = new URL("../../", import.meta.url);

const readme = await Deno.readTextFile(new URL("README.md", root));

interface Program {
  readonly place: string;
  readonly code: string;
  /** The expected output. */
  readonly output: string;
}

/** The programs of a page, each with the nearest heading above it. A `text` block below a program is its output. */
const programsOf = (page: string, markdown: string): ReadonlyArray<Program> =>
  `# ${page}\n${markdown}`.split(/^#+ (?=[^#])/m).flatMap((section) =>
    [...section.matchAll(/^```ts\n(.+?)^```\n(?:\n```text\n(.+?)^```)?/gms)].map(([_, code, output = ""]) => ({
      place: section.slice(0, section.indexOf("\n")),
      code,
      output,
    }))
  );

/** The documentation of a module: the first comment of its file, as Markdown. */
const moduleDoc = (source: string): string => {
  const [, comment = ""] = source.match(/^\/\*\*\n(.+?)^ \*\//ms) ?? [];
  return comment.includes("@module") ? comment.replaceAll(/^ \*(?: |$)/gm, "") : "";
};

const modules = await Promise.all(
  Object.values(config.exports).map(async (path) => ({
    page: path.slice(2),
    programs: programsOf(path.slice(2), moduleDoc(await Deno.readTextFile(new URL(path, root)))),
  })),
);

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program as a user does: in its own project, with this package and its dependencies. */
const runAsUser = async (code: string, flags: ReadonlyArray<string> = ["-A"]): Promise<Ran> => {
  const folder = await Deno.makeTempDir();
  try {
    const entries = Object.entries(config.exports).map(([entry, path]) => [
      config.name + entry.slice(1),
      new URL(path, root).href,
    ]);
    const { "@std/assert": _, ...packages } = config.imports;
    const imports = { ...packages, ...Object.fromEntries(entries) };
    await Deno.writeTextFile(`${folder}/deno.json`, JSON.stringify({ imports }));
    await Deno.copyFile(new URL("deno.lock", root), `${folder}/deno.lock`);
    await Deno.writeTextFile(`${folder}/main.ts`, code);
    const ran = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-prompt", ...flags, "main.ts"],
      cwd: folder,
      env: { NO_COLOR: "1" },
    }).output();
    const text = new TextDecoder();
    return { code: ran.code, stdout: text.decode(ran.stdout), stderr: text.decode(ran.stderr) };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
};

/** Registers a test of a program, which may run as on another system; see `tests/programs/systems`. */
const prints = ({ code, output, place }: Program, page: string, end: string, flags?: ReadonlyArray<string>): void =>
  testFunction(`${page}: the program under "${place}" prints what the page says${end}`, async () => {
    const { code: exitCode, stderr, stdout } = await runAsUser(code, flags);
    assertEquals({ code: exitCode, stdout }, { code: 0, stdout: output }, stderr);
  }, { ignore: flags !== undefined && Deno.build.os === "windows" });

const front = programsOf("README.md", readme);
for (const [i, program] of front.entries()) prints(program, "README.md", fullUnless(i === 0));
for (const { page, programs } of modules) for (const program of programs) prints(program, page, " (full)");
for (const [system, module] of [["macOS", "macos"], ["Windows", "windows"]]) {
  const preload = new URL(`tests/programs/systems/${module}.ts`, root).href;
  for (const program of front) {
    prints(program, "README.md", ` on a system like ${system} (full) (storm)`, [
      "-A",
      "--deny-ffi",
      `--preload=${preload}`,
    ]);
  }
}

Deno.test("the documentation of each entry point has a program that prints", () => {
  const without = modules.filter(({ programs }) => programs.every(({ output }) => output === ""));
  assertEquals(without.map(({ page }) => page), []);
});

Deno.test("each program of the documentation that runs prints", () => {
  const silent = modules.flatMap(({ programs }) => programs).filter(({ code, output }) =>
    code.includes("import.meta.main") && output === ""
  );
  assertEquals(silent.map(({ place }) => place), []);
});

Deno.test("README.md has at most 250 lines: details belong to the documentation of a module", () => {
  assertLessOrEqual(readme.trimEnd().split("\n").length, 250);
});

for (const page of ["README.md", "CONTRIBUTING.md", "SECURITY.md"]) {
  Deno.test(`${page}: the files that it names exist`, async () => {
    const text = await Deno.readTextFile(new URL(page, root));
    const named = new Set(text.match(/\b(?:src|tests|examples)\/[\w/]+(?:\.\w+)?/g));
    const missing: Array<string> = [];
    for (const path of named) await Deno.stat(new URL(path, root)).catch(() => missing.push(path));
    assertEquals(missing, []);
  });
}

/** A program for each line of the table of flags in Backend.ts. It fails if the flags do not allow its operations. */
const features: ReadonlyArray<string> = [
  `Effect.gen(function* () {
    yield* Effect.all([Process.current, Process.parent, Process.cpuCount, Process.authKey]);
    const queue = yield* Queue.make<number>();
    yield* queue.put(1);
    yield* wait([queue]);
    const [one, other] = yield* Pipe.make<number>();
    yield* one.send(yield* queue.get);
    yield* other.recv;
  })`,
  `Effect.zipRight(talk({ hostname: "127.0.0.1", port: 0 }), Effect.gen(function* () {
    const manager = yield* Manager.serve({ address: { hostname: "127.0.0.1", port: 0 } });
    const list = yield* (yield* Manager.connect({ address: manager.address })).list();
    yield* list.push(1);
  }).pipe(Effect.provide(SubprocessBackend.layer())))`,
  `talk(undefined)`,
  `Process.spawn(task).pipe(
    Effect.tap((process) => process.signal("SIGCONT")),
    Effect.flatMap((process) => process.join),
    Effect.zipRight(Effect.flatMap(Pool.make({ size: 1 }), (pool) => pool.apply(task))),
    Effect.zipRight(Effect.gen(function* () {
      const queue = yield* Queue.make<string>();
      const [ours, theirs] = yield* Pipe.make<string>();
      yield* queue.put("a");
      yield* Process.spawn(pass, queue, theirs);
      yield* ours.recv;
      const manager = yield* Manager.make();
      yield* (yield* manager.value("to be")).modify(task);
    })),
    Effect.provide(SubprocessBackend.layer({ standby: 1, cwd: "/", env: { A: "a" } })),
  )`,
  `Process.spawn(endless).pipe(
    Effect.flatMap((process) => process.terminate),
    Effect.provide(SubprocessBackend.layer({ detached: true })),
  )`,
  `Effect.provide(Process.run(parent), SubprocessBackend.layer())`,
  `Effect.provide(
    Process.run(parent),
    SubprocessBackend.layer({ permissions: { env: true, run: [Deno.execPath()] } }),
  )`,
  `Effect.flatMap(Pool.make({ size: 1 }), (pool) => pool.apply(task)).pipe(
    Effect.zipRight(Process.run(task)),
    Effect.zipRight(Effect.flatMap(Manager.make(), (manager) => manager.list())),
    Effect.zipRight(shares),
    Effect.provide(WorkerBackend.layer()),
  )`,
  `Effect.flatMap(SharedMemory.create({ size: 1 }), ({ name }) => SharedMemory.attach(name!))`,
  `Effect.provide(shares, SubprocessBackend.layer())`,
  `Effect.provide(Process.run(elsewhere), WorkerBackend.layer())`,
];

const withFeature = (feature: string): string => `
import {
  Client,
  Listener,
  Manager,
  Pipe,
  Pool,
  Process,
  Queue,
  runMain,
  SharedMemory,
  SubprocessBackend,
  Task,
  Value,
  wait,
  WorkerBackend,
} from "@effect-deno/multiprocessing";
import { Effect } from "effect";

const task = Task.make(import.meta, "task", () => "done");
const endless = Task.make(import.meta, "endless", () => Effect.never);
const pass = Task.make(
  import.meta,
  "pass",
  (queue: Queue.Queue<string>, to: Pipe.Connection<string>) => Effect.flatMap(queue.get, to.send),
);
const talk = (address: Listener.Address | undefined) =>
  Effect.gen(function* () {
    const listener = yield* Listener.make<number>({ address });
    const client = yield* Client.connect<number>({ address: listener.address });
    yield* client.send(1);
    yield* (yield* listener.accept).recv;
  });
const add = Task.make(import.meta, "add", (value: Value.Of<"i32">, memory: SharedMemory.SharedMemory) =>
  Effect.zipRight(value.add(memory.bytes.length), Effect.asVoid(memory.attached)));
const shares = Effect.gen(function* () {
  const value = yield* Value.make("i32");
  yield* Process.run(add, value, yield* SharedMemory.make({ size: 3 }));
});
const parent = Task.make(import.meta, "parent", () => Process.run(task));
const elsewhere = Task.make(import.meta, "elsewhere", () => Effect.provide(Process.run(task), SubprocessBackend.layer()));

const program = Effect.scoped(${feature});
if (import.meta.main) runMain(program);
`;

const needs = "## Permissions that the library needs";
const guide = moduleDoc(await Deno.readTextFile(new URL(config.exports["./Backend"], root)));
const table = guide.slice(guide.indexOf(needs)).split("\n\n").find((part) => part[0] === "|");
const rows = (table ?? "").trim().split("\n").slice(2).map((row) =>
  row.split("|").slice(1, 3).map((cell) => cell.trim())
);

Deno.test("the table of flags in Backend.ts has a line for each feature that is tried here", () => {
  assertEquals(rows.length, features.length);
});

/** The rows that a quick run tries: what needs no flags. */
const QUICK: ReadonlyArray<number> = [0];

for (const [i, [title, cell]] of rows.entries()) {
  const flags = cell === "none" ? [] : cell.slice(1, -1).replaceAll("DENO", Deno.execPath()).split(" ");
  const again = QUICK.includes(i) ? "" : " (full)";
  testFunction(`Backend.ts is right that this needs ${cell}: ${title}${again}`, async () => {
    const enough = await runAsUser(withFeature(features[i]), flags);
    assertEquals(enough.code, 0, enough.stderr);
    for (const flag of flags) {
      const others = flags.filter((other) => other !== flag);
      const less = flag === "--allow-run" ? [...others, `--allow-run=${Deno.execPath()}`] : others;
      assertEquals((await runAsUser(withFeature(features[i]), less)).code, 1, `it works with ${less.join(" ")}`);
    }
  });
}
