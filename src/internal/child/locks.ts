/**
 * Web Locks, which are missing from Deno's type declarations.
 *
 * @module
 */

interface Locks {
  request(name: string, hold: () => unknown): Promise<unknown>;
}

// The type of `navigator` has one name in a program and another in a worker, and both are checked.
const found = (navigator as { readonly locks?: Locks }).locks;

/** Whether this Deno has Web Locks. Deno has them since 2.9. */
export const hasLocks: boolean = found !== undefined;

/** The lock manager that this process shares with its workers. */
export const locks: Locks = found as Locks;
