/**
 * Modules by their origin: those of the user, those of this library, and the main module.
 *
 * @module
 */

import { localUrl, type Sources } from "../os/place.ts";
import { marked } from "./module_loading.ts";

/** Loads a module that this process has no permission to read. */
export type Import = () => Promise<unknown>;

const known = new Map<string, Import>();

/** Called once, when a child starts. Each import is written as `()=>import("...")`, from which its URL is taken. */
export const settle = (imports: ReadonlyArray<Import>): void => {
  for (const load of imports) known.set(JSON.parse(/\((".*")\)/.exec(load.toString())![1]), load);
};

/** Loads a module, if it was not loaded before. */
export const load = (url: string): Promise<unknown> => {
  const local = localUrl(url);
  return marked(known.get(local) ?? (() => import(local)));
};

/** `deno pack` compiles the modules to JavaScript and renames them, but changes only the literals in imports. */
const extension = import.meta.url.slice(import.meta.url.lastIndexOf("."));

/** The address of a module of this library that Deno must not follow, by its path from the module with this `meta`. */
export const own = (path: string, { url }: ImportMeta): string => new URL(path.replace(/\.ts$/, extension), url).href;

/** URL of the folder of this library's modules. */
export const library: string = new URL("../../", import.meta.url).href;

/** Whether a module is part of this library. */
export const isLibrary = (url: string): boolean => localUrl(url).startsWith(library);

const key = Symbol.for("~multiprocessing/main");
const shared = globalThis as { [key]?: string; readonly location?: { readonly href: string } };

/** Called in a worker of this library, which does not know the main module. */
export const settleMain = (url: string): void => {
  shared[key] = url;
};

/**
 * The module by which Deno finds the configuration of a child (import map, lock file, `node_modules`): the main module of the
 * program, or the one that `place` names. In a worker that the user has started it is the module of that worker, or one that has tasks. It is never a module of
 * this library.
 */
export const mainModule = (modules: ReadonlyArray<string>, place?: Sources): string => {
  if (place !== undefined) return localUrl(place.main, place);
  const main = shared[key] ?? (Deno.mainModule as string | undefined);
  if (main !== undefined) return main;
  const candidates = [shared.location?.href ?? "", ...modules].filter((url) => !isLibrary(url));
  const from = (protocol: string): string | undefined => candidates.find((url) => url.startsWith(protocol));
  return from("file:") ?? from("http") ?? "data:,";
};
