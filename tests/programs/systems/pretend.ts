/**
 * Makes a program take its system for another one. The child processes of the program do the same; its workers do not.
 * Together with `--deny-ffi`, the program can do no more than on that system: it has no `/proc`, no Linux launcher, and on
 * Windows no Unix sockets.
 *
 * @module
 */
import { fileURLToPath } from "node:url";

/** The systems. The module of a system is the one to preload, and the script of the same name is its Deno. */
const systems = {
  macos: { os: "darwin", vendor: "apple", target: "aarch64-apple-darwin" },
  windows: { os: "windows", vendor: "pc", target: "x86_64-pc-windows-msvc" },
} as const;

const set = (name: string, value: unknown): void => void Object.defineProperty(Deno, name, { value });

/** Replaces a function of Deno by one that fails if its first argument is of the given kind. */
const refuse = (name: string, refused: (argument: unknown) => boolean, error: () => Error): void => {
  const real = (Deno as unknown as Record<string, (...args: ReadonlyArray<unknown>) => unknown>)[name];
  set(name, (...args: ReadonlyArray<unknown>) => {
    if (refused(args[0])) throw error();
    return real(...args);
  });
};

const inProc = (path: unknown): boolean => /^(file:\/\/)?\/proc(\/|$)/.test(String(path));

const isUnix = (address: unknown): boolean => (address as { readonly transport?: string }).transport === "unix";

/** Pretends that this is the system. Called once, by a module that is preloaded. */
export const pretend = (system: keyof typeof systems): void => {
  for (const name of ["open", "readDir", "readFile", "readLink", "readTextFile", "realPath", "stat"]) {
    for (const form of [name, `${name}Sync`]) {
      refuse(form, inProc, () => new Deno.errors.NotFound(`No such file or directory (os error 2): ${form}`));
    }
  }
  set("build", { ...Deno.build, ...systems[system] });
  set("execPath", () => fileURLToPath(new URL(system, import.meta.url)));
  if (system === "windows") {
    for (const name of ["connect", "listen"]) {
      refuse(name, isUnix, () => new TypeError("Unix sockets are not supported on this platform"));
    }
  }
};
