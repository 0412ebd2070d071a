/**
 * Sources for agents: the files that a program's modules need. Modules from `https:`, `jsr:` and `npm:` are loaded by each machine
 * itself, under the same import map and lock file.
 *
 * A file is named by the hash of its content. An agent asks the caller for the files that it does not have, checks their hashes, and
 * lays them out under the hash of their list.
 *
 * @module
 */
import * as Path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { executable } from "../child/backends/command_line.ts";
import { SpawnError } from "../child/errors.ts";
import { library } from "../child/modules.ts";
import type { SourceList } from "./protocol.ts";

/** The fields of a configuration that decide how modules are found and compiled. */
const FIELDS = ["name", "version", "exports", "imports", "scopes", "compilerOptions", "unstable", "allowScripts"];

/** The largest size of the files of a list, in bytes. */
const MAX_SIZE = 256 * 1024 * 1024;

const failed = (message: string, cause?: unknown): SpawnError =>
  new SpawnError({ reason: "Failed", message: `Cannot start a process on another machine: ${message}`, cause });

const hex = (bytes: ArrayBuffer): string =>
  Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, "0")).join("");

const hashOf = async (bytes: Uint8Array<ArrayBuffer>): Promise<string> =>
  hex(await crypto.subtle.digest("SHA-256", bytes));

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

/** Number of files that an agent asks for at a time. */
const AT_A_TIME = 16;

/** The files that an agent has. */
export class SourceStore {
  readonly #folder: string;
  readonly #laid = new Map<string, Promise<string>>();

  /** `folder` is an absolute path. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Lays the files of a list out, and returns the URL of their folder. `ask` returns a part of a file. */
  lay(list: SourceList, ask: (hash: string, offset: number) => Promise<Uint8Array>): Promise<string> {
    let laid = this.#laid.get(list.hash);
    if (laid === undefined) {
      this.#laid.set(list.hash, laid = this.#lay(list, ask));
      laid.catch(() => this.#laid.delete(list.hash));
    }
    return laid;
  }

  async #lay(
    { files, hash }: SourceList,
    ask: (hash: string, offset: number) => Promise<Uint8Array>,
  ): Promise<string> {
    if (await hashOf(new TextEncoder().encode(JSON.stringify(files))) !== hash) {
      throw new Error("the list of sources does not have the hash that it names");
    }
    const entries = Object.entries(files);
    const size = entries.reduce((sum, [_, [__, size]]) => sum + size, 0);
    if (!(size <= MAX_SIZE)) throw new Error(`the sources have ${size} bytes; at most ${MAX_SIZE} are allowed`);
    const target = Path.join(this.#folder, "trees", hash);
    const url = `${pathToFileURL(target).href}/`;
    if (exists(target)) return url;
    const building = Path.join(this.#folder, "trees", `.${crypto.randomUUID()}`);
    try {
      const next = entries.values();
      const work = async (): Promise<void> => {
        for (const [name, [hash, size]] of next) {
          const path = Path.join(building, safe(name));
          Deno.mkdirSync(Path.dirname(path), { recursive: true });
          Deno.writeFileSync(path, await this.#file(hash, size, ask));
        }
      };
      await Promise.all(Array.from({ length: AT_A_TIME }, work));
      try {
        Deno.renameSync(building, target);
      } catch (error) {
        // Another agent that uses the folder was faster.
        if (!exists(target)) throw error;
      }
    } finally {
      if (exists(building)) Deno.removeSync(building, { recursive: true });
    }
    return url;
  }

  async #file(
    hash: string,
    size: number,
    ask: (hash: string, offset: number) => Promise<Uint8Array>,
  ): Promise<Uint8Array<ArrayBuffer>> {
    if (!/^[0-9a-f]{64}$/.test(hash)) throw new Error(`a source has the invalid hash ${hash}`);
    const path = Path.join(this.#folder, "files", hash);
    if (exists(path)) {
      const bytes = Deno.readFileSync(path);
      if (await hashOf(bytes) === hash) return bytes;
    }
    const bytes = new Uint8Array(size);
    for (let offset = 0; offset < size;) {
      const part = await ask(hash, offset);
      if (part.length === 0 || offset + part.length > size) throw new Error(`the source ${hash} is not to be had`);
      bytes.set(part, offset);
      offset += part.length;
    }
    if (await hashOf(bytes) !== hash) throw new Error(`the source ${hash} has another content than its name says`);
    const unfinished = `${path}.${crypto.randomUUID()}`;
    Deno.mkdirSync(Path.dirname(path), { recursive: true });
    Deno.writeFileSync(unfinished, bytes);
    Deno.renameSync(unfinished, path);
    return bytes;
  }
}

const exists = (path: string): boolean => {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false;
  }
};

/** A relative path that does not leave its folder. */
const safe = (name: string): string => {
  const path = decodeURIComponent(name);
  const parts = path.split(/[/\\]/);
  if (path.includes("\0") || parts.some((part) => part === ".." || part === "." || part === "")) {
    throw new Error(`a source would be written to ${JSON.stringify(path)}`);
  }
  return parts.join("/");
};
