/** The tasks for packages that call the exports of a module. */

export const nothing = (): void => {};

export const increment = (n: number): number => n + 1;

export const pid = (): number => Deno.pid;

/** Sends a signal that does nothing: the first one that a process of Deno sends takes 3 ms, which no row is about. */
export const prepareToDie = (): void => Deno.kill(Deno.pid, "SIGCONT");

/** Ends the process, as an out-of-memory killer does. */
export const die = (): Promise<never> => {
  Deno.kill(Deno.pid, "SIGKILL");
  return new Promise(() => {});
};

/** Returns what it was given. */
export const echo = (bytes: Uint8Array): Uint8Array => bytes;

/** Some milliseconds of work that allocates nothing. */
export const fib = (n: number): number => n < 2 ? n : fib(n - 1) + fib(n - 2);

/** Works for half a second. */
export const work = (): void => {
  for (const end = performance.now() + 500; performance.now() < end;);
};
