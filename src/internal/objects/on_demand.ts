/**
 * Modules of higher subjects that a lower one loads on demand, by name: the implementation of each kind of handle, and public
 * modules. `src/internal/kinds.ts` fills the list. This module loads nothing.
 *
 * @module
 */

/** Loads a module. */
export type Load = () => Promise<unknown>;

const modules = new Map<string, Load>();

/** Names a module. */
export const provide = (list: ReadonlyArray<readonly [name: string, load: Load]>): void => {
  for (const [name, load] of list) modules.set(name, load);
};

/** Finds a module by its name. */
export const loaderOf = (name: string): Load | undefined => modules.get(name);

/** Loads a public module. Rejects if `src/internal/kinds.ts` was not loaded. */
export const load = <Module>(name: string): Promise<Module> => {
  const found = modules.get(name);
  if (found === undefined) return Promise.reject(new TypeError(`no module is provided as "${name}"`));
  return found() as Promise<Module>;
};
