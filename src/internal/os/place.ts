/**
 * The place of this process: its host, and where its modules lie.
 *
 * A host is a machine on which processes find each other by process ids and sockets. A process has the host of the process that
 * has started it, unless an agent has started it elsewhere. The modules of a process do not lie at the URLs by which the family
 * knows them if its machine has a copy of them. Tasks are named by the URLs of the family everywhere.
 *
 * @module
 */

// One state for the isolate, even if this module is loaded twice.
const hostKey = Symbol.for("~multiprocessing/host");
const sourcesKey = Symbol.for("~multiprocessing/sources");
const shared = globalThis as { [hostKey]?: Host; [sourcesKey]?: Sources };

/** A host. */
export interface Host {
  /** Random, so that equal process ids on two hosts denote two processes. */
  readonly id: string;
  /** The name of the machine, for messages. */
  readonly name: string;
}

let name: string | undefined;

/** The name of this machine, or `"unknown"` without the permission to ask for it. */
export const machineName = (): string =>
  name ??= Deno.permissions.querySync({ name: "sys", kind: "hostname" }).state === "granted"
    ? Deno.hostname()
    : "unknown";

/** The host of this process. */
export const host = (): Host => shared[hostKey] ??= { id: crypto.randomUUID(), name: machineName() };

/** Called in a child once its parent has said on which host it runs. */
export const settleHost = (host: Host): void => {
  shared[hostKey] = host;
};

/** Where the modules of a process lie. All URLs but the local ones are those by which the family knows the modules. */
export interface Sources {
  /** Folders, each by the URL by which the family knows it and the URL at which it lies here. Both end with a slash. */
  readonly folders: ReadonlyArray<{ readonly original: string; readonly local: string }>;
  /** URL of the folder of the library's modules. */
  readonly library: string;
  /** URL of the module by which Deno finds the configuration: import map and lock file. */
  readonly main: string;
}

/** The place of the modules of this process; `undefined` if they lie at their URLs. */
export const sources = (): Sources | undefined => shared[sourcesKey];

/** Called in a child once its parent has said where its modules lie. */
export const settleSources = (sources: Sources): void => {
  shared[sourcesKey] = sources;
};

const moved = (
  url: string,
  from: "original" | "local",
  to: "original" | "local",
  folders: Sources["folders"],
): string => {
  // A folder of the family may contain the local one.
  if (folders.some((folder) => url.startsWith(folder[to]) && folder[to].startsWith(folder[from]))) return url;
  const folder = folders.find((folder) => url.startsWith(folder[from]));
  return folder === undefined ? url : folder[to] + url.slice(folder[from].length);
};

/** The URL at which a module lies here, from the one by which the family knows it. */
export const localUrl = (url: string, place: Sources | undefined = shared[sourcesKey]): string =>
  place === undefined ? url : moved(url, "original", "local", place.folders);

/** The URL by which the family knows a module, from the one at which it lies here. */
export const originalUrl = (url: string): string =>
  shared[sourcesKey] === undefined ? url : moved(url, "local", "original", shared[sourcesKey].folders);
