/**
 * Tasks that misbehave.
 *
 * @module
 */
import nodeProcess from "node:process";
import * as Task from "../../src/Task.ts";
import { link } from "../fixtures/hostile.ts";

const forever = (): Promise<never> => new Promise(() => {});

const host = globalThis as unknown as { close(): void; postMessage(message: unknown): void };

/** Writes the given number of bytes to its standard streams. */
export const flood = Task.make(import.meta, "flood", (where: "stdout" | "stderr", size: number): number => {
  const chunk = new Uint8Array(64 * 1024).fill(46);
  for (let written = 0; written < size;) written += Deno[where].writeSync(chunk);
  return size;
});
/** Reports its begin, and writes for ever. */
export const floodForever = Task.make(
  import.meta,
  "floodForever",
  (begun: string, where: "stdout" | "stderr"): void => {
    Deno.writeTextFileSync(begun, "begun");
    const chunk = new Uint8Array(64 * 1024).fill(46);
    for (;;) Deno[where].writeSync(chunk);
  },
);
/** Writes random bytes to its link, and ends. */
export const scribble = Task.make(import.meta, "scribble", (size: number): number => {
  const libc = Deno.dlopen("libc.so.6", { write: { parameters: ["i32", "buffer", "usize"], result: "isize" } });
  const bytes = crypto.getRandomValues(new Uint8Array(size));
  libc.symbols.write(link(), bytes, BigInt(size));
  return Deno.exit(5);
});
export const closeStreams = Task.make(import.meta, "closeStreams", (): number => {
  Deno.stdin.close();
  Deno.stdout.close();
  Deno.stderr.close();
  return 5;
});

export const consume = Task.make(import.meta, "consume", (): number => {
  const kept: Array<Array<number>> = [];
  for (;;) kept.push(new Array(100_000).fill(kept.length));
});

export const throwLater = Task.make(import.meta, "throwLater", (text: string): Promise<number> => {
  setTimeout(() => {
    throw new RangeError(text);
  });
  return forever();
});
export const rejectLater = Task.make(import.meta, "rejectLater", (text: string): Promise<number> => {
  Promise.reject(new RangeError(text));
  return forever();
});
export const throwNothing = Task.make(import.meta, "throwNothing", (): Promise<number> => {
  setTimeout(() => {
    throw undefined;
  });
  return forever();
});
export const rejectNothing = Task.make(import.meta, "rejectNothing", (): Promise<number> => {
  Promise.reject(undefined);
  return forever();
});
/** Its own listeners handle uncaught errors. */
export const tolerate = Task.make(import.meta, "tolerate", async (): Promise<ReadonlyArray<string>> => {
  const seen: Array<string> = [];
  const both = Promise.withResolvers<void>();
  const listen = (event: Event): void => {
    event.preventDefault();
    seen.push(event.type);
    if (seen.length === 2) both.resolve();
  };
  globalThis.addEventListener("error", listen);
  globalThis.addEventListener("unhandledrejection", listen);
  setTimeout(() => {
    throw new Error("dealt with");
  });
  Promise.reject(new Error("dealt with"));
  await both.promise;
  globalThis.removeEventListener("error", listen);
  globalThis.removeEventListener("unhandledrejection", listen);
  return seen.sort();
});
/** Returns, and throws afterwards, while it is idle. */
export const throwWhenIdle = Task.make(import.meta, "throwWhenIdle", (): number => {
  setTimeout(() => {
    throw new RangeError("afterwards");
  });
  return 5;
});

export const close = Task.make(import.meta, "close", (): Promise<number> => {
  host.close();
  return forever();
});
export const exit = Task.make(import.meta, "exit", (code: number): number => Deno.exit(code));
export const exitAsNode = Task.make(import.meta, "exitAsNode", (code: number): number => nodeProcess.exit(code));
export const exitLater = Task.make(import.meta, "exitLater", (code: number): Promise<number> => {
  setTimeout(() => Deno.exit(code));
  return forever();
});
/** Leaves its event loop without pending work. */
export const overflow = Task.make(import.meta, "overflow", (): number => {
  const deeper = (n: number): number => deeper(n + 1) + 1;
  return deeper(0);
});
/** Sends messages to its host as the library does. */
export const interfere = Task.make(import.meta, "interfere", (): number => {
  for (const message of [null, undefined, "text", 7, [], {}, { locked: true }, { exit: undefined }, { exit: "text" }]) {
    host.postMessage(message);
  }
  return 5;
});
export const add = Task.make(import.meta, "add", (a: number, b: number): number => a + b);
