/**
 * Memory with a random name, by which other processes of the same user on the same machine map it: what macOS and Windows
 * have in place of the memory without a name that `linux.ts` shares.
 *
 * **The code for macOS and Windows was written from the documentation of these systems, and never ran there.** A wrong
 * signature of a foreign function can end a program, so blocks are made in this way only on request. Tests on Linux run the
 * code for macOS with the numbers of Linux.
 *
 * Only blocks of bytes use this memory. Locks and what is built on them need more of a system than a mapping: the start
 * times of the threads of other processes, to tell dead users from living ones, and a way to wake them. A wrong answer
 * there would break mutual exclusion without a sign, so these objects go over messages on all systems but Linux.
 *
 * @module
 */
import * as Posix from "./posix_memory.ts";
import * as Windows from "./windows_memory.ts";

/** Mapped memory. */
export interface NamedMapping {
  readonly name: string;
  readonly pointer: Deno.PointerObject;
  /** Unmaps the memory. In the process that made it, removes the name as well. */
  readonly close: () => void;
}

/** The calls of a system. */
export interface NamedMemory {
  /** Makes memory of zeros whose space is reserved. Throws an `OsError`. */
  readonly create: (size: number) => NamedMapping;
  /** Maps memory of another process; `undefined` if its maker has closed it, or has ended. Throws an `OsError`. */
  readonly attach: (name: string, size: number) => NamedMapping | undefined;
}

let found: NamedMemory | undefined;

/** The calls of this system, or why there are none. */
export const namedMemory = (): NamedMemory | string => {
  if (found !== undefined) return found;
  const opened = Deno.build.os === "windows" ? Windows.open() : Posix.open(Deno.build.os);
  if (typeof opened === "object") found = opened;
  return opened;
};
