/**
 * The packages that each entry point loads: only the adapters load packages of the platform.
 *
 * @module
 */
import config from "../../deno.json" with { type: "json" };
import { assert, assertEquals } from "../support/assert.ts";
import { fullUnless, testFunction } from "../support/tier.ts";

const root = new URL("../../", import.meta.url);

interface Info {
  readonly modules: ReadonlyArray<{ readonly specifier: string; readonly npmPackage?: string }>;
}

/** The packages and the own modules that an entry point loads, by path. */
const loads = async (
  path: string,
): Promise<{ readonly packages: Set<string>; readonly own: ReadonlyArray<string> }> => {
  const { code, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", path],
    cwd: root,
    stderr: "null",
  }).output();
  assertEquals(code, 0);
  const { modules } = JSON.parse(new TextDecoder().decode(stdout)) as Info;
  return {
    packages: new Set(modules.flatMap(({ npmPackage }) => npmPackage?.replace(/(.)@.*/, "$1") ?? [])),
    own: modules.flatMap(({ specifier }) => specifier.startsWith(root.href) ? specifier.slice(root.href.length) : []),
  };
};

/** Entry points that need more than `effect`. */
const adapters: Readonly<Record<string, ReadonlyArray<string>>> = {
  "./CommandExecutor": ["@effect/platform"],
  "./NatsBackend": ["@nats-io/nats-core"],
  "./NatsPool": ["@nats-io/nats-core"],
  "./NatsShared": ["@nats-io/nats-core"],
  "./agent": ["@nats-io/nats-core"],
  "./PlatformWorker": ["@effect/platform"],
  "./ProgressBar": ["cli-progress"],
  "./Rpc": ["@effect/rpc"],
};

/** The entry points that a quick run checks. */
const MAIN = [".", "./Task", "./Promise"];

for (const [entry, path] of Object.entries(config.exports)) {
  const only = ["effect", ...adapters[entry] ?? []].join(" and ");
  testFunction(`${entry} loads no package other than ${only}${fullUnless(MAIN.includes(entry))}`, async () => {
    const { own, packages } = await loads(path);
    assert(own.includes(path.slice(2)));
    assertEquals([...packages].filter((name) => name !== "effect"), adapters[entry] ?? []);
    const platform = own.filter((module) =>
      module.startsWith("src/internal/platform/") ||
      Object.keys(adapters).some((name) => module === `src/${name.slice(2)}.ts`)
    );
    if (!(entry in adapters)) assertEquals(platform, []);
  });
}

Deno.test("the documentation of the main entry links each other entry, once", async () => {
  const source = await Deno.readTextFile(new URL("mod.ts", root));
  const linked = [
    ...source.matchAll(/^ \* \| \[(\w+)\]\(https:\/\/jsr\.io\/@effect-deno\/multiprocessing\/doc\/(\w+)\)/gm),
  ];
  assertEquals(linked.filter(([_, name, entry]) => name !== entry), []);
  const entries = Object.keys(config.exports).filter((entry) => entry !== ".").map((entry) => entry.slice(2));
  assertEquals(linked.map(([_, name]) => name).sort(), entries.sort());
});
