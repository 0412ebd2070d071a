/** The tasks for packages that call the exports of a module. */

export const nothing = (): void => {};

export const increment = (n: number): number => n + 1;

export const pid = (): number => Deno.pid;

/** Ends the process, as an out-of-memory killer does. */
export const die = (): Promise<never> => {
  Deno.kill(Deno.pid, "SIGKILL");
  return new Promise(() => {});
};
