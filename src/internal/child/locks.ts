/**
 * Web Locks, which Deno has and its type declarations lack.
 *
 * @module
 */

interface Locks {
  request(name: string, hold: () => unknown): Promise<unknown>;
}

/** The lock manager that this process shares with its workers. */
export const locks: Locks = (navigator as unknown as { readonly locks: Locks }).locks;
