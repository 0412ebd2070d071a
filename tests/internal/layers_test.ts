/**
 * The rule of imports: the subjects of `src/internal` are ordered, and each imports only from subjects below it.
 *
 * - Public modules (`src/*.ts`, `mod.ts`), the list of kinds, the entry modules of children and the insides of adapters
 *   stand at the top.
 * - The types of a public module belong to its subject: a subject may import them from the public modules of its own subject
 *   and of subjects below it.
 * - A dynamic import counts like a static one, whether or not Deno follows its address.
 *
 * @module
 */
import { assertEquals } from "@std/assert";

const subjects = [
  "os",
  "groups",
  "supervision",
  "codec",
  "transport",
  "rpc",
  "objects",
  "child",
  "testing",
  "pool",
  "sync",
  "pipe",
  "queue",
  "values",
  "network",
  "manager",
  "nats",
  "top",
];

/** The subject of the types of a public module. The types of all others belong to the top. */
const owners: Record<string, string> = {
  "Array.ts": "values",
  "Backend.ts": "child",
  "Barrier.ts": "sync",
  "Client.ts": "network",
  "Condition.ts": "sync",
  "Event.ts": "sync",
  "Group.ts": "groups",
  "Listener.ts": "network",
  "Lock.ts": "sync",
  "Main.ts": "child",
  "NatsBackend.ts": "nats",
  "NatsPool.ts": "nats",
  "NatsShared.ts": "nats",
  "agent.ts": "nats",
  "Manager.ts": "manager",
  "Pipe.ts": "pipe",
  "Pool.ts": "pool",
  "Process.ts": "child",
  "Queue.ts": "queue",
  "RLock.ts": "sync",
  "ReadWriteLock.ts": "sync",
  "Semaphore.ts": "sync",
  "ShareableList.ts": "values",
  "SharedMemory.ts": "values",
  "SharedMemoryManager.ts": "values",
  "SubprocessBackend.ts": "child",
  "Supervisor.ts": "supervision",
  "Task.ts": "child",
  "Telemetry.ts": "child",
  "TestBackend.ts": "testing",
  "Timeline.ts": "pool",
  "Value.ts": "values",
  "Wait.ts": "objects",
  "WorkerBackend.ts": "child",
};

const root = new URL("../../", import.meta.url);

const modules = (folder: URL): ReadonlyArray<URL> =>
  Array.from(Deno.readDirSync(folder)).flatMap(({ isDirectory, name }) => {
    if (isDirectory) return modules(new URL(`${name}/`, folder));
    return name.endsWith(".ts") ? [new URL(name, folder)] : [];
  });

const nameOf = (url: URL): string => url.href.slice(root.href.length);

/**
 * The modules at the top beside the public modules: the list of kinds, entry modules of children, insides of adapters.
 */
const top = ["kinds.ts", "entry", "platform", "progress_bar", "promise"];

/** The subject of a module: its folder in `src/internal`. */
const subjectOf = (path: string): string => {
  const folder = /^src\/internal\/([^/]*)/.exec(path)?.[1] ?? "top";
  return top.includes(folder) ? "top" : folder;
};

interface Import {
  readonly path: string;
  readonly isType: boolean;
}

const withoutComments = (source: string): string => source.replaceAll(/\/\*[^]*?\*\/|^\s*\/\/.*$/gm, "");

const importsOf = (url: URL): ReadonlyArray<Import> => {
  const source = withoutComments(Deno.readTextFileSync(url));
  const statics = source.matchAll(/^(?:import|export)\b(?:\s*([^;"]*?)\s*from)?\s*"(\.[^"]*)";/gm);
  const dynamics = source.matchAll(/(typeof\s+)?\bimport\(\s*(?:(?:Modules\.)?own\()?"(\.[^"]*)"/g);
  return [
    ...Array.from(statics, ([, clause = "", path]) => {
      const names = /^\{([^]*)\}$/.exec(clause)?.[1].split(",").map((name) => name.trim()).filter((name) =>
        name !== ""
      );
      return {
        path,
        isType: clause.startsWith("type ") || (names?.every((name) => name.startsWith("type ")) ?? false),
      };
    }),
    ...Array.from(dynamics, ([, isType, path]) => ({ path, isType: isType !== undefined })),
  ].map(({ isType, path }) => ({ path: nameOf(new URL(path, url)), isType }));
};

const isAllowed = (from: string, { isType, path }: Import): boolean => {
  const subject = subjectOf(from);
  let target = subjectOf(path);
  if (isType) target = owners[path.slice("src/".length)] ?? target;
  return subjects.indexOf(target) <= subjects.indexOf(subject);
};

const all = [...modules(new URL("src/", root)), new URL("mod.ts", root)];

Deno.test("each subject imports only from subjects below it", () => {
  const upward = all.flatMap((url) =>
    importsOf(url).filter((found) => !isAllowed(nameOf(url), found)).map(({ isType, path }) =>
      `${nameOf(url)} imports ${isType ? "types of " : ""}${path}`
    )
  );
  assertEquals(upward, []);
});

Deno.test("the order names each subject, and only public modules that exist", () => {
  const found = new Set(all.map((url) => subjectOf(nameOf(url))));
  assertEquals(subjects.filter((subject) => !found.has(subject)), []);
  assertEquals([...found].filter((subject) => !subjects.includes(subject)), []);
  const names = new Set(all.map(nameOf));
  assertEquals(Object.keys(owners).filter((name) => !names.has(`src/${name}`)), []);
});

Deno.test("the scan finds static, dynamic, resolved and type-only imports", () => {
  const paths = (path: string) => importsOf(new URL(path, root));
  const has = (from: string, path: string, isType: boolean) =>
    paths(from).some((found) => found.path === path && found.isType === isType);
  assertEquals(
    [
      has("src/internal/child/server/serve.ts", "src/internal/rpc/link.ts", false),
      has("src/internal/child/server/serve.ts", "src/internal/child/server/effects.ts", false),
      has("src/internal/child/backend.ts", "src/Backend.ts", true),
      has("src/internal/entry/followed.ts", "src/internal/kinds.ts", false),
      has("src/internal/kinds.ts", "src/internal/sync/lock.ts", false),
      has("src/internal/kinds.ts", "src/internal/objects/on_demand.ts", false),
    ],
    [true, true, true, true, true, true],
  );
});
