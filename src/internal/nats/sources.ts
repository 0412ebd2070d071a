/**
 * Sources for agents: the files that a program's modules need. Modules from `https:`, `jsr:` and `npm:` are loaded by each machine
 * itself, under the same import map and lock file. A file is named by the hash of its content.
 *
 * @module
 */
import { fileURLToPath, pathToFileURL } from "node:url";
import { executable } from "../child/backends/command_line.ts";
import { SpawnError } from "../child/errors.ts";
import { library } from "../child/modules.ts";
import { hashOf, type SourceList } from "./protocol.ts";

/** The fields of a configuration that decide how modules are found and compiled. */
const FIELDS = ["name", "version", "exports", "imports", "scopes", "compilerOptions", "unstable", "allowScripts"];

const failed = (message: string, cause?: unknown): SpawnError =>
  new SpawnError({ reason: "Failed", message: `Cannot start a process on another machine: ${message}`, cause });

const folderOf = (url: string): string => url.slice(0, url.lastIndexOf("/") + 1);

const read = (url: string): Uint8Array<ArrayBuffer> | undefined => {
  try {
    return Deno.readFileSync(new URL(url));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
};

/** JSON without comments and trailing commas. Texts stay as they are. */
const plainJson = (text: string): string =>
  text.replaceAll(
    /("(?:\\.|[^"\\])*")|\/\/[^\n]*|\/\*[^]*?\*\/|,(?=(?:\s|\/\/[^\n]*|\/\*[^]*?\*\/)*[}\]])/g,
    (_, kept) => kept ?? "",
  );

/** The fields of a configuration that a child on another machine needs. It has no `node_modules` there. */
const reduced = (url: string, bytes: Uint8Array): Uint8Array<ArrayBuffer> => {
  let all: Record<string, unknown>;
  try {
    all = JSON.parse(plainJson(new TextDecoder().decode(bytes)));
  } catch (error) {
    throw failed(`${url} cannot be read: ${(error as Error).message}`, error);
  }
  const kept = Object.fromEntries(FIELDS.flatMap((name) => name in all ? [[name, all[name]]] : []));
  return new TextEncoder().encode(JSON.stringify({ ...kept, nodeModulesDir: "none" }));
};

/** The local files of a module and of its imports. */
const graphOf = async (url: string, configuration: string | undefined): Promise<ReadonlyArray<string>> => {
  const { code, stderr, stdout } = await new Deno.Command(executable(), {
    args: [
      "info",
      "--json",
      ...configuration === undefined ? ["--no-config"] : [`--config=${fileURLToPath(configuration)}`],
      url,
    ],
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  const text = new TextDecoder();
  if (code !== 0) throw failed(`the sources of ${url} cannot be found: ${text.decode(stderr).trim()}`);
  const { modules } = JSON.parse(text.decode(stdout)) as {
    readonly modules: ReadonlyArray<{ readonly specifier: string; readonly error?: string }>;
  };
  // A module that is missing is an error of the task that needs it, there as here.
  return modules.flatMap(({ error, specifier }) =>
    specifier.startsWith("file:") && error === undefined ? [specifier] : []
  );
};

const filesUnder = (url: string): ReadonlyArray<string> => {
  let info: Deno.FileInfo;
  try {
    info = Deno.statSync(new URL(url));
  } catch (error) {
    throw failed(`${url} cannot be included: ${(error as Error).message}`, error);
  }
  if (!info.isDirectory) return [url];
  const folder = url.endsWith("/") ? url : `${url}/`;
  return Array.from(Deno.readDirSync(new URL(folder))).flatMap(({ isDirectory, name }) => {
    const inside = `${folder}${encodeURIComponent(name)}`;
    return isDirectory ? filesUnder(`${inside}/`) : [inside];
  });
};

/** The sources of a program. Each module is examined once; its files are those of that time. */
export class Sources {
  readonly #include: ReadonlyArray<string>;
  readonly #graphs = new Map<string, Promise<ReadonlyArray<string>>>();
  readonly #lists = new Map<string, Promise<SourceList | undefined>>();
  readonly #contents = new Map<string, Uint8Array>();

  /** `include` has the URLs or paths of further files and folders. */
  constructor(include: ReadonlyArray<string>) {
    this.#include = include;
  }

  /** The files for these modules; `undefined` if none of them is a local one. */
  list(main: string, modules: ReadonlyArray<string>): Promise<SourceList | undefined> {
    const key = [main, ...modules].join(" ");
    let list = this.#lists.get(key);
    if (list === undefined) {
      this.#lists.set(key, list = this.#make(main, modules));
      list.catch(() => this.#lists.delete(key));
    }
    return list;
  }

  /** A part of a file; `undefined` if no list contains the file. */
  part(hash: string, offset: number, length: number): Uint8Array | undefined {
    return this.#contents.get(hash)?.subarray(offset, offset + length);
  }

  #graph(url: string, configuration: string | undefined): Promise<ReadonlyArray<string>> {
    const key = `${url} ${configuration}`;
    let graph = this.#graphs.get(key);
    if (graph === undefined) {
      this.#graphs.set(key, graph = graphOf(url, configuration));
      graph.catch(() => this.#graphs.delete(key));
    }
    return graph;
  }

  async #make(main: string, modules: ReadonlyArray<string>): Promise<SourceList | undefined> {
    const own = library.startsWith("file:")
      ? ["internal/entry/subprocess.ts", "internal/entry/followed.ts", "internal/child/modules.ts"]
        .map((path) => library + path)
      : [];
    const local = [...modules, ...own].filter((url) => url.startsWith("file:"));
    const included = this.#include.map((path) => path.startsWith("file:") ? path : pathToFileURL(path).href);
    if (local.length + included.length === 0) return undefined;
    const contents = new Map<string, Uint8Array<ArrayBuffer>>();
    const add = (url: string): void => {
      const bytes = read(url);
      if (bytes === undefined) throw failed(`the file ${url} does not exist`);
      contents.set(url, bytes);
    };
    const configuration = configurationOf(main.startsWith("file:") ? main : [...local, ...included][0]);
    const settings = configuration === undefined
      ? undefined
      : reduced(configuration, read(configuration) ?? new Uint8Array());
    for (const graph of await Promise.all(local.map((url) => this.#graph(url, configuration)))) graph.forEach(add);
    included.flatMap(filesUnder).forEach(add);
    if (configuration !== undefined && settings !== undefined) {
      const folder = folderOf(configuration);
      contents.set(`${folder}deno.json`, settings);
      const lock = read(`${folder}deno.lock`);
      if (lock !== undefined) contents.set(`${folder}deno.lock`, lock);
    }
    let root = folderOf([...contents.keys()][0]);
    for (const url of contents.keys()) while (!url.startsWith(root)) root = folderOf(root.slice(0, -1));
    const files: { [path: string]: readonly [hash: string, size: number] } = {};
    for (const url of [...contents.keys()].sort()) {
      const bytes = contents.get(url)!;
      const hash = await hashOf(bytes);
      this.#contents.set(hash, bytes);
      files[url.slice(root.length)] = [hash, bytes.length];
    }
    return { hash: await hashOf(new TextEncoder().encode(JSON.stringify(files))), root, files };
  }
}

/** The URL of the nearest configuration above a module; `undefined` if there is none. */
const configurationOf = (url: string): string | undefined => {
  for (let folder = folderOf(url); folder !== "file:///"; folder = folderOf(folder.slice(0, -1))) {
    for (const name of ["deno.json", "deno.jsonc"]) if (read(folder + name) !== undefined) return folder + name;
  }
  return undefined;
};
