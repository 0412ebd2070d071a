/** The tasks of rows without Effect. This module imports only `Task`, so that the children do not load Effect. */

import * as Task from "../../src/Task.ts";

export const nothing = Task.make(import.meta, "nothing", () => {});

export const increment = Task.make(import.meta, "increment", (n: number) => n + 1);

export const pid = Task.make(import.meta, "pid", () => Deno.pid);

/** Sends a signal that does nothing: the first one that a process of Deno sends takes 3 ms, which no row is about. */
export const prepareToDie = Task.make(import.meta, "prepareToDie", () => Deno.kill(Deno.pid, "SIGCONT"));

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

/** Returns what it was given. */
export const echo = Task.make(import.meta, "echo", (bytes: Uint8Array) => bytes);

/** {@link echo}, whose bytes move back. */
export const move = Task.make(import.meta, "move", (bytes: Uint8Array): Uint8Array => Task.move(bytes));

const fibonacci = (n: number): number => n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);

/** Some milliseconds of work that allocates nothing. */
export const fib = Task.make(import.meta, "fib", fibonacci);

/** The product of the integers from `first` to `last`, by halves, as Python's `math.factorial` does. */
const product = (first: number, last: number): bigint => {
  if (last - first < 16) {
    let result = BigInt(first);
    for (let n = first + 1; n <= last; n++) result *= BigInt(n);
    return result;
  }
  const middle = (first + last) >> 1;
  return product(first, middle) * product(middle + 1, last);
};

/** A fraction of a millisecond of work, and a result of a thousand bytes. */
export const factorial = Task.make(import.meta, "factorial", (n: number) => product(1, n));

/** Works for half a second. */
export const work = Task.make(import.meta, "work", () => {
  for (const end = performance.now() + 500; performance.now() < end;);
});
