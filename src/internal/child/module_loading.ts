/**
 * Marks code that a module of the user's has started while a child was loading it. Such code runs in every child that loads the
 * module, so it must not start processes: each of them would load the module and start more.
 *
 * The mark is asynchronous context: it covers the evaluation of the module and everything that begins there. The main program loads
 * its modules without the mark.
 *
 * @module
 */
import type { ContextVariable } from "../os/deno_workarounds.ts";
import { self } from "../rpc/identity.ts";

/** A property of the global object, so that two copies of this library in one process share it. */
const key = Symbol.for("~multiprocessing/loading");
const shared = globalThis as { [key]?: ContextVariable };

/** Makes the mark, without Node if that works in this Deno. */
const makeMark = async (): Promise<ContextVariable> => {
  // Each child has loaded this module; a main program needs none of it to import the library.
  const { contextVariable } = await import("../os/deno_workarounds.ts");
  const variable = contextVariable();
  const works = await variable?.run(true, async () => {
    await undefined;
    return variable.getStore() === true;
  });
  if (variable !== undefined && works === true && variable.getStore() === undefined) return variable;
  const { AsyncLocalStorage } = await import("node:async_hooks");
  return new AsyncLocalStorage();
};

/** Loads a module with the mark, if this process is a child. */
export const marked = async (load: () => Promise<unknown>): Promise<unknown> => {
  if (self().parent === undefined) return await load();
  if (shared[key] === undefined) {
    const mark = await makeMark();
    shared[key] ??= mark;
  }
  return await shared[key].run(true, load);
};

/** Whether the calling code has the mark. */
export const isMarked = (): boolean => shared[key]?.getStore() === true;
