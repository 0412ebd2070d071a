/**
 * Starts the process of a child, with a transport for its link.
 *
 * The parent listens (`../../transport/one_time_listener.ts`), and tells the child where in one variable of its environment, which the child
 * removes. The permissions that the child needs to read that variable and to connect are given back before the user's code is
 * loaded; see `connect_back.ts`. A parent that may not listen passes a socket on descriptor 3 instead, by
 * `node:child_process`; that takes longer to start.
 *
 * @module
 */
import { signalTo } from "../../os/deno_workarounds.ts";
import type { Permissions } from "../../../Backend.ts";
import { Connection } from "../../transport/connection.ts";
import * as OneTimeListener from "../../transport/one_time_listener.ts";
import { type NodeSocket, socket, type WatchedTransport } from "../../transport/transport.ts";

/** The variable that tells a child where its parent listens. */
export const VARIABLE = "MULTIPROCESSING_PARENT";

/** The value of the variable, as JSON. */
export interface ConnectBack {
  readonly at: OneTimeListener.ListenerAddress;
  /** The bytes of the token. */
  readonly token: ReadonlyArray<number>;
  /** The permissions that were added for the connection. The child gives them back. */
  readonly added: ReadonlyArray<"net" | "read" | "write" | "env">;
}

/** How a standard stream is connected. */
export type Stdio = "inherit" | "pipe" | "null";

/** The process to start. */
export interface Plan {
  readonly program: string;
  readonly args: ReadonlyArray<string>;
  readonly cwd: string | undefined;
  /** The whole environment; `undefined` for that of this program. */
  readonly env: Readonly<Record<string, string>> | undefined;
  readonly detached: boolean;
  readonly stdin: "inherit" | "null";
  readonly stdout: Stdio;
  readonly stderr: Stdio;
}

/** How a process has ended. */
export interface ProcessEnd {
  /** `undefined` if another part of the program has waited for the process. */
  readonly code: number | undefined;
  readonly signal: string | null;
}

/** A process that was started. */
export interface Launched {
  readonly pid: number;
  readonly transport: WatchedTransport;
  readonly ended: Promise<ProcessEnd>;
  /** Sends a signal. The result is `false` if the process has ended. */
  readonly signal: (name: Deno.Signal) => boolean;
  readonly stdout: AsyncIterable<Uint8Array> | null;
  readonly stderr: AsyncIterable<Uint8Array> | null;
  /** Closes the streams. */
  readonly release: () => void;
}

/** Listens for one child. */
export interface ChildListener {
  readonly listener: OneTimeListener.OneTimeListener;
  /** The permissions of the child, with those that it needs to connect. */
  readonly permissions: Permissions;
  /** The value of {@link VARIABLE}. */
  readonly variable: string;
}

const under = (folders: ReadonlyArray<string>, path: string): boolean =>
  folders.some((folder) => path === folder || path.startsWith(folder.endsWith("/") ? folder : `${folder}/`));

/** Whether a list of files and folders covers a path. It must not be added then: revoking it would revoke the folder, too. */
const covers = (granted: ReadonlyArray<string>, path: string): boolean => {
  const absolute = granted.map((value) =>
    value.startsWith("/") ? value : `${Deno.cwd()}/${value}`.replaceAll("/./", "/")
  );
  return under(absolute, path) || under(absolute, Deno.realPathSync(path));
};

/** Listens for a child with these permissions; `undefined` if this process may not listen. */
export const listen = (permissions: Permissions): ChildListener | undefined => {
  const listener = OneTimeListener.listen();
  if (listener === undefined) return undefined;
  const { at, token } = listener.invitation;
  const needs = OneTimeListener.permissions(listener.invitation);
  const added: Array<ConnectBack["added"][number]> = [];
  const extended: { [name in ConnectBack["added"][number]]?: true | ReadonlyArray<string> } = {};
  const add = (
    name: ConnectBack["added"][number],
    value: string,
    covered: (granted: ReadonlyArray<string>) => boolean,
  ) => {
    const grant = permissions[name] ?? false;
    if (grant === true || (grant !== false && covered(grant))) return;
    added.push(name);
    extended[name] = [...grant === false ? [] : grant, value];
  };
  add("net", needs.net, (granted) => granted.includes(needs.net));
  const { path } = needs;
  if (path !== undefined) {
    add("read", path, (granted) => covers(granted, path));
    add("write", path, (granted) => covers(granted, path));
  }
  add("env", VARIABLE, (granted) => granted.includes(VARIABLE));
  const connectBack: ConnectBack = { at, token: [...token], added };
  return { listener, permissions: { ...permissions, ...extended }, variable: JSON.stringify(connectBack) };
};

/** Starts a process that connects to a listener. Throws the errors of the system. */
export const launchWithListener = (
  { args, cwd, detached, env, program, stderr, stdin, stdout }: Plan,
  { listener, variable }: ChildListener,
): Launched => {
  const stdio = (value: Stdio): "inherit" | "piped" | "null" => value === "pipe" ? "piped" : value;
  const process = new Deno.Command(program, {
    args: [...args],
    ...(cwd === undefined ? {} : { cwd }),
    env: { ...env, [VARIABLE]: variable },
    clearEnv: env !== undefined,
    detached,
    stdin,
    stdout: stdio(stdout),
    stderr: stdio(stderr),
  }).spawn();
  const ended = process.status.then(
    ({ code, signal }): ProcessEnd => ({ code, signal }),
    (): ProcessEnd => ({ code: undefined, signal: null }),
  );
  // A child that has not connected by then never will.
  ended.then(() => listener.close());
  const readable = stdout === "pipe" ? process.stdout : null;
  const errors = stderr === "pipe" ? process.stderr : null;
  return {
    pid: process.pid,
    transport: new Connection(listener.connection),
    ended,
    signal: (name) => {
      try {
        process.kill(name);
        return true;
      } catch (error) {
        // The process has ended already.
        if (error instanceof TypeError || error instanceof Deno.errors.NotFound) return false;
        throw error;
      }
    },
    stdout: readable,
    stderr: errors,
    release: () => {
      // A stream that is being read ends with its reader.
      for (const stream of [readable, errors]) stream?.cancel().catch(() => {});
    },
  };
};

/** Starts a process whose link is a socket on descriptor 3. */
export const launchWithDescriptor = async (
  { args, cwd, detached, env, program, stderr, stdin, stdout }: Plan,
): Promise<Launched> => {
  const { spawn } = await import("node:child_process");
  const stdio = (value: Stdio): "inherit" | "pipe" | "ignore" => value === "null" ? "ignore" : value;
  const process = spawn(program, args, {
    ...(cwd === undefined ? {} : { cwd }),
    ...(env === undefined ? {} : { env }),
    detached,
    stdio: [stdio(stdin), stdio(stdout), stdio(stderr), "pipe"],
  });
  await new Promise<void>((resolve, reject) => {
    process.once("error", reject);
    process.once("spawn", () => resolve());
  });
  return {
    pid: process.pid!,
    transport: socket(process.stdio[3] as unknown as NodeSocket),
    ended: new Promise((resolve) =>
      process.once("exit", (code, signal) => resolve({ code: code ?? undefined, signal }))
    ),
    signal: (name) => signalTo(process, name),
    stdout: process.stdout,
    stderr: process.stderr,
    release: () => {
      process.stdout?.destroy();
      process.stderr?.destroy();
    },
  };
};
