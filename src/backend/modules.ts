/**
 * The user's modules in a child: those that its backend was told of can be loaded without permission to read them.
 *
 * @module
 */

/** How modules are loaded, by URL. */
export type Imports = { readonly [url: string]: () => Promise<unknown> };

let known: Imports = {};

/** Called once, when the child comes up. */
export const settle = (imports: Imports): void => {
  known = imports;
};

/** Loads a module, or gives the one that was loaded. */
export const load = (url: string): Promise<unknown> => (known[url] ?? (() => import(url)))();
