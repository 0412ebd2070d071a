/**
 * The messages between a caller and the agents, and their subjects. Messages other than records are JSON.
 *
 * | subject, after `mp.SPACE` | from | purpose |
 * | --- | --- | --- |
 * | `.bid` | caller | which agents have places? Each answers with a {@link Bid} |
 * | `.a.AGENT.spawn` | caller | starts a child: {@link SpawnRequest}, {@link SpawnReply} |
 * | `.a.AGENT.kill` | caller | sends a signal to a child: {@link KillRequest} |
 * | `.a.AGENT.probe` | caller | is the agent there? |
 * | `.a.AGENT.bye` | caller | gives up its children: {@link Bye} |
 * | `.a.AGENT.d.CHANNEL.SESSION` | caller | records for a child; see `session.ts` |
 * | `.c.CALLER.ping` | agent | renews the lease: {@link Ping} |
 * | `.c.CALLER.source` | agent | asks for a part of a source file: {@link SourceRequest} |
 * | `.c.CALLER.d.CHANNEL.SESSION` | agent | records of a child |
 * | `.r.NAME.>` | | answers to the requests of a caller or agent |
 *
 * @module
 */
import type { ExitStatus, Permissions, SpawnError } from "../../Backend.ts";
import * as Arguments from "../os/arguments.ts";
import type { Host } from "../os/place.ts";

/** The version of this protocol. Agents and callers of different versions do not work together. */
export const PROTOCOL = 1;

/** Records of the channel {@link LINK_CHANNEL}: bytes of the link, the end of the sender's bytes, the end of the child. */
export const LINK = 1;
export const CLOSE = 2;
export const EXIT = 3;
/** Records of the channels of output: bytes, and their end. */
export const OUTPUT = 4;
export const END = 5;

/** The channels of a child. Each has a session of its own, so that unread output holds up nothing else. */
export const LINK_CHANNEL = 0;
export const STDOUT_CHANNEL = 1;
export const STDERR_CHANNEL = 2;

/** The largest body of a record, in bytes. */
export const MAX_RECORD = 256 * 1024;

/** Where the output of a child goes: through the link to the caller, to the agent's own, or nowhere. */
export type Output = "caller" | "agent" | "null";

/** An answer to the question for places. */
export interface Bid {
  readonly protocol: number;
  readonly agent: string;
  readonly host: string;
  readonly slots: number;
  readonly free: number;
  readonly labels: ReadonlyArray<string>;
  /** The version of Deno. */
  readonly deno: string;
}

/** The sources of a child, as the caller has them. */
export interface SourceList {
  /** Names the list by its content. */
  readonly hash: string;
  /** URL of the folder that contains all files. */
  readonly root: string;
  /** Paths relative to the root, each with the SHA-256 hash and the size of the file. */
  readonly files: { readonly [path: string]: readonly [hash: string, size: number] };
}

/** Asks an agent to start a child. */
export interface SpawnRequest {
  readonly protocol: number;
  readonly caller: string;
  readonly session: string;
  readonly name: string;
  readonly modules: ReadonlyArray<string>;
  /** URLs of the library and of the main module of the caller. */
  readonly library: string;
  readonly main: string;
  /** Permissions that the child must get. */
  readonly permissions: Permissions | undefined;
  /** Without `permissions`: those that the child gets if the agent has them. */
  readonly inherited: Permissions;
  readonly env: { readonly [name: string]: string };
  readonly v8Flags: ReadonlyArray<string>;
  readonly sources: SourceList | undefined;
  readonly stdout: Output;
  readonly stderr: Output;
  /** Times in milliseconds. */
  readonly lease: number;
  readonly lostAfter: number;
}

/** The answer to a {@link SpawnRequest}. */
export type SpawnReply =
  | {
    readonly ok: true;
    readonly pid: number;
    readonly agentPid: number;
    readonly host: Host;
    /** URL of the folder in which the agent has the sources. */
    readonly local: string | undefined;
  }
  | { readonly ok: false; readonly reason: SpawnError["reason"]; readonly message: string };

/** Sends a signal. The answer is `true` or `false`, as of `Child.kill`. */
export interface KillRequest {
  readonly session: string;
  readonly signal: string;
}

/** The caller gives up all its children. */
export interface Bye {
  readonly caller: string;
}

/** Renews the lease of an agent: the caller answers at once. */
export interface Ping {
  readonly agent: string;
}

/** Asks for a part of a file. The answer has the bytes from the offset on, as many as fit. */
export interface SourceRequest {
  readonly hash: string;
  readonly offset: number;
}

/** The end of a child. */
export interface ExitRecord {
  readonly status: Exclude<ExitStatus, { readonly _tag: "Crashed" | "Lost" }>;
  /** Why it ended before it had sent anything. */
  readonly unserved?: { readonly reason: SpawnError["reason"]; readonly message: string };
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export const encode = (value: unknown): Uint8Array<ArrayBuffer> => encoder.encode(JSON.stringify(value));
export const decode = <A>(bytes: Uint8Array): A => JSON.parse(decoder.decode(bytes)) as A;

/** Decodes a message that is an object. Throws a `SyntaxError` if it is not. */
export const decodeRecord = <A extends object>(bytes: Uint8Array): A => {
  const value = decode<unknown>(bytes);
  const wrong = Arguments.record(value);
  if (wrong !== undefined) throw new SyntaxError(`A message ${wrong}`);
  return value as A;
};

const NAME = Arguments.must(
  (value) => typeof value === "string" && /^[0-9a-f]{16}$/.test(value),
  "a name that this library gives",
);

const output = Arguments.oneOf("caller", "agent", "null");

const request: Arguments.Checks = {
  protocol: Arguments.positive,
  caller: NAME,
  session: NAME,
  name: Arguments.name,
  modules: Arguments.texts,
  library: Arguments.name,
  main: Arguments.name,
  permissions: Arguments.optional(Arguments.record),
  inherited: Arguments.record,
  env: Arguments.record,
  v8Flags: Arguments.texts,
  sources: Arguments.optional(
    Arguments.options({ hash: Arguments.name, root: Arguments.name, files: Arguments.record }),
  ),
  stdout: output,
  stderr: output,
  lease: Arguments.finite,
  lostAfter: Arguments.finite,
};

/** A request that an agent has received, if it is one of this version; otherwise the reason why it is not. */
export const readRequest = (bytes: Uint8Array): SpawnRequest | string => {
  let value: Partial<SpawnRequest>;
  try {
    value = decodeRecord(bytes);
  } catch {
    return "the request cannot be read";
  }
  if (value.protocol !== PROTOCOL) {
    return `it speaks version ${PROTOCOL} of the protocol, the program version ${value.protocol}`;
  }
  const wrong = Arguments.wrongOptions(value, request);
  return wrong === undefined ? value as SpawnRequest : `the request is invalid: ${wrong}`;
};

/** A random name of a caller, an agent or a session. */
export const randomName = (): string => crypto.randomUUID().replaceAll("-", "").slice(0, 16);

const hex = (bytes: ArrayBuffer): string =>
  Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, "0")).join("");

/** The SHA-256 hash by which a source is named. */
export const hashOf = async (bytes: Uint8Array<ArrayBuffer>): Promise<string> =>
  hex(await crypto.subtle.digest("SHA-256", bytes));
