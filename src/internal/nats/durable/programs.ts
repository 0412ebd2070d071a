/**
 * Programs in the server: what the children of a task are started with, and the files of its modules, by the hashes of their content. They
 * outlive the program that has stored them.
 *
 * @module
 */
import type { Permissions } from "../../../Backend.ts";
import { library, mainModule } from "../../child/modules.ts";
import { inherited } from "../../child/permissions.ts";
import { each } from "../each.ts";
import type { JetStream } from "../jetstream.ts";
import { decode, encode, hashOf } from "../protocol.ts";
import { Sources } from "../sources.ts";
import type { Program } from "./messages.ts";
import { shared } from "./names.ts";
import { limitOf, loadParts, storeParts } from "./parts.ts";

/** How old a stored program may be, in milliseconds. An older one is stored again, so that it is not dropped while it is used. */
const FRESH = 24 * 3600 * 1000;

/** Options for the children of a program. */
export interface Settings {
  readonly permissions: Permissions | undefined;
  readonly env: Readonly<Record<string, string>>;
  readonly v8Flags: ReadonlyArray<string>;
  readonly include: ReadonlyArray<string>;
}

/** Stores the program that runs here. */
export class Programs {
  readonly #js: JetStream;
  readonly #space: string;
  readonly #settings: Settings;
  readonly #sources: Sources;
  /** The hashes of programs that the server has, and when they were looked for. */
  readonly #stored = new Map<string, { readonly hash: Promise<string>; readonly time: number }>();

  constructor(js: JetStream, space: string, settings: Settings) {
    this.#js = js;
    this.#space = space;
    this.#settings = settings;
    this.#sources = new Sources(settings.include);
  }

  /** The hash of the program with these modules, once the server has it. */
  of(modules: ReadonlyArray<string>): Promise<string> {
    const key = modules.join(" ");
    const stored = this.#stored.get(key);
    if (stored !== undefined && Date.now() - stored.time < FRESH) return stored.hash;
    const hash = this.#store(modules);
    this.#stored.set(key, { hash, time: Date.now() });
    hash.catch(() => this.#stored.delete(key));
    return hash;
  }

  async #store(modules: ReadonlyArray<string>): Promise<string> {
    const { env, permissions, v8Flags } = this.#settings;
    const main = mainModule(modules);
    const sources = await this.#sources.list(main, modules);
    const program: Program = {
      library,
      main,
      modules,
      sources,
      permissions,
      inherited: inherited(),
      env,
      v8Flags,
    };
    const manifest = encode(program);
    const hash = await hashOf(manifest);
    const { file, files } = shared(this.#space);
    const there = await this.#js.persist(() => this.#js.last(files, file(hash)));
    if (there !== undefined && Date.now() - there.time < FRESH) return hash;
    const contents = Object.values(sources?.files ?? {});
    await each(contents.length, async (index) => {
      const [hash, size] = contents[index];
      await storeParts(this.#js, file(hash), this.#sources.part(hash, 0, size) ?? new Uint8Array());
    });
    // The program comes last: where it is, its files are.
    const count = await storeParts(this.#js, file(hash), manifest);
    await this.#js.persist(() => this.#js.store(file(hash), encode({ count })));
    return hash;
  }
}

/** Loads a program; `undefined` if the server does not have it any more. */
export const loadProgram = async (js: JetStream, space: string, hash: string): Promise<Program | undefined> => {
  const { file, files } = shared(space);
  const head = await js.persist(() => js.last(files, file(hash)));
  if (head === undefined) return undefined;
  const manifest = await loadParts(js, files, file(hash), decode<{ readonly count: number }>(head.data).count);
  return manifest && decode<Program>(manifest);
};

/** Loads a part of a file. */
export const loadFile = async (js: JetStream, space: string, hash: string, offset: number): Promise<Uint8Array> => {
  const { file, files } = shared(space);
  const part = await js.persist(() => js.last(files, `${file(hash)}.${Math.floor(offset / limitOf(js))}`));
  return part === undefined ? new Uint8Array() : part.data;
};
