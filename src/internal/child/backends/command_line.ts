/**
 * The command line and the environment of a child of `SubprocessBackend`.
 *
 * @module
 */
import type { Command, Permissions } from "../../../Backend.ts";
import type { OrphanGuard } from "../../os/orphan.ts";
import type { Options } from "../../../SubprocessBackend.ts";
import { SpawnError } from "../errors.ts";
import { localUrl, type Sources, sources } from "../../os/place.ts";
import { library, mainModule, own } from "../modules.ts";
import * as Permission from "../permissions.ts";

/** Maximal length of an argument that lists modules, in characters. Linux accepts arguments of up to 128 KiB. */
const MAX_LIST = 64 * 1024;

/** Maximal length of all such arguments: half of the system's default limit for a command line and its environment. */
const MAX_LISTS = { windows: 16 * 1024, darwin: 512 * 1024 }[Deno.build.os as string] ?? 1024 * 1024;

/** The URL of a module with this text. This kind of URL needs few escapes. */
const dataUrl = (code: string): string =>
  `data:application/javascript,${code.replaceAll(/[^\x21-\x7e]|[%#]/gu, encodeURIComponent)}`;

/** Whether a child with these permissions can load a module only if its URL is a literal in a module that is preloaded. */
const needsLiteral = ({ import: hosts, read }: Permissions) => (url: string): boolean =>
  url.startsWith("file:") ? read !== true : /^https?:/.test(url) && hosts !== true;

/** The address of a module of the library, by its path in `src/internal`. A child on another machine has the library of its parent. */
const libraryModule = (path: string, place: Sources | undefined): string => {
  const url = own(`../../${path}`, import.meta);
  return place === undefined ? url : localUrl(place.library, place) + url.slice(library.length);
};

/**
 * The module that names all other modules of this library, for a child that could not load them otherwise. Deno loads from
 * `jsr.io` without a permission, unless the permission names other hosts.
 */
const libraryFor = (permissions: Permissions, place: Sources | undefined): ReadonlyArray<string> => {
  const url = libraryModule("entry/followed.ts", place);
  const { import: hosts = false } = permissions;
  const open = url.startsWith("https://jsr.io/") && (hosts === false || hosts === true || hosts.length === 0);
  return !open && needsLiteral(permissions)(url) ? [url] : [];
};

/**
 * The modules to preload: those that the child has no permission to read, and the entry of the library, which serves the link.
 * Their text is the same for all children, because Deno caches every module.
 */
const preloads = (
  purpose: OrphanGuard | "rehearsal",
  modules: ReadonlyArray<string>,
  place: Sources | undefined,
): ReadonlyArray<string> => {
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
  const settle = `import{settle}from${JSON.stringify(libraryModule("child/modules.ts", place))};`;
  const entry = `import{serve}from${JSON.stringify(libraryModule("entry/subprocess.ts", place))};`;
  const action = purpose === "rehearsal" ? "serve;Deno.exit(0)" : `await serve(${JSON.stringify(purpose)})`;
  return [...lists.map((list) => `${settle}settle([${list}])`), entry + action];
};

/** The Deno executable of this program, or the file that has replaced it: Linux marks the path of a replaced file. */
export const executable = (): string => Deno.execPath().replace(/ \(deleted\)$/, "");

/**
 * The program to start and its arguments. `launcher` precedes Deno; see `os/orphan.ts`. A rehearsal loads the same modules as
 * the child does before it serves its link, and then ends.
 */
export const commandLine = (
  options: Options,
  command: Command,
  permissions: Permissions,
  launcher: ReadonlyArray<string>,
  rehearsal: boolean = false,
): [program: string, ...args: Array<string>] => {
  const purpose = rehearsal ? "rehearsal" : launcher.length > 0 ? "launcher" : "self";
  const place = command.sources;
  const modules = command.modules.map((url) => localUrl(url, place ?? sources()));
  const literals = [...libraryFor(permissions, place), ...modules.filter(needsLiteral(permissions))];
  const code = preloads(purpose, literals, place);
  const [program, ...args] = [
    ...launcher,
    executable(),
    "run",
    "--no-prompt",
    ...Permission.flags(permissions),
    ...(options.v8Flags?.length ? [`--v8-flags=${options.v8Flags.join(",")}`] : []),
    ...options.denoFlags ?? [],
    ...code.flatMap((code) => ["--preload", dataUrl(code)]),
    // Never run: the entry ends the process first.
    mainModule(modules, place),
  ];
  return [program, ...args];
};

/**
 * Variables that Deno needs to find and load modules: for its cache, the resolution of packages, registries, certificates and
 * proxies. Variables with credentials, such as `DENO_AUTH_TOKENS`, are not among them.
 */
const NEEDED: ReadonlyArray<string> = [
  ...["DENO_DIR", "HOME", "XDG_CACHE_HOME", "LOCALAPPDATA", "USERPROFILE", "SystemRoot"],
  ...["DENO_CONDITIONS", "DENO_NO_PACKAGE_JSON", "DENO_NO_UPDATE_CHECK", "JSR_URL", "NPM_CONFIG_REGISTRY"],
  ...["DENO_CERT", "DENO_TLS_CA_STORE", "NODE_EXTRA_CA_CERTS", "SSL_CERT_DIR", "SSL_CERT_FILE"],
  ...["ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"].flatMap((name) => [name, name.toLowerCase()]),
];

/** Variables of the dynamic linker, without which some builds of Deno do not start. Only kept by a program that may run anything. */
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
