/**
 * The modules that register the kinds of handles, by kind. `objects` loads them on demand, although they belong to higher subjects:
 * `src/internal/kinds.ts`, at the top, fills the list. This module loads nothing.
 *
 * @module
 */

/** Loads a module. */
export type Load = () => Promise<unknown>;

const modules = new Map<string, Load>();

/** Names the modules of kinds. */
export const provide = (list: ReadonlyArray<readonly [kind: string, load: Load]>): void => {
  for (const [kind, load] of list) modules.set(kind, load);
};

/** Finds the module of a kind. */
export const loaderOf = (kind: string): Load | undefined => modules.get(kind);
