/**
 * Tasks that are plain functions. Their module does not load Effect, so a child that runs them starts in a quarter of the time.
 *
 * @module
 */
import * as Task from "../../src/Task.ts";

/** An `ImportMeta` of a module that does not exist. */
export const meta = (url: string): ImportMeta => ({ url }) as ImportMeta;

export const add = Task.make(import.meta, "add", (a: number, b: number) => a + b);

export const addLater = Task.make(import.meta, "addLater", (a: number, b: number) => Promise.resolve(a + b));

export const square = Task.make(import.meta, "square", (n: number) => n * n);

export const echo = Task.make(import.meta, "echo", (value: unknown) => value);

export const nothing = Task.make(import.meta, "nothing", () => {});

/** Writes its pid to the file, then blocks its event loop for ever. */
export const busy = Task.make(import.meta, "busy", (path: string) => {
  Deno.writeTextFileSync(path, String(Deno.pid));
  while (Deno.pid > 0);
});

export const boom = (): never => {
  throw new RangeError("boom", { cause: new Error("fuse") });
};

export const throwing = Task.make(import.meta, "throwing", (): number => boom());

export const throwingLater = Task.make(import.meta, "throwingLater", async () => {
  await Promise.resolve();
  return boom();
});

export const throwingText = Task.make(import.meta, "throwingText", (): number => {
  throw "only text";
});

export const returningFunction = Task.make(
  import.meta,
  "returningFunction",
  () => ({ items: [1, { callback: () => 1 }] }) as unknown,
);

export const exitWith = Task.make(import.meta, "exitWith", (code: number): number => Deno.exit(code));

export const killItself = Task.make(import.meta, "killItself", (signal: Deno.Signal) => {
  Deno.kill(Deno.pid, signal);
  return new Promise<number>(() => {});
});

export const throwInTimer = Task.make(import.meta, "throwInTimer", () => {
  setTimeout(() => boom(), 0);
  return new Promise<number>(() => {});
});

export const rejectUnhandled = Task.make(import.meta, "rejectUnhandled", () => {
  Promise.reject(new RangeError("boom"));
  return new Promise<number>(() => {});
});

export const never = Task.make(import.meta, "never", () => new Promise<number>(() => {}));

export const closeSelf = Task.make(import.meta, "closeSelf", () => {
  (globalThis as unknown as { readonly close: () => void }).close();
  return new Promise<number>(() => {});
});

export const pid = Task.make(import.meta, "pid", () => Deno.pid);

export const isMain = Task.make(import.meta, "isMain", () => import.meta.main);

export const bytes = Task.make(import.meta, "bytes", (size: number) => new Uint8Array(size).fill(7));

export const size = Task.make(import.meta, "size", (bytes: Uint8Array) => bytes.length);

/** The outcome of each attempt to use a permission. */
export const attempts = Task.make(import.meta, "attempts", (readable: string, host: string) => {
  const attempt = (f: () => unknown): string => {
    try {
      f();
      return "allowed";
    } catch (error) {
      return error instanceof Deno.errors.NotCapable ? "denied" : `${error}`;
    }
  };
  return {
    read: attempt(() => Deno.readTextFileSync(readable)),
    write: attempt(() => Deno.writeTextFileSync(`${readable}.written`, "")),
    env: attempt(() => Deno.env.get("HOME")),
    net: attempt(() => Deno.listen({ hostname: host, port: 0 }).close()),
    run: attempt(() => new Deno.Command(Deno.execPath(), { args: ["--version"] }).outputSync()),
    sys: attempt(() => Deno.hostname()),
    ffi: attempt(() => Deno.dlopen("libc.so.6", {}).close()),
  };
});

export const environment = Task.make(
  import.meta,
  "environment",
  (name: string) => ({ value: Deno.env.get(name), cwd: Deno.cwd() }),
);

export const print = Task.make(import.meta, "print", (out: string, err: string) => {
  console.log(out);
  console.error(err);
});

export const readInput = Task.make(
  import.meta,
  "readInput",
  async () => (await Deno.stdin.read(new Uint8Array(16))) ?? "end",
);

export const allocate = Task.make(import.meta, "allocate", () => {
  const kept: Array<Array<number>> = [];
  for (;;) kept.push(new Array(1_000_000).fill(kept.length));
});
