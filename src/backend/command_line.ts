/**
 * The command line and the environment of a child of `SubprocessBackend`: everything that is decided before the system is
 * asked to start it.
 *
 * @module
 */
import type { Command } from "../Backend.ts";
import type { Guard } from "../os/orphan.ts";
import type { Options } from "../SubprocessBackend.ts";
import * as Permission from "./permissions.ts";

/**
 * The module to preload: the library's entry, and the user's modules as literals, which need no permission to load. It says
 * nothing of this one child, since Deno caches every module that it sees.
 */
const preload = (guard: Guard, modules: ReadonlyArray<string>): string => {
  const imports = modules.map((url) => `${JSON.stringify(url)}:()=>import(${JSON.stringify(url)})`);
  const entry = JSON.stringify(import.meta.resolve("./subprocess.ts"));
  const code = `import{serve}from${entry};await serve(${JSON.stringify(guard)},{${imports.join(",")}})`;
  return `data:application/javascript,${encodeURIComponent(code)}`;
};

/** The program to start and its arguments. `launcher` goes in front of Deno; see `os/orphan.ts`. */
export const commandLine = (
  options: Options,
  command: Command,
  launcher: ReadonlyArray<string>,
): [program: string, ...args: Array<string>] => {
  const main = command.modules.find((url) => /^(file|https?):/.test(url)) ?? Deno.mainModule;
  const [program, ...args] = [
    ...launcher,
    Deno.execPath(),
    "run",
    "--no-prompt",
    ...Permission.flags(command.permissions ?? options.permissions ?? Permission.inherited()),
    ...(options.v8Flags?.length ? [`--v8-flags=${options.v8Flags.join(",")}`] : []),
    ...options.denoFlags ?? [],
    "--preload",
    preload(launcher.length > 0 ? "launcher" : "self", command.modules),
    main,
  ];
  return [program, ...args];
};

/** The variables of a child, or `undefined` for those of this program. */
export const environment = (options: Options): Record<string, string> | undefined => {
  if (options.clearEnv === true) return { ...options.env };
  return options.env && { ...Deno.env.toObject(), ...options.env };
};
