/**
 * The guard in a child that ends the child with its parent; see `orphan.ts`.
 *
 * @module
 */
import type { OrphanGuard } from "./orphan.ts";

const PR_SET_PDEATHSIG = 1;
const SIGKILL = 9n;

/** Interval between checks of the parent, in milliseconds. */
const INTERVAL = 250;

const byKernel = (): boolean => {
  if (Deno.build.os !== "linux" || Deno.permissions.querySync({ name: "ffi" }).state !== "granted") return false;
  for (const name of ["libc.so.6", `libc.musl-${Deno.build.arch}.so.1`]) {
    try {
      const libc = Deno.dlopen(name, {
        prctl: { parameters: ["i32", "u64", "u64", "u64", "u64"], result: "i32" },
      });
      const set = libc.symbols.prctl(PR_SET_PDEATHSIG, SIGKILL, 0n, 0n, 0n) === 0;
      libc.close();
      return set;
    } catch {
      // Try the next C library. If none is known, the worker is the guard.
    }
  }
  return false;
};

const byWorker = (parent: number): void => {
  const code = `setInterval(()=>{if(Deno.ppid!==${parent})Deno.kill(Deno.pid,"SIGKILL")},${INTERVAL})`;
  new Worker(`data:application/javascript,${encodeURIComponent(code)}`, { type: "module", name: "orphan guard" });
};

/** Ensures that this process dies when its current parent dies. */
export const dieWithParent = (guard: OrphanGuard): void => {
  if (guard === "self" && !byKernel()) byWorker(Deno.ppid);
};
