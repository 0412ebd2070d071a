/**
 * Web Locks, which are missing from Deno's type declarations.
 *
 * @module
 */

interface Locks {
  request(name: string, hold: () => unknown): Promise<unknown>;
}

const found = (navigator as Navigator & { readonly locks?: Locks }).locks;

/** Whether this Deno has Web Locks. Deno has them since 2.9. */
export const hasLocks: boolean = found !== undefined;

/** The lock manager that this process shares with its workers. */
export const locks: Locks = found as Locks;
