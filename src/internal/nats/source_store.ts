/**
 * The sources that an agent has. It asks the caller for the files that it does not have, checks their hashes, and lays them out
 * under the hash of their list. What was not used for long is removed.
 *
 * | path | content |
 * | --- | --- |
 * | `files/HASH` | a file; the time of its last change is that of its last use |
 * | `trees/HASH/` | the files of a list; the same |
 * | `trees/.NAME/` | files that are being laid out, or removed |
 *
 * Agents may share the folder.
 *
 * @module
 */
import * as Path from "node:path";
import { pathToFileURL } from "node:url";
import { hashOf, type SourceList } from "./protocol.ts";

/** The largest size of the files of a list, in bytes. */
const MAX_SIZE = 256 * 1024 * 1024;

/** Number of files that an agent asks for at a time. */
const AT_A_TIME = 16;

/** The files that an agent has. */
export class SourceStore {
  readonly #folder: string;
  /** Trees that are being laid out. */
  readonly #laying = new Map<string, Promise<string>>();

  /** `folder` is an absolute path. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Lays the files of a list out, and returns the URL of their folder. `ask` returns a part of a file. */
  lay(list: SourceList, ask: (hash: string, offset: number) => Promise<Uint8Array>): Promise<string> {
    let laying = this.#laying.get(list.hash);
    if (laying === undefined) {
      laying = this.#lay(list, ask).finally(() => this.#laying.delete(list.hash));
      this.#laying.set(list.hash, laying);
    }
    return laying;
  }

  /**
   * Removes the files and trees that were not used for `keep` milliseconds, and what an agent has left when it was killed. The
   * trees with the hashes `used` are in use.
   */
  async sweep(keep: number, used: ReadonlySet<string>): Promise<void> {
    for (const hash of used) touch(this.#tree(hash));
    const before = Date.now() - keep;
    for (const folder of ["trees", "files"]) {
      for (const name of await namesIn(Path.join(this.#folder, folder))) {
        const path = Path.join(this.#folder, folder, name);
        if (lastUse(path) > before) continue;
        // A tree goes as a whole: a child that starts at this moment finds all of it, or none.
        const going = this.#tree(`.${crypto.randomUUID()}`);
        try {
          Deno.renameSync(path, going);
          await Deno.remove(going, { recursive: true });
        } catch (error) {
          // Another agent that uses the folder was faster.
          if (!(error instanceof Deno.errors.NotFound)) throw error;
        }
      }
    }
  }

  #tree(hash: string): string {
    return Path.join(this.#folder, "trees", hash);
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
    const target = this.#tree(hash);
    const url = `${pathToFileURL(target).href}/`;
    if (touch(target)) return url;
    const building = this.#tree(`.${crypto.randomUUID()}`);
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
    if (touch(path)) {
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

/** Marks a file or folder as used now. Returns whether it exists. */
const touch = (path: string): boolean => {
  try {
    const now = new Date();
    Deno.utimeSync(path, now, now);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
};

/** When a file or folder was used last, in milliseconds; never, if it is gone. */
const lastUse = (path: string): number => {
  try {
    return Deno.lstatSync(path).mtime?.getTime() ?? Infinity;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return Infinity;
    throw error;
  }
};

const namesIn = async (folder: string): Promise<ReadonlyArray<string>> => {
  try {
    return (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
};

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
