/**
 * The command line and the environment of a child of `SubprocessBackend`: everything that is decided before the system is
 * asked to start it.
 *
 * @module
 */
import type { Command, Permissions } from "../../Backend.ts";
import type { Guard } from "../os/orphan.ts";
import type { Options } from "../../SubprocessBackend.ts";
import { SpawnError } from "./errors.ts";
import { mainModule } from "./modules.ts";
import * as Permission from "./permissions.ts";

/** Characters of an argument that lists modules. Linux takes no argument of more than 128 KiB. */
const MAX_LIST = 64 * 1024;

/** Characters of all such arguments: half of what a command line and the environment may have by default. */
const MAX_LISTS = { windows: 16 * 1024, darwin: 512 * 1024 }[Deno.build.os as string] ?? 1024 * 1024;

/** A module with this text. Few characters of a program need an escape in this kind of URL. */
const dataUrl = (code: string): string =>
  `data:application/javascript,${code.replaceAll(/[^\x21-\x7e]|[%#]/gu, encodeURIComponent)}`;

/** Whether a child with these permissions can load a module only if its URL is a literal in a module that is preloaded. */
const needsLiteral = ({ import: hosts, read }: Permissions) => (url: string): boolean =>
  url.startsWith("file:") ? read !== true : /^https?:/.test(url) && hosts !== true;

/**
 * The module that names all others of this library, for a child that cannot load them without. Deno loads from `jsr.io` without
 * the permission, unless the permission names other hosts.
 */
const libraryFor = (permissions: Permissions): ReadonlyArray<string> => {
  const url = import.meta.resolve("./followed.ts");
  const { import: hosts = false } = permissions;
  const open = url.startsWith("https://jsr.io/") && (hosts === false || hosts === true || hosts.length === 0);
  return !open && needsLiteral(permissions)(url) ? [url] : [];
};

/**
 * What is preloaded: the modules that the child has no permission to read, and the library's entry, which serves the link.
 * Deno caches every module that it sees, so they say nothing of this one child.
 */
const preloads = (purpose: Guard | "rehearsal", modules: ReadonlyArray<string>): ReadonlyArray<string> => {
  const lists: Array<string> = [];
  for (const url of modules) {
    const literal = `()=>import(${JSON.stringify(url)}),`;
    const last = lists.length - 1;
    if (last < 0 || lists[last].length + literal.length > MAX_LIST) lists.push(literal);
    else lists[last] += literal;
  }
  const size = lists.reduce((size, { length }) => size + length, 0);
  if (size > MAX_LISTS) {
    throw new SpawnError({
      reason: "Failed",
      message:
        `Cannot start a subprocess: the ${modules.length} modules that it has no permission to read are named on its command line, which cannot hold ${size} characters of them: name fewer, or let it read them`,
    });
  }
  const settle = `import{settle}from${JSON.stringify(import.meta.resolve("./modules.ts"))};`;
  const entry = `import{serve}from${JSON.stringify(import.meta.resolve("./subprocess.ts"))};`;
  const action = purpose === "rehearsal" ? "serve;Deno.exit(0)" : `await serve(${JSON.stringify(purpose)})`;
  return [...lists.map((list) => `${settle}settle([${list}])`), entry + action];
};

/** The file that runs this program, or the one that has taken its place: Linux marks the path of a file that was replaced. */
export const executable = (): string => Deno.execPath().replace(/ \(deleted\)$/, "");

/**
 * The program to start and its arguments. `launcher` goes in front of Deno; see `os/orphan.ts`. A rehearsal loads what the
 * child loads before it serves its link, and ends.
 */
export const commandLine = (
  options: Options,
  command: Command,
  permissions: Permissions,
  launcher: ReadonlyArray<string>,
  rehearsal: boolean = false,
): [program: string, ...args: Array<string>] => {
  const purpose = rehearsal ? "rehearsal" : launcher.length > 0 ? "launcher" : "self";
  const code = preloads(purpose, [
    ...libraryFor(permissions),
    ...command.modules.filter(needsLiteral(permissions)),
  ]);
  const [program, ...args] = [
    ...launcher,
    executable(),
    "run",
    "--no-prompt",
    ...Permission.flags(permissions),
    ...(options.v8Flags?.length ? [`--v8-flags=${options.v8Flags.join(",")}`] : []),
    ...options.denoFlags ?? [],
    ...code.flatMap((code) => ["--preload", dataUrl(code)]),
    // It is never run: the entry ends the process before that.
    mainModule(command.modules),
  ];
  return [program, ...args];
};

/**
 * What Deno has to know to find the modules that this program has loaded, and to load others: where its cache is, by what
 * conditions packages are resolved, registries, certificates and proxies. No credentials: those in `DENO_AUTH_TOKENS` say.
 */
const NEEDED: ReadonlyArray<string> = [
  ...["DENO_DIR", "HOME", "XDG_CACHE_HOME", "LOCALAPPDATA", "USERPROFILE", "SystemRoot"],
  ...["DENO_CONDITIONS", "DENO_NO_PACKAGE_JSON", "DENO_NO_UPDATE_CHECK", "JSR_URL", "NPM_CONFIG_REGISTRY"],
  ...["DENO_CERT", "DENO_TLS_CA_STORE", "NODE_EXTRA_CA_CERTS", "SSL_CERT_DIR", "SSL_CERT_FILE"],
  ...["ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"].flatMap((name) => [name, name.toLowerCase()]),
];

/** Variables of the dynamic linker, without which some builds of Deno do not start. Only whoever may run anything sets them. */
const LINKER: ReadonlyArray<string> = ["LD_LIBRARY_PATH"];

const kept = (): Record<string, string> => {
  const mayRunAnything = Deno.permissions.querySync({ name: "run" }).state === "granted";
  const names = mayRunAnything ? [...NEEDED, ...LINKER] : NEEDED;
  return Object.fromEntries(names.flatMap((name) => {
    const value = Deno.env.get(name);
    return value === undefined ? [] : [[name, value]];
  }));
};

/** The variables of a child, or `undefined` for those of this program. */
export const environment = (options: Options): Record<string, string> | undefined => {
  if (options.clearEnv === true) return { ...kept(), ...options.env };
  return options.env && { ...Deno.env.toObject(), ...options.env };
};
