/**
 * Modules and where they come from: those of the user, those of this library, and the one that is the program.
 *
 * @module
 */

import { marked } from "./module_loading.ts";

/** How a module is loaded that this process has no permission to read. */
export type Import = () => Promise<unknown>;

const known = new Map<string, Import>();

/** Called once, when a child comes up. Each import is written `()=>import("...")`, and named by what it is written as. */
export const settle = (imports: ReadonlyArray<Import>): void => {
  for (const load of imports) known.set(JSON.parse(/\((".*")\)/.exec(load.toString())![1]), load);
};

/** Loads a module, or gives the one that was loaded. */
export const load = (url: string): Promise<unknown> => marked(known.get(url) ?? (() => import(url)));

/** URL of the folder of this library's modules. */
export const library: string = new URL("../../", import.meta.url).href;

/** Whether a module is a part of this library. */
export const isLibrary = (url: string): boolean => url.startsWith(library);

const key = Symbol.for("~multiprocessing/main");
const shared = globalThis as { [key]?: string; readonly location?: { readonly href: string } };

/** Called in a worker of this library: Deno tells a worker nothing of the main module. */
export const settleMain = (url: string): void => {
  shared[key] = url;
};

/**
 * The module by which Deno is to find a child's configuration (import map, lock file, `node_modules`): the main module, by
 * which it has found that of this program. In a worker that the user has started it is the worker's own module, or one of
 * those that have tasks; it is never one of the library's, wherever that was loaded from.
 */
export const mainModule = (modules: ReadonlyArray<string>): string => {
  const main = shared[key] ?? (Deno.mainModule as string | undefined);
  if (main !== undefined) return main;
  const candidates = [shared.location?.href ?? "", ...modules].filter((url) => !isLibrary(url));
  const from = (protocol: string): string | undefined => candidates.find((url) => url.startsWith(protocol));
  return from("file:") ?? from("http") ?? "data:,";
};
