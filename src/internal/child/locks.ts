/**
 * Web Locks, which are missing from Deno's type declarations.
 *
 * @module
 */

interface Locks {
  request(name: string, hold: () => unknown): Promise<unknown>;
}

/** The lock manager that this process shares with its workers. */
export const locks: Locks = (navigator as Navigator & { readonly locks: Locks }).locks;
