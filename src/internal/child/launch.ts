/**
 * Starting the system's process of a child, and the link to it.
 *
 * The parent opens a door (`../link/door.ts`) and tells the child where it is in one variable of its environment, which the child
 * removes. What the child must be allowed to read that variable, and to connect, it gives back before the user's code is loaded.
 * A parent that may have no door passes a socket on descriptor 3 instead, by `node:child_process`; that takes longer to start.
 *
 * @module
 */
import type { ChildProcess } from "node:child_process";
import type { Permissions } from "../../Backend.ts";
import { Connection } from "../transport/connection.ts";
import * as Door from "../transport/accept.ts";
import { type Socket, socket, type WatchedTransport } from "../transport/transport.ts";

/** The variable that tells a child where its parent waits. */
export const VARIABLE = "MULTIPROCESSING_PARENT";

/** What the variable holds, as JSON. */
export interface Summons {
  readonly at: Door.Address;
  /** The bytes of the token. */
  readonly token: ReadonlyArray<number>;
  /** The permissions that were added for this, and that the child gives back. */
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
export interface Ended {
  /** `undefined` if somebody else has taken it. */
  readonly code: number | undefined;
  readonly signal: string | null;
}

/** A process that was started. */
export interface Launched {
  readonly pid: number;
  readonly transport: WatchedTransport;
  readonly ended: Promise<Ended>;
  /** Sends a signal; `false` if nobody is there. */
  readonly signal: (name: Deno.Signal) => boolean;
  readonly stdout: AsyncIterable<Uint8Array> | null;
  readonly stderr: AsyncIterable<Uint8Array> | null;
  /** Lets go of the streams. */
  readonly release: () => void;
}

/** A door for one child, and what belongs to it. */
export interface Link {
  readonly door: Door.Door;
  /** What the child is allowed, with what it needs to come in. */
  readonly permissions: Permissions;
  /** The value of {@link VARIABLE}. */
  readonly summons: string;
}

const under = (folders: ReadonlyArray<string>, path: string): boolean =>
  folders.some((folder) => path === folder || path.startsWith(folder.endsWith("/") ? folder : `${folder}/`));

/** Whether a list of files and folders covers a path. Taken back together with the path, the folder would be lost. */
const covers = (granted: ReadonlyArray<string>, path: string): boolean => {
  const absolute = granted.map((value) =>
    value.startsWith("/") ? value : `${Deno.cwd()}/${value}`.replaceAll("/./", "/")
  );
  return under(absolute, path) || under(absolute, Deno.realPathSync(path));
};

/** Opens the door for a child with these permissions; `undefined` if this process may have none. */
export const prepare = (permissions: Permissions): Link | undefined => {
  const door = Door.open();
  if (door === undefined) return undefined;
  const { at, token } = door.invitation;
  const needs = Door.permissions(door.invitation);
  const added: Array<Summons["added"][number]> = [];
  const extended: { [name in Summons["added"][number]]?: true | ReadonlyArray<string> } = {};
  const add = (name: Summons["added"][number], value: string, covered: (granted: ReadonlyArray<string>) => boolean) => {
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
  const summons: Summons = {
    at,
    token: [...token],
    added,
  };
  return { door, permissions: { ...permissions, ...extended }, summons: JSON.stringify(summons) };
};

/** Starts a process that comes to a door. Throws what the system does. */
export const launchToDoor = (
  { args, cwd, detached, env, program, stderr, stdin, stdout }: Plan,
  link: Link,
): Launched => {
  const stdio = (value: Stdio): "inherit" | "piped" | "null" => value === "pipe" ? "piped" : value;
  const process = new Deno.Command(program, {
    args: [...args],
    ...(cwd === undefined ? {} : { cwd }),
    env: { ...env, [VARIABLE]: link.summons },
    clearEnv: env !== undefined,
    detached,
    stdin,
    stdout: stdio(stdout),
    stderr: stdio(stderr),
  }).spawn();
  const { door } = link;
  const ended = process.status.then(
    ({ code, signal }): Ended => ({ code, signal }),
    (): Ended => ({ code: undefined, signal: null }),
  );
  // If it has not come by then, it will not come.
  ended.then(() => door.close());
  const readable = stdout === "pipe" ? process.stdout : null;
  const errors = stderr === "pipe" ? process.stderr : null;
  return {
    pid: process.pid,
    transport: new Connection(door.visitor),
    ended,
    signal: (name) => {
      try {
        process.kill(name);
        return true;
      } catch (error) {
        // It has ended already.
        if (error instanceof TypeError || error instanceof Deno.errors.NotFound) return false;
        throw error;
      }
    },
    stdout: readable,
    stderr: errors,
    release: () => {
      // A stream that somebody reads ends with that reader.
      for (const stream of [readable, errors]) stream?.cancel().catch(() => {});
    },
  };
};

/** Starts a process whose link is on descriptor 3. */
export const launchWithSocket = async (
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
    transport: socket(process.stdio[3] as unknown as Socket),
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

const signalTo = (process: ChildProcess, name: Deno.Signal): boolean => {
  // Deno's `kill` sends only the first signal, and takes it for what has ended the child. It keeps both in these fields.
  const state = process as { killed: boolean; signalCode: string | null };
  state.killed = false;
  const sent = process.kill(name as NodeJS.Signals);
  state.signalCode = null;
  return sent;
};
