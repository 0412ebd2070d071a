/** Sources on their way to an agent: the list of files, and laying them out. */
import { SpawnError } from "../../src/Backend.ts";
import type { SourceList } from "../../src/internal/nats/protocol.ts";
import { SourceStore } from "../../src/internal/nats/source_store.ts";
import { Sources } from "../../src/internal/nats/sources.ts";
import { assert, assertEquals, assertInstanceOf, assertRejects, assertStringIncludes } from "../support/assert.ts";
import { testFunction } from "../support/tier.ts";

/** Runs a test with a folder of its own. */
const withFolder = (name: string, run: (folder: string) => Promise<void>): void =>
  testFunction(name, async () => {
    const folder = Deno.realPathSync(Deno.makeTempDirSync());
    try {
      await run(folder);
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  });

const write = (folder: string, files: Readonly<Record<string, string>>): void => {
  for (const [name, text] of Object.entries(files)) {
    const path = `${folder}/${name}`;
    Deno.mkdirSync(path.slice(0, path.lastIndexOf("/")), { recursive: true });
    Deno.writeTextFileSync(path, text);
  }
};

const asks = (sources: Sources, size: number = 5) => (hash: string, offset: number): Promise<Uint8Array> =>
  Promise.resolve(sources.part(hash, offset, size) ?? new Uint8Array());

const never = (): Promise<Uint8Array> => Promise.reject(new Error("nothing may be asked for"));

const hashOf = async (text: string): Promise<string> =>
  Array.from(
    new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text))),
    (byte) => byte.toString(16).padStart(2, "0"),
  ).join("");

const listOf = async (files: SourceList["files"]): Promise<SourceList> => ({
  hash: await hashOf(JSON.stringify(files)),
  root: "file:///",
  files,
});

withFolder(
  "the list has the local files of the modules' graphs, what is included, a reduced configuration and the lock file",
  async (folder) => {
    write(folder, {
      "project/deno.jsonc": `{
        // "imports" are kept, with "//" in texts
        "imports": { "lib/": "./lib/", "far": "https://example.com//x.ts" },
        "tasks": { "go": "echo" }, /* not this */ "nodeModulesDir": "auto",
      }`,
      "project/deno.lock": `{ "version": "5" }`,
      "project/main.ts": `import "lib/a.ts"; await import("./b c.ts");`,
      "project/lib/a.ts": `export {};`,
      "project/b c.ts": `export {};`,
      "project/unused.ts": `export {};`,
      "data/table.csv": `1,2`,
      "data/deep/more.csv": `3`,
    });
    const main = `file://${folder}/project/main.ts`;
    const list = await new Sources([`${folder}/data`]).list(main, [main]);
    assert(list !== undefined);
    const files = Object.keys(list.files).map((path) => list.root + path);
    for (
      const name of [
        "project/deno.json",
        "project/deno.lock",
        "project/lib/a.ts",
        "project/b%20c.ts",
        "data/deep/more.csv",
      ]
    ) {
      assert(files.includes(`file://${folder}/${name}`), `${name} of ${files.join(" ")}`);
    }
    assert(!files.some((file) => /unused|jsonc/.test(file)));
  },
);

withFolder("files are laid out once, under the hash of their list, with the content that they had", async (folder) => {
  write(folder, {
    "p/deno.json": `{ "imports": { "x": "./x.ts" }, "tasks": {} }`,
    "p/x.ts": `export const text = "${"x".repeat(100)}";`,
    "p/main.ts": `import "x";`,
  });
  const main = `file://${folder}/p/main.ts`;
  const sources = new Sources([]);
  const list = (await sources.list(main, [main]))!;
  assertEquals(await sources.list(main, [main]), list);
  Deno.removeSync(`${folder}/p/x.ts`);
  const store = new SourceStore(`${folder}/store`);
  const url = await store.lay(list, asks(sources));
  assertEquals(url, `file://${folder}/store/trees/${list.hash}/`);
  const at = (name: string): string => new URL(url + `file://${folder}/p/${name}`.slice(list.root.length)).pathname;
  assertStringIncludes(Deno.readTextFileSync(at("x.ts")), "x".repeat(100));
  assertEquals(JSON.parse(Deno.readTextFileSync(at("deno.json"))), {
    imports: { x: "./x.ts" },
    nodeModulesDir: "none",
  });
  assertEquals(await new SourceStore(`${folder}/store`).lay(list, never), url);
});

withFolder(
  "a configuration that cannot be read, and an included file that is missing, are SpawnErrors",
  async (folder) => {
    write(folder, { "p/main.ts": "export {};", "p/deno.json": "{ not json", "main.ts": "export {};" });
    const refused = async (sources: Sources, main: string, why: string): Promise<void> => {
      const error = await assertRejects(() => sources.list(main, [main]));
      assertInstanceOf(error, SpawnError);
      assertStringIncludes(error.message, why);
    };
    await refused(new Sources([]), `file://${folder}/p/main.ts`, "deno.json cannot be read");
    await refused(new Sources([`${folder}/missing`]), `file://${folder}/main.ts`, "missing cannot be included");
  },
);

withFolder(
  "an agent refuses files outside of its folder, other contents than announced, and too many bytes",
  async (folder) => {
    const store = new SourceStore(folder);
    const content = await hashOf("text");
    const bytes = new TextEncoder().encode("text");
    const give = (): Promise<Uint8Array> => Promise.resolve(bytes);
    const refused = async (list: SourceList, ask: typeof give, why: string): Promise<void> => {
      const error = await assertRejects(() => store.lay(list, ask), Error);
      assertStringIncludes(error.message, why);
    };
    for (const name of ["../x", "a/../../x", "/x", "%2e%2e/x", "a/%2e%2e%2f%2e%2e%2fx", "a\\..\\x", "", "a//b"]) {
      await refused(await listOf({ [name]: [content, 4] }), give, "would be written to");
    }
    await refused(await listOf({ a: [content, 3] }), give, "is not to be had");
    await refused(
      await listOf({ a: [content, 4] }),
      () => Promise.resolve(new TextEncoder().encode("TEXT")),
      "another content",
    );
    await refused(await listOf({ a: [content, 4] }), () => Promise.resolve(new Uint8Array()), "is not to be had");
    await refused(await listOf({ a: ["../../x", 4] }), give, "invalid hash");
    await refused(await listOf({ a: [content, 2 ** 40] }), give, "at most");
    await refused({ ...await listOf({ a: [content, 4] }), hash: content }, give, "does not have the hash");
    assertEquals([...Deno.readDirSync(`${folder}/trees`)], []);
    const url = await store.lay(await listOf({ "a/b": [content, 4] }), give);
    assertEquals(Deno.readTextFileSync(new URL("a/b", url)), "text");
  },
);

withFolder(
  "sources that were not used for long are removed, others and those of running children stay",
  async (folder) => {
    const store = new SourceStore(folder);
    const lists = await Promise.all(
      ["old", "running", "new"].map(async (text) => await listOf({ a: [await hashOf(text), text.length] })),
    );
    const lay = async (index: number): Promise<string> => {
      const [text, list] = [["old", "running", "new"][index], lists[index]];
      return await store.lay(list, () => Promise.resolve(new TextEncoder().encode(text)));
    };
    for (const index of [0, 1, 2]) await lay(index);
    Deno.mkdirSync(`${folder}/trees/.unfinished`);
    const names = (inside: string): ReadonlyArray<string> =>
      Array.from(Deno.readDirSync(`${folder}/${inside}`), ({ name }) => name).sort();
    const long = new Date(Date.now() - 10_000);
    for (const inside of ["trees", "files"]) {
      for (const name of names(inside)) {
        Deno.utimeSync(`${folder}/${inside}/${name}`, long, long);
      }
    }
    // A start with the same sources is a use of the tree.
    await lay(2);
    await store.sweep(5000, new Set([lists[1].hash]));
    assertEquals(names("trees"), [lists[1].hash, lists[2].hash].sort());
    assertEquals(names("files"), []);
    assertEquals(Deno.readTextFileSync(new URL("a", await lay(0))), "old");
    await store.sweep(5000, new Set());
    assertEquals(names("trees"), lists.map(({ hash }) => hash).sort());
  },
);
