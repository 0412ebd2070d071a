/** The tasks of rows without Effect. This module imports only `Task`, so that the children do not load Effect. */

import * as Task from "../../src/Task.ts";

export const nothing = Task.make(import.meta, "nothing", () => {});

export const increment = Task.make(import.meta, "increment", (n: number) => n + 1);

export const pid = Task.make(import.meta, "pid", () => Deno.pid);

/** Ends the process, as an out-of-memory killer does. */
export const die = Task.make(import.meta, "die", (): Promise<never> => {
  Deno.kill(Deno.pid, "SIGKILL");
  return new Promise(() => {});
});

/** Ends the worker. No signal can do so. */
export const close = Task.make(import.meta, "close", (): Promise<never> => {
  self.close();
  return new Promise(() => {});
});
